// SPDX-License-Identifier: Apache-2.0

//! A registry that was tampered with: its signature of an image is changed, or one put there that no tool would make.

use reqwest::Method;
use serde_json::{Value, json};

use super::remote::{INDEX_TYPE, MANIFEST_TYPE, Remote};
use crate::testenv::{PushedImage, Registry, Result, digest_of};

const SIGNATURE_TYPE: &str = "application/vnd.cncf.notary.signature";

/// Replaces the one JWS signature of an image by one whose signature value has one character changed. All digests of
/// the replacement are right, so nothing but the signature itself can tell.
pub(super) async fn change_signature(registry: &Registry, image: &PushedImage, referrers_api: bool) -> Result<()> {
    let remote = Remote::of(registry, image)?;
    let list = if referrers_api {
        format!("referrers/{}", image.digest)
    } else {
        // The tag schema (OCI distribution specification 1.1, "Referrers Tag Schema").
        format!("manifests/{}", image.digest.replace(':', "-"))
    };
    let mut index: Value = serde_json::from_slice(&remote.get(&list).await?)?;
    let signatures = index["manifests"].as_array_mut().ok_or("the referrers are no list")?;
    let listed = signatures
        .iter_mut()
        .find(|manifest| manifest["artifactType"] == SIGNATURE_TYPE)
        .ok_or("the image has no signature")?;
    let original = listed["digest"].as_str().ok_or("the signature has no digest")?.to_owned();
    let manifest = tampered(&remote, &original).await?;
    listed["digest"] = digest_of(&manifest).into();
    listed["size"] = manifest.len().into();
    remote.send(Method::PUT, &format!("manifests/{}", digest_of(&manifest)), Some((MANIFEST_TYPE, manifest))).await?;
    if !referrers_api {
        remote.send(Method::PUT, &list, Some((INDEX_TYPE, serde_json::to_vec(&index)?))).await?;
    }
    remote.send(Method::DELETE, &format!("manifests/{original}"), None).await?;
    Ok(())
}

/// Attaches an envelope, whatever it is, to an image in a registry with the Referrers API. `mark` tells several
/// manifests with the same envelope apart.
///
/// # Errors
/// The registry refuses it.
pub async fn attach(
    registry: &Registry,
    image: &PushedImage,
    media_type: &str,
    envelope: Vec<u8>,
    mark: &str,
) -> Result<()> {
    let remote = Remote::of(registry, image)?;
    let config = b"{}".to_vec();
    let (size, digest, config_digest) = (envelope.len(), digest_of(&envelope), digest_of(&config));
    remote.push_blob(&digest, envelope).await?;
    remote.push_blob(&config_digest, config).await?;
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2, "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": SIGNATURE_TYPE, "digest": config_digest, "size": 2},
        "layers": [{"mediaType": media_type, "digest": digest, "size": size}],
        "subject": {"mediaType": image.media_type, "digest": image.digest, "size": image.size},
        "annotations": {"io.cncf.notary.x509chain.thumbprint#S256": "[]", "mark": mark},
    }))?;
    let path = format!("manifests/{}", digest_of(&manifest));
    remote.send(Method::PUT, &path, Some((MANIFEST_TYPE, manifest))).await?;
    Ok(())
}

fn with_other_signature(envelope: &[u8]) -> Result<Vec<u8>> {
    let mut envelope: Value = serde_json::from_slice(envelope)?;
    let signature = envelope["signature"].as_str().ok_or("the envelope is no JWS")?;
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    envelope["signature"] = format!("{first}{}", signature.get(1..).unwrap_or_default()).into();
    Ok(serde_json::to_vec(&envelope)?)
}

/// The manifest of this signature, with another envelope that is pushed.
async fn tampered(remote: &Remote, original: &str) -> Result<Vec<u8>> {
    let mut manifest: Value = serde_json::from_slice(&remote.get(&format!("manifests/{original}")).await?)?;
    let layer = manifest["layers"][0]["digest"].as_str().ok_or("the signature has no layer")?.to_owned();
    let changed = with_other_signature(&remote.get(&format!("blobs/{layer}")).await?)?;
    let digest = digest_of(&changed);
    remote.push_blob(&digest, changed).await?;
    manifest["layers"][0]["digest"] = digest.into();
    Ok(serde_json::to_vec(&manifest)?)
}
