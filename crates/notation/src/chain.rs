// SPDX-License-Identifier: Apache-2.0
//! The rules for certificate chains of signatures and of timestamping authorities (signature-specification.md,
//! "Certificate requirements").
//!
//! The chain is taken as it stands, leaf first: nothing is searched, reordered or added. No time is looked at (CC-10,
//! CC-11): that is part of the judgement, because it changes and the envelope does not.

use std::fmt;

use crate::algorithm::SignatureAlgorithm;
use crate::certificate::{Certificate, ExtendedKeyUsage, KeyUsage, Marked, text};

/// Most certificates in a chain. A limit of ours; notation-go has none, real chains have two to four.
pub(crate) const MAX_CHAIN_LENGTH: usize = 10;

/// Checks a code-signing chain and returns the algorithm that its leaf's key implies.
///
/// # Errors
/// The first rule that does not hold, and for which certificate.
pub(crate) fn check_chain(chain: &[Certificate]) -> Result<SignatureAlgorithm, ChainError> {
    let (leaf, issuers) = match chain {
        // CC-1.
        [] => return Err(ChainError { index: 0, subject: String::new(), problem: ChainProblem::Empty }),
        // CC-2: a single certificate is its own root, and only the leaf's rules hold for it. Stricter than
        // notation-go, SHA-1 is refused here as everywhere (D7).
        [only] if !only.is_self_signed() => return Err(at(0, only)(ChainProblem::SingleNotSelfSigned)),
        [leaf, issuers @ ..] => (leaf, issuers),
    };
    for (index, (certificate, issuer)) in chain.iter().zip(issuers).enumerate() {
        // CC-3. The root, which is in no pair as `certificate`, is the only one that may have signed itself.
        if certificate.is_self_signed() {
            return Err(at(index, certificate)(ChainProblem::SelfSignedBeforeRoot));
        }
        if !certificate.is_issued_by(issuer) {
            return Err(at(index, certificate)(ChainProblem::NotIssuedByNext));
        }
    }
    for (below, issuer) in issuers.iter().enumerate() {
        let index = below.saturating_add(1);
        check_issuer(issuer, below, Purpose::CodeSigning).map_err(at(index, issuer))?;
    }
    if let Some(root) = issuers.last().filter(|root| !root.is_self_signed()) {
        return Err(at(issuers.len(), root)(ChainProblem::RootNotSelfSigned));
    }
    check_leaf(leaf).map_err(at(0, leaf))
}

/// Checks the rules for the certificates of a timestamping authority. That each one issued the one before, and that
/// the last is a root, is for the caller to know: such a chain was searched, from the authority to a trust store.
///
/// # Errors
/// The first rule that does not hold, and for which certificate.
pub(crate) fn check_timestamping_chain(leaf: &Certificate, issuers: &[Certificate]) -> Result<(), ChainError> {
    check_timestamping_leaf(leaf).map_err(at(0, leaf))?;
    for (below, issuer) in issuers.iter().enumerate() {
        let index = below.saturating_add(1);
        check_issuer(issuer, below, Purpose::Timestamping).map_err(at(index, issuer))?;
    }
    Ok(())
}

/// Says of a problem which certificate has it.
fn at(index: usize, certificate: &Certificate) -> impl FnOnce(ChainProblem) -> ChainError {
    move |problem| ChainError { index, subject: text(certificate.subject()), problem }
}

/// What a chain is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    CodeSigning,
    Timestamping,
}

/// CC-4. `below` is the number of intermediates between this certificate and the leaf.
fn check_issuer(certificate: &Certificate, below: usize, purpose: Purpose) -> Result<(), ChainProblem> {
    let Some(constraints) = &certificate.extensions().basic_constraints else {
        return Err(ChainProblem::BasicConstraintsMissing);
    };
    // Stricter than notation-go, which does not look whether they are critical (D6, RFC 5280 4.2.1.9).
    if !constraints.critical {
        return Err(ChainProblem::BasicConstraintsNotCritical);
    }
    if !constraints.value.ca {
        return Err(ChainProblem::NotACa);
    }
    if let Some(length) = constraints.value.path_len_constraint.filter(|length| usize::from(*length) < below) {
        return Err(ChainProblem::PathTooLong { allowed: length, actual: below });
    }
    let usage = check_key_usage(certificate, purpose)?;
    if !usage.has(KeyUsage::KEY_CERT_SIGN) {
        return Err(ChainProblem::KeyUsageLacks { usage: "keyCertSign" });
    }
    Ok(())
}

/// CC-5 to CC-7.
fn check_leaf(leaf: &Certificate) -> Result<SignatureAlgorithm, ChainProblem> {
    check_leaf_usage(leaf, Purpose::CodeSigning)?;
    let usages = leaf.extensions().extended_key_usage.as_ref();
    for usage in usages.into_iter().flat_map(|usages| &usages.value) {
        if let ExtendedKeyUsage::Forbidden(usage) = usage {
            return Err(ChainProblem::ExtendedKeyUsageForbidden { usage });
        }
    }
    leaf.key().algorithm().ok_or(ChainProblem::KeyUnsupported)
}

