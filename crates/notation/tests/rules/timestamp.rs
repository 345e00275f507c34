// SPDX-License-Identifier: Apache-2.0
//! AT-3 to AT-15 and TC: timestamps by an authority of the tests' own, whose certificates name no revocation endpoint.

use sealwatch_notation::{CheckResult, CheckType, Outcome, Reason, TrustStores, Verdict};

use crate::support::cose::Cose;
use crate::support::der::{oid, sequence, simple_name, tlv};
use crate::support::jws::Jws;
use crate::support::key::Kind;
use crate::support::pki::{
    CRL_SIGN, DIGITAL_SIGNATURE, KEY_CERT_SIGN, KEY_ENCIPHERMENT, NON_REPUDIATION, Signer, Template,
    authority_information, basic_constraints, basic_constraints_value, distribution_points, extension, key_usage,
    key_usage_value,
};
use crate::support::tsa::{
    self, AUTHORITY, CONTENT_TYPE, MESSAGE_DIGEST, SHA1, SHA256, SHA384, SHA512, SIGNING_CERTIFICATE,
    SIGNING_CERTIFICATE_V2, SIGNING_TIME, STAMPED_AT, Scheme, TIME_STAMPING, Token, algorithm, attribute,
    certificate_id, issuer_serial, stamped_cose, stamped_jws, usages,
};
use crate::support::{NOW, SIGNER, judged, policy, stores, time};

/// The signer's root as `ca:test`, and these as `tsa:test`, `tsa:test1` and so on.
fn trusting_authorities(roots: &[Vec<u8>]) -> TrustStores {
    let root = Template::root().issue();
    let names: Vec<String> = (0..roots.len()).map(|number| format!("tsa:test{number}")).collect();
    let mut all: Vec<(&str, &[u8])> = vec![("ca:test", &root)];
    all.extend(names.iter().zip(roots).map(|(name, root)| (name.as_str(), root.as_slice())));
    stores(&all)
}

/// Judges a signature by the tests' signer that carries this token.
fn stamped_with(roots: &[Vec<u8>], stamp: impl FnOnce(&[u8]) -> Vec<u8>) -> Outcome {
    let envelope = stamped_jws(&Jws::new(&Signer::new()), stamp);
    let tsa_stores: Vec<String> = (0..roots.len()).map(|number| format!("tsa:test{number}")).collect();
    let named: Vec<&str> = std::iter::once("ca:test").chain(tsa_stores.iter().map(String::as_str)).collect();
    judged(&envelope, &policy("strict", "", &named, &["*"]), &trusting_authorities(roots), NOW)
}

/// The same with a token that was changed before it was signed.
fn stamped(change: impl FnOnce(&mut Token)) -> Outcome {
    stamped_with(&[tsa::root().issue()], |signature| {
        let mut token = Token::new(signature);
        change(&mut token);
        token.issue()
    })
}

/// The same with a token of another authority, with these certificates beside its own.
fn stamped_by(authority: &Template, others: &[&Template], root: &Template) -> Outcome {
    stamped_with(&[root.issue()], |signature| {
        let mut token = Token::by(authority, signature);
        token.certificates.extend(others.iter().map(|template| template.issue()));
        token.issue()
    })
}

#[track_caller]
fn assert_passed(outcome: &Outcome) {
    assert_eq!(
        (outcome.verdict(), outcome.reason()),
        (Verdict::Verified, Reason::SignatureValid),
        "{}",
        outcome.message()
    );
    assert!(outcome.timestamp().is_some());
}

#[track_caller]
fn assert_refused(outcome: &Outcome, words: &str) {
    let found = (outcome.verdict(), outcome.reason());
    assert_eq!(found, (Verdict::Failed, Reason::TimestampInvalid), "{words}: {}", outcome.message());
    assert!(outcome.message().contains(words), "{words}: {}", outcome.message());
    assert_eq!(outcome.timestamp(), None, "{words}");
}

fn check(outcome: &Outcome) -> (CheckResult, &str) {
    let check = outcome.checks().iter().find(|c| c.check == CheckType::AuthenticTimestamp).expect("five checks");
    (check.result, &check.message)
}

#[test]
fn a_good_timestamp_passes_in_both_formats_and_is_told() {
    let cose = stamped_cose(&Cose::new(&Signer::new()), |signature| Token::new(signature).issue());
    let jws = stamped_jws(&Jws::new(&Signer::new()), |signature| Token::new(signature).issue());
    let policy = policy("strict", "", &["ca:test", "tsa:test0"], &["*"]);
    for envelope in [cose, jws] {
        let outcome = judged(&envelope, &policy, &trusting_authorities(&[tsa::root().issue()]), NOW);
        assert_passed(&outcome);
        assert_eq!(outcome.message(), format!("signed by {SIGNER} (ca:test), timestamped {STAMPED_AT}"));
        let timestamp = outcome.timestamp().expect("it passed");
        assert_eq!((timestamp.time, timestamp.accuracy.as_millis()), (time(STAMPED_AT), 0));
        assert_eq!(timestamp.authority.der(), tsa::authority().issue());
        let (result, message) = check(&outcome);
        assert_eq!(result, CheckResult::Passed);
        let told = format!(
            "timestamped {STAMPED_AT} by {AUTHORITY} (tsa:test0); no certificate of the timestamp authority names"
        );
        assert!(message.starts_with(&told), "{message}");
        assert_eq!(outcome.next_change(), None, "the clock decides nothing");
    }
}

/// AT-12: what was found out about a token is kept with the envelope; whom to trust is asked anew each time.
#[test]
fn a_timestamp_that_was_trusted_once_is_not_trusted_by_other_roots() {
    let envelope = stamped_jws(&Jws::new(&Signer::new()), |signature| Token::new(signature).issue());
    let policy = policy("strict", "", &["ca:test", "tsa:test0"], &["*"]);
    let judged_by = |root: &Template| judged(&envelope, &policy, &trusting_authorities(&[root.issue()]), NOW);
    let of_its_name = Template { key: Kind::P384, issuer_key: Kind::P384, ..tsa::root() };
    for _ in 0..2 {
        assert_passed(&judged_by(&tsa::root()));
        assert_refused(&judged_by(&of_its_name), "was not signed by");
        assert_refused(&judged_by(&Template::root()), "no path");
    }
}

