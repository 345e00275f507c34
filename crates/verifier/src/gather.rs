// SPDX-License-Identifier: Apache-2.0
//! Asking a registry, within bounds.

mod disk;

use std::{
    collections::HashSet,
    fmt,
    pin::pin,
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
    cache::{
        EvidenceCache,
        memory::{EVIDENCE_BYTES, Fetched, IMAGE_BYTES, Memory, Raw, candidate_size},
        record::about,
    },
    evidence::{Candidate, CandidateState, Evidence, ListKey, Subject},
    follow::Documents,
    queue::{Flights, Hosts},
    reason::Reason,
};

/// How many images of one registry are asked about at once: one dead or slow host holds up its own images only.
const CONCURRENT_PER_HOST: usize = 8;
/// How many signatures of one image are fetched at once.
const CONCURRENT_SIGNATURES: usize = 4;
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
    memory: Arc<Memory>,
    cache: Option<EvidenceCache>,
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
            memory: Arc::new(Memory::new(EVIDENCE_BYTES)),
            cache: None,
            flights: Flights::default(),
            hosts: Hosts::new(CONCURRENT_PER_HOST),
            documents: Documents::default(),
        }
    }

    /// The same, which also keeps on disk what it learns, and finds there what an earlier process learnt.
    #[must_use]
    pub fn with_cache(mut self, cache: EvidenceCache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// How much memory remembered evidence takes, in bytes, by estimate; at most 128 MiB.
    pub fn remembered_bytes(&self) -> usize {
        self.memory.bytes()
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
        let descriptor = self.described(repository, &Target::Tag(tag.to_owned()), credentials).await;
        descriptor.map(|descriptor| descriptor.digest).map_err(|error| GatherError::from(&error))
    }

    /// What the registry says of a manifest, asked within its host's share.
    pub(crate) async fn described(
        &self,
        repository: &Repository,
        target: &Target,
        credentials: &Credentials,
    ) -> Result<Descriptor, RegistryError> {
        let queue = self.hosts.queue(repository.registry());
        let _place = queue.enter().await;
        self.registry.resolve(repository, target, credentials).await
    }

    /// What is remembered of an image under these credentials; asks nothing.
    pub fn remembered(&self, subject: &Subject, credentials: &Credentials) -> Option<Arc<Evidence>> {
        self.memory.list(&self.list_key(subject, credentials))
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
        let known = self.memory.list(&key);
        if max_age.is_zero() {
            self.registry.look_anew(&subject.repository, &subject.digest);
        }
        if let Some(evidence) = &known
            && evidence.gathered.elapsed() < max_age
        {
            return Ok(Arc::clone(evidence));
        }
        let restored = if known.is_some() { None } else { self.restore_list(&key, now).await };
        let gathered = self.ask(subject, credentials, known.as_deref(), restored.as_deref(), now).await;
        match gathered {
            Ok(evidence) => {
                let evidence = Arc::new(evidence);
                self.memory.keep_list(key.clone(), Arc::clone(&evidence));
                self.keep(&key, &evidence);
                Ok(evidence)
            }
            Err(error) => {
                let error = GatherError::from(&error);
                if error.reason == Reason::ImageNotFound {
                    // The registry says that the image is gone: what was known of it there no longer holds.
                    self.memory.forget_list(&key);
                    if let Some(cache) = &self.cache {
                        about(&key, |about| cache.forget_list(about));
                    }
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
        restored: Option<&Evidence>,
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
        let (listed, mut omitted) = choose(listed, known.or(restored));
        let (candidates, more) = self.candidates(repository, &image, listed, credentials).await;
        omitted = omitted.saturating_add(more);
        Ok(Evidence { image, candidates, omitted, gathered_at: now, gathered: Instant::now() })
    }

    async fn head(&self, subject: &Subject, credentials: &Credentials) -> Result<Descriptor, RegistryError> {
        let target = Target::Digest(subject.digest.clone());
        self.registry.resolve(&subject.repository, &target, credentials).await
    }

    /// The signatures of an image, as far as they fit into its share of memory, and how many do not.
    async fn candidates(
        &self,
        repository: &Repository,
        image: &Descriptor,
        listed: Vec<Descriptor>,
        credentials: &Credentials,
    ) -> (Vec<Candidate>, usize) {
        let all = stream::iter(listed).map(|descriptor| self.candidate(repository, image, descriptor, credentials));
        let mut all = pin!(all.buffered(CONCURRENT_SIGNATURES));
        let (mut candidates, mut size, mut omitted) = (Vec::new(), 0_usize, 0_usize);
        while let Some(candidate) = all.next().await {
            let more = size.saturating_add(candidate_size(&candidate.state));
            if more > IMAGE_BYTES {
                omitted = omitted.saturating_add(1);
                continue;
            }
            size = more;
            candidates.push(candidate);
        }
        (candidates, omitted)
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

    /// One signature, from memory, from the disk or from the registry.
    async fn fetch(
        &self,
        repository: &Repository,
        image: &Descriptor,
        listed: &Descriptor,
        credentials: &Credentials,
    ) -> Result<Arc<Fetched>, RegistryError> {
        if let Some(fetched) = self.memory.signature(&listed.digest) {
            return Ok(fetched);
        }
        if let Some(fetched) = self.stored(listed, image).await {
            return Ok(fetched);
        }
        let manifest = self.registry.manifest(repository, listed, credentials).await?;
        let Ok(parsed) = parse(&manifest, image) else {
            return Ok(Arc::new(Fetched { manifest, envelope: None, raw: None }));
        };
        let blob = self.registry.blob(repository, &parsed.envelope, credentials).await?;
        let mut fetched = open(manifest, &parsed.envelope, &blob);
        if self.cache.is_some() {
            let (manifest_type, envelope) = (listed.media_type.clone(), parsed.envelope);
            fetched = fetched.with_raw(Raw { manifest_type, envelope, bytes: blob });
        }
        let fetched = Arc::new(fetched);
        self.memory.keep_signature(listed.digest.clone(), Arc::clone(&fetched));
        Ok(fetched)
    }
}

/// A signature that was fetched, its envelope parsed.
fn open(manifest: Bytes, described: &Descriptor, envelope: &[u8]) -> Fetched {
    let envelope = Envelope::parse(&described.media_type, envelope);
    let envelope = Some(envelope.map(Arc::new).map_err(|error| error.to_string().into()));
    Fetched { manifest, envelope, raw: None }
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
