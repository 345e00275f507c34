// SPDX-License-Identifier: Apache-2.0
//! What a verdict rests on.

use std::{fmt, sync::Arc, time::Instant};

use jiff::Timestamp;
use sealwatch_notation::Envelope;
use sealwatch_registry::{CredentialKey, Descriptor, Digest, Repository};

use crate::gather::GatherError;

/// One distinct image: where it is looked up, and the digest that runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// The repository that the pods name: it chooses the statement, and it is where signatures are looked for.
    pub repository: Repository,
    /// The digest of the image manifest or index that runs.
    pub digest: Digest,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.repository, self.digest)
    }
}

/// Everything that a registry said of one image, complete enough to be judged.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The image manifest as the registry describes it; its digest is the one that was asked for.
    pub image: Descriptor,
    /// The signatures that refer to the image, those that were whole before first, then in the order of the registry.
    pub candidates: Vec<Candidate>,
    /// How many more signatures refer to the image and were not looked at.
    pub omitted: usize,
    /// When the list of signatures was obtained.
    pub gathered_at: Timestamp,
    /// The same moment on the monotonic clock, by which intervals are measured.
    pub gathered: Instant,
}

impl Evidence {
    /// Whether a signature could not be fetched for a reason that may pass: such evidence is judged, but
    /// asked for again soon.
    pub fn is_partial(&self) -> bool {
        self.candidates.iter().any(|candidate| matches!(candidate.state, CandidateState::Unfetched(_)))
    }
}

/// One signature manifest that refers to the image.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The digest of the signature manifest.
    pub digest: Digest,
    /// What became of it.
    pub state: CandidateState,
}

/// What became of a signature manifest that the registry listed.
#[derive(Clone, Debug)]
pub enum CandidateState {
    /// Fetched, parsed, and its signature verified.
    Envelope(Arc<Envelope>),
    /// Fetched, and broken: the reason says how. It never becomes whole, since it is named by its digest.
    Broken(Arc<str>),
    /// It could not be fetched; it may be a good one.
    Unfetched(GatherError),
}

/// The key of a list of signatures: a tenant learns nothing through another's pull secret.
pub(crate) type ListKey = (Subject, CredentialKey);
