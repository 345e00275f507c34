// SPDX-License-Identifier: Apache-2.0
//! Whom is asked, how, and what follows from the answer.

use sealwatch_fixtures::der::oid;
use sealwatch_fixtures::jws::Jws;
use sealwatch_fixtures::key::Kind;
use sealwatch_fixtures::pki::{Signer, Template};
use sealwatch_fixtures::revocation::{
    GOOD, List, OCSP_SIGNING, UNKNOWN, crl_at, crl_number, delta_of, entry, freshest_at, leaf_with, ocsp_at, responder,
    revoked,
};
use sealwatch_fixtures::tsa::{self, Token, stamped_jws};
use sealwatch_registry::RegistryOptions;
use sealwatch_verifier::notation::RevocationMethod;

use crate::scene::{Authority, Image, asking, document, list, ocsp, revocation, revoking};
use crate::scripted::{Body, Script};

#[tokio::test]
async fn a_responder_that_knows_is_enough_and_no_list_is_fetched() {
    let authority = Authority::new().await;
    authority.tell_ocsp("/ocsp", &GOOD);
    let (image, revocation) = (Image::signed(&authority.both()), revocation());
    image.learn(&revocation).await;
    assert_eq!(authority.asked(), ["GET /ocsp/…"]);
    let signature = image.assert_reason(&revocation, "SignatureValid").signature.unwrap();
    assert_eq!(signature.revocation.unwrap().method, RevocationMethod::Ocsp);
    assert!(signature.revocation_checked_at.is_some());
    assert_eq!(revocation.requests().into_iter().collect::<Vec<_>>(), [(("OCSP", "Succeeded"), 1)]);
}

#[tokio::test]
async fn a_question_that_does_not_fit_into_a_url_is_posted() {
    let authority = Authority::new().await;
    let path = format!("/ocsp{}", "x".repeat(200));
    authority.tell_ocsp("/ocsp", &GOOD);
    let (image, revocation) = (Image::signed(&leaf_with(&[ocsp_at(&[&authority.url(&path)])])), revocation());
    image.learn(&revocation).await;
    assert_eq!(authority.asked(), [format!("POST {path}")]);
    image.assert_reason(&revocation, "SignatureValid");
}

#[tokio::test]
async fn whatever_keeps_the_responder_from_answering_the_list_decides() {
    let authority = Authority::new().await;
    let elsewhere = authority.url("/elsewhere");
    let cases = [
        (Script::status(404), "status 404"),
        (Script::status(301).with("Location", elsewhere), "redirects are not followed"),
        (Script::new(200, "application/ocsp-response", vec![0x30; 20_481]), "larger than 20480 bytes"),
        (Script::new(200, "text/html", "<html>"), "malformed OCSPResponse"),
        (Script::new(200, "application/ocsp-response", [0x30, 3, 0x0a, 1, 6]), "responseStatus is unauthorized"),
        (Script::new(200, "application/ocsp-response", ocsp(&UNKNOWN).issue()), "does not know the certificate"),
        (Script::status(200).body(Body::Lying { declared: 9, bytes: b"half".to_vec() }), "broke off"),
    ];
    for (answer, words) in cases {
        authority.tell("/ocsp", answer);
        authority.tell("/root.crl", Script::status(404));
        let (image, revocation) = (Image::signed(&authority.both()), revocation());
        image.learn(&revocation).await;
        assert_eq!(authority.asked(), ["GET /ocsp/…", "GET /root.crl"], "{words}");
        image.assert_unknown(&revocation, words);
        authority.tell_list("/root.crl", &list());
        image.learn_afresh(&revocation).await;
        let signature = image.assert_reason(&revocation, "SignatureValid").signature.unwrap();
        assert_eq!(signature.revocation.unwrap().method, RevocationMethod::Crl, "{words}");
        authority.tell_list("/root.crl", &revoking());
        image.learn_afresh(&revocation).await;
        image.assert_reason(&revocation, "Revoked");
        authority.asked();
    }
}

#[tokio::test]
async fn a_silent_responder_is_given_up_and_the_list_decides() {
    let authority = Authority::new().await;
    authority.silence("/ocsp");
    authority.tell_list("/root.crl", &list());
    let (image, revocation) = (Image::signed(&authority.both()), revocation());
    image.learn(&revocation).await;
    image.assert_reason(&revocation, "SignatureValid");
    assert_eq!(revocation.requests().get(&("OCSP", "TimedOut")), Some(&1));
}

