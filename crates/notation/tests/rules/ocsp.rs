// SPDX-License-Identifier: Apache-2.0
//! RV-8 to RV-14: OCSP.

use sealwatch_notation::{MAX_OCSP_RESPONSE_BYTES, Outcome, Reason, RevocationAnswers, RevocationMethod, Verdict};

use crate::judge::parse;
use crate::support::der::{bit_string, oid, sequence, simple_name, tlv};
use crate::support::jws::Jws;
use crate::support::key::Kind;
use crate::support::pki::{KEY_ENCIPHERMENT, Signer, Template, eku, extension, key_usage};
use crate::support::revocation::{
    CRL_URL, GOOD, List, NO_CHECK, OCSP_SIGNING, OCSP_URL, Ocsp, Single, UNKNOWN, answers, by_key, by_name,
    certificate, crl_at, entry, invalid_since, leaf_with, ocsp_at, responder, revoked,
};
use crate::support::{NOW, judged_with, policy, stores, time, trusting};

const SECOND: &str = "http://second.example/ocsp";

/// Judges a signature of this leaf below the root, with these responses and lists.
fn judged_by(leaf: &Template, ocsp: &[(&str, Vec<u8>)], lists: &[(&str, &List)], now: &str) -> Outcome {
    let signer = Signer::with_leaf(leaf);
    let trust = stores(&[("ca:test", signer.root())]);
    let answers = answers(&signer, ocsp, lists);
    judged_with(&parse(&Jws::new(&signer)), &trusting("strict"), &trust, &answers, now)
}

fn leaf() -> Template {
    leaf_with(&[ocsp_at(&[OCSP_URL])])
}

fn by_bytes(response: Vec<u8>) -> Outcome {
    judged_by(&leaf(), &[(OCSP_URL, response)], &[], NOW)
}

fn by_ocsp(response: &Ocsp) -> Outcome {
    by_bytes(response.issue())
}

/// A response with this one answer.
fn with(single: Single) -> Ocsp {
    Ocsp { singles: vec![single], ..Ocsp::new(&GOOD) }
}

#[track_caller]
fn assert_unknown(outcome: &Outcome, words: &str) {
    let found = (outcome.verdict(), outcome.reason());
    assert_eq!(found, (Verdict::Unknown, Reason::RevocationUnknown), "{words}: {}", outcome.message());
    assert!(outcome.message().contains(words), "{words}: {}", outcome.message());
    assert_eq!(outcome.revocation(), None);
}

#[track_caller]
fn assert_revoked(outcome: &Outcome) {
    assert_eq!((outcome.verdict(), outcome.reason()), (Verdict::Failed, Reason::Revoked), "{}", outcome.message());
}

#[track_caller]
fn assert_good(outcome: &Outcome) {
    let found = (outcome.verdict(), outcome.reason());
    assert_eq!(found, (Verdict::Verified, Reason::SignatureValid), "{}", outcome.message());
    assert_eq!(outcome.revocation().expect("evidence").method, RevocationMethod::Ocsp);
}

/// RV-12.
#[test]
fn a_good_answer_of_the_issuer_is_good_until_its_next_update() {
    for responder in [by_key(Kind::Root), by_name(&Template::root().subject)] {
        let outcome = by_ocsp(&Ocsp { responder, ..Ocsp::new(&GOOD) });
        assert_good(&outcome);
        assert_eq!(outcome.revocation().expect("evidence").next_update, Some(time("2026-11-27T00:00:00Z")));
        assert_eq!(outcome.next_change(), Some(time("2026-11-27T00:00:00.000000001Z")));
    }
    assert_good(&by_ocsp(&Ocsp { version: tlv(0xa0, &[0x02, 0x01, 0x00]), ..Ocsp::new(&GOOD) }));
}

/// RV-12.
#[test]
fn a_revoked_answer_revokes_whatever_the_reason() {
    for code in [None, Some(0), Some(6), Some(8), Some(99)] {
        assert_revoked(&by_ocsp(&Ocsp::new(&revoked(code))));
    }
}

