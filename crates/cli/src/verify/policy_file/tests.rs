// SPDX-License-Identifier: Apache-2.0

use std::fs;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, IsCa, KeyIdMethod, KeyPair,
    KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

fn pem() -> String {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap().pem()
}

fn document() -> Value {
    json!({"version": "1.0", "trustPolicies": [{
        "name": "kind", "registryScopes": ["*"], "signatureVerification": {"level": "strict"},
        "trustStores": ["ca:roots"], "trustedIdentities": ["*"],
    }]})
}

fn trust_policy() -> Value {
    let mut spec = document();
    spec["trustStores"] = json!([{"type": "ca", "name": "roots", "certificates": [
        {"configMapKeyRef": {"name": "roots", "key": "root.crt"}},
    ]}]);
    json!({"apiVersion": "sealwatch.dev/v1alpha1", "kind": "TrustPolicy", "metadata": {"name": "p"}, "spec": spec})
}

fn config_map() -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "roots"}, "data": {"root.crt": pem()}})
}

/// Reads a policy from a file with these documents, and holds its first statement against the stores.
fn read_text(text: &str, folder: Option<&TempDir>) -> Result<Policy, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    let policy = Policy::read(file.path(), folder.map(TempDir::path))?;
    policy.check_stores(&policy.document.statements()[0])?;
    Ok(policy)
}

fn read(documents: &[Value]) -> Result<Policy, String> {
    let texts: Vec<String> = documents.iter().map(ToString::to_string).collect();
    read_text(&texts.join("\n---\n"), None)
}

fn refusal(documents: &[Value]) -> String {
    let why = read(documents).unwrap_err();
    assert!(why.starts_with("--policy "), "{why}");
    why
}

/// A folder laid out as Notation's truststore/x509, with these stores.
fn folder(stores: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for store in stores {
        fs::create_dir_all(folder.path().join(store)).unwrap();
        fs::write(folder.path().join(store).join("root.crt"), pem()).unwrap();
    }
    folder
}

#[test]
fn a_file_that_is_no_policy_is_refused() {
    for text in ["", "---\n---\n", "null", "[]", "hello", "kind: Pod", "version: \"1.0\"\ntrustPolicies: []"] {
        let why = read_text(text, None).unwrap_err();
        assert!(why.contains("is neither a trustpolicy.json"), "{text}: {why}");
    }
    for text in ["{", "{}", "{\"version\": \"1.0\"} x", "{a: b}"] {
        let why = read_text(text, None).unwrap_err();
        assert!(why.contains("trust policy") && !why.contains("neither"), "{text}: {why}");
    }
    assert!(Policy::read(Path::new("/nonexistent"), None).unwrap_err().starts_with("--policy /nonexistent: "));
}

#[test]
fn a_file_that_is_deep_or_grows_when_read_is_refused_in_one_line() {
    let deep = format!("a: {}", "[".repeat(100_000));
    let level = |level: usize| format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(","));
    let growing: Vec<String> = (1..12).map(level).collect();
    let growing = format!("a0: &a0 [x,x,x,x,x,x,x,x,x]\n{}", growing.concat());
    for text in [&deep, &growing] {
        let why = read_text(text, None).unwrap_err();
        assert!(why.contains(": is not YAML: line "), "{why}");
        assert_eq!(why.lines().count(), 1, "{why}");
    }
    assert!(read_text(&format!("{{\"kind\": {}", "[".repeat(100_000)), None).unwrap_err().contains("malformed"));
}

#[test]
fn a_file_that_is_too_large_or_not_text_is_refused() {
    assert!(read_text(&" ".repeat(16 * 1024 * 1024 + 1), None).unwrap_err().contains("is larger than 16777216 bytes"));
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), [0xff, 0xfe]).unwrap();
    assert!(Policy::read(file.path(), None).unwrap_err().ends_with("is not UTF-8"));
}

#[test]
fn a_broken_rule_of_the_document_is_named_in_both_forms() {
    let mut broken = document();
    broken["trustPolicies"][0]["signatureVerification"]["level"] = "strickt".into();
    assert!(refusal(&[broken.clone()]).contains("invalid signature verification level \"strickt\""));
    let mut policy = trust_policy();
    policy["spec"]["trustPolicies"] = broken["trustPolicies"].clone();
    assert!(refusal(&[policy, config_map()]).contains("invalid signature verification level \"strickt\""));
}

#[test]
fn a_misspelt_field_is_refused_by_its_path() {
    let mut policy = trust_policy();
    policy["spec"]["trustPolicies"][0]["signatureVerification"]["overide"] = json!({});
    let why = refusal(&[policy, config_map()]);
    assert!(why.contains("unknown field \"spec.trustPolicies[0].signatureVerification.overide\""), "{why}");
    // A map has keys of the user's own.
    let mut policy = trust_policy();
    policy["spec"]["podSelector"] = json!({"matchLabels": {"any": "label"}});
    assert!(read(&[policy, config_map()]).is_ok());
}

