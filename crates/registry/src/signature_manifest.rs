// SPDX-License-Identifier: Apache-2.0
//! The manifest that ties a signature envelope to the artifact it signs. Pure.

use std::collections::BTreeMap;

use crate::descriptor::Descriptor;

/// A signature manifest whose type, subject and single envelope were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureManifest {
    /// The signature envelope: `application/jose+json` or `application/cose`.
    pub envelope: Descriptor,
    /// The manifest's annotations, at most [`crate::limits::MAX_ANNOTATIONS`]: hints, not evidence.
    pub annotations: BTreeMap<String, String>,
}

/// Why a manifest is not a signature manifest of the subject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureManifestError {
    /// Not JSON, or a field of the wrong shape.
    #[error("signature manifest is malformed: {detail}")]
    Malformed {
        /// What the parser found.
        detail: String,
    },
}

impl SignatureManifest {
    /// Parses and checks the manifest of a signature of `subject`.
    ///
    /// # Errors
    /// The rule that the manifest breaks.
    pub fn parse(_bytes: &[u8], _subject: &Descriptor, _artifact_type: &str) -> Result<Self, SignatureManifestError> {
        Err(SignatureManifestError::Malformed { detail: String::new() })
    }
}
