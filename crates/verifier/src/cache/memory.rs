// SPDX-License-Identifier: Apache-2.0
//! Evidence in memory, bounded in bytes: lists of signatures, and signatures by the digest of their manifest.
//!
//! Every entry counts with what it is estimated to take once it is parsed. An envelope that several entries share counts
//! once. What was not used for longest goes first, whichever kind it is.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use sealwatch_notation::Envelope;
use sealwatch_registry::{Descriptor, Digest};

use super::layout::SIGNATURE_FILE_MOST;
use crate::evidence::{CandidateState, Evidence, ListKey};

/// How much evidence is remembered beside what verdicts rest on: of images with one signature of usual size, some
/// thousand.
pub(crate) const EVIDENCE_BYTES: usize = 128 * 1024 * 1024;
/// How much the signatures of one image may take. A hundred usual ones take a quarter of it.
pub(crate) const IMAGE_BYTES: usize = 16 * 1024 * 1024;
/// What a certificate or a timestamp token takes when it is parsed, in terms of its encoding: its bytes, copies of the
/// parts that signatures are about, and names and addresses as texts.
const PARSED_FACTOR: usize = 6;
/// What anything takes beside its contents.
const OVERHEAD: usize = 512;
/// What an envelope takes beside its certificates, token and texts.
const ENVELOPE_OVERHEAD: usize = 2 * 1024;

/// A signature by its manifest's digest: bytes never change under a digest, so neither does this.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    /// The signature manifest, to be held against each subject that names it.
    pub(crate) manifest: Bytes,
    /// The envelope in it, parsed, or why it does not parse. `None` where the manifest itself is broken.
    pub(crate) envelope: Option<Result<Arc<Envelope>, Arc<str>>>,
    /// The envelope as it came, with what the manifest says of it, where a disk waits for it.
    pub(crate) raw: Option<Raw>,
}

/// What a disk keeps beside the manifest.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    /// The manifest's media type.
    pub(crate) manifest_type: String,
    /// The envelope as the manifest describes it.
    pub(crate) envelope: Descriptor,
    /// The envelope.
    pub(crate) bytes: Bytes,
}

impl Fetched {
    /// Remembers the bytes of the envelope, if they are few enough.
    pub(crate) fn with_raw(mut self, raw: Raw) -> Self {
        self.raw = Some(raw)
            .filter(|raw| raw.bytes.len() <= SIGNATURE_FILE_MOST && self.manifest.len() <= SIGNATURE_FILE_MOST);
        self
    }
}

/// The estimate for an envelope in memory.
pub(crate) fn footprint(envelope: &Envelope) -> usize {
    let certificates = envelope.certificate_chain().iter().map(|certificate| certificate.der().len());
    let parsed = certificates.chain(envelope.timestamp_token().map(<[u8]>::len));
    let parsed = parsed.fold(0_usize, |sum, size| sum.saturating_add(size.saturating_mul(PARSED_FACTOR)));
    let texts = envelope.unknown_critical_attributes().iter().map(|name| name.len().saturating_add(OVERHEAD));
    let texts = texts.chain(envelope.signing_agent().map(str::len)).chain([envelope.signature().len()]);
    texts.fold(parsed, usize::saturating_add).saturating_add(ENVELOPE_OVERHEAD)
}

/// The estimate for a candidate without its envelope.
fn own_size(state: &CandidateState) -> usize {
    let text = match state {
        CandidateState::Envelope(_) => 0,
        CandidateState::Broken(why) => why.len(),
        CandidateState::Unfetched(error) => error.message.len(),
    };
    text.saturating_add(OVERHEAD)
}

/// The estimate for a candidate, with its envelope.
pub(crate) fn candidate_size(state: &CandidateState) -> usize {
    let envelope = match state {
        CandidateState::Envelope(envelope) => footprint(envelope),
        CandidateState::Broken(_) | CandidateState::Unfetched(_) => 0,
    };
    envelope.saturating_add(own_size(state))
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    List(ListKey),
    Signature(Digest),
}

#[derive(Debug)]
enum Value {
    List(Arc<Evidence>),
    Signature(Arc<Fetched>),
}

impl Value {
    /// What it takes without the envelopes.
    fn size(&self, name: &Name) -> usize {
        let size = match self {
            Self::List(evidence) => evidence.candidates.iter().map(|candidate| own_size(&candidate.state)).sum(),
            Self::Signature(fetched) => {
                let raw = fetched.raw.as_ref().map_or(0, |raw| raw.bytes.len().saturating_add(OVERHEAD));
                let broken = match &fetched.envelope {
                    Some(Err(why)) => why.len(),
                    _ => 0,
                };
                [fetched.manifest.len(), raw, broken].into_iter().fold(0, usize::saturating_add)
            }
        };
        let name = match name {
            Name::List((subject, _)) => subject.repository.registry().len() + subject.repository.path().len(),
            Name::Signature(_) => 0,
        };
        // The name stands in two places.
        [name, name, OVERHEAD, OVERHEAD].into_iter().fold(size, usize::saturating_add)
    }

