// SPDX-License-Identifier: Apache-2.0
//! CO: COSE envelopes.

use coset::cbor::Value;
use sealwatch_notation::{Envelope, EnvelopeError, MEDIA_TYPE_COSE, SignatureAlgorithm, SigningScheme, Timestamp};

use crate::support::cose::{AUTHENTIC, Cose, EXPIRY, SCHEME, SIGNED_AT, SIGNING_TIME, encode, epoch};
use crate::support::key::Kind;
use crate::support::pki::{Signer, Template};
use crate::support::{CONTENT_TYPE, SIGNER, target, time};

const TOKEN: &str = "io.cncf.notary.timestampSignature";

fn parse(bytes: &[u8]) -> Result<Envelope, EnvelopeError> {
    Envelope::parse(MEDIA_TYPE_COSE, bytes)
}

fn refusal(change: impl FnOnce(&mut Cose)) -> EnvelopeError {
    let mut cose = Cose::new(&Signer::new());
    change(&mut cose);
    parse(&cose.sign()).expect_err("the envelope must be refused")
}

fn accepted(change: impl FnOnce(&mut Cose)) -> Envelope {
    let mut cose = Cose::new(&Signer::new());
    change(&mut cose);
    parse(&cose.sign()).expect("the envelope must be accepted")
}

/// CO-2, CO-10, CO-11.
#[test]
fn a_good_envelope_gives_back_everything_that_was_signed() {
    let envelope = accepted(|cose| {
        *cose = cose.clone().expiring(SIGNED_AT + 60);
        cose.set_unprotected(TOKEN, vec![1_u8, 2, 3].as_slice());
    });
    assert_eq!(envelope.media_type(), MEDIA_TYPE_COSE);
    assert_eq!(envelope.signing_scheme(), SigningScheme::X509);
    assert_eq!(envelope.algorithm(), SignatureAlgorithm::Es256);
    assert_eq!(envelope.signing_time(), time("2025-01-01T00:00:00Z"));
    assert_eq!(envelope.expiry(), Some(time("2025-01-01T00:01:00Z")));
    assert_eq!(envelope.target(), &target());
    assert_eq!(envelope.leaf().subject(), SIGNER);
    assert_eq!(envelope.signing_agent(), Some("sealwatch-tests/1"));
    assert_eq!(envelope.timestamp_token(), Some(&[1, 2, 3][..]));
    assert_eq!(envelope.signature().len(), 64);
}

/// CO-3.
#[test]
fn all_six_algorithms_verify() {
    let kinds = [Kind::Rsa2048, Kind::Rsa3072, Kind::Rsa4096, Kind::P256, Kind::P384, Kind::P521];
    for (kind, algorithm) in kinds.into_iter().zip(SignatureAlgorithm::ALL) {
        let signer = Signer::with_leaf(&Template { key: kind, ..Template::leaf() });
        let envelope = parse(&Cose::new(&signer).sign()).unwrap_or_else(|error| panic!("{algorithm}: {error}"));
        assert_eq!(envelope.algorithm(), algorithm);
    }
}

/// CO-3.
#[test]
fn an_algorithm_that_the_leafs_key_does_not_imply_is_refused() {
    // ES384, ES512, PS256, EdDSA, HMAC 256/256, RS256.
    for algorithm in [-35, -36, -37, -8, 5, -257] {
        let error = refusal(|cose| {
            cose.set(1, algorithm);
        });
        assert!(matches!(error, EnvelopeError::AlgorithmUnsupported { .. }), "{algorithm}: {error}");
    }
    let error = refusal(|cose| {
        cose.remove(1);
    });
    assert_eq!(error, EnvelopeError::HeaderMissing { header: "alg" });
    // The algorithm among the unprotected headers is none.
    let error = refusal(|cose| {
        cose.remove(1).set_unprotected(1, -7);
    });
    assert_eq!(error, EnvelopeError::HeaderMissing { header: "alg" });
    refusal(|cose| {
        cose.set(1, "ES256");
    });
}

