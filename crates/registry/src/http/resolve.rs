// SPDX-License-Identifier: Apache-2.0
//! Tags and digests to descriptors; manifests and blobs by digest.

use std::collections::BTreeMap;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::HeaderMap;

use super::Inner;
use super::session::{Question, Reply};
use super::transport::{Answer, Limit, content_type, declared_length};
use crate::Target;
use crate::credentials::Credentials;
use crate::descriptor::Descriptor;
use crate::digest::{Algorithm, Digest, DigestError};
use crate::error::{At, Error};
use crate::index::{MANIFEST_MEDIA_TYPES, is_manifest_type, manifest_type};
use crate::limits::{MAX_BLOB_BYTES, MAX_MANIFEST_BYTES};
use crate::mirrors::Endpoint;
use crate::reference::is_tag;

/// The header in which a registry says what it thinks the digest is: only ever compared, never believed.
const DOCKER_CONTENT_DIGEST: &str = "docker-content-digest";

/// Manifests or blobs: where they are asked for, and how much of one is read.
#[derive(Clone, Copy)]
pub(super) enum Content {
    Manifest,
    Blob,
}

impl Content {
    fn kind(self) -> &'static str {
        match self {
            Self::Manifest => "manifests",
            Self::Blob => "blobs",
        }
    }

    fn limit(self) -> Limit {
        match self {
            Self::Manifest => Limit { bytes: MAX_MANIFEST_BYTES, what: "manifest" },
            Self::Blob => Limit { bytes: MAX_BLOB_BYTES, what: "blob" },
        }
    }
}

impl Inner {
    /// See [`crate::Registry::resolve`].
    pub(super) async fn resolve_at(
        &self,
        at: &At,
        endpoint: &Endpoint,
        target: &Target,
        credentials: &Credentials,
    ) -> Result<Descriptor, Error> {
        match target {
            Target::Tag(tag) => self.read_manifest(at, endpoint, tag, None, credentials).await,
            Target::Digest(digest) => match self.head(at, endpoint, digest, credentials).await? {
                Some(descriptor) => Ok(descriptor),
                None => self.read_manifest(at, endpoint, &digest.to_string(), Some(digest), credentials).await,
            },
        }
    }

    /// `HEAD` of a manifest; `None` if the registry does not say enough.
    pub(super) async fn head(
        &self,
        at: &At,
        endpoint: &Endpoint,
        digest: &Digest,
        credentials: &Credentials,
    ) -> Result<Option<Descriptor>, Error> {
        let question = manifest_question(Method::HEAD, endpoint, &digest.to_string());
        match self.ask(at, endpoint, credentials, &question).await? {
            Reply::Missing { .. } => Err(not_found(at, endpoint, &digest.to_string())),
            Reply::Unsupported | Reply::Unchanged | Reply::Changed => Ok(None),
            Reply::Found(answer) => {
                // What another algorithm would give cannot be known without the bytes.
                let is_true = |claimed: &Digest| claimed.algorithm() != digest.algorithm() || claimed == digest;
                check_claimed_digest(at, &answer.headers, is_true, digest)?;
                let media_type = content_type(&answer.headers).filter(|media_type| is_manifest_type(media_type));
                let (Some(media_type), Some(size)) = (media_type, declared_length(&answer.headers)) else {
                    return Ok(None);
                };
                if size > MAX_MANIFEST_BYTES {
                    return Err(Error::TooLarge { at: at.clone(), what: "manifest", limit: MAX_MANIFEST_BYTES });
                }
                // Some registries answer HEAD with a length of zero.
                Ok((size > 0).then(|| descriptor(media_type, digest.clone(), size)))
            }
        }
    }

    /// DS-11: reads a manifest to learn its descriptor.
    async fn read_manifest(
        &self,
        at: &At,
        endpoint: &Endpoint,
        reference: &str,
        expected: Option<&Digest>,
        credentials: &Credentials,
    ) -> Result<Descriptor, Error> {
        // Only a checked digest or tag becomes part of a URL.
        if expected.is_none() && !is_tag(reference) {
            return Err(Error::malformed(at, "tag is malformed"));
        }
        let question = manifest_question(Method::GET, endpoint, reference);
        let Reply::Found(answer) = self.ask(at, endpoint, credentials, &question).await? else {
            return Err(not_found(at, endpoint, reference));
        };
        let algorithm = expected.map_or(Algorithm::Sha256, Digest::algorithm);
        let digest = Digest::of_bytes(algorithm, &answer.body);
        if let Some(expected) = expected.filter(|expected| **expected != digest) {
            return Err(mismatch(at, expected, digest));
        }
        check_claimed_digest(at, &answer.headers, |claimed| claimed.matches(&answer.body), &digest)?;
        let media_type = manifest_type(&answer.body, content_type(&answer.headers).as_deref())
            .map_err(|error| Error::malformed(at, error.to_string()))?;
        let size = u64::try_from(answer.body.len()).unwrap_or(u64::MAX);
        Ok(descriptor(media_type, digest, size))
    }

