// SPDX-License-Identifier: Apache-2.0

//! The definitions that a cluster needs before it knows the two kinds.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::{ImageVerification, TrustPolicy};

/// The definitions of both kinds, `TrustPolicy` first.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![TrustPolicy::crd(), ImageVerification::crd()]
}
