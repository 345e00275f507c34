// SPDX-License-Identifier: Apache-2.0
//! Writing to one repository: OCI distribution specification 1.1, "Push".
//!
//! For the command line alone, behind the feature `push`: a reader asks token servers for `pull` and has no function
//! that writes. Guard, TLS, credentials, limits and patience are those of a reader. Nothing is ever deleted.

use std::fmt;

use bytes::Bytes;
use oci_client::manifest::OCI_IMAGE_INDEX_MEDIA_TYPE;
use reqwest::header::{ETAG, HeaderValue, LOCATION};
use reqwest::{Method, Url};
use serde_json::{Map, Value, json};

use super::referrers::NAME_UNKNOWN;
use super::session::{Question, Reply};
use super::transport::{Answer, Body, Limit};
use super::{Inner, RegistryOptions, at};
use crate::credentials::Credentials;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{At, Error, Operation};
use crate::limits::{
    INDEX_ATTEMPTS, MAX_ERROR_BODY_BYTES, MAX_ETAG_BYTES, MAX_HEADER_BYTES, MAX_MANIFEST_BYTES,
    MAX_REFERRER_DESCRIPTORS,
};
use crate::mirrors::Endpoint;
use crate::reference::Repository;

/// What a writer may do, as token servers call it.
const PULL_AND_PUSH: &str = "pull,push";
/// The header by which a registry says that it lists a manifest among the referrers of its subject.
const OCI_SUBJECT: &str = "oci-subject";

/// A client that writes to one repository, and to the registry itself: mirrors are never written to by the name of
/// another.
pub struct Pusher {
    inner: Inner,
    endpoint: Endpoint,
    credentials: Credentials,
}

impl fmt::Debug for Pusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pusher").field("repository", &self.endpoint.repository).finish_non_exhaustive()
    }
}

impl Pusher {
    /// A client for `repository`. Nothing is asked yet.
    ///
    /// # Errors
    /// As for [`crate::HttpRegistry::new`].
    pub fn new(options: RegistryOptions, repository: &Repository, credentials: Credentials) -> Result<Self, Error> {
        let inner = Inner::new(options, PULL_AND_PUSH)?;
        let endpoint = inner.registries.own_endpoint(repository).ok_or_else(|| Error::Unusable {
            at: At { registry: repository.registry().to_owned(), operation: Operation::Push },
            what: "no endpoint is configured".to_owned(),
        })?;
        Ok(Self { inner, endpoint, credentials })
    }

    /// The manifests of type `artifact_type` that refer to `subject`; none in a repository that is not there yet.
    ///
    /// # Errors
    /// As for [`crate::Registry::referrers`].
    pub async fn referrers(&self, subject: &Digest, artifact_type: &str) -> Result<Vec<Descriptor>, Error> {
        let at = at(&self.endpoint, Operation::Referrers);
        let listed = self.inner.referrers_at(&at, &self.endpoint, subject, artifact_type, &self.credentials).await;
        match listed {
            Err(Error::NotFound { .. }) => Ok(Vec::new()),
            listed => listed,
        }
    }

