// SPDX-License-Identifier: Apache-2.0
//! Manifests and indexes of images, read to find the one from the other. Pure.
//!
//! The reader is stricter than that of lists of signatures. Who may push decides about every byte of an index without a
//! signature, and container runtimes read it with Go's `encoding/json`, which matches names of members in any case and
//! lets the last of two win. What two readers could read in two ways is refused, so that the manifest that we check is
//! the one that the node took.

use std::fmt;
use std::marker::PhantomData;

use oci_client::manifest::{IMAGE_MANIFEST_LIST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE};
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::descriptor::{Annotations, Capped, Descriptor, DescriptorError, Object, Present, RawDescriptor, Scalar};
use crate::digest::Digest;
use crate::error::printable;
use crate::index::manifest_type;
use crate::limits::{MAX_INDEX_CHILDREN, MAX_PLATFORM_BYTES};
use crate::platform::{ClaimedPlatform, Platform};

/// The annotation by which `BuildKit` marks a descriptor of an index that is about an image and is none.
const ATTESTATION: &str = "vnd.docker.reference.type";

/// A manifest or an index of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageDocument {
    /// An image index (OCI image specification 1.1, image-index.md) or Docker's manifest list.
    Index(Vec<Child>),
    /// A manifest of one image.
    Manifest {
        /// The digest of its configuration, by which a node may know the image.
        config: Digest,
    },
}

/// One descriptor of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its type, digest and size; annotations are left out.
    pub descriptor: Descriptor,
    /// The platform that the index claims for it.
    pub platform: ClaimedPlatform,
    is_attestation: bool,
}

impl Child {
    /// Whether a node of one of `platforms` may run it; `None` stands for a node about which nothing is known.
    ///
    /// What no runtime ever takes are attestations, as `BuildKit` adds them: of platform `unknown/unknown` and marked by
    /// their annotation, both.
    pub fn may_run_on(&self, platforms: Option<&[Platform]>) -> bool {
        let fits = || platforms.is_none_or(|nodes| nodes.iter().any(|node| self.platform.may_run_on(node)));
        !self.is_attestation && fits()
    }

    /// Whether it is an index itself. Such a one is never opened: it counts as one descriptor.
    pub fn is_index(&self) -> bool {
        is_index_type(&self.descriptor.media_type)
    }
}

/// Why a document is neither a manifest nor an index of one meaning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageDocumentError {
    /// It is no manifest or index, or is one that could be read in two ways.
    #[error("{detail}")]
    Malformed {
        /// What is wrong with it.
        detail: String,
    },
    /// It lists more than [`MAX_INDEX_CHILDREN`] descriptors.
    #[error("it lists more than {limit} descriptors")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// A descriptor in it is broken.
    #[error("a descriptor in it is broken: {0}")]
    Descriptor(#[from] DescriptorError),
}

/// Whether a media type is that of an index.
pub fn is_index_type(media_type: &str) -> bool {
    matches!(media_type, OCI_IMAGE_INDEX_MEDIA_TYPE | IMAGE_MANIFEST_LIST_MEDIA_TYPE)
}

impl ImageDocument {
    /// Reads a manifest or an index that came under this media type: at most [`crate::limits::MAX_MANIFEST_BYTES`].
    ///
    /// # Errors
    /// See [`ImageDocumentError`].
    pub fn parse(bytes: &[u8], media_type: &str) -> Result<Self, ImageDocumentError> {
        let malformed = |detail: String| ImageDocumentError::Malformed { detail: printable(&detail) };
        let media_type = manifest_type(bytes, Some(media_type)).map_err(|error| malformed(error.to_string()))?;
        let document: Object<RawDocument> =
            serde_json::from_slice(bytes).map_err(|error| malformed(format!("not read: {error}")))?;
        let Object(RawDocument { config, manifests, is_image }) = document;
        if !is_index_type(&media_type) {
            let config = config.ok_or_else(|| malformed("it has no config".into()))?;
            return Ok(Self::Manifest { config: Child::try_from(config)?.descriptor.digest });
        }
        if is_image {
            return Err(malformed("it is an index and an image at once".into()));
        }
        let Some(manifests) = manifests else { return Err(malformed("it is an index without manifests".into())) };
        if manifests.total > MAX_INDEX_CHILDREN {
            return Err(ImageDocumentError::TooMany { limit: MAX_INDEX_CHILDREN });
        }
        manifests.kept.into_iter().map(Child::try_from).collect::<Result<_, _>>().map(Self::Index)
    }
}

impl TryFrom<RawChild> for Child {
    type Error = ImageDocumentError;

    fn try_from(raw: RawChild) -> Result<Self, Self::Error> {
        let platform = raw.platform.claimed();
        let descriptor = Descriptor::try_from(RawDescriptor::of(raw.media_type, raw.digest, raw.size))?;
        Ok(Self { descriptor, is_attestation: platform.is_unknown() && raw.is_marked, platform })
    }
}

