// SPDX-License-Identifier: Apache-2.0

//! Archives that are the same bytes for the same entries: sorted, all of root's, all of one time, compressed by a
//! packer of our own rather than the system's.

use std::io::Write as _;

use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use crate::Result;

pub(crate) enum Content {
    Folder,
    File(Vec<u8>),
}

pub(crate) struct Entry {
    /// Without a slash before it.
    pub(crate) path: String,
    pub(crate) mode: u32,
    pub(crate) content: Content,
}

pub(crate) fn folder(path: impl Into<String>) -> Entry {
    Entry { path: path.into(), mode: 0o755, content: Content::Folder }
}

pub(crate) fn file(path: impl Into<String>, contents: impl Into<Vec<u8>>) -> Entry {
    Entry { path: path.into(), mode: 0o644, content: Content::File(contents.into()) }
}

pub(crate) fn program(path: impl Into<String>, bytes: &[u8]) -> Entry {
    Entry { path: path.into(), mode: 0o755, content: Content::File(bytes.to_vec()) }
}

/// A tar archive of the entries in the order of their paths; every time in it is `epoch`, in seconds since 1970.
pub(crate) fn tar(entries: &[Entry], epoch: u64) -> Result<Vec<u8>> {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by(|one, other| one.path.cmp(&other.path));
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
        archive.append_data(&mut header, &entry.path, contents)?;
    }
    Ok(archive.into_inner()?)
}

/// The same, compressed (RFC 1952): no name, no time, no operating system.
pub(crate) fn compress(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut packer = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::best());
    packer.write_all(bytes)?;
    Ok(packer.finish()?)
}