/// AT-3: what timestamps are for; and a stranger's timestamp does not make a stranger's signature good.
#[test]
fn a_signature_outlives_its_certificate_by_a_timestamp() {
    let leaf = Template { not_before: "20241231235958Z", not_after: "20250101000002Z", ..Template::leaf() };
    let signer = Signer::with_leaf(&leaf);
    let envelope = stamped_jws(&Jws::new(&signer).expiring("2030-01-01T00:00:00Z"), |s| Token::new(s).issue());
    let trust = trusting_authorities(&[tsa::root().issue()]);
    for when in ["", r#","verifyTimestamp":"afterCertExpiry""#] {
        let outcome = judged(&envelope, &policy("strict", when, &["ca:test", "tsa:test0"], &["*"]), &trust, NOW);
        assert_passed(&outcome);
        let message = format!("signed by {SIGNER} (ca:test), timestamped {STAMPED_AT}, expires 2030-01-01T00:00:00Z");
        assert_eq!(outcome.message(), message);
    }
    let without = judged(&envelope, &policy("strict", "", &["ca:test"], &["*"]), &trust, NOW);
    assert_eq!(without.reason(), Reason::CertificateExpired);
    assert_eq!(without.timestamp(), None);
}

/// AT-1: the message says what would help, and only if it would: a certificate has ended, that is all that is wrong, and
/// the token is sound, about this signature and from when the certificates were valid.
#[test]
fn an_expired_certificate_with_a_timestamp_that_would_help_asks_for_a_tsa_store() {
    let ended = |template: Template| Template { not_after: "20251231235959Z", ..template };
    let judged_without_store = |signer: &Signer, stamp: fn(&[u8]) -> Vec<u8>| {
        let trust = stores(&[("ca:test", signer.root())]);
        judged(&stamped_jws(&Jws::new(signer), stamp), &policy("strict", "", &["ca:test"], &["*"]), &trust, NOW)
    };
    let good = |signature: &[u8]| Token::new(signature).issue();
    let hint = format!("the envelope carries a timestamp of {STAMPED_AT}: add a tsa trust store to the statement");
    let ended_leaf = Signer::with_leaf(&ended(Template::leaf()));
    for signer in [&ended_leaf, &Signer::with_chain(&[&Template::leaf(), &ended(Template::root())])] {
        let outcome = judged_without_store(signer, good);
        assert_eq!(outcome.reason(), Reason::CertificateExpired);
        assert!(outcome.message().contains(&hint), "{}", outcome.message());
        assert_eq!(outcome.timestamp(), None);
    }
    let late = |signature: &[u8]| {
        let mut token = Token::new(signature);
        token.time = "20260101000000Z".to_owned();
        token.issue()
    };
    let future = Template { not_before: "20300101000000Z", ..Template::root() };
    let future_root = Signer::with_chain(&[&ended(Template::leaf()), &future]);
    for (what, signer, stamp) in [
        ("garbage", &ended_leaf, (|_| vec![0, 1, 2]) as fn(&[u8]) -> Vec<u8>),
        ("about another signature", &ended_leaf, |_| Token::new(b"another").issue()),
        ("from after the end", &ended_leaf, late),
        ("beside a root that is not valid yet", &future_root, good),
    ] {
        let outcome = judged_without_store(signer, stamp);
        assert_eq!(outcome.reason(), Reason::CertificateExpired, "{what}");
        assert!(!outcome.message().contains("tsa"), "{what}: {}", outcome.message());
    }
    let valid = judged_without_store(&Signer::new(), good);
    assert_eq!(valid.reason(), Reason::SignatureValid);
}

/// LV-2: a failure that is logged is told, and the timestamp is not evidence.
#[test]
fn a_logged_failure_leaves_no_timestamp() {
    let envelope = stamped_jws(&Jws::new(&Signer::new()), |_| Token::new(b"another").issue());
    let policy = policy("permissive", "", &["ca:test", "tsa:test0"], &["*"]);
    let outcome = judged(&envelope, &policy, &trusting_authorities(&[tsa::root().issue()]), NOW);
    assert_eq!((outcome.verdict(), outcome.reason()), (Verdict::Verified, Reason::FailuresLogged));
    assert!(outcome.message().contains("authenticTimestamp failed"), "{}", outcome.message());
    assert!(!outcome.message().contains(", timestamped"), "{}", outcome.message());
    assert_eq!(outcome.timestamp(), None);
}

/// AT-5.
#[test]
fn a_token_must_be_signed_data_of_version_3_about_a_tst_info() {
    assert_refused(&stamped(|token| token.outer_type = "1.2.840.113549.1.7.1"), "is not CMS signed data");
    for version in [1, 4] {
        assert_refused(&stamped(|token| token.version = version), "SignedData.version is not 3");
    }
    assert_refused(&stamped(|token| token.content_type = "1.2.840.113549.1.7.1"), "eContentType");
    assert_refused(&stamped(|token| token.content = Some(vec![])), "has no content");
    assert_refused(&stamped_with(&[tsa::root().issue()], |_| vec![0, 1, 2]), "malformed ContentInfo");
}

/// AT-5.
#[test]
fn long_lengths_are_accepted_and_indefinite_ones_and_strings_in_pieces_are_not() {
    let lengthened = |token: &Token| {
        let der = token.issue();
        assert_eq!(der[1], 0x82);
        [&[der[0], 0x84, 0, 0], &der[2..]].concat()
    };
    assert_passed(&stamped_with(&[tsa::root().issue()], |signature| lengthened(&Token::new(signature))));
    let indefinite = |token: &Token| {
        let der = token.issue();
        [&[der[0], 0x80], &der[4..], &[0, 0]].concat()
    };
    let outcome = stamped_with(&[tsa::root().issue()], |signature| indefinite(&Token::new(signature)));
    assert_refused(&outcome, "indefinite length");
    let in_pieces = |token: &mut Token| token.content = Some(tlv(0xa0, &tlv(0x24, &tlv(0x04, &[1, 2, 3]))));
    assert_refused(&stamped(in_pieces), "eContent");
}

/// AT-5. Stricter than notation-go, which looks for trailing bytes at the end of the token alone.
#[test]
fn nothing_may_follow_the_token_or_hide_in_it() {
    let roots = [tsa::root().issue()];
    let outcome = stamped_with(&roots, |signature| [Token::new(signature).issue(), vec![0x05, 0x00]].concat());
    assert_refused(&outcome, "trailing bytes");
    assert_refused(&stamped(|token| token.after_signers = vec![0x05, 0x00]), "malformed SignedData");
    assert_refused(&stamped(|token| token.after_info = vec![0x05, 0x00]), "malformed TSTInfo");
    assert_refused(&stamped(|token| token.rest = vec![0x05, 0x00]), "malformed TSTInfo");
}

/// AT-5: attribute certificates and whatever else CMS allows there.
#[test]
fn only_x509_certificates_may_be_in_a_token() {
    assert_refused(&stamped(|token| token.certificates.push(sequence(&[]))), "certificate 1 of the token");
    assert_refused(&stamped(|token| token.certificates.insert(0, tlv(0xa1, &[]))), "certificate 0 of the token");
    let most = |count: usize| move |token: &mut Token| token.certificates = vec![tsa::authority().issue(); count];
    assert_passed(&stamped(most(16)));
    assert_refused(&stamped(most(17)), "more than 16 certificates");
}

