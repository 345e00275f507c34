// SPDX-License-Identifier: Apache-2.0

//! Real registries on loopback, each with a log of every request.

use super::Result;

/// One request that a registry answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The HTTP method.
    pub method: String,
    /// Path and query, as they were sent.
    pub path: String,
    /// The status code of the answer.
    pub status: u16,
    /// The `User-Agent` header; empty if there was none.
    pub user_agent: String,
}

/// An image that was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedImage {
    /// `host:port/repository`, the form of a registry scope.
    pub repository: String,
    /// `host:port/repository:tag`.
    pub reference: String,
    /// The digest of the manifest, `sha256:…`.
    pub digest: String,
    /// The size of the manifest in bytes.
    pub size: u64,
    /// The media type of the manifest.
    pub media_type: String,
}

impl PushedImage {
    /// `host:port/repository@sha256:…`, as a kubelet reports it.
    pub fn by_digest(&self) -> String {
        format!("{}@{}", self.repository, self.digest)
    }
}

/// A registry process with a folder and a port of its own; it ends when this is dropped.
#[derive(Debug)]
pub struct Registry {}

impl Registry {
    /// Starts olareg, which has the Referrers API.
    ///
    /// # Errors
    /// It cannot be built or does not become ready.
    pub async fn olareg() -> Result<Self> {
        Err("registries are not built yet".into())
    }

    /// Starts the distribution registry, which has no Referrers API (signatures are found through the tag schema).
    ///
    /// # Errors
    /// It cannot be built or does not become ready.
    pub async fn distribution() -> Result<Self> {
        Err("registries are not built yet".into())
    }

    /// `127.0.0.1:port`, plain HTTP.
    pub fn host(&self) -> String {
        unreachable!("no registry can be made yet")
    }

    /// Every request since the start or the last [`Registry::clear_access_log`], in order of arrival.
    pub fn access_log(&self) -> Vec<Request> {
        unreachable!("no registry can be made yet")
    }

    /// Forgets the requests so far.
    pub fn clear_access_log(&self) {}

    /// Pushes a small image with one layer that holds `contents`: different contents, different digest.
    ///
    /// # Errors
    /// The registry refuses it.
    pub async fn push_image(&self, _repository: &str, _tag: &str, _contents: &str) -> Result<PushedImage> {
        unreachable!("no registry can be made yet")
    }

    /// Ends the registry: from here on connections are refused. What was logged stays.
    pub fn stop(&mut self) {}
}
