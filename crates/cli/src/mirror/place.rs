// SPDX-License-Identifier: Apache-2.0
//! The two ends: where signatures come from, and where they go to.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use sealwatch_api::text::clip;
use sealwatch_registry::{
    Algorithm, Credentials, Descriptor, Digest, Error, LayoutRegistry, Pusher, Reference, Registry as _, Repository,
};
use sealwatch_verifier::notation::ARTIFACT_TYPE;

use super::{layout::LayoutWriter, signature::Signature};
use crate::{
    args::AskingArguments,
    credentials::Found,
    source::{self, Asking, Place},
};

/// What stands before the folder of an OCI image layout.
const LAYOUT: &str = "oci-layout:";
/// Names of repositories mean nothing to a layout.
const NO_REPOSITORY: &str = "layout.invalid/layout";
/// The content of a configuration that says nothing.
const EMPTY: &[u8] = b"{}";

/// What the user named.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) source: End,
    pub(super) target: End,
    /// The image's.
    pub(super) digest: Digest,
}

/// One end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    Registry(Repository),
    Layout(PathBuf),
}

impl Names {
    pub(super) fn parse(source: &str, target: &str) -> Result<Self, String> {
        let shown = |text: &str| clip(text, 256);
        let at = |why: &dyn std::fmt::Display| format!("SRC {:?}: {why}", shown(source));
        let needs = "needs a digest: SRC@sha256:…, because a tag may name another image tomorrow";
        let (end, digest) = if let Some(rest) = source.strip_prefix(LAYOUT) {
            let (folder, digest) = rest.rsplit_once('@').ok_or_else(|| at(&needs))?;
            (End::Layout(folder.into()), digest.parse().map_err(|error| at(&error))?)
        } else {
            let reference: Reference = source.parse().map_err(|error| at(&error))?;
            let digest = reference.digest().cloned().ok_or_else(|| at(&needs))?;
            (End::Registry(reference.repository().clone()), digest)
        };
        let target_end = match target.strip_prefix(LAYOUT) {
            Some(folder) if !folder.is_empty() => End::Layout(folder.into()),
            Some(_) => return Err(format!("DST {target:?}: names no folder")),
            None => End::Registry(target.parse().map_err(|error| format!("DST {:?}: {error}", shown(target)))?),
        };
        if end == target_end {
            return Err("SRC and DST are the same".to_owned());
        }
        Ok(Self { source: end, target: target_end, digest })
    }
}

impl End {
    fn host(&self) -> Option<String> {
        match self {
            Self::Registry(repository) => Some(repository.registry().to_owned()),
            Self::Layout(_) => None,
        }
    }
}

/// Where signatures come from.
pub(super) struct From {
    place: Place,
    repository: Repository,
    found: Found,
}

impl From {
    fn open(end: &End, asking: &Asking) -> Result<Self, String> {
        match end {
            End::Layout(folder) => {
                let repository = NO_REPOSITORY.parse().map_err(|error| format!("{error}"))?;
                let place = Place::Layout(source::layout(folder)?);
                Ok(Self { place, repository, found: Found::default() })
            }
            End::Registry(repository) => {
                let place = Place::Http(asking.registry()?);
                Ok(Self { place, repository: repository.clone(), found: asking.found.clone() })
            }
        }
    }

    /// The signatures of an image.
    pub(super) async fn referrers(&self, image: &Digest) -> Result<Vec<Descriptor>, String> {
        let listed = self.place.referrers(&self.repository, image, ARTIFACT_TYPE, &self.found.credentials).await;
        listed.map_err(|error| self.failure(&error))
    }

    /// The bytes of a manifest.
    pub(super) async fn manifest(&self, manifest: &Descriptor) -> Result<Bytes, String> {
        let bytes = self.place.manifest(&self.repository, manifest, &self.found.credentials).await;
        bytes.map_err(|error| self.failure(&error))
    }

    /// The bytes of a blob.
    pub(super) async fn blob(&self, blob: &Descriptor) -> Result<Bytes, String> {
        let bytes = self.place.blob(&self.repository, blob, &self.found.credentials).await;
        bytes.map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &Error) -> String {
        self.found.failure(error, self.repository.registry())
    }
}

/// Where signatures go to.
pub(super) enum To {
    Registry(Box<Writer>),
    Layout(LayoutWriter),
}

/// A registry that is written to.
pub(super) struct Writer {
    pusher: Pusher,
    host: String,
    found: Found,
    /// The blobs that it has now.
    sent: BTreeSet<Digest>,
}

impl Writer {
    fn failure(&self, error: &Error) -> String {
        self.found.failure(error, &self.host)
    }
}