    fn envelopes<'a>(&'a self) -> Vec<&'a Arc<Envelope>> {
        match self {
            Self::List(evidence) => {
                let envelope = |candidate: &'a crate::Candidate| match &candidate.state {
                    CandidateState::Envelope(envelope) => Some(envelope),
                    CandidateState::Broken(_) | CandidateState::Unfetched(_) => None,
                };
                evidence.candidates.iter().filter_map(envelope).collect()
            }
            Self::Signature(fetched) => fetched.envelope.iter().filter_map(|envelope| envelope.as_ref().ok()).collect(),
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<Name, (Value, u64)>,
    /// By the time of the last use.
    order: BTreeMap<u64, Name>,
    /// How many entries hold an envelope, by its place in memory, and what it takes.
    envelopes: HashMap<usize, (usize, usize)>,
    bytes: usize,
    clock: u64,
}

/// The memory. Its bound is on estimates.
#[derive(Debug)]
pub(crate) struct Memory {
    inner: Mutex<Inner>,
    most: usize,
}

impl Memory {
    pub(crate) fn new(most: usize) -> Self {
        Self { inner: Mutex::default(), most }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A poisoned lock only says that another thread panicked between two complete operations.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is remembered takes so many bytes, by estimate.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    pub(crate) fn list(&self, key: &ListKey) -> Option<Arc<Evidence>> {
        self.lock().fetch(&Name::List(key.clone()), |value| match value {
            Value::List(evidence) => Some(Arc::clone(evidence)),
            Value::Signature(_) => None,
        })
    }

    pub(crate) fn signature(&self, digest: &Digest) -> Option<Arc<Fetched>> {
        self.lock().fetch(&Name::Signature(digest.clone()), |value| match value {
            Value::Signature(fetched) => Some(Arc::clone(fetched)),
            Value::List(_) => None,
        })
    }

    pub(crate) fn keep_list(&self, key: ListKey, evidence: Arc<Evidence>) {
        self.lock().store(Name::List(key), Value::List(evidence), self.most);
    }

    pub(crate) fn keep_signature(&self, digest: Digest, fetched: Arc<Fetched>) {
        self.lock().store(Name::Signature(digest), Value::Signature(fetched), self.most);
    }

    pub(crate) fn forget_list(&self, key: &ListKey) {
        self.lock().remove(&Name::List(key.clone()));
    }
}

impl Inner {
    fn fetch<T>(&mut self, name: &Name, read: impl FnOnce(&Value) -> Option<T>) -> Option<T> {
        let (value, used) = self.entries.get_mut(name)?;
        self.clock = self.clock.saturating_add(1);
        if let Some(name) = self.order.remove(used) {
            self.order.insert(self.clock, name);
        }
        *used = self.clock;
        read(value)
    }

    fn store(&mut self, name: Name, value: Value, most: usize) {
        self.remove(&name);
        self.clock = self.clock.saturating_add(1);
        self.bytes = self.bytes.saturating_add(value.size(&name));
        for envelope in value.envelopes() {
            let (count, size) = self.envelopes.entry(place(envelope)).or_insert_with(|| (0, footprint(envelope)));
            if *count == 0 {
                self.bytes = self.bytes.saturating_add(*size);
            }
            *count = count.saturating_add(1);
        }
        self.order.insert(self.clock, name.clone());
        self.entries.insert(name, (value, self.clock));
        while self.bytes > most {
            let Some(oldest) = self.order.values().next().cloned() else { break };
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, name: &Name) {
        let Some((value, used)) = self.entries.remove(name) else { return };
        self.order.remove(&used);
        self.bytes = self.bytes.saturating_sub(value.size(name));
        for envelope in value.envelopes() {
            let Some((count, size)) = self.envelopes.get_mut(&place(envelope)) else { continue };
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.bytes = self.bytes.saturating_sub(*size);
                self.envelopes.remove(&place(envelope));
            }
        }
    }
}

/// An envelope's place in memory tells it from others for as long as somebody holds it, and its entries do.
fn place(envelope: &Arc<Envelope>) -> usize {
    Arc::as_ptr(envelope).addr()
}

#[cfg(test)]
mod tests;
