// SPDX-License-Identifier: Apache-2.0

use std::time::Duration;

use sealwatch_registry::{Error, Operation, Registry, SignatureManifest, Target};

use crate::fixture::{ENVELOPE, INDEX, MANIFEST, NOTATION, Signed, anonymous, app, client, descriptor, digest};
use crate::scripted::{Script, Seen, Server};

/// What resolving the running digest gives when the registry answers like this to everything.
async fn resolve_with(answer: Script) -> Result<sealwatch_registry::Descriptor, Error> {
    let server = Server::start("127.0.0.1", move |_: &Seen| answer.clone()).await;
    let target = Target::Digest(Signed::new().subject());
    client(&[&server]).resolve(&app(&server), &target, &anonymous()).await
}

#[tokio::test]
async fn a_digest_that_the_registry_does_not_have_is_not_found() {
    for answer in [Script::status(404), Script::error(404, "MANIFEST_UNKNOWN"), Script::error(404, "NAME_UNKNOWN")] {
        let error = resolve_with(answer).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
        assert_eq!(error.at().operation, Operation::Resolve);
        assert!(error.to_string().contains(&Signed::new().subject().to_string()), "{error}");
    }
}

#[tokio::test]
async fn every_refusal_has_its_own_error() {
    let error = resolve_with(Script::status(401)).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    let error = resolve_with(Script::status(401).with("WWW-Authenticate", "Negotiate")).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    let error = resolve_with(Script::error(403, "DENIED")).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden { .. }), "{error}");
    let error = resolve_with(Script::status(429).with("Retry-After", "7")).await.unwrap_err();
    assert_eq!((matches!(error, Error::Throttled { .. }), error.retry_after()), (true, Some(Duration::from_secs(7))));
    let error = resolve_with(Script::status(429).with("Retry-After", "99999999999")).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_hours(24)));
    let error = resolve_with(Script::status(503).with("Retry-After", "soon")).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { retry_after: None, .. }), "{error}");
    for status in [204, 206, 304, 400, 418, 500, 502, 599] {
        let error = resolve_with(Script::status(status)).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{status}: {error}");
    }
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_unavailable() {
    let server = Server::start("127.0.0.1", |_: &Seen| Script::status(200)).await;
    let (client, repository) = (client(&[&server]), app(&server));
    drop(server);
    let error = client.resolve(&repository, &Target::Tag("v1".to_owned()), &anonymous()).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("connection failed"), "{error}");
}

/// DS-11.
#[tokio::test]
async fn a_registry_that_names_another_digest_is_not_believed() {
    let signed = Signed::new();
    let other = digest(b"other").to_string();
    for (target, method) in [(Target::Digest(signed.subject()), "HEAD"), (Target::Tag("v1".to_owned()), "GET")] {
        let (signed, lie) = (signed.clone(), other.clone());
        let server = Server::start("127.0.0.1", move |_: &Seen| {
            Script::new(200, MANIFEST, signed.image.clone()).with("Docker-Content-Digest", lie.clone())
        })
        .await;
        let error = client(&[&server]).resolve(&app(&server), &target, &anonymous()).await.unwrap_err();
        assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
        let methods: Vec<_> = server.seen().into_iter().map(|seen| seen.method).collect();
        assert_eq!(methods, [method]);
    }
}

#[tokio::test]
async fn a_head_without_type_or_length_is_followed_by_a_bounded_get() {
    let signed = Signed::new();
    let expected = descriptor(MANIFEST, &signed.image);
    let incomplete = [
        Script::new(200, "application/octet-stream", signed.image.clone()),
        Script::new(200, MANIFEST, ""),
        Script::status(405),
    ];
    for head in incomplete {
        let (signed, target) = (signed.clone(), Target::Digest(signed.subject()));
        let server = Server::start(
            "127.0.0.1",
            move |seen: &Seen| {
                if seen.method == "HEAD" { head.clone() } else { signed.answer(seen) }
            },
        )
        .await;
        let found = client(&[&server]).resolve(&app(&server), &target, &anonymous()).await.unwrap();
        assert_eq!(found, expected);
        assert_eq!(server.seen().len(), 2);
    }
}

