// SPDX-License-Identifier: Apache-2.0
//! COSE envelopes: `COSE_Sign1_Tagged` (RFC 9052 section 4.2; signature-envelope-cose.md).

use std::collections::BTreeSet;

use coset::cbor::Value;
use coset::iana::{self, EnumI64};
use coset::{Algorithm, ContentType, CoseSign1, Header, Label, RegisteredLabelWithPrivate, TaggedCborSerializable};
use jiff::{SignedDuration, Timestamp};

use super::cbor::{self, Place};
use super::headers::{
    AUTHENTIC_SIGNING_TIME, EXPIRY, RawHeaders, SIGNING_AGENT, SIGNING_SCHEME, SIGNING_TIME, TIMESTAMP_SIGNATURE,
};
use super::{EnvelopeError, MAX_TOKEN_BYTES, MEDIA_TYPE_COSE, Unverified};
use crate::algorithm::SignatureAlgorithm;
use crate::certificate::text;
use crate::chain::MAX_CHAIN_LENGTH;

/// Tag 18 in one byte, then an array of four in one byte (CO-1).
const TAGGED_SIGN1: [u8; 2] = [0xd2, 0x84];
/// Label 7 (RFC 9052 section 3.1), encoded.
const COUNTER_SIGNATURE: &[u8] = &[0x07];
/// Label of `x5chain` (RFC 9360).
const X5CHAIN: Label = Label::Int(33);

pub(super) fn parse(bytes: &[u8]) -> Result<Unverified, EnvelopeError> {
    let malformed = |problem: &str| EnvelopeError::malformed("COSE", problem);
    if !bytes.starts_with(&TAGGED_SIGN1) {
        return Err(malformed("is not a tagged COSE_Sign1"));
    }
    cbor::check(Place::Envelope, bytes.get(1..).unwrap_or_default()).map_err(malformed)?;
    let (protected, unprotected) = cbor::header_maps(bytes).ok_or_else(|| malformed("has no protected header"))?;
    cbor::check(Place::Protected, protected)
        .map_err(|problem| EnvelopeError::malformed("protected header", problem))?;
    // Stricter than notation-go, which does not look into them: the library reads the headers of a counter signature,
    // which may have a counter signature, until the stack ends. Nothing is judged by one.
    if cbor::has_key(Place::Protected, protected, COUNTER_SIGNATURE)
        || cbor::has_key(Place::Envelope, unprotected, COUNTER_SIGNATURE)
    {
        return Err(malformed("has a counter signature, which is not supported"));
    }
    let sign1 = CoseSign1::from_tagged_slice(bytes).map_err(|error| malformed(&error.to_string()))?;
    // CO-2: the protected bytes as received are what is signed; coset keeps them.
    let signing_input = sign1.tbs_data(&[]);
    let payload = sign1.payload.ok_or_else(|| EnvelopeError::malformed("payload", "is not in the envelope"))?;
    let (protected, unprotected) = (sign1.protected.header, sign1.unprotected);
    Ok(Unverified {
        media_type: MEDIA_TYPE_COSE,
        signing_input,
        payload,
        signature: sign1.signature,
        algorithm: parse_algorithm(protected.alg.as_ref())?,
        certificates: parse_chain(&unprotected)?,
        timestamp_token: parse_token(&unprotected)?,
        signing_agent: find(&unprotected, SIGNING_AGENT).and_then(Value::as_text).map(str::to_owned),
        headers: parse_headers(protected, &unprotected),
    })
}

/// CO-3.
fn parse_algorithm(algorithm: Option<&Algorithm>) -> Result<SignatureAlgorithm, EnvelopeError> {
    let algorithm = algorithm.ok_or(EnvelopeError::HeaderMissing { header: "alg" })?;
    match algorithm {
        Algorithm::Assigned(iana::Algorithm::PS256) => Ok(SignatureAlgorithm::Ps256),
        Algorithm::Assigned(iana::Algorithm::PS384) => Ok(SignatureAlgorithm::Ps384),
        Algorithm::Assigned(iana::Algorithm::PS512) => Ok(SignatureAlgorithm::Ps512),
        Algorithm::Assigned(iana::Algorithm::ES256) => Ok(SignatureAlgorithm::Es256),
        Algorithm::Assigned(iana::Algorithm::ES384) => Ok(SignatureAlgorithm::Es384),
        Algorithm::Assigned(iana::Algorithm::ES512) => Ok(SignatureAlgorithm::Es512),
        other => Err(EnvelopeError::AlgorithmUnsupported { found: text(&format!("{other:?}")) }),
    }
}

