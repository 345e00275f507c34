// SPDX-License-Identifier: Apache-2.0

//! The kind `ImageVerification`: one distinct image, its verdict and its evidence.

#![allow(clippy::duplicated_attributes, reason = "the printer columns repeat their keys")]
#![allow(unreachable_pub, reason = "the derive of the schema makes a copy of the spec inside a function")]

pub mod status;
pub mod words;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules;
use status::ImageVerificationStatus;

/// Which image is verified, and by which trust policy. It cannot be changed after creation.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "sealwatch.dev",
    version = "v1alpha1",
    kind = "ImageVerification",
    plural = "imageverifications",
    namespaced,
    status = "ImageVerificationStatus",
    derive = "Default",
    derive = "PartialEq",
    shortname = "iv",
    category = "sealwatch",
    doc = "One image under one trust policy: the verdict, and the evidence it rests on. Sealwatch makes one for each \
           distinct image that runs; one made by hand has an image verified that does not run yet.",
    printcolumn(
        name = "Image",
        type_ = "string",
        json_path = ".spec.image",
        description = "The image as the pods write it"
    ),
    printcolumn(
        name = "Verdict",
        type_ = "string",
        json_path = ".status.verdict",
        description = "Verified, Failed, Unknown or Skipped"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.reason",
        description = "Why the image has this verdict"
    ),
    printcolumn(
        name = "Signer",
        type_ = "string",
        json_path = ".status.signature.signer.commonName",
        description = "Common name of the signer, if the signature is authentic"
    ),
    printcolumn(
        name = "Pods",
        type_ = "integer",
        json_path = ".status.running.pods",
        description = "Pods that run the image"
    ),
    printcolumn(
        name = "Since",
        type_ = "date",
        json_path = ".status.verdictSince",
        description = "When this verdict began"
    ),
    printcolumn(
        name = "Policy",
        type_ = "string",
        json_path = ".spec.trustPolicyRef.name",
        priority = 1,
        description = "The trust policy that judges the image"
    ),
    printcolumn(
        name = "Digest",
        type_ = "string",
        json_path = ".spec.digest",
        priority = 1,
        description = "The digest that runs"
    ),
    printcolumn(
        name = "Last Verified",
        type_ = "date",
        json_path = ".status.lastVerifiedTime",
        priority = 1,
        description = "When the verdict was last derived from complete evidence"
    ),
    printcolumn(
        name = "Signer Expires",
        type_ = "string",
        json_path = ".status.signature.signer.notAfter",
        priority = 1,
        description = "End of the validity of the signer's certificate"
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::image_verification_spec)]
pub struct ImageVerificationSpec {
    /// The image as the pods write it, such as `registry.example.com/team/app:1.2`; at most 1,024 characters. Its
    /// repository decides which statement of the trust policy applies.
    #[schemars(length(max = 1024))]
    pub image: String,

    /// The digest that runs, `sha256:` or `sha512:` and lower-case hexadecimal digits. If absent, the image's own digest
    /// is taken, or its tag is resolved again at each interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 135))]
    pub digest: Option<String>,

    /// The trust policy, of this namespace, that judges the image.
    pub trust_policy_ref: TrustPolicyReference,
}

/// Names a TrustPolicy of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrustPolicyReference {
    /// Name of the TrustPolicy, at most 63 characters.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
}
