// SPDX-License-Identifier: Apache-2.0
//! Manifests and indexes as documents: what type they are, and which descriptors an index lists. Pure.

use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
};

use crate::descriptor::{Capped, Descriptor, Object, Present, RawDescriptor, Scalar};
use crate::digest::Digest;
use crate::error::printable;
use crate::limits::MAX_REFERRER_DESCRIPTORS;

/// The manifest type that OCI 1.1 dropped before its release; old Notation signatures have it.
pub(crate) const ARTIFACT_MANIFEST_MEDIA_TYPE: &str = "application/vnd.oci.artifact.manifest.v1+json";

/// The manifest types that we ask for, in the order of preference.
pub(crate) const MANIFEST_MEDIA_TYPES: [&str; 5] = [
    OCI_IMAGE_MEDIA_TYPE,
    OCI_IMAGE_INDEX_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE,
    ARTIFACT_MANIFEST_MEDIA_TYPE,
];

/// Whether `media_type` is one of [`MANIFEST_MEDIA_TYPES`].
pub(crate) fn is_manifest_type(media_type: &str) -> bool {
    MANIFEST_MEDIA_TYPES.contains(&media_type)
}

/// Why a document is not a manifest or index of one definite type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IndexError {
    #[error("not a JSON manifest: {detail}")]
    Json { detail: String },
    #[error("mediaType in the manifest and Content-Type differ")]
    TypesDiffer,
    #[error("manifest has both manifests and layers")]
    Ambiguous,
    #[error("manifest has no known media type")]
    UnknownType,
    #[error("not an image index")]
    NotAnIndex,
    #[error("more than {limit} descriptors")]
    TooMany { limit: usize },
}

/// The parts of a manifest that tell what it is.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outline {
    #[serde(default)]
    media_type: Scalar,
    #[serde(default)]
    artifact_type: Scalar,
    #[serde(default)]
    manifests: Present,
    #[serde(default)]
    layers: Present,
    #[serde(default)]
    blobs: Present,
    config: Option<Object<Part>>,
    subject: Option<Object<Part>>,
}

/// The fields of `config` and `subject` that count for what a manifest is.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    #[serde(default)]
    media_type: Scalar,
    #[serde(default)]
    digest: Scalar,
}

impl Outline {
    /// # Errors
    /// [`IndexError::Json`].
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, IndexError> {
        parse(bytes)
    }

    /// Whether `subject` is the artifact that this manifest is about.
    pub(crate) fn refers_to(&self, subject: &Digest) -> bool {
        let claimed = self.subject.as_ref().and_then(|Object(part)| part.digest.text());
        claimed.is_some_and(|claimed| claimed == subject.to_string())
    }

    /// `artifactType`, else the type of the configuration, which older artifacts use instead.
    pub(crate) fn artifact_type(&self) -> Option<String> {
        let own = self.artifact_type.text().filter(|text| !text.is_empty());
        let of_config = || self.config.as_ref().and_then(|Object(part)| part.media_type.text());
        own.or_else(of_config).map(str::to_owned)
    }
}

