// SPDX-License-Identifier: Apache-2.0
//! A signature as it is copied: the bytes of its manifest, and the blobs that the manifest names.

use std::collections::BTreeMap;

use bytes::Bytes;
use sealwatch_api::text::clip;
use sealwatch_registry::{
    Descriptor, Digest,
    limits::{MAX_ANNOTATION_BYTES, MAX_ANNOTATIONS},
};
use sealwatch_verifier::notation::ARTIFACT_TYPE;
use serde::Deserialize;

use super::place::From;

/// How many layers a signature may have; Notation writes one.
const LAYERS_MOST: usize = 16;

/// One signature.
pub(super) struct Signature {
    /// As an index of referrers lists it.
    pub(super) descriptor: Descriptor,
    pub(super) bytes: Bytes,
    /// Configuration and envelope.
    pub(super) blobs: Vec<Descriptor>,
}

/// The parts of a manifest that name other content. OCI image manifests have `config` and `layers`, the older artifact
/// manifests `blobs`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    artifact_type: Option<String>,
    config: Option<Named>,
    #[serde(default)]
    layers: Vec<Named>,
    #[serde(default)]
    blobs: Vec<Named>,
    subject: Option<Named>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    media_type: String,
    digest: String,
    size: u64,
}

impl Signature {
    /// Fetches the manifest and takes it apart. Its blobs are fetched when somebody needs them.
    pub(super) async fn fetch(from: &From, image: &Digest, listed: &Descriptor) -> Result<Self, String> {
        let bytes = from.manifest(listed).await?;
        Self::parse(image, listed, bytes).map_err(|why| format!("signature {}: {why}", listed.digest))
    }

    /// Pure.
    pub(super) fn parse(image: &Digest, listed: &Descriptor, bytes: Bytes) -> Result<Self, String> {
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|error| clip(&format!("its manifest is malformed: {error}"), 512))?;
        let subject = manifest.subject.ok_or("its manifest has no subject")?;
        if subject.digest != image.to_string() {
            return Err("its manifest has another subject".to_owned());
        }
        let named: Vec<Named> = manifest.config.into_iter().chain(manifest.layers).chain(manifest.blobs).collect();
        if named.len() > LAYERS_MOST {
            return Err(format!("its manifest names more than {LAYERS_MOST} blobs"));
        }
        let blobs = named.into_iter().map(blob).collect::<Result<_, _>>()?;
        let artifact_type = manifest.artifact_type.filter(|found| !found.is_empty());
        let is_bounded = |(name, value): &(String, String)| {
            name.len() <= MAX_ANNOTATION_BYTES && value.len() <= MAX_ANNOTATION_BYTES
        };
        let descriptor = Descriptor {
            media_type: listed.media_type.clone(),
            digest: listed.digest.clone(),
            size: listed.size,
            artifact_type: Some(artifact_type.unwrap_or_else(|| ARTIFACT_TYPE.to_owned())),
            annotations: manifest.annotations.into_iter().filter(is_bounded).take(MAX_ANNOTATIONS).collect(),
        };
        Ok(Self { descriptor, bytes, blobs })
    }
}

fn blob(named: Named) -> Result<Descriptor, String> {
    let digest = named.digest.parse().map_err(|error| format!("its manifest names a blob by no digest: {error}"))?;
    let Named { media_type, size, .. } = named;
    Ok(Descriptor { media_type, digest, size, artifact_type: None, annotations: BTreeMap::new() })
}
