// SPDX-License-Identifier: Apache-2.0
//! How long answers are kept, when they are asked for again, and who shares them.

use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::Timestamp;
use sealwatch_fixtures::key::Kind;
use sealwatch_fixtures::revocation::{GOOD, List, Ocsp, Single, leaf_with, ocsp_at, revoked};
use sealwatch_verifier::Freshness;
use sealwatch_verifier::notation::RevocationList;

use crate::scene::{Authority, HOUR, Image, UNTIL, asn1, document, list, ocsp, revocation, revoking};
use crate::scripted::{Body, Script};

#[tokio::test]
async fn what_was_never_asked_is_due_at_once_and_then_after_the_interval() {
    let authority = Authority::new().await;
    authority.tell_list("/root.crl", &list());
    let (image, revocation) = (Image::signed(&authority.listed()), revocation());
    let recalled = image.recall(&revocation);
    assert_eq!((recalled.due, recalled.is_unasked, recalled.kept), (Some(Duration::ZERO), true, None));
    image.assert_unknown(&revocation, "nobody has been asked");
    assert!(authority.asked().is_empty(), "recalling asks nobody");
    image.learn(&revocation).await;
    let recalled = image.recall(&revocation);
    assert!(recalled.due.unwrap() > HOUR / 2 && recalled.due.unwrap() <= HOUR, "{:?}", recalled.due);
    assert!(!recalled.is_unasked);
}

#[tokio::test]
async fn images_that_ask_the_same_at_once_share_one_request() {
    let authority = Authority::new().await;
    let bytes = list().issue();
    let pause = Duration::from_millis(200) / u32::try_from(bytes.len()).unwrap();
    authority.tell("/root.crl", Script::status(200).body(Body::Slow { bytes, pause }));
    let revocation = revocation();
    let images: Vec<Image> = (0..50).map(|_| Image::signed(&authority.listed())).collect();
    join_all(images.iter().map(|image| image.learn(&revocation))).await;
    assert_eq!(authority.asked(), ["GET /root.crl"]);
    // Also those who ask for a fresh look.
    let fresh = Freshness { interval: HOUR, since: Some(Instant::now()) };
    let learn = async |image: &Image| revocation.learn(&image.matter(), fresh).await;
    join_all(images.iter().map(learn)).await;
    assert_eq!(authority.asked(), ["GET /root.crl"]);
    for image in &images {
        image.assert_reason(&revocation, "SignatureValid");
    }
}

#[tokio::test]
async fn an_answer_is_asked_for_again_after_the_interval_and_not_before() {
    let authority = Authority::new().await;
    authority.tell_list("/root.crl", &list());
    let (image, revocation) = (Image::signed(&authority.listed()), revocation());
    image.learn(&revocation).await;
    image.learn(&revocation).await;
    assert_eq!(authority.asked().len(), 1);
    authority.tell_list("/root.crl", &revoking());
    image.assert_reason(&revocation, "SignatureValid");
    revocation.learn(&image.matter(), Freshness { interval: Duration::ZERO, since: None }).await;
    assert!(!authority.asked().is_empty());
    image.assert_reason(&revocation, "Revoked");
}

#[tokio::test]
async fn an_answer_that_ends_soon_is_asked_for_again_before_its_end() {
    let authority = Authority::new().await;
    authority.tell_list("/root.crl", &List { next_update: Some(asn1(120)), ..list() });
    let (image, revocation) = (Image::signed(&authority.listed()), revocation());
    image.learn(&revocation).await;
    let due = image.recall(&revocation).due.unwrap();
    assert!(due > Duration::from_mins(1) && due < Duration::from_secs(115), "{due:?}");
}

