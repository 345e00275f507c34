// SPDX-License-Identifier: Apache-2.0
//! The payload of an envelope: which artifact is signed.

/// The artifact that a signature is about: the descriptor of its manifest. Two are the same artifact if all three
/// members are equal; annotations and other members of a descriptor play no part (OCI content descriptors).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TargetArtifact {
    /// Media type of the manifest.
    pub media_type: String,
    /// Digest of the manifest, `algorithm:hex`.
    pub digest: String,
    /// Size of the manifest in bytes.
    pub size: u64,
}
