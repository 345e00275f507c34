// SPDX-License-Identifier: Apache-2.0

//! The Sealwatch API, group `sealwatch.dev`, version `v1alpha1`: the kinds [`TrustPolicy`] and [`ImageVerification`],
//! the rules that the API server enforces for them, and the closed vocabularies of their conditions and reasons.
//!
//! This crate describes and decodes; it decides nothing. Decoding never fails on content that the published schema
//! admits, nor on words that a newer version added ([`Word`]): a single odd object must not end a watch. What a user
//! wrote is parsed into validated types by the crates that act on it.

#![allow(
    clippy::doc_markdown,
    reason = "doc comments of fields are what `kubectl explain` prints: kinds are plain words there"
)]

#[macro_use]
mod word;

pub mod condition;
pub mod crds;
pub mod duration;
pub mod image_verification;
mod lenient;
pub mod reason;
mod rules;
mod schema;
pub mod text;
pub mod trust_policy;

pub use condition::{Circumstance, ConditionReason, ConditionStatus, ConditionType};
pub use duration::DurationString;
pub use image_verification::status::{
    Anchor, AppliedPolicy, Check, ImageVerificationStatus, RevocationEvidence, Running, RunningContainer, Signature,
    Signer, Timestamp, Transition,
};
pub use image_verification::words::{
    CheckAction, CheckResult, CheckType, ContainerState, ContainerType, RevocationMethod, SignedVia,
};
pub use image_verification::{ImageVerification, ImageVerificationSpec, TrustPolicyReference};
pub use reason::{Reason, Verdict};
pub use trust_policy::status::{
    CertificateSummary, ExpiryKind, NextExpiry, Summary, TrustPolicyStatus, TrustStoreStatus,
};
pub use trust_policy::{
    CertificateSource, ClusterTrustBundleSource, DigestMatching, KeySelector, LocalObjectReference, Revocation,
    RevocationListSource, SignatureVerification, Statement, TrustPolicy, TrustPolicySpec, TrustStore, TrustStoreType,
};
pub use word::{UnknownWord, Vocabulary, Word};

/// API group of both kinds.
pub const GROUP: &str = "sealwatch.dev";

/// API version of both kinds.
pub const VERSION: &str = "v1alpha1";

/// Field manager under which the operator applies objects and statuses.
pub const FIELD_MANAGER: &str = "sealwatch";

/// Label of an [`ImageVerification`] that the operator made: the name of the [`TrustPolicy`] that it belongs to.
pub const LABEL_TRUST_POLICY: &str = "sealwatch.dev/trust-policy";

/// The well-known label that says who manages an object; the operator writes [`MANAGED_BY`].
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Value of [`LABEL_MANAGED_BY`] on what the operator made.
pub const MANAGED_BY: &str = "sealwatch";

/// Annotation on either kind that asks for a look at once, and for a fresh answer of the registry. Each new value is
/// handled once; the last one handled stands in `status.lastHandledRequestedAt`.
pub const ANNOTATION_REQUESTED_AT: &str = "sealwatch.dev/requestedAt";