/// CO-1.
#[test]
fn only_one_tagged_sign1_is_an_envelope() {
    let cose = Cose::new(&Signer::new());
    let parts = cose.parts();
    let tagged = |tag, value| encode(&Value::Tag(tag, Box::new(value)));
    let good = cose.sign();
    let replaced = |at: usize, part: Value| {
        let mut parts = parts.clone();
        parts[at] = part;
        tagged(18, Value::Array(parts))
    };
    // Tag 18 in two bytes, and an array head in two bytes.
    let long_tag = [&[0xd8, 0x12], &good[1..]].concat();
    let long_array = [&[0xd2, 0x98, 0x04], &good[2..]].concat();
    let indefinite = [&[0xd2, 0x9f], &good[2..], &[0xff]].concat();
    for (what, bytes) in [
        ("nothing", Vec::new()),
        ("untagged", encode(&Value::Array(parts.clone()))),
        ("COSE_Sign", tagged(98, Value::Array(parts.clone()))),
        ("three parts", tagged(18, Value::Array(parts[..3].to_vec()))),
        ("a long tag", long_tag),
        ("a long array head", long_array),
        ("an indefinite array", indefinite),
        ("trailing bytes", [good.as_slice(), &[0]].concat()),
        ("a cut end", good[..good.len() - 1].to_vec()),
        ("a detached payload", replaced(2, Value::Null)),
        ("protected headers that are a map", replaced(0, Value::Map(cose.protected.clone()))),
        ("protected headers that are an array", replaced(0, Value::Bytes(vec![0x80]))),
        ("an empty signature", replaced(3, Value::Bytes(Vec::new()))),
        ("a signature of text", replaced(3, "x".into())),
        ("unprotected headers in a string", replaced(1, Value::Bytes(encode(&Value::Map(cose.unprotected.clone()))))),
        ("a signature over another payload", replaced(2, Value::Bytes(b"{}".to_vec()))),
    ] {
        assert!(parse(&bytes).is_err(), "{what}");
    }
    assert!(parse(&good).is_ok());
}

/// CO-1: what CBOR decoders read differently.
#[test]
fn ambiguous_cbor_is_refused() {
    let good = encode(&Value::Map(Cose::new(&Signer::new()).protected));
    assert_eq!(good[0], 0xa5);
    let with = |entry: &[u8]| [&[0xa6], &good[1..], entry].concat();
    for (what, protected) in [
        ("a label twice", with(&[0x01, 0x26])),
        ("a label twice, once in a longer form", with(&[0x18, 0x01, 0x26])),
        ("a text label twice in a nested map", with(&[0x61, b'a', 0xa2, 0x61, b'b', 0x00, 0x61, b'b', 0x00])),
        ("a number in a longer form", with(&[0x61, b'a', 0x18, 0x01])),
        ("an indefinite map", [&[0xbf], &good[1..], &[0xff]].concat()),
        ("an indefinite text", with(&[0x7f, 0x61, b'a', 0xff, 0x00])),
        ("text that is not UTF-8", with(&[0x62, 0xc3, 0x28, 0x00])),
        ("an unassigned simple value", with(&[0x61, b'a', 0xe0])),
        ("a reserved length", with(&[0x61, b'a', 0x1c])),
        ("nesting", with(&[&[0x61, b'a'][..], &[0x81; 40], &[0x00]].concat())),
        ("an array of 2^63", with(&[0x61, b'a', 0x9b, 0x80, 0, 0, 0, 0, 0, 0, 0])),
        ("a string of 2^63", with(&[0x61, b'a', 0x5b, 0x80, 0, 0, 0, 0, 0, 0, 0])),
        ("too many items", with(&[&[0x61, b'a', 0x99, 0x20, 0x00][..], &[0x00; 0x2000]].concat())),
        ("trailing bytes", [good.as_slice(), &[0x00]].concat()),
    ] {
        let error = refusal(|cose| cose.protected_bytes = Some(protected));
        assert!(matches!(error, EnvelopeError::Malformed { part: "protected header" | "COSE", .. }), "{what}: {error}");
    }
}