/// RV-8: https is not asked, and no answer from there counts.
#[test]
fn only_http_responders_are_believed_to_have_been_asked() {
    assert_unknown(&judged_by(&leaf(), &[], &[], NOW), "nobody has been asked: there is no answer from http://ocsp");
    for url in ["https://ocsp.example/", "ldap://ocsp.example/", "//ocsp.example", "http://a b/", ""] {
        let leaf = leaf_with(&[ocsp_at(&[url])]);
        let outcome = judged_by(&leaf, &[(url, Ocsp::new(&GOOD).issue())], &[], NOW);
        assert_unknown(&outcome, "is not an http URL that may be asked");
    }
    let signer = Signer::with_leaf(&leaf());
    let mut answers = RevocationAnswers::default();
    answers.insert_ocsp(OCSP_URL, &certificate(&signer), Err("timed out after 2 s".to_owned()));
    let trust = stores(&[("ca:test", signer.root())]);
    let outcome = judged_with(&parse(&Jws::new(&signer)), &trusting("strict"), &trust, &answers, NOW);
    assert_unknown(&outcome, "could not be asked: timed out after 2 s");
}

/// RV-10.
#[test]
fn a_response_of_more_than_20480_bytes_is_not_read() {
    let large = |padding: usize| {
        let single = Single { extensions: vec![extension("1.2.3", false, &vec![0; padding])], ..Single::new(&GOOD) };
        with(single).issue()
    };
    let overhead = large(15_000).len() - 15_000;
    // An ECDSA signature is some bytes shorter or longer each time.
    let fits = large(MAX_OCSP_RESPONSE_BYTES - overhead - 8);
    assert!(fits.len() <= MAX_OCSP_RESPONSE_BYTES && fits.len() + 16 > MAX_OCSP_RESPONSE_BYTES, "{}", fits.len());
    assert_good(&by_bytes(fits));
    assert_unknown(&by_bytes(large(MAX_OCSP_RESPONSE_BYTES)), "at most 20480 are allowed");
}

/// RV-10.
#[test]
fn an_error_response_says_nothing() {
    for (status, name) in [
        (1, "malformedRequest"),
        (2, "internalError"),
        (3, "tryLater"),
        (4, "not a known one"),
        (5, "sigRequired"),
        (6, "unauthorized"),
    ] {
        assert_unknown(&by_ocsp(&Ocsp { status, ..Ocsp::new(&GOOD) }), name);
    }
    assert_unknown(&by_ocsp(&Ocsp { kind: "1.3.6.1.5.5.7.48.1.2", ..Ocsp::new(&GOOD) }), "id-pkix-ocsp-basic");
    assert_unknown(&by_bytes(b"<html>not here</html>".to_vec()), "malformed OCSPResponse");
    assert_unknown(&by_bytes(Vec::new()), "malformed OCSPResponse");
    assert_unknown(&by_bytes([Ocsp::new(&GOOD).issue(), vec![0]].concat()), "malformed OCSPResponse");
    assert_unknown(&by_ocsp(&Ocsp { version: tlv(0xa0, &[0x02, 0x01, 0x01]), ..Ocsp::new(&GOOD) }), "version");
    for status in [vec![0x80, 0x01, 0x00], vec![0x83, 0x00], vec![0xa1, 0x00], vec![0xa0, 0x00]] {
        assert_unknown(&by_ocsp(&Ocsp::new(&status)), "malformed");
    }
}

/// RV-11.
#[test]
fn an_answer_counts_until_its_next_update_and_not_from_the_future() {
    let at = |now: &str| judged_by(&leaf(), &[(OCSP_URL, Ocsp::new(&GOOD).issue())], &[], now);
    assert_good(&at("2026-11-27T00:00:00Z"));
    assert_unknown(&at("2026-11-27T00:00:01Z"), "the OCSP response expired at 2026-11-27T00:00:00Z");
    assert_good(&at("2026-11-19T23:55:00Z"));
    // Stricter than notation-go, which does not look at thisUpdate.
    assert_unknown(&at("2026-11-19T23:54:59Z"), "is from the future");
    for status in [GOOD.to_vec(), revoked(None)] {
        let endless = with(Single { next_update: None, ..Single::new(&status) });
        assert_unknown(&by_ocsp(&endless), "the OCSP response has no nextUpdate");
    }
    let fraction = with(Single { next_update: Some("20261127000000.5Z"), ..Single::new(&GOOD) });
    assert_unknown(&by_ocsp(&fraction), "malformed nextUpdate");
}

