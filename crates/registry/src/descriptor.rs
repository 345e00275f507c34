// SPDX-License-Identifier: Apache-2.0
//! Content descriptors.

use std::collections::BTreeMap;

use crate::digest::Digest;

/// What a manifest or a list says of a piece of content: OCI image specification 1.1, descriptor.md.
///
/// `urls` and `data` are never read: content comes from the repository that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Media type, at most [`crate::limits::MAX_MEDIA_TYPE_BYTES`] bytes.
    pub media_type: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Size of the content in bytes.
    pub size: u64,
    /// The content's artifact type, as the list claims it.
    pub artifact_type: Option<String>,
    /// Annotations, at most [`crate::limits::MAX_ANNOTATIONS`].
    pub annotations: BTreeMap<String, String>,
}
