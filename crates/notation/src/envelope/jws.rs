// SPDX-License-Identifier: Apache-2.0
//! JWS envelopes: flattened JSON serialization (RFC 7515 section 7.2.2; signature-envelope-jws.md).

use std::collections::BTreeSet;
use std::fmt;

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::headers::{
    AUTHENTIC_SIGNING_TIME, EXPIRY, RawHeaders, SIGNING_AGENT, SIGNING_SCHEME, SIGNING_TIME, TIMESTAMP_SIGNATURE,
};
use super::{EnvelopeError, MAX_TOKEN_BYTES, MEDIA_TYPE_JWS, Unverified};
use crate::algorithm::SignatureAlgorithm;
use crate::certificate::text;
use crate::chain::MAX_CHAIN_LENGTH;
use crate::json::{Json, Object, check_case, parse_object, read_as_object};

/// Most bytes of the protected header. A limit of ours: real ones have some hundred.
const MAX_PROTECTED_BYTES: usize = 1024 * 1024;
/// Most members of the unprotected header. A limit of ours: there are three in use.
const MAX_UNPROTECTED_MEMBERS: usize = 64;

const PROTECTED_MEMBERS: [&str; 7] =
    ["alg", "cty", "crit", SIGNING_SCHEME, SIGNING_TIME, AUTHENTIC_SIGNING_TIME, EXPIRY];
const UNPROTECTED_MEMBERS: [&str; 3] = ["x5c", TIMESTAMP_SIGNATURE, SIGNING_AGENT];
/// The one name that is accepted in another case: early versions of notation wrote it, and nothing is judged by it.
const SIGNING_AGENT_CAPITAL: &str = "io.cncf.notary.SigningAgent";

/// JW-1: these four members and no others. Stricter than notation-go, which ignores what it does not know, and so
/// accepts the general serialization beside the flattened one (D19).
#[derive(Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
struct Flattened {
    payload: String,
    protected: String,
    header: Unprotected,
    #[serde(default)]
    signature: String,
}

read_as_object!(Flattened);

#[derive(Default)]
struct Unprotected {
    x5c: Vec<String>,
    timestamp_signature: Option<String>,
    signing_agent: Option<String>,
    names: BTreeSet<String>,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Unverified, EnvelopeError> {
    let flattened: Flattened =
        serde_json::from_slice(bytes).map_err(|error| EnvelopeError::malformed("JSON", &error.to_string()))?;
    let Flattened { payload, protected, header, signature } = flattened;
    let signature_bytes = decode_url("signature", &signature)?;
    let payload_bytes = decode_url("payload", &payload)?;
    if protected.len() > MAX_PROTECTED_BYTES {
        return Err(EnvelopeError::PartTooLarge { part: "protected header", max: MAX_PROTECTED_BYTES });
    }
    let protected_bytes = decode_url("protected header", &protected)?;
    let members =
        parse_object(&protected_bytes).map_err(|problem| EnvelopeError::malformed("protected header", &problem))?;
    Ok(Unverified {
        media_type: MEDIA_TYPE_JWS,
        // JW-7: the text as received.
        signing_input: [protected.as_bytes(), b".", payload.as_bytes()].concat(),
        signature: signature_bytes,
        algorithm: parse_algorithm(&members)?,
        certificates: decode_certificates(&header.x5c)?,
        timestamp_token: decode_token(header.timestamp_signature.as_deref())?,
        signing_agent: header.signing_agent,
        headers: parse_headers(members, &header.names),
        payload: payload_bytes,
    })
}

/// JW-2: base64url without padding, white space or stray bits. Stricter than notation-go, which skips line breaks and
/// does not look at unused bits.
fn decode_url(part: &'static str, text: &str) -> Result<Vec<u8>, EnvelopeError> {
    Base64UrlUnpadded::decode_vec(text).map_err(|_| EnvelopeError::malformed(part, "is not base64url without padding"))
}

/// JW-3: standard base64, padded.
fn decode_certificates(x5c: &[String]) -> Result<Vec<Vec<u8>>, EnvelopeError> {
    let decode = |certificate: &String| Base64::decode_vec(certificate);
    x5c.iter().map(decode).collect::<Result<_, _>>().map_err(|_| EnvelopeError::malformed("x5c", "is not base64"))
}

/// JW-4. An empty token is none.
fn decode_token(token: Option<&str>) -> Result<Option<Vec<u8>>, EnvelopeError> {
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
    let decoded = Base64::decode_vec(token)
        .map_err(|_| EnvelopeError::malformed("header io.cncf.notary.timestampSignature", "is not base64"))?;
    if decoded.len() > MAX_TOKEN_BYTES {
        return Err(EnvelopeError::PartTooLarge { part: "timestamp", max: MAX_TOKEN_BYTES });
    }
    Ok(Some(decoded))
}

/// JW-6: one of six; `none`, HMAC and PKCS #1 v1.5 are not among them.
fn parse_algorithm(members: &Object) -> Result<SignatureAlgorithm, EnvelopeError> {
    let found = members.get("alg").ok_or(EnvelopeError::HeaderMissing { header: "alg" })?;
    let found = found.as_str().ok_or_else(|| EnvelopeError::invalid("alg", "is not a string"))?;
    SignatureAlgorithm::ALL
        .into_iter()
        .find(|algorithm| algorithm.as_str() == found)
        .ok_or_else(|| EnvelopeError::AlgorithmUnsupported { found: text(found) })
}

fn parse_headers(mut members: Object, unprotected: &BTreeSet<String>) -> Result<RawHeaders, EnvelopeError> {
    check_case(members.keys().map(String::as_str), &PROTECTED_MEMBERS)
        .map_err(|problem| EnvelopeError::malformed("protected header", &problem))?;
    if let Some(header) = members.keys().find(|name| unprotected.contains(*name)) {
        return Err(EnvelopeError::HeaderTwice { header: text(header) });
    }
    let mut string = |header: &'static str| match members.remove(header) {
        None => Ok(None),
        Some(Json::String(value)) => Ok(Some(value)),
        Some(_) => Err(EnvelopeError::invalid(header, "is not a string")),
    };
    let mut time = |header: &'static str| match string(header)? {
        None => Ok(None),
        Some(value) => match parse_time(&value) {
            Some(time) => Ok(Some(time)),
            None => Err(EnvelopeError::invalid(header, "is not a time of RFC 3339")),
        },
    };
    let (signing_time, authentic_signing_time) = (time(SIGNING_TIME)?, time(AUTHENTIC_SIGNING_TIME)?);
    let expiry = time(EXPIRY)?;
    let (content_type, scheme) = (string("cty")?, string(SIGNING_SCHEME)?);
    let critical = parse_critical(members.remove("crit"))?;
    members.remove("alg");
    // JW-19: whatever is left is an extended attribute.
    let extended = members.into_iter().map(|(name, value)| (name, value.as_str().map(str::to_owned))).collect();
    Ok(RawHeaders {
        content_type,
        scheme,
        signing_time,
        authentic_signing_time,
        expiry,
        critical,
        signing_time_may_be_critical: false,
        extended,
    })
}

