// SPDX-License-Identifier: Apache-2.0
//! Writing to an OCI image layout: blobs first, and `index.json` last and at once.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use sealwatch_registry::{Descriptor, Digest, LayoutRegistry, limits::MAX_MANIFEST_BYTES};
use serde_json::{Value, json};

use super::place::shown;
use crate::{registries::read_bounded, source, whole::WholeFolder};

/// The file that makes a folder a layout.
const MARKER: &str = "oci-layout";
/// Its content.
const VERSION: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
/// What the layout holds.
const INDEX: &str = "index.json";

/// A layout that is added to, or one that is made.
pub(super) struct LayoutWriter {
    folder: PathBuf,
    state: State,
}

enum State {
    There(LayoutRegistry),
    New(WholeFolder),
}

impl LayoutWriter {
    /// Opens a layout. One that is not there yet is begun beside its place; without [`LayoutWriter::finish`] it goes
    /// again.
    pub(super) fn open(folder: &Path) -> Result<Self, String> {
        let at = |why: String| format!("DST {}: {why}", shown(folder));
        if folder.join(MARKER).exists() {
            let there = source::layout(folder).map_err(at)?;
            return Ok(Self { folder: folder.to_owned(), state: State::There(there) });
        }
        let new = WholeFolder::begin(folder).map_err(at)?;
        new.write(Path::new(MARKER), VERSION.as_bytes()).map_err(at)?;
        let index =
            json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []});
        new.write(Path::new(INDEX), index.to_string().as_bytes()).map_err(at)?;
        Ok(Self { folder: folder.to_owned(), state: State::New(new) })
    }

    /// What reads it, if it is there already.
    pub(super) fn reader(&self) -> Option<&LayoutRegistry> {
        match &self.state {
            State::There(layout) => Some(layout),
            State::New(_) => None,
        }
    }

    fn root(&self) -> &Path {
        match &self.state {
            State::There(_) => &self.folder,
            State::New(new) => new.path(),
        }
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root().join("blobs").join(digest.algorithm().name()).join(digest.hex())
    }

    /// Whether a blob is there, as a file and with the content that its name promises.
    pub(super) fn has(&self, digest: &Digest) -> bool {
        let path = self.blob_path(digest);
        let is_file = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
        let most = sealwatch_registry::limits::MAX_BLOB_BYTES;
        is_file && read_bounded(&path, most).is_ok_and(|bytes| digest.matches(&bytes))
    }

    /// Writes a blob or manifest under its digest.
    pub(super) fn blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), String> {
        self.put(&self.blob_path(digest), bytes)
    }

    /// A file that is there whole or not at all.
    fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), String> {
        let at = |error: std::io::Error| format!("DST {}: {error}", shown(&self.folder));
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(at)?;
        let mut file = tempfile::Builder::new().prefix(".sealwatch-").tempfile_in(folder).map_err(at)?;
        file.write_all(bytes).map_err(at)?;
        file.persist(path).map_err(|error| at(error.error))?;
        Ok(())
    }

    /// Names the manifests in `index.json`, beside all that it names, and moves a new layout to its place.
    pub(super) fn finish(self, manifests: &[Descriptor]) -> Result<(), String> {
        let at = |why: String| format!("DST {}: {why}", shown(&self.folder));
        // Two commands that add to one layout take turns.
        let lock = File::open(self.root().join(MARKER)).map_err(|error| at(error.to_string()))?;
        lock.lock().map_err(|error| at(error.to_string()))?;
        let path = self.root().join(INDEX);
        let bytes = read_bounded(&path, MAX_MANIFEST_BYTES).map_err(|why| at(format!("{INDEX}: {why}")))?;
        let mut index: Value = serde_json::from_slice(&bytes).map_err(|error| at(format!("{INDEX}: {error}")))?;
        let listed = index.get_mut("manifests").and_then(Value::as_array_mut);
        let listed = listed.ok_or_else(|| at(format!("{INDEX}: has no list of manifests")))?;
        for manifest in manifests {
            let digest = manifest.digest.to_string();
            if !listed.iter().any(|entry| entry["digest"] == digest) {
                listed.push(json!({
                    "mediaType": manifest.media_type, "digest": digest, "size": manifest.size,
                    "artifactType": manifest.artifact_type,
                }));
            }
        }
        self.put(&path, index.to_string().as_bytes())?;
        match self.state {
            State::New(new) => new.publish().map_err(|why| format!("DST {}: {why}", shown(&self.folder))),
            State::There(_) => Ok(()),
        }
    }
}
