// SPDX-License-Identifier: Apache-2.0

//! A registry that was tampered with: its signature of an image is changed.

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::testenv::{PushedImage, Registry, Result};

const SIGNATURE_TYPE: &str = "application/vnd.cncf.notary.signature";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// Replaces the one JWS signature of an image by one whose signature value has one character changed. All digests of
/// the replacement are right, so nothing but the signature itself can tell.
pub(super) async fn change_signature(registry: &Registry, image: &PushedImage) -> Result<()> {
    let repository = image.repository.split_once('/').ok_or("the repository has no path")?.1;
    let remote = Remote { base: format!("http://{}/v2/{repository}", registry.host()), client: Client::new() };
    let index: Value = serde_json::from_slice(&remote.get(&format!("referrers/{}", image.digest)).await?)?;
    let signatures = index["manifests"].as_array().ok_or("the referrers are no list")?;
    let original = signatures
        .iter()
        .find(|manifest| manifest["artifactType"] == SIGNATURE_TYPE)
        .and_then(|manifest| manifest["digest"].as_str())
        .ok_or("the image has no signature")?;
    let mut manifest: Value = serde_json::from_slice(&remote.get(&format!("manifests/{original}")).await?)?;
    let layer = manifest["layers"][0]["digest"].as_str().ok_or("the signature has no layer")?.to_owned();
    let envelope = remote.get(&format!("blobs/{layer}")).await?;
    let changed = with_other_signature(&envelope)?;
    let digest = digest_of(&changed);
    remote.push_blob(&digest, changed).await?;
    manifest["layers"][0]["digest"] = digest.into();
    let manifest = serde_json::to_vec(&manifest)?;
    let replaced = format!("manifests/{}", digest_of(&manifest));
    remote.send(Method::PUT, &replaced, Some((MANIFEST_TYPE, manifest))).await?;
    remote.send(Method::DELETE, &format!("manifests/{original}"), None).await?;
    Ok(())
}

fn with_other_signature(envelope: &[u8]) -> Result<Vec<u8>> {
    let mut envelope: Value = serde_json::from_slice(envelope)?;
    let signature = envelope["signature"].as_str().ok_or("the envelope is no JWS")?;
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    envelope["signature"] = format!("{first}{}", signature.get(1..).unwrap_or_default()).into();
    Ok(serde_json::to_vec(&envelope)?)
}

fn digest_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

struct Remote {
    base: String,
    client: Client,
}

impl Remote {
    async fn get(&self, path: &str) -> Result<Vec<u8>> {
        self.send(Method::GET, path, None).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<(&str, Vec<u8>)>) -> Result<Vec<u8>> {
        let mut request = self.client.request(method.clone(), format!("{}/{path}", self.base));
        request = request.header("accept", MANIFEST_TYPE);
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