/// Opens both ends. Nothing is asked yet, but credential helpers where they are allowed.
pub(super) async fn open(names: &Names, arguments: &AskingArguments) -> Result<(From, To), String> {
    let hosts: Vec<String> = [&names.source, &names.target].into_iter().filter_map(End::host).collect();
    let asking = Asking::read(arguments, &hosts).await?;
    Ok((From::open(&names.source, &asking)?, To::open(&names.target, asking)?))
}

impl To {
    fn open(end: &End, asking: Asking) -> Result<Self, String> {
        match end {
            End::Layout(folder) => LayoutWriter::open(folder).map(Self::Layout),
            End::Registry(repository) => {
                let (pusher, host) = (asking.pusher(repository)?, repository.registry().to_owned());
                Ok(Self::Registry(Box::new(Writer { pusher, host, found: asking.found, sent: BTreeSet::new() })))
            }
        }
    }

    /// The digests of the signatures that are there.
    pub(super) async fn referrers(&self, image: &Digest) -> Result<BTreeSet<Digest>, String> {
        let listed = match self {
            Self::Registry(writer) => {
                let listed = writer.pusher.referrers(image, ARTIFACT_TYPE).await;
                listed.map_err(|error| writer.failure(&error))?
            }
            Self::Layout(layout) => match layout.reader() {
                Some(reader) => signatures(reader, image).await?,
                None => Vec::new(),
            },
        };
        Ok(listed.into_iter().map(|one| one.digest).collect())
    }

    /// Whether the image itself is there. A layout of signatures alone is what one carries to a site.
    pub(super) async fn has_image(&self, image: &Digest) -> Result<bool, String> {
        match self {
            Self::Registry(writer) => writer.pusher.has_manifest(image).await.map_err(|error| writer.failure(&error)),
            Self::Layout(_) => Ok(true),
        }
    }

    /// Sends a blob unless it is there. What the source has is fetched only if it is not, and no blob twice.
    pub(super) async fn blob(&mut self, from: &From, blob: &Descriptor) -> Result<(), String> {
        match self {
            Self::Registry(writer) => {
                if !writer.sent.insert(blob.digest.clone()) {
                    return Ok(());
                }
                if writer.pusher.has_blob(&blob.digest).await.map_err(|error| writer.failure(&error))? {
                    return Ok(());
                }
                let bytes = content(from, blob).await?;
                writer.pusher.blob(&blob.digest, bytes).await.map_err(|error| writer.failure(&error))
            }
            Self::Layout(layout) => {
                if layout.has(&blob.digest) {
                    return Ok(());
                }
                layout.blob(&blob.digest, &content(from, blob).await?)
            }
        }
    }

    /// Sends a manifest. Returns whether it is listed among the referrers of the image by that alone.
    pub(super) async fn manifest(&mut self, signature: &Signature) -> Result<bool, String> {
        let Signature { descriptor, bytes, .. } = signature;
        match self {
            Self::Registry(writer) => {
                let sent = writer.pusher.manifest(&descriptor.media_type, &descriptor.digest, bytes.clone()).await;
                sent.map_err(|error| writer.failure(&error))
            }
            Self::Layout(layout) => layout.blob(&descriptor.digest, bytes).map(|()| false),
        }
    }

    /// Makes the manifests that are not listed yet known as referrers of the image.
    pub(super) async fn list(self, image: &Digest, unlisted: &[Descriptor]) -> Result<(), String> {
        match self {
            Self::Registry(_) if unlisted.is_empty() => Ok(()),
            Self::Registry(writer) => writer.pusher.list(image, unlisted).await.map_err(|error| writer.failure(&error)),
            Self::Layout(layout) => layout.finish(unlisted),
        }
    }
}

/// The content of a blob, which is asked for unless it is known anyway.
async fn content(from: &From, blob: &Descriptor) -> Result<Bytes, String> {
    if blob.digest == Digest::of_bytes(Algorithm::Sha256, EMPTY) {
        return Ok(Bytes::from_static(EMPTY));
    }
    from.blob(blob).await
}

async fn signatures(layout: &LayoutRegistry, image: &Digest) -> Result<Vec<Descriptor>, String> {
    let repository: Repository = NO_REPOSITORY.parse().map_err(|error| format!("{error}"))?;
    let listed = layout.referrers(&repository, image, ARTIFACT_TYPE, &Credentials::default()).await;
    listed.map_err(|error| error.to_string())
}

/// The folder that a layout is in, for messages.
pub(super) fn shown(folder: &Path) -> String {
    clip(&folder.display().to_string(), 512)
}