/// CC-9, D8: also a certificate that is not needed, as in Go.
#[test]
fn certificates_in_a_token_must_have_sound_extensions() {
    let other = |identifier: Vec<u8>| {
        let other = tsa::intermediate().with_extension(identifier).issue();
        stamped(|token| token.certificates.push(other))
    };
    assert_passed(&other(extension("2.5.29.14", false, &tlv(0x04, &[1; 20]))));
    let critical = other(extension("2.5.29.14", true, &tlv(0x04, &[1; 20])));
    assert_refused(&critical, "certificate 1 of the token: certificate extension 2.5.29.14: must not be critical");
    let malformed = other(extension("2.5.29.14", false, &sequence(&[])));
    assert_refused(&malformed, "certificate 1 of the token: certificate extension 2.5.29.14: is malformed");
}

/// As in notation-go, which cannot read them.
#[test]
fn revocation_lists_in_a_token_are_refused() {
    assert_passed(&stamped(|token| token.lists = tlv(0xa1, &[])));
    assert_refused(&stamped(|token| token.lists = tlv(0xa1, &sequence(&[]))), "carries revocation lists");
}

/// AT-6.
#[test]
fn a_signer_is_named_by_issuer_and_serial_number() {
    assert_refused(&stamped(|token| token.signers.clear()), "has no signer");
    for version in [0, 2, 3] {
        assert_refused(&stamped(|token| token.signer().version = version), "SignerInfo.version is not 1");
    }
    assert_refused(&stamped(|token| token.signer().sid = tlv(0x80, &[1; 20])), "malformed sid");
}

/// AT-6: of several the first good one counts, but all must be readable.
#[test]
fn one_good_signer_is_enough() {
    let bad = |token: &Token| {
        let mut bad = token.signers[0].clone();
        bad.key = Kind::Root;
        bad
    };
    assert_passed(&stamped(|token| token.signers.insert(0, bad(token))));
    assert_passed(&stamped(|token| token.signers.push(bad(token))));
    assert_refused(&stamped(|token| token.signers = vec![bad(token), bad(token)]), "signature of the token is invalid");
    assert_refused(&stamped(|token| token.signers = vec![bad(token); 5]), "more than 4 signers");
    let unreadable = |token: &mut Token| {
        token.signers.push(tsa::Signer { sid: vec![0x05, 0x00], ..bad(token) });
    };
    assert_refused(&stamped(unreadable), "malformed sid");
}

/// AT-6, AT-12: one signer may be a stranger.
#[test]
fn a_stranger_may_sign_beside_a_trusted_authority() {
    let stranger =
        Template { issuer: simple_name("CN=x"), issuer_key: Kind::P256, serial: vec![9], ..tsa::authority() };
    assert_passed(&stamped(|token| {
        token.certificates.push(stranger.issue());
        token.signers.insert(0, tsa::Signer::new(&stranger));
    }));
}

/// AT-7.
#[test]
fn the_three_signed_attributes_are_required() {
    for (attribute, name) in [
        (CONTENT_TYPE, "contentType"),
        (MESSAGE_DIGEST, "messageDigest"),
        (SIGNING_CERTIFICATE_V2, "signingCertificateV2"),
    ] {
        let outcome = stamped(|token| token.signer().without = vec![attribute]);
        assert_refused(&outcome, &format!("signed attribute {name} is missing"));
    }
    let all = vec![CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_CERTIFICATE_V2];
    assert_refused(&stamped(|token| token.signer().without = all), "is missing");
}

/// AT-7: version 1 has SHA-1 and is not enough.
#[test]
fn a_signing_certificate_attribute_of_version_1_is_not_enough() {
    let id = sequence(&[&tlv(0x04, &tsa::hash(SHA1, &tsa::authority().issue()))]);
    let version_1 = attribute(SIGNING_CERTIFICATE, &[&sequence(&[&sequence(&[&id])])]);
    assert_passed(&stamped(|token| token.signer().more = vec![version_1.clone()]));
    let alone = |token: &mut Token| {
        token.signer().more = vec![version_1.clone()];
        token.signer().without = vec![SIGNING_CERTIFICATE_V2];
    };
    assert_refused(&stamped(alone), "signingCertificateV2 is missing");
}

/// AT-7.
#[test]
fn the_signed_attributes_must_fit_the_content() {
    let other_type = |token: &mut Token| token.signer().content_type = "1.2.840.113549.1.7.1";
    assert_refused(&stamped(other_type), "contentType of the token is not id-ct-TSTInfo");
    let other_digest = |token: &mut Token| {
        token.signer().without = vec![MESSAGE_DIGEST];
        token.signer().more = vec![attribute(MESSAGE_DIGEST, &[&tlv(0x04, &[7; 32])])];
    };
    assert_refused(&stamped(other_digest), "messageDigest of the token does not fit");
    let shorter = |token: &mut Token| {
        token.signer().without = vec![MESSAGE_DIGEST];
        token.signer().more = vec![attribute(MESSAGE_DIGEST, &[&tlv(0x04, &[])])];
    };
    assert_refused(&stamped(shorter), "messageDigest of the token does not fit");
}

/// RFC 5652 section 11. Stricter than notation-go, which takes the first.
#[test]
fn an_attribute_must_not_be_there_twice_or_with_two_values() {
    let value = oid("1.2.840.113549.1.9.16.1.4");
    for more in [
        vec![attribute(CONTENT_TYPE, &[&value])],
        vec![attribute(MESSAGE_DIGEST, &[&tlv(0x04, &[7; 32])])],
        vec![attribute(SIGNING_CERTIFICATE_V2, &[&sequence(&[&sequence(&[&certificate_id(&tsa::authority())])])])],
        vec![attribute(SIGNING_TIME, &[&tlv(0x17, b"250101000000Z"), &tlv(0x17, b"250101000001Z")])],
    ] {
        assert_refused(&stamped(|token| token.signer().more = more), "does not have exactly one value");
    }
    let none = vec![attribute(SIGNING_TIME, &[])];
    assert_refused(&stamped(|token| token.signer().more = none), "malformed signingTime");
    let unknown = vec![attribute("1.2.3", &[&value, &value]), attribute("1.2.3", &[])];
    assert_passed(&stamped(|token| token.signer().more = unknown));
    let many: Vec<Vec<u8>> = (0..30_u8).map(|n| attribute("1.2.3", &[&tlv(0x02, &[n])])).collect();
    assert_refused(&stamped(|token| token.signer().more = many), "more than 32 attributes");
}

/// AT-8: the hash has a default, and may be any of SHA-2; the issuer may be left to the signer's identifier.
#[test]
fn the_signing_certificate_may_be_named_in_every_form_that_the_standard_has() {
    let der = tsa::authority().issue();
    let issuer = issuer_serial(&tsa::authority());
    for id in [
        sequence(&[&tlv(0x04, &tsa::hash(SHA256, &der))]),
        sequence(&[&algorithm(SHA256), &tlv(0x04, &tsa::hash(SHA256, &der)), &issuer]),
        sequence(&[&algorithm(SHA384), &tlv(0x04, &tsa::hash(SHA384, &der)), &issuer]),
        sequence(&[&algorithm(SHA512), &tlv(0x04, &tsa::hash(SHA512, &der))]),
    ] {
        assert_passed(&stamped(|token| token.signer().certificate_ids = vec![id]));
    }
}

