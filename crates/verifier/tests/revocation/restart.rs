// SPDX-License-Identifier: Apache-2.0
//! Answers that outlive a process: they serve where the same cannot be heard again, and until their end.

use std::fs;
use std::time::Duration;

use jiff::Timestamp;
use sealwatch_fixtures::revocation::{GOOD, List, leaf_with, ocsp_at, revoked};
use sealwatch_verifier::{EvidenceCache, Revocation};
use tempfile::TempDir;

use crate::scene::{Authority, Image, asn1, list, revocation, revoking};
use crate::scripted::Script;

const ROOM: u64 = 64 * 1024 * 1024;

fn process(folder: &TempDir) -> (Revocation, EvidenceCache) {
    let cache = EvidenceCache::open(folder.path(), ROOM);
    (revocation().with_cache(cache.clone()), cache)
}

/// What a process that has learnt what it can says of the image; it has ended then.
async fn earlier(folder: &TempDir, image: &Image, reason: &str) {
    let (revocation, cache) = process(folder);
    image.learn(&revocation).await;
    image.assert_reason(&revocation, reason);
    cache.close().await;
}

#[tokio::test]
async fn what_was_heard_before_a_restart_is_kept_where_it_cannot_be_heard_again_and_that_is_said() {
    for (leaf_asks_ocsp, status, reason) in [
        (true, GOOD.to_vec(), "SignatureValid"),
        (false, GOOD.to_vec(), "SignatureValid"),
        (true, revoked(None), "Revoked"),
        (false, revoked(None), "Revoked"),
    ] {
        let (authority, folder) = (Authority::new().await, tempfile::tempdir().unwrap());
        let is_good = reason == "SignatureValid";
        authority.tell_ocsp("/ocsp", &status);
        authority.tell_list("/root.crl", &if is_good { list() } else { revoking() });
        let image = Image::signed(&if leaf_asks_ocsp { authority.both() } else { authority.listed() });
        earlier(&folder, &image, reason).await;
        let between = Timestamp::now();
        authority.tell("/ocsp", Script::status(503));
        authority.tell("/root.crl", Script::status(503));
        authority.asked();
        let (revocation, _cache) = process(&folder);
        assert!(image.recall(&revocation).is_unasked, "nothing is believed before it was asked for again");
        image.learn(&revocation).await;
        assert!(!authority.asked().is_empty(), "it is asked for again, however young");
        let verification = image.assert_reason(&revocation, reason);
        let kept = image.recall(&revocation).kept.expect("it is said that it is kept");
        assert!(kept.fetched <= between && kept.message.contains("status 503"), "{kept:?}");
        if is_good {
            let checked_at = verification.signature.unwrap().revocation_checked_at;
            assert_eq!(checked_at, Some(kept.fetched), "it is as old as it is");
        }
        // Without the folder it is unknown.
        let without = self::revocation();
        image.learn(&without).await;
        image.assert_reason(&without, "RevocationUnknown");
    }
}

#[tokio::test]
async fn what_is_heard_after_a_restart_counts_for_more_than_what_was_heard_before() {
    let (authority, folder) = (Authority::new().await, tempfile::tempdir().unwrap());
    authority.tell_list("/root.crl", &list());
    let image = Image::signed(&authority.listed());
    earlier(&folder, &image, "SignatureValid").await;
    authority.tell_list("/root.crl", &revoking());
    earlier(&folder, &image, "Revoked").await;
    authority.tell("/root.crl", Script::status(503));
    earlier(&folder, &image, "Revoked").await;
}

#[tokio::test]
async fn an_older_list_that_is_played_back_does_not_undo_a_newer_one_on_disk() {
    let (authority, folder) = (Authority::new().await, tempfile::tempdir().unwrap());
    authority.tell_list("/root.crl", &List { this_update: "20250601000000Z", ..revoking() });
    let image = Image::signed(&authority.listed());
    earlier(&folder, &image, "Revoked").await;
    authority.tell_list("/root.crl", &list());
    earlier(&folder, &image, "Revoked").await;
    authority.tell("/root.crl", Script::status(503));
    earlier(&folder, &image, "Revoked").await;
}

#[tokio::test]
async fn an_answer_ends_with_its_next_update_on_disk_too() {
    let (authority, folder) = (Authority::new().await, tempfile::tempdir().unwrap());
    authority.tell_list("/root.crl", &List { next_update: Some(asn1(120)), ..list() });
    let image = Image::signed(&authority.listed());
    earlier(&folder, &image, "SignatureValid").await;
    authority.tell("/root.crl", Script::status(503));
    let (revocation, _cache) = process(&folder);
    image.learn(&revocation).await;
    image.assert_reason(&revocation, "SignatureValid");
    let after = Timestamp::now() + Duration::from_secs(121);
    assert_eq!(image.judge_at(&revocation, after).reason.as_str(), "RevocationUnknown");
}

#[tokio::test]
async fn an_answer_about_one_certificate_is_none_about_another() {
    let (authority, folder) = (Authority::new().await, tempfile::tempdir().unwrap());
    authority.tell_ocsp("/ocsp", &GOOD);
    let image = Image::signed(&leaf_with(&[ocsp_at(&[&authority.url("/ocsp")])]));
    earlier(&folder, &image, "SignatureValid").await;
    authority.tell("/ocsp", Script::status(503));
    let mut other = leaf_with(&[ocsp_at(&[&authority.url("/ocsp")])]);
    other.serial = vec![0x77];
    earlier(&folder, &Image::signed(&other), "RevocationUnknown").await;
}

#[tokio::test]
async fn what_answers_nothing_is_not_kept_and_what_is_damaged_is_not_believed() {
    let (authority, folder) = (Authority::new().await, tempfile::tempdir().unwrap());
    let answers = || fs::read_dir(folder.path().join("v1/answers")).unwrap().map(|entry| entry.unwrap().path());
    authority
        .tell("/root.crl", Script::new(200, "*/*", List { next_update: Some("20250201000000Z"), ..list() }.issue()));
    let image = Image::signed(&authority.listed());
    earlier(&folder, &image, "RevocationUnknown").await;
    assert_eq!(answers().count(), 0);
    authority.tell_list("/root.crl", &list());
    earlier(&folder, &image, "SignatureValid").await;
    let path = answers().next().unwrap();
    let whole = fs::read(&path).unwrap();
    authority.tell("/root.crl", Script::status(503));
    for place in (0..whole.len()).step_by(7) {
        let mut flipped = whole.clone();
        flipped[place] ^= 1 << (place % 8);
        for damaged in [&flipped[..], &whole[..place]] {
            fs::write(&path, damaged).unwrap();
            let (revocation, cache) = process(&folder);
            image.learn(&revocation).await;
            image.assert_reason(&revocation, "RevocationUnknown");
            cache.close().await;
        }
    }
    fs::write(&path, &whole).unwrap();
    earlier(&folder, &image, "SignatureValid").await;
}
