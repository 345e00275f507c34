// SPDX-License-Identifier: Apache-2.0

//! The definitions that a cluster needs before it knows the two kinds, as objects and as YAML text.

use std::fmt::Write as _;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::{ImageVerification, TrustPolicy};

/// First lines of each generated text.
const HEADER: &str =
    "# SPDX-License-Identifier: Apache-2.0\n# Generated from the Rust types of crates/api. Do not edit.\n";

/// Why the definitions could not be written down.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("definition of {name} cannot be written as YAML: {reason}")]
pub struct WriteError {
    /// Name of the definition.
    pub name: String,
    /// What the YAML writer said.
    pub reason: String,
}

/// The definitions of both kinds, `TrustPolicy` first.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![TrustPolicy::crd(), ImageVerification::crd()]
}

/// For each definition the name of its file, `<plural>.<group>.yaml`, and the file's text. The text depends on nothing
/// but this crate, and ends in a line break.
///
/// # Errors
/// If a definition cannot be written as YAML, which only a defect of this crate can cause.
pub fn files() -> Result<Vec<(String, String)>, WriteError> {
    crds().iter().map(|crd| Ok((format!("{}.yaml", name_of(crd)), format!("{HEADER}{}", to_yaml(crd)?)))).collect()
}

/// All definitions as one YAML text of several documents, fit for `kubectl apply -f -`.
///
/// # Errors
/// As [`files`].
pub fn yaml() -> Result<String, WriteError> {
    let mut text = HEADER.to_owned();
    for crd in crds() {
        // Writing to a String cannot fail.
        let _ = write!(text, "---\n{}", to_yaml(&crd)?);
    }
    Ok(text)
}

fn to_yaml(crd: &CustomResourceDefinition) -> Result<String, WriteError> {
    let text = serde_saphyr::to_string(crd)
        .map_err(|error| WriteError { name: name_of(crd).to_owned(), reason: error.to_string() })?;
    Ok(format!("{}\n", text.trim_end()))
}

fn name_of(crd: &CustomResourceDefinition) -> &str {
    crd.metadata.name.as_deref().unwrap_or_default()
}