/// AT-8.
#[test]
fn the_signing_certificate_must_be_the_one_that_is_named_first() {
    let der = tsa::authority().issue();
    let ids = |ids: Vec<Vec<u8>>| move |token: &mut Token| token.signer().certificate_ids = ids;
    let absent = certificate_id(&Template { serial: vec![0x55], ..tsa::authority() });
    let good = certificate_id(&tsa::authority());
    assert_passed(&stamped(ids(vec![good.clone(), absent.clone()])));
    assert_refused(&stamped(ids(vec![absent.clone(), good.clone()])), "is not in the token");
    assert_refused(&stamped(ids(vec![])), "malformed signingCertificateV2");
    assert_refused(&stamped(ids(vec![good.clone(), vec![0x05, 0x00]])), "malformed signingCertificateV2");
    let other_hash = sequence(&[&tlv(0x04, &[7; 32]), &issuer_serial(&tsa::authority())]);
    assert_refused(&stamped(ids(vec![other_hash])), "does not have the hash");
    let sha1 = sequence(&[&algorithm(SHA1), &tlv(0x04, &tsa::hash(SHA1, &der))]);
    assert_refused(&stamped(ids(vec![sha1])), "uses the hash 1.3.14.3.2.26");
    let name = sequence(&[&sequence(&[&tlv(0x82, b"tsa.example")]), &tlv(0x02, &[3])]);
    let by_dns = sequence(&[&tlv(0x04, &tsa::hash(SHA256, &der)), &name]);
    assert_refused(&stamped(ids(vec![by_dns])), "malformed ESSCertIDv2");
    let nobody = |token: &mut Token| {
        token.signer().certificate_ids = vec![sequence(&[&tlv(0x04, &tsa::hash(SHA256, &der))])];
        token.signer().sid = tsa::sid(&Template { serial: vec![0x55], ..tsa::authority() });
    };
    assert_refused(&stamped(nobody), "is not in the token");
}

/// AT-8.
#[test]
fn the_signing_certificate_must_be_in_the_token() {
    assert_refused(&stamped(|token| token.certificates.clear()), "is not in the token");
    assert_refused(&stamped(|token| token.certificates = vec![tsa::root().issue()]), "is not in the token");
}

/// AT-9.
#[test]
fn tokens_may_be_signed_with_rsa_and_ecdsa_in_all_their_forms() {
    for (kind, scheme, digest) in [
        (Kind::Rsa2048, Scheme::OfCertificates, SHA256),
        (Kind::Rsa2048, Scheme::RsaEncryption, SHA256),
        (Kind::Rsa2048, Scheme::Pss, SHA256),
        (Kind::Rsa3072, Scheme::Pss, SHA384),
        (Kind::P256, Scheme::OfCertificates, SHA256),
        (Kind::P384, Scheme::OfCertificates, SHA384),
        (Kind::P521, Scheme::OfCertificates, SHA512),
        (Kind::P384, Scheme::OfCertificates, SHA256),
    ] {
        let authority = Template { key: kind, ..tsa::authority() };
        let outcome = stamped_with(&[tsa::root().issue()], |signature| {
            let mut token = Token::by(&authority, signature);
            (token.signer().scheme, token.signer().digest) = (scheme, digest);
            token.issue()
        });
        assert_passed(&outcome);
    }
}

/// AT-9.
#[test]
fn a_token_with_a_bad_signature_or_algorithm_is_refused() {
    let invalid = "signature of the token is invalid";
    assert_refused(&stamped(|token| token.signer().key = Kind::Root), invalid);
    // Of the wrong kind for the key, of another hash, and SHA-1.
    for dotted in ["1.2.840.113549.1.1.11", "1.2.840.10045.4.3.3", "1.2.840.10045.4.1", "1.3.101.112"] {
        assert_refused(&stamped(|token| token.signer().algorithm = Some(algorithm(dotted))), invalid);
    }
    assert_refused(&stamped(|token| token.signer().digest = SHA1), "digestAlgorithm of the token uses the hash");
    let rsa = Template { key: Kind::Rsa2048, ..tsa::authority() };
    let by_rsa = |change: fn(&mut tsa::Signer)| {
        stamped_with(&[tsa::root().issue()], |signature| {
            let mut token = Token::by(&rsa, signature);
            change(token.signer());
            token.issue()
        })
    };
    let other_hash = |signer: &mut tsa::Signer| {
        (signer.scheme, signer.digest) = (Scheme::RsaEncryption, SHA384);
    };
    assert_refused(&by_rsa(other_hash), invalid);
    let other_pss = |signer: &mut tsa::Signer| {
        (signer.scheme, signer.algorithm) = (Scheme::Pss, Some(tsa::pss(SHA256)));
        signer.digest = SHA384;
    };
    assert_refused(&by_rsa(other_pss), invalid);
    let bare_pss = |signer: &mut tsa::Signer| {
        (signer.scheme, signer.algorithm) = (Scheme::Pss, Some(sequence(&[&oid("1.2.840.113549.1.1.10")])));
    };
    assert_refused(&by_rsa(bare_pss), invalid);
}

/// AT-10.
#[test]
fn the_signers_own_time_must_be_within_the_validity_of_its_chain() {
    let signed = |tag: u8, value: &str| {
        let more = vec![attribute(SIGNING_TIME, &[&tlv(tag, value.as_bytes())])];
        stamped(|token| token.signer().more = more)
    };
    assert_passed(&signed(0x17, "250101000000Z"));
    assert_passed(&signed(0x18, "20391231235959Z"));
    assert_passed(&signed(0x18, "20250101000000.5Z"));
    let outside = "attribute signingTime";
    assert_refused(&signed(0x17, "191231235959Z"), outside);
    assert_refused(&signed(0x18, "20391231235959.1Z"), outside);
    assert_refused(&signed(0x17, "2501010000Z"), "signingTime of the token is not a time");
    assert_refused(&signed(0x0c, "20250101000000Z"), "signingTime of the token is not a time");
}

/// AT-11.
#[test]
fn the_imprint_may_use_every_hash_of_sha_2_and_no_other() {
    for hash in [SHA256, SHA384, SHA512] {
        assert_passed(&stamped(|token| token.imprint_hash = hash));
    }
    assert_refused(&stamped(|token| token.imprint_hash = SHA1), "messageImprint of the token uses the hash");
    let unreadable = stamped(|token| {
        let mut info = token.info();
        // The parameters of the hash, NULL, become something that is longer than what is around it.
        let at = info.windows(2).position(|bytes| bytes == [0x05, 0x00]).expect("NULL");
        info[at + 1] = 0x0a;
        token.info = Some(info);
    });
    assert_refused(&unreadable, "malformed messageImprint");
}

