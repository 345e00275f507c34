// SPDX-License-Identifier: Apache-2.0

use serde_json::{Value, json};

use super::*;

fn digest(digit: char) -> String {
    format!("sha256:{}", digit.to_string().repeat(64))
}

fn listed(repo: &str, tag: &Value, digit: char, namespace: &Value) -> Value {
    json!({"repo": repo, "tag": tag, "digest": digest(digit), "namespace": namespace, "multiArch": false})
}

fn list(images: &[Value]) -> ReleaseList {
    let text = json!({"images": images, "helmCharts": [{"ociRef": null}]}).to_string();
    ReleaseList { file: String::new(), entries: parse(text.as_bytes()).unwrap() }
}

fn key(repository: &str, digest: &str) -> ImageKey {
    ImageKey { repository: repository.to_owned(), digest: RunningDigest::Manifest(digest.parse().unwrap()) }
}

#[test]
fn a_digest_under_two_tags_is_one_entry_and_an_empty_namespace_is_none() {
    let list = list(&[
        listed("m.test/mdm", &json!("1.0"), 'a', &json!("")),
        listed("m.test/mdm", &json!("recommended"), 'a', &json!("n")),
        listed("m.test/mdm", &Value::Null, 'b', &Value::Null),
    ]);
    assert_eq!(list.entries.len(), 2);
    assert_eq!(list.entries[0].tags(), "1.0, recommended");
    assert_eq!(list.entries[0].namespaces, BTreeSet::from(["n".to_owned()]));
    assert!(list.entries[1].namespaces.is_empty());
}

#[test]
fn a_mirror_is_the_same_path_under_another_host_or_folder_and_nothing_that_only_ends_alike() {
    let list = list(&[listed("mcr.test/aio/operator", &json!("1"), 'a', &json!(""))]);
    let state = |repository: &str| list.state(&key(repository, &digest('b'))).0;
    for same in ["mcr.test/aio/operator", "mirror.test:5000/aio/operator", "mirror.test/aio-mirror/1.4/aio/operator"] {
        assert_eq!(state(same), State::OtherDigest, "{same}");
    }
    for other in ["mirror.test/operator", "mirror.test/xaio/operator", "mirror.test/aio/operator/x", "Not A Reference"]
    {
        assert_eq!(state(other), State::NotInList, "{other}");
    }
}

#[test]
fn the_digest_is_the_identity_whatever_the_name() {
    let list = list(&[listed("mcr.test/aio/operator", &json!("1"), 'a', &json!(""))]);
    let (state, message) = list.state(&key("elsewhere.test/renamed", &digest('a')));
    assert_eq!((state, message.as_str()), (State::AsReleased, "as mcr.test/aio/operator, tag 1"));
}

#[test]
fn what_the_file_must_have_is_named_and_no_size_is_taken_on() {
    for (text, named) in [
        ("[]", "invalid length"),
        ("{\"images\": 7}", "images: invalid type"),
        ("{\"images\": [7]}", "images[0]: invalid type"),
        ("{\"images\": [{\"repo\": \"a\", \"digest\": \"b\", \"multiArch\": \"yes\"}]}", "images[0].multiArch: "),
        ("{\"images\": []} x", "trailing characters"),
    ] {
        let why = parse(text.as_bytes()).unwrap_err();
        assert!(why.contains(named), "{text}: {why}");
    }
    let entry = format!("{{\"repo\": \"m.test/a\", \"digest\": \"{}\"}},", digest('a'));
    let many = format!("{{\"images\": [{}]}}", entry.repeat(ENTRIES_MOST + 1).trim_end_matches(','));
    assert!(parse(many.as_bytes()).unwrap_err().starts_with("images has 10001 entries"));
}