/// RV-12, as in notation-go: the first that says good, revoked or unknown decides.
#[test]
fn the_first_usable_answer_of_several_responders_decides() {
    let leaf = leaf_with(&[ocsp_at(&[OCSP_URL, SECOND])]);
    let (good, bad) = (Ocsp::new(&GOOD).issue(), Ocsp::new(&revoked(None)).issue());
    let (unknown, later) = (Ocsp::new(&UNKNOWN).issue(), Ocsp { status: 3, ..Ocsp::new(&GOOD) }.issue());
    let at = |first: &Vec<u8>, second: &Vec<u8>| {
        judged_by(&leaf, &[(OCSP_URL, first.clone()), (SECOND, second.clone())], &[], NOW)
    };
    assert_good(&at(&good, &bad));
    assert_revoked(&at(&bad, &good));
    assert_unknown(&at(&unknown, &good), "does not know the certificate");
    assert_good(&at(&later, &good));
    assert_revoked(&at(&later, &bad));
    assert_unknown(&at(&later, &later), "tryLater");
    assert_good(&judged_by(&leaf, &[(SECOND, good)], &[], NOW));
}

/// RV-13: the answer is found by all of its certID, wherever it stands. notation-go compares the serial number alone.
#[test]
fn an_answer_about_another_certificate_is_none() {
    for other in [
        Single { serial: vec![0x02], ..Single::new(&GOOD) },
        Single { issuer_name: vec![0; 20], ..Single::new(&GOOD) },
        Single { issuer_key: vec![0; 20], ..Single::new(&GOOD) },
        Single { hash: "2.16.840.1.101.3.4.2.1", ..Single::new(&GOOD) },
    ] {
        assert_unknown(&by_ocsp(&with(other.clone())), "says nothing about the certificate");
        let singles = vec![other.clone(), Single::new(&revoked(None))];
        assert_revoked(&by_ocsp(&Ocsp { singles, ..Ocsp::new(&GOOD) }));
        let singles = vec![Single { status: revoked(None), ..other }, Single::new(&GOOD)];
        assert_good(&by_ocsp(&Ocsp { singles, ..Ocsp::new(&GOOD) }));
    }
    let singles = vec![Single::new(&GOOD), Single::new(&revoked(None))];
    assert_unknown(&by_ocsp(&Ocsp { singles, ..Ocsp::new(&GOOD) }), "several answers");
    assert_unknown(&by_ocsp(&Ocsp { singles: Vec::new(), ..Ocsp::new(&GOOD) }), "says nothing");
}

/// RV-13.
#[test]
fn a_response_that_somebody_else_signed_says_nothing() {
    for status in [GOOD.to_vec(), revoked(None)] {
        let forged = Ocsp { key: Kind::Other, ..Ocsp::new(&status) };
        assert_unknown(&by_ocsp(&forged), "the signature of the OCSP response is invalid");
        assert_unknown(&by_ocsp(&Ocsp { responder: by_key(Kind::Other), ..forged }), "neither the issuer nor in certs");
        // Nor may it be signed by another than it names, even if that is the issuer.
        let misnamed = Ocsp { responder: by_key(Kind::Other), ..Ocsp::new(&status) };
        assert_unknown(&by_ocsp(&misnamed), "neither the issuer nor in certs");
        for signature in [bit_string(0, &[]), tlv(0x03, &[0])] {
            assert_unknown(&by_ocsp(&Ocsp { signature: Some(signature), ..Ocsp::new(&status) }), "signature");
        }
        // The leaf cannot vouch for itself, although the root issued it.
        assert_unknown(&by_ocsp(&Ocsp::by(&leaf(), &status)), "is not for OCSPSigning");
    }
}