/// CO-10, D20: an array, also for a single certificate, and among the unprotected headers.
fn parse_chain(unprotected: &Header) -> Result<Vec<Vec<u8>>, EnvelopeError> {
    let chain = unprotected.rest.iter().find(|(label, _)| *label == X5CHAIN);
    let certificates = match chain {
        None => return Err(EnvelopeError::ChainMissing),
        Some((_, Value::Array(certificates))) => certificates,
        Some(_) => return Err(EnvelopeError::malformed("x5chain", "is not an array")),
    };
    if certificates.len() > MAX_CHAIN_LENGTH {
        return Err(EnvelopeError::ChainTooLong { max: MAX_CHAIN_LENGTH });
    }
    certificates
        .iter()
        .map(|certificate| certificate.as_bytes().cloned())
        .collect::<Option<_>>()
        .ok_or_else(|| EnvelopeError::malformed("x5chain", "is not an array of byte strings"))
}

/// CO-11. Off-spec: notation-go takes a token of the wrong type for none at all, which a policy that needs one only
/// after expiry would then never miss. An empty token is none.
fn parse_token(unprotected: &Header) -> Result<Option<Vec<u8>>, EnvelopeError> {
    match find(unprotected, TIMESTAMP_SIGNATURE) {
        None => Ok(None),
        Some(Value::Bytes(token)) if token.len() > MAX_TOKEN_BYTES => {
            Err(EnvelopeError::PartTooLarge { part: "timestamp", max: MAX_TOKEN_BYTES })
        }
        Some(Value::Bytes(token)) => Ok(Some(token.clone()).filter(|token| !token.is_empty())),
        Some(_) => Err(EnvelopeError::malformed("header io.cncf.notary.timestampSignature", "is not a byte string")),
    }
}

fn find<'a>(header: &'a Header, name: &str) -> Option<&'a Value> {
    header.rest.iter().find(|(label, _)| matches!(label, Label::Text(text) if text == name)).map(|(_, value)| value)
}

fn parse_headers(protected: Header, unprotected: &Header) -> Result<RawHeaders, EnvelopeError> {
    let malformed = |problem: &str| EnvelopeError::malformed("unprotected header", problem);
    if !unprotected.crit.is_empty() {
        return Err(malformed("has crit, which must be protected"));
    }
    // CO-13. Off-spec: notation-go does not look for labels that are in both.
    let (inside, outside) = (labels(&protected), labels(unprotected));
    if let Some(header) = inside.intersection(&outside).next() {
        return Err(EnvelopeError::HeaderTwice { header: text(header) });
    }
    // RFC 9052 section 3.1, as go-cose checks it.
    let is_there = |label: &str| outside.contains(label) || inside.contains(label);
    if is_there("label 5") && is_there("label 6") {
        return Err(malformed("has both an IV and a partial IV"));
    }
    let mut headers = RawHeaders {
        content_type: parse_content_type(protected.content_type)?,
        critical: protected.crit.iter().map(critical_label).collect(),
        signing_time_may_be_critical: true,
        ..RawHeaders::default()
    };
    for (label, value) in protected.rest {
        match label_text(&label).as_str() {
            SIGNING_SCHEME => headers.scheme = Some(parse_scheme(value)?),
            SIGNING_TIME => headers.signing_time = Some(parse_time(SIGNING_TIME, &value)?),
            AUTHENTIC_SIGNING_TIME => {
                headers.authentic_signing_time = Some(parse_time(AUTHENTIC_SIGNING_TIME, &value)?);
            }
            EXPIRY => {
                check_expiry(&value)?;
                headers.expiry = Some(parse_time(EXPIRY, &value)?);
            }
            // CO-12, D24: numbers are attributes like any other.
            other => {
                headers.extended.insert(other.to_owned(), value.as_text().map(str::to_owned));
            }
        }
    }
    if headers.critical.is_empty() {
        return Err(EnvelopeError::HeaderMissing { header: "crit" });
    }
    Ok(headers)
}

