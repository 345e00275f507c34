// SPDX-License-Identifier: Apache-2.0
//! `OCSPResponse` (RFC 6960 section 4.2.1), read from the bytes received.

use std::sync::OnceLock;

use const_oid::db::{rfc5280, rfc6960};
use der::asn1::{BitStringRef, GeneralizedTime};
use der::{Decode, Tag};
use x509_cert::time::Time;

use super::CertId;
use crate::Timestamp;
use crate::asn1::{Elements, context, dotted, primitive};
use crate::certificate::{Certificate, parse_extension, timestamp};
use crate::revocation::error::{RevocationError, malformed};
use crate::revocation::{CLOCK_SKEW, MAX_OCSP_RESPONSE_BYTES, check_currency, just_after};

/// Most certificates in one response. A limit of ours: one is enough, and the issuer's is sometimes added.
const MAX_CERTIFICATES: usize = 8;
/// What messages call it.
pub(super) const WHAT: &str = "OCSP response";

/// A response of the basic type. Nobody has said yet who signed it.
#[derive(Debug)]
pub(in crate::revocation) struct Response {
    tbs: Vec<u8>,
    algorithm: Vec<u8>,
    signature: Vec<u8>,
    pub(super) responder: ResponderId,
    pub(super) certificates: Vec<Certificate>,
    /// What is inside `responses`.
    answers: Vec<u8>,
    /// Whose key made the signature, so that it is verified once and not at every judgement.
    signed_by: OnceLock<Certificate>,
}

/// Whom a response names as its signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ResponderId {
    /// The DER of its subject.
    Name(Vec<u8>),
    /// SHA-1 of its key.
    Key(Vec<u8>),
}

/// What a response says about one certificate.
#[derive(Debug)]
pub(in crate::revocation) struct SingleAnswer {
    pub(in crate::revocation) status: CertStatus,
    pub(in crate::revocation) this_update: Timestamp,
    pub(in crate::revocation) next_update: Timestamp,
}

/// `CertStatus`.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::revocation) enum CertStatus {
    Good,
    Revoked {
        at: Timestamp,
        /// Since when the certificate is thought to have been invalid.
        invalid_since: Option<Timestamp>,
    },
    Unknown,
}

impl SingleAnswer {
    /// RV-11. `nextUpdate` is inclusive, as in notation-go.
    pub(in crate::revocation) fn check_currency(&self, now: Timestamp) -> Result<(), RevocationError> {
        check_currency(WHAT, self.this_update, self.next_update, now)
    }

    /// When the clock makes another answer of this one.
    pub(in crate::revocation) fn changes(&self) -> [Option<Timestamp>; 2] {
        [self.this_update.checked_sub(CLOCK_SKEW).ok(), just_after(self.next_update)]
    }
}

impl Response {
    /// Reads one response in DER, of at most [`MAX_OCSP_RESPONSE_BYTES`] (RV-10).
    pub(in crate::revocation) fn from_der(der: &[u8]) -> Result<Self, RevocationError> {
        if der.len() > MAX_OCSP_RESPONSE_BYTES {
            let size = der.len();
            return Err(RevocationError::TooLarge { what: WHAT, size, max: MAX_OCSP_RESPONSE_BYTES });
        }
        let basic = parse_envelope(der)?;
        let field = malformed("BasicOCSPResponse");
        let mut fields = Elements::of_sequence(basic).map_err(&field)?;
        let tbs = fields.raw().map_err(&field)?;
        let algorithm = fields.raw().map_err(&field)?;
        let signature: BitStringRef<'_> = fields.decode().map_err(&field)?;
        let certificates = fields.optional(context(0)).map_err(&field)?;
        fields.finish().map_err(&field)?;
        let certificates = certificates.map(parse_certificates).transpose()?.unwrap_or_default();
        let (responder, answers) = parse_data(tbs)?;
        Ok(Self {
            tbs: tbs.to_vec(),
            algorithm: algorithm.to_vec(),
            signature: signature.as_bytes().unwrap_or_default().to_vec(),
            responder,
            certificates,
            answers: answers.to_vec(),
            signed_by: OnceLock::new(),
        })
    }

