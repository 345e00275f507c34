// SPDX-License-Identifier: Apache-2.0
//! Why an answer says nothing about whether a certificate is revoked.

use crate::Timestamp;

/// Why it cannot be learnt from an OCSP response or a revocation list whether a certificate is revoked. Text that comes
/// from outside is cut to 256 characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // the sentence in Display says it
pub enum RevocationError {
    #[error("by OCSP, {ocsp}; by revocation lists, {lists}")]
    Neither { ocsp: Box<RevocationError>, lists: Box<RevocationError> },
    #[error("nobody has been asked: there is no answer from {url}")]
    NotAsked { url: String },
    #[error("{url} is not an http URL that may be asked")]
    NotAskable { url: String },
    #[error("{url} could not be asked: {why}")]
    NotFetched { url: String, why: String },
    #[error("the distribution point has no URL, and no revocation list was brought for it")]
    NoSource,
    #[error("it names no source, and a revocation list that was brought cannot be read: {why}")]
    BroughtUnread { why: String },
    #[error("the certificate names a freshest CRL, which is supported in revocation lists only")]
    FreshestInCertificate,
    #[error("the {what} has {size} bytes; at most {max} are allowed")]
    TooLarge { what: &'static str, size: usize, max: usize },
    #[error("there are more than {max} {what}")]
    TooMany { what: &'static str, max: usize },
    #[error("malformed {field}: {problem}")]
    Malformed { field: &'static str, problem: String },
    #[error("the extension {oid} of the {what} is there twice")]
    ExtensionRepeated { what: &'static str, oid: String },
    #[error("the {what} has the critical extension {oid}, which is not processed")]
    CriticalExtension { what: &'static str, oid: String },
    #[error("the {what} has no nextUpdate")]
    NextUpdateMissing { what: &'static str },
    #[error("the {what} expired at {next_update}")]
    Expired { what: &'static str, next_update: Timestamp },
    #[error("the {what} is from the future: thisUpdate is {this_update}")]
    Future { what: &'static str, this_update: Timestamp },
    #[error("the signature of the {what} is invalid, or of an algorithm that is not supported")]
    SignatureInvalid { what: &'static str },
    #[error("the OCSP response is an error: responseStatus is {status}")]
    ResponseStatus { status: &'static str },
    #[error("the OCSP response is not of the type id-pkix-ocsp-basic")]
    ResponseType,
    #[error("the OCSP response says nothing about the certificate: no certID has its issuer and serial number")]
    NoSingleResponse,
    #[error("the OCSP response has several answers about the certificate")]
    SeveralSingleResponses,
    #[error("the OCSP responder does not know the certificate")]
    StatusUnknown,
    #[error(
        "the OCSP response is signed neither by the issuer nor by a responder that the issuer appointed: {problem}"
    )]
    Responder { problem: String },
    #[error("the OCSP responder {responder} is revoked")]
    ResponderRevoked { responder: String },
    #[error("the OCSP responder {responder} has no ocsp-nocheck, and its own revocation is unknown: {error}")]
    ResponderUnknown { responder: String, error: Box<RevocationError> },
    #[error("the revocation list is of another issuer")]
    OtherIssuer,
    #[error("the issuer {issuer} lacks the key usage cRLSign")]
    IssuerLacksCrlSign { issuer: String },
    #[error("the two algorithm identifiers of the revocation list differ")]
    AlgorithmsDiffer,
    #[error("issuingDistributionPoint of the revocation list {problem}")]
    Scope { problem: &'static str },
    #[error("the revocation list is a delta, not a complete list")]
    DeltaAsBase,
    #[error("no delta of the revocation list can be used: {error}")]
    Delta { error: Box<RevocationError> },
    #[error("the delta of the revocation list {problem}")]
    DeltaUnfit { problem: &'static str },
}

/// Makes an error about one field of what the ASN.1 decoder says.
pub(super) fn malformed(field: &'static str) -> impl Fn(der::Error) -> RevocationError {
    move |error| RevocationError::Malformed { field, problem: error.to_string() }
}
