// SPDX-License-Identifier: Apache-2.0
//! Asking a registry, within bounds.

use std::{
    collections::HashSet,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use sealwatch_notation::{ARTIFACT_TYPE, Envelope};
use sealwatch_registry::{
    Credentials, Descriptor, Digest, Error as RegistryError, Registry, Repository, SignatureManifest, Target,
    limits::MAX_CANDIDATES,
};

use crate::{
    evidence::{Bounded, Candidate, CandidateState, Evidence, Fetched, ListKey, Subject},
    follow::Documents,
    queue::{Flights, Hosts},
    reason::Reason,
};

/// How many images of one registry are asked about at once: one dead or slow host holds up its own images only.
const CONCURRENT_PER_HOST: usize = 8;
/// How many signatures of one image are fetched at once.
const CONCURRENT_SIGNATURES: usize = 4;
/// How many lists of signatures are remembered. One is about 1 KiB.
const LISTS: usize = 16_384;
/// How many parsed signatures are remembered. One is about 10 KiB.
const SIGNATURES: usize = 4_096;

/// Why there is no evidence: a fact of infrastructure, never a statement about signatures.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct GatherError {
    /// The reason in the API's closed table.
    pub reason: Reason,
    /// What happened, in one sentence; nothing secret.
    pub message: String,
    /// How long the registry asks us to wait.
    pub retry_after: Option<Duration>,
}

impl From<&RegistryError> for GatherError {
    fn from(error: &RegistryError) -> Self {
        let mut retry_after = None;
        let reason = match error {
            RegistryError::NotFound { .. } => Reason::ImageNotFound,
            RegistryError::Unauthorized { .. } | RegistryError::Forbidden { .. } => Reason::RegistryUnauthorized,
            RegistryError::Throttled { retry_after: wish, .. } => {
                retry_after = *wish;
                Reason::RegistryThrottled
            }
            RegistryError::DigestMismatch { .. } => Reason::DigestMismatch,
            RegistryError::LimitExceeded { .. } => Reason::SignatureLimitExceeded,
            RegistryError::EgressRefused { .. } | RegistryError::NameRefused { .. } => Reason::EgressRefused,
            RegistryError::SignaturesNotMirrored { .. } => Reason::SignaturesNotMirrored,
            RegistryError::Unavailable { retry_after: wish, .. } => {
                retry_after = *wish;
                Reason::RegistryUnavailable
            }
            _ => Reason::RegistryUnavailable,
        };
        Self { reason, message: error.to_string(), retry_after }
    }
}

/// Gathers evidence from registries and remembers it.
///
/// Signatures are remembered by digest for as long as there is room; lists of signatures, and the proof that an
/// image exists, by image and by the credentials that they were obtained with.
pub struct Verifier<R> {
    pub(crate) registry: R,
    lists: Bounded<ListKey, Arc<Evidence>>,
    signatures: Bounded<Digest, Fetched>,
    flights: Flights<ListKey>,
    pub(crate) hosts: Hosts,
    pub(crate) documents: Documents,
}

impl<R> fmt::Debug for Verifier<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

impl<R: Registry> Verifier<R> {
    /// A verifier that has not asked `registry` anything yet.
    pub fn new(registry: R) -> Self {
        Self {
            registry,
            lists: Bounded::new(LISTS),
            signatures: Bounded::new(SIGNATURES),
            flights: Flights::default(),
            hosts: Hosts::new(CONCURRENT_PER_HOST),
            documents: Documents::default(),
        }
    }

    /// The digest behind a tag, recomputed from the manifest's bytes.
    ///
    /// # Errors
    /// When the registry does not know the tag or could not be asked.
    pub async fn resolve(
        &self,
        repository: &Repository,
        tag: &str,
        credentials: &Credentials,
    ) -> Result<Digest, GatherError> {
        let queue = self.hosts.queue(repository.registry());
        let _place = queue.enter().await;
        let target = Target::Tag(tag.to_owned());
        let descriptor = self.registry.resolve(repository, &target, credentials).await;
        descriptor.map(|descriptor| descriptor.digest).map_err(|error| GatherError::from(&error))
    }

    /// What is remembered of an image under these credentials; asks nothing.
    pub fn remembered(&self, subject: &Subject, credentials: &Credentials) -> Option<Arc<Evidence>> {
        self.lists.fetch(&self.list_key(subject, credentials))
    }

    /// The evidence for one image. What is remembered and younger than `max_age` is used as it is; else the
    /// registry is asked: at first for the image, its list of signatures and each signature, afterwards for the
    /// list and for signatures that are new in it. `now` dates what is learnt.
    ///
    /// # Errors
    /// When the registry does not have the image, or could not be asked.
    pub async fn gather(
        &self,
        subject: &Subject,
        credentials: &Credentials,
        max_age: Duration,
        now: Timestamp,
    ) -> Result<Arc<Evidence>, GatherError> {
        let key = self.list_key(subject, credentials);
        // One question at a time about one image: whoever comes second finds the answer of the first.
        let _flight = self.flights.board(&key).await;
        let queue = self.hosts.queue(subject.repository.registry());
        let _place = queue.enter().await;
        let known = self.lists.fetch(&key);
        if max_age.is_zero() {
            self.registry.look_anew(&subject.repository, &subject.digest);
        }
        if let Some(evidence) = &known
            && evidence.gathered.elapsed() < max_age
        {
            return Ok(Arc::clone(evidence));
        }
        let gathered = self.ask(subject, credentials, known.as_deref(), now).await;
        match gathered {
            Ok(evidence) => {
                let evidence = Arc::new(evidence);
                self.lists.store(key, Arc::clone(&evidence));
                Ok(evidence)
            }
            Err(error) => {
                let error = GatherError::from(&error);
                if error.reason == Reason::ImageNotFound {
                    // The registry says that the image is gone: what was known of it there no longer holds.
                    self.lists.remove(&key);
                }
                Err(error)
            }
        }
    }

