// SPDX-License-Identifier: Apache-2.0
//! Revocation (trust-store-trust-policy.md, "Certificate revocation evaluation"): what to ask about a chain, and what
//! the answers say. OCSP is RFC 6960, revocation lists are RFC 5280 section 5. Nobody is asked here.

mod answers;
mod crl;
mod error;
mod inquiry;
mod ocsp;
mod questions;
#[cfg(test)]
mod tests;

use std::fmt;

use jiff::SignedDuration;

pub use answers::{OcspResponse, RevocationAnswers};
pub use crl::RevocationList;
pub use error::RevocationError;
pub use questions::{AnswerTimes, RevocationQuestion, RevocationQuestions, RevocationRequest};

use crate::Timestamp;
use crate::certificate::{Certificate, text};
use crate::outcome::words;
use inquiry::{Inquiry, Trouble};

/// Most bytes of an OCSP response, as in notation-go (RV-10).
pub const MAX_OCSP_RESPONSE_BYTES: usize = 20_480;
/// Most bytes of a revocation list, as in notation-go (RV-15).
pub const MAX_CRL_BYTES: usize = 32 * 1024 * 1024;
/// Most revocation lists that are brought. A limit of ours.
pub const MAX_BROUGHT_CRLS: usize = 64;
/// Most bytes of a URL that is asked. A limit of ours.
pub(crate) const MAX_URL_BYTES: usize = 2048;
/// Most URLs that are asked about one certificate. A limit of ours.
pub const MAX_URLS_PER_CERTIFICATE: usize = 4;
/// Most URLs that are asked at once in one verification. A limit of ours.
pub const MAX_URLS_PER_VERIFICATION: usize = 8;

/// How far the clock of a responder may be ahead of ours (RV-11). A choice of ours; notation-go does not look.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// How the revocation status of a chain was learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevocationEvidence {
    /// What the first certificate, from the leaf on, was judged by that has a source; for a revoked chain, what the
    /// revoked certificate was judged by.
    pub method: RevocationMethod,
    /// Until when, inclusive, all the answers can be used. None if there are none, or the certificate is revoked.
    pub next_update: Option<Timestamp>,
}

/// Where the revocation status of a certificate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RevocationMethod {
    /// The Online Certificate Status Protocol (RFC 6960).
    Ocsp,
    /// Certificate revocation lists (RFC 5280).
    Crl,
    /// There is nobody to ask.
    None,
}
words!(RevocationMethod { Ocsp => "OCSP", Crl => "CRL", None => "None" });

/// What the answers say about a chain.
#[derive(Debug)]
pub(crate) struct ChainStatus {
    pub(crate) finding: ChainFinding,
    /// What a message says about it.
    pub(crate) message: String,
    /// When the clock may change it.
    pub(crate) until: Option<Timestamp>,
    /// Until when the answer about each certificate can be used; empty unless all are good.
    pub(crate) answers_until: Vec<Timestamp>,
}

#[derive(Debug)]
pub(crate) enum ChainFinding {
    /// No certificate is revoked, as far as there is anybody to ask.
    Good(RevocationEvidence),
    Revoked(RevocationEvidence),
    Unknown,
}

/// How it was learnt that a certificate is good, and until when; none if there is nobody to ask.
type Good = Option<(RevocationMethod, Timestamp)>;

/// RV-2, RV-6: judges every certificate but the last, which is the root. `signing_time` is an authentic one (RV-7).
pub(crate) fn judge_chain(
    chain: &[Certificate],
    answers: &RevocationAnswers,
    signing_time: Option<Timestamp>,
    now: Timestamp,
) -> ChainStatus {
    let mut inquiry = Inquiry { answers, now, signing_time, until: None };
    let (mut known, mut silent, mut unknown) = (Vec::new(), None, None);
    for (certificate, issuer) in chain.iter().zip(chain.iter().skip(1)) {
        let subject = text(certificate.subject());
        match judge_certificate(&mut inquiry, certificate, issuer) {
            Ok(Some(good)) => known.push(good),
            Ok(None) => _ = silent.get_or_insert(subject),
            Err((_, Trouble::Unknown(error))) => {
                let message = format!("it is unknown whether the certificate {subject} is revoked: {error}");
                unknown.get_or_insert(message);
            }
            Err((method, Trouble::Revoked(why))) => {
                let message = format!("the certificate {subject} is revoked {why}");
                let finding = ChainFinding::Revoked(RevocationEvidence { method, next_update: None });
                return ChainStatus { finding, message, until: inquiry.until, answers_until: Vec::new() };
            }
        }
    }
    let until = inquiry.until;
    match unknown {
        Some(message) => ChainStatus { finding: ChainFinding::Unknown, message, until, answers_until: Vec::new() },
        None => conclude(&known, silent, until),
    }
}