/// RV-14.
#[test]
fn a_response_signed_with_sha1_says_nothing() {
    let algorithm = Some(sequence(&[&oid("1.2.840.10045.4.1")]));
    assert_unknown(&by_ocsp(&Ocsp { algorithm, ..Ocsp::new(&GOOD) }), "or of an algorithm that is not supported");
}

/// RV-13.
#[test]
fn a_responder_that_the_issuer_appointed_may_answer() {
    assert_good(&by_ocsp(&Ocsp::by(&responder(), &GOOD)));
    assert_revoked(&by_ocsp(&Ocsp::by(&responder(), &revoked(None))));
    let named = Ocsp { responder: by_name(&responder().subject), ..Ocsp::by(&responder(), &GOOD) };
    assert_good(&by_ocsp(&named));
    // Its certificate need not be the first, and the issuer's may be there too.
    let certificates = vec![Template::root().issue(), responder().issue()];
    assert_good(&by_ocsp(&Ocsp { certificates, ..named }));
    // The evidence ends with its certificate.
    let ends = Template { not_after: "20261124000000Z", ..responder() };
    let outcome = by_ocsp(&Ocsp::by(&ends, &GOOD));
    assert_good(&outcome);
    assert_eq!(outcome.revocation().expect("evidence").next_update, Some(time("2026-11-24T00:00:00Z")));
    assert_eq!(outcome.next_change(), Some(time("2026-11-24T00:00:00.000000001Z")));
}

/// RV-13, D15: stricter than notation-go, which takes any certificate of the issuer.
#[test]
fn a_responder_that_the_issuer_did_not_appoint_may_not_answer() {
    let nocheck = || extension(NO_CHECK, false, &[0x05, 0x00]);
    let usage = |index: usize, extension: Vec<u8>| {
        let mut template = responder();
        template.extensions[index] = extension;
        template
    };
    for (template, words) in [
        (usage(1, eku(&["1.3.6.1.5.5.7.3.3"])), "is not for OCSPSigning"),
        (usage(1, eku(&["2.5.29.37.0"])), "is not for OCSPSigning"),
        (usage(1, extension("1.2.3", false, &[])), "is not for OCSPSigning"),
        (usage(0, key_usage(KEY_ENCIPHERMENT)), "lacks the key usage digitalSignature"),
        (usage(0, extension("1.2.3", true, &[])), "has the extension 1.2.3"),
        (Template { not_after: "20261122115959Z", ..responder() }, "is valid from"),
        (Template { not_before: "20261122120001Z", ..responder() }, "is valid from"),
        (Template { issuer_key: Kind::Other, ..responder() }, "was not issued by"),
        (Template { issuer: simple_name("CN=Another,C=US"), ..responder() }, "was not issued by"),
        (responder().below_intermediate(), "was not issued by"),
    ] {
        assert_eq!(responder().extensions[2], nocheck());
        for status in [GOOD.to_vec(), revoked(None)] {
            assert_unknown(&by_ocsp(&Ocsp::by(&template, &status)), words);
        }
    }
    let unsigned = Ocsp { key: Kind::Other, ..Ocsp::by(&responder(), &GOOD) };
    assert_unknown(&by_ocsp(&unsigned), "the signature of the OCSP response is invalid");
    let hidden = Ocsp { certificates: Vec::new(), ..Ocsp::by(&responder(), &GOOD) };
    assert_unknown(&by_ocsp(&hidden), "neither the issuer nor in certs");
    let broken = Ocsp { certificates: vec![sequence(&[])], ..Ocsp::new(&GOOD) };
    assert_unknown(&by_ocsp(&broken), "malformed certs");
    let many = Ocsp { certificates: vec![responder().issue(); 9], ..Ocsp::new(&GOOD) };
    assert_unknown(&by_ocsp(&many), "more than 8 certificates");
}

