// SPDX-License-Identifier: Apache-2.0
//! OCI image layouts on disk: OCI image specification 1.1, image-layout.md.
//!
//! Paths are made of checked digests only; symbolic links below the folder are refused, so that a layout from
//! elsewhere cannot make us read something else.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use crate::credentials::Credentials;
use crate::descriptor::{Descriptor, Object, RawDescriptor};
use crate::digest::Digest;
use crate::error::{At, Error, Operation, printable};
use crate::index::{Candidates, IndexError, Outline, filter, is_manifest_type, manifest_type, parse_index};
use crate::limits::{MAX_BLOB_BYTES, MAX_LAYOUT_FILE_BYTES, MAX_MANIFEST_BYTES};
use crate::reference::Repository;
use crate::{Registry, Target};

/// The annotation that makes an entry of `index.json` a tag.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The one version of the layout that there is.
const LAYOUT_VERSION: &str = "1.0.0";

/// An OCI image layout in a folder. It is read anew with each call.
///
/// Repository names mean nothing to it: every repository is this one. Neither do credentials.
#[derive(Clone, Debug)]
pub struct LayoutRegistry {
    root: Arc<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutFile {
    image_layout_version: String,
}

impl LayoutRegistry {
    /// Opens the layout in `path`. The folder itself may be reached through symbolic links.
    ///
    /// # Errors
    /// [`Error::Unusable`] if the folder is not an OCI image layout of version 1.0.0.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let layout = Layout { root: path, at: at(path, Operation::Open) };
        let unusable = |what: String| Error::Unusable { at: layout.at.clone(), what };
        let root = path.canonicalize().map_err(|error| unusable(error.to_string()))?;
        let bytes = Layout { root: &root, at: layout.at.clone() }
            .read(Path::new("oci-layout"), MAX_LAYOUT_FILE_BYTES, "oci-layout")
            .map_err(|error| unusable(format!("not an OCI image layout: {error}")))?;
        let file: Result<Object<LayoutFile>, _> = serde_json::from_slice(&bytes);
        match file {
            Ok(Object(file)) if file.image_layout_version == LAYOUT_VERSION => Ok(Self { root: Arc::new(root) }),
            Ok(_) => Err(unusable(format!("OCI image layout is not of version {LAYOUT_VERSION}"))),
            Err(_) => Err(unusable("oci-layout is not JSON with imageLayoutVersion".to_owned())),
        }
    }

    /// Runs `read` where it may wait for the disk.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: Operation,
        read: impl FnOnce(Layout<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let root = Arc::clone(&self.root);
        let context = at(&root, operation);
        let task = tokio::task::spawn_blocking(move || read(Layout { root: &root, at: at(&root, operation) }));
        task.await.unwrap_or_else(|_| Err(Error::unavailable(&context, "reading the layout was interrupted")))
    }
}

impl Registry for LayoutRegistry {
    async fn resolve(&self, _: &Repository, target: &Target, _: &Credentials) -> Result<Descriptor, Error> {
        let target = target.clone();
        self.blocking(Operation::Resolve, move |layout| layout.resolve(&target)).await
    }

    /// Those of the tag schema, and those manifests of `index.json` whose `subject` it is.
    async fn referrers(
        &self,
        _: &Repository,
        subject: &Digest,
        artifact_type: &str,
        _: &Credentials,
    ) -> Result<Vec<Descriptor>, Error> {
        let (subject, artifact_type) = (subject.clone(), artifact_type.to_owned());
        self.blocking(Operation::Referrers, move |layout| layout.referrers(&subject, &artifact_type)).await
    }

    async fn manifest(&self, _: &Repository, descriptor: &Descriptor, _: &Credentials) -> Result<Bytes, Error> {
        let wanted = descriptor.clone();
        self.blocking(Operation::Manifest, move |layout| layout.fetch(&wanted, MAX_MANIFEST_BYTES, "manifest")).await
    }