/// AT-11.
#[test]
fn a_token_about_something_else_is_refused() {
    assert_refused(&stamped(|token| token.message.push(0)), "about another signature");
    let envelope_text = |signature: &[u8]| {
        use base64ct::Encoding as _;
        Token::new(base64ct::Base64UrlUnpadded::encode_string(signature).as_bytes()).issue()
    };
    assert_refused(&stamped_with(&[tsa::root().issue()], envelope_text), "about another signature");
}

/// AT-11.
#[test]
fn only_version_1_of_tst_info_is_known() {
    for version in [0, 2] {
        assert_refused(&stamped(|token| token.info_version = version), "TSTInfo.version is not 1");
    }
}

/// RFC 3161 section 2.4.2, notation-behaviour.
#[test]
fn gen_time_is_utc_to_the_second_with_the_shortest_fraction() {
    for (good, expected) in [
        ("20250101000000Z", "2025-01-01T00:00:00Z"),
        ("20250101000000.1Z", "2025-01-01T00:00:00.1Z"),
        ("20250228235959.123456789Z", "2025-02-28T23:59:59.123456789Z"),
        ("20240229000000.001Z", "2024-02-29T00:00:00.001Z"),
    ] {
        let outcome = stamped(|token| token.time = good.to_owned());
        assert_passed(&outcome);
        assert_eq!(outcome.timestamp().expect("it passed").time, time(expected));
    }
    for bad in [
        "",
        "Z",
        "20250101000000",
        "202501010000Z",
        "2025010100Z",
        "20250101000000.Z",
        "20250101000000.10Z",
        "20250101000000.0Z",
        "20250101000000,5Z",
        "20250101000000.1234567891Z",
        "20250101000000.1 Z",
        "20250101000000+0000",
        "20250101000000z",
        "20250101000060Z",
        "20250101006000Z",
        "20250101240000Z",
        "20250229000000Z",
        "20251301000000Z",
        "20250100000000Z",
        "+2025010100000Z",
        "2025010100000é",
    ] {
        assert_refused(&stamped(|token| token.time = bad.to_owned()), "genTime of the token is not a time");
    }
}

/// Of what follows the time only the form counts, but for extensions that are critical (stricter than notation-go).
#[test]
fn optional_fields_of_tst_info_are_accepted_in_order_and_critical_extensions_are_not() {
    let accuracy = sequence(&[&tlv(0x02, &[1])]);
    let (ordering, nonce) = (tlv(0x01, &[0xff]), tlv(0x02, &[0x7f; 20]));
    let name = tlv(0xa0, &tlv(0xa4, &simple_name(AUTHORITY)));
    let extensions = |critical| tlv(0xa1, &extension("1.3.6.1.5.5.7.1.3", critical, &[0x05, 0x00]));
    let all = [accuracy.clone(), ordering.clone(), nonce.clone(), name, extensions(false)].concat();
    assert_passed(&stamped(|token| token.rest = all));
    assert_refused(&stamped(|token| token.rest = extensions(true)), "critical extension 1.3.6.1.5.5.7.1.3");
    assert_refused(&stamped(|token| token.rest = [nonce, ordering].concat()), "malformed TSTInfo");
    assert_refused(&stamped(|token| token.rest = tlv(0x01, &[0x01])), "malformed ordering");
    assert_refused(&stamped(|token| token.rest = tlv(0xa1, &[0x05, 0x00])), "malformed TSTInfo.extensions");
    let twice = [accuracy.clone(), accuracy].concat();
    assert_refused(&stamped(|token| token.rest = twice), "malformed TSTInfo");
}

/// What an `Accuracy` makes of the time.
fn accuracy(parts: &[&[u8]]) -> Outcome {
    let encoded = sequence(parts);
    stamped(|token| token.rest = encoded)
}

/// AT-13.
#[test]
fn accuracy_is_the_sum_of_its_parts() {
    let millis = |outcome: &Outcome| {
        assert_passed(outcome);
        outcome.timestamp().expect("it passed").accuracy.as_micros()
    };
    assert_eq!(millis(&accuracy(&[&tlv(0x02, &[2])])), 2_000_000);
    assert_eq!(millis(&accuracy(&[&tlv(0x80, &[0x01, 0xf4])])), 500_000);
    assert_eq!(millis(&accuracy(&[&tlv(0x81, &[0x03, 0xe7])])), 999);
    assert_eq!(millis(&accuracy(&[&tlv(0x02, &[1]), &tlv(0x80, &[1]), &tlv(0x81, &[1])])), 1_001_001);
    assert_eq!(millis(&accuracy(&[])), 0);
    assert_eq!(millis(&accuracy(&[&tlv(0x02, &[0])])), 0);
}

/// AT-13: without accuracy the baseline policy stands for one second; an accuracy of nothing counts as none.
#[test]
fn the_baseline_policy_has_an_accuracy_of_a_second() {
    for (rest, expected) in [
        (vec![], 1000),
        (sequence(&[]), 1000),
        (sequence(&[&tlv(0x02, &[0]), &tlv(0x80, &[0])]), 1000),
        (sequence(&[&tlv(0x80, &[5])]), 5),
    ] {
        let outcome = stamped(|token| {
            token.policy = "0.4.0.2023.1.1";
            token.rest = rest;
        });
        assert_passed(&outcome);
        assert_eq!(outcome.timestamp().expect("it passed").accuracy.as_millis(), expected);
    }
}

/// AT-13. Stricter than notation-go, which takes all of these.
#[test]
fn an_accuracy_that_rfc_3161_does_not_allow_is_refused() {
    let out_of_range = "accuracy of the token is out of range";
    assert_refused(&accuracy(&[&tlv(0x02, &[0xff])]), out_of_range);
    assert_refused(&accuracy(&[&tlv(0x80, &[0x03, 0xe8])]), out_of_range);
    assert_refused(&accuracy(&[&tlv(0x81, &[0x80])]), out_of_range);
    assert_refused(&accuracy(&[&tlv(0x02, &[0x00, 0x01])]), out_of_range);
    assert_refused(&accuracy(&[&tlv(0x02, &[])]), out_of_range);
    assert_refused(&accuracy(&[&tlv(0x02, &[0x7f; 9])]), out_of_range);
    assert_refused(&accuracy(&[&tlv(0x80, &[1]), &tlv(0x02, &[1])]), "malformed accuracy");
    // 68 years either way are a number, and no proof.
    assert_refused(&accuracy(&[&tlv(0x02, &[0x7f, 0xff, 0xff, 0xff])]), "is not valid before");
}