    /// See [`crate::Registry::manifest`] and [`crate::Registry::blob`].
    pub(super) async fn fetch_at(
        &self,
        at: &At,
        endpoint: &Endpoint,
        content: Content,
        wanted: &Descriptor,
        credentials: &Credentials,
    ) -> Result<Bytes, Error> {
        let limit = Limit { bytes: wanted.size.min(content.limit().bytes), ..content.limit() };
        let accept = match content {
            Content::Manifest => wanted.media_type.clone(),
            Content::Blob => "*/*".to_owned(),
        };
        let reference = wanted.digest.to_string();
        let url = endpoint.url(content.kind(), &reference);
        let question = Question { method: Method::GET, url, accept, unless: None, limit, body: None };
        match self.ask(at, endpoint, credentials, &question).await? {
            Reply::Found(answer) => check_content(at, wanted, answer),
            _ => Err(not_found(at, endpoint, &reference)),
        }
    }
}

/// # Errors
/// [`Error::TooLarge`] if the declared size alone is beyond the limit: then nothing is asked.
pub(super) fn check_declared_size(at: &At, content: Content, wanted: &Descriptor) -> Result<(), Error> {
    let Limit { bytes: limit, what } = content.limit();
    if wanted.size > limit { Err(Error::TooLarge { at: at.clone(), what, limit }) } else { Ok(()) }
}

/// DS-8.
fn check_content(at: &At, wanted: &Descriptor, answer: Answer) -> Result<Bytes, Error> {
    let actual = Digest::of_bytes(wanted.digest.algorithm(), &answer.body);
    if actual != wanted.digest {
        return Err(mismatch(at, &wanted.digest, actual));
    }
    if u64::try_from(answer.body.len()) != Ok(wanted.size) {
        return Err(Error::malformed(at, "descriptor's size is not the content's"));
    }
    Ok(answer.body)
}

/// DS-11: a header that names another digest than the one asked for, or than the bytes have, shows a registry that is broken
/// or lies (CVE-2023-33959, CVE-2023-47630). Algorithms that we do not know are passed over.
fn check_claimed_digest(
    at: &At,
    headers: &HeaderMap,
    is_true: impl Fn(&Digest) -> bool,
    expected: &Digest,
) -> Result<(), Error> {
    let Some(header) = headers.get(DOCKER_CONTENT_DIGEST) else { return Ok(()) };
    let text = header.to_str().unwrap_or_default();
    match text.parse::<Digest>() {
        Ok(claimed) if is_true(&claimed) => Ok(()),
        Ok(claimed) => Err(mismatch(at, expected, claimed)),
        Err(DigestError::UnknownAlgorithm) => Ok(()),
        Err(_) => Err(Error::malformed(at, "Docker-Content-Digest is not a digest")),
    }
}

fn manifest_question(method: Method, endpoint: &Endpoint, reference: &str) -> Question {
    Question {
        method,
        url: endpoint.url("manifests", reference),
        accept: MANIFEST_MEDIA_TYPES.join(", "),
        unless: None,
        limit: Content::Manifest.limit(),
        body: None,
    }
}

fn descriptor(media_type: String, digest: Digest, size: u64) -> Descriptor {
    Descriptor { media_type, digest, size, artifact_type: None, annotations: BTreeMap::new() }
}

fn mismatch(at: &At, expected: &Digest, actual: Digest) -> Error {
    Error::DigestMismatch { at: at.clone(), expected: expected.clone(), actual }
}

/// `reference` is a checked tag or digest.
pub(super) fn not_found(at: &At, endpoint: &Endpoint, reference: &str) -> Error {
    let separator = if reference.contains(':') { '@' } else { ':' };
    Error::NotFound { at: at.clone(), what: format!("{}{separator}{reference}", endpoint.repository) }
}
