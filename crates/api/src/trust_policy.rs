// SPDX-License-Identifier: Apache-2.0

//! The kind `TrustPolicy`: a Notation trust policy document and the trust stores that it names.

#![allow(clippy::duplicated_attributes, reason = "the printer columns repeat their keys")]
#![allow(unreachable_pub, reason = "the derive of the schema makes a copy of the spec inside a function")]

pub mod status;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::{DurationError, DurationString};
use crate::lenient::null_is_empty;
use crate::word::Word;
use crate::{rules, schema};
use status::TrustPolicyStatus;

/// [`TrustPolicySpec::interval`] where none is given.
pub const DEFAULT_INTERVAL: Duration = Duration::from_hours(1);

/// [`TrustPolicySpec::stale_after`] where none is given.
pub const DEFAULT_STALE_AFTER: Duration = Duration::from_hours(168);

/// What the images of a namespace must be signed with: a Notation trust policy document (`version` and
/// `trustPolicies`, unchanged), the certificates of the trust stores that it names, and how often to look.
// The Rust type admits more than the API server does: it is also what files are read into, and what an object looks
// like that a newer definition admitted. It is not evidence that any rule holds.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "sealwatch.dev",
    version = "v1alpha1",
    kind = "TrustPolicy",
    plural = "trustpolicies",
    namespaced,
    status = "TrustPolicyStatus",
    derive = "Default",
    derive = "PartialEq",
    shortname = "tp",
    category = "sealwatch",
    doc = "A Notation trust policy for the images that run in a namespace, with the certificates of its trust stores. \
           Sealwatch verifies every image that the selected pods run and reports each in an ImageVerification.",
    validation = Rule::new("size(self.metadata.name) <= 63")
        .message("metadata.name must have at most 63 characters, because it becomes the value of a label"),
    printcolumn(name = "Images", type_ = "integer", json_path = ".status.summary.images",
        description = "Distinct images that the selected pods run"),
    printcolumn(name = "Verified", type_ = "integer", json_path = ".status.summary.verified",
        description = "Images whose signature satisfies the policy"),
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.summary.failed",
        description = "Images that do not satisfy the policy"),
    printcolumn(name = "Unknown", type_ = "integer", json_path = ".status.summary.unknown",
        description = "Images of which it could not be determined"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether Sealwatch can do its job for this policy"),
    printcolumn(name = "Last Scan", type_ = "date", json_path = ".status.lastScanTime",
        description = "When the images of the namespace were last looked at"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp",
        description = "When the policy was created")
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::trust_policy_spec)]
pub struct TrustPolicySpec {
    /// Version of the trust policy document; `1.0` is the only one.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 32))]
    pub version: String,

    /// The statements of the trust policy document, at least 1 and at most 16. For an image the one applies that names
    /// its repository, else the one with scope `*`.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub trust_policies: Vec<Statement>,

    /// The trust stores that the statements name as `type:name`, at most 32; each combination of type and name once.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub trust_stores: Vec<TrustStore>,

    /// How often each image is verified again, in hours, minutes and seconds (`1h30m`); at least `1m`, default `1h`.
    /// Each image gets a jitter of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "1h"))]
    pub interval: Option<DurationString>,

    /// How long a verdict outlives the last moment at which it could be checked, in hours, minutes and seconds; at
    /// least `interval`, default `168h`. Sites that are offline for days live on it; afterwards the verdict is Unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "168h"))]
    pub stale_after: Option<DurationString>,

    /// Which pods of the namespace are looked at, by their labels; default all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub pod_selector: Option<LabelSelector>,

    /// Whose signatures count for a running digest. `Exact` (the default): those of the digest that the kubelet
    /// reports. `FollowIndex`: where that has none, those of every manifest of the index that its nodes may have taken, or
    /// of the index that the pod names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "Exact", "enum" = ["Exact", "FollowIndex"]))]
    pub digest_matching: Option<Word<DigestMatching>>,

    /// Secrets of this namespace with registry credentials (`kubernetes.io/dockerconfigjson` or `dockercfg`), at most
    /// 16. They are tried after those of the pods.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub image_pull_secrets: Vec<LocalObjectReference>,

    /// Revocation information that the user brings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Revocation>,

    /// If true, no request is made for this policy; verdicts go on ageing. Default false.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub suspend: bool,
}

impl TrustPolicySpec {
    /// [`Self::interval`] as a duration, or its default. The bound of a minute is the API server's to enforce.
    ///
    /// # Errors
    /// If the text is not a duration.
    pub fn interval(&self) -> Result<Duration, DurationError> {
        self.interval.as_ref().map_or(Ok(DEFAULT_INTERVAL), DurationString::to_duration)
    }

    /// [`Self::stale_after`] as a duration, or its default.
    ///
    /// # Errors
    /// If the text is not a duration.
    pub fn stale_after(&self) -> Result<Duration, DurationError> {
        self.stale_after.as_ref().map_or(Ok(DEFAULT_STALE_AFTER), DurationString::to_duration)
    }
}

/// One statement of a Notation trust policy document.
// The fields are texts and lists as Notation's JSON has them, absent and `null` being empty, so that a document is
// judged by Notation's rules and not by a decoder. Source: Notary Project trust store and trust policy specification.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::statement)]
pub struct Statement {
    /// Name of the statement, unique in the document; at most 256 characters.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 256))]
    pub name: String,

    /// The repositories that the statement applies to, such as `registry.example.com/team/app`, at least 1 and at most
    /// 64, of at most 255 characters each; or `*` alone, for all that no other statement names. A scope may stand only
    /// once in the whole document.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 255)))]
    pub registry_scopes: Vec<String>,

