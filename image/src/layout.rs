// SPDX-License-Identifier: Apache-2.0

//! An OCI image layout on disk (OCI image specification 1.1, image-layout.md).

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::Result;

pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// What names a blob.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
}

/// `sha256:` and the digest of the bytes.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A layout that is being written.
pub(crate) struct Blobs {
    folder: PathBuf,
}

impl Blobs {
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let blobs = folder.join("blobs/sha256");
        if folder.exists() && fs::read_dir(folder)?.next().is_some() {
            return Err(format!("{} is not empty", folder.display()).into());
        }
        fs::create_dir_all(&blobs)?;
        Ok(Self { folder: folder.to_owned() })
    }

    pub(crate) fn add(&mut self, media_type: &str, bytes: &[u8]) -> Result<Descriptor> {
        let digest = digest_of(bytes);
        fs::write(self.folder.join("blobs").join(digest.replace(':', "/")), bytes)?;
        Ok(Descriptor { media_type: media_type.to_owned(), digest, size: bytes.len() as u64 })
    }

    /// `serde_json` sorts the keys of a [`Value`], so equal values are equal bytes.
    pub(crate) fn add_json(&mut self, media_type: &str, value: &Value) -> Result<Descriptor> {
        self.add(media_type, &serde_json::to_vec(value)?)
    }

    /// Writes `index.json`: the image under its tag; each referrer as an entry of its own, and under the tag schema for
    /// those who look there.
    pub(crate) fn finish(mut self, image: &Descriptor, tag: &str, referrers: &[(String, Value)]) -> Result<()> {
        let named = |descriptor: &Descriptor, name: &str| -> Result<Value> {
            let mut entry = serde_json::to_value(descriptor)?;
            entry["annotations"] = json!({REF_NAME: name});
            Ok(entry)
        };
        let mut manifests = vec![named(image, tag)?];
        for (subject, entry) in referrers {
            manifests.push(entry.clone());
            let list = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});
            let list = self.add_json(INDEX, &list)?;
            manifests.push(named(&list, &subject.replace(':', "-"))?);
        }
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        fs::write(self.folder.join("index.json"), serde_json::to_vec(&index)?)?;
        Ok(fs::write(self.folder.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?)
    }
}
