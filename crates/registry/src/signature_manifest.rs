// SPDX-License-Identifier: Apache-2.0
//! The manifest that ties a signature envelope to the artifact it signs, in both shapes that are in use. Pure.
//!
//! Source: Notary Project specification, "Signature Specification", "OCI Signatures"; the checklist's rules DS-1 to
//! DS-4. Off-spec: `subject` and types are also checked for remote registries, where notation-go does so only for
//! OCI layouts (D17): never laxer.

use std::collections::BTreeMap;

use oci_client::manifest::OCI_IMAGE_MEDIA_TYPE;

use crate::descriptor::{Annotations, Capped, Descriptor, DescriptorError, Object, Present, RawDescriptor, Scalar};
use crate::error::printable;
use crate::index::ARTIFACT_MANIFEST_MEDIA_TYPE;
use crate::limits::{MAX_BLOB_BYTES, MAX_MANIFEST_BYTES};

/// The configuration of an artifact that has none.
const EMPTY_CONFIG_MEDIA_TYPE: &str = "application/vnd.oci.empty.v1+json";
/// The two envelope formats.
const ENVELOPE_MEDIA_TYPES: [&str; 2] = ["application/jose+json", "application/cose"];

/// A signature manifest whose type, subject and single envelope were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureManifest {
    /// The manifest's own media type, which is one of the two known ones.
    pub media_type: String,
    /// The signature envelope: `application/jose+json` or `application/cose`.
    pub envelope: Descriptor,
    /// The manifest's annotations, at most [`crate::limits::MAX_ANNOTATIONS`]: hints, not evidence.
    pub annotations: BTreeMap<String, String>,
}

/// Why a manifest is not a signature manifest of the subject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureManifestError {
    /// Larger than [`MAX_MANIFEST_BYTES`].
    #[error("signature manifest is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// Not JSON, or a field of the wrong shape, or a repeated field.
    #[error("signature manifest is not JSON of the expected shape: {detail}")]
    Malformed {
        /// What the parser found.
        detail: String,
    },
    /// `mediaType` is neither an OCI image manifest nor the older artifact manifest, or the fields of another kind of
    /// manifest are there too.
    #[error("signature manifest is not of a known media type")]
    MediaType,
    /// `artifactType` is there and is not the one that was asked for.
    #[error("signature manifest has another artifactType")]
    ArtifactType,
    /// `config.mediaType` is not what the manifest's shape asks for.
    #[error("signature manifest has another config.mediaType")]
    ConfigMediaType,
    /// There is no `subject`.
    #[error("signature manifest has no subject")]
    NoSubject,
    /// `subject` is another artifact.
    #[error("signature manifest has another subject")]
    OtherSubject,
    /// Not exactly one layer.
    #[error("signature manifest has {count} layers instead of one")]
    LayerCount {
        /// How many there are.
        count: usize,
    },
    /// The layer is not a signature envelope.
    #[error("signature manifest has a layer that is neither application/jose+json nor application/cose")]
    EnvelopeMediaType,
    /// The envelope's declared size is beyond [`MAX_BLOB_BYTES`].
    #[error("signature envelope is larger than {limit} bytes")]
    EnvelopeTooLarge {
        /// The limit.
        limit: u64,
    },
    /// A descriptor is malformed.
    #[error("signature manifest: {field}: {error}")]
    Descriptor {
        /// Which one.
        field: &'static str,
        /// What is wrong with it.
        error: DescriptorError,
    },
}

/// The fields of both shapes; which may be there depends on `mediaType`.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawManifest {
    #[serde(default)]
    media_type: Scalar,
    #[serde(default)]
    artifact_type: Scalar,
    config: Option<Object<RawDescriptor>>,
    layers: Option<Capped<RawDescriptor, 1>>,
    blobs: Option<Capped<RawDescriptor, 1>>,
    subject: Option<Object<RawDescriptor>>,
    #[serde(default)]
    manifests: Present,
    #[serde(default)]
    annotations: Annotations,
}

impl SignatureManifest {
    /// Parses and checks the manifest of a signature of `subject`.
    ///
    /// # Errors
    /// The rule that the manifest breaks.
    pub fn parse(bytes: &[u8], subject: &Descriptor, artifact_type: &str) -> Result<Self, SignatureManifestError> {
        if u64::try_from(bytes.len()).map_or(true, |size| size > MAX_MANIFEST_BYTES) {
            return Err(SignatureManifestError::TooLarge { limit: MAX_MANIFEST_BYTES });
        }
        let Object(mut manifest): Object<RawManifest> = serde_json::from_slice(bytes)
            .map_err(|error| SignatureManifestError::Malformed { detail: printable(&error.to_string()) })?;
        let layers = manifest.check_type(artifact_type)?;
        check_subject(manifest.subject, subject)?;
        let envelope = single_envelope(layers)?;
        let media_type = manifest.media_type.text().unwrap_or_default().to_owned();
        let annotations = manifest.annotations.0.unwrap_or_default();
        Ok(Self { media_type, envelope, annotations })
    }
}

