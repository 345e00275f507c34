// SPDX-License-Identifier: Apache-2.0
//! The Notary Project signature rules: parse and judge Notation envelopes. Pure: no I/O, no clock.
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

mod algorithm;
mod asn1;
mod certificate;
mod chain;
mod envelope;
mod identity;
mod json;
mod judge;
mod outcome;
mod payload;
mod policy;
mod trust_store;

pub use jiff::Timestamp;

pub use algorithm::SignatureAlgorithm;
pub use certificate::{
    Certificate, CertificateError, MAX_CERTIFICATE_BYTES, MAX_CERTIFICATE_FILE_BYTES, MAX_CERTIFICATES_PER_FILE,
    parse_certificates,
};
pub use chain::{ChainError, ChainProblem, MAX_CHAIN_LENGTH};
pub use envelope::{
    ARTIFACT_TYPE, Envelope, EnvelopeError, MAX_ENVELOPE_BYTES, MEDIA_TYPE_COSE, MEDIA_TYPE_JWS, SigningScheme,
    VerificationPlugin,
};
pub use identity::{DistinguishedName, DistinguishedNameError, Identity};
pub use judge::{RevocationAnswers, judge};
pub use outcome::{Anchor, Check, CheckResult, CheckType, Outcome, Reason, Verdict};
pub use payload::TargetArtifact;
pub use policy::{
    Action, Actions, Level, MAX_POLICY_BYTES, MAX_POLICY_ENTRIES, PolicyError, Statement, TrustPolicyDocument,
    VerifyTimestamp, raw,
};
pub use trust_store::{
    MAX_CERTIFICATES_PER_STORE, TrustStore, TrustStoreError, TrustStoreRef, TrustStoreRefError, TrustStoreType,
    TrustStores,
};