#[tokio::test]
async fn whatever_keeps_the_only_list_away_leaves_the_question_open() {
    let authority = Authority::new().await;
    for (answer, words) in [
        (Script::status(404), "status 404"),
        (Script::status(302).with("Location", authority.url("/good.crl")), "redirects are not followed"),
        (Script::status(200).body(Body::Lying { declared: 1 << 40, bytes: vec![] }), "larger than 33554432 bytes"),
        (Script::new(200, "text/html", "<html>"), "malformed revocation list"),
        (Script::new(200, "*/*", List { key: Kind::Other, ..list() }.issue()), "signature of the revocation list"),
        (Script::new(200, "*/*", List { next_update: Some("20251201000000Z"), ..list() }.issue()), "expired at"),
    ] {
        authority.tell("/root.crl", answer);
        authority.tell_list("/good.crl", &list());
        let (image, revocation) = (Image::signed(&authority.listed()), revocation());
        image.learn(&revocation).await;
        assert_eq!(authority.asked(), ["GET /root.crl"], "{words}");
        image.assert_unknown(&revocation, words);
    }
}

#[tokio::test]
async fn a_revoked_certificate_fails_by_either_method() {
    let authority = Authority::new().await;
    authority.tell_ocsp("/ocsp", &revoked(None));
    authority.tell_list("/root.crl", &revoking());
    for (leaf, asked) in [(authority.both(), "GET /ocsp/…"), (authority.listed(), "GET /root.crl")] {
        let (image, revocation) = (Image::signed(&leaf), revocation());
        image.learn(&revocation).await;
        image.assert_reason(&revocation, "Revoked");
        assert_eq!(authority.asked(), [asked]);
    }
}

#[tokio::test]
async fn a_delta_is_fetched_where_the_list_says_and_its_entries_count() {
    let authority = Authority::new().await;
    authority.tell_list("/root.crl", &list().with_extension(freshest_at(&[&authority.url("/delta.crl")])));
    let delta = List { extensions: vec![crl_number(&[6]), delta_of(&[5])], ..list() };
    let (image, revocation) = (Image::signed(&authority.listed()), revocation());
    image.learn(&revocation).await;
    assert_eq!(authority.asked(), ["GET /root.crl", "GET /delta.crl"]);
    image.assert_unknown(&revocation, "no delta of the revocation list can be used");
    authority.tell_list("/delta.crl", &delta);
    image.learn_afresh(&revocation).await;
    image.assert_reason(&revocation, "SignatureValid");
    authority.tell_list("/delta.crl", &List { entries: vec![entry(&[0x01], "260601000000Z", &[])], ..delta });
    image.learn_afresh(&revocation).await;
    image.assert_reason(&revocation, "Revoked");
}

#[tokio::test]
async fn the_list_that_vouches_for_a_delegated_responder_is_fetched_too() {
    let authority = Authority::new().await;
    let mut delegate = responder();
    delegate.extensions.remove(2); // ocsp-nocheck
    let delegate = delegate.with_extension(crl_at(&[&[&authority.url("/responders.crl")]]));
    let answer = sealwatch_fixtures::revocation::Ocsp {
        singles: ocsp(&GOOD).singles,
        ..sealwatch_fixtures::revocation::Ocsp::by(&delegate, &GOOD)
    };
    assert!(delegate.extensions.iter().any(|extension| extension.ends_with(&oid(OCSP_SIGNING))));
    authority.tell("/ocsp", Script::new(200, "application/ocsp-response", answer.issue()));
    authority.tell_list("/responders.crl", &list());
    let (image, revocation) = (Image::signed(&leaf_with(&[ocsp_at(&[&authority.url("/ocsp")])])), revocation());
    image.learn(&revocation).await;
    assert_eq!(authority.asked(), ["GET /ocsp/…", "GET /responders.crl"]);
    image.assert_reason(&revocation, "SignatureValid");
}

#[tokio::test]
async fn other_schemes_than_http_are_not_asked() {
    let authority = Authority::new().await;
    for scheme in ["https", "ldap", "ftp"] {
        let url = authority.url("/root.crl").replacen("http", scheme, 1);
        let (image, revocation) = (Image::signed(&leaf_with(&[crl_at(&[&[&url]])])), revocation());
        image.learn(&revocation).await;
        image.assert_unknown(&revocation, "is not an http URL that may be asked");
        assert_eq!(image.recall(&revocation).due, None);
    }
    assert!(authority.asked().is_empty());
}

#[tokio::test]
async fn loopback_is_not_asked_unless_it_is_allowed_and_the_setting_is_named() {
    let authority = Authority::new().await;
    authority.tell_list("/root.crl", &list());
    let (image, revocation) = (Image::signed(&authority.listed()), asking(&RegistryOptions::default()));
    image.learn(&revocation).await;
    image.assert_unknown(&revocation, "refused: name host:port in the file given by --registries, or allow its range");
    assert!(authority.asked().is_empty());
    assert_eq!(revocation.requests().get(&("CRL", "EgressRefused")), Some(&1));
}

#[tokio::test]
async fn nobody_is_asked_about_a_chain_that_ends_in_no_trust_store() {
    let authority = Authority::new().await;
    let other = Template { issuer_key: Kind::Other, key: Kind::Other, ..Template::root() }.issue();
    for level in ["strict", "permissive", "audit"] {
        let signer = Signer::with_leaf(&authority.both());
        let mut image = Image::of(&[Jws::new(&signer).sign()], &[("ca:test", &other)]);
        image.document = document(level, "", &["ca:test"]);
        let revocation = revocation();
        image.learn(&revocation).await;
        assert_eq!(image.recall(&revocation).due, None, "{level}");
    }
    assert!(authority.asked().is_empty());
}