/// CO-5: text, not one of the numbers of `CoAP`.
fn parse_content_type(content_type: Option<ContentType>) -> Result<Option<String>, EnvelopeError> {
    match content_type {
        None => Ok(None),
        Some(ContentType::Text(found)) => Ok(Some(found)),
        Some(ContentType::Assigned(_)) => Err(EnvelopeError::invalid("content type", "is not text")),
    }
}

fn parse_scheme(value: Value) -> Result<String, EnvelopeError> {
    value.into_text().map_err(|_| EnvelopeError::invalid(SIGNING_SCHEME, "is not text"))
}

/// CO-7: seconds since 1970 in tag 1. Times beyond what [`Timestamp`] can say become its first or last value; not a
/// number, and infinity, are no times.
fn parse_time(header: &'static str, value: &Value) -> Result<Timestamp, EnvelopeError> {
    let Value::Tag(1, value) = value else {
        return Err(EnvelopeError::invalid(header, "is not a time with tag 1"));
    };
    let (time, is_late) = match &**value {
        Value::Integer(seconds) => {
            let seconds = i128::from(*seconds);
            (i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok()), seconds > 0)
        }
        Value::Float(seconds) if seconds.is_finite() => {
            let since = SignedDuration::try_from_secs_f64(*seconds).ok();
            (since.and_then(|since| Timestamp::from_duration(since).ok()), *seconds > 0.0)
        }
        _ => return Err(EnvelopeError::invalid(header, "is not a number of seconds")),
    };
    Ok(time.unwrap_or(if is_late { Timestamp::MAX } else { Timestamp::MIN }))
}

/// An expiry that Go's clock cannot say has always passed there: it counts from the year 1, and overflows.
fn check_expiry(value: &Value) -> Result<(), EnvelopeError> {
    const LAST: i128 = i64::MAX as i128 - 62_135_596_800;
    let is_beyond = match value {
        Value::Tag(_, value) => match &**value {
            Value::Integer(seconds) => i128::from(*seconds) > LAST,
            // The spacing of floating-point numbers is 1024 there.
            Value::Float(seconds) => *seconds > 9.2e18,
            _ => false,
        },
        _ => false,
    };
    if is_beyond { Err(EnvelopeError::invalid(EXPIRY, "is beyond all times")) } else { Ok(()) }
}

/// The name of a label in errors, and for comparing: text as it is, a number as `label 33`.
fn label_text(label: &Label) -> String {
    match label {
        Label::Int(number) => format!("label {number}"),
        Label::Text(text) => text.clone(),
    }
}

fn critical_label(label: &RegisteredLabelWithPrivate<iana::HeaderParameter>) -> String {
    match label {
        RegisteredLabelWithPrivate::Assigned(known) => format!("label {}", known.to_i64()),
        RegisteredLabelWithPrivate::PrivateUse(number) => format!("label {number}"),
        RegisteredLabelWithPrivate::Text(text) => text.clone(),
    }
}

fn labels(header: &Header) -> BTreeSet<String> {
    let parsed = [
        (1, header.alg.is_some()),
        (2, !header.crit.is_empty()),
        (3, header.content_type.is_some()),
        (4, !header.key_id.is_empty()),
        (5, !header.iv.is_empty()),
        (6, !header.partial_iv.is_empty()),
        (7, !header.counter_signatures.is_empty()),
    ];
    let numbers = parsed.into_iter().filter(|(_, there)| *there).map(|(number, _)| Label::Int(number));
    numbers.chain(header.rest.iter().map(|(label, _)| label.clone())).map(|label| label_text(&label)).collect()
}