impl RawManifest {
    /// Checks the rules of the manifest's shape, and gives the list that holds the envelope.
    fn check_type(&mut self, artifact_type: &str) -> Result<Option<Capped<RawDescriptor, 1>>, SignatureManifestError> {
        if self.manifests.0 {
            return Err(SignatureManifestError::MediaType);
        }
        match self.media_type.text() {
            Some(OCI_IMAGE_MEDIA_TYPE) if self.blobs.is_none() => {
                self.check_image_types(artifact_type)?;
                Ok(self.layers.take())
            }
            Some(ARTIFACT_MANIFEST_MEDIA_TYPE) if self.layers.is_none() && self.config.is_none() => {
                if self.artifact_type.text() != Some(artifact_type) {
                    return Err(SignatureManifestError::ArtifactType);
                }
                Ok(self.blobs.take())
            }
            _ => Err(SignatureManifestError::MediaType),
        }
    }

    /// With `artifactType` the configuration is empty; without, the configuration's type is the artifact's (DS-2).
    fn check_image_types(&mut self, artifact_type: &str) -> Result<(), SignatureManifestError> {
        let config_type = match &self.artifact_type {
            Scalar::Absent => artifact_type,
            Scalar::Text(text) if text == artifact_type => EMPTY_CONFIG_MEDIA_TYPE,
            _ => return Err(SignatureManifestError::ArtifactType),
        };
        let Object(config) = self.config.take().ok_or(SignatureManifestError::ConfigMediaType)?;
        let config = descriptor("config", config)?;
        if config.media_type == config_type { Ok(()) } else { Err(SignatureManifestError::ConfigMediaType) }
    }
}

/// DS-4: media type, digest and size, as notation-go's `content.Equal`.
fn check_subject(claimed: Option<Object<RawDescriptor>>, subject: &Descriptor) -> Result<(), SignatureManifestError> {
    let Object(claimed) = claimed.ok_or(SignatureManifestError::NoSubject)?;
    let claimed = descriptor("subject", claimed)?;
    let is_same =
        claimed.media_type == subject.media_type && claimed.digest == subject.digest && claimed.size == subject.size;
    if is_same { Ok(()) } else { Err(SignatureManifestError::OtherSubject) }
}

/// DS-3: exactly one envelope, of a known format.
fn single_envelope(layers: Option<Capped<RawDescriptor, 1>>) -> Result<Descriptor, SignatureManifestError> {
    let count = layers.as_ref().map_or(0, |layers| layers.total);
    let envelope = match layers.and_then(|layers| layers.kept.into_iter().next()) {
        Some(layer) if count == 1 => descriptor("layers[0]", layer)?,
        _ => return Err(SignatureManifestError::LayerCount { count }),
    };
    if !ENVELOPE_MEDIA_TYPES.contains(&envelope.media_type.as_str()) {
        return Err(SignatureManifestError::EnvelopeMediaType);
    }
    if envelope.size > MAX_BLOB_BYTES {
        return Err(SignatureManifestError::EnvelopeTooLarge { limit: MAX_BLOB_BYTES });
    }
    Ok(envelope)
}

