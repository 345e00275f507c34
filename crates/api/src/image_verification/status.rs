// SPDX-License-Identifier: Apache-2.0

//! What the operator reports on an `ImageVerification`.
//!
//! Nothing here is ever an input to a verdict: whoever may write a status must not be able to write a verdict that
//! lasts.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::words::{CheckAction, CheckResult, CheckType, ContainerState, ContainerType, RevocationMethod, SignedVia};
use crate::lenient::unreadable_is_absent;
use crate::reason::{Reason, Verdict};
use crate::schema;
use crate::word::Word;

/// Most entries in [`Running::containers`].
pub const CONTAINERS_MAX: usize = 5;

/// Most entries in [`Running::references`].
pub const REFERENCES_MAX: usize = 3;

/// Most entries in [`Running::platforms`].
pub const PLATFORMS_MAX: usize = 8;

/// Most entries in [`ImageVerificationStatus::transitions`].
pub const TRANSITIONS_MAX: usize = 5;

/// What Sealwatch found for the image. Written by the operator alone, as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = schema::status)]
pub struct ImageVerificationStatus {
    /// The `metadata.generation` that was evaluated.
    #[serde(deserialize_with = "unreadable_is_absent", skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// `Verified`, `Failed` (there is evidence against the image), `Unknown` (it could not be determined) or `Skipped`.
    #[serde(deserialize_with = "unreadable_is_absent", skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Word<Verdict>>,

    /// Why, as one word of a closed list.
    #[serde(deserialize_with = "unreadable_is_absent", skip_serializing_if = "Option::is_none")]
    pub reason: Option<Word<Reason>>,

    /// Why, as a sentence; at most 512 bytes.
    #[serde(deserialize_with = "unreadable_is_absent", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub message: Option<String>,

    /// When this verdict began.
    #[serde(deserialize_with = "unreadable_is_absent", skip_serializing_if = "Option::is_none")]
    pub verdict_since: Option<Time>,

    /// When the verdict was last derived from complete evidence.
    #[serde(deserialize_with = "unreadable_is_absent", skip_serializing_if = "Option::is_none")]
    pub last_verified_time: Option<Time>,

    /// The five checks of Notation in its order, for the signature that decided.
    #[serde(deserialize_with = "unreadable_is_absent", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    pub checks: Vec<Check>,

    /// The signature that decided.
    #[serde(deserialize_with = "unreadable_is_absent", skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,

    /// What was applied: the trust policy's generation, the statement, and to which trust material.
    #[serde(deserialize_with = "unreadable_is_absent", skip_serializing_if = "Option::is_none")]
    pub policy: Option<AppliedPolicy>,

    /// Where the image runs. Absent if it does not.
    #[serde(deserialize_with = "unreadable_is_absent", skip_serializing_if = "Option::is_none")]
    pub running: Option<Running>,

    /// The last changes of the verdict, the latest first; at most 5.
    #[serde(deserialize_with = "unreadable_is_absent", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    pub transitions: Vec<Transition>,

    /// `Ready` and `Verified`; `Reconciling` and `Stalled` only while they are true.
    #[serde(deserialize_with = "unreadable_is_absent", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,

    /// The value of the annotation `sealwatch.dev/requestedAt` that was handled last, at most 256 characters.
    #[serde(deserialize_with = "unreadable_is_absent", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_requested_at: Option<String>,
}

/// One of Notation's checks, with the action of the effective level.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Check {
    /// The check: `integrity`, `authenticity`, `authenticTimestamp`, `expiry` or `revocation`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<Word<CheckType>>,

    /// What its failure leads to: `enforce` (verdict Failed), `log` (a note) or `skip` (it is not made).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Word<CheckAction>>,

    /// `Passed`, `Failed`, `Unknown` (it could not be determined) or `NotEvaluated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Word<CheckResult>>,

    /// Why the check did not pass, at most 256 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub message: Option<String>,
}

