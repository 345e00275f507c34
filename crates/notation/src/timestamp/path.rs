// SPDX-License-Identifier: Apache-2.0
//! The search for paths from a timestamp authority to the roots that are trusted (AT-12, RFC 5280 section 6).

use super::TimestampError;
use crate::Timestamp;
use crate::certificate::{Certificate, ExtendedKeyUsage, KeyUsage, text};
use crate::chain::{MAX_CHAIN_LENGTH, check_timestamping_chain};

/// Most signatures of certificates that one search verifies, the limit of Go's `crypto/x509`.
const MAX_SIGNATURE_CHECKS: u32 = 100;

/// All paths, authority first and root last, from `authority` over `intermediates` to `roots` in which every
/// certificate is valid at `time`, may issue what it issued, and is fit for timestamping. At least one.
///
/// A copy of a root among the intermediates is not trusted.
///
/// # Errors
/// If there is no path; and, stricter than notation-go, which takes the first path that it finds, if any path breaks a
/// rule for chains of timestamping authorities: the verdict must not depend on the order of a search.
pub(super) fn find_paths(
    authority: &Certificate,
    intermediates: &[Certificate],
    roots: &[&Certificate],
    time: Timestamp,
) -> Result<Vec<Vec<Certificate>>, TimestampError> {
    let mut search =
        Search { intermediates, roots, time, checks_left: MAX_SIGNATURE_CHECKS, found: vec![], hint: None };
    let fit = check_validity(authority, time).and_then(|()| check_usage(authority));
    match fit {
        Ok(()) => search.extend(&mut vec![authority.clone()])?,
        Err(problem) => search.hint = Some(problem),
    }
    if search.found.is_empty() {
        let hint = search.hint.map_or_else(String::new, |hint| format!(": {hint}"));
        return Err(TimestampError::NoPath { authority: text(authority.subject()), time, hint });
    }
    search.found.iter().try_for_each(|path| check_rules(path))?;
    Ok(search.found)
}

/// TC-1 to TC-3, and no extension that would have to be looked at: other than in a code-signing chain (D8), what is
/// critical here counts.
fn check_rules(path: &[Certificate]) -> Result<(), TimestampError> {
    if let [leaf, issuers @ ..] = path {
        check_timestamping_chain(leaf, issuers)?;
    }
    for certificate in path {
        if let Some(oid) = &certificate.extensions().unprocessed {
            return Err(TimestampError::Extension { subject: text(certificate.subject()), oid: oid.clone() });
        }
    }
    Ok(())
}

struct Search<'a> {
    intermediates: &'a [Certificate],
    roots: &'a [&'a Certificate],
    time: Timestamp,
    checks_left: u32,
    found: Vec<Vec<Certificate>>,
    /// Why the first candidate that had the right name was not taken.
    hint: Option<String>,
}

impl Search<'_> {
    /// Goes on from the last certificate of `path`, in depth.
    fn extend(&mut self, path: &mut Vec<Certificate>) -> Result<(), TimestampError> {
        for root in self.roots {
            if self.is_issuer(root, path)? {
                self.found.push([path.as_slice(), &[(*root).clone()]].concat());
            }
        }
        // One place is for the root.
        if path.len() >= MAX_CHAIN_LENGTH.saturating_sub(1) {
            return Ok(());
        }
        for intermediate in self.intermediates {
            if self.is_issuer(intermediate, path)? {
                path.push(intermediate.clone());
                self.extend(path)?;
                path.pop();
            }
        }
        Ok(())
    }

    /// Whether `candidate` may come next: the cheap questions first, then the signature.
    fn is_issuer(&mut self, candidate: &Certificate, path: &[Certificate]) -> Result<bool, TimestampError> {
        let Some(last) = path.last() else { return Ok(false) };
        if !last.names_as_issuer(candidate) || path.iter().any(|earlier| earlier.is_same_entity(candidate)) {
            return Ok(false);
        }
        let fit = check_validity(candidate, self.time)
            .and_then(|()| check_usage(candidate))
            .and_then(|()| check_issuer(candidate, path.len().saturating_sub(1)));
        if let Err(problem) = fit {
            self.hint.get_or_insert(problem);
            return Ok(false);
        }
        let Some(left) = self.checks_left.checked_sub(1) else {
            let authority = path.first().map_or_else(String::new, |first| text(first.subject()));
            return Err(TimestampError::SearchTooLong { authority, max: MAX_SIGNATURE_CHECKS });
        };
        self.checks_left = left;
        let is_issuer = last.is_issued_by(candidate);
        if !is_issuer {
            let problem = format!(
                "the certificate {} was not signed by {} with a supported algorithm",
                text(last.subject()),
                text(candidate.subject())
            );
            self.hint.get_or_insert(problem);
        }
        Ok(is_issuer)
    }
}

/// Both bounds are inclusive (RFC 5280 section 4.1.2.5).
fn check_validity(certificate: &Certificate, time: Timestamp) -> Result<(), String> {
    if is_valid_at(certificate, time) {
        return Ok(());
    }
    let subject = text(certificate.subject());
    Err(format!(
        "the certificate {subject} is valid from {} to {} only",
        certificate.not_before(),
        certificate.not_after()
    ))
}

pub(super) fn is_valid_at(certificate: &Certificate, time: Timestamp) -> bool {
    certificate.not_before() <= time && time <= certificate.not_after()
}

/// Extended key usages bind certificates of CAs too, as in Go: what they list is all that they may be used for. An
/// empty list, which RFC 5280 does not allow, restricts nothing there.
fn check_usage(certificate: &Certificate) -> Result<(), String> {
    let fits = |usages: &[ExtendedKeyUsage]| {
        let allows = |usage| [ExtendedKeyUsage::TIME_STAMPING, ExtendedKeyUsage::ANY].contains(usage);
        usages.is_empty() || usages.iter().any(allows)
    };
    match &certificate.extensions().extended_key_usage {
        Some(usages) if !fits(&usages.value) => {
            Err(format!("the certificate {} is not for timeStamping", text(certificate.subject())))
        }
        _ => Ok(()),
    }
}

/// `below` is the number of intermediates between this certificate and the authority's.
fn check_issuer(certificate: &Certificate, below: usize) -> Result<(), String> {
    let subject = || text(certificate.subject());
    let extensions = certificate.extensions();
    let Some(constraints) = extensions.basic_constraints.as_ref().filter(|constraints| constraints.value.ca) else {
        return Err(format!("the certificate {} is not a CA", subject()));
    };
    if constraints.value.path_len_constraint.is_some_and(|length| usize::from(length) < below) {
        return Err(format!("the certificate {} does not allow {below} intermediates below it", subject()));
    }
    if extensions.key_usage.as_ref().is_some_and(|usage| !usage.value.has(KeyUsage::KEY_CERT_SIGN)) {
        return Err(format!("the certificate {} lacks the key usage keyCertSign", subject()));
    }
    Ok(())
}
