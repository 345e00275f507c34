// SPDX-License-Identifier: Apache-2.0
//! RV-15 to RV-22: revocation lists.

use base64ct::{Base64, Encoding};
use sealwatch_notation::{
    MAX_BROUGHT_CRLS, MAX_CRL_BYTES, Outcome, Reason, RevocationAnswers, RevocationError, RevocationList,
    RevocationMethod, Verdict,
};

use crate::support::der::{bit_string, oid, sequence, simple_name, tlv};
use crate::support::jws::Jws;
use crate::support::key::{Kind, key};
use crate::support::pki::{CRL_SIGN, KEY_CERT_SIGN, Signer, Template, basic_constraints, extension, key_usage};
use crate::support::revocation::{
    CRL_URL, DELTA_URL, List, answers, crl_at, crl_number, delta_of, entry, freshest_at, invalid_since, issuing_point,
    leaf_with, parsed, point_name, reason,
};
use crate::support::{NOW, judged_with, policy, stores, time, trusting};

fn leaf() -> Template {
    leaf_with(&[crl_at(&[&[CRL_URL]])])
}

/// Judges a signature of this leaf below the root, with these lists.
fn judged_by(leaf: &Template, lists: &[(&str, &List)], now: &str) -> Outcome {
    let signer = Signer::with_leaf(leaf);
    let envelope = crate::judge::parse(&Jws::new(&signer));
    let trust = stores(&[("ca:test", signer.root())]);
    judged_with(&envelope, &trusting("strict"), &trust, &answers(&signer, &[], lists), now)
}

fn by_list(list: &List) -> Outcome {
    judged_by(&leaf(), &[(CRL_URL, list)], NOW)
}

#[track_caller]
fn assert_unknown(outcome: &Outcome, words: &str) {
    assert_eq!((outcome.verdict(), outcome.reason()), (Verdict::Unknown, Reason::RevocationUnknown), "{words}");
    assert!(outcome.message().contains(words), "{words}: {}", outcome.message());
    assert_eq!(outcome.revocation(), None);
}

#[track_caller]
fn assert_revoked(outcome: &Outcome) {
    assert_eq!((outcome.verdict(), outcome.reason()), (Verdict::Failed, Reason::Revoked), "{}", outcome.message());
    assert_eq!(outcome.revocation().expect("evidence").method, RevocationMethod::Crl);
}

#[track_caller]
fn assert_good(outcome: &Outcome) {
    let found = (outcome.verdict(), outcome.reason());
    assert_eq!(found, (Verdict::Verified, Reason::SignatureValid), "{}", outcome.message());
    assert_eq!(outcome.revocation().expect("evidence").method, RevocationMethod::Crl);
}

/// RV-4.
#[test]
fn a_current_list_without_the_certificate_is_good_until_its_next_update() {
    let other = List { entries: vec![entry(&[0x02], "260601000000Z", &[])], ..List::new() };
    for list in [List::new(), other] {
        let outcome = by_list(&list);
        assert_good(&outcome);
        assert_eq!(outcome.revocation().expect("evidence").next_update, Some(time("2026-12-01T00:00:00Z")));
        assert_eq!(outcome.next_change(), Some(time("2026-12-01T00:00:00.000000001Z")));
    }
}

/// RV-15: what was not fetched is not known, and says why; https is not asked at all.
#[test]
fn a_list_that_could_not_be_fetched_leaves_the_question_open() {
    assert_unknown(&judged_by(&leaf(), &[], NOW), "nobody has been asked: there is no answer from http://crl.example");
    let signer = Signer::with_leaf(&leaf());
    let envelope = crate::judge::parse(&Jws::new(&signer));
    let mut answers = RevocationAnswers::default();
    answers.insert_crl(CRL_URL, Err("connection refused".to_owned()));
    let trust = stores(&[("ca:test", signer.root())]);
    let outcome = judged_with(&envelope, &trusting("strict"), &trust, &answers, NOW);
    assert_unknown(&outcome, "could not be asked: connection refused");
    for url in ["https://crl.example/", "ldap://crl.example/", "http://", "http:///x", "http://me@crl.example/"] {
        let leaf = leaf_with(&[crl_at(&[&[url]])]);
        assert_unknown(&judged_by(&leaf, &[(url, &List::new())], NOW), "is not an http URL that may be asked");
    }
    let leaf = leaf_with(&[crl_at(&[&["HTTP://crl.example/"]])]);
    assert_good(&judged_by(&leaf, &[("HTTP://crl.example/", &List::new())], NOW));
}

