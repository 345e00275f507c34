// SPDX-License-Identifier: Apache-2.0
//! Why bytes are not a sound signature envelope.

use crate::certificate::{CertificateError, text};
use crate::chain::ChainError;
use crate::envelope::SigningScheme;

/// Why bytes are not a sound signature envelope. Every one of these is a failure of integrity, which no level softens
/// (CC-12, LV-3).
/// Text that comes from the envelope is cut to 256 characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The media type is neither JWS nor COSE.
    #[error("signature envelope format {media_type:?} is not supported")]
    UnsupportedMediaType {
        /// The media type of the layer.
        media_type: String,
    },
    /// The envelope is larger than allowed.
    #[error("signature envelope has {size} bytes; at most {max} are allowed")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The largest size allowed.
        max: usize,
    },
    /// A part of the envelope is larger than allowed.
    #[error("{part} of the signature envelope has more than {max} bytes")]
    PartTooLarge {
        /// Which part.
        part: &'static str,
        /// The largest size allowed.
        max: usize,
    },
    /// A part of the envelope does not have the form that the specification says.
    #[error("malformed {part} of the signature envelope: {problem}")]
    Malformed {
        /// Which part.
        part: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A header that must be there is missing.
    #[error("header {header:?} is missing")]
    HeaderMissing {
        /// Its name.
        header: &'static str,
    },
    /// A header has a value that it cannot have.
    #[error("header {header:?} is invalid: {problem}")]
    HeaderInvalid {
        /// Its name.
        header: &'static str,
        /// What is wrong with the value.
        problem: String,
    },
    /// A header that the signing scheme does not allow (JW-13, CO-8).
    #[error("header {header:?} is not allowed in signing scheme {scheme}")]
    HeaderNotAllowed {
        /// Its name.
        header: &'static str,
        /// The scheme.
        scheme: SigningScheme,
    },
    /// A header stands both among the protected and the unprotected ones (RFC 7515 7.2.1, RFC 9052 section 3).
    #[error("header {header:?} is both protected and unprotected")]
    HeaderTwice {
        /// Its name.
        header: String,
    },
    /// A header that must be critical is not listed in `crit` (JW-14, CO-4).
    #[error("header {header:?} is not marked critical")]
    HeaderNotCritical {
        /// Its name.
        header: &'static str,
    },
    /// `crit` lists a header that is not there.
    #[error("header {header:?} is marked critical but not present")]
    CriticalAbsent {
        /// Its name.
        header: String,
    },
    /// `crit` lists a header that it must not list.
    #[error("header {header:?} must not be marked critical")]
    CriticalForbidden {
        /// Its name.
        header: String,
    },
    /// `crit` lists a header twice.
    #[error("header {header:?} is marked critical twice")]
    CriticalRepeated {
        /// Its name.
        header: String,
    },
    /// The signature is over something else than a Notary Project payload.
    #[error("payload content type {found:?} is not supported")]
    ContentTypeUnsupported {
        /// The content type found.
        found: String,
    },
    /// The signing scheme is not one of the two.
    #[error("signing scheme {found:?} is not supported")]
    SchemeUnsupported {
        /// The scheme found.
        found: String,
    },
    /// The algorithm is none of the six, or not the one that the leaf's key implies (JW-6, CO-3).
    #[error("signature algorithm {found:?} is not the one that the signing certificate's key implies")]
    AlgorithmUnsupported {
        /// The algorithm found.
        found: String,
    },
    /// The expiry is not after the signing time (JW-16, CO-9).
    #[error("expiry cannot be equal or before the signing time")]
    ExpiryBeforeSigning,
    /// There is no certificate chain.
    #[error("certificate chain is not present")]
    ChainMissing,
    /// There are more certificates than allowed.
    #[error("certificate chain has more than {max} certificates")]
    ChainTooLong {
        /// How many are allowed.
        max: usize,
    },
    /// A certificate of the chain cannot be read.
    #[error("certificate {index} of the chain: {error}")]
    Certificate {
        /// Its place in the chain; 0 is the leaf.
        index: usize,
        /// What is wrong with it.
        error: CertificateError,
    },
    /// The chain breaks a rule.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// There is no signature (JW-10).
    #[error("signature is missing in the envelope")]
    SignatureMissing,
    /// The signature was not made over this content with the leaf's key.
    #[error("signature is invalid")]
    SignatureInvalid,
}

impl EnvelopeError {
    pub(crate) fn malformed(part: &'static str, problem: &str) -> Self {
        Self::Malformed { part, problem: text(problem) }
    }

    pub(crate) fn invalid(header: &'static str, problem: &str) -> Self {
        Self::HeaderInvalid { header, problem: text(problem) }
    }
}