fn parse_critical(crit: Option<Json>) -> Result<Vec<String>, EnvelopeError> {
    let wrong = || EnvelopeError::invalid("crit", "is not a non-empty array of strings");
    match crit {
        None => Err(EnvelopeError::HeaderMissing { header: "crit" }),
        Some(Json::Array(names)) if !names.is_empty() => {
            names.iter().map(|name| name.as_str().map(str::to_owned)).collect::<Option<_>>().ok_or_else(wrong)
        }
        Some(_) => Err(wrong()),
    }
}

/// JW-15: RFC 3339 section 5.6 with capital T and Z, without leap seconds. Digits beyond nanoseconds are cut. A time
/// that is later than any [`Timestamp`], in the last hours of the year 9999, becomes the last one.
///
/// Off-spec: Go's parser also takes a comma before the fraction, and hours of one digit.
fn parse_time(text: &str) -> Option<Timestamp> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let has_form = date_time.bytes().zip(*b"dddd-dd-ddTdd:dd:dd").all(|(byte, form)| match form {
        b'd' => byte.is_ascii_digit(),
        _ => byte == form,
    });
    if !has_form || date_time.get(17..)? > "59" {
        return None;
    }
    let (fraction, zone) = match rest.strip_prefix('.') {
        None => (String::new(), rest),
        Some(rest) => {
            let zone = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            let digits = rest.strip_suffix(zone)?;
            if digits.is_empty() {
                return None;
            }
            (format!(".{}", digits.get(..9).unwrap_or(digits)), zone)
        }
    };
    let local: DateTime = format!("{date_time}{fraction}").parse().ok()?;
    let offset = jiff::tz::Offset::from_seconds(parse_offset(zone)?).ok()?;
    let limit = if local.year() > 0 { Timestamp::MAX } else { Timestamp::MIN };
    Some(offset.to_timestamp(local).unwrap_or(limit))
}

/// Seconds east of Greenwich.
fn parse_offset(zone: &str) -> Option<i32> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let number = |digits: &str, below: i32| {
        let is_number = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse().ok().filter(|number| is_number && *number < below)
    };
    let (hours, minutes): (i32, i32) = (number(hours, 24)?, number(minutes, 60)?);
    hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?.checked_mul(sign)
}

impl<'de> Deserialize<'de> for Unprotected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UnprotectedVisitor)
    }
}

struct UnprotectedVisitor;

impl<'de> Visitor<'de> for UnprotectedVisitor {
    type Value = Unprotected;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the unprotected header, an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Unprotected, A::Error> {
        let mut header = Unprotected::default();
        while let Some(name) = members.next_key::<String>()? {
            match name.as_str() {
                "x5c" => header.x5c = members.next_value::<Option<Certificates>>()?.unwrap_or_default().0,
                TIMESTAMP_SIGNATURE => header.timestamp_signature = members.next_value()?,
                // JW-5: free text, never judged.
                SIGNING_AGENT => header.signing_agent = members.next_value()?,
                // Go takes it for the same and wants text.
                SIGNING_AGENT_CAPITAL => drop(members.next_value::<Option<String>>()?),
                _ => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
            if name != SIGNING_AGENT_CAPITAL {
                check_case([name.as_str()], &UNPROTECTED_MEMBERS).map_err(A::Error::custom)?;
            }
            if header.names.len() == MAX_UNPROTECTED_MEMBERS {
                return Err(A::Error::custom("the unprotected header has too many members"));
            }
            if let Some(name) = header.names.replace(name) {
                return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
            }
        }
        Ok(header)
    }
}

/// The strings of `x5c`, no more than a chain may have.
#[derive(Default)]
struct Certificates(Vec<String>);

impl<'de> Deserialize<'de> for Certificates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(CertificatesVisitor)
    }
}

struct CertificatesVisitor;

impl<'de> Visitor<'de> for CertificatesVisitor {
    type Value = Certificates;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of certificates")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Certificates, A::Error> {
        let mut certificates = Vec::new();
        while let Some(certificate) = elements.next_element()? {
            if certificates.len() == MAX_CHAIN_LENGTH {
                return Err(A::Error::custom(format_args!("x5c has more than {MAX_CHAIN_LENGTH} certificates")));
            }
            certificates.push(certificate);
        }
        Ok(Certificates(certificates))
    }
}