/// A signature and what it says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Signature {
    /// Digest of the signature's manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 135))]
    pub digest: Option<String>,

    /// Media type of the envelope: `application/jose+json` or `application/cose`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub media_type: Option<String>,

    /// Signing scheme: `notary.x509` or `notary.x509.signingAuthority`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub scheme: Option<String>,

    /// When the signer says it signed. Only with scheme `notary.x509.signingAuthority` is this proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_time: Option<Time>,

    /// The RFC 3161 timestamp, if it was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,

    /// When the signature expires, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiry: Option<Time>,

    /// Who signed. Present only if the check `authenticity` passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<Signer>,

    /// Subject of the signing certificate where authenticity did not pass: a claim that anybody can make. Cut to 256
    /// bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub claimed_signer: Option<String>,

    /// The certificate of a trust store that the signer's chain leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchor: Option<Anchor>,

    /// Digest of the artifact that the signature was made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 135))]
    pub verified_digest: Option<String>,

    /// How that artifact relates to what runs: `Exact`, `PlatformManifest` or `Index`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<Word<SignedVia>>,

    /// How it was learnt whether a certificate is revoked. Absent if that is unknown, or not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation: Option<RevocationEvidence>,
}

/// A verified RFC 3161 timestamp.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Timestamp {
    /// The time that the authority states.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,

    /// Subject of the authority's certificate, cut to 256 bytes.
    #[schemars(length(max = 256))]
    pub authority: String,
}

/// The signing certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Signer {
    /// Common name within the subject, for the table of `kubectl get`; cut to 256 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub common_name: Option<String>,

    /// Subject of the certificate as a distinguished name, cut to 256 bytes.
    #[schemars(length(max = 256))]
    pub subject: String,

    /// Issuer of the certificate as a distinguished name, cut to 256 bytes.
    #[schemars(length(max = 256))]
    pub issuer: String,

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

/// The certificate of a trust store that a chain leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Anchor {
    /// The trust store as `type:name`.
    #[schemars(length(max = 256))]
    pub store: String,

    /// Subject of the certificate, cut to 256 bytes.
    #[schemars(length(max = 256))]
    pub subject: String,

    /// SHA-256 fingerprint of the certificate, as 64 lower-case hexadecimal digits.
    #[schemars(length(max = 64))]
    pub sha256: String,
}

/// How the revocation status of a chain was learnt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RevocationEvidence {
    /// `OCSP`, `CRL`, or `None` if no certificate names a source and there is nothing to check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Word<RevocationMethod>>,

    /// When the oldest answer was fetched. Absent if all were brought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Time>,

    /// Until when the answers can be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_update: Option<Time>,
}

/// The trust policy as it was applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AppliedPolicy {
    /// `metadata.uid` of the TrustPolicy.
    #[schemars(length(max = 64))]
    pub uid: String,

    /// `metadata.generation` of the TrustPolicy.
    pub generation: i64,

    /// Name of the statement that applied, cut to 256 bytes. Absent if none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub statement: Option<String>,

    /// The effective level: that of the statement, or `custom` if it overrides something.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub level: Option<String>,

    /// The effective action of each check.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8))]
    pub actions: BTreeMap<String, Word<CheckAction>>,

    /// Hash over the certificates of the trust stores that were used; it changes when they do.
    #[schemars(length(max = 135))]
    pub trust_hash: String,
}

/// Where an image runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Running {
    /// Pods that run the image.
    pub pods: u32,

    /// Containers that run the image: the first 5, by name of the pod and of the container.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    pub containers: Vec<RunningContainer>,

    /// How the pods write the image: the first 3 different references, each cut to 256 bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3), inner(length(max = 256)))]
    pub references: Vec<String>,

    /// Platforms of the nodes that it runs on, such as `linux/amd64`; the first 8.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(max = 64)))]
    pub platforms: Vec<String>,
}

/// A container that runs an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RunningContainer {
    /// Name of the pod.
    #[schemars(length(max = 253))]
    pub pod: String,

    /// Name of the container, or of the volume.
    #[schemars(length(max = 253))]
    pub container: String,

    /// `Container`, `InitContainer`, `Sidecar`, `EphemeralContainer` or `ImageVolume`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<Word<ContainerType>>,

    /// `Running` or `Terminated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Word<ContainerState>>,
}

/// A change of the verdict.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Transition {
    /// When the verdict changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,

    /// The verdict from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Word<Verdict>>,

    /// The reason of that verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Word<Reason>>,
}