#[tokio::test]
async fn what_cannot_be_refreshed_is_kept_until_its_end_and_said() {
    let authority = Authority::new().await;
    authority.tell_list("/root.crl", &list());
    let (image, revocation) = (Image::signed(&authority.listed()), revocation());
    image.learn(&revocation).await;
    assert_eq!(image.recall(&revocation).kept, None);
    for (answer, words) in [
        (Script::status(503), "status 503"),
        (Script::new(200, "*/*", "<html>"), "malformed"),
        // Forged, for good or ill, and stale.
        (Script::new(200, "*/*", List { key: Kind::Other, ..revoking() }.issue()), "signature"),
        (Script::new(200, "*/*", List { next_update: Some("20250201000000Z"), ..list() }.issue()), "expired"),
    ] {
        authority.tell("/root.crl", answer);
        image.learn_afresh(&revocation).await;
        let verification = image.assert_reason(&revocation, "SignatureValid");
        assert!(verification.signature.unwrap().revocation_checked_at.is_some());
        let kept = image.recall(&revocation).kept.expect("it is said that it is kept");
        assert!(kept.message.contains("/root.crl could not be asked: "), "{}", kept.message);
        assert!(kept.message.contains(words), "{words}: {}", kept.message);
    }
    let after: Timestamp = "2035-01-01T00:00:01Z".parse().unwrap();
    let verification = image.judge_at(&revocation, after);
    assert_eq!(verification.reason.as_str(), "RevocationUnknown", "{}", verification.message);
    // And once it can be asked again, nothing is kept.
    authority.tell_list("/root.crl", &list());
    image.learn_afresh(&revocation).await;
    assert_eq!(image.recall(&revocation).kept, None);
}

#[tokio::test]
async fn a_kept_ocsp_answer_ends_with_its_next_update() {
    let authority = Authority::new().await;
    authority.tell_ocsp("/ocsp", &GOOD);
    let (image, revocation) = (Image::signed(&leaf_with(&[ocsp_at(&[&authority.url("/ocsp")])])), revocation());
    image.learn(&revocation).await;
    authority.tell("/ocsp", Script::status(500));
    image.learn_afresh(&revocation).await;
    image.assert_reason(&revocation, "SignatureValid");
    assert!(image.recall(&revocation).kept.is_some());
    let verification = image.judge_at(&revocation, "2035-01-01T00:00:01Z".parse().unwrap());
    assert_eq!(verification.reason.as_str(), "RevocationUnknown");
    assert!(verification.message.contains("status 500"), "{}", verification.message);
}

#[tokio::test]
async fn a_fresh_list_counts_before_a_responders_older_answer() {
    let authority = Authority::new().await;
    authority.tell_ocsp("/ocsp", &GOOD);
    authority.tell_list("/root.crl", &revoking());
    let (image, revocation) = (Image::signed(&authority.both()), revocation());
    image.learn(&revocation).await;
    image.assert_reason(&revocation, "SignatureValid");
    authority.tell("/ocsp", Script::status(500));
    image.learn_afresh(&revocation).await;
    image.assert_reason(&revocation, "Revoked");
    authority.tell_list("/root.crl", &list());
    image.learn_afresh(&revocation).await;
    image.assert_reason(&revocation, "SignatureValid");
    assert_eq!(image.recall(&revocation).kept, None, "the list is fresh, so nothing is kept");
}

#[tokio::test]
async fn whom_an_answer_revokes_is_not_made_good_by_silencing_it() {
    let authority = Authority::new().await;
    authority.tell_ocsp("/ocsp", &revoked(None));
    authority.tell_list("/root.crl", &list());
    let (image, revocation) = (Image::signed(&authority.both()), revocation());
    image.learn(&revocation).await;
    image.assert_reason(&revocation, "Revoked");
    authority.tell("/ocsp", Script::status(500));
    image.learn_afresh(&revocation).await;
    image.assert_reason(&revocation, "Revoked");
    assert!(image.recall(&revocation).kept.is_some());
}