#[test]
fn a_field_of_another_type_is_refused_by_its_path() {
    let mut policy = trust_policy();
    policy["spec"]["trustPolicies"][0]["registryScopes"] = "*".into();
    let why = refusal(&[policy]);
    assert!(why.contains("spec.trustPolicies[0].registryScopes: invalid type"), "{why}");
}

#[test]
fn a_field_that_stands_twice_is_refused() {
    let why =
        read_text("apiVersion: sealwatch.dev/v1alpha1\nkind: TrustPolicy\nkind: TrustPolicy\n", None).unwrap_err();
    assert!(why.contains("duplicate"), "{why}");
}

#[test]
fn what_this_version_cannot_do_is_refused() {
    let mut policy = trust_policy();
    policy["spec"]["digestMatching"] = "Nearest".into();
    assert!(refusal(&[policy, config_map()]).contains("spec.digestMatching: only Exact and FollowIndex are supported"));
}

#[test]
fn a_trust_policy_says_whose_signatures_count() {
    let mut policy = trust_policy();
    assert_eq!(read(&[policy.clone(), config_map()]).unwrap().matching, DigestMatching::Exact);
    policy["spec"]["digestMatching"] = "FollowIndex".into();
    assert_eq!(read(&[policy, config_map()]).unwrap().matching, DigestMatching::FollowIndex);
}

#[test]
fn exactly_one_policy_of_our_version_is_taken() {
    assert!(refusal(&[trust_policy(), trust_policy()]).ends_with("holds more than one TrustPolicy"));
    let mut policy = trust_policy();
    policy["apiVersion"] = "notation.nirmata.io/v1alpha1".into();
    assert!(refusal(&[policy]).contains("apiVersion \"notation.nirmata.io/v1alpha1\""));
}

#[test]
fn config_maps_are_found_in_any_order_and_in_lists() {
    assert!(read(&[trust_policy(), config_map()]).is_ok());
    assert!(read(&[config_map(), json!(null), trust_policy()]).is_ok());
    assert!(read(&[json!({"apiVersion": "v1", "kind": "List", "items": [config_map(), trust_policy()]})]).is_ok());
    assert!(refusal(&[trust_policy(), config_map(), config_map()]).ends_with("holds the ConfigMap \"roots\" twice"));
}

#[test]
fn a_config_map_that_is_missing_or_of_another_namespace_makes_the_store_unusable() {
    let missing = "trust store ca:roots: certificates[0].configMapKeyRef: ConfigMap \"roots\" does not exist";
    assert!(refusal(&[trust_policy()]).contains(missing));
    let (mut policy, mut map) = (trust_policy(), config_map());
    policy["metadata"]["namespace"] = "ours".into();
    map["metadata"]["namespace"] = "theirs".into();
    assert!(refusal(&[policy.clone(), map.clone()]).contains(missing));
    map["metadata"]["namespace"] = "ours".into();
    assert!(read(&[policy, map]).is_ok());
}

#[test]
fn secrets_and_cluster_trust_bundles_stand_in_the_file_too() {
    let sourced = |source: Value| {
        let mut policy = trust_policy();
        policy["spec"]["trustStores"][0]["certificates"] = json!([source]);
        policy
    };
    let by_secret = sourced(json!({"secretKeyRef": {"name": "roots", "key": "root.crt"}}));
    let missing = "certificates[0].secretKeyRef: Secret \"roots\" does not exist";
    assert!(refusal(&[by_secret.clone(), config_map()]).contains(missing));
    let written = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "roots"}, "stringData": {"root.crt": pem()},
    });
    assert!(read(&[by_secret.clone(), written.clone()]).is_ok());
    assert!(refusal(&[by_secret, written.clone(), written]).ends_with("holds the Secret \"roots\" twice"));

    let by_bundle = sourced(json!({"clusterTrustBundle": {"name": "roots"}}));
    let missing = "certificates[0].clusterTrustBundle: ClusterTrustBundle \"roots\" does not exist";
    assert!(refusal(std::slice::from_ref(&by_bundle)).contains(missing));
    let bundle = json!({
        "apiVersion": "certificates.k8s.io/v1beta1", "kind": "ClusterTrustBundle", "metadata": {"name": "roots"},
        "spec": {"trustBundle": pem()},
    });
    assert!(read(&[by_bundle.clone(), bundle.clone()]).is_ok());
    assert!(refusal(&[by_bundle, bundle.clone(), bundle]).ends_with("holds the ClusterTrustBundle \"roots\" twice"));
}

#[test]
fn the_word_kind_inside_a_trustpolicy_json_changes_nothing() {
    let folder = folder(&["ca/roots"]);
    let policy = read_text(&document().to_string(), Some(&folder)).unwrap();
    assert_eq!(policy.document.statements()[0].name(), "kind");
}

#[test]
fn a_trustpolicy_json_needs_a_folder_only_where_a_store_is_needed() {
    let why = refusal(&[document()]);
    assert!(why.contains("trust store ca:roots: a trustpolicy.json needs --trust-store DIR"), "{why}");
    let skip = json!({"version": "1.0", "trustPolicies": [
        {"name": "s", "registryScopes": ["*"], "signatureVerification": {"level": "skip"}},
    ]});
    assert!(read(&[skip]).is_ok());
}