fn descriptor(field: &'static str, raw: RawDescriptor) -> Result<Descriptor, SignatureManifestError> {
    raw.try_into().map_err(|error| SignatureManifestError::Descriptor { field, error })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::digest::{Algorithm, Digest};

    const NOTATION: &str = "application/vnd.cncf.notary.signature";

    fn subject() -> Descriptor {
        Descriptor {
            media_type: OCI_IMAGE_MEDIA_TYPE.to_owned(),
            digest: Digest::of_bytes(Algorithm::Sha256, b"image"),
            size: 5,
            artifact_type: None,
            annotations: BTreeMap::new(),
        }
    }

    fn image_shape() -> Value {
        let empty = Digest::of_bytes(Algorithm::Sha256, b"{}");
        json!({
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE_MEDIA_TYPE,
            "artifactType": NOTATION,
            "config": {"mediaType": EMPTY_CONFIG_MEDIA_TYPE, "digest": empty, "size": 2},
            "layers": [{"mediaType": "application/cose", "digest": Digest::of_bytes(Algorithm::Sha256, b"sig"), "size": 3}],
            "subject": {"mediaType": OCI_IMAGE_MEDIA_TYPE, "digest": subject().digest, "size": 5},
            "annotations": {"io.cncf.notary.x509chain.thumbprint#S256": "[not json]"},
        })
    }

    fn legacy_shape() -> Value {
        let mut manifest = image_shape();
        manifest["artifactType"] = Value::Null;
        manifest["config"]["mediaType"] = json!(NOTATION);
        manifest
    }

    fn artifact_shape() -> Value {
        let mut manifest = image_shape();
        let map = manifest.as_object_mut().unwrap();
        map.insert("mediaType".to_owned(), json!(ARTIFACT_MANIFEST_MEDIA_TYPE));
        map.remove("config");
        let layers = map.remove("layers").unwrap();
        map.insert("blobs".to_owned(), layers);
        manifest
    }

    fn parse(manifest: &Value) -> Result<SignatureManifest, SignatureManifestError> {
        SignatureManifest::parse(manifest.to_string().as_bytes(), &subject(), NOTATION)
    }

    /// The good manifest with one field replaced.
    fn with(pointer: &str, value: Value) -> Result<SignatureManifest, SignatureManifestError> {
        let mut manifest = image_shape();
        *manifest.pointer_mut(pointer).unwrap() = value;
        parse(&manifest)
    }

    /// DS-1 to DS-4, D17.
    #[test]
    fn every_broken_rule_is_named() {
        use SignatureManifestError as E;
        let other = json!(Digest::of_bytes(Algorithm::Sha256, b"other"));
        let layer = image_shape()["layers"][0].clone();
        let cases = [
            ("/mediaType", Value::Null, E::MediaType),
            ("/mediaType", json!("application/vnd.oci.image.index.v1+json"), E::MediaType),
            ("/mediaType", json!(ARTIFACT_MANIFEST_MEDIA_TYPE), E::MediaType),
            ("/artifactType", json!("application/vnd.other"), E::ArtifactType),
            ("/artifactType", json!(["x"]), E::ArtifactType),
            ("/artifactType", Value::Null, E::ConfigMediaType),
            ("/config", Value::Null, E::ConfigMediaType),
            ("/config/mediaType", json!(NOTATION), E::ConfigMediaType),
            ("/subject", Value::Null, E::NoSubject),
            ("/subject/digest", other, E::OtherSubject),
            ("/subject/size", json!(6), E::OtherSubject),
            ("/subject/mediaType", json!("application/vnd.docker.distribution.manifest.v2+json"), E::OtherSubject),
            ("/subject/size", json!(-1), E::Descriptor { field: "subject", error: DescriptorError::Size }),
            ("/layers", Value::Null, E::LayerCount { count: 0 }),
            ("/layers", json!([]), E::LayerCount { count: 0 }),
            ("/layers", json!([layer, layer]), E::LayerCount { count: 2 }),
            ("/layers", Value::Array(vec![layer.clone(); 1_000]), E::LayerCount { count: 1_000 }),
            ("/layers/0/mediaType", json!("application/vnd.oci.image.layer.v1.tar"), E::EnvelopeMediaType),
            ("/layers/0/size", json!(MAX_BLOB_BYTES + 1), E::EnvelopeTooLarge { limit: MAX_BLOB_BYTES }),
            ("/layers/0/size", json!("3"), E::Descriptor { field: "layers[0]", error: DescriptorError::Size }),
        ];
        for (pointer, value, expected) in cases {
            assert_eq!(with(pointer, value.clone()), Err(expected), "{pointer} = {value:.60}");
        }
    }

    #[test]
    fn a_manifest_that_another_parser_could_read_otherwise_is_refused() {
        let mut index = image_shape();
        index["manifests"] = json!([]);
        assert_eq!(parse(&index), Err(SignatureManifestError::MediaType));
        let mut blobs = image_shape();
        blobs["blobs"] = json!([]);
        assert_eq!(parse(&blobs), Err(SignatureManifestError::MediaType));
        let twice = image_shape().to_string().replacen('{', r#"{"subject":null,"#, 1);
        let result = SignatureManifest::parse(twice.as_bytes(), &subject(), NOTATION);
        assert!(matches!(result, Err(SignatureManifestError::Malformed { .. })), "{result:?}");
        let capital = image_shape().to_string().replace("\"subject\"", "\"Subject\"");
        let result = SignatureManifest::parse(capital.as_bytes(), &subject(), NOTATION);
        assert_eq!(result, Err(SignatureManifestError::NoSubject));
    }

    /// DS-1, DS-2.
    #[test]
    fn all_three_shapes_give_the_envelope() {
        for manifest in [image_shape(), legacy_shape(), artifact_shape()] {
            let parsed = parse(&manifest).unwrap();
            assert_eq!(parsed.envelope.digest, Digest::of_bytes(Algorithm::Sha256, b"sig"));
            assert_eq!(parsed.annotations.len(), 1);
        }
    }

    /// D16, DS-12.
    #[test]
    fn unreadable_annotations_are_dropped_because_they_are_hints() {
        assert!(with("/annotations", json!({"a": 1})).unwrap().annotations.is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = SignatureManifest::parse(&bytes, &subject(), NOTATION);
        }

        #[test]
        fn no_replaced_field_makes_the_parser_panic(field in 0_usize..7, text in "(\\[|\\{|\"|[0-9e.-]|null|[a-z:,\\}\\]]){0,20}") {
            let mut manifest = image_shape();
            let key = manifest.as_object().unwrap().keys().nth(field).unwrap().clone();
            manifest[&key] = serde_json::from_str(&text).unwrap_or(Value::String(text));
            let _ = parse(&manifest);
        }
    }
}
