// SPDX-License-Identifier: Apache-2.0

use std::sync::{Arc, Mutex};

use sealwatch_registry::{Descriptor, Error, HttpRegistry, RegistriesConfig, Registry};
use serde_json::json;

use crate::fixture::{INDEX, MANIFEST, NOTATION, Signed, anonymous, app, client, configured, digest, list, login};
use crate::scripted::{Script, Seen, Server};

/// What listing the referrers of the signed image gives, and what was asked.
async fn list_with(
    answer: impl Fn(&Seen, &Signed) -> Script + Send + Sync + 'static,
) -> (Result<Vec<Descriptor>, Error>, Vec<String>) {
    let signed = Signed::new();
    let registry = signed.clone();
    let server = Server::start("127.0.0.1", move |seen: &Seen| answer(seen, &registry)).await;
    let result = client(&[&server]).referrers(&app(&server), &signed.subject(), NOTATION, &anonymous()).await;
    (result, server.lines())
}

/// A list whose `number` entries are all signatures.
fn many(number: usize, offset: usize) -> Vec<serde_json::Value> {
    (0..number)
        .map(|n| {
            let digest = digest(format!("signature {}", n + offset).as_bytes());
            json!({"mediaType": MANIFEST, "digest": digest, "size": 700, "artifactType": NOTATION})
        })
        .collect()
}

#[tokio::test]
async fn no_refusal_ever_becomes_no_signatures() {
    for by_tag in [false, true] {
        for (status, expected) in
            [(401, "unauthorized"), (403, "forbidden"), (429, "throttled"), (500, "unavailable"), (503, "unavailable")]
        {
            let (result, _) = list_with(move |seen, signed| {
                if by_tag && seen.path() == signed.referrers_path() {
                    Script::status(404)
                } else {
                    Script::status(status)
                }
            })
            .await;
            let error = result.unwrap_err();
            assert!(error.to_string().contains(expected), "{status} by tag {by_tag}: {error}");
        }
    }
}

#[tokio::test]
async fn an_unknown_repository_is_not_found_and_not_without_signatures() {
    let (result, lines) = list_with(|_, _| Script::error(404, "NAME_UNKNOWN")).await;
    assert!(matches!(result, Err(Error::NotFound { .. })), "{result:?}");
    assert_eq!(lines.len(), 1, "the tag schema is not tried: {lines:?}");
    let (result, _) = list_with(|seen, signed| {
        if seen.path() == signed.tag_path() { Script::error(404, "NAME_UNKNOWN") } else { Script::status(404) }
    })
    .await;
    assert!(matches!(result, Err(Error::NotFound { .. })), "{result:?}");
}

/// DS-6.
#[tokio::test]
async fn the_tag_schema_is_the_fallback_for_404_and_for_another_content_type_only() {
    let absent = [
        Script::new(404, "text/plain", "404 page not found\n"),
        Script::error(404, "UNSUPPORTED"),
        Script::status(405),
        Script::new(200, "text/html; charset=utf-8", "<html>welcome</html>"),
        Script::status(200),
    ];
    for answer in absent {
        let (result, lines) =
            list_with(
                move |seen, signed| {
                    if seen.path() == signed.referrers_path() { answer.clone() } else { signed.answer_by_tag(seen) }
                },
            )
            .await;
        assert_eq!(result.unwrap().len(), 1);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[1].ends_with(&Signed::new().tag_path()), "{lines:?}");
    }
    let (result, lines) = list_with(|_, _| Script::new(200, INDEX, "{\"manifests\":")).await;
    assert!(matches!(result, Err(Error::Malformed { .. })), "{result:?}");
    assert_eq!(lines.len(), 1);
}

/// DS-6.
#[tokio::test]
async fn a_missing_tag_is_an_empty_list_and_a_tag_on_something_else_is_an_error() {
    let (result, _) = list_with(|_, _| Script::status(404)).await;
    assert_eq!(result.unwrap(), []);
    let (result, _) = list_with(|seen, signed| match seen.path() {
        path if path == signed.tag_path() => Script::new(200, MANIFEST, signed.image.clone()),
        _ => Script::status(404),
    })
    .await;
    assert!(matches!(result, Err(Error::Malformed { .. })), "{result:?}");
}