/// TC-1 to TC-3, RFC 3161 section 2.3.
fn check_timestamping_leaf(leaf: &Certificate) -> Result<(), ChainProblem> {
    check_leaf_usage(leaf, Purpose::Timestamping)?;
    match &leaf.extensions().extended_key_usage {
        Some(Marked { critical, value }) if *value == [ExtendedKeyUsage::TIME_STAMPING] => {
            if !critical {
                return Err(ChainProblem::ExtendedKeyUsageNotCritical);
            }
        }
        _ => return Err(ChainProblem::ExtendedKeyUsageNotTimestampingAlone),
    }
    leaf.key().algorithm().map(|_| ()).ok_or(ChainProblem::KeyUnsupported)
}

/// CC-5.
fn check_leaf_usage(leaf: &Certificate, purpose: Purpose) -> Result<(), ChainProblem> {
    if leaf.is_ca() {
        return Err(ChainProblem::LeafIsCa);
    }
    let usage = check_key_usage(leaf, purpose)?;
    if !usage.has(KeyUsage::DIGITAL_SIGNATURE) {
        return Err(ChainProblem::KeyUsageLacks { usage: "digitalSignature" });
    }
    if let Some((_, usage)) = KeyUsage::FORBIDDEN_FOR_LEAF.into_iter().find(|(bit, _)| usage.has(*bit)) {
        return Err(ChainProblem::KeyUsageForbidden { usage });
    }
    Ok(())
}

/// TC-1: for timestamping it need not be critical, as in Microsoft's root of 2010 it is not.
fn check_key_usage(certificate: &Certificate, purpose: Purpose) -> Result<KeyUsage, ChainProblem> {
    match certificate.extensions().key_usage {
        None => Err(ChainProblem::KeyUsageMissing),
        Some(Marked { critical: false, .. }) if purpose == Purpose::CodeSigning => {
            Err(ChainProblem::KeyUsageNotCritical)
        }
        Some(Marked { value, .. }) => Ok(value),
    }
}

/// Which certificate of a chain breaks which rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("certificate {index} of the chain ({subject:?}) {problem}")]
pub struct ChainError {
    /// Its place in the chain; 0 is the leaf.
    pub index: usize,
    /// Its subject, cut to 256 characters.
    pub subject: String,
    /// The rule that is broken.
    pub problem: ChainProblem,
}

/// A rule for certificate chains that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)] // the sentence in Display says it
pub enum ChainProblem {
    Empty,
    SingleNotSelfSigned,
    SelfSignedBeforeRoot,
    NotIssuedByNext,
    RootNotSelfSigned,
    BasicConstraintsMissing,
    BasicConstraintsNotCritical,
    NotACa,
    PathTooLong { allowed: u8, actual: usize },
    LeafIsCa,
    KeyUsageMissing,
    KeyUsageNotCritical,
    KeyUsageLacks { usage: &'static str },
    KeyUsageForbidden { usage: &'static str },
    ExtendedKeyUsageForbidden { usage: &'static str },
    ExtendedKeyUsageNotTimestampingAlone,
    ExtendedKeyUsageNotCritical,
    KeyUnsupported,
}

impl fmt::Display for ChainProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is missing: there must be at least one"),
            Self::SingleNotSelfSigned => f.write_str("is alone and not self-signed with SHA-2"),
            Self::SelfSignedBeforeRoot => f.write_str("is self-signed and not the last"),
            Self::NotIssuedByNext => f.write_str("is not issued by the next one with a supported algorithm"),
            Self::RootNotSelfSigned => f.write_str("is the last and not a self-signed root"),
            Self::BasicConstraintsMissing => f.write_str("has no basicConstraints extension, as a CA needs"),
            Self::BasicConstraintsNotCritical => f.write_str("has a basicConstraints extension that is not critical"),
            Self::NotACa => f.write_str("is not a CA"),
            Self::PathTooLong { allowed, actual } => {
                write!(f, "has a pathLenConstraint of {allowed} and {actual} intermediates below it")
            }
            Self::LeafIsCa => f.write_str("is a CA and may not sign anything but certificates"),
            Self::KeyUsageMissing => f.write_str("has no keyUsage extension"),
            Self::KeyUsageNotCritical => f.write_str("has a keyUsage extension that is not critical"),
            Self::KeyUsageLacks { usage } => write!(f, "lacks the key usage {usage}"),
            Self::KeyUsageForbidden { usage } => write!(f, "has the key usage {usage}, which a signer must not have"),
            Self::ExtendedKeyUsageForbidden { usage } => {
                write!(f, "has the extended key usage {usage}, which a signer must not have")
            }
            Self::ExtendedKeyUsageNotTimestampingAlone => {
                f.write_str("does not have timeStamping as its only extended key usage")
            }
            Self::ExtendedKeyUsageNotCritical => f.write_str("has an extendedKeyUsage extension that is not critical"),
            Self::KeyUnsupported => {
                f.write_str("has a key that is none of RSA 2048, 3072, 4096, EC P-256, P-384, P-521")
            }
        }
    }
}
