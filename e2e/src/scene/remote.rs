// SPDX-License-Identifier: Apache-2.0

//! A repository of a registry, as somebody sees it who writes to it by hand.

use reqwest::{Client, Method, StatusCode};

use crate::testenv::{PushedImage, Registry, Result};

pub(super) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// A repository.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    base: String,
    client: Client,
}

impl Remote {
    /// This repository of a registry that is entered in plain HTTP.
    pub(super) fn new(registry: &Registry, repository: &str) -> Self {
        Self { base: format!("http://{}/v2/{repository}", registry.host()), client: Client::new() }
    }

    /// The repository of an image.
    pub(super) fn of(registry: &Registry, image: &PushedImage) -> Result<Self> {
        let repository = image.repository.split_once('/').ok_or("the repository has no path")?.1;
        Ok(Self::new(registry, repository))
    }

    pub(super) async fn get(&self, path: &str) -> Result<Vec<u8>> {
        self.send(Method::GET, path, None).await
    }

    pub(super) async fn send(&self, method: Method, path: &str, body: Option<(&str, Vec<u8>)>) -> Result<Vec<u8>> {
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

    pub(super) async fn push_blob(&self, digest: &str, bytes: Vec<u8>) -> Result<()> {
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