/// AT-13: both bounds are inclusive, and hold for each signing certificate.
#[test]
fn the_whole_range_must_be_within_the_validity_of_every_signing_certificate() {
    let short =
        |template: Template| Template { not_before: "20250101000000Z", not_after: "20250101000010Z", ..template };
    let short_leaf = Signer::with_leaf(&short(Template::leaf()));
    let short_root = Signer::with_chain(&[&Template::leaf(), &short(Template::root())]);
    for signer in [short_leaf, short_root] {
        let trust = stores(&[("ca:test", signer.root()), ("tsa:test0", &tsa::root().issue())]);
        let at = |time: &str, seconds: u8| {
            let envelope = stamped_jws(&Jws::new(&signer), |signature| {
                let mut token = Token::new(signature);
                token.time = time.to_owned();
                token.rest = sequence(&[&tlv(0x02, &[seconds])]);
                token.issue()
            });
            judged(&envelope, &policy("strict", "", &["ca:test", "tsa:test0"], &["*"]), &trust, NOW)
        };
        assert_passed(&at("20250101000000Z", 0));
        assert_passed(&at("20250101000010Z", 0));
        assert_passed(&at("20250101000005Z", 5));
        assert_refused(&at("20241231235959.999Z", 0), "is not valid before");
        assert_refused(&at("20250101000010.001Z", 0), "expired at");
        assert_refused(&at("20250101000004.9Z", 5), "may have been made at 2024-12-31T23:59:59.9Z");
        assert_refused(&at("20250101000005.1Z", 5), "may have been made at 2025-01-01T00:00:10.1Z");
    }
}

/// AT-12.
#[test]
fn a_path_may_lead_over_intermediates_of_the_token() {
    let (authority, middle) = (tsa::below_intermediate(tsa::authority()), tsa::intermediate());
    assert_passed(&stamped_by(&authority, &[&middle], &tsa::root()));
    // A copy of the root does no harm, in any order.
    assert_passed(&stamped_by(&authority, &[&tsa::root(), &middle, &middle], &tsa::root()));
    assert_refused(&stamped_by(&authority, &[], &tsa::root()), "no path leads from the timestamp authority");
    assert_refused(&stamped_by(&authority, &[&tsa::root()], &tsa::root()), "no path leads");
}

/// AT-12: neither the token's own root, nor the signer's store counts.
#[test]
fn only_roots_of_tsa_stores_are_trusted() {
    let other = Template { key: Kind::P256, issuer_key: Kind::P256, ..tsa::root() };
    let outcome = stamped_by(&tsa::authority(), &[&tsa::root()], &other);
    assert_refused(&outcome, "no path leads");
    assert!(outcome.message().contains("was not signed by"), "the name is right: {}", outcome.message());
    let below_signers_root = Template { issuer: Template::root().subject, issuer_key: Kind::Root, ..tsa::authority() };
    assert_refused(&stamped_by(&below_signers_root, &[], &tsa::root()), "no path leads");
    assert_passed(&stamped_by(&below_signers_root, &[], &Template::root()));
}

/// AT-12: every store that the statement names counts.
#[test]
fn one_of_several_tsa_stores_is_enough() {
    let other = Template { serial: vec![7], ..Template::root() }.issue();
    let roots = [other.clone(), tsa::root().issue(), tsa::root().issue()];
    let outcome = stamped_with(&roots, |signature| Token::new(signature).issue());
    assert_passed(&outcome);
    assert!(check(&outcome).1.contains("(tsa:test1)"), "{}", check(&outcome).1);
    assert_refused(&stamped_with(&[other], |signature| Token::new(signature).issue()), "no path leads");
}

/// AT-12: the time that counts is the token's, neither the clock nor the signer's own.
#[test]
fn every_certificate_of_the_authority_must_be_valid_at_the_time_of_the_token() {
    let bounds = [("20240101000000Z", "20250101000000Z"), ("20250101000000Z", "20260101000000Z")];
    let outside = [("20240101000000Z", "20241231235959Z"), ("20250101000001Z", "20260101000000Z")];
    let chain = |which: usize, (not_before, not_after): (&'static str, &'static str)| {
        let mut chain = [tsa::below_intermediate(tsa::authority()), tsa::intermediate(), tsa::root()];
        (chain[which].not_before, chain[which].not_after) = (not_before, not_after);
        let [authority, middle, root] = chain;
        stamped_by(&authority, &[&middle], &root)
    };
    for which in 0..3 {
        for valid in bounds {
            assert_passed(&chain(which, valid));
        }
        for invalid in outside {
            let outcome = chain(which, invalid);
            assert_refused(&outcome, "no path leads");
            assert!(outcome.message().contains("is valid from"), "{}", outcome.message());
        }
    }
}

fn with_extensions(template: Template, extensions: Vec<Vec<u8>>) -> Template {
    Template { extensions, ..template }
}

fn chain_with_intermediate(extensions: Vec<Vec<u8>>) -> Outcome {
    let middle = with_extensions(tsa::intermediate(), extensions);
    stamped_by(&tsa::below_intermediate(tsa::authority()), &[&middle], &tsa::root())
}

fn by_authority_with(extensions: Vec<Vec<u8>>) -> Outcome {
    stamped_by(&with_extensions(tsa::authority(), extensions), &[], &tsa::root())
}

/// CC-4 for timestamping.
#[test]
fn an_intermediate_must_be_a_ca_that_may_issue() {
    let usage = || key_usage(KEY_CERT_SIGN);
    assert_refused(&chain_with_intermediate(vec![usage()]), "is not a CA");
    assert_refused(&chain_with_intermediate(vec![basic_constraints(false, None), usage()]), "is not a CA");
    let not_critical = extension("2.5.29.19", false, &basic_constraints_value(true, None));
    assert_refused(
        &chain_with_intermediate(vec![not_critical, usage()]),
        "basicConstraints extension that is not critical",
    );
    let other_usage = vec![basic_constraints(true, None), key_usage(CRL_SIGN)];
    assert_refused(&chain_with_intermediate(other_usage), "lacks the key usage keyCertSign");
}

/// CC-4 for timestamping.
#[test]
fn a_path_must_not_be_longer_than_its_cas_allow() {
    assert_passed(&chain_with_intermediate(vec![basic_constraints(true, Some(0)), key_usage(KEY_CERT_SIGN)]));
    let root = |length| {
        let root = with_extensions(tsa::root(), vec![basic_constraints(true, Some(length)), key_usage(KEY_CERT_SIGN)]);
        stamped_by(&tsa::below_intermediate(tsa::authority()), &[&tsa::intermediate()], &root)
    };
    assert_passed(&root(1));
    assert_refused(&root(0), "does not allow 1 intermediates below it");
}

