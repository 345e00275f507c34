// SPDX-License-Identifier: Apache-2.0

//! A layer: a tar archive, compressed.

use crate::Result;
use crate::archive::{Entry, compress, tar};
use crate::layout::digest_of;

pub(crate) const MEDIA_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

pub(crate) struct Layer {
    pub(crate) compressed: Vec<u8>,
    /// The digest of the archive before it was compressed.
    pub(crate) diff_id: String,
}

/// Packs entries.
pub(crate) fn pack(entries: &[Entry], epoch: u64) -> Result<Layer> {
    let archive = tar(entries, epoch)?;
    Ok(Layer { compressed: compress(&archive)?, diff_id: digest_of(&archive) })
}