/// DS-6.
#[tokio::test]
async fn a_signature_that_the_api_does_not_list_is_found_under_its_tag() {
    let sbom = |signed: &Signed| {
        let mut sbom = signed.referrer();
        sbom["artifactType"] = json!("application/spdx+json");
        sbom
    };
    for is_empty in [true, false] {
        let (result, lines) = list_with(move |seen, signed| {
            if seen.path() == signed.referrers_path() {
                if is_empty { list(&[]) } else { list(&[sbom(signed)]) }
            } else {
                signed.answer_by_tag(seen)
            }
        })
        .await;
        assert_eq!(result.unwrap().len(), 1);
        assert_eq!(lines.len(), 2, "{lines:?}");
    }
}

#[tokio::test]
async fn an_empty_answer_of_the_api_and_an_error_at_the_tag_is_not_no_signatures() {
    for status in [401, 403, 429, 500] {
        let (result, _) =
            list_with(
                move |seen, signed| {
                    if seen.path() == signed.referrers_path() { list(&[]) } else { Script::status(status) }
                },
            )
            .await;
        assert!(result.is_err(), "{status}: {result:?}");
    }
}

/// A registry with the Referrers API that can be told what it lists there and under the tag.
#[derive(Clone, Default)]
struct Lists(Arc<Mutex<(Vec<serde_json::Value>, Vec<serde_json::Value>)>>);

impl Lists {
    fn api(&self, entries: &[serde_json::Value]) {
        self.0.lock().unwrap().0 = entries.to_vec();
    }

    fn tag(&self, entries: &[serde_json::Value]) {
        self.0.lock().unwrap().1 = entries.to_vec();
    }

    async fn start(&self) -> Server {
        let (lists, signed) = (self.clone(), Signed::new());
        Server::start("127.0.0.1", move |seen: &Seen| {
            let (api, tag) = lists.0.lock().unwrap().clone();
            match seen.path() {
                path if path == signed.referrers_path() => list(&api),
                path if path == signed.tag_path() && !tag.is_empty() => list(&tag),
                _ => signed.answer(seen),
            }
        })
        .await
    }
}

/// How many signatures a look finds, and how many requests it takes.
async fn look(client: &HttpRegistry, server: &Server) -> (usize, usize) {
    server.forget();
    let found = client.referrers(&app(server), &Signed::new().subject(), NOTATION, &anonymous()).await.unwrap();
    (found.len(), server.seen().len())
}

#[tokio::test]
async fn an_unsigned_image_takes_two_requests_beside_its_head_and_one_in_a_steady_pass() {
    let server = Lists::default().start().await;
    let client = client(&[&server]);
    assert_eq!(look(&client, &server).await, (0, 2));
    assert_eq!(look(&client, &server).await, (0, 1));
    assert_eq!(server.lines().len(), 1);
    assert!(server.lines()[0].contains("/referrers/"), "{:?}", server.lines());
}

#[tokio::test]
async fn a_signature_under_the_tag_alone_is_asked_for_there_from_then_on() {
    let lists = Lists::default();
    lists.tag(&many(1, 0));
    let server = lists.start().await;
    let client = client(&[&server]);
    assert_eq!(look(&client, &server).await, (1, 2));
    assert_eq!(look(&client, &server).await, (1, 1));
    lists.tag(&many(2, 0));
    assert_eq!(look(&client, &server).await, (2, 1));
    // It is gone from there: everything is looked at again.
    lists.tag(&[]);
    lists.api(&many(3, 0));
    let (found, requests) = look(&client, &server).await;
    assert_eq!((found, requests), (3, 2));
    assert_eq!(look(&client, &server).await, (3, 1));
}

