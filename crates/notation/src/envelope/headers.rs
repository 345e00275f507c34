// SPDX-License-Identifier: Apache-2.0
//! What the protected headers say, and the rules that both envelope formats share.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{EnvelopeError, SigningScheme, VerificationPlugin};
use crate::certificate::text;
use crate::payload::PAYLOAD_MEDIA_TYPE;

pub(super) const SIGNING_SCHEME: &str = "io.cncf.notary.signingScheme";
pub(super) const SIGNING_TIME: &str = "io.cncf.notary.signingTime";
pub(super) const AUTHENTIC_SIGNING_TIME: &str = "io.cncf.notary.authenticSigningTime";
pub(super) const EXPIRY: &str = "io.cncf.notary.expiry";
pub(super) const TIMESTAMP_SIGNATURE: &str = "io.cncf.notary.timestampSignature";
pub(super) const SIGNING_AGENT: &str = "io.cncf.notary.signingAgent";

/// Go's zero time, 0001-01-01T00:00:00Z, in seconds since 1970. Notation-go takes it for "no time given".
const ZERO_TIME: i64 = -62_135_596_800;

/// The protected headers as one format wrote them.
#[derive(Default)]
pub(super) struct RawHeaders {
    pub(super) content_type: Option<String>,
    pub(super) scheme: Option<String>,
    pub(super) signing_time: Option<Timestamp>,
    pub(super) authentic_signing_time: Option<Timestamp>,
    pub(super) expiry: Option<Timestamp>,
    pub(super) critical: Vec<String>,
    /// Whether `crit` may list the signing time: COSE allows it, JWS does not (JW-14).
    pub(super) signing_time_may_be_critical: bool,
    /// Every other header, with its value if that is text.
    pub(super) extended: BTreeMap<String, Option<String>>,
}

/// The protected headers after every rule was checked.
pub(super) struct SignedHeaders {
    pub(super) scheme: SigningScheme,
    pub(super) signing_time: Timestamp,
    pub(super) expiry: Option<Timestamp>,
    pub(super) verification_plugin: Option<VerificationPlugin>,
    pub(super) unknown_critical: Vec<String>,
}

impl RawHeaders {
    pub(super) fn check(self) -> Result<SignedHeaders, EnvelopeError> {
        // JW-11, CO-5.
        match &self.content_type {
            None => return Err(EnvelopeError::HeaderMissing { header: "content type" }),
            Some(found) if found != PAYLOAD_MEDIA_TYPE => {
                return Err(EnvelopeError::ContentTypeUnsupported { found: text(found) });
            }
            Some(_) => {}
        }
        let scheme = self.check_scheme()?;
        let signing_time = self.check_signing_time(scheme)?;
        self.check_critical(scheme)?;
        check_not_zero(EXPIRY, self.expiry)?;
        // JW-16, CO-9.
        if self.expiry.is_some_and(|expiry| expiry <= signing_time) {
            return Err(EnvelopeError::ExpiryBeforeSigning);
        }
        let (verification_plugin, unknown_critical) = self.extensions();
        Ok(SignedHeaders { scheme, signing_time, expiry: self.expiry, verification_plugin, unknown_critical })
    }

    /// JW-12, CO-6.
    fn check_scheme(&self) -> Result<SigningScheme, EnvelopeError> {
        match self.scheme.as_deref() {
            None => Err(EnvelopeError::HeaderMissing { header: SIGNING_SCHEME }),
            Some(found) => [SigningScheme::X509, SigningScheme::SigningAuthority]
                .into_iter()
                .find(|scheme| scheme.as_str() == found)
                .ok_or_else(|| EnvelopeError::SchemeUnsupported { found: text(found) }),
        }
    }

    /// JW-13, CO-8: each scheme has its own time, and the other one's must not be there.
    ///
    /// Stricter than notation-go, which in COSE ignores the other time (D18).
    fn check_signing_time(&self, scheme: SigningScheme) -> Result<Timestamp, EnvelopeError> {
        let claimed = (SIGNING_TIME, self.signing_time);
        let authentic = (AUTHENTIC_SIGNING_TIME, self.authentic_signing_time);
        let (mine, other) = match scheme {
            SigningScheme::X509 => (claimed, authentic),
            SigningScheme::SigningAuthority => (authentic, claimed),
        };
        if other.1.is_some() {
            return Err(EnvelopeError::HeaderNotAllowed { header: other.0, scheme });
        }
        check_not_zero(mine.0, mine.1)?;
        mine.1.ok_or(EnvelopeError::HeaderMissing { header: mine.0 })
    }

    /// JW-14, CO-4.
    fn check_critical(&self, scheme: SigningScheme) -> Result<(), EnvelopeError> {
        let mut listed = BTreeSet::new();
        for header in &self.critical {
            let header_text = || text(header);
            // Stricter than notation-go for COSE (D22).
            if !listed.insert(header.as_str()) {
                return Err(EnvelopeError::CriticalRepeated { header: header_text() });
            }
            let is_present = match header.as_str() {
                SIGNING_SCHEME => true,
                EXPIRY => self.expiry.is_some(),
                AUTHENTIC_SIGNING_TIME => self.authentic_signing_time.is_some(),
                SIGNING_TIME if self.signing_time_may_be_critical => self.signing_time.is_some(),
                // Headers of the formats themselves, which every implementation must understand (JWS: RFC 7515
                // 4.1.11; COSE: labels 0 to 8). Stricter than notation-go for COSE (D21).
                "alg" | "cty" | "crit" | SIGNING_TIME | "label 0" | "label 1" | "label 2" | "label 3" | "label 4"
                | "label 5" | "label 6" | "label 7" | "label 8" => {
                    return Err(EnvelopeError::CriticalForbidden { header: header_text() });
                }
                _ => self.extended.contains_key(header),
            };
            if !is_present {
                return Err(EnvelopeError::CriticalAbsent { header: header_text() });
            }
        }
        let required = [
            (SIGNING_SCHEME, true),
            (EXPIRY, self.expiry.is_some()),
            (AUTHENTIC_SIGNING_TIME, scheme == SigningScheme::SigningAuthority),
        ];
        match required.into_iter().find(|(header, needed)| *needed && !listed.contains(header)) {
            Some((header, _)) => Err(EnvelopeError::HeaderNotCritical { header }),
            None => Ok(()),
        }
    }

    /// What the signer asks of a verifier beyond the specification (PL-1, PL-3, PL-4). It is kept, not refused: the
    /// signature is intact, and the judgement says what is missing.
    fn extensions(&self) -> (Option<VerificationPlugin>, Vec<String>) {
        let plugin = VerificationPlugin::find(&self.extended, &self.critical);
        let is_unknown =
            |header: &&String| self.extended.contains_key(*header) && !VerificationPlugin::is_asked_for_by(header);
        (plugin, self.critical.iter().filter(is_unknown).cloned().collect())
    }
}

/// Off-spec: notation-go takes the zero time for an absent one, so that a signature which says "expired since the year
/// 1" never expires.
fn check_not_zero(header: &'static str, time: Option<Timestamp>) -> Result<(), EnvelopeError> {
    match time {
        Some(time) if time.as_second() == ZERO_TIME => Err(EnvelopeError::invalid(header, "is the zero time")),
        _ => Ok(()),
    }
}
