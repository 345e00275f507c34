// SPDX-License-Identifier: Apache-2.0
//! Content descriptors, and the bounded, tolerant reading of lists of them.
//!
//! One broken descriptor must not hide the good ones beside it, so a list is read into raw descriptors, whose
//! fields may hold anything, and each is judged by itself.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::digest::{Digest, DigestError};
use crate::limits::{MAX_ANNOTATION_BYTES, MAX_ANNOTATIONS, MAX_MEDIA_TYPE_BYTES};

/// What a manifest or a list says of a piece of content: OCI image specification 1.1, descriptor.md.
///
/// `urls` and `data` are never read: content comes from the repository that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Media type, at most [`MAX_MEDIA_TYPE_BYTES`] bytes.
    pub media_type: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Size of the content in bytes.
    pub size: u64,
    /// The content's artifact type, as the list claims it.
    pub artifact_type: Option<String>,
    /// Annotations, at most [`MAX_ANNOTATIONS`] of at most [`MAX_ANNOTATION_BYTES`].
    pub annotations: BTreeMap<String, String>,
}

/// Why a JSON object is not a descriptor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// `mediaType` is missing or is not a media type.
    #[error("mediaType is not a media type")]
    MediaType,
    /// `digest` is missing or is not a text.
    #[error("digest is missing")]
    NoDigest,
    /// `digest` is malformed.
    #[error("{0}")]
    Digest(#[from] DigestError),
    /// `size` is missing, negative, fractional or beyond 63 bits.
    #[error("size is not a whole number from 0 to 2^63-1")]
    Size,
    /// `artifactType` is there and is not a media type.
    #[error("artifactType is not a media type")]
    ArtifactType,
    /// `annotations` are too many, too long, repeated, or not texts.
    #[error("annotations are not a bounded map of distinct texts")]
    Annotations,
}

/// A descriptor as it was sent.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawDescriptor {
    media_type: Scalar,
    digest: Scalar,
    size: Scalar,
    artifact_type: Scalar,
    annotations: Annotations,
}

impl RawDescriptor {
    /// One of these fields alone.
    pub(crate) fn of(media_type: Scalar, digest: Scalar, size: Scalar) -> Self {
        Self { media_type, digest, size, ..Self::default() }
    }

    /// The claimed artifact type, if it is a text: enough to tell whether a broken descriptor mattered.
    pub(crate) fn claimed_artifact_type(&self) -> Option<&str> {
        self.artifact_type.text()
    }
}

impl TryFrom<RawDescriptor> for Descriptor {
    type Error = DescriptorError;

    fn try_from(raw: RawDescriptor) -> Result<Self, Self::Error> {
        Ok(Self {
            media_type: raw.media_type.media_type().ok_or(DescriptorError::MediaType)?,
            digest: raw.digest.text().ok_or(DescriptorError::NoDigest)?.parse()?,
            size: match raw.size {
                Scalar::Number(size) if i64::try_from(size).is_ok() => size,
                _ => return Err(DescriptorError::Size),
            },
            artifact_type: match raw.artifact_type {
                Scalar::Absent => None,
                // oras-go writes an empty text where there is no type.
                Scalar::Text(text) if text.is_empty() => None,
                other => Some(other.media_type().ok_or(DescriptorError::ArtifactType)?),
            },
            annotations: raw.annotations.0.ok_or(DescriptorError::Annotations)?,
        })
    }
}

/// Whether a text has the shape `type/subtype` and is short enough (RFC 6838, section 4.2).
pub(crate) fn is_media_type(text: &str) -> bool {
    let is_name = |name: &str| {
        name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    text.len() <= MAX_MEDIA_TYPE_BYTES
        && text.split_once('/').is_some_and(|(kind, subtype)| is_name(kind) && is_name(subtype))
}

/// A JSON value of which only texts and whole numbers are kept; anything else is read over without storing it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scalar {
    /// Missing or null.
    #[default]
    Absent,
    /// A text, at most [`MAX_ANNOTATION_BYTES`].
    Text(String),
    /// A whole number that is not negative.
    Number(u64),
    /// Anything else.
    Other,
}

impl Scalar {
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn media_type(self) -> Option<String> {
        match self {
            Self::Text(text) if is_media_type(&text) => Some(text),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(if text.len() <= MAX_ANNOTATION_BYTES { Scalar::Text(text.to_owned()) } else { Scalar::Other })
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Absent)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

/// A bounded map of distinct texts; `None` if it was not one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Annotations(pub(crate) Option<BTreeMap<String, String>>);

impl Default for Annotations {
    fn default() -> Self {
        Self(Some(BTreeMap::new()))
    }
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnnotationsVisitor)
    }
}

struct AnnotationsVisitor;

