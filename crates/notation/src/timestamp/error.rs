// SPDX-License-Identifier: Apache-2.0
//! Why a timestamp token cannot be accepted.

use crate::Timestamp;
use crate::certificate::CertificateError;
use crate::chain::ChainError;

/// Why a timestamp token cannot be accepted. Text that comes from the token is cut to 256 characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TimestampError {
    #[error("the token has {size} bytes; at most {max} are allowed")]
    TooLarge { size: usize, max: usize },
    #[error("the encoding of the token {problem}")]
    Encoding { problem: &'static str },
    #[error("malformed {field} of the token: {problem}")]
    Malformed { field: &'static str, problem: String },
    #[error("the token has more than {max} {what}")]
    TooMany { what: &'static str, max: usize },
    #[error("the token is not CMS signed data")]
    NotSignedData,
    #[error("{field} is not {required}")]
    Version { field: &'static str, required: u8 },
    #[error("{field} of the token is not id-ct-TSTInfo")]
    ContentType { field: &'static str },
    #[error("the token has no content")]
    NoContent,
    #[error("the token carries revocation lists, which are not supported")]
    RevocationLists,
    #[error("certificate {index} of the token: {error}")]
    Certificate { index: usize, error: CertificateError },
    #[error("{field} of the token uses the hash {oid}, which is not SHA-256, SHA-384 or SHA-512")]
    HashUnsupported { field: &'static str, oid: String },
    #[error("{field} of the token is not a time in UTC as RFC 3161 writes it")]
    Time { field: &'static str },
    #[error("accuracy of the token is out of range")]
    Accuracy,
    #[error("the token has the critical extension {oid}, which is not known")]
    CriticalExtension { oid: String },
    #[error("the token is about another signature: messageImprint differs")]
    ImprintMismatch,
    #[error("the token has no signer")]
    NoSigner,
    #[error("the signed attribute {attribute} is missing in the token")]
    AttributeMissing { attribute: &'static str },
    #[error("the signed attribute {attribute} of the token does not have exactly one value")]
    AttributeRepeated { attribute: &'static str },
    #[error("the signed attribute messageDigest of the token does not fit its content")]
    DigestMismatch,
    #[error("the certificate of the timestamp authority is not in the token")]
    CertificateNotFound,
    #[error("the certificate of the timestamp authority does not have the hash in signingCertificateV2")]
    CertificateMismatch,
    #[error("the signature of the token is invalid, or of an algorithm that is not supported")]
    SignatureInvalid,
    #[error("no path leads from the timestamp authority {authority} to a root of the tsa trust stores at {time}{hint}")]
    NoPath { authority: String, time: Timestamp, hint: String },
    #[error("the search for a path from the timestamp authority {authority} took more than {max} signature checks")]
    SearchTooLong { authority: String, max: u32 },
    #[error("in the timestamp authority's chain, {0}")]
    Chain(#[from] ChainError),
    #[error("the timestamp authority's certificate {subject} has the extension {oid}, which is not processed")]
    Extension { subject: String, oid: String },
    #[error("the attribute signingTime {time} of the token is outside of the validity of the authority's certificates")]
    SigningTime { time: Timestamp },
}

/// Makes an error about one field of what the ASN.1 decoder says.
pub(super) fn malformed(field: &'static str) -> impl Fn(der::Error) -> TimestampError {
    move |error| TimestampError::Malformed { field, problem: error.to_string() }
}