/// CO-4, D21, D22.
#[test]
fn crit_must_list_exactly_what_it_may_and_must() {
    let with = |crit: &[Value]| {
        refusal(|cose| {
            cose.set(2, Value::Array(crit.to_vec()));
        })
    };
    with(&[]);
    with(&[Value::Null]);
    refusal(|cose| {
        cose.remove(2);
    });
    for number in [1, 2, 3, 4] {
        let error = with(&[SCHEME.into(), number.into()]);
        assert_eq!(error, EnvelopeError::CriticalForbidden { header: format!("label {number}") });
    }
    for absent in ["nobody", EXPIRY, AUTHENTIC] {
        let error = with(&[SCHEME.into(), absent.into()]);
        assert_eq!(error, EnvelopeError::CriticalAbsent { header: absent.to_owned() });
    }
    assert_eq!(with(&[SCHEME.into(), 33.into()]), EnvelopeError::CriticalAbsent { header: "label 33".to_owned() });
    assert_eq!(with(&[SCHEME.into(), SCHEME.into()]), EnvelopeError::CriticalRepeated { header: SCHEME.to_owned() });
    assert_eq!(with(&[SIGNING_TIME.into()]), EnvelopeError::HeaderNotCritical { header: SCHEME });
    let error = refusal(|cose| {
        cose.set(EXPIRY, epoch(SIGNED_AT + 60));
    });
    assert_eq!(error, EnvelopeError::HeaderNotCritical { header: EXPIRY });
    let error = refusal(|cose| {
        *cose = Cose::signing_authority(&Signer::new());
        cose.crit(&[SCHEME]);
    });
    assert_eq!(error, EnvelopeError::HeaderNotCritical { header: AUTHENTIC });
    refusal(|cose| {
        cose.remove(2).set_unprotected(2, Value::Array(vec![SCHEME.into()]));
    });
    // The signing time may be critical: notation accepts it, and it is understood.
    accepted(|cose| {
        cose.crit(&[SCHEME, SIGNING_TIME]);
    });
}

/// CO-5.
#[test]
fn another_content_type_is_refused() {
    let error = refusal(|cose| {
        cose.set(3, "application/json");
    });
    assert_eq!(error, EnvelopeError::ContentTypeUnsupported { found: "application/json".to_owned() });
    // 50 is JSON in the registry of CoAP.
    let error = refusal(|cose| {
        cose.set(3, 50);
    });
    assert!(matches!(error, EnvelopeError::HeaderInvalid { header: "content type", .. }), "{error}");
    let error = refusal(|cose| {
        cose.remove(3);
    });
    assert_eq!(error, EnvelopeError::HeaderMissing { header: "content type" });
    refusal(|cose| {
        cose.set(3, Value::Bytes(CONTENT_TYPE.as_bytes().to_vec()));
    });
}

/// CO-6.
#[test]
fn another_signing_scheme_is_refused() {
    let error = refusal(|cose| {
        cose.set(SCHEME, "notary.x509.other");
    });
    assert_eq!(error, EnvelopeError::SchemeUnsupported { found: "notary.x509.other".to_owned() });
    let error = refusal(|cose| {
        cose.set(SCHEME, 7);
    });
    assert!(matches!(error, EnvelopeError::HeaderInvalid { .. }), "{error}");
    refusal(|cose| {
        cose.remove(SCHEME);
    });
}

/// CO-1, as in notation-go, which has no tags in an envelope, and few inside of its protected headers.
#[test]
fn tags_and_numbers_that_notation_cannot_read_are_refused() {
    let is_malformed = |error: EnvelopeError| matches!(error, EnvelopeError::Malformed { .. });
    for value in [
        Value::Tag(0, Box::new("2025-01-01T00:00:00Z".into())),
        Value::Tag(1, Box::new("2025-01-01T00:00:00Z".into())),
        Value::Tag(2, Box::new(Value::Bytes(vec![1]))),
        Value::Tag(1, Box::new(epoch(SIGNED_AT))),
        (i64::MAX as u64 + 1).into(),
        Value::Array(vec![u64::MAX.into()]),
    ] {
        assert!(is_malformed(refusal(|cose| _ = cose.set(SIGNING_TIME, value.clone()))), "{value:?}");
        assert!(is_malformed(refusal(|cose| _ = cose.set("x", value.clone()))), "{value:?}");
        assert!(is_malformed(refusal(|cose| _ = cose.set_unprotected("x", value.clone()))), "{value:?}");
    }
    assert!(is_malformed(refusal(|cose| _ = cose.set_unprotected("x", epoch(1)))));
    accepted(|cose| _ = cose.set("x", epoch(1)));
    accepted(|cose| _ = cose.set("x", i64::MAX).set("y", i64::MIN));
}

