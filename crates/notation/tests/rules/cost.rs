// SPDX-License-Identifier: Apache-2.0
//! Hostile input costs what its size allows, and no more. Each was found by making inputs that cost as much as they can
//! (`sealwatch_fixtures::worst`), before the fuzzers ran; these have found nothing more.

use sealwatch_fixtures::worst::counter_signatures;
use sealwatch_notation::{
    Certificate, DistinguishedName, Envelope, EnvelopeError, MEDIA_TYPE_COSE, MEDIA_TYPE_JWS, Reason, RevocationList,
    TrustPolicyDocument,
};

use crate::support::cose::Cose;
use crate::support::der::{sequence, tlv};
use crate::support::jws::Jws;
use crate::support::pki::{Signer, Template};
use crate::support::revocation::{GOOD, List, OCSP_URL, Ocsp, answers, issuing_point, leaf_with, ocsp_at};
use crate::support::{NOW, judged_with, stores, trusting};

fn refusal(media_type: &str, bytes: &[u8]) -> String {
    Envelope::parse(media_type, bytes).expect_err("refused").to_string()
}

/// The library that reads COSE goes down a level of its stack for each one; an envelope of some kilobytes ended the
/// process.
#[test]
fn counter_signatures_in_counter_signatures_do_not_end_the_stack() {
    for size in [10, 20_000, 1_000_000] {
        let mut cose = Cose::new(&Signer::new());
        cose.protected_bytes = Some(counter_signatures(size));
        let protected = refusal(MEDIA_TYPE_COSE, &cose.sign());
        assert!(protected.contains("has a counter signature"), "{protected}");
        let mut cose = Cose::new(&Signer::new());
        let inner = coset::cbor::Value::Bytes(counter_signatures(size));
        let empty = coset::cbor::Value::Map(Vec::new());
        cose.set_unprotected(7, coset::cbor::Value::Array(vec![inner, empty, vec![0_u8].into()]));
        let unprotected = refusal(MEDIA_TYPE_COSE, &cose.sign());
        assert!(unprotected.contains("has a counter signature"), "{unprotected}");
    }
}

/// The protected header is bytes inside of the envelope: it was read before it was counted.
#[test]
fn a_protected_header_of_many_items_is_refused_before_it_is_read() {
    let mut cose = Cose::new(&Signer::new());
    cose.set("x", coset::cbor::Value::Array(vec![1.into(); 5000]));
    assert!(refusal(MEDIA_TYPE_COSE, &cose.sign()).contains("has too many items"));
    cose.set("x", coset::cbor::Value::Array(vec![1.into(); 4000]));
    assert!(Envelope::parse(MEDIA_TYPE_COSE, &cose.sign()).is_ok());
}

/// Small objects take a hundred times the memory of their text.
#[test]
fn headers_and_payloads_of_thousands_of_json_values_are_refused() {
    let with = |count: usize| vec![serde_json::json!({"": 1}); count];
    let mut jws = Jws::new(&Signer::new());
    jws.set("x", with(1100));
    assert!(refusal(MEDIA_TYPE_JWS, &jws.sign()).contains("more than 2048 values"));
    jws.set("x", with(1000));
    assert!(Envelope::parse(MEDIA_TYPE_JWS, &jws.sign()).is_ok());

    let mut jws = Jws::new(&Signer::new());
    let mut payload: serde_json::Value = serde_json::from_slice(&jws.payload).expect("JSON");
    payload["x"] = with(1100).into();
    jws.payload = payload.to_string().into_bytes();
    let error = Envelope::parse(MEDIA_TYPE_JWS, &jws.sign()).expect_err("refused");
    assert!(matches!(error, EnvelopeError::Malformed { .. }), "{error:?}");
    assert!(error.to_string().contains("more than 2048 values"), "{error}");
}

/// Each arc was written into a new copy of all that were there before: a megabyte took a minute, and four times as long
/// takes sixteen.
#[test]
fn an_object_identifier_as_long_as_a_revocation_list_is_read_once() {
    let arcs = |count: usize| tlv(0x06, &[vec![0x55], vec![0x01; count]].concat());
    let list = List::new().with_extension(sequence(&[&arcs(1_000_000), &tlv(0x04, b"")])).issue();
    assert!(RevocationList::from_der(list).is_ok());
    let certificate = Template::leaf().with_extension(sequence(&[&arcs(60_000), &tlv(0x04, b"")])).issue();
    assert!(Certificate::from_der(&certificate).is_ok());
}

/// The spaces in front of the first attribute were counted again for each attribute.
#[test]
fn spaces_before_many_attributes_are_read_once() {
    let attributes: Vec<String> = (0..30_000).map(|number| format!("A{number}=b")).collect();
    let name = format!("{}C=a,ST=b,O=c,{}", " ".repeat(300_000), attributes.join(","));
    assert!(DistinguishedName::parse(&name).is_ok());
}

/// An empty statement takes fifty times the memory of its text.
#[test]
fn more_statements_than_a_policy_may_have_are_not_kept() {
    let policy = format!(r#"{{"version":"1.0","trustPolicies":[{}]}}"#, vec!["{}"; 300_000].join(","));
    let error = TrustPolicyDocument::from_json(policy.as_bytes()).expect_err("refused");
    assert_eq!(error.to_string(), "trustPolicies has too many entries; at most 1000 are allowed");
}

/// A delta must have the very names of its list, so of a list none may be left out.
#[test]
fn a_revocation_list_of_more_names_than_are_kept_is_refused() {
    let list = |count: usize| {
        let names = tlv(0xa0, &tlv(0xa0, &[0x86, 0x00].repeat(count)));
        RevocationList::from_der(List::new().with_extension(issuing_point(&[&names])).issue())
    };
    assert!(list(64).is_ok());
    assert!(list(65).expect_err("refused").to_string().contains("issuingDistributionPoint"));
}

/// A certificate may name thousands of responders, each time the same, and so had one answer read as often.
#[test]
fn no_more_responders_are_looked_at_than_are_asked() {
    let urls = ["http://a.example/", "http://b.example/", "http://c.example/", "http://d.example/", OCSP_URL];
    let judged = |names: &[&str]| {
        let signer = Signer::with_leaf(&leaf_with(&[ocsp_at(names)]));
        let envelope = Envelope::parse(MEDIA_TYPE_COSE, &Cose::new(&signer).sign()).expect("good");
        let heard = answers(&signer, &[(OCSP_URL, Ocsp::new(&GOOD).issue())], &[]);
        judged_with(&envelope, &trusting("strict"), &stores(&[("ca:test", signer.root())]), &heard, NOW).reason()
    };
    assert_eq!(judged(&urls), Reason::RevocationUnknown);
    assert_eq!(judged(&urls[1..]), Reason::SignatureValid);
    // What cannot be asked at all takes no place.
    assert_eq!(judged(&[&["ftp://x.example/"; 9], &urls[1..]].concat()), Reason::SignatureValid);
}
