// SPDX-License-Identifier: Apache-2.0
//! What is told of an envelope and not judged by.

use sealwatch_fixtures::tsa::{AUTHORITY, STAMPED_AT, Token, stamped_cose, stamped_jws};
use sealwatch_notation::{Envelope, EnvelopeDetails, EnvelopeError, MEDIA_TYPE_COSE, MEDIA_TYPE_JWS};
use serde_json::{Value, json};

use crate::support::cose::Cose;
use crate::support::jws::Jws;
use crate::support::pki::Signer;
use crate::support::{payload, time};

const SCHEME: &str = "io.cncf.notary.signingScheme";

/// The payload of the tests with these annotations of the artifact.
fn annotated(annotations: Value) -> Vec<u8> {
    let mut payload: Value = serde_json::from_slice(&payload()).expect("JSON");
    payload["targetArtifact"]["annotations"] = annotations;
    payload.to_string().into_bytes()
}

fn told(details: &EnvelopeDetails) -> Vec<(&str, Option<&str>, bool)> {
    details.extended.iter().map(|a| (a.name.as_str(), a.value.as_deref(), a.critical)).collect()
}

#[test]
fn what_a_signer_attached_is_told_whatever_the_format() {
    let mut jws = Jws::new(&Signer::new());
    jws.payload = annotated(json!({"buildId": "123", "none": null}));
    jws.set("plain", "text").set("needed", 7).crit(&[SCHEME, "needed"]);
    let mut cose = Cose::new(&Signer::new());
    cose.payload = annotated(json!({"buildId": "123"}));
    cose.set("plain", "text").set("needed", 7).crit(&[SCHEME, "needed"]);
    for (media_type, bytes) in [(MEDIA_TYPE_JWS, jws.sign()), (MEDIA_TYPE_COSE, cose.sign())] {
        let (envelope, details) = Envelope::parse_with_details(media_type, &bytes).expect(media_type);
        assert_eq!(Envelope::parse(media_type, &bytes), Ok(envelope));
        assert_eq!(details.user_defined, [("buildId".to_owned(), "123".to_owned())].into());
        assert_eq!(told(&details), [("needed", None, true), ("plain", Some("text"), false)], "{media_type}");
    }
}

#[test]
fn of_an_envelope_that_is_not_intact_nothing_is_told() {
    let mut jws = Jws::new(&Signer::new());
    jws.payload = annotated(json!({"buildId": "123"}));
    let forged = jws.envelope(|key, message| key.sign(&[message, b"x"].concat()));
    assert_eq!(
        Envelope::parse_with_details(MEDIA_TYPE_JWS, &forged).expect_err("forged"),
        EnvelopeError::SignatureInvalid
    );
    let error = Envelope::parse_with_details("text/plain", b"x").expect_err("no envelope");
    assert!(matches!(error, EnvelopeError::UnsupportedMediaType { .. }), "{error}");
}

#[test]
fn a_sound_token_tells_its_time_and_its_authority_and_an_unsound_one_why() {
    let jws = stamped_jws(&Jws::new(&Signer::new()), |signature| Token::new(signature).issue());
    let cose = stamped_cose(&Cose::new(&Signer::new()), |signature| Token::new(signature).issue());
    for (media_type, bytes) in [(MEDIA_TYPE_JWS, jws), (MEDIA_TYPE_COSE, cose)] {
        let envelope = Envelope::parse(media_type, &bytes).expect(media_type);
        let claimed = envelope.claimed_timestamp().expect("a token").expect("a sound one");
        assert_eq!(claimed.time, time(STAMPED_AT));
        assert_eq!(claimed.authority.as_ref().map(sealwatch_notation::Certificate::subject), Some(AUTHORITY));
        assert!(claimed.certificates.contains(&claimed.authority.expect("a signer")));
    }
    let other = stamped_jws(&Jws::new(&Signer::new()), |_| Token::new(b"another signature").issue());
    let envelope = Envelope::parse(MEDIA_TYPE_JWS, &other).expect("intact");
    assert!(envelope.claimed_timestamp().is_some_and(|claimed| claimed.is_err()));
    let bare = Envelope::parse(MEDIA_TYPE_JWS, &Jws::new(&Signer::new()).sign()).expect("intact");
    assert!(bare.claimed_timestamp().is_none());
}