impl<'de> Visitor<'de> for AnnotationsVisitor {
    type Value = Annotations;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of texts")
    }

    fn visit_unit<E>(self) -> Result<Annotations, E> {
        Ok(Annotations::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Annotations, E> {
        Ok(Annotations(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Annotations, E> {
        Ok(Annotations(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Annotations, E> {
        Ok(Annotations(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Annotations, E> {
        Ok(Annotations(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Annotations, E> {
        Ok(Annotations(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Annotations, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Annotations(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Annotations, A::Error> {
        let mut annotations = Some(BTreeMap::new());
        while let Some((key, value)) = map.next_entry::<String, Scalar>()? {
            annotations = annotations.and_then(|mut kept: BTreeMap<String, String>| {
                let is_room = kept.len() < MAX_ANNOTATIONS && key.len() <= MAX_ANNOTATION_BYTES;
                match value {
                    Scalar::Text(text) if is_room => kept.insert(key, text).is_none().then_some(kept),
                    _ => None,
                }
            });
        }
        Ok(Annotations(annotations))
    }
}

/// A JSON object. Derived structs would also take an array with the fields in order, which no other reader of
/// manifests does.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(std::marker::PhantomData))
    }
}

struct ObjectVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Object)
    }
}

/// A JSON array of objects, of which the first `KEEP` elements are kept and the others only counted. Null is an empty array:
/// that is how Go writes an empty list.
#[derive(Debug)]
pub(crate) struct Capped<T, const KEEP: usize> {
    pub(crate) kept: Vec<T>,
    pub(crate) total: usize,
}

impl<'de, T: Deserialize<'de>, const KEEP: usize> Deserialize<'de> for Capped<T, KEEP> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CappedVisitor::<T, KEEP>(std::marker::PhantomData))
    }
}

struct CappedVisitor<T, const KEEP: usize>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>, const KEEP: usize> Visitor<'de> for CappedVisitor<T, KEEP> {
    type Value = Capped<T, KEEP>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Capped { kept: Vec::new(), total: 0 })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < KEEP {
            match seq.next_element::<Object<T>>()? {
                Some(Object(element)) => kept.push(element),
                None => return Ok(Capped { total: kept.len(), kept }),
            }
        }
        let mut total = kept.len();
        while seq.next_element::<IgnoredAny>()?.is_some() {
            total = total.saturating_add(1);
        }
        Ok(Capped { kept, total })
    }
}

/// Whether a field is there (and not null); its value is read over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Present(pub(crate) bool);

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Option::<IgnoredAny>::deserialize(deserializer)?.is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    fn parse(json: &str) -> Result<Descriptor, DescriptorError> {
        Descriptor::try_from(serde_json::from_str::<RawDescriptor>(json).unwrap())
    }

    #[test]
    fn every_broken_field_is_named() {
        let good = |size: &str| format!(r#"{{"mediaType":"a/b","digest":"{DIGEST}","size":{size}}}"#);
        let with = |more: &str| format!(r#"{{"mediaType":"a/b","digest":"{DIGEST}","size":2,{more}}}"#);
        let many: Vec<String> = (0..65).map(|n| format!(r#""k{n}":"v""#)).collect();
        let cases = [
            ("{}".to_owned(), DescriptorError::MediaType),
            (r#"{"mediaType":["a/b"]}"#.to_owned(), DescriptorError::MediaType),
            (r#"{"mediaType":"a b/c"}"#.to_owned(), DescriptorError::MediaType),
            (r#"{"mediaType":"a/b","digest":7}"#.to_owned(), DescriptorError::NoDigest),
            (
                r#"{"mediaType":"a/b","digest":"md5:00"}"#.to_owned(),
                DescriptorError::Digest(DigestError::UnknownAlgorithm),
            ),
            (good("-1"), DescriptorError::Size),
            (good("1.5"), DescriptorError::Size),
            (good("9223372036854775808"), DescriptorError::Size),
            (good("\"2\""), DescriptorError::Size),
            (good("null"), DescriptorError::Size),
            (with(r#""artifactType":{}"#), DescriptorError::ArtifactType),
            (with(r#""artifactType":"a\u0000/b""#), DescriptorError::ArtifactType),
            (with(r#""annotations":[]"#), DescriptorError::Annotations),
            (with(r#""annotations":{"a":1}"#), DescriptorError::Annotations),
            (with(r#""annotations":{"a":"1","a":"2"}"#), DescriptorError::Annotations),
            (with(&format!(r#""annotations":{{{}}}"#, many.join(","))), DescriptorError::Annotations),
            (
                with(&format!(r#""annotations":{{"a":"{}"}}"#, "x".repeat(MAX_ANNOTATION_BYTES + 1))),
                DescriptorError::Annotations,
            ),
        ];
        for (json, expected) in cases {
            assert_eq!(parse(&json), Err(expected), "{json}");
        }
    }

    #[test]
    fn a_repeated_field_makes_the_whole_document_unreadable() {
        let json = format!(r#"{{"mediaType":"a/b","digest":"{DIGEST}","digest":"{DIGEST}","size":2}}"#);
        assert!(serde_json::from_str::<RawDescriptor>(&json).is_err());
    }

    #[test]
    fn a_good_descriptor_keeps_what_is_known_and_drops_urls_and_data() {
        let descriptor = parse(&format!(
            r#"{{"mediaType":"a/b","digest":"{DIGEST}","size":2,"artifactType":"","urls":["http://x"],"data":"e30=",
                "annotations":{{"a":"1"}}}}"#
        ))
        .unwrap();
        assert_eq!(descriptor.size, 2);
        assert_eq!(descriptor.artifact_type, None);
        assert_eq!(descriptor.annotations, BTreeMap::from([("a".to_owned(), "1".to_owned())]));
    }

    #[test]
    fn elements_beyond_the_cap_are_counted_and_not_kept() {
        let list: Capped<RawDescriptor, 2> = serde_json::from_str("[{},{},3,[[4]]]").unwrap();
        assert_eq!((list.kept.len(), list.total), (2, 4));
    }
}