/// The media type of a manifest, from its own `mediaType` and the `Content-Type` under which it came.
///
/// The two must agree where both are there, and a document that could be read both as an index and as an image is
/// refused: the digest would be the same for either reading (GHSA-qq97-vm5h-rrhg).
///
/// # Errors
/// See [`IndexError`].
pub(crate) fn manifest_type(bytes: &[u8], content_type: Option<&str>) -> Result<String, IndexError> {
    let Outline { media_type, manifests, layers, config, blobs, .. } = Outline::parse(bytes)?;
    if manifests.0 && (layers.0 || config.is_some() || blobs.0) {
        return Err(IndexError::Ambiguous);
    }
    let from_header = content_type.filter(|content_type| is_manifest_type(content_type));
    let from_body = match &media_type {
        Scalar::Absent => None,
        Scalar::Text(text) if is_manifest_type(text) => Some(text.as_str()),
        _ => return Err(IndexError::UnknownType),
    };
    match (from_body, from_header) {
        (Some(body), Some(header)) if body != header => Err(IndexError::TypesDiffer),
        (Some(known), _) | (None, Some(known)) => Ok(known.to_owned()),
        (None, None) => Err(IndexError::UnknownType),
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawIndex {
    #[serde(default)]
    media_type: Scalar,
    manifests: Capped<RawDescriptor, MAX_REFERRER_DESCRIPTORS>,
    #[serde(default)]
    layers: Present,
    #[serde(default)]
    config: Present,
}

/// The descriptors of an image index, broken ones included, in its order.
///
/// # Errors
/// See [`IndexError`]; [`IndexError::TooMany`] beyond [`MAX_REFERRER_DESCRIPTORS`].
pub(crate) fn parse_index(bytes: &[u8]) -> Result<Vec<RawDescriptor>, IndexError> {
    let index: RawIndex = parse(bytes)?;
    if index.layers.0 || index.config.0 {
        return Err(IndexError::Ambiguous);
    }
    match &index.media_type {
        Scalar::Absent => {}
        Scalar::Text(text) if text == OCI_IMAGE_INDEX_MEDIA_TYPE => {}
        _ => return Err(IndexError::NotAnIndex),
    }
    if index.manifests.total > MAX_REFERRER_DESCRIPTORS {
        return Err(IndexError::TooMany { limit: MAX_REFERRER_DESCRIPTORS });
    }
    Ok(index.manifests.kept)
}

fn parse<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, IndexError> {
    serde_json::from_slice::<Object<T>>(bytes)
        .map(|Object(document)| document)
        .map_err(|error| IndexError::Json { detail: printable(&error.to_string()) })
}

/// What is left of a list after filtering it by artifact type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Candidates {
    /// The descriptors of the type, in the list's order.
    pub(crate) good: Vec<Descriptor>,
    /// How many claim the type (or claim nothing, in a list that the registry filtered) and are broken.
    pub(crate) broken: usize,
}

/// Keeps the descriptors of `artifact_type`. Where the registry says that it filtered, those without a type stay too;
/// that of the manifest itself decides later.
pub(crate) fn filter(list: Vec<RawDescriptor>, artifact_type: &str, is_filtered: bool) -> Candidates {
    let mut candidates = Candidates::default();
    for raw in list {
        let is_wanted = match raw.claimed_artifact_type() {
            Some("") | None => is_filtered,
            Some(claimed) => claimed == artifact_type,
        };
        if !is_wanted {
            continue;
        }
        match Descriptor::try_from(raw) {
            Ok(descriptor) => candidates.good.push(descriptor),
            Err(error) => {
                tracing::debug!(%error, "broken descriptor in a list of referrers");
                candidates.broken = candidates.broken.saturating_add(1);
            }
        }
    }
    candidates
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    #[test]
    fn a_document_with_two_readings_is_refused() {
        let both = format!(r#"{{"mediaType":"{OCI_IMAGE_MEDIA_TYPE}","layers":[],"manifests":[]}}"#);
        assert_eq!(manifest_type(both.as_bytes(), None), Err(IndexError::Ambiguous));
        let blobs = br#"{"manifests":[],"blobs":[]}"#;
        assert_eq!(manifest_type(blobs, Some(OCI_IMAGE_INDEX_MEDIA_TYPE)), Err(IndexError::Ambiguous));
        assert_eq!(parse_index(br#"{"manifests":[],"layers":[]}"#).unwrap_err(), IndexError::Ambiguous);
    }

    #[test]
    fn header_and_body_must_name_the_same_type() {
        let body = format!(r#"{{"mediaType":"{OCI_IMAGE_MEDIA_TYPE}","layers":[]}}"#);
        assert_eq!(manifest_type(body.as_bytes(), Some(OCI_IMAGE_INDEX_MEDIA_TYPE)), Err(IndexError::TypesDiffer));
        assert_eq!(manifest_type(body.as_bytes(), Some(OCI_IMAGE_MEDIA_TYPE)).unwrap(), OCI_IMAGE_MEDIA_TYPE);
        // A registry of blobs behind a plain file server knows no types; the manifest does.
        assert_eq!(manifest_type(body.as_bytes(), Some("application/octet-stream")).unwrap(), OCI_IMAGE_MEDIA_TYPE);
        assert_eq!(manifest_type(b"{}", Some(OCI_IMAGE_MEDIA_TYPE)).unwrap(), OCI_IMAGE_MEDIA_TYPE);
        assert_eq!(manifest_type(b"{}", Some("text/html")), Err(IndexError::UnknownType));
        assert_eq!(manifest_type(br#"{"mediaType":7}"#, Some(OCI_IMAGE_MEDIA_TYPE)), Err(IndexError::UnknownType));
    }

    #[test]
    fn an_index_is_refused_for_each_thing_that_json_may_hide() {
        let deep = format!(r#"{{"manifests":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        for text in [
            "",
            "null",
            "[]",
            "{}",
            "<html>",
            "\u{feff}{\"manifests\":[]}",
            r#"{"manifests":[]} x"#,
            r#"{"manifests":[],"manifests":[]}"#,
            r#"{"Manifests":[]}"#,
            r#"{"manifests":{}}"#,
            r#"{"manifests":[NaN]}"#,
            r#"{"manifests":["\ud800"]}"#,
            r#"{"manifests":[7]}"#,
            deep.as_str(),
        ] {
            assert!(matches!(parse_index(text.as_bytes()), Err(IndexError::Json { .. })), "{text:.40}");
        }
        assert_eq!(parse_index(br#"{"mediaType":"text/plain","manifests":[]}"#).unwrap_err(), IndexError::NotAnIndex);
    }

    #[test]
    fn depth_in_a_field_that_nobody_reads_costs_no_stack() {
        let (open, close) = ("[".repeat(1_000_000), "]".repeat(1_000_000));
        assert!(parse_index(format!(r#"{{"manifests":[],"x":{open}{close}}}"#).as_bytes()).unwrap().is_empty());
        let list = parse_index(format!(r#"{{"manifests":[{{"size":{open}{close}}}]}}"#).as_bytes());
        assert!(list.is_ok_and(|list| list.len() == 1));
    }

    #[test]
    fn a_million_descriptors_are_too_many_and_a_null_list_is_empty() {
        let many = format!(r#"{{"manifests":[{}{{}}]}}"#, "{},".repeat(1_000));
        assert_eq!(parse_index(many.as_bytes()).unwrap_err(), IndexError::TooMany { limit: 1_000 });
        assert!(parse_index(br#"{"manifests":null}"#).unwrap().is_empty());
    }

    #[test]
    fn a_broken_descriptor_is_counted_and_hides_no_good_one() {
        let good = format!(r#"{{"mediaType":"a/b","digest":"{DIGEST}","size":2,"artifactType":"sig/x"}}"#);
        let other = good.replace("sig/x", "sbom/x");
        let untyped = format!(r#"{{"mediaType":"a/b","digest":"{DIGEST}","size":2}}"#);
        let broken = good.replace("sha256", "md5");
        let list = format!(r#"{{"manifests":[{broken},{other},{untyped},{good}]}}"#);
        let unfiltered = filter(parse_index(list.as_bytes()).unwrap(), "sig/x", false);
        assert_eq!((unfiltered.good.len(), unfiltered.broken), (1, 1));
        let filtered = filter(parse_index(list.as_bytes()).unwrap(), "sig/x", true);
        assert_eq!((filtered.good.len(), filtered.broken), (2, 1));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parsers_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_index(&bytes);
            let _ = manifest_type(&bytes, None);
        }

        #[test]
        fn no_json_makes_the_parsers_panic(text in r#"\{("(manifests|mediaType|layers|x)":(\[\{?|"a/b"|\}?\]|1e9|null|-1),?){0,8}\}"#) {
            let _ = parse_index(text.as_bytes());
            let _ = manifest_type(text.as_bytes(), None);
        }
    }
}