/// An object of which some members count.
trait Record<'de>: Default {
    /// Their names, at most 32.
    const NAMES: &'static [&'static str];

    /// Reads the value of the member with this place among the names.
    fn read<A: MapAccess<'de>>(&mut self, place: usize, map: &mut A) -> Result<(), A::Error>;
}

/// Reads a [`Record`]. A member that counts twice, or in another case, is an error.
struct Strict<R>(PhantomData<R>);

impl<'de, R: Record<'de>> Visitor<'de> for Strict<R> {
    type Value = R;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<R, A::Error> {
        let mut record = R::default();
        let mut seen = vec![false; R::NAMES.len()];
        while let Some(name) = map.next_key::<String>()? {
            let Some(place) = R::NAMES.iter().position(|known| folds_to(&name, known)) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if R::NAMES.get(place) != Some(&name.as_str()) {
                return Err(A::Error::custom(format!("{name:?} is a member's name in another case")));
            }
            if seen.get_mut(place).is_none_or(|seen| std::mem::replace(seen, true)) {
                return Err(A::Error::custom(format!("{name:?} stands twice")));
            }
            record.read(place, &mut map)?;
        }
        Ok(record)
    }
}

/// Whether Go takes `name` for `known`, which is ASCII: letters in any case, and the two others that fold to ASCII.
fn folds_to(name: &str, known: &str) -> bool {
    let fold = |letter: char| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    name.chars().map(fold).eq(known.chars().map(fold))
}

/// The members that count of a manifest or index.
#[derive(Debug, Default)]
struct RawDocument {
    config: Option<RawChild>,
    manifests: Option<Capped<RawChild, MAX_INDEX_CHILDREN>>,
    /// Whether it has a member that only an image has.
    is_image: bool,
}

impl<'de> Record<'de> for RawDocument {
    const NAMES: &'static [&'static str] = &["manifests", "config", "layers", "blobs", "fsLayers", "mediaType"];

    fn read<A: MapAccess<'de>>(&mut self, place: usize, map: &mut A) -> Result<(), A::Error> {
        match place {
            0 => self.manifests = map.next_value()?,
            1 => self.config = map.next_value::<Option<Object<RawChild>>>()?.map(|Object(config)| config),
            2..=4 => self.is_image |= map.next_value::<Present>()?.0,
            _ => {
                map.next_value::<IgnoredAny>()?;
            }
        }
        self.is_image |= self.config.is_some();
        Ok(())
    }
}

impl<'de> Deserialize<'de> for RawDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Strict(PhantomData))
    }
}

/// A descriptor with what an index says besides.
#[derive(Debug, Default)]
struct RawChild {
    media_type: Scalar,
    digest: Scalar,
    size: Scalar,
    platform: RawPlatform,
    /// Whether it has the annotation of attestations.
    is_marked: bool,
}

impl<'de> Record<'de> for RawChild {
    const NAMES: &'static [&'static str] = &["mediaType", "digest", "size", "platform", "annotations"];

    fn read<A: MapAccess<'de>>(&mut self, place: usize, map: &mut A) -> Result<(), A::Error> {
        match place {
            0 => self.media_type = map.next_value()?,
            1 => self.digest = map.next_value()?,
            2 => self.size = map.next_value()?,
            3 => self.platform = map.next_value()?,
            _ => {
                let Annotations(annotations) = map.next_value()?;
                self.is_marked = annotations.is_some_and(|annotations| annotations.contains_key(ATTESTATION));
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for RawChild {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Strict(PhantomData))
    }
}

/// `platform` of a descriptor. Whatever is no object says nothing.
#[derive(Debug, Default)]
struct RawPlatform {
    os: Scalar,
    architecture: Scalar,
}

impl RawPlatform {
    fn claimed(&self) -> ClaimedPlatform {
        let short = |text: &Scalar| text.text().filter(|text| text.len() <= MAX_PLATFORM_BYTES).map(Into::into);
        ClaimedPlatform { os: short(&self.os), architecture: short(&self.architecture) }
    }
}

impl<'de> Record<'de> for RawPlatform {
    const NAMES: &'static [&'static str] = &["os", "architecture"];

    fn read<A: MapAccess<'de>>(&mut self, place: usize, map: &mut A) -> Result<(), A::Error> {
        let text = map.next_value()?;
        *(if place == 0 { &mut self.os } else { &mut self.architecture }) = text;
        Ok(())
    }
}

impl<'de> Deserialize<'de> for RawPlatform {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Runtimes fail on anything but an object or null, so nobody runs what says something else here.
        Option::<Object<StrictPlatform>>::deserialize(deserializer)
            .map(|platform| platform.map(|Object(StrictPlatform(platform))| platform).unwrap_or_default())
    }
}

struct StrictPlatform(RawPlatform);

impl<'de> Deserialize<'de> for StrictPlatform {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Strict(PhantomData)).map(Self)
    }
}

#[cfg(test)]
mod tests;