/// RV-15.
#[test]
fn a_list_of_more_than_32_mib_is_not_read() {
    let error = RevocationList::from_der(vec![0x30; MAX_CRL_BYTES + 1]).expect_err("too large");
    assert!(matches!(error, RevocationError::TooLarge { .. }), "{error}");
}

/// A form that RFC 5280 does not know is refused, an empty signature too, and nothing may follow.
#[test]
fn a_malformed_list_is_refused() {
    let date = || tlv(0x18, b"2026");
    for (what, list) in [
        ("version 1", List { version: None, ..List::new() }),
        ("version 3", List { version: Some(2), ..List::new() }),
        ("no nextUpdate", List { next_update: None, ..List::new() }),
        ("two algorithms", List { inner_algorithm: Some(key(Kind::Rsa2048).certificate_algorithm()), ..List::new() }),
        ("twice a number", List::new().with_extension(crl_number(&[6]))),
        ("a bad point", List::new().with_extension(extension("2.5.29.28", true, &date()))),
        ("a bad flag", List::new().with_extension(issuing_point(&[&tlv(0x81, &[0x01])]))),
        ("a bad delta", List::new().with_extension(extension("2.5.29.27", true, &date()))),
        ("a bad freshest", List::new().with_extension(extension("2.5.29.46", false, &date()))),
    ] {
        assert!(RevocationList::from_der(list.issue()).is_err(), "{what}");
    }
    let der = List::new().issue();
    assert!(RevocationList::from_der([der.as_slice(), &[0]].concat()).is_err());
    for length in 0..der.len() {
        assert!(RevocationList::from_der(&der[..length]).is_err(), "{length}");
    }
    for signature in [bit_string(0, &[]), tlv(0x03, &[0])] {
        assert_unknown(&by_list(&List { signature: Some(signature), ..List::new() }), "signature");
    }
}

/// RV-16. Stricter than notation-go: the name of the issuer.
#[test]
fn a_list_that_the_issuer_did_not_sign_says_nothing() {
    for list in [List::new(), List::revoking(&[])] {
        assert_unknown(&by_list(&List { key: Kind::Other, ..list.clone() }), "signature of the revocation list");
        let issuer = simple_name("CN=Another,O=Microsoft Corporation,C=US");
        assert_unknown(&by_list(&List { issuer, ..list.clone() }), "is of another issuer");
        // SHA-1 with ECDSA.
        let sha1 = sequence(&[&oid("1.2.840.10045.4.1")]);
        let list = List { inner_algorithm: Some(sha1.clone()), outer_algorithm: Some(sha1), ..list };
        assert_unknown(&by_list(&list), "or of an algorithm that is not supported");
    }
}

/// RV-16.
#[test]
fn an_issuer_that_may_not_sign_lists_signs_none() {
    let may_not =
        Template { extensions: vec![basic_constraints(true, None), key_usage(KEY_CERT_SIGN)], ..Template::root() };
    let signer = Signer::with_chain(&[&leaf(), &may_not]);
    let envelope = crate::judge::parse(&Jws::new(&signer));
    let trust = stores(&[("ca:test", signer.root())]);
    let answers = answers(&signer, &[], &[(CRL_URL, &List::new())]);
    let outcome = judged_with(&envelope, &trusting("strict"), &trust, &answers, NOW);
    assert_unknown(&outcome, "lacks the key usage cRLSign");
}

