// SPDX-License-Identifier: Apache-2.0

use std::time::{Duration, Instant};

use bytes::Bytes;
use sealwatch_registry::limits::{MAX_BLOB_BYTES, MAX_MANIFEST_BYTES};
use sealwatch_registry::{Descriptor, Error, Registry, Target};

use crate::fixture::{MANIFEST, Signed, anonymous, app, client, descriptor};
use crate::scripted::{Body, Script, Seen, Server};

async fn blob_with(answer: Script, wanted: &Descriptor) -> Result<Bytes, Error> {
    let server = Server::start("127.0.0.1", move |_: &Seen| answer.clone()).await;
    client(&[&server]).blob(&app(&server), wanted, &anonymous()).await
}

fn script(body: Body) -> Script {
    Script::status(200).body(body)
}

/// DS-8.
#[tokio::test]
async fn a_declared_size_beyond_the_limit_is_refused_before_anything_is_asked() {
    let server = Server::start("127.0.0.1", |_: &Seen| Script::status(200)).await;
    let (client, repository) = (client(&[&server]), app(&server));
    let manifest = Descriptor { size: MAX_MANIFEST_BYTES + 1, ..descriptor(MANIFEST, b"{}") };
    let error = client.manifest(&repository, &manifest, &anonymous()).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: MAX_MANIFEST_BYTES, .. }), "{error}");
    let blob = Descriptor { size: MAX_BLOB_BYTES + 1, ..descriptor("application/cose", b"{}") };
    let error = client.blob(&repository, &blob, &anonymous()).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: MAX_BLOB_BYTES, .. }), "{error}");
    assert!(server.seen().is_empty());
}

/// DS-8.
#[tokio::test]
async fn a_body_longer_than_its_descriptor_is_cut() {
    let wanted = descriptor("application/cose", b"signature");
    for body in [
        Body::Whole(b"signature!".to_vec()),
        Body::Chunked { chunk: b"signature".to_vec(), times: 2 },
        Body::Lying { declared: 1 << 40, bytes: b"signature".to_vec() },
    ] {
        let error = blob_with(script(body), &wanted).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: 9, .. }), "{error}");
    }
}

#[tokio::test]
async fn an_endless_manifest_is_cut_at_the_limit() {
    let endless =
        script(Body::Chunked { chunk: vec![b' '; 64 * 1024], times: usize::MAX }).with("Content-Type", MANIFEST);
    let server = Server::start("127.0.0.1", move |_: &Seen| endless.clone()).await;
    let target = Target::Tag("v1".to_owned());
    let error = client(&[&server]).resolve(&app(&server), &target, &anonymous()).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: MAX_MANIFEST_BYTES, .. }), "{error}");
}

#[tokio::test]
async fn a_body_shorter_than_it_says_is_an_error_and_no_hang() {
    let wanted = descriptor("application/cose", b"signature");
    let error = blob_with(script(Body::Lying { declared: 9, bytes: b"sig".to_vec() }), &wanted).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    let error =
        blob_with(script(Body::Lying { declared: 3, bytes: b"signature".to_vec() }), &wanted).await.unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
}

/// DS-8, DS-11.
#[tokio::test]
async fn other_bytes_are_no_evidence() {
    let wanted = descriptor("application/cose", b"signature");
    let error = blob_with(script(Body::Whole(b"signaturE".to_vec())), &wanted).await.unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
    let longer = Descriptor { size: 10, ..wanted };
    let error = blob_with(script(Body::Whole(b"signature".to_vec())), &longer).await.unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
}

#[tokio::test]
async fn a_compressed_body_is_refused_unread() {
    let wanted = descriptor("application/cose", b"signature");
    for encoding in ["gzip", "br", "zstd", "identity, gzip"] {
        let answer = script(Body::Whole(b"signature".to_vec())).with("Content-Encoding", encoding);
        let error = blob_with(answer, &wanted).await.unwrap_err();
        assert!(error.to_string().contains("Content-Encoding"), "{encoding}: {error}");
    }
    let answer = script(Body::Whole(b"signature".to_vec())).with("Content-Encoding", "identity");
    assert_eq!(blob_with(answer, &wanted).await.unwrap(), &b"signature"[..]);
}

/// LV-5.
#[tokio::test]
async fn slow_and_silent_registries_reach_the_time_limit() {
    let wanted = descriptor("application/cose", b"signature");
    for body in [
        // Each pause is within the limit between two reads; the whole is not within the total.
        Body::Slow { bytes: b"signature".to_vec(), pause: Duration::from_millis(600) },
        Body::Slow { bytes: b"signature".to_vec(), pause: Duration::from_secs(20) },
        Body::Silence(Duration::from_secs(20)),
        Body::Stalling { chunk: b"sign", times: 1 },
    ] {
        let start = Instant::now();
        let error = blob_with(script(body), &wanted).await.unwrap_err();
        assert!(error.to_string().contains("time limit reached"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_hostile_error_body_changes_nothing() {
    for body in [
        Body::Chunked { chunk: vec![b'['; 64 * 1024], times: usize::MAX },
        Body::Lying { declared: 1 << 40, bytes: vec![b'{'] },
        Body::Whole(br#"{"errors":[{"code":"s3cret \u001b[31m","message":"s3cret"}]}"#.to_vec()),
    ] {
        let server = Server::start("127.0.0.1", move |_: &Seen| Script::status(403).body(body.clone())).await;
        let target = Target::Tag("v1".to_owned());
        let error = client(&[&server]).resolve(&app(&server), &target, &anonymous()).await.unwrap_err();
        assert!(matches!(error, Error::Forbidden { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    }
}

#[tokio::test]
async fn a_manifest_is_fetched_by_its_digest() {
    let signed = Signed::new();
    let registry = signed.clone();
    let server = Server::start("127.0.0.1", move |seen: &Seen| registry.answer(seen)).await;
    let wanted = descriptor(MANIFEST, &signed.signature);
    let bytes = client(&[&server]).manifest(&app(&server), &wanted, &anonymous()).await.unwrap();
    assert_eq!(bytes, signed.signature);
    assert_eq!(server.lines(), [format!("GET /v2/app/manifests/{}", wanted.digest)]);
}