/// TC-1: must be there, need not be critical, as in Microsoft's root of 2010.
#[test]
fn the_key_usage_of_an_authority_need_not_be_critical_but_must_be_there() {
    let not_critical = |bits| extension("2.5.29.15", false, &key_usage_value(bits));
    let stamping = || usages(true, &[TIME_STAMPING]);
    assert_passed(&by_authority_with(vec![not_critical(DIGITAL_SIGNATURE), stamping()]));
    assert_passed(&by_authority_with(vec![key_usage(DIGITAL_SIGNATURE | NON_REPUDIATION), stamping()]));
    assert_passed(&chain_with_intermediate(vec![basic_constraints(true, None), not_critical(KEY_CERT_SIGN)]));
    let root = with_extensions(tsa::root(), vec![basic_constraints(true, None), not_critical(KEY_CERT_SIGN)]);
    assert_passed(&stamped_by(&tsa::authority(), &[], &root));

    assert_refused(&by_authority_with(vec![stamping()]), "has no keyUsage extension");
    assert_refused(&chain_with_intermediate(vec![basic_constraints(true, None)]), "has no keyUsage extension");
    let root = with_extensions(tsa::root(), vec![basic_constraints(true, None)]);
    assert_refused(&stamped_by(&tsa::authority(), &[], &root), "has no keyUsage extension");
}

/// CC-5 for timestamping.
#[test]
fn the_certificate_of_an_authority_is_for_signing_and_no_ca() {
    let stamping = || usages(true, &[TIME_STAMPING]);
    assert_refused(
        &by_authority_with(vec![key_usage(NON_REPUDIATION), stamping()]),
        "lacks the key usage digitalSignature",
    );
    let encipherment = vec![key_usage(DIGITAL_SIGNATURE | KEY_ENCIPHERMENT), stamping()];
    assert_refused(&by_authority_with(encipherment), "has the key usage keyEncipherment");
    let ca = vec![basic_constraints(true, None), key_usage(DIGITAL_SIGNATURE), stamping()];
    assert_refused(&by_authority_with(ca), "is a CA");
    let no_ca = vec![basic_constraints(false, None), key_usage(DIGITAL_SIGNATURE), stamping()];
    assert_passed(&by_authority_with(no_ca));
}

/// TC-2.
#[test]
fn the_certificate_of_an_authority_is_for_timestamping_alone() {
    let of = |extension: Vec<u8>| by_authority_with(vec![key_usage(DIGITAL_SIGNATURE), extension]);
    let (code_signing, any) = ("1.3.6.1.5.5.7.3.3", "2.5.29.37.0");
    let alone = "does not have timeStamping as its only extended key usage";
    assert_refused(&by_authority_with(vec![key_usage(DIGITAL_SIGNATURE)]), alone);
    assert_refused(&of(usages(true, &[TIME_STAMPING, code_signing])), alone);
    assert_refused(&of(usages(true, &[TIME_STAMPING, "1.2.3.4"])), alone);
    assert_refused(&of(usages(true, &[TIME_STAMPING, TIME_STAMPING])), alone);
    assert_refused(&of(usages(true, &[any])), alone);
    assert_refused(&of(usages(true, &[code_signing])), "is not for timeStamping");
    assert_refused(&of(usages(false, &[TIME_STAMPING])), "extendedKeyUsage extension that is not critical");
}

/// AT-12: what a CA's own usages leave out, it cannot pass on.
#[test]
fn extended_key_usages_of_cas_are_enforced() {
    let ca = |extension: Vec<u8>| {
        chain_with_intermediate(vec![basic_constraints(true, None), key_usage(KEY_CERT_SIGN), extension])
    };
    let (code_signing, any) = ("1.3.6.1.5.5.7.3.3", "2.5.29.37.0");
    assert_passed(&ca(usages(false, &[code_signing, TIME_STAMPING])));
    assert_passed(&ca(usages(false, &[any])));
    // As in Go.
    assert_passed(&ca(usages(false, &[])));
    assert_refused(&ca(usages(false, &[code_signing])), "is not for timeStamping");
    let root = tsa::root().with_extension(usages(false, &[code_signing]));
    assert_refused(&stamped_by(&tsa::authority(), &[], &root), "is not for timeStamping");
}

/// AT-9: what may sign certificates may not sign tokens.
#[test]
fn an_authority_must_not_sign_with_ed25519() {
    let authority = Template { key: Kind::Ed25519, ..tsa::authority() };
    assert_refused(&stamped_by(&authority, &[], &tsa::root()), "signature of the token is invalid");
    let middle = Template { key: Kind::Ed25519, ..tsa::intermediate() };
    let authority = Template { issuer_key: Kind::Ed25519, ..tsa::below_intermediate(tsa::authority()) };
    assert_passed(&stamped_by(&authority, &[&middle], &tsa::root()));
}

/// D8, AT-12: other than in a code-signing chain, what is critical counts.
#[test]
fn extensions_that_a_validation_of_paths_would_have_to_process_are_refused() {
    let unknown = |critical| extension("1.2.3.4", critical, &[0x05, 0x00]);
    let subtrees = tlv(0xa0, &sequence(&[&tlv(0x82, b"example.com")]));
    let names = |critical| extension("2.5.29.30", critical, &sequence(&[&subtrees]));
    let policies = |critical| extension("2.5.29.36", critical, &sequence(&[]));
    let with = |which: usize, extension: Vec<u8>| {
        let mut chain = [tsa::below_intermediate(tsa::authority()), tsa::intermediate(), tsa::root()];
        chain[which].extensions.push(extension);
        let [authority, middle, root] = chain;
        stamped_by(&authority, &[&middle], &root)
    };
    for which in 0..3 {
        assert_passed(&with(which, unknown(false)));
        assert_passed(&with(which, extension("2.5.29.32", true, &sequence(&[]))));
        for (extension, oid) in [
            (unknown(true), "1.2.3.4"),
            (names(true), "2.5.29.30"),
            (names(false), "2.5.29.30"),
            (policies(false), "2.5.29.36"),
        ] {
            assert_refused(&with(which, extension), &format!("has the extension {oid}, which is not processed"));
        }
    }
}

/// As in Go: X.690 section 8.3.2.
#[test]
fn integers_of_a_token_are_in_shortest_form() {
    for number in [&[][..], &[0x00, 0x2a], &[0xff, 0x80]] {
        let info = |token: &Token| {
            let imprint = sequence(&[&algorithm(SHA256), &tlv(0x04, &tsa::hash(SHA256, &token.message))]);
            let time = tlv(0x18, token.time.as_bytes());
            sequence(&[&tlv(0x02, &[1]), &oid(token.policy), &imprint, &tlv(0x02, number), &time])
        };
        assert_refused(&stamped(|token| token.info = Some(info(token))), "TSTInfo.serialNumber");
        assert_refused(&stamped(|token| token.rest = tlv(0x02, number)), "nonce");
        let sid = sequence(&[&tsa::authority().issuer, &tlv(0x02, number)]);
        assert_refused(&stamped(|token| token.signer().sid = sid.clone()), "sid");
    }
    assert_passed(&stamped(|token| token.rest = tlv(0x02, &[0x00, 0x80])));
}