/// RV-17.
#[test]
fn a_list_counts_until_its_next_update_and_not_from_the_future() {
    let at = |now: &str| judged_by(&leaf(), &[(CRL_URL, &List::new())], now);
    assert_good(&at("2026-12-01T00:00:00Z"));
    assert_unknown(&at("2026-12-01T00:00:01Z"), "the revocation list expired at 2026-12-01T00:00:00Z");
    // Clocks may differ by five minutes.
    assert_good(&at("2026-10-31T23:55:00Z"));
    let early = at("2026-10-31T23:54:59Z");
    assert_unknown(&early, "is from the future");
    assert_eq!(early.next_change(), Some(time("2026-10-31T23:55:00Z")));
}

/// D13: stricter than notation-go, which calls it unknown.
#[test]
fn an_expired_list_still_revokes_and_is_never_good() {
    let now = "2027-06-01T00:00:00Z";
    let at = |list: &List| judged_by(&leaf(), &[(CRL_URL, list)], now);
    assert_revoked(&at(&List::revoking(&[])));
    assert_unknown(&at(&List::new()), "expired");
    assert_unknown(&at(&List::revoking(&[reason(6)])), "expired");
    assert_unknown(&at(&List { key: Kind::Other, ..List::revoking(&[]) }), "signature of the revocation list");
}

/// RV-18.
#[test]
fn a_list_with_a_critical_extension_that_is_not_known_says_nothing() {
    for dotted in ["1.2.3.4", "2.5.29.20", "2.5.29.46", "2.5.29.35"] {
        let list = List { extensions: Vec::new(), ..List::revoking(&[]) };
        let value = if dotted == "2.5.29.20" { tlv(0x02, &[5]) } else { sequence(&[]) };
        let outcome = by_list(&list.clone().with_extension(extension(dotted, true, &value)));
        assert_unknown(&outcome, &format!("critical extension {dotted}"));
    }
    assert_good(&by_list(&List::new().with_extension(extension("1.2.3.4", false, &[0x05, 0x00]))));
    assert_good(&by_list(&List::new().with_extension(issuing_point(&[]))));
}

/// RV-19. Stricter than notation-go: the entries of others too (RFC 5280 section 5.3).
#[test]
fn a_list_with_an_entry_that_is_not_understood_says_nothing() {
    let critical = |dotted: &str| extension(dotted, true, &[0x0a, 0x01, 0x01]);
    for serial in [0x01, 0x02] {
        for dotted in ["1.2.3.4", "2.5.29.21", "2.5.29.29"] {
            let list = List { entries: vec![entry(&[serial], "260601000000Z", &[critical(dotted)])], ..List::new() };
            assert_unknown(&by_list(&list), "the entry of the revocation list has the critical extension");
        }
    }
    let critical_date = extension("2.5.29.24", true, &tlv(0x18, b"20260101000000Z"));
    assert_revoked(&by_list(&List::revoking(&[critical_date])));
    let bad_date = extension("2.5.29.24", false, &tlv(0x18, b"2026"));
    assert_unknown(&by_list(&List::revoking(&[bad_date])), "malformed invalidityDate");
    for value in [vec![0x0a, 0x00], vec![0x0a, 0x02, 0x00, 0x01], vec![0x02, 0x01, 0x01]] {
        let list = List::revoking(&[extension("2.5.29.21", false, &value)]);
        assert_unknown(&by_list(&list), "malformed reasonCode");
    }
    assert_unknown(&by_list(&List::revoking(&[reason(8), reason(1)])), "is there twice");
    // A number that is not in its shortest form could not be found.
    for serial in [vec![], vec![0x00, 0x01], vec![0xff, 0x80]] {
        let list = List { entries: vec![entry(&serial, "260601000000Z", &[])], ..List::new() };
        assert_unknown(&by_list(&list), "malformed revokedCertificates");
    }
}