#[tokio::test]
async fn a_list_that_became_empty_is_looked_for_everywhere_before_it_is_believed() {
    let lists = Lists::default();
    lists.api(&many(1, 0));
    let server = lists.start().await;
    let client = client(&[&server]);
    assert_eq!(look(&client, &server).await, (1, 1));
    lists.api(&[]);
    lists.tag(&many(1, 0));
    assert_eq!(look(&client, &server).await.0, 1);
}

#[tokio::test]
async fn whoever_asks_for_a_fresh_look_gets_a_first_one() {
    let lists = Lists::default();
    let server = lists.start().await;
    let client = client(&[&server]);
    assert_eq!(look(&client, &server).await, (0, 2));
    lists.tag(&many(1, 0));
    assert_eq!(look(&client, &server).await, (0, 1));
    client.look_anew(&app(&server), &digest(b"another image"));
    assert_eq!(look(&client, &server).await, (0, 1));
    client.look_anew(&app(&server), &Signed::new().subject());
    assert_eq!(look(&client, &server).await, (1, 2));
}

#[tokio::test]
async fn what_one_tenant_found_is_no_shortcut_for_another() {
    let server = Lists::default().start().await;
    let client = client(&[&server]);
    assert_eq!(look(&client, &server).await, (0, 2));
    server.forget();
    let joe = login(&[(&server.host(), "joe", "s3cret")]);
    client.referrers(&app(&server), &Signed::new().subject(), NOTATION, &joe).await.unwrap();
    assert_eq!(server.seen().len(), 2, "{:?}", server.lines());
}

#[tokio::test]
async fn a_mirror_that_lists_nothing_is_asked_for_the_tag_at_each_look() {
    let lists = Lists::default();
    let server = lists.start().await;
    let yaml =
        format!("mirrors: {{registry.test: {{endpoint: ['http://{}']}}}}\nsignatures: {{'*': []}}", server.host());
    let mut registries = RegistriesConfig::parse(yaml.as_bytes()).unwrap();
    registries.disable_origins();
    let client = configured(registries);
    let look = async || {
        let repository = "registry.test/app".parse().unwrap();
        client.referrers(&repository, &Signed::new().subject(), NOTATION, &anonymous()).await.unwrap().len()
    };
    assert_eq!(look().await, 0);
    lists.tag(&many(1, 0));
    assert_eq!(look().await, 1, "{:?}", server.lines());
}

/// A registry that answers with this `ETag` and keeps to `If-None-Match`.
async fn tagged(by_tag: bool, etag: &'static str, entries: Arc<Mutex<usize>>) -> Server {
    let signed = Signed::new();
    Server::start("127.0.0.1", move |seen: &Seen| {
        let is_list = seen.path() == if by_tag { signed.tag_path() } else { signed.referrers_path() };
        let count = *entries.lock().unwrap();
        let current = format!("\"{etag}{count}\"");
        match seen.header("if-none-match") {
            Some(known) if is_list && known == current => Script::status(304),
            _ if is_list => list(&many(count, 0)).with("ETag", current),
            _ => Script::status(404),
        }
    })
    .await
}

#[tokio::test]
async fn a_list_that_did_not_change_is_not_sent_again_and_one_that_did_is() {
    for by_tag in [false, true] {
        let entries = Arc::new(Mutex::new(2));
        let server = tagged(by_tag, "v", Arc::clone(&entries)).await;
        let client = client(&[&server]);
        assert_eq!(look(&client, &server).await.0, 2);
        assert_eq!(look(&client, &server).await, (2, 1));
        assert_eq!(server.seen()[0].header("if-none-match"), Some("\"v2\""));
        assert_eq!(look(&client, &server).await, (2, 1));
        *entries.lock().unwrap() = 3;
        assert_eq!(look(&client, &server).await, (3, 1), "by tag {by_tag}");
        assert_eq!(look(&client, &server).await, (3, 1));
        assert_eq!(server.seen()[0].header("if-none-match"), Some("\"v3\""));
    }
}

#[tokio::test]
async fn unchanged_is_no_answer_to_who_did_not_ask_so() {
    let (result, _) = list_with(|_, _| Script::status(304)).await;
    assert!(matches!(result, Err(Error::Unavailable { .. })), "{result:?}");
}

