// SPDX-License-Identifier: Apache-2.0
//! Signatures as an OCI image layout (OCI image specification 1.1, image-layout.md): `index.json` lists the signature
//! manifests, `blobs` has them and their envelopes. The images that they are about are not in it; the specification
//! allows that.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use sealwatch_notation::ARTIFACT_TYPE;
use sealwatch_registry::{Algorithm, Digest};
use serde::Deserialize;
use serde_json::json;

use super::{
    files::{Folder, Found, LAYOUT},
    shelf::{Shelf, Signature},
};

/// The media type of manifests that do not name theirs.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The configuration of artifacts that have none.
pub(super) const EMPTY: &[u8] = b"{}";
/// Largest signature, manifest or envelope, that is kept on disk. Real ones have some kilobytes.
pub(super) const SIGNATURE_FILE_MOST: usize = 1024 * 1024;
const ALGORITHMS: [Algorithm; 3] = [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512];

/// Where the folders of blobs are.
pub(super) fn blobs(algorithm: Algorithm) -> PathBuf {
    Path::new(LAYOUT).join("blobs").join(algorithm.name())
}

/// Where a blob is.
pub(super) fn blob(digest: &Digest) -> PathBuf {
    blobs(digest.algorithm()).join(digest.hex())
}

/// Where `index.json` is.
pub(super) fn index() -> PathBuf {
    Path::new(LAYOUT).join("index.json")
}

/// Where the mark of a layout is, and its content.
pub(super) fn mark() -> (PathBuf, &'static [u8]) {
    (Path::new(LAYOUT).join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)
}

/// `index.json` for what lies on the shelf.
pub(super) fn render(shelf: &Shelf) -> Vec<u8> {
    let describe = |(digest, signature): (&Digest, &Signature)| {
        let Signature { media_type, size, .. } = signature;
        json!({"mediaType": media_type, "digest": digest, "size": size, "artifactType": ARTIFACT_TYPE})
    };
    let manifests: Vec<_> = shelf.signatures().map(describe).collect();
    json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests})
        .to_string()
        .into_bytes()
}

/// As much of a signature manifest, in either shape, as tells where its envelope is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outline {
    media_type: Option<String>,
    #[serde(default)]
    layers: Vec<Layer>,
    #[serde(default)]
    blobs: Vec<Layer>,
}

#[derive(Deserialize)]
struct Layer {
    digest: Digest,
    size: u64,
}

/// What a scan found: signatures with the time of their last use, and files that belong to none.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) signatures: Vec<(SystemTime, Digest, Signature)>,
    pub(super) strays: Vec<PathBuf>,
}

/// Looks through the blobs. `index.json` is not asked: it follows from them, and a crash may have come between.
pub(super) fn scan(folder: &Folder) -> Scan {
    let mut scan = Scan::default();
    let mut files: HashMap<Digest, (u64, SystemTime)> = HashMap::new();
    for algorithm in ALGORITHMS {
        let Ok(entries) = fs::read_dir(folder.path(&blobs(algorithm))) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let digest = name.to_str().and_then(|hex| format!("{}:{hex}", algorithm.name()).parse::<Digest>().ok());
            match (digest, entry.metadata()) {
                (Some(digest), Ok(metadata)) if metadata.is_file() => {
                    let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                    files.insert(digest, (metadata.len(), used));
                }
                _ => scan.strays.push(blobs(algorithm).join(name)),
            }
        }
    }
    let mut kept = HashSet::from([Digest::of_bytes(Algorithm::Sha256, EMPTY)]);
    for (digest, (size, used)) in &files {
        let Some(signature) = read(folder, digest, *size) else { continue };
        if files.get(&signature.envelope).is_some_and(|(size, _)| *size == signature.envelope_size) {
            kept.extend([digest.clone(), signature.envelope.clone()]);
            scan.signatures.push((*used, digest.clone(), signature));
        }
    }
    scan.strays.extend(files.keys().filter(|digest| !kept.contains(*digest)).map(blob));
    scan
}

/// The signature whose manifest this blob is, if it is one and whole.
fn read(folder: &Folder, digest: &Digest, size: u64) -> Option<Signature> {
    let Found::Bytes(bytes) = folder.read(&blob(digest), SIGNATURE_FILE_MOST) else { return None };
    let outline: Outline = serde_json::from_slice(&bytes).ok()?;
    let mut envelopes = outline.layers.into_iter().chain(outline.blobs);
    let (Some(envelope), None) = (envelopes.next(), envelopes.next()) else { return None };
    let media_type = outline.media_type.unwrap_or_else(|| MANIFEST.to_owned());
    digest.matches(&bytes).then_some(Signature {
        media_type,
        size,
        envelope: envelope.digest,
        envelope_size: envelope.size,
    })
}