/// RV-20, D12.
#[test]
fn every_distribution_point_must_answer_and_any_of_them_may_revoke() {
    const OTHER: &str = "http://crl.example/other.crl";
    let (good, bad) = (List::new(), List::revoking(&[]));
    for points in [&[&[CRL_URL, OTHER][..]][..], &[&[CRL_URL], &[OTHER]]] {
        let leaf = leaf_with(&[crl_at(points)]);
        let at = |lists: &[(&str, &List)]| judged_by(&leaf, lists, NOW);
        assert_unknown(&at(&[(CRL_URL, &good)]), "there is no answer from http://crl.example/other.crl");
        assert_unknown(&at(&[(OTHER, &good)]), "there is no answer");
        assert_revoked(&at(&[(OTHER, &bad)]));
        assert_revoked(&at(&[(CRL_URL, &good), (OTHER, &bad)]));
        assert_revoked(&at(&[(CRL_URL, &bad), (OTHER, &good)]));
        assert_good(&at(&[(CRL_URL, &good), (OTHER, &good)]));
    }
    let nowhere = leaf_with(&[crl_at(&[])]);
    assert_unknown(&judged_by(&nowhere, &[(CRL_URL, &good)], NOW), "has no URL");
    let half = leaf_with(&[crl_at(&[&[CRL_URL], &[]])]);
    assert_unknown(&judged_by(&half, &[(CRL_URL, &good)], NOW), "has no URL");
}

/// RV-20: stricter than notation-go, which asks as many as there are. A certificate must not say how much work it makes.
#[test]
fn a_certificate_with_more_than_four_urls_of_lists_is_never_good() {
    let urls: Vec<String> = (0..2000).map(|number| format!("http://h{number}.example/")).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let (good, bad) = (List::new(), List::revoking(&[]));
    let judged = |count: usize, list: &List| {
        let lists: Vec<(&str, &List)> = urls[..count].iter().map(|url| (*url, list)).collect();
        judged_by(&leaf_with(&[crl_at(&[&urls[..count]])]), &lists[..count.min(10)], NOW)
    };
    assert_good(&judged(4, &good));
    assert_unknown(&judged(5, &good), "more than 4 URLs");
    assert_unknown(&judged(2000, &good), "more than 4 URLs");
    assert_revoked(&judged(5, &bad));
}

/// RV-20: stricter than notation-go, which does not look.
#[test]
fn a_list_about_other_certificates_says_nothing() {
    let yes = |number: u8| tlv(0x80 | number, &[0xff]);
    let elsewhere = point_name(&["http://crl.example/partition2.crl"]);
    let relative = tlv(0xa0, &tlv(0xa1, &[]));
    for (fields, words) in [
        (elsewhere, "names another distribution point"),
        (relative, "names another distribution point"),
        (yes(2), "limits it to certificates of CAs"),
        (tlv(0x83, &[0x05, 0x60]), "limits it to some reasons"),
        (yes(4), "says that it is indirect"),
        (yes(5), "limits it to attribute certificates"),
    ] {
        for list in [List::new(), List::revoking(&[])] {
            assert_unknown(&by_list(&list.with_extension(issuing_point(&[&fields]))), words);
        }
    }
    let here = point_name(&["http://other.example/", CRL_URL]);
    assert_good(&by_list(&List::new().with_extension(issuing_point(&[&here, &yes(1)]))));
    assert_revoked(&by_list(&List::revoking(&[]).with_extension(issuing_point(&[&here, &yes(1)]))));
}

/// RV-20: of a CA.
#[test]
fn a_list_about_users_says_nothing_about_a_ca() {
    let root_list = |field: u8| List::new().with_extension(issuing_point(&[&tlv(0x80 | field, &[0xff])]));
    let middle = Template { serial: vec![0x09], ..Template::intermediate() }.with_extension(crl_at(&[&[CRL_URL]]));
    let signer = Signer::with_chain(&[&Template::leaf().below_intermediate(), &middle, &Template::root()]);
    let envelope = crate::judge::parse(&Jws::new(&signer));
    let trust = stores(&[("ca:test", signer.root())]);
    let at = |list: &List| {
        judged_with(&envelope, &trusting("strict"), &trust, &answers(&signer, &[], &[(CRL_URL, list)]), NOW)
    };
    assert_unknown(&at(&root_list(1)), "limits it to certificates of users");
    assert_good(&at(&root_list(2)));
}