/// RV-13, D15: a responder without ocsp-nocheck is asked about itself, by list.
#[test]
fn a_responder_may_answer_only_if_it_is_known_not_to_be_revoked_itself() {
    let mut unchecked = responder();
    unchecked.extensions.pop();
    let listed = unchecked.clone().with_extension(crl_at(&[&[CRL_URL]]));
    let at = |responder: &Template, lists: &[(&str, &List)]| {
        judged_by(&leaf(), &[(OCSP_URL, Ocsp::by(responder, &GOOD).issue())], lists, NOW)
    };
    assert_unknown(&at(&unchecked, &[]), "has no ocsp-nocheck, and its own revocation is unknown");
    assert_unknown(&at(&listed, &[]), "there is no answer from http://crl.example/root.crl");
    let revoking = List { entries: vec![entry(&[0x07], "260601000000Z", &[])], ..List::new() };
    assert_unknown(&at(&listed, &[(CRL_URL, &revoking)]), "the OCSP responder CN=Sealwatch Test OCSP");
    let old = List { next_update: Some("20261120000000Z"), ..List::new() };
    assert_unknown(&at(&listed, &[(CRL_URL, &old)]), "expired");
    let outcome = at(&listed, &[(CRL_URL, &List { next_update: Some("20261123000000Z"), ..List::new() })]);
    assert_good(&outcome);
    assert_eq!(outcome.revocation().expect("evidence").next_update, Some(time("2026-11-23T00:00:00Z")));
    assert!(unchecked.extensions.contains(&eku(&[OCSP_SIGNING])));
}

/// No critical extension is known in a response, as in Go.
#[test]
fn a_response_with_a_critical_extension_says_nothing() {
    let critical = || vec![extension("1.2.3", true, &[0x05, 0x00])];
    assert_unknown(&by_ocsp(&Ocsp { extensions: critical(), ..Ocsp::new(&GOOD) }), "critical extension 1.2.3");
    let single = Single { extensions: critical(), ..Single::new(&GOOD) };
    assert_unknown(&by_ocsp(&with(single)), "critical extension 1.2.3");
    let harmless = vec![extension("1.2.3", false, &[0x05, 0x00])];
    assert_good(&by_ocsp(&Ocsp { extensions: harmless, ..Ocsp::new(&GOOD) }));
}

/// RV-7, RV-12, D14.
#[test]
fn an_invalidity_date_excuses_what_an_authority_signed_before_alone() {
    let signer = Signer::with_leaf(&leaf());
    let trust = stores(&[("ca:test", signer.root()), ("signingAuthority:test", signer.root())]);
    let policy = policy("strict", "", &["ca:test", "signingAuthority:test"], &["*"]);
    let judged = |jws: &Jws, extensions: Vec<Vec<u8>>| {
        let response = with(Single { extensions, ..Single::new(&revoked(None)) }).issue();
        judged_with(&parse(jws), &policy, &trust, &answers(&signer, &[(OCSP_URL, response)], &[]), NOW)
    };
    let mut vouched = Jws::signing_authority(&signer);
    vouched.set("io.cncf.notary.authenticSigningTime", "2026-03-01T00:00:00Z");
    assert_good(&judged(&vouched, vec![invalid_since("20260301000001Z")]));
    assert_revoked(&judged(&vouched, vec![invalid_since("20260301000000Z")]));
    assert_revoked(&judged(&vouched, vec![]));
    let twice = vec![invalid_since("20260301000001Z"), invalid_since("20260301000001Z")];
    assert_unknown(&judged(&vouched, twice), "is there twice");
    assert_revoked(&judged(&Jws::new(&signer), vec![invalid_since("20260301000001Z")]));
}

/// RFC 6960 section 4.1.1, as Go reads it: a hash has parameters or none, and nothing else.
#[test]
fn a_cert_id_with_a_malformed_hash_is_refused() {
    for rest in [&[0x05, 0x84, 0, 0, 0, 0][..], &[0x05, 0x08, 0x04], &[0x05, 0x00, 0x05, 0x00]] {
        let good = Ocsp::new(&GOOD).issue();
        assert_good(&by_bytes(good));
        let response = with(Single { hash_parameters: rest.to_vec(), ..Single::new(&GOOD) });
        assert_unknown(&by_ocsp(&response), "malformed certID");
    }
}
