// SPDX-License-Identifier: Apache-2.0
//! The authentic timestamp: the signature was made while the certificates were valid
//! (trust-store-trust-policy.md, "Authentic timestamp").

use std::fmt;

use jiff::SignedDuration;

use super::Finding;
use crate::Timestamp;
use crate::certificate::{Certificate, text};
use crate::envelope::{Envelope, SigningScheme};
use crate::outcome::Reason;
use crate::policy::{Statement, VerifyTimestamp};
use crate::revocation::{ChainFinding, ChainStatus, RevocationAnswers, RevocationMethod, judge_chain};
use crate::timestamp::{TrustedToken, VerifiedTimestamp};
use crate::trust_store::{TrustStoreRef, TrustStoreType, TrustStores};

/// The finding, and the timestamp exactly if it passed by one.
pub(super) fn check_authentic_timestamp(
    envelope: &Envelope,
    statement: &Statement,
    stores: &TrustStores,
    revocation: &RevocationAnswers,
    now: Timestamp,
) -> (Finding, Option<VerifiedTimestamp>) {
    let chain = envelope.certificate_chain();
    if envelope.signing_scheme() == SigningScheme::SigningAuthority {
        return (check_signing_authority(envelope), None);
    }
    let tsa_stores = find_tsa_stores(statement);
    // AT-1: without a tsa store a token is not looked at, and the current time is what counts.
    if tsa_stores.is_empty() {
        let mut finding = check_current_time(chain, now);
        if finding.reason == Some(Reason::CertificateExpired)
            && let Some(time) = find_useful_timestamp(envelope, now)
        {
            let hint = format!("; the envelope carries a timestamp of {time}: add a tsa trust store to the statement");
            finding.message.push_str(&hint);
        }
        return (finding, None);
    }
    // AT-2.
    if !needs_token(chain, statement, now) {
        return (check_current_time(chain, now), None);
    }
    // AT-3: from here on only a token will do, also for certificates that are valid now.
    match check_token(envelope, &tsa_stores, stores, revocation, now) {
        Ok((finding, timestamp)) => (finding, Some(timestamp)),
        Err(finding) => (finding, None),
    }
}

/// The time of a token that would help if its authority were trusted: it is sound, about this signature, and from when
/// every certificate was valid, and the end of a certificate is all that is wrong now.
fn find_useful_timestamp(envelope: &Envelope, now: Timestamp) -> Option<Timestamp> {
    let chain = envelope.certificate_chain();
    if chain.iter().any(|certificate| now < certificate.not_before()) {
        return None;
    }
    let token = envelope.open_timestamp()?.ok()?;
    let (earliest, latest) = token.claimed_range()?;
    let covers = |time| find_invalid(chain, time).is_none();
    (covers(earliest) && covers(latest)).then(|| token.claimed_time())
}

fn find_tsa_stores(statement: &Statement) -> Vec<&TrustStoreRef> {
    let is_tsa = |reference: &&TrustStoreRef| reference.store_type() == TrustStoreType::Tsa;
    statement.trust_stores().iter().filter(is_tsa).collect()
}

/// AT-2, if there is a tsa store.
fn needs_token(chain: &[Certificate], statement: &Statement, now: Timestamp) -> bool {
    statement.verify_timestamp() != VerifyTimestamp::AfterCertExpiry || chain.iter().any(|c| now > c.not_after())
}

/// The chain of the authority whose token counts, if there is one and it is trusted.
pub(super) fn find_authority_chain(
    envelope: &Envelope,
    statement: &Statement,
    stores: &TrustStores,
    now: Timestamp,
) -> Option<Vec<Certificate>> {
    let tsa_stores = find_tsa_stores(statement);
    let is_needed = envelope.signing_scheme() == SigningScheme::X509
        && !tsa_stores.is_empty()
        && needs_token(envelope.certificate_chain(), statement, now);
    if !is_needed {
        return None;
    }
    let token = envelope.open_timestamp()?.ok()?;
    let trusted = load(&tsa_stores, stores).ok()?;
    let roots: Vec<&Certificate> = trusted.iter().map(|(_, root)| *root).collect();
    let TrustedToken { timestamp, chain } = token.trust(&roots).ok()?;
    check_range(&timestamp, envelope.certificate_chain()).ok().map(|()| chain)
}

/// AT-3 to AT-15. What is wrong with the token itself comes first: it fails whatever is trusted.
fn check_token(
    envelope: &Envelope,
    tsa_stores: &[&TrustStoreRef],
    stores: &TrustStores,
    revocation: &RevocationAnswers,
    now: Timestamp,
) -> Result<(Finding, VerifiedTimestamp), Finding> {
    let invalid = |why: &dyn fmt::Display| {
        Finding::failed(Reason::TimestampInvalid, format!("the timestamp of the signature is not accepted: {why}"))
    };
    let token = envelope.open_timestamp().ok_or_else(|| {
        let message = "the statement names a tsa trust store, and the signature has no timestamp";
        Finding::failed(Reason::TimestampMissing, message)
    })?;
    let token = token.map_err(|error| invalid(&error))?;
    let trusted = load(tsa_stores, stores)?;
    let roots: Vec<&Certificate> = trusted.iter().map(|(_, root)| *root).collect();
    let TrustedToken { timestamp, chain } = token.trust(&roots).map_err(|error| invalid(&error))?;
    check_range(&timestamp, envelope.certificate_chain()).map_err(|problem| invalid(&problem))?;
    let (note, until, answers_until) = check_authority_revocation(&chain, revocation, now)?;
    let store = trusted.iter().find(|(_, root)| chain.last() == Some(*root)).map(|(reference, _)| *reference);
    let store = store.map_or_else(String::new, |reference| format!(" ({reference})"));
    let message = format!("timestamped {} by {}{store}; {note}", timestamp.time, text(timestamp.authority.subject()));
    Ok((Finding::passed(message).until(until).resting_on(answers_until), timestamp))
}