/// RV-21.
#[test]
fn a_list_with_a_delta_counts_only_together_with_it() {
    let base = |list: List| list.with_extension(freshest_at(&["https://crl.example/", DELTA_URL]));
    let delta = |number: u8, of: u8, list: List| {
        let extensions = vec![crl_number(&[number]), delta_of(&[of])];
        List { extensions, ..list }
    };
    let at = |base: &List, delta: &List| judged_by(&leaf(), &[(CRL_URL, base), (DELTA_URL, delta)], NOW);
    let good = base(List::new());
    assert_unknown(&judged_by(&leaf(), &[(CRL_URL, &good)], NOW), "no delta of the revocation list can be used");
    assert_good(&at(&good, &delta(6, 5, List::new())));
    assert_good(&at(&good, &delta(6, 4, List::new())));
    assert_unknown(&at(&good, &delta(5, 5, List::new())), "is not newer than the list");
    assert_unknown(&at(&good, &delta(7, 6, List::new())), "starts from a newer list");
    assert_unknown(&at(&good, &List::new()), "or the delta is none");
    assert_unknown(&at(&good, &List { key: Kind::Other, ..delta(6, 5, List::new()) }), "signature");
    let scoped = delta(6, 5, List::new()).with_extension(issuing_point(&[]));
    assert_unknown(&at(&good, &scoped), "has another issuingDistributionPoint");
    let critical = delta(6, 5, List::new()).with_extension(extension("1.2.3", true, &[]));
    assert_unknown(&at(&good, &critical), "critical extension 1.2.3");
    assert_revoked(&at(&good, &delta(6, 5, List::revoking(&[]))));
    assert_revoked(&at(&base(List::revoking(&[])), &delta(6, 5, List::new())));
    let old = List { next_update: Some("20261120000000Z"), ..delta(6, 5, List::new()) };
    assert_unknown(&at(&good, &old), "expired");
    let soon = List { next_update: Some("20261123000000Z"), ..delta(6, 5, List::new()) };
    assert_eq!(at(&good, &soon).revocation().expect("known").next_update, Some(time("2026-11-23T00:00:00Z")));
    // Numbers are compared as such, however long they are.
    let long = List { extensions: vec![crl_number(&[0x01, 0x00]), delta_of(&[5])], ..List::new() };
    assert_good(&at(&good, &long));
}

/// RV-21. The first is stricter than notation-go.
#[test]
fn a_delta_is_no_complete_list_and_a_certificate_cannot_name_one() {
    let delta = List::new().with_extension(delta_of(&[4]));
    assert_unknown(&by_list(&delta), "is a delta, not a complete list");
    let leaf = leaf().with_extension(freshest_at(&[DELTA_URL]));
    let outcome = judged_by(&leaf, &[(CRL_URL, &List::new()), (DELTA_URL, &List::new())], NOW);
    assert_unknown(&outcome, "freshest CRL, which is supported in revocation lists only");
    assert_revoked(&judged_by(&leaf, &[(CRL_URL, &List::revoking(&[]))], NOW));
}