#[tokio::test]
async fn a_large_list_and_one_of_several_pages_are_not_kept() {
    let entries = Arc::new(Mutex::new(100));
    let large = tagged(false, "v", entries).await;
    let client_of_large = client(&[&large]);
    look(&client_of_large, &large).await;
    assert_eq!(look(&client_of_large, &large).await, (100, 1));
    assert_eq!(large.seen()[0].header("if-none-match"), None);

    let signed = Signed::new();
    let paged = Server::start("127.0.0.1", move |seen: &Seen| {
        if seen.target.contains("?n=") {
            return list(&many(1, 1)).with("ETag", "\"b\"");
        }
        let next = format!("<{}?n=1>; rel=next", signed.referrers_path());
        list(&many(1, 0)).with("ETag", "\"a\"").with("Link", next)
    })
    .await;
    let client = client(&[&paged]);
    look(&client, &paged).await;
    assert_eq!(look(&client, &paged).await, (2, 2));
    assert!(paged.seen().iter().all(|seen| seen.header("if-none-match").is_none()));
}

#[tokio::test]
async fn a_registry_without_the_api_is_asked_for_it_once_per_repository_and_credential() {
    let signed = Signed::new();
    let registry = signed.clone();
    let server = Server::start("127.0.0.1", move |seen: &Seen| registry.answer_by_tag(seen)).await;
    let (client, repository, subject) = (client(&[&server]), app(&server), signed.subject());
    let anonymously = anonymous();
    client.referrers(&repository, &subject, NOTATION, &anonymously).await.unwrap();
    server.forget();
    assert_eq!(client.clone().referrers(&repository, &subject, NOTATION, &anonymously).await.unwrap().len(), 1);
    assert_eq!(server.lines(), [format!("GET {}", signed.tag_path())]);
    server.forget();
    // What one tenant saw as 404 says nothing to another.
    let other = login(&[(&server.host(), "joe", "s3cret")]);
    client.referrers(&repository, &subject, NOTATION, &other).await.unwrap();
    assert_eq!(server.seen().len(), 2, "{:?}", server.lines());
}

#[tokio::test]
async fn an_error_at_the_tag_is_not_remembered_as_a_missing_api() {
    let signed = Signed::new();
    let (registry, is_down) = (signed.clone(), std::sync::atomic::AtomicBool::new(true));
    let server =
        Server::start("127.0.0.1", move |seen: &Seen| match is_down.load(std::sync::atomic::Ordering::SeqCst) {
            true if seen.path() == registry.tag_path() => {
                is_down.store(false, std::sync::atomic::Ordering::SeqCst);
                Script::status(502)
            }
            true => Script::status(404),
            false => registry.answer(seen),
        })
        .await;
    let (client, repository) = (client(&[&server]), app(&server));
    client.referrers(&repository, &signed.subject(), NOTATION, &anonymous()).await.unwrap_err();
    assert_eq!(client.referrers(&repository, &signed.subject(), NOTATION, &anonymous()).await.unwrap().len(), 1);
}

/// DS-5.
#[tokio::test]
async fn other_artifact_types_are_filtered_out_unless_the_registry_says_it_did() {
    let entries = |signed: &Signed| {
        let mut sbom = signed.referrer();
        sbom["artifactType"] = json!("application/spdx+json");
        let mut untyped = signed.referrer();
        untyped["digest"] = json!(digest(b"untyped"));
        untyped.as_object_mut().unwrap().remove("artifactType");
        [sbom, untyped, signed.referrer()]
    };
    let (result, lines) = list_with(move |_, signed| list(&entries(signed))).await;
    assert_eq!(result.unwrap().len(), 1);
    assert!(lines[0].ends_with("?artifactType=application%2Fvnd.cncf.notary.signature"), "{lines:?}");
    let (result, _) =
        list_with(move |_, signed| list(&entries(signed)).with("OCI-Filters-Applied", "annotation, artifactType"))
            .await;
    assert_eq!(result.unwrap().len(), 2);
}

