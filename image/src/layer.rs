// SPDX-License-Identifier: Apache-2.0

//! A layer: a tar archive, compressed.

use std::io::Write as _;

use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use crate::Result;
use crate::files::{Content, Entry};
use crate::layout::digest_of;

pub(crate) const MEDIA_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

pub(crate) struct Layer {
    pub(crate) compressed: Vec<u8>,
    /// The digest of the archive before it was compressed.
    pub(crate) diff_id: String,
}

/// Packs entries in the order of their paths, all of root's, all of one time.
pub(crate) fn pack(entries: &[Entry], epoch: u64) -> Result<Layer> {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by(|one, other| one.path.cmp(other.path));
    let mut archive = Builder::new(Vec::new());
    for entry in sorted {
        let mut header = Header::new_ustar();
        let contents: &[u8] = match &entry.content {
            Content::Folder => &[],
            Content::File(bytes) => bytes,
        };
        let folder = matches!(entry.content, Content::Folder);
        header.set_entry_type(if folder { EntryType::Directory } else { EntryType::Regular });
        header.set_mode(entry.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(epoch);
        header.set_size(contents.len() as u64);
        archive.append_data(&mut header, entry.path, contents)?;
    }
    let archive = archive.into_inner()?;
    // No name, no time, no operating system.
    let mut packer = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::best());
    packer.write_all(&archive)?;
    Ok(Layer { compressed: packer.finish()?, diff_id: digest_of(&archive) })
}