/// RV-22.
#[test]
fn a_listed_certificate_is_revoked_for_any_reason_but_the_end_of_a_hold() {
    assert_revoked(&by_list(&List::revoking(&[])));
    for code in [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 99] {
        assert_revoked(&by_list(&List::revoking(&[reason(code)])));
    }
    let held = |date: &str| entry(&[0x01], date, &[reason(6)]);
    let released = |date: &str| entry(&[0x01], date, &[reason(8)]);
    let with = |entries: &[Vec<u8>]| by_list(&List { entries: entries.to_vec(), ..List::new() });
    let (early, late) = ("260601000000Z", "260701000000Z");
    assert_good(&with(&[held(early), released(late)]));
    assert_good(&with(&[released(late), held(early)]));
    assert_revoked(&with(&[released(early), held(late)]));
    assert_revoked(&with(&[held(late), released(early)]));
    // Stricter than notation-go, where the first of the same date counts.
    assert_revoked(&with(&[held(early), released(early)]));
    assert_revoked(&with(&[released(early), held(early)]));
    assert_revoked(&with(&[held(early), released(late), entry(&[0x01], early, &[])]));
}

/// RV-7, RV-22, D14.
#[test]
fn an_invalidity_date_excuses_what_an_authority_signed_before_alone() {
    let signer = Signer::with_leaf(&leaf());
    let trust = stores(&[("ca:test", signer.root()), ("signingAuthority:test", signer.root())]);
    let policy = policy("strict", "", &["ca:test", "signingAuthority:test"], &["*"]);
    let judged = |jws: &Jws, reasons: &[Vec<u8>]| {
        let answers = answers(&signer, &[], &[(CRL_URL, &List::revoking(reasons))]);
        judged_with(&crate::judge::parse(jws), &policy, &trust, &answers, NOW)
    };
    let mut vouched = Jws::signing_authority(&signer);
    vouched.set("io.cncf.notary.authenticSigningTime", "2026-03-01T00:00:00Z");
    assert_good(&judged(&vouched, &[invalid_since("20260301000001Z")]));
    assert_revoked(&judged(&vouched, &[invalid_since("20260301000000Z")]));
    assert_revoked(&judged(&vouched, &[]));
    let mut claimed = Jws::new(&signer);
    claimed.set("io.cncf.notary.signingTime", "2026-03-01T00:00:00Z");
    assert_revoked(&judged(&claimed, &[invalid_since("20260301000001Z")]));
}

/// A brought list stands for one that was not fetched, by the same rules.
#[test]
fn a_brought_list_stands_for_a_fetched_one() {
    let bring = |leaf: &Template, fetched: &[(&str, &List)], list: &List| {
        let signer = Signer::with_leaf(leaf);
        let mut answers = answers(&signer, &[], fetched);
        answers.bring_crl(parsed(list)).expect("room");
        let trust = stores(&[("ca:test", signer.root())]);
        judged_with(&crate::judge::parse(&Jws::new(&signer)), &trusting("strict"), &trust, &answers, NOW)
    };
    let good = List::new();
    let old = List { next_update: Some("20261120000000Z"), ..List::new() };
    assert_good(&bring(&leaf(), &[], &good));
    assert_good(&bring(&leaf(), &[(CRL_URL, &old)], &good));
    assert_revoked(&bring(&leaf(), &[], &List::revoking(&[])));
    assert_revoked(&bring(&leaf(), &[(CRL_URL, &good)], &List::revoking(&[])));
    assert_unknown(&bring(&leaf(), &[], &old), "there is no answer");
    assert_unknown(&bring(&leaf(), &[], &List { key: Kind::Other, ..List::new() }), "there is no answer");
    let elsewhere = List::new().with_extension(issuing_point(&[&point_name(&["http://crl.example/2"])]));
    assert_unknown(&bring(&leaf(), &[], &elsewhere), "there is no answer");
    // Also about a certificate that names nobody to ask.
    assert_good(&bring(&Template::leaf(), &[], &good));
    assert_revoked(&bring(&Template::leaf(), &[], &List::revoking(&[])));
    let of_another = List { key: Kind::Other, ..List::revoking(&[]) };
    let outcome = bring(&Template::leaf(), &[], &of_another);
    assert_eq!(outcome.revocation().expect("evidence").method, RevocationMethod::None);
    // And where there is no URL.
    assert_good(&bring(&leaf_with(&[crl_at(&[&[]])]), &[], &good));
}

