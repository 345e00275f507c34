// SPDX-License-Identifier: Apache-2.0

//! A registry that was tampered with: its signature of an image is changed, or one put there that no tool would make.

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::testenv::{PushedImage, Registry, Result, digest_of};

const SIGNATURE_TYPE: &str = "application/vnd.cncf.notary.signature";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// Replaces the one JWS signature of an image by one whose signature value has one character changed. All digests of
/// the replacement are right, so nothing but the signature itself can tell.
pub(super) async fn change_signature(registry: &Registry, image: &PushedImage, referrers_api: bool) -> Result<()> {
    let repository = image.repository.split_once('/').ok_or("the repository has no path")?.1;
    let remote = Remote { base: format!("http://{}/v2/{repository}", registry.host()), client: Client::new() };
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
    let manifest = remote.tampered(&original).await?;
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
    let repository = image.repository.split_once('/').ok_or("the repository has no path")?.1;
    let remote = Remote { base: format!("http://{}/v2/{repository}", registry.host()), client: Client::new() };
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

struct Remote {
    base: String,
    client: Client,
}

impl Remote {
    async fn get(&self, path: &str) -> Result<Vec<u8>> {
        self.send(Method::GET, path, None).await
    }

    /// The manifest of this signature, with another envelope that is pushed.
    async fn tampered(&self, original: &str) -> Result<Vec<u8>> {
        let mut manifest: Value = serde_json::from_slice(&self.get(&format!("manifests/{original}")).await?)?;
        let layer = manifest["layers"][0]["digest"].as_str().ok_or("the signature has no layer")?.to_owned();
        let changed = with_other_signature(&self.get(&format!("blobs/{layer}")).await?)?;
        let digest = digest_of(&changed);
        self.push_blob(&digest, changed).await?;
        manifest["layers"][0]["digest"] = digest.into();
        Ok(serde_json::to_vec(&manifest)?)
    }

    async fn send(&self, method: Method, path: &str, body: Option<(&str, Vec<u8>)>) -> Result<Vec<u8>> {
        let mut request = self.client.request(method.clone(), format!("{}/{path}", self.base));
        request = request.header("accept", format!("{MANIFEST_TYPE}, {INDEX_TYPE}"));
        if let Some((media_type, body)) = body {
            request = request.header("content-type", media_type).body(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        if !status.is_success() {
            return Err(format!("{method} {path}: {status}").into());
        }
        Ok(answer.bytes().await?.to_vec())
    }

    async fn push_blob(&self, digest: &str, bytes: Vec<u8>) -> Result<()> {
        let begun = self.client.post(format!("{}/blobs/uploads/", self.base)).send().await?;
        if begun.status() != StatusCode::ACCEPTED {
            return Err(format!("the upload was not begun: {}", begun.status()).into());
        }
        let location = begun.headers().get("location").ok_or("the upload has no location")?.to_str()?;
        let url = begun.url().join(location)?;
        let separator = if url.query().is_some() { '&' } else { '?' };
        let put = self.client.put(format!("{url}{separator}digest={digest}"));
        let ended = put.header("content-type", "application/octet-stream").body(bytes).send().await?;
        if ended.status().is_success() { Ok(()) } else { Err(format!("the upload failed: {}", ended.status()).into()) }
    }
}