    /// Whether this one's key made the signature.
    pub(super) fn is_signed_by(&self, signer: &Certificate) -> bool {
        if self.signed_by.get() == Some(signer) {
            return true;
        }
        let is_signed = signer.key().verifies_certificate(&self.algorithm, &self.tbs, &self.signature);
        if is_signed {
            self.signed_by.get_or_init(|| signer.clone());
        }
        is_signed
    }

    /// The one answer about this certificate, wherever it stands.
    pub(in crate::revocation) fn find(&self, id: &CertId) -> Result<SingleAnswer, RevocationError> {
        let field = malformed("SingleResponse");
        let mut found = None;
        let mut answers = Elements::inside(&self.answers).map_err(&field)?;
        while !answers.is_empty() {
            let mut fields = answers.value(Tag::Sequence).and_then(Elements::inside).map_err(&field)?;
            let other = fields.value(Tag::Sequence).and_then(CertId::from_der).map_err(malformed("certID"))?;
            if other == *id && found.replace(parse_single(fields)?).is_some() {
                return Err(RevocationError::SeveralSingleResponses);
            }
        }
        found.ok_or(RevocationError::NoSingleResponse)
    }
}

/// `OCSPResponse` and `ResponseBytes`: what is inside, if it is a basic response and no error (RV-10).
fn parse_envelope(der: &[u8]) -> Result<&[u8], RevocationError> {
    let field = malformed("OCSPResponse");
    let mut fields = Elements::of_sequence(der).map_err(&field)?;
    let status = match fields.value(Tag::Enumerated).map_err(&field)? {
        [0] => None,
        [1] => Some("malformedRequest"),
        [2] => Some("internalError"),
        [3] => Some("tryLater"),
        [5] => Some("sigRequired"),
        [6] => Some("unauthorized"),
        _ => Some("not a known one"),
    };
    if let Some(status) = status {
        return Err(RevocationError::ResponseStatus { status });
    }
    let bytes = fields.value(context(0)).map_err(&field)?;
    fields.finish().map_err(&field)?;
    let field = malformed("ResponseBytes");
    let mut fields = Elements::of_sequence(bytes).map_err(&field)?;
    if fields.oid().map_err(&field)? != rfc6960::ID_PKIX_OCSP_BASIC.as_bytes() {
        return Err(RevocationError::ResponseType);
    }
    let basic = fields.value(Tag::OctetString).map_err(&field)?;
    fields.finish().map_err(&field)?;
    Ok(basic)
}

fn parse_certificates(value: &[u8]) -> Result<Vec<Certificate>, RevocationError> {
    let field = "certs";
    let mut certificates = Vec::new();
    let mut elements = Elements::of_sequence(value).map_err(malformed(field))?;
    while !elements.is_empty() {
        if certificates.len() == MAX_CERTIFICATES {
            return Err(RevocationError::TooMany { what: "certificates in the OCSP response", max: MAX_CERTIFICATES });
        }
        let certificate = Certificate::from_der(elements.raw().map_err(malformed(field))?)
            .map_err(|error| RevocationError::Malformed { field, problem: error.to_string() })?;
        certificates.push(certificate);
    }
    Ok(certificates)
}

/// `ResponseData`: who says it, and what is inside `responses`.
fn parse_data(tbs: &[u8]) -> Result<(ResponderId, &[u8]), RevocationError> {
    let field = malformed("ResponseData");
    let mut fields = Elements::of_sequence(tbs).map_err(&field)?;
    // Version 1, which DER leaves out and some write.
    if !matches!(fields.optional(context(0)).map_err(&field)?, None | Some([0x02, 0x01, 0x00])) {
        return Err(malformed("version")(Tag::Integer.value_error().into()));
    }
    let responder = parse_responder_id(&mut fields).map_err(malformed("responderID"))?;
    fields.decode::<GeneralizedTime>().map_err(malformed("producedAt"))?;
    let answers = fields.value(Tag::Sequence).map_err(malformed("responses"))?;
    let extensions = fields.optional(context(1)).map_err(malformed("responseExtensions"))?;
    fields.finish().map_err(&field)?;
    read_extensions(extensions)?;
    Ok((responder, answers))
}