/// Nothing is revoked and nothing unknown; D23: what nobody can be asked about is said.
fn conclude(known: &[(RevocationMethod, Timestamp)], silent: Option<String>, until: Option<Timestamp>) -> ChainStatus {
    let answers_until: Vec<_> = known.iter().map(|(_, next_update)| *next_update).collect();
    let next_update = answers_until.iter().min().copied();
    let method = known.first().map_or(RevocationMethod::None, |(method, _)| *method);
    let message = match (next_update, silent) {
        (None, _) => "no certificate names a revocation endpoint: nothing to check".to_owned(),
        (Some(until), None) => format!("no certificate is revoked, by {method}; known until {until}"),
        (Some(until), Some(silent)) => format!(
            "no certificate is revoked, by {method}; known until {until}; the certificate {silent} names no \
             revocation endpoint"
        ),
    };
    let finding = ChainFinding::Good(RevocationEvidence { method, next_update });
    ChainStatus { finding, message, until, answers_until }
}

/// RV-3 to RV-5. With an error comes the method that gave it.
fn judge_certificate(
    inquiry: &mut Inquiry<'_>,
    certificate: &Certificate,
    issuer: &Certificate,
) -> Result<Good, (RevocationMethod, Trouble)> {
    let endpoints = &certificate.extensions().revocation;
    let has_lists = endpoints.distribution_points.is_some() || inquiry.has_brought(issuer);
    let mut no_ocsp = None;
    if !endpoints.ocsp.is_empty() {
        match inquiry.by_ocsp(certificate, issuer) {
            Ok(next_update) => return Ok(Some((RevocationMethod::Ocsp, next_update))),
            Err(Trouble::Unknown(error)) if has_lists => no_ocsp = Some(error),
            Err(trouble) => return Err((RevocationMethod::Ocsp, trouble)),
        }
    } else if !has_lists && !endpoints.names_freshest_crl {
        // The list that cannot be read may be the one that counts here.
        let unread = inquiry.answers.unread().map(|why| RevocationError::BroughtUnread { why: why.to_owned() });
        return unread.map_or(Ok(None), |error| Err((RevocationMethod::Crl, error.into())));
    }
    let trouble = match (inquiry.by_lists(certificate, issuer), no_ocsp) {
        (Ok(next_update), _) => return Ok(Some((RevocationMethod::Crl, next_update))),
        (Err(Trouble::Unknown(lists)), Some(ocsp)) => {
            RevocationError::Neither { ocsp: Box::new(ocsp), lists: Box::new(lists) }.into()
        }
        (Err(trouble), _) => trouble,
    };
    Err((RevocationMethod::Crl, trouble))
}

/// RV-11, RV-17.
fn check_currency(
    what: &'static str,
    this_update: Timestamp,
    next_update: Timestamp,
    now: Timestamp,
) -> Result<(), RevocationError> {
    if this_update.checked_sub(CLOCK_SKEW).is_ok_and(|earliest| now < earliest) {
        return Err(RevocationError::Future { what, this_update });
    }
    if now > next_update {
        return Err(RevocationError::Expired { what, next_update });
    }
    Ok(())
}

/// The first instant after one that is inclusive.
fn just_after(instant: Timestamp) -> Option<Timestamp> {
    instant.checked_add(SignedDuration::from_nanos(1)).ok()
}
