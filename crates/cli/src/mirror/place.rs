// SPDX-License-Identifier: Apache-2.0
//! The two ends: where signatures come from, and where they go to.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use sealwatch_api::text::clip;
use sealwatch_registry::{
    Credentials, Descriptor, Digest, LayoutRegistry, Pusher, Reference, Registry as _, Repository,
};
use sealwatch_verifier::notation::ARTIFACT_TYPE;

use super::{
    layout::LayoutWriter,
    signature::{Blob, Signature},
};
use crate::{
    args::AskingArguments,
    credentials::{self, Found},
    inspect::report::failure,
    source::{self, Place, Source},
};

/// What stands before the folder of an OCI image layout.
const LAYOUT: &str = "oci-layout:";
/// Names of repositories mean nothing to a layout.
const NO_REPOSITORY: &str = "layout.invalid/layout";

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

    /// The registry of the source, for advice; empty of a layout.
    pub(super) fn source_host(&self) -> &str {
        match &self.source {
            End::Registry(repository) => repository.registry(),
            End::Layout(_) => "",
        }
    }
}

/// Where signatures come from.
pub(super) struct From {
    pub(super) place: Place,
    pub(super) repository: Repository,
    pub(super) found: Found,
}

impl From {
    pub(super) async fn open(names: &Names, asking: &AskingArguments) -> Result<Self, String> {
        match &names.source {
            End::Layout(folder) => {
                let repository = NO_REPOSITORY.parse().map_err(|error| format!("{error}"))?;
                let place = Place::Layout(source::layout(folder)?);
                Ok(Self { place, repository, found: Found::default() })
            }
            End::Registry(repository) => {
                let Source { place, found } =
                    Source::of_registries(asking, &[repository.registry().to_owned()]).await?;
                Ok(Self { place, repository: repository.clone(), found })
            }
        }
    }

    /// The bytes of a blob.
    pub(super) async fn blob(&self, blob: &Descriptor) -> Result<bytes::Bytes, String> {
        let bytes = self.place.blob(&self.repository, blob, &self.found.credentials).await;
        bytes.map_err(|error| failure(&error, || self.found.advice(self.repository.registry())))
    }
}

/// Where signatures go to.
pub(super) enum To {
    Registry { pusher: Box<Pusher>, advice: String, sent: BTreeSet<Digest> },
    Layout(LayoutWriter),
}

impl To {
    pub(super) async fn open(names: &Names, asking: &AskingArguments) -> Result<Self, String> {
        match &names.target {
            End::Layout(folder) => LayoutWriter::open(folder).map(Self::Layout),
            End::Registry(repository) => {
                let hosts = [repository.registry().to_owned()];
                let options = source::options(asking, &hosts)?;
                let found = credentials::find(asking, &hosts).await?;
                let advice = found.advice(repository.registry());
                let pusher = Pusher::new(options, repository, found.credentials).map_err(|error| error.to_string())?;
                Ok(Self::Registry { pusher: Box::new(pusher), advice, sent: BTreeSet::new() })
            }
        }
    }

    /// The digests of the signatures that are there.
    pub(super) async fn referrers(&self, image: &Digest) -> Result<BTreeSet<Digest>, String> {
        let listed = match self {
            Self::Registry { pusher, advice, .. } => {
                let listed = pusher.referrers(image, ARTIFACT_TYPE).await;
                listed.map_err(|error| failure(&error, || advice.clone()))?
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
            Self::Registry { pusher, advice, .. } => {
                pusher.has_manifest(image).await.map_err(|error| failure(&error, || advice.clone()))
            }
            Self::Layout(_) => Ok(true),
        }
    }

    /// Sends a blob unless it is there. What the source has is fetched only if it is not, and no blob twice.
    pub(super) async fn blob(&mut self, from: &From, blob: &Blob) -> Result<(), String> {
        match self {
            Self::Registry { pusher, advice, sent } => {
                if !sent.insert(blob.descriptor.digest.clone()) {
                    return Ok(());
                }
                let at = |error| failure(&error, || advice.clone());
                if pusher.has_blob(&blob.descriptor.digest).await.map_err(at)? {
                    return Ok(());
                }
                let bytes = blob.bytes(from).await?;
                pusher.blob(&blob.descriptor.digest, bytes).await.map_err(at)
            }
            Self::Layout(layout) => {
                if layout.has(&blob.descriptor.digest) {
                    return Ok(());
                }
                layout.blob(&blob.descriptor.digest, &blob.bytes(from).await?)
            }
        }
    }

    /// Sends a manifest. Returns whether it is listed among the referrers of the image by that alone.
    pub(super) async fn manifest(&mut self, signature: &Signature) -> Result<bool, String> {
        let Signature { descriptor, bytes, .. } = signature;
        match self {
            Self::Registry { pusher, advice, .. } => {
                let listed = pusher.manifest(&descriptor.media_type, &descriptor.digest, bytes.clone()).await;
                listed.map_err(|error| failure(&error, || advice.clone()))
            }
            Self::Layout(layout) => layout.blob(&descriptor.digest, bytes).map(|()| false),
        }
    }

    /// Makes the manifests that are not listed yet known as referrers of the image.
    pub(super) async fn list(self, image: &Digest, unlisted: &[Descriptor]) -> Result<(), String> {
        match self {
            Self::Registry { .. } if unlisted.is_empty() => Ok(()),
            Self::Registry { pusher, advice, .. } => {
                pusher.list(image, unlisted).await.map_err(|error| failure(&error, || advice.clone()))
            }
            Self::Layout(layout) => layout.finish(unlisted),
        }
    }
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
