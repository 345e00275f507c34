// SPDX-License-Identifier: Apache-2.0
//! What a verdict rests on, and the bounded memory of it.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

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

/// A signature by its manifest's digest: bytes never change under a digest, so neither does this.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    /// The signature manifest, to be held against each subject that names it.
    pub(crate) manifest: bytes::Bytes,
    /// The envelope in it, parsed, or why it does not parse. `None` where the manifest itself is broken.
    pub(crate) envelope: Option<Result<Arc<Envelope>, Arc<str>>>,
}

/// The key of a list of signatures: a tenant learns nothing through another's pull secret.
pub(crate) type ListKey = (Subject, CredentialKey);

/// A map with room for a fixed number of entries; the one stored first goes first.
#[derive(Debug)]
pub(crate) struct Bounded<K, V> {
    inner: Mutex<Inner<K, V>>,
    capacity: usize,
}

#[derive(Debug)]
struct Inner<K, V> {
    entries: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Clone + Eq + Hash, V: Clone> Bounded<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { inner: Mutex::new(Inner { entries: HashMap::new(), order: VecDeque::new() }), capacity }
    }

    pub(crate) fn fetch(&self, key: &K) -> Option<V> {
        // A poisoned lock only says that another thread panicked between two complete operations.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).entries.get(key).cloned()
    }

    pub(crate) fn store(&self, key: K, value: V) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.entries.insert(key.clone(), value).is_none() {
            inner.order.push_back(key);
        }
        while inner.order.len() > self.capacity {
            let Some(oldest) = inner.order.pop_front() else { break };
            inner.entries.remove(&oldest);
        }
    }

    pub(crate) fn remove(&self, key: &K) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.entries.remove(key).is_some() {
            inner.order.retain(|kept| kept != key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounded_map_forgets_the_oldest_entry_first() {
        let map = Bounded::new(2);
        map.store("a", 1);
        map.store("b", 2);
        map.store("a", 3);
        map.store("c", 4);
        assert_eq!((map.fetch(&"a"), map.fetch(&"b"), map.fetch(&"c")), (None, Some(2), Some(4)));
        map.remove(&"b");
        map.store("d", 5);
        assert_eq!((map.fetch(&"c"), map.fetch(&"d")), (Some(4), Some(5)));
    }
}