    async fn blob(&self, _: &Repository, descriptor: &Descriptor, _: &Credentials) -> Result<Bytes, Error> {
        let wanted = descriptor.clone();
        self.blocking(Operation::Blob, move |layout| layout.fetch(&wanted, MAX_BLOB_BYTES, "blob")).await
    }
}

fn at(root: &Path, operation: Operation) -> At {
    At { registry: printable(&root.display().to_string()), operation }
}

/// One look at the folder.
struct Layout<'a> {
    root: &'a Path,
    at: At,
}

impl Layout<'_> {
    fn resolve(&self, target: &Target) -> Result<Descriptor, Error> {
        match target {
            Target::Tag(tag) => {
                let entry = self.tagged(self.index()?, tag)?.ok_or_else(|| self.not_found(tag))?;
                let bytes = self.fetch(&entry, MAX_MANIFEST_BYTES, "manifest")?;
                self.describe(entry.digest, &bytes)
            }
            Target::Digest(digest) => {
                let bytes = self.read_digest(digest, MAX_MANIFEST_BYTES, "manifest")?;
                self.describe(digest.clone(), &bytes)
            }
        }
    }

    fn describe(&self, digest: Digest, bytes: &[u8]) -> Result<Descriptor, Error> {
        // A manifest without mediaType gets its type from the entry of the index that lists it.
        let listed = self.entries()?.into_iter().find(|entry| entry.digest == digest).map(|entry| entry.media_type);
        let media_type =
            manifest_type(bytes, listed.as_deref()).map_err(|error| Error::malformed(&self.at, error.to_string()))?;
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(Descriptor { media_type, digest, size, artifact_type: None, annotations: std::collections::BTreeMap::new() })
    }

    fn referrers(&self, subject: &Digest, artifact_type: &str) -> Result<Vec<Descriptor>, Error> {
        let mut candidates = match self.tagged(self.index()?, &subject.referrers_tag())? {
            None => Candidates::default(),
            Some(entry) => {
                let bytes = self.fetch(&entry, MAX_MANIFEST_BYTES, "list of referrers")?;
                filter(self.list(&bytes)?, artifact_type, false)
            }
        };
        for entry in self.entries()?.into_iter().filter(|entry| is_manifest_type(&entry.media_type)) {
            // One manifest that cannot be read hides no other.
            match self.artifact_type_if_referrer(&entry, subject) {
                Ok(Some(found)) if found == artifact_type => {
                    candidates.good.push(Descriptor { artifact_type: Some(found), ..entry });
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, digest = %entry.digest, "manifest of an OCI layout cannot be read");
                    candidates.broken = candidates.broken.saturating_add(1);
                }
            }
        }
        self.distinct(candidates)
    }

    fn distinct(&self, candidates: Candidates) -> Result<Vec<Descriptor>, Error> {
        if candidates.good.is_empty() && candidates.broken > 0 {
            let what = format!(
                "{} manifests or descriptors cannot be read, and no signature is among the others",
                candidates.broken
            );
            return Err(Error::malformed(&self.at, what));
        }
        let mut distinct: Vec<Descriptor> = Vec::new();
        for descriptor in candidates.good {
            if distinct.iter().all(|known| (&known.digest, known.size) != (&descriptor.digest, descriptor.size)) {
                distinct.push(descriptor);
            }
        }
        Ok(distinct)
    }

    /// The artifact type of a manifest, if it refers to `subject`: `artifactType`, else that of its configuration.
    fn artifact_type_if_referrer(&self, entry: &Descriptor, subject: &Digest) -> Result<Option<String>, Error> {
        let bytes = self.fetch(entry, MAX_MANIFEST_BYTES, "manifest")?;
        let outline = Outline::parse(&bytes).map_err(|error| Error::malformed(&self.at, error.to_string()))?;
        Ok(outline.refers_to(subject).then(|| outline.artifact_type()).flatten())
    }

    /// The entry of `index.json` with this tag; two different ones are a contradiction.
    fn tagged(&self, index: Vec<RawDescriptor>, tag: &str) -> Result<Option<Descriptor>, Error> {
        let mut found: Option<Descriptor> = None;
        for entry in index.into_iter().filter_map(|raw| Descriptor::try_from(raw).ok()) {
            if entry.annotations.get(REF_NAME).is_none_or(|name| name != tag) {
                continue;
            }
            if found.as_ref().is_some_and(|found| found.digest != entry.digest) {
                return Err(Error::malformed(&self.at, "index.json has one tag for two digests"));
            }
            found = Some(entry);
        }
        Ok(found)
    }

    fn entries(&self) -> Result<Vec<Descriptor>, Error> {
        Ok(self.index()?.into_iter().filter_map(|raw| Descriptor::try_from(raw).ok()).collect())
    }

    fn index(&self) -> Result<Vec<RawDescriptor>, Error> {
        self.list(&self.read(Path::new("index.json"), MAX_MANIFEST_BYTES, "index.json")?)
    }

    fn list(&self, bytes: &[u8]) -> Result<Vec<RawDescriptor>, Error> {
        parse_index(bytes).map_err(|error| match error {
            IndexError::TooMany { limit } => Error::LimitExceeded { at: self.at.clone(), what: "referrers", limit },
            other => Error::malformed(&self.at, format!("image index: {other}")),
        })
    }

    /// The content of a descriptor: declared size first, then the size on disk, then the digest.
    fn fetch(&self, wanted: &Descriptor, limit: u64, what: &'static str) -> Result<Bytes, Error> {
        if wanted.size > limit {
            return Err(Error::TooLarge { at: self.at.clone(), what, limit });
        }
        let bytes = self.read_digest(&wanted.digest, wanted.size, what)?;
        if u64::try_from(bytes.len()) != Ok(wanted.size) {
            return Err(Error::malformed(&self.at, "descriptor's size is not the content's"));
        }
        Ok(bytes)
    }

    fn read_digest(&self, digest: &Digest, limit: u64, what: &'static str) -> Result<Bytes, Error> {
        let path = Path::new("blobs").join(digest.algorithm().name()).join(digest.hex());
        let bytes = self.read(&path, limit, what)?;
        let actual = Digest::of_bytes(digest.algorithm(), &bytes);
        if actual == *digest {
            Ok(bytes)
        } else {
            Err(Error::DigestMismatch { at: self.at.clone(), expected: digest.clone(), actual })
        }
    }

    /// Reads a regular file of at most `limit` bytes, to which no symbolic link leads.
    fn read(&self, path: &Path, limit: u64, what: &'static str) -> Result<Bytes, Error> {
        let failure = |error: &io::Error| match error.kind() {
            io::ErrorKind::NotFound => self.not_found(&path.display().to_string()),
            _ => Error::unavailable(&self.at, printable(&format!("{}: {error}", path.display()))),
        };
        let mut full = self.root.to_owned();
        for part in path {
            full.push(part);
            let metadata = fs::symlink_metadata(&full).map_err(|error| failure(&error))?;
            if metadata.is_symlink() {
                return Err(Error::malformed(&self.at, format!("{} is a symbolic link", path.display())));
            }
        }
        let too_large = || Error::TooLarge { at: self.at.clone(), what, limit };
        let metadata = fs::symlink_metadata(&full).map_err(|error| failure(&error))?;
        if !metadata.is_file() {
            return Err(Error::malformed(&self.at, format!("{} is not a file", path.display())));
        }
        if metadata.len() > limit {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        let file = File::open(&full).map_err(|error| failure(&error))?;
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| failure(&error))?;
        if u64::try_from(bytes.len()).map_or(true, |size| size > limit) { Err(too_large()) } else { Ok(bytes.into()) }
    }

    fn not_found(&self, what: &str) -> Error {
        Error::NotFound { at: self.at.clone(), what: printable(what) }
    }
}