/// CO-9: what overflows Go's clock lies before all signing times there.
#[test]
fn an_expiry_beyond_gos_clock_is_refused() {
    let last = i64::MAX - 62_135_596_800;
    accepted(|cose| *cose = cose.clone().expiring(last));
    for value in [epoch(last + 1), epoch(i64::MAX), epoch(1e300)] {
        let error = refusal(|cose| {
            *cose = cose.clone().expiring(0);
            cose.set(EXPIRY, value.clone());
        });
        assert!(matches!(error, EnvelopeError::HeaderInvalid { header: EXPIRY, .. }), "{value:?}: {error}");
    }
}

/// CO-7.
#[test]
fn times_are_numbers_in_tag_1() {
    let signed_at = |value: Value| {
        let mut cose = Cose::new(&Signer::new());
        cose.set(SIGNING_TIME, value);
        parse(&cose.sign()).map(|envelope| envelope.signing_time())
    };
    assert_eq!(signed_at(epoch(0)), Ok(time("1970-01-01T00:00:00Z")));
    assert_eq!(signed_at(epoch(-1)), Ok(time("1969-12-31T23:59:59Z")));
    assert_eq!(signed_at(epoch(1.5)), Ok(time("1970-01-01T00:00:01.5Z")));
    assert_eq!(signed_at(epoch(i64::MAX)), Ok(Timestamp::MAX));
    assert_eq!(signed_at(epoch(1e300)), Ok(Timestamp::MAX));
    assert_eq!(signed_at(epoch(-1e300)), Ok(Timestamp::MIN));
    for value in [
        Value::from(SIGNED_AT),
        epoch(f64::NAN),
        epoch(f64::INFINITY),
        epoch(f64::NEG_INFINITY),
        epoch(-62_135_596_800_i64),
        Value::Null,
    ] {
        let error = signed_at(value.clone()).expect_err("not a time");
        assert!(matches!(error, EnvelopeError::HeaderInvalid { header: SIGNING_TIME, .. }), "{value:?}: {error}");
    }
    for value in [epoch(f64::NAN), epoch(f64::INFINITY), epoch(-62_135_596_800_i64)] {
        // For notation-go these are no expiry at all.
        let error = refusal(|cose| {
            *cose = cose.clone().expiring(0);
            cose.set(EXPIRY, value.clone());
        });
        assert!(matches!(error, EnvelopeError::HeaderInvalid { header: EXPIRY, .. }), "{value:?}: {error}");
    }
}

/// CO-8, D18.
#[test]
fn each_scheme_has_its_own_time_and_not_the_other() {
    let authority = || Cose::signing_authority(&Signer::new());
    let envelope = parse(&authority().sign()).expect("an envelope of a signing authority");
    assert_eq!(envelope.signing_scheme(), SigningScheme::SigningAuthority);
    assert_eq!(envelope.authentic_signing_time(), Some(time("2025-01-01T00:00:00Z")));

    let error = refusal(|cose| {
        cose.remove(SIGNING_TIME);
    });
    assert_eq!(error, EnvelopeError::HeaderMissing { header: SIGNING_TIME });
    let error = refusal(|cose| {
        cose.set(AUTHENTIC, epoch(SIGNED_AT));
    });
    assert_eq!(error, EnvelopeError::HeaderNotAllowed { header: AUTHENTIC, scheme: SigningScheme::X509 });
    refusal(|cose| {
        cose.set(AUTHENTIC, "of a wrong type");
    });
    let error = refusal(|cose| {
        *cose = authority();
        cose.set(SIGNING_TIME, epoch(SIGNED_AT));
    });
    let scheme = SigningScheme::SigningAuthority;
    assert_eq!(error, EnvelopeError::HeaderNotAllowed { header: SIGNING_TIME, scheme });
}

