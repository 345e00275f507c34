// SPDX-License-Identifier: Apache-2.0
//! No input makes anything panic, and no change of what is signed goes unnoticed.

use std::sync::OnceLock;

use proptest::prelude::*;
use sealwatch_notation::{
    Certificate, DistinguishedName, Envelope, MEDIA_TYPE_COSE, MEDIA_TYPE_JWS, TrustPolicyDocument, Verdict,
    parse_certificates,
};

use crate::support::cose::{Cose, SIGNED_AT};
use crate::support::jws::Jws;
use crate::support::pki::{Signer, Template};
use crate::support::{NOW, SIGNER, judged, policy, stores, time, trusting, tsa};

struct Good {
    jws: Vec<u8>,
    cose: Vec<u8>,
    root: Vec<u8>,
    certificate: Vec<u8>,
}

fn good() -> &'static Good {
    static GOOD: OnceLock<Good> = OnceLock::new();
    GOOD.get_or_init(|| {
        let signer = Signer::new();
        Good {
            jws: Jws::new(&signer).expiring("2030-01-01T00:00:00Z").sign(),
            cose: Cose::new(&signer).expiring(SIGNED_AT * 2).sign(),
            root: signer.root().to_vec(),
            certificate: Template::leaf().issue(),
        }
    })
}

/// Changes to bytes: where (as a fraction), how.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Flip(f64, u8),
    Remove(f64, usize),
    Insert(f64, Vec<u8>),
    Repeat(f64, usize),
}