/// AT-15, as for the stores of the signing certificates: one that cannot be used leaves the question open. A root that
/// stands in several stores is taken once.
fn load<'a>(
    references: &[&'a TrustStoreRef],
    stores: &'a TrustStores,
) -> Result<Vec<(&'a TrustStoreRef, &'a Certificate)>, Finding> {
    let mut loaded: Vec<(&TrustStoreRef, &Certificate)> = Vec::new();
    for reference in references {
        let certificates = stores.certificates(reference).map_err(|why| {
            let message = format!("trust store {reference} is unavailable: {}", text(why));
            Finding::unknown(Reason::TrustStoreUnavailable, message)
        })?;
        for certificate in certificates {
            if !loaded.iter().any(|(_, known)| *known == certificate) {
                loaded.push((reference, certificate));
            }
        }
    }
    Ok(loaded)
}

/// AT-13: whenever in its range of accuracy the authority's clock was, every signing certificate was valid, both
/// bounds inclusive.
fn check_range(timestamp: &VerifiedTimestamp, chain: &[Certificate]) -> Result<(), String> {
    let (earliest, latest) =
        timestamp.range().ok_or_else(|| format!("{} and its accuracy are out of range", timestamp.time))?;
    for time in [earliest, latest] {
        if let Some((_, problem)) = find_invalid(chain, time) {
            return Err(format!("{problem}, and the signature may have been made at {time}"));
        }
    }
    Ok(())
}

/// AT-14: no certificate of the authority's chain is revoked, whatever the statement's action for revocation is.
/// Returns what to note if it passes, when the clock may change that, and until when the answers can be used.
fn check_authority_revocation(
    chain: &[Certificate],
    answers: &RevocationAnswers,
    now: Timestamp,
) -> Result<(String, Option<Timestamp>, Vec<Timestamp>), Finding> {
    let ChainStatus { finding, message, until, answers_until } = judge_chain(chain, answers, None, now);
    let sound = "the timestamp is sound, but in the chain of the timestamp authority";
    match finding {
        ChainFinding::Good(evidence) if evidence.method == RevocationMethod::None => {
            let note = "no certificate of the timestamp authority names a revocation endpoint: nothing to check";
            Ok((note.to_owned(), until, answers_until))
        }
        ChainFinding::Good(_) => {
            Ok((format!("in the chain of the timestamp authority {message}"), until, answers_until))
        }
        ChainFinding::Revoked(_) => Err(Finding::failed(Reason::Revoked, format!("{sound} {message}")).until(until)),
        ChainFinding::Unknown => {
            Err(Finding::unknown(Reason::RevocationUnknown, format!("{sound} {message}")).until(until))
        }
    }
}

/// AT-4: in this scheme the authority vouches for the time; the clock and tokens play no part.
fn check_signing_authority(envelope: &Envelope) -> Finding {
    let time = envelope.signing_time();
    let chain = envelope.certificate_chain();
    match find_invalid(chain, time) {
        Some((reason, message)) => Finding::failed(reason, format!("{message}, at the authentic signing time {time}")),
        None => Finding::passed(format!("every certificate was valid at the authentic signing time {time}")),
    }
}

/// AT-1, AT-2: every certificate, the root too, is valid now.
fn check_current_time(chain: &[Certificate], now: Timestamp) -> Finding {
    let finding = match find_invalid(chain, now) {
        Some((reason, message)) => Finding::failed(reason, message),
        None => Finding::passed("every certificate is valid now"),
    };
    finding.until(next_change(chain, now))
}

/// The first certificate that is not valid at this time, both bounds inclusive (RFC 5280 section 4.1.2.5).
fn find_invalid(chain: &[Certificate], time: Timestamp) -> Option<(Reason, String)> {
    chain.iter().find_map(|certificate| {
        let subject = || text(certificate.subject());
        if time < certificate.not_before() {
            let message = format!("the certificate {} is not valid before {}", subject(), certificate.not_before());
            return Some((Reason::CertificateNotYetValid, message));
        }
        if time > certificate.not_after() {
            let message = format!("the certificate {} expired at {}", subject(), certificate.not_after());
            return Some((Reason::CertificateExpired, message));
        }
        None
    })
}

/// The first instant after `now` at which a certificate starts or has ended.
fn next_change(chain: &[Certificate], now: Timestamp) -> Option<Timestamp> {
    let starts = chain.iter().map(Certificate::not_before);
    let ends = chain.iter().filter_map(|c| c.not_after().checked_add(SignedDuration::from_nanos(1)).ok());
    starts.chain(ends).filter(|instant| *instant > now).min()
}