    /// How signatures are verified.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub signature_verification: SignatureVerification,

    /// The trust stores to use, as `ca:NAME`, `signingAuthority:NAME` or `tsa:NAME`; at most 32, of at most 256
    /// characters each. Each must be defined in `spec.trustStores`. Required unless the level is `skip`.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 256)))]
    pub trust_stores: Vec<String>,

    /// Who may have signed, at most 32 of at most 1,024 characters each: `x509.subject:` and a distinguished name whose
    /// attributes the signer's certificate must all have (C, ST and O are compulsory), or `*` alone for anyone whom the
    /// trust stores vouch for. Required unless the level is `skip`.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 1024)))]
    pub trusted_identities: Vec<String>,
}

/// How the signatures of the images of a statement are verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignatureVerification {
    /// The verification level: `strict` enforces every check, `permissive` logs expiry, timestamp and revocation,
    /// `audit` logs all but integrity, `skip` verifies nothing.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 32))]
    pub level: String,

    /// Exceptions from the level: `authenticity`, `authenticTimestamp`, `expiry` or `revocation`, each to `enforce` or
    /// `log`; `revocation` also to `skip`. Not possible with level `skip`.
    #[serde(
        rename = "override",
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    #[schemars(extend("maxProperties" = 8), transform = schema::bound_map_values)]
    pub overrides: BTreeMap<String, String>,

    /// When a timestamp is verified if the statement names a `tsa` trust store: `always` (the default) or
    /// `afterCertExpiry`.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 32))]
    pub verify_timestamp: String,
}

/// A named set of certificates: what `notation cert add` makes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::trust_store)]
pub struct TrustStore {
    /// What the certificates are trusted for: `ca` (signers), `signingAuthority` (signing services that vouch for the
    /// time of signing) or `tsa` (timestamp authorities).
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["ca", "signingAuthority", "tsa"]))]
    pub type_: Word<TrustStoreType>,

    /// Name of the trust store: letters, digits, `_`, `.` and `-`, at most 238 characters. Statements refer to it as
    /// `type:name`.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 238))]
    pub name: String,

    /// Where the certificates come from, at least 1 and at most 16 sources. The trust store is the union of them; if
    /// one cannot be loaded, the trust store is not available.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub certificates: Vec<CertificateSource>,
}

impl TrustStore {
    /// The name by which statements refer to the trust store: `type:name`.
    pub fn qualified_name(&self) -> String {
        format!("{}:{}", self.type_, self.name)
    }
}

/// One source of certificates, PEM or DER: exactly one of `configMapKeyRef`, `pem`, `secretKeyRef` and
/// `clusterTrustBundle`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::certificate_source)]
pub struct CertificateSource {
    /// A key of a ConfigMap of this namespace, in `data` or `binaryData`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeySelector>,

    /// Certificates in PEM form, at most 65,536 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub pem: Option<String>,

    /// A key of a Secret of this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeySelector>,

    /// One or several ClusterTrustBundles; needs an operator that is installed cluster-wide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_trust_bundle: Option<ClusterTrustBundleSource>,

    /// Pins: SHA-256 fingerprints of certificates as 64 hexadecimal digits, at most 32. If given, a certificate of this
    /// source that is not listed is not trusted.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 128)))]
    pub sha256: Vec<String>,
}

/// A key of a ConfigMap or Secret of the object's own namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeySelector {
    /// Name of the ConfigMap or Secret, at most 253 characters.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// The key in it, at most 253 characters.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// Which ClusterTrustBundles to take: one by `name`, or all of a signer that match a selector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::cluster_trust_bundle)]
pub struct ClusterTrustBundleSource {
    /// Name of one ClusterTrustBundle, at most 253 characters. Not together with `signerName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,

    /// Name of the signer whose ClusterTrustBundles are taken, at most 571 characters. Needs `labelSelector`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 571))]
    pub signer_name: Option<String>,

    /// Which of the signer's ClusterTrustBundles are taken, by their labels; `{}` is all of them. Only with
    /// `signerName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub label_selector: Option<LabelSelector>,
}

/// Names an object of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalObjectReference {
    /// Name of the object, at most 253 characters.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Revocation information that the user brings, for sites without a way to the certificate authorities.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revocation {
    /// Certificate revocation lists, at most 32; used like fetched ones until their `nextUpdate`.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub crls: Vec<RevocationListSource>,
}

/// Where a certificate revocation list comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::revocation_list_source)]
pub struct RevocationListSource {
    /// A key of a ConfigMap of this namespace that holds one list in DER or PEM form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeySelector>,
}

vocabulary! {
    /// What the certificates of a trust store are trusted for.
    pub enum TrustStoreType {
        /// Certificate authorities of signers, for signing scheme `notary.x509`.
        Ca = "ca",
        /// Certificate authorities of signing services, for signing scheme `notary.x509.signingAuthority`.
        SigningAuthority = "signingAuthority",
        /// Roots of timestamp authorities (RFC 3161).
        Tsa = "tsa",
    }
}

impl Default for Word<TrustStoreType> {
    /// The empty text, which is no type.
    fn default() -> Self {
        Self::Unknown(String::new())
    }
}

vocabulary! {
    /// Whose signatures count for a running digest.
    pub enum DigestMatching {
        /// Those of the digest that the kubelet reports.
        Exact = "Exact",
        /// Where that digest has none: those of all runnable manifests of the index, or of the index that the pod names.
        FollowIndex = "FollowIndex",
    }
}