#[tokio::test]
async fn the_get_after_an_incomplete_head_is_checked_against_the_digest() {
    let server = Server::start("127.0.0.1", |seen: &Seen| match seen.method.as_str() {
        "HEAD" => Script::status(200),
        _ => Script::new(200, MANIFEST, "{}"),
    })
    .await;
    let target = Target::Digest(Signed::new().subject());
    let error = client(&[&server]).resolve(&app(&server), &target, &anonymous()).await.unwrap_err();
    assert!(matches!(&error, Error::DigestMismatch { actual, .. } if *actual == digest(b"{}")), "{error}");
}

#[tokio::test]
async fn a_head_that_declares_too_much_is_too_large() {
    let answer = Script::new(200, MANIFEST, "").with("Content-Length", "4194305");
    let error = resolve_with(answer).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: 4_194_304, .. }), "{error}");
}

/// DS-11.
#[tokio::test]
async fn a_tag_is_resolved_by_its_bytes() {
    let signed = Signed::new();
    let expected = descriptor(MANIFEST, &signed.image);
    let server = Server::start("127.0.0.1", move |seen: &Seen| {
        let mut script = signed.answer(seen);
        script.headers.retain(|(name, _)| name != "Docker-Content-Digest");
        script
    })
    .await;
    let client = client(&[&server]);
    let found = client.resolve(&app(&server), &Target::Tag("v1".to_owned()), &anonymous()).await.unwrap();
    assert_eq!(found, expected);
    let seen = server.seen();
    assert!(seen[0].header("accept").unwrap().contains("application/vnd.docker.distribution.manifest.list.v2+json"));
    assert_eq!(seen[0].header("accept-encoding"), Some("identity"));
    assert_eq!(seen[0].header("authorization"), None);
}

#[tokio::test]
async fn a_tag_that_is_no_tag_is_never_put_into_a_url() {
    let server = Server::start("127.0.0.1", |_: &Seen| Script::status(200)).await;
    for tag in ["", "../../x", "a b", "a?b", "a%2fb"] {
        let error = client(&[&server]).resolve(&app(&server), &Target::Tag(tag.to_owned()), &anonymous()).await;
        assert!(matches!(error, Err(Error::Malformed { .. })), "{tag}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_manifest_whose_type_is_in_doubt_is_malformed() {
    let signed = Signed::new();
    for (content_type, body) in [
        (INDEX, signed.image.clone()),
        ("text/html", b"{}".to_vec()),
        (MANIFEST, b"<html>".to_vec()),
        (INDEX, br#"{"manifests":[],"layers":[]}"#.to_vec()),
    ] {
        let server = Server::start("127.0.0.1", move |_: &Seen| Script::new(200, content_type, body.clone())).await;
        let target = Target::Tag("v1".to_owned());
        let error = client(&[&server]).resolve(&app(&server), &target, &anonymous()).await.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_first_verification_takes_four_requests_and_a_steady_pass_one() {
    let signed = Signed::new();
    let registry = signed.clone();
    let server = Server::start("127.0.0.1", move |seen: &Seen| registry.answer(seen)).await;
    let (client, repository) = (client(&[&server]), app(&server));
    let subject = client.resolve(&repository, &Target::Digest(signed.subject()), &anonymous()).await.unwrap();
    let found = client.referrers(&repository, &subject.digest, NOTATION, &anonymous()).await.unwrap();
    let manifest = client.manifest(&repository, &found[0], &anonymous()).await.unwrap();
    let envelope = SignatureManifest::parse(&manifest, &subject, NOTATION).unwrap().envelope;
    assert_eq!(client.blob(&repository, &envelope, &anonymous()).await.unwrap(), ENVELOPE);
    assert_eq!(server.seen().len(), 4, "{:?}", server.lines());
    client.referrers(&repository, &subject.digest, NOTATION, &anonymous()).await.unwrap();
    assert_eq!(server.seen().len(), 5, "{:?}", server.lines());
}