#[tokio::test]
async fn nobody_is_asked_about_what_fails_whatever_the_answer_is() {
    let authority = Authority::new().await;
    let signer = Signer::with_leaf(&authority.both());
    let expired = Jws::new(&signer).expiring("2026-01-01T00:00:00Z");
    let image = Image::of(&[expired.sign()], &[("ca:test", signer.root())]);
    let revocation = revocation();
    image.learn(&revocation).await;
    assert!(authority.asked().is_empty());
    assert_eq!(image.judge(&revocation).verdict.to_string(), "Failed");
}

#[tokio::test]
async fn a_skipped_check_asks_nothing_about_the_signer() {
    let authority = Authority::new().await;
    let mut image = Image::signed(&authority.both());
    image.document = document("strict", r#","override":{"revocation":"skip"}"#, &["ca:test"]);
    let revocation = revocation();
    image.learn(&revocation).await;
    assert!(authority.asked().is_empty());
    image.assert_reason(&revocation, "SignatureValid");
}

/// AT-14.
#[tokio::test]
async fn the_timestamp_authority_is_asked_about_whatever_the_override() {
    let authority = Authority::new().await;
    let signer = Signer::new();
    let stamper = tsa::authority().with_extension(crl_at(&[&[&authority.url("/tsa.crl")]]));
    let envelope = stamped_jws(&Jws::new(&signer), |signature| Token::by(&stamper, signature).issue());
    let root = tsa::root();
    let mut image = Image::of(&[envelope], &[("ca:test", signer.root()), ("tsa:test", &root.issue())]);
    image.document = document("strict", r#","override":{"revocation":"skip"}"#, &["ca:test", "tsa:test"]);
    let revocation = revocation();
    image.learn(&revocation).await;
    assert_eq!(authority.asked(), ["GET /tsa.crl"]);
    image.assert_unknown(&revocation, "status 404");
    let of_tsa = |entries| List { issuer: root.subject.clone(), key: Kind::Other, entries, ..list() };
    authority.tell_list("/tsa.crl", &of_tsa(Vec::new()));
    image.learn_afresh(&revocation).await;
    image.assert_reason(&revocation, "SignatureValid");
    authority.tell_list("/tsa.crl", &of_tsa(vec![entry(&[0x03], "260601000000Z", &[])]));
    image.learn_afresh(&revocation).await;
    image.assert_reason(&revocation, "Revoked");
}

#[tokio::test]
async fn a_chain_without_endpoints_is_told_from_one_whose_status_is_known() {
    let authority = Authority::new().await;
    let (image, revocation) = (Image::signed(&Template::leaf()), revocation());
    image.learn(&revocation).await;
    let verification = image.assert_reason(&revocation, "SignatureValid");
    assert_eq!(verification.checks[4].message, "no certificate names a revocation endpoint: nothing to check");
    let signature = verification.signature.unwrap();
    assert_eq!(signature.revocation.unwrap().method, RevocationMethod::None);
    assert_eq!(signature.revocation_checked_at, None);
    assert_eq!(image.recall(&revocation).due, None);
    assert!(authority.asked().is_empty());
}

#[tokio::test]
async fn of_several_signatures_no_more_are_asked_about_than_needed() {
    let authority = Authority::new().await;
    authority.tell_list("/first.crl", &list());
    authority.tell_list("/second.crl", &list());
    let leaf = |path: &str| Signer::with_leaf(&leaf_with(&[crl_at(&[&[&authority.url(path)]])]));
    let (first, second) = (leaf("/first.crl"), leaf("/second.crl"));
    let envelopes = [Jws::new(&first).sign(), Jws::new(&second).sign()];
    let image = Image::of(&envelopes, &[("ca:test", first.root())]);
    let seen = revocation();
    image.learn(&seen).await;
    assert_eq!(authority.asked(), ["GET /first.crl"]);
    image.assert_reason(&seen, "SignatureValid");
    authority.tell_list("/first.crl", &revoking());
    image.learn_afresh(&seen).await;
    assert_eq!(authority.asked(), ["GET /first.crl", "GET /second.crl"]);
    image.assert_reason(&seen, "SignatureValid");
    // However many there are, there is an end to it.
    let many: Vec<Vec<u8>> = (0..40).map(|n| Jws::new(&leaf(&format!("/none-{n}.crl"))).sign()).collect();
    let image = Image::of(&many, &[("ca:test", first.root())]);
    image.learn(&seen).await;
    assert_eq!(authority.asked().len(), 8);
    assert!(!image.recall(&seen).is_unasked, "what is never asked is not waited for");
}