#[tokio::test]
async fn an_older_answer_played_back_does_not_undo_a_newer_one() {
    let authority = Authority::new().await;
    let newer = Single { this_update: "20260101000000Z", next_update: Some(UNTIL), ..Single::new(&revoked(None)) };
    let newer = Ocsp { singles: vec![newer], ..Ocsp::new(&GOOD) };
    authority.tell("/ocsp", Script::new(200, "*/*", newer.issue()));
    authority.tell_list("/root.crl", &List { this_update: "20260101000000Z", ..revoking() });
    for leaf in [leaf_with(&[ocsp_at(&[&authority.url("/ocsp")])]), authority.listed()] {
        let (image, revocation) = (Image::signed(&leaf), revocation());
        image.learn(&revocation).await;
        image.assert_reason(&revocation, "Revoked");
        // Authentic and current, of a year before.
        authority.tell("/ocsp", Script::new(200, "*/*", ocsp(&GOOD).issue()));
        authority.tell_list("/root.crl", &list());
        image.learn_afresh(&revocation).await;
        image.assert_reason(&revocation, "Revoked");
        authority.tell("/ocsp", Script::new(200, "*/*", newer.issue()));
        authority.tell_list("/root.crl", &List { this_update: "20260101000000Z", ..revoking() });
    }
}

#[tokio::test]
async fn a_failure_is_remembered_for_a_minute_unless_a_fresh_look_is_asked_for() {
    let authority = Authority::new().await;
    let (image, revocation) = (Image::signed(&authority.listed()), revocation());
    image.learn(&revocation).await;
    authority.tell_list("/root.crl", &list());
    image.learn(&revocation).await;
    assert_eq!(authority.asked(), ["GET /root.crl"]);
    image.assert_unknown(&revocation, "status 404");
    let due = image.recall(&revocation).due.unwrap();
    assert!(due > Duration::from_secs(30) && due <= Duration::from_mins(1), "{due:?}");
    let before = Freshness { interval: HOUR, since: Instant::now().checked_sub(Duration::from_secs(30)) };
    revocation.learn(&image.matter(), before).await;
    assert!(authority.asked().is_empty(), "it was asked since");
    image.learn_afresh(&revocation).await;
    image.assert_reason(&revocation, "SignatureValid");
}

#[tokio::test]
async fn a_change_of_the_policy_is_judged_from_memory() {
    let authority = Authority::new().await;
    authority.tell_list("/root.crl", &revoking());
    let (mut image, revocation) = (Image::signed(&authority.listed()), revocation());
    image.learn(&revocation).await;
    authority.asked();
    image.assert_reason(&revocation, "Revoked");
    image.document = document("permissive", "", &["ca:test"]);
    image.assert_reason(&revocation, "FailuresLogged");
    image.document = document("strict", r#","override":{"revocation":"skip"}"#, &["ca:test"]);
    image.assert_reason(&revocation, "SignatureValid");
    assert!(authority.asked().is_empty());
}

#[tokio::test]
async fn a_brought_list_stands_where_nobody_can_be_asked_and_nothing_is_kept() {
    let authority = Authority::new().await;
    let (mut image, revocation) = (Image::signed(&authority.both()), revocation());
    image.learn(&revocation).await;
    image.assert_unknown(&revocation, "status 404");
    image.brought.lists.push(RevocationList::from_der(list().issue()).unwrap());
    image.assert_reason(&revocation, "SignatureValid");
    assert_eq!(image.recall(&revocation).kept, None);
    image.brought.lists.push(RevocationList::from_der(revoking().issue()).unwrap());
    image.assert_reason(&revocation, "Revoked");
}

#[tokio::test]
async fn a_slow_authority_holds_up_nobody_elses_answers() {
    let (slow, quick) = (Authority::new().await, Authority::new().await);
    quick.tell_list("/root.crl", &list());
    let revocation = revocation();
    let stuck: Vec<Image> = (0..20)
        .map(|n| {
            slow.silence(&format!("/{n}"));
            Image::signed(&leaf_with(&[sealwatch_fixtures::revocation::crl_at(&[&[&slow.url(&format!("/{n}."))]])]))
        })
        .collect();
    let image = Image::signed(&quick.listed());
    let waiting = join_all(stuck.iter().map(|image| image.learn(&revocation)));
    tokio::select! {
        _ = waiting => panic!("the slow ones answered first"),
        () = async {
            while slow.server.seen().len() < 4 {
                tokio::task::yield_now().await;
            }
            image.learn(&revocation).await;
        } => {}
    }
    image.assert_reason(&revocation, "SignatureValid");
    assert_eq!(slow.server.seen().len(), 4, "no more of one host at once");
}