    fn list_key(&self, subject: &Subject, credentials: &Credentials) -> ListKey {
        (subject.clone(), self.registry.credential_key(&subject.repository, credentials))
    }

    async fn ask(
        &self,
        subject: &Subject,
        credentials: &Credentials,
        known: Option<&Evidence>,
        now: Timestamp,
    ) -> Result<Evidence, RegistryError> {
        let repository = &subject.repository;
        let image = match known {
            Some(known) => known.image.clone(),
            // A registry may answer an empty list for a digest that it does not have: its existence comes first.
            None => self.head(subject, credentials).await?,
        };
        let listed = self.registry.referrers(repository, &subject.digest, ARTIFACT_TYPE, credentials).await?;
        let vanished = listed.is_empty() && known.is_some_and(|known| !known.candidates.is_empty());
        // Signatures that were there are gone: is the image?
        let image = if vanished { self.head(subject, credentials).await? } else { image };
        let (listed, omitted) = choose(listed, known);
        let candidates = stream::iter(listed)
            .map(|descriptor| self.candidate(repository, &image, descriptor, credentials))
            .buffered(CONCURRENT_SIGNATURES)
            .collect()
            .await;
        Ok(Evidence { image, candidates, omitted, gathered_at: now, gathered: Instant::now() })
    }

    async fn head(&self, subject: &Subject, credentials: &Credentials) -> Result<Descriptor, RegistryError> {
        let target = Target::Digest(subject.digest.clone());
        self.registry.resolve(&subject.repository, &target, credentials).await
    }

    async fn candidate(
        &self,
        repository: &Repository,
        image: &Descriptor,
        listed: Descriptor,
        credentials: &Credentials,
    ) -> Candidate {
        let digest = listed.digest.clone();
        let state = match self.fetch(repository, image, &listed, credentials).await {
            Ok(fetched) => state_of(&fetched, image),
            // Listed, yet not there: a promise without a signature. Anybody who may push can make such an entry.
            Err(RegistryError::NotFound { .. }) => {
                CandidateState::Broken("the registry lists this signature and does not have it".into())
            }
            Err(error @ RegistryError::TooLarge { .. }) => CandidateState::Broken(error.to_string().into()),
            Err(error) => CandidateState::Unfetched(GatherError::from(&error)),
        };
        Candidate { digest, state }
    }

    /// One signature, from memory or from the registry.
    async fn fetch(
        &self,
        repository: &Repository,
        image: &Descriptor,
        listed: &Descriptor,
        credentials: &Credentials,
    ) -> Result<Fetched, RegistryError> {
        if let Some(fetched) = self.signatures.fetch(&listed.digest) {
            return Ok(fetched);
        }
        let manifest = self.registry.manifest(repository, listed, credentials).await?;
        let envelope = match parse(&manifest, image) {
            Ok(parsed) => {
                let blob = self.registry.blob(repository, &parsed.envelope, credentials).await?;
                let envelope = Envelope::parse(&parsed.envelope.media_type, &blob);
                Some(envelope.map(Arc::new).map_err(|error| error.to_string().into()))
            }
            Err(_) => None,
        };
        let fetched = Fetched { manifest, envelope };
        if fetched.envelope.is_some() {
            self.signatures.store(listed.digest.clone(), fetched.clone());
        }
        Ok(fetched)
    }
}

/// DS-9, DS-12: the signatures to look at, and how many are left out: those that were whole the last time come first, so that nobody
/// who may push can displace a good signature by many others.
fn choose(mut listed: Vec<Descriptor>, known: Option<&Evidence>) -> (Vec<Descriptor>, usize) {
    let whole = known.into_iter().flat_map(|known| &known.candidates);
    let whole = whole.filter(|candidate| matches!(candidate.state, CandidateState::Envelope(_)));
    let whole: HashSet<&Digest> = whole.map(|candidate| &candidate.digest).collect();
    listed.sort_by_key(|descriptor| !whole.contains(&descriptor.digest));
    let omitted = listed.len().saturating_sub(MAX_CANDIDATES);
    listed.truncate(MAX_CANDIDATES);
    (listed, omitted)
}

fn parse(manifest: &Bytes, image: &Descriptor) -> Result<SignatureManifest, Arc<str>> {
    SignatureManifest::parse(manifest, image, ARTIFACT_TYPE).map_err(|error| error.to_string().into())
}

/// A remembered signature held against this image: the manifest must name it, whoever fetched it first.
fn state_of(fetched: &Fetched, image: &Descriptor) -> CandidateState {
    match (&parse(&fetched.manifest, image), &fetched.envelope) {
        (Ok(_), Some(Ok(envelope))) => CandidateState::Envelope(Arc::clone(envelope)),
        (Ok(_), Some(Err(broken))) | (Err(broken), _) => CandidateState::Broken(Arc::clone(broken)),
        (Ok(_), None) => CandidateState::Broken("the signature manifest names another image".into()),
    }
}