#[test]
fn the_folder_takes_the_place_of_the_stores_in_the_policy() {
    let folder = folder(&["ca/other"]);
    let texts = [trust_policy().to_string(), config_map().to_string()].join("\n---\n");
    assert!(read_text(&texts, None).is_ok());
    let why = read_text(&texts, Some(&folder)).unwrap_err();
    assert!(why.starts_with("--trust-store ") && why.contains("trust store ca:roots: "), "{why}");
}

#[test]
fn a_folder_that_is_none_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), document().to_string()).unwrap();
    for folder in [Path::new("/nonexistent"), file.path()] {
        let why = Policy::read(file.path(), Some(folder)).unwrap_err();
        assert!(why.starts_with(&format!("--trust-store {}: ", folder.display())), "{why}");
    }
}

#[test]
fn only_stores_that_no_scheme_could_do_without_must_be_there() {
    let check = |stores: &[&str], present: &[&str]| {
        let mut document = document();
        document["trustPolicies"][0]["trustStores"] = json!(stores);
        read_text(&document.to_string(), Some(&folder(present))).map(|_| ())
    };
    assert_eq!(check(&["ca:a", "signingAuthority:b"], &["ca/a"]), Ok(()));
    assert_eq!(check(&["ca:a", "signingAuthority:b"], &["signingAuthority/b"]), Ok(()));
    // One store that is missing fails all of its type.
    assert!(check(&["ca:a", "ca:b"], &["ca/a"]).unwrap_err().contains("trust store ca:b"));
    assert!(check(&["ca:a", "signingAuthority:b"], &[]).unwrap_err().contains("trust store ca:a"));
    assert!(check(&["ca:a", "tsa:t"], &["ca/a"]).unwrap_err().contains("trust store tsa:t"));
}

#[test]
fn pull_secrets_that_are_not_read_are_mentioned() {
    let mut policy = trust_policy();
    policy["spec"]["imagePullSecrets"] = json!([{"name": "acr"}]);
    let policy = read(&[policy, config_map()]).unwrap();
    assert!(policy.warnings[0].contains("spec.imagePullSecrets are not read"), "{:?}", policy.warnings);
}

/// An empty revocation list, in PEM.
fn list() -> String {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::CrlSign];
    let issuer = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 1),
        next_update: date_time_ymd(2030, 1, 1),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(&issuer).unwrap().pem().unwrap()
}

#[test]
fn revocation_lists_come_from_config_maps_in_the_file_and_one_that_cannot_be_read_is_refused() {
    let bringing = || {
        let mut policy = trust_policy();
        policy["spec"]["revocation"] = json!({"crls": [{"configMapKeyRef": {"name": "lists", "key": "root.crl"}}]});
        policy
    };
    let lists = |key: &str, text: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "lists"}, "data": {key: text}});
    assert_eq!(read(&[bringing(), config_map(), lists("root.crl", &list())]).unwrap().brought.lists.len(), 1);
    for (documents, words) in [
        (vec![bringing(), config_map()], "ConfigMap \"lists\" does not exist"),
        (vec![bringing(), config_map(), lists("other", &list())], "has no key \"root.crl\""),
        (vec![bringing(), config_map(), lists("root.crl", &pem())], "it holds CERTIFICATE, not X509 CRL"),
    ] {
        let why = refusal(&documents);
        assert!(why.contains("spec.revocation.crls[0]") && why.contains(words), "{words}: {why}");
    }
}

#[test]
fn lists_from_files_are_added_up_to_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("root.crl");
    fs::write(&file, list()).unwrap();
    let mut policy = read(&[trust_policy(), config_map()]).unwrap();
    policy.bring(&vec![file.clone(); MAX_BROUGHT_CRLS]).unwrap();
    assert_eq!(policy.brought.lists.len(), MAX_BROUGHT_CRLS);
    let why = policy.bring(&[file]).unwrap_err();
    assert!(why.starts_with("--crl ") && why.contains("more than 64 revocation lists"), "{why}");
}

#[test]
fn a_folder_of_lists_counts_as_its_files_and_one_without_any_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let bring = || {
        let mut policy = read(&[trust_policy(), config_map()]).unwrap();
        policy.bring(&[folder.path().to_owned()]).map(|()| policy.brought.lists.len())
    };
    let shown = folder.path().display().to_string();
    assert!(bring().unwrap_err().starts_with(&format!("--crl {shown}: is an empty folder; name a file")));
    fs::write(folder.path().join("a.crl"), list()).unwrap();
    fs::write(folder.path().join("b"), list()).unwrap();
    assert_eq!(bring(), Ok(2));
    fs::write(folder.path().join("c.txt"), "notes").unwrap();
    assert!(bring().unwrap_err().starts_with(&format!("--crl {shown}/c.txt: ")));
}