/// AT-12: where Go takes the first path that it finds, every path must keep the rules here.
#[test]
fn every_path_to_a_root_must_keep_the_rules() {
    let good = tsa::intermediate();
    let without_usage =
        Template { serial: vec![8], extensions: vec![basic_constraints(true, None)], ..tsa::intermediate() };
    let authority = tsa::below_intermediate(tsa::authority());
    for others in [[&good, &without_usage], [&without_usage, &good]] {
        assert_refused(&stamped_by(&authority, &others, &tsa::root()), "has no keyUsage extension");
    }
    // One that has ended leads nowhere, and is no path.
    let ended = Template { serial: vec![8], not_after: "20241231000000Z", ..tsa::intermediate() };
    for others in [[&good, &ended], [&ended, &good]] {
        assert_passed(&stamped_by(&authority, &others, &tsa::root()));
    }
}

/// Work is bounded, whatever an attacker puts into a token.
#[test]
fn the_search_for_a_path_ends() {
    let name = |number: usize| simple_name(&format!("CN=entity {number}"));
    let keys = [Kind::Root, Kind::P256, Kind::P384, Kind::P521];
    let certify = |subject: usize, issuer: usize, serial: u8| Template {
        subject: name(subject),
        issuer: name(issuer),
        key: keys[subject],
        issuer_key: keys[issuer],
        extensions: vec![basic_constraints(true, None), key_usage(KEY_CERT_SIGN)],
        serial: vec![serial],
        ..tsa::root()
    };
    let authority = Template { issuer: name(0), issuer_key: keys[0], ..tsa::authority() };
    let search =
        |certificates: Vec<Template>| stamped_by(&authority, &certificates.iter().collect::<Vec<_>>(), &tsa::root());
    // Four entities that have certified each other, and none of them by a root: no entity comes twice in a path.
    let pairs = (0..4).flat_map(|subject| (0..4).map(move |issuer| (subject, issuer)));
    let circles = pairs.filter(|(subject, issuer)| subject != issuer);
    assert_refused(&search(circles.map(|(subject, issuer)| certify(subject, issuer, 1)).collect()), "no path leads");
    // Three entities with five certificates each: 5 + 25 + 125 signatures to check.
    let layers = (0..3).flat_map(|subject| (1..=5).map(move |serial| (subject, serial)));
    let layers = layers.map(|(subject, serial)| certify(subject, subject + 1, serial)).collect();
    assert_refused(&search(layers), "took more than 100 signature checks");
}

/// AT-14, TS-7: endpoints anywhere below the root leave the question open, whatever the action for revocation is.
#[test]
fn an_authority_with_a_revocation_endpoint_is_unknown_and_the_root_is_never_asked_about() {
    for endpoint in [authority_information("1.3.6.1.5.5.7.48.1"), distribution_points("2.5.29.31")] {
        let with = |which: usize, level: &str, over: &str| {
            let mut chain = [tsa::below_intermediate(tsa::authority()), tsa::intermediate(), tsa::root()];
            chain[which].extensions.push(endpoint.clone());
            let [authority, middle, root] = chain;
            let envelope = stamped_jws(&Jws::new(&Signer::new()), |signature| {
                let mut token = Token::by(&authority, signature);
                token.certificates.push(middle.issue());
                token.issue()
            });
            let policy = policy(level, over, &["ca:test", "tsa:test0"], &["*"]);
            judged(&envelope, &policy, &trusting_authorities(&[root.issue()]), NOW)
        };
        for which in [0, 1] {
            for over in ["", r#","override":{"revocation":"skip"}"#, r#","override":{"revocation":"log"}"#] {
                let outcome = with(which, "strict", over);
                let found = (outcome.verdict(), outcome.reason());
                assert_eq!(found, (Verdict::Unknown, Reason::RevocationUnknown), "{}", outcome.message());
                assert!(outcome.message().contains("the timestamp is sound, but"), "{}", outcome.message());
                assert_eq!(outcome.timestamp(), None);
                assert_eq!(check(&outcome).0, CheckResult::Unknown);
            }
            let logged = with(which, "strict", r#","override":{"authenticTimestamp":"log"}"#);
            assert_eq!((logged.verdict(), logged.reason()), (Verdict::Verified, Reason::FailuresLogged));
            assert_eq!(logged.timestamp(), None);
        }
        assert_passed(&with(2, "strict", ""));
    }
}

/// AT-14: a broken token of such an authority is failed, not undecided.
#[test]
fn what_is_wrong_with_a_token_comes_before_what_is_not_known() {
    let authority = tsa::authority().with_extension(distribution_points("2.5.29.31"));
    let roots = [tsa::root().issue()];
    let outcome = stamped_with(&roots, |_| Token::by(&authority, b"another").issue());
    assert_refused(&outcome, "about another signature");
    let outcome = stamped_with(&roots, |signature| {
        let mut token = Token::by(&authority, signature);
        token.time = "20190101000000Z".to_owned();
        token.issue()
    });
    assert_refused(&outcome, "no path leads");
}

/// AT-15.
#[test]
fn a_tsa_store_that_is_not_there_leaves_a_sound_token_undecided() {
    let policy = policy("strict", "", &["ca:test", "tsa:test0", "tsa:gone"], &["*"]);
    let trust = trusting_authorities(&[tsa::root().issue()]);
    let envelope = stamped_jws(&Jws::new(&Signer::new()), |signature| Token::new(signature).issue());
    let outcome = judged(&envelope, &policy, &trust, NOW);
    assert_eq!((outcome.verdict(), outcome.reason()), (Verdict::Unknown, Reason::TrustStoreUnavailable));
    assert!(outcome.message().contains("trust store tsa:gone is unavailable"), "{}", outcome.message());
    let broken = stamped_jws(&Jws::new(&Signer::new()), |_| Token::new(b"another").issue());
    assert_refused(&judged(&broken, &policy, &trust, NOW), "about another signature");
}

/// notation-behaviour: a token from the future is accepted if the signing certificates cover it.
#[test]
fn a_timestamp_from_the_future_is_judged_by_the_certificates_alone() {
    assert_passed(&stamped(|token| token.time = "20300101000000Z".to_owned()));
    assert_refused(&stamped(|token| token.time = "20400101000000Z".to_owned()), "no path leads");
}

/// Text from a certificate is cut and cleaned wherever a message quotes it.
#[test]
fn messages_quote_the_authority_cut_and_cleaned() {
    let subject = simple_name(&format!("CN=\u{1b}[2J\n{},O=o,C=c", "x".repeat(2000)));
    let authority = Template { subject, ..tsa::authority() };
    let strange = Template { issuer: simple_name("CN=x"), ..authority.clone() };
    for outcome in [stamped_by(&authority, &[], &tsa::root()), stamped_by(&strange, &[], &tsa::root())] {
        let (_, message) = check(&outcome);
        assert!(message.len() < 1000 && !message.contains(char::is_control), "{message}");
    }
}