/// CO-9.
#[test]
fn an_expiry_that_is_not_after_the_signing_time_is_refused() {
    for expiry in [SIGNED_AT, SIGNED_AT - 1] {
        let error = refusal(|cose| *cose = cose.clone().expiring(expiry));
        assert_eq!(error, EnvelopeError::ExpiryBeforeSigning);
    }
}

/// CO-10, D20, CC-1.
#[test]
fn the_chain_must_be_an_unprotected_array() {
    let signer = Signer { chain: vec![Template::self_signed().issue()], key: Kind::P256 };
    let cose = Cose::new(&signer);
    assert!(parse(&cose.sign()).is_ok(), "an array of one");
    let chain = cose.unprotected[0].1.clone();
    let error = refusal(|cose| {
        cose.set_unprotected(33, Value::Bytes(signer.chain[0].clone()));
    });
    assert!(matches!(error, EnvelopeError::Malformed { part: "x5chain", .. }), "{error}");
    let error = refusal(|cose| {
        cose.set_unprotected(33, Value::Array(vec!["text".into()]));
    });
    assert!(matches!(error, EnvelopeError::Malformed { part: "x5chain", .. }), "{error}");
    let error = refusal(|cose| {
        cose.set_unprotected(33, Value::Array(Vec::new()));
    });
    assert_eq!(error, EnvelopeError::ChainMissing);
    let error = refusal(|cose| {
        cose.unprotected.clear();
        cose.set(33, chain.clone());
    });
    assert_eq!(error, EnvelopeError::ChainMissing, "only in the protected header");
    let error = refusal(|cose| {
        cose.set_unprotected(33, Value::Array(vec![Value::Bytes(vec![0]); 11]));
    });
    assert_eq!(error, EnvelopeError::ChainTooLong { max: 10 });
}

/// CO-11.
#[test]
fn a_timestamp_of_the_wrong_type_is_not_taken_for_none() {
    for token in [Value::from("AAEC"), Value::Null, Value::Array(vec![])] {
        let error = refusal(|cose| {
            cose.set_unprotected(TOKEN, token);
        });
        assert!(matches!(error, EnvelopeError::Malformed { .. }), "{error}");
    }
    let empty = accepted(|cose| {
        cose.set_unprotected(TOKEN, Value::Bytes(Vec::new()));
        cose.set_unprotected("io.cncf.notary.signingAgent", 7);
    });
    assert_eq!(empty.timestamp_token(), None);
    assert_eq!(empty.signing_agent(), None);
}

/// CO-12, PL-4, D24.
#[test]
fn extended_attributes_are_kept_if_they_are_critical_also_by_number() {
    let envelope = accepted(|cose| {
        cose.set("ignored", Value::Array(vec![epoch(0), Value::Null]));
        cose.set("needed", 7);
        cose.set(-70_000, 7);
        cose.set(2, Value::Array(vec![SCHEME.into(), "needed".into(), (-70_000).into()]));
    });
    assert_eq!(envelope.unknown_critical_attributes(), ["needed", "label -70000"]);
}

/// CO-13.
#[test]
fn a_label_that_is_protected_and_unprotected_is_refused() {
    for (label, value) in [(Value::from(1), Value::from(-7)), (SCHEME.into(), "notary.x509".into())] {
        let error = refusal(|cose| {
            cose.set_unprotected(label, value);
        });
        assert!(matches!(error, EnvelopeError::HeaderTwice { .. }), "{error}");
    }
    let error = refusal(|cose| {
        let chain = cose.unprotected[0].1.clone();
        cose.set(33, chain);
    });
    assert_eq!(error, EnvelopeError::HeaderTwice { header: "label 33".to_owned() });
}

/// RFC 9052 section 3.1.
#[test]
fn an_iv_and_a_partial_iv_exclude_each_other() {
    for (protected, unprotected) in [(5, 6), (6, 5)] {
        let error = refusal(|cose| {
            cose.set(protected, Value::Bytes(vec![1])).set_unprotected(unprotected, Value::Bytes(vec![1]));
        });
        assert!(matches!(error, EnvelopeError::Malformed { .. }), "{error}");
    }
}
