// SPDX-License-Identifier: Apache-2.0

//! What the operator reports on a `TrustPolicy`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lenient::unreadable_is_absent;
use crate::schema;
use crate::word::Word;

/// Most names in [`TrustPolicyStatus::failing`].
pub const FAILING_MAX: usize = 20;

/// Most certificates listed for one trust store.
pub const CERTIFICATES_MAX: usize = 64;

/// Most certificates listed for all trust stores of a policy together: an object can have 1.5 MiB, most of which may be
/// taken by certificates in its spec.
pub const CERTIFICATES_LISTED_MAX: usize = 256;

/// What Sealwatch found for the trust policy. Written by the operator alone, as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = schema::status)]
pub struct TrustPolicyStatus {
    /// The `metadata.generation` that was evaluated; never ahead of what the rest of the status speaks about.
    #[serde(deserialize_with = "unreadable_is_absent", skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// `Ready` and `Verified`; `Reconciling` and `Stalled` only while they are true.
    #[serde(deserialize_with = "unreadable_is_absent", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,

    /// How many images have which verdict.
    #[serde(deserialize_with = "unreadable_is_absent", skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,

    /// The trust stores with the certificates that were loaded, in the order of the spec; at most 32, with at most 256
    /// certificates in all.
    #[serde(deserialize_with = "unreadable_is_absent", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub trust_stores: Vec<TrustStoreStatus>,

    /// Names of ImageVerifications that are Failed or Unknown, Failed ones first; at most 20.
    #[serde(deserialize_with = "unreadable_is_absent", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 253)))]
    pub failing: Vec<String>,

    /// What ends next, and how many images it would fail.
    #[serde(deserialize_with = "unreadable_is_absent", skip_serializing_if = "Option::is_none")]
    pub next_expiry: Option<NextExpiry>,

    /// When the images of the namespace were last looked at.
    #[serde(deserialize_with = "unreadable_is_absent", skip_serializing_if = "Option::is_none")]
    pub last_scan_time: Option<Time>,

    /// The value of the annotation `sealwatch.dev/requestedAt` that was handled last, at most 256 characters.
    #[serde(deserialize_with = "unreadable_is_absent", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_requested_at: Option<String>,
}

/// How many images have which verdict. Every distinct image that the selected pods run is counted in exactly one of
/// `verified`, `failed`, `unknown` and `skipped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Summary {
    /// Distinct images (repository and digest) that the selected pods run.
    pub images: u32,

    /// Images whose verdict is Verified.
    pub verified: u32,

    /// Of the verified images, those with a failed check that is only logged (reason `FailuresLogged`).
    pub logged: u32,

    /// Images whose verdict is Failed.
    pub failed: u32,

    /// Images whose verdict is Unknown.
    pub unknown: u32,

    /// Images whose verdict is Skipped.
    pub skipped: u32,

    /// Pods that run these images.
    pub pods: u32,

    /// Containers that run these images, of every type.
    pub containers: u32,
}

/// A trust store as it was loaded; the counterpart of `notation cert ls`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TrustStoreStatus {
    /// The trust store as `type:name`.
    #[schemars(length(max = 256))]
    pub name: String,

    /// The certificates that are trusted, at most 64.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub certificates: Vec<CertificateSummary>,

    /// Why the trust store is not available; or which certificates no pin lists, which pins match none, and how many
    /// certificates are trusted and not listed here. At most 512 bytes; absent if there is nothing to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub message: Option<String>,
}

/// A certificate of a trust store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificateSummary {
    /// Subject of the certificate as a distinguished name, cut to 256 bytes.
    #[schemars(length(max = 256))]
    pub subject: String,

    /// SHA-256 fingerprint of the certificate, as 64 lower-case hexadecimal digits.
    #[schemars(length(max = 64))]
    pub sha256: String,

    /// Start of the certificate's validity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,

    /// End of the certificate's validity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Time>,
}

/// The next thing that ends and would change a verdict.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NextExpiry {
    /// The time at which it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,

    /// What ends: `SigningCertificate`, `TrustAnchor`, `Signature` or `RevocationList` (one of `spec.revocation.crls`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Word<ExpiryKind>>,

    /// Subject of the certificate, or issuer of the list, cut to 256 bytes.
    #[schemars(length(max = 256))]
    pub subject: String,

    /// Distinct images whose verdict rests on it.
    pub images: u32,
}

vocabulary! {
    /// What can end.
    pub enum ExpiryKind {
        /// A certificate in a signer's chain.
        SigningCertificate = "SigningCertificate",
        /// A certificate of a trust store.
        TrustAnchor = "TrustAnchor",
        /// A signature with an expiry of its own.
        Signature = "Signature",
        /// A revocation list that the user brought, at its `nextUpdate`.
        RevocationList = "RevocationList",
    }
}