/// RV-21: where nobody can be asked, a list that has a delta is brought together with it.
#[test]
fn a_brought_delta_counts_with_the_list_that_it_continues() {
    let delta = |number: u8, list: List| List { extensions: vec![crl_number(&[number]), delta_of(&[5])], ..list };
    let base = List::new().with_extension(freshest_at(&[DELTA_URL]));
    let bring = |fetched: &[(&str, &List)], brought: &[&List]| {
        let signer = Signer::with_leaf(&leaf());
        let mut answers = answers(&signer, &[], fetched);
        for list in brought {
            answers.bring_crl(parsed(list)).expect("room");
        }
        let trust = stores(&[("ca:test", signer.root())]);
        judged_with(&crate::judge::parse(&Jws::new(&signer)), &trusting("strict"), &trust, &answers, NOW)
    };
    let (good, bad) = (delta(6, List::new()), delta(6, List::revoking(&[])));
    let soon = List { next_update: Some("20261123000000Z"), ..good.clone() };
    for order in [[&base, &soon], [&soon, &base]] {
        let outcome = bring(&[], &order);
        assert_good(&outcome);
        assert_eq!(outcome.revocation().expect("known").next_update, Some(time("2026-11-23T00:00:00Z")));
    }
    assert_unknown(&bring(&[], &[&base]), "there is no answer");
    assert_unknown(&bring(&[], &[&good]), "there is no answer");
    assert_unknown(&bring(&[], &[&base, &delta(5, List::new())]), "there is no answer");
    assert_unknown(&bring(&[], &[&base, &List { key: Kind::Other, ..good.clone() }]), "there is no answer");
    assert_unknown(&bring(&[], &[&base, &List { next_update: Some("20261120000000Z"), ..good.clone() }]), "no answer");
    assert_revoked(&bring(&[], &[&base, &bad]));
    // Beside fetched ones it is as with lists: one that revokes is enough, and of two that do not one that counts.
    let fetched = [(CRL_URL, &base), (DELTA_URL, &good)];
    assert_good(&bring(&fetched, &[]));
    assert_revoked(&bring(&fetched, &[&bad]));
    assert_revoked(&bring(&[(CRL_URL, &base)], &[&bad]));
    assert_good(&bring(&[(CRL_URL, &base)], &[&good]));
    assert_good(&bring(&fetched, &[&List { next_update: Some("20261120000000Z"), ..good.clone() }]));
    // A list that names no delta needs none, and one that is brought changes nothing.
    assert_good(&bring(&[], &[&List::new(), &bad]));
}

#[test]
fn a_brought_list_that_cannot_be_read_leaves_open_what_names_no_source() {
    let judged = |leaf: &Template, lists: &[(&str, &List)], brought: Option<&List>| {
        let signer = Signer::with_leaf(leaf);
        let mut answers = answers(&signer, &[], lists);
        if let Some(list) = brought {
            answers.bring_crl(parsed(list)).expect("room");
        }
        answers.bring_unread("ConfigMap \"lists\" has no key \"root\"");
        let trust = stores(&[("ca:test", signer.root())]);
        judged_with(&crate::judge::parse(&Jws::new(&signer)), &trusting("strict"), &trust, &answers, NOW)
    };
    assert_unknown(&judged(&Template::leaf(), &[], None), "cannot be read: ConfigMap \"lists\" has no key");
    assert_good(&judged(&Template::leaf(), &[], Some(&List::new())));
    assert_good(&judged(&leaf(), &[(CRL_URL, &List::new())], None));
}