fn parse_responder_id(fields: &mut Elements<'_>) -> der::Result<ResponderId> {
    if let Some(name) = fields.optional(context(1))? {
        return Ok(ResponderId::Name(name.to_vec()));
    }
    let mut inside = Elements::inside(fields.value(context(2))?)?;
    let key = inside.value(Tag::OctetString)?;
    inside.finish()?;
    Ok(ResponderId::Key(key.to_vec()))
}

/// `SingleResponse` from `certStatus` on.
fn parse_single(mut fields: Elements<'_>) -> Result<SingleAnswer, RevocationError> {
    let mut status = parse_status(&mut fields).map_err(malformed("certStatus"))?;
    let this_update = time(fields.decode::<GeneralizedTime>().map_err(malformed("thisUpdate"))?);
    let next_update = fields.optional(context(0)).map_err(malformed("nextUpdate"))?;
    let next_update = next_update.ok_or(RevocationError::NextUpdateMissing { what: WHAT })?;
    let next_update = time(GeneralizedTime::from_der(next_update).map_err(malformed("nextUpdate"))?);
    let extensions = fields.optional(context(1)).map_err(malformed("singleExtensions"))?;
    fields.finish().map_err(malformed("SingleResponse"))?;
    let date = read_extensions(extensions)?;
    if let CertStatus::Revoked { invalid_since, .. } = &mut status {
        *invalid_since = date;
    }
    Ok(SingleAnswer { status, this_update, next_update })
}

fn parse_status(fields: &mut Elements<'_>) -> der::Result<CertStatus> {
    const GOOD: Tag = primitive(0);
    const UNKNOWN: Tag = primitive(2);
    let Some(revoked) = fields.optional(context(1))? else {
        let any = fields.any()?;
        return match (der::Tagged::tag(&any), any.value()) {
            (GOOD, []) => Ok(CertStatus::Good),
            (UNKNOWN, []) => Ok(CertStatus::Unknown),
            (tag, _) => Err(tag.value_error().into()),
        };
    };
    let mut info = Elements::inside(revoked)?;
    let at = time(info.decode::<GeneralizedTime>()?);
    info.optional(context(0))?; // the reason: whatever it is, a hold too, it is revoked
    info.finish()?;
    Ok(CertStatus::Revoked { at, invalid_since: None })
}

/// None of them may be critical, as in Go. Returns the invalidity date, if there is one.
fn read_extensions(value: Option<&[u8]>) -> Result<Option<Timestamp>, RevocationError> {
    let Some(value) = value else { return Ok(None) };
    let field = malformed("extensions of the OCSP response");
    let mut date = None;
    let mut elements = Elements::of_sequence(value).map_err(&field)?;
    while !elements.is_empty() {
        let (oid, critical, value) = parse_extension(&mut elements).map_err(&field)?;
        let name = || dotted(oid).unwrap_or_default();
        if critical {
            return Err(RevocationError::CriticalExtension { what: WHAT, oid: name() });
        }
        if oid == rfc5280::ID_CE_INVALIDITY_DATE.as_bytes() {
            let value = GeneralizedTime::from_der(value).map_err(malformed("invalidityDate"))?;
            if date.replace(time(value)).is_some() {
                return Err(RevocationError::ExtensionRepeated { what: WHAT, oid: name() });
            }
        }
    }
    Ok(date)
}

fn time(time: GeneralizedTime) -> Timestamp {
    timestamp(Time::GeneralTime(time))
}