pub(crate) fn changes() -> impl Strategy<Value = Vec<Change>> {
    let place = 0.0..1.0_f64;
    let change = prop_oneof![
        4 => (place.clone(), 1..=255_u8).prop_map(|(at, bits)| Change::Flip(at, bits)),
        1 => (place.clone(), 1..40_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        1 => (place.clone(), prop::collection::vec(any::<u8>(), 1..20)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        1 => (place, 1..60_usize).prop_map(|(at, length)| Change::Repeat(at, length)),
    ];
    prop::collection::vec(change, 1..4)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // a place in the bytes
pub(crate) fn changed(bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for change in changes {
        let place = |at: f64, out: &[u8]| ((out.len() as f64) * at) as usize;
        match change {
            Change::Flip(at, bits) => {
                let at = place(*at, &out);
                if let Some(byte) = out.get_mut(at) {
                    *byte ^= bits;
                }
            }
            Change::Remove(at, length) => {
                let at = place(*at, &out);
                out.drain(at..(at + length).min(out.len()));
            }
            Change::Insert(at, bytes) => {
                let at = place(*at, &out);
                out.splice(at..at, bytes.iter().copied());
            }
            Change::Repeat(at, length) => {
                let at = place(*at, &out);
                let part = out[at..(at + length).min(out.len())].to_vec();
                out.splice(at..at, part);
            }
        }
    }
    out
}

/// What is signed must be what it was, if the changed envelope still verifies.
fn assert_nothing_signed_changed(media_type: &str, original: &[u8], mutated: &[u8]) {
    let Ok(envelope) = Envelope::parse(media_type, mutated) else { return };
    let before = Envelope::parse(media_type, original).expect("the original is good");
    let trust = stores(&[("ca:test", &good().root)]);
    let outcome = judged(&envelope, &trusting("strict"), &trust, NOW);
    if outcome.verdict() == Verdict::Verified {
        assert_eq!(envelope.target(), before.target());
        assert_eq!(envelope.signing_scheme(), before.signing_scheme());
        assert_eq!(envelope.signing_time(), before.signing_time());
        assert_eq!(envelope.expiry(), before.expiry());
        assert_eq!(envelope.certificate_chain(), before.certificate_chain());
    }
}

/// Every byte of the signed parts, one after the other.
#[test]
fn no_changed_bit_in_the_signed_parts_of_a_cose_envelope_is_verified() {
    let Good { cose, .. } = good();
    let payload = cose.windows(16).position(|window| window.starts_with(b"{\"targetArtifact")).expect("the payload");
    let protected_end = cose.windows(6).position(|window| window == [0xa2, 0x18, 0x21, 0x82, 0x59, 0x01]);
    let protected_end = protected_end.expect("the unprotected header");
    for at in (0..protected_end).chain(payload..cose.len()) {
        for bit in 0..8 {
            let mut mutated = cose.clone();
            mutated[at] ^= 1 << bit;
            assert!(Envelope::parse(MEDIA_TYPE_COSE, &mutated).is_err(), "byte {at}, bit {bit}");
        }
    }
}

/// Every character of the signed parts, one after the other.
#[test]
fn no_changed_character_in_the_signed_parts_of_a_jws_envelope_is_verified() {
    let good: serde_json::Value = serde_json::from_slice(&good().jws).expect("JSON");
    for member in ["payload", "protected", "signature"] {
        let text = good[member].as_str().expect("text");
        for at in 0..text.len() {
            for replacement in ["A", "_", "=", "", "AA"] {
                if text[at..].starts_with(replacement) && replacement.len() == 1 {
                    continue;
                }
                let mut mutated = good.clone();
                mutated[member] = format!("{}{replacement}{}", &text[..at], &text[at + 1..]).into();
                let bytes = mutated.to_string().into_bytes();
                assert!(Envelope::parse(MEDIA_TYPE_JWS, &bytes).is_err(), "{member} at {at}: {replacement:?}");
            }
        }
    }
}

const POLICY: &str = r#"{"version":"1.0","trustPolicies":[{"name":"a","registryScopes":["registry.example/x"],
    "signatureVerification":{"level":"strict","override":{"expiry":"log"},"verifyTimestamp":"always"},
    "trustStores":["ca:a","tsa:b"],"trustedIdentities":["x509.subject: C=US, ST=WA, O=o\\, p\\20"]}]}"#;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_mutation_of_a_jws_envelope_panics_or_changes_what_is_verified(changes in changes()) {
        let mutated = changed(&good().jws, &changes);
        assert_nothing_signed_changed(MEDIA_TYPE_JWS, &good().jws, &mutated);
    }

    #[test]
    fn no_mutation_of_a_cose_envelope_panics_or_changes_what_is_verified(changes in changes()) {
        let mutated = changed(&good().cose, &changes);
        assert_nothing_signed_changed(MEDIA_TYPE_COSE, &good().cose, &mutated);
    }

    #[test]
    fn no_mutation_of_a_certificate_panics(changes in changes()) {
        let mutated = changed(&good().certificate, &changes);
        if let Ok(certificate) = Certificate::from_der(&mutated) {
            prop_assert_eq!(certificate.der(), &mutated);
        }
        let _ = parse_certificates(&mutated);
    }

    #[test]
    fn no_mutation_of_a_timestamp_token_panics_or_changes_the_time(changes in changes(), signed_too in any::<bool>()) {
        let root = Template::root().issue();
        let trust = stores(&[("ca:test", &root), ("tsa:test", &tsa::root().issue())]);
        let envelope = tsa::stamped_jws(&Jws::new(&Signer::new()), |signature| {
            let mut token = tsa::Token::new(signature);
            if signed_too {
                // What the authority signs is changed before it signs.
                token.info = Some(changed(&token.info(), &changes));
                token.issue()
            } else {
                changed(&token.issue(), &changes)
            }
        });
        let outcome = judged(&envelope, &policy("strict", "", &["ca:test", "tsa:test"], &["*"]), &trust, NOW);
        if let Some(timestamp) = outcome.timestamp().filter(|_| !signed_too) {
            prop_assert_eq!(timestamp.time, time(tsa::STAMPED_AT));
            prop_assert_eq!(timestamp.accuracy.as_nanos(), 0);
        }
    }

    #[test]
    fn no_mutation_of_a_policy_panics(changes in changes()) {
        let mutated = changed(POLICY.as_bytes(), &changes);
        if let Ok(document) = TrustPolicyDocument::from_json(&mutated) {
            prop_assert!(!document.statements().is_empty());
        }
    }

    #[test]
    fn no_mutation_of_a_distinguished_name_panics(changes in changes(), text in "[A-Z=,;+#\\\\ \"0-9a-f\u{e9}]{0,40}") {
        let mutated = changed(SIGNER.as_bytes(), &changes);
        for name in [String::from_utf8_lossy(&mutated).as_ref(), &text] {
            if let Ok(name) = DistinguishedName::parse(name) {
                prop_assert!(name.is_subset_of(&name));
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Envelope::parse(MEDIA_TYPE_JWS, &bytes);
        let _ = Envelope::parse(MEDIA_TYPE_COSE, &bytes);
        let _ = Envelope::parse(MEDIA_TYPE_COSE, &[&[0xd2, 0x84][..], &bytes].concat());
        let _ = parse_certificates(&bytes);
        let _ = TrustPolicyDocument::from_json(&bytes);
    }
}

/// The policy that is mutated above is a good one.
#[test]
fn the_policy_of_the_mutations_is_valid() {
    TrustPolicyDocument::from_json(POLICY.as_bytes()).expect("a valid policy");
}