#[test]
fn a_list_is_brought_in_der_or_in_one_block_of_pem() {
    let der = List::new().issue();
    let pem =
        |label: &str| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", Base64::encode_string(&der));
    for bytes in [der.clone(), pem("X509 CRL").into_bytes(), format!("comment\n{}", pem("X509 CRL")).into_bytes()] {
        let list = RevocationList::from_der_or_pem(&bytes).expect("a list");
        assert_eq!(list.der(), der);
        assert_eq!(list.issuer(), "CN=Sealwatch Test Root,O=Microsoft Corporation,C=US");
    }
    for (bytes, words) in [
        (pem("CERTIFICATE"), "it holds CERTIFICATE, not X509 CRL"),
        (pem("X509 CRL").repeat(2), "more than one revocation list"),
        (pem("X509 CRL").replace("END", "EMD"), "the end is missing"),
        (String::new(), "malformed revocation list"),
    ] {
        let error = RevocationList::from_der_or_pem(bytes.as_bytes()).expect_err(words);
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
}

#[test]
fn no_more_lists_than_the_limit_can_be_brought() {
    let mut answers = RevocationAnswers::default();
    let list = parsed(&List::new());
    for _ in 0..MAX_BROUGHT_CRLS {
        answers.bring_crl(list.clone()).expect("room");
    }
    assert!(matches!(answers.bring_crl(list), Err(RevocationError::TooMany { .. })));
}

/// The entry may stand anywhere in a list of any length.
#[test]
fn the_certificate_is_found_at_the_end_of_a_long_list() {
    let others = (0..50_000_u32).map(|number| {
        let [_, a, b, c] = number.to_be_bytes();
        entry(&[0x01, a, b, c], "260601000000Z", &[reason(1)])
    });
    let mut entries: Vec<Vec<u8>> = others.collect();
    assert_good(&by_list(&List { entries: entries.clone(), ..List::new() }));
    entries.push(entry(&[0x01], "260601000000Z", &[]));
    assert_revoked(&by_list(&List { entries, ..List::new() }));
}

/// RV-16 where the issuer says that it may.
#[test]
fn an_issuer_with_crl_sign_may_sign_lists() {
    let usage = key_usage(KEY_CERT_SIGN | CRL_SIGN);
    assert!(Template::root().extensions.contains(&usage));
    assert_good(&by_list(&List::new()));
}

/// RV-16: that one issuer made a list is remembered, and says nothing about another of the same name.
#[test]
fn a_list_that_was_authentic_for_one_issuer_is_not_so_for_another() {
    let list = parsed(&List::new());
    let judged = |kind: Kind| {
        let root = Template { key: kind, issuer_key: kind, ..Template::root() };
        let signer = Signer::with_chain(&[&Template { issuer_key: kind, ..leaf() }, &root]);
        let trust = stores(&[("ca:test", signer.root())]);
        let mut answers = RevocationAnswers::default();
        answers.insert_crl(CRL_URL, Ok(list.clone()));
        judged_with(&crate::judge::parse(&Jws::new(&signer)), &trusting("strict"), &trust, &answers, NOW)
    };
    for _ in 0..2 {
        assert_good(&judged(Kind::Root));
        assert_unknown(&judged(Kind::Other), "signature of the revocation list");
    }
}

/// As in Go, which reads the reason in every entry, and no extensions where there is none of them.
#[test]
fn what_go_cannot_read_of_a_list_is_refused_also_in_the_entries_of_others() {
    let of_another = |reason: &[u8]| List {
        entries: vec![entry(&[0x02], "260601000000Z", &[extension("2.5.29.21", false, reason)])],
        ..List::new()
    };
    assert_good(&by_list(&of_another(&[0x0a, 0x01, 0x01])));
    for reason in [&[0x0a, 0x00][..], &[0x02, 0x01, 0x01], &[]] {
        let error = RevocationList::from_der(of_another(reason).issue()).map(|_| ());
        assert!(error.is_err() || matches!(by_list(&of_another(reason)).reason(), Reason::RevocationUnknown));
    }
    let key_identifier = |value: &[u8]| List::new().with_extension(extension("2.5.29.35", false, value));
    assert_good(&by_list(&key_identifier(&sequence(&[]))));
    assert!(RevocationList::from_der(key_identifier(&[0x04, 0x00]).issue()).is_err());
}
