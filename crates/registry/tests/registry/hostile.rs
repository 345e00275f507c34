// SPDX-License-Identifier: Apache-2.0
//! Published attacks on registry clients that no other file here has: each test is one, with what must come of it.

use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sealwatch_registry::egress::Lookup;
use sealwatch_registry::limits::MAX_HEADER_LIST_BYTES;
use sealwatch_registry::{
    Error, HttpRegistry, NameLookup, RegistriesConfig, Registry, RegistryOptions, SignatureManifest, Target, Timeouts,
};
use serde_json::json;

use crate::fixture::{
    ENVELOPE, MANIFEST, NOTATION, Names, Signed, TIMEOUTS, anonymous, app, client, configured, descriptor, digest,
    list, login,
};
use crate::scripted::{Body, Script, Seen, Server};

/// A listener that only counts who knocks.
fn listener(host: &str) -> TcpListener {
    let listener = TcpListener::bind((host, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

fn was_knocked_at(listener: &TcpListener) -> bool {
    listener.accept().is_ok()
}

fn named(server: &Server) -> RegistriesConfig {
    let mut registries = RegistriesConfig::default();
    registries.insecure(&server.host()).unwrap();
    registries
}

// go-containerregistry 2440: the check of literal addresses alone.
#[tokio::test]
async fn a_realm_whose_name_leads_to_an_internal_address_gets_nothing() {
    let internal = listener("127.0.0.2");
    let realm = format!("https://tokens.test:{}/token", internal.local_addr().unwrap().port());
    let server = Server::start("127.0.0.1", move |_: &Seen| {
        Script::status(401).with("WWW-Authenticate", format!(r#"Bearer realm="{realm}""#))
    })
    .await;
    let names = Names(vec![("tokens.test", "127.0.0.2".parse().unwrap())]);
    let options = RegistryOptions {
        registries: named(&server),
        timeouts: TIMEOUTS,
        names: Some(Arc::new(names)),
        ..RegistryOptions::default()
    };
    let client = HttpRegistry::new(options).unwrap();
    let joe = login(&[(&server.host(), "joe", "s3cret")]);
    let error = client.resolve(&app(&server), &Target::Tag("v1".to_owned()), &joe).await.unwrap_err();
    assert!(matches!(error, Error::EgressRefused { .. }), "{error}");
    assert!(!was_knocked_at(&internal));
}

/// One answer after another.
struct Rebinding(AtomicUsize, Vec<IpAddr>);

impl NameLookup for Rebinding {
    fn lookup(&self, _: &str) -> Lookup {
        let turn = self.0.fetch_add(1, Ordering::SeqCst).min(self.1.len() - 1);
        let address = self.1[turn];
        Box::pin(async move { Ok(vec![address]) })
    }
}

// DNS rebinding: a good address for the check, another for the connection.
#[tokio::test]
async fn a_name_that_changes_its_address_is_checked_at_each_connection() {
    let internal = listener("127.0.0.1");
    let port = internal.local_addr().unwrap().port();
    let allowed = TcpListener::bind(("127.0.0.2", port)).unwrap();
    allowed.set_nonblocking(true).unwrap();
    let names = Rebinding(AtomicUsize::new(0), vec!["127.0.0.2".parse().unwrap(), "127.0.0.1".parse().unwrap()]);
    let options = RegistryOptions {
        allow_egress: vec!["127.0.0.2/32".parse().unwrap()],
        timeouts: Timeouts { read: Duration::from_millis(200), connect: Duration::from_millis(200), ..TIMEOUTS },
        names: Some(Arc::new(names)),
        ..RegistryOptions::default()
    };
    let client = HttpRegistry::new(options).unwrap();
    let repository = format!("registry.test:{port}/app").parse().unwrap();
    let ask = async || client.resolve(&repository, &Target::Tag("v1".to_owned()), &anonymous()).await.unwrap_err();
    let first = ask().await;
    assert!(matches!(first, Error::Unavailable { .. }), "nobody speaks TLS there: {first}");
    let wait = ask().await.retry_after().expect("the silent host is left alone for a moment");
    tokio::time::sleep(wait).await;
    let second = ask().await;
    assert!(matches!(second, Error::EgressRefused { .. }), "{second}");
    assert!(was_knocked_at(&allowed) && !was_knocked_at(&internal));
}

// CVE-2020-15157 and its kin: content is fetched from where a descriptor says.
#[tokio::test]
async fn urls_and_data_in_a_descriptor_are_neither_asked_nor_believed() {
    let elsewhere = listener("127.0.0.2");
    let url = format!("http://{}/envelope", elsewhere.local_addr().unwrap());
    let signed = Signed::new();
    let registry = signed.clone();
    let server = Server::start("127.0.0.1", move |seen: &Seen| {
        if seen.path() == registry.referrers_path() {
            let mut entry = registry.referrer();
            entry["urls"] = json!([url]);
            entry["data"] = json!("e30=");
            list(&[entry])
        } else {
            registry.answer(seen)
        }
    })
    .await;
    let client = client(&[&server]);
    let found = client.referrers(&app(&server), &signed.subject(), NOTATION, &anonymous()).await.unwrap();
    let manifest = client.manifest(&app(&server), &found[0], &anonymous()).await.unwrap();
    let subject = descriptor(MANIFEST, &signed.image);
    let envelope = SignatureManifest::parse(&manifest, &subject, NOTATION).unwrap().envelope;
    assert_eq!(client.blob(&app(&server), &envelope, &anonymous()).await.unwrap(), ENVELOPE);
    assert!(!was_knocked_at(&elsewhere));
}

// Catalogue A4 and A6: what a list says of a signature.
#[tokio::test]
async fn an_entry_with_an_impossible_size_or_digest_hides_no_good_one_and_is_not_fetched() {
    for (field, value) in [
        ("size", json!(0)),
        ("size", json!(-1)),
        ("size", json!(9_223_372_036_854_775_808_u64)),
        ("size", json!(1e300)),
        ("size", json!("700")),
        ("digest", json!(format!("md5:{}", "0".repeat(32)))),
        ("digest", json!(format!("SHA256:{}", "0".repeat(64)))),
        ("digest", json!(format!("sha256:{}", "A".repeat(64)))),
        ("digest", json!(format!("sha512:{}", "0".repeat(64)))),
        ("digest", json!("sha256:../../../etc/passwd")),
        ("digest", json!(null)),
        ("mediaType", json!("text/html")),
    ] {
        let signed = Signed::new();
        let (registry, name, bad) = (signed.clone(), field, value.clone());
        let server = Server::start("127.0.0.1", move |seen: &Seen| {
            if seen.path() == registry.referrers_path() {
                let mut entry = registry.referrer();
                entry[name] = bad.clone();
                list(&[entry, registry.referrer()])
            } else {
                registry.answer(seen)
            }
        })
        .await;
        let client = client(&[&server]);
        let found = client.referrers(&app(&server), &signed.subject(), NOTATION, &anonymous()).await.unwrap();
        let mut is_fetched = false;
        for entry in found.iter().filter(|found| found.digest == digest(&signed.signature)) {
            is_fetched |= client.manifest(&app(&server), entry, &anonymous()).await.is_ok();
        }
        assert!(is_fetched, "{field} {value}: {found:?}");
        assert!(server.lines().iter().all(|line| !line.contains("passwd")), "{:?}", server.lines());
    }
}

// CVE-2022-47633: another manifest at each request.
#[tokio::test]
async fn a_registry_that_alternates_its_manifests_never_has_the_other_one_believed() {
    let signed = Signed::new();
    let (registry, calls) = (signed.clone(), AtomicUsize::new(0));
    let server = Server::start("127.0.0.1", move |seen: &Seen| {
        let is_other = calls.fetch_add(1, Ordering::SeqCst) % 2 == 1;
        if is_other && seen.method == "GET" { Script::new(200, MANIFEST, "{}") } else { registry.answer(seen) }
    })
    .await;
    let wanted = descriptor(MANIFEST, &signed.signature);
    let client = client(&[&server]);
    for is_other in [false, true, false, true] {
        match client.manifest(&app(&server), &wanted, &anonymous()).await {
            Ok(bytes) => assert!(!is_other && bytes == signed.signature),
            Err(error) => assert!(is_other && matches!(error, Error::DigestMismatch { .. }), "{error}"),
        }
    }
}

// Catalogue C24: slow-loris. Each byte comes in time, and the whole never does.
#[tokio::test]
async fn a_body_that_comes_byte_by_byte_is_ended_long_before_the_time_limit() {
    let envelope = vec![b'x'; 10_000];
    let wanted = descriptor("application/cose", &envelope);
    let server = Server::start("127.0.0.1", move |_: &Seen| {
        Script::status(200).body(Body::Slow { bytes: envelope.clone(), pause: Duration::from_millis(100) })
    })
    .await;
    let timeouts = Timeouts { read: Duration::from_secs(30), total: Duration::from_mins(10), ..TIMEOUTS };
    let options = RegistryOptions { registries: named(&server), timeouts, ..RegistryOptions::default() };
    let client = HttpRegistry::new(options).unwrap();
    let error = client.blob(&app(&server), &wanted, &anonymous()).await.unwrap_err();
    assert!(error.to_string().contains("comes too slowly"), "{error}");
}

// Catalogue C24: headers without end.
#[tokio::test]
async fn headers_without_end_are_an_error() {
    for (count, length) in [(100_000, 10), (1, 4_000_000)] {
        let server = Server::start("127.0.0.1", move |_: &Seen| {
            (0..count).fold(Script::status(200), |script, n| script.with(&format!("X-{n}"), "x".repeat(length)))
        })
        .await;
        let error = client(&[&server]).resolve(&app(&server), &Target::Tag("v1".to_owned()), &anonymous()).await;
        assert!(matches!(error, Err(Error::Unavailable { .. })), "{error:?}");
    }
}

// Catalogue C24: as many headers as HTTP/1.1 may have, each of them long.
#[tokio::test]
async fn a_header_list_beyond_the_limit_is_refused() {
    let with = async |length: usize| {
        let server = Server::start("127.0.0.1", move |_: &Seen| {
            let image = Script::new(200, MANIFEST, Signed::new().image);
            (0..90).fold(image, |script, n| script.with(&format!("X-{n:04}"), "x".repeat(length)))
        })
        .await;
        client(&[&server]).resolve(&app(&server), &Target::Tag("v1".to_owned()), &anonymous()).await
    };
    let limit = u64::from(MAX_HEADER_LIST_BYTES);
    let error = with(800).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { what: "header list", limit: said, .. } if said == limit), "{error}");
    with(600).await.unwrap();
}

// CVE-2026-48978: a realm that is the registry by name only.
#[tokio::test]
async fn a_realm_on_another_port_or_scheme_is_not_the_registry() {
    let other = listener("127.0.0.1");
    let port = other.local_addr().unwrap().port();
    for realm in [format!("http://127.0.0.1:{port}/token"), format!("https://127.0.0.1:{port}/token")] {
        let server = Server::start("127.0.0.1", move |_: &Seen| {
            Script::status(401).with("WWW-Authenticate", format!(r#"Bearer realm="{realm}",service="127.0.0.1""#))
        })
        .await;
        let joe = login(&[(&server.host(), "joe", "s3cret")]);
        let client = configured(named(&server));
        let error = client.resolve(&app(&server), &Target::Tag("v1".to_owned()), &joe).await.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. } | Error::EgressRefused { .. }), "{error}");
    }
    assert!(!was_knocked_at(&other));
}

// golang-jwt and go-jose: work that grows with the dots of a token.
#[tokio::test]
async fn a_token_is_bounded_and_never_looked_into() {
    let dots = ".".repeat(33 * 1024);
    let server = Server::start("127.0.0.1", move |seen: &Seen| {
        let realm = format!("http://{}/token", seen.header("host").unwrap());
        match seen.path() {
            "/token" => Script::new(200, "application/json", json!({ "token": dots }).to_string()),
            _ => Script::status(401).with("WWW-Authenticate", format!(r#"Bearer realm="{realm}""#)),
        }
    })
    .await;
    let error = client(&[&server]).resolve(&app(&server), &Target::Tag("v1".to_owned()), &anonymous()).await;
    assert!(matches!(error, Err(Error::TooLarge { what: "token", .. })), "{error:?}");
}
