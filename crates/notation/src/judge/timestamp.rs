// SPDX-License-Identifier: Apache-2.0
//! The authentic timestamp: the signature was made while the certificates were valid
//! (trust-store-trust-policy.md, "Authentic timestamp").

use jiff::SignedDuration;

use super::Finding;
use crate::Timestamp;
use crate::certificate::{Certificate, text};
use crate::envelope::{Envelope, SigningScheme};
use crate::outcome::Reason;
use crate::policy::{Statement, VerifyTimestamp};
use crate::trust_store::{TrustStoreType, TrustStores};

pub(super) fn check_authentic_timestamp(
    envelope: &Envelope,
    statement: &Statement,
    stores: &TrustStores,
    now: Timestamp,
) -> Finding {
    let chain = envelope.certificate_chain();
    if envelope.signing_scheme() == SigningScheme::SigningAuthority {
        return check_signing_authority(envelope);
    }
    let mut tsa_stores = statement.trust_stores().iter().filter(|r| r.store_type() == TrustStoreType::Tsa).peekable();
    // AT-1: without a tsa store a token is not looked at, and the current time is what counts.
    if tsa_stores.peek().is_none() {
        let mut finding = check_current_time(chain, now);
        if finding.reason == Some(Reason::CertificateExpired) && envelope.timestamp_token().is_some() {
            finding.message.push_str("; the envelope carries a timestamp: add a tsa trust store to the statement");
        }
        return finding;
    }
    // AT-2.
    if statement.verify_timestamp() == VerifyTimestamp::AfterCertExpiry && !chain.iter().any(|c| now > c.not_after()) {
        return check_current_time(chain, now);
    }
    // AT-3: from here on only a token will do, also for certificates that are valid now.
    if envelope.timestamp_token().is_none() {
        let message = "the statement names a tsa trust store, and the signature has no timestamp";
        return Finding::failed(Reason::TimestampMissing, message);
    }
    // AT-15, as for the stores of the signing certificates.
    for reference in tsa_stores {
        if let Err(why) = stores.certificates(reference) {
            let message = format!("trust store {reference} is unavailable: {}", text(why));
            return Finding::unknown(Reason::TrustStoreUnavailable, message);
        }
    }
    // Fails closed: AT-5 to AT-14 are not implemented, so no token can be accepted.
    Finding::failed(Reason::TimestampInvalid, "this version does not judge RFC 3161 timestamps yet")
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
        let subject = text(certificate.subject());
        if time < certificate.not_before() {
            let message = format!("the certificate {subject} is not valid before {}", certificate.not_before());
            return Some((Reason::CertificateNotYetValid, message));
        }
        if time > certificate.not_after() {
            let message = format!("the certificate {subject} expired at {}", certificate.not_after());
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