    /// Whether the repository has a manifest.
    ///
    /// # Errors
    /// Every variant of [`Error`] but [`Error::NotFound`].
    pub async fn has_manifest(&self, digest: &Digest) -> Result<bool, Error> {
        let at = at(&self.endpoint, Operation::Push);
        match self.inner.head(&at, &self.endpoint, digest, &self.credentials).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the repository has a blob.
    ///
    /// # Errors
    /// Every variant of [`Error`] but [`Error::NotFound`].
    pub async fn has_blob(&self, digest: &Digest) -> Result<bool, Error> {
        let at = at(&self.endpoint, Operation::Push);
        let head = question(Method::HEAD, self.endpoint.url("blobs", &digest.to_string()), None);
        Ok(matches!(self.ask(&at, &head).await?, Reply::Found(_)))
    }

    /// Sends a blob.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the registry leads the upload to another host; else as the registry refuses it.
    pub async fn blob(&self, digest: &Digest, bytes: Bytes) -> Result<(), Error> {
        let at = at(&self.endpoint, Operation::Push);
        let begin = question(Method::POST, self.endpoint.url("blobs", "uploads/"), Some(body(OCTETS, Bytes::new())));
        let session = self.accepted(&at, &begin).await?;
        let mut url = self.session_url(&at, &begin.url, &session)?;
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        self.accepted(&at, &question(Method::PUT, url, Some(body(OCTETS, bytes)))).await?;
        Ok(())
    }

    /// Sends a manifest, all of whose blobs are there. Returns whether the registry lists it among the referrers of its
    /// subject by itself; if not, [`Pusher::list`] has to.
    ///
    /// # Errors
    /// As the registry refuses it.
    pub async fn manifest(&self, media_type: &str, digest: &Digest, bytes: Bytes) -> Result<bool, Error> {
        let at = at(&self.endpoint, Operation::Push);
        let url = self.endpoint.url("manifests", &digest.to_string());
        let answer = self.accepted(&at, &question(Method::PUT, url, Some(body(media_type, bytes)))).await?;
        Ok(answer.headers.contains_key(OCI_SUBJECT))
    }

    /// Brings the index of referrers of `subject` (the tag schema) up to date: `referrers` are in it afterwards, beside
    /// all that were. It is written only if it is still the one that was read, where the registry heeds `If-Match`, and
    /// read again afterwards in any case, until nobody else's writing has undone ours.
    ///
    /// # Errors
    /// [`Error::Malformed`] if what the tag names is no index; [`Error::LimitExceeded`] if it would hold more than is
    /// read; else as the registry refuses it.
    pub async fn list(&self, subject: &Digest, referrers: &[Descriptor]) -> Result<(), Error> {
        let at = at(&self.endpoint, Operation::Push);
        let url = self.endpoint.url("manifests", &subject.referrers_tag());
        for _ in 0..INDEX_ATTEMPTS {
            let (mut index, etag) = self.index(&at, &url).await?;
            if !add(&at, &mut index, referrers)? {
                return Ok(());
            }
            let bytes = Bytes::from(index.to_string());
            if u64::try_from(bytes.len()).map_or(true, |size| size > MAX_MANIFEST_BYTES) {
                return Err(Error::TooLarge { at, what: "list of referrers", limit: MAX_MANIFEST_BYTES });
            }
            let body = Body { only_if: etag, ..body(OCI_IMAGE_INDEX_MEDIA_TYPE, bytes) };
            match self.ask(&at, &question(Method::PUT, url.clone(), Some(body))).await? {
                Reply::Found(_) | Reply::Changed => {}
                other => return Err(refusal(&at, &self.endpoint, &other)),
            }
        }
        Err(Error::unavailable(&at, "somebody else keeps changing the list of referrers; run the command again"))
    }

    /// The index of referrers as it is, or an empty one, and its `ETag`.
    async fn index(&self, at: &At, url: &Url) -> Result<(Value, Option<HeaderValue>), Error> {
        let limit = Limit { bytes: MAX_MANIFEST_BYTES, what: "list of referrers" };
        let accept = OCI_IMAGE_INDEX_MEDIA_TYPE.to_owned();
        let question = Question { accept, limit, ..question(Method::GET, url.clone(), None) };
        let empty = json!({"schemaVersion": 2, "mediaType": OCI_IMAGE_INDEX_MEDIA_TYPE, "manifests": []});
        match self.ask(at, &question).await? {
            Reply::Missing { .. } => Ok((empty, None)),
            Reply::Found(answer) => {
                let index: Value = serde_json::from_slice(&answer.body)
                    .map_err(|_| Error::malformed(at, "list of referrers is not JSON"))?;
                let etag = answer.headers.get(ETAG).filter(|etag| !etag.is_empty() && etag.len() <= MAX_ETAG_BYTES);
                Ok((index, etag.cloned()))
            }
            other => Err(refusal(at, &self.endpoint, &other)),
        }
    }

    /// Where an upload goes on: at the registry itself, or nowhere.
    fn session_url(&self, at: &At, begun: &Url, answer: &Answer) -> Result<Url, Error> {
        let location = answer.headers.get(LOCATION).and_then(|location| location.to_str().ok());
        let location = location.filter(|location| location.len() <= MAX_HEADER_BYTES);
        let url = location.and_then(|location| begun.join(location).ok());
        let url = url.ok_or_else(|| Error::malformed(at, "upload without a usable Location"))?;
        let is_own = url.origin() == self.endpoint.base().origin() && url.username().is_empty();
        if is_own { Ok(url) } else { Err(Error::malformed(at, "Location of the upload leads to another host")) }
    }

    async fn ask(&self, at: &At, question: &Question) -> Result<Reply, Error> {
        self.inner.ask(at, &self.endpoint, &self.credentials, question).await
    }

    /// The answer of a registry that does what it is told.
    async fn accepted(&self, at: &At, question: &Question) -> Result<Answer, Error> {
        match self.ask(at, question).await? {
            Reply::Found(answer) => Ok(answer),
            other => Err(refusal(at, &self.endpoint, &other)),
        }
    }
}

fn question(method: Method, url: Url, body: Option<Body>) -> Question {
    let limit = Limit { bytes: MAX_ERROR_BODY_BYTES, what: "answer to a push" };
    Question { method, url, accept: "*/*".to_owned(), unless: None, limit, body }
}

/// The media type of a blob under way.
const OCTETS: &str = "application/octet-stream";

fn body(media_type: &str, bytes: Bytes) -> Body {
    Body { media_type: media_type.to_owned(), bytes, only_if: None }
}

/// Adds what is not in the index yet, and says whether there was anything.
fn add(at: &At, index: &mut Value, referrers: &[Descriptor]) -> Result<bool, Error> {
    let is_index = index.get("mediaType").is_none_or(|found| found == OCI_IMAGE_INDEX_MEDIA_TYPE);
    let manifests = index.get_mut("manifests").and_then(Value::as_array_mut).filter(|_| is_index);
    let manifests = manifests.ok_or_else(|| Error::malformed(at, "referrers tag is not an image index"))?;
    let is_listed = |manifests: &[Value], digest: &str| {
        manifests.iter().any(|entry| entry.get("digest").is_some_and(|known| known == digest))
    };
    let before = manifests.len();
    for referrer in referrers {
        if !is_listed(manifests, &referrer.digest.to_string()) {
            manifests.push(entry(referrer));
        }
    }
    if manifests.len() > MAX_REFERRER_DESCRIPTORS {
        return Err(Error::LimitExceeded { at: at.clone(), what: "referrers", limit: MAX_REFERRER_DESCRIPTORS });
    }
    Ok(manifests.len() > before)
}

fn entry(referrer: &Descriptor) -> Value {
    let mut entry = Map::new();
    let mut set = |name: &str, value: Value| drop(entry.insert(name.to_owned(), value));
    set("mediaType", referrer.media_type.clone().into());
    set("digest", referrer.digest.to_string().into());
    set("size", referrer.size.into());
    if let Some(artifact_type) = &referrer.artifact_type {
        set("artifactType", artifact_type.clone().into());
    }
    if !referrer.annotations.is_empty() {
        set("annotations", json!(referrer.annotations));
    }
    entry.into()
}

/// A registry that does not know what was asked of it.
fn refusal(at: &At, endpoint: &Endpoint, reply: &Reply) -> Error {
    match reply {
        Reply::Missing { code: Some(NAME_UNKNOWN) } => {
            Error::NotFound { at: at.clone(), what: endpoint.repository.to_string() }
        }
        Reply::Missing { code } => {
            let what = code.map_or_else(String::new, |code| format!(" ({code})"));
            Error::NotFound {
                at: at.clone(),
                what: format!("{}, or what a push to it needs{what}", endpoint.repository),
            }
        }
        Reply::Unsupported => Error::Forbidden { at: at.clone(), detail: "the registry takes no push".to_owned() },
        _ => Error::malformed(at, "unexpected answer to a push"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> At {
        At { registry: "r.test".to_owned(), operation: Operation::Push }
    }

    fn referrer(bytes: &[u8]) -> Descriptor {
        Descriptor {
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            digest: Digest::of_bytes(crate::digest::Algorithm::Sha256, bytes),
            size: 1,
            artifact_type: Some("application/x".to_owned()),
            annotations: [("a".to_owned(), "b".to_owned())].into(),
        }
    }

    #[test]
    fn what_is_in_an_index_stays_as_it_is_and_nothing_is_added_twice() {
        let mut index = json!({"schemaVersion": 2, "manifests": [{"digest": "sha256:x", "more": [1]}], "other": true});
        assert!(add(&at(), &mut index, &[referrer(b"1"), referrer(b"1")]).unwrap());
        assert_eq!(index["manifests"][0], json!({"digest": "sha256:x", "more": [1]}));
        assert_eq!((index["manifests"].as_array().unwrap().len(), &index["other"]), (2, &json!(true)));
        assert_eq!(index["manifests"][1]["artifactType"], "application/x");
        assert_eq!(index["manifests"][1]["annotations"], json!({"a": "b"}));
        assert!(!add(&at(), &mut index, &[referrer(b"1")]).unwrap());
    }

    #[test]
    fn what_is_no_index_is_never_overwritten() {
        for mut index in [
            json!([]),
            json!({"manifests": {}}),
            json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "manifests": []}),
        ] {
            assert!(add(&at(), &mut index, &[referrer(b"1")]).is_err(), "{index}");
        }
        let full: Vec<Value> = (0..MAX_REFERRER_DESCRIPTORS).map(|number| json!({"digest": number})).collect();
        let error = add(&at(), &mut json!({"manifests": full}), &[referrer(b"1")]).unwrap_err();
        assert!(matches!(error, Error::LimitExceeded { .. }), "{error}");
    }
}
