// SPDX-License-Identifier: Apache-2.0

//! An OCI layout, pushed as `oras cp -r --from-oci-layout` does it.

use std::fs;
use std::path::Path;

use reqwest::{Client, Response, StatusCode};
use serde_json::Value;

use super::{PushedImage, Registry};
use crate::testenv::Result;

/// The annotation that names an entry of a layout (OCI image specification 1.1, annotations.md).
const NAME: &str = "org.opencontainers.image.ref.name";

struct Push<'a> {
    client: Client,
    url: String,
    layout: &'a Path,
}

/// Pushes the tagged image of a layout, and all that refers to it.
pub(super) async fn push(registry: &Registry, repository: &str, layout: &Path) -> Result<PushedImage> {
    crate::testenv::install_crypto_provider();
    let url = format!("{}/v2/{repository}", registry.url());
    let push = Push { client: Client::new(), url, layout };
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json"))?)?;
    let mut pushed = None;
    for entry in index["manifests"].as_array().ok_or("the layout has no manifests")? {
        let name = entry["annotations"][NAME].as_str();
        // The lists of the tag schema are for layouts; a registry with the Referrers API makes them itself.
        if name.is_some_and(|name| name.starts_with("sha256-")) {
            continue;
        }
        push.manifest(entry, name).await?;
        if let Some(tag) = name {
            let repository = format!("{}/{repository}", registry.host());
            pushed = Some(PushedImage {
                reference: format!("{repository}:{tag}"),
                repository,
                digest: text(entry, "digest")?.to_owned(),
                size: entry["size"].as_u64().ok_or("a descriptor without size")?,
                media_type: text(entry, "mediaType")?.to_owned(),
            });
        }
    }
    Ok(pushed.ok_or("the layout names no image")?)
}

impl Push<'_> {
    fn blob(&self, digest: &str) -> Result<Vec<u8>> {
        Ok(fs::read(self.layout.join("blobs").join(digest.replace(':', "/")))?)
    }

    async fn upload(&self, digest: &str) -> Result<()> {
        let begun = self.client.post(format!("{}/blobs/uploads/", self.url)).send().await?;
        let location = begun.headers().get("location").ok_or("the registry names no place to upload to")?.to_str()?;
        let mut to = begun.url().join(location)?;
        to.query_pairs_mut().append_pair("digest", digest);
        let answer = self.client.put(to).header("content-type", "application/octet-stream").body(self.blob(digest)?);
        created(digest, &answer.send().await?)
    }

    /// Pushes a manifest and, before it, everything that it names; under `name`, or under its digest.
    async fn manifest(&self, descriptor: &Value, name: Option<&str>) -> Result<()> {
        let digest = text(descriptor, "digest")?;
        let bytes = self.blob(digest)?;
        let manifest: Value = serde_json::from_slice(&bytes)?;
        for child in manifest["manifests"].as_array().into_iter().flatten() {
            Box::pin(self.manifest(child, None)).await?;
        }
        for blob in manifest["layers"].as_array().into_iter().flatten().chain(manifest.get("config")) {
            self.upload(text(blob, "digest")?).await?;
        }
        let request = self.client.put(format!("{}/manifests/{}", self.url, name.unwrap_or(digest)));
        created(digest, &request.header("content-type", text(descriptor, "mediaType")?).body(bytes).send().await?)
    }
}

fn text<'a>(descriptor: &'a Value, field: &str) -> Result<&'a str> {
    Ok(descriptor[field].as_str().ok_or_else(|| format!("a descriptor without {field}"))?)
}

fn created(digest: &str, answer: &Response) -> Result<()> {
    match answer.status() {
        StatusCode::CREATED => Ok(()),
        status => Err(format!("{digest} was not taken: {status}").into()),
    }
}