#[tokio::test]
async fn a_broken_descriptor_hides_no_good_one_and_alone_is_an_error() {
    let broken = |signed: &Signed| {
        let mut broken = signed.referrer();
        broken["size"] = json!(-1);
        broken
    };
    let (result, _) = list_with(move |_, signed| list(&[broken(signed), signed.referrer()])).await;
    assert_eq!(result.unwrap().len(), 1);
    let (result, _) = list_with(move |_, signed| list(&[broken(signed)])).await;
    assert!(matches!(result, Err(Error::Malformed { .. })), "{result:?}");
}

#[tokio::test]
async fn a_signature_is_listed_once_however_often_the_registry_lists_it() {
    let (result, _) = list_with(|_, signed| list(&vec![signed.referrer(); 500])).await;
    assert_eq!(result.unwrap().len(), 1);
    let (result, _) = list_with(|_, _| list(&many(500, 0))).await;
    assert_eq!(result.unwrap().len(), 500, "which of them are looked at is for the verifier to choose");
}

#[tokio::test]
async fn more_than_a_thousand_referrers_of_any_type_are_too_many() {
    let (result, _) = list_with(|_, _| list(&vec![json!({"artifactType": "x/y"}); 1_001])).await;
    assert!(matches!(result, Err(Error::LimitExceeded { what: "referrers", .. })), "{result:?}");
}

/// DS-7.
#[tokio::test]
async fn pages_are_followed_on_the_same_origin() {
    let (result, lines) = list_with(|seen, signed| {
        let next = format!("{}?n=2", signed.referrers_path());
        if seen.target.ends_with("?n=2") {
            list(&many(2, 0))
        } else {
            list(&[signed.referrer()]).with("Link", format!("<{next}>; rel=\"next\""))
        }
    })
    .await;
    assert_eq!(result.unwrap().len(), 3);
    assert_eq!(lines.len(), 2);
}

/// DS-7.
#[tokio::test]
async fn a_link_to_itself_ends_after_ten_pages() {
    let (result, lines) =
        list_with(|seen, signed| list(&[signed.referrer()]).with("Link", format!("<{}>; rel=next", seen.target))).await;
    assert!(matches!(result, Err(Error::LimitExceeded { what: "pages of referrers", limit: 10, .. })), "{result:?}");
    assert_eq!(lines.len(), 10);
}

#[tokio::test]
async fn referrers_spread_over_pages_are_counted_together() {
    let (result, _) = list_with(|seen, signed| {
        let page: usize = seen.target.rsplit_once("?n=").map_or(0, |(_, page)| page.parse().unwrap());
        let next = format!("<{}?n={}>; rel=next", signed.referrers_path(), page + 1);
        let script = list(&many(600, page * 600));
        if page < 2 { script.with("Link", next) } else { script }
    })
    .await;
    assert!(matches!(result, Err(Error::LimitExceeded { what: "referrers", .. })), "{result:?}");
}

/// DS-7.
#[tokio::test]
async fn a_link_to_another_origin_is_refused_and_nothing_is_sent_there() {
    let other = Server::start("127.0.0.2", |_: &Seen| list(&[])).await;
    let signed = Signed::new();
    let (registry, target) = (signed.clone(), format!("<http://{}/v2/app/x>; rel=next", other.host()));
    let server =
        Server::start("127.0.0.1", move |_: &Seen| list(&[registry.referrer()]).with("Link", target.clone())).await;
    // Even a host that may be asked is not followed.
    let client = client(&[&server, &other]);
    let error = client.referrers(&app(&server), &signed.subject(), NOTATION, &anonymous()).await.unwrap_err();
    assert!(error.to_string().contains("another origin"), "{error}");
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn a_page_that_goes_missing_is_an_error_and_not_the_end() {
    let (result, _) = list_with(|seen, signed| {
        if seen.target.contains("?n=") {
            Script::status(404)
        } else {
            list(&[signed.referrer()]).with("Link", "<?n=2>; rel=next")
        }
    })
    .await;
    assert!(matches!(result, Err(Error::Malformed { .. })), "{result:?}");
}
