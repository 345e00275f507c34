// SPDX-License-Identifier: Apache-2.0
//! What gathering keeps on disk, and finds there.

use std::sync::Arc;

use jiff::Timestamp;
use sealwatch_registry::{Credentials, Descriptor, Digest, Registry};

use super::{Verifier, open, parse, state_of};
use crate::{
    cache::{
        EvidenceCache,
        memory::{Fetched, Memory, Raw},
        record::{Record, about},
    },
    evidence::{CandidateState, Evidence, ListKey, Subject},
};

impl<R: Registry> Verifier<R> {
    /// What this process or, by its word on disk, an earlier one learnt of an image under these credentials; asks no
    /// registry. It is as old as its `gathered_at` says.
    pub async fn restore(&self, subject: &Subject, credentials: &Credentials, now: Timestamp) -> Option<Arc<Evidence>> {
        let key = self.list_key(subject, credentials);
        match self.memory.list(&key) {
            Some(evidence) => Some(evidence),
            None => self.restore_list(&key, now).await,
        }
    }

    pub(super) async fn restore_list(&self, key: &ListKey, now: Timestamp) -> Option<Arc<Evidence>> {
        let (cache, memory, key) = (self.cache.clone()?, Arc::clone(&self.memory), key.clone());
        let read = move || {
            let parse = |bytes: &[u8]| Record::parse(bytes, &key.0.digest);
            let record = about(&key, |about| cache.list(about, now, parse))?;
            let state = |digest: &Digest, image: &Descriptor| state(&cache, &memory, digest, image);
            Some(Arc::new(record.restore(state)))
        };
        // A panic in a parser is no evidence.
        tokio::task::spawn_blocking(read).await.ok().flatten()
    }

    /// A signature from the disk, as the registry describes it now.
    pub(super) async fn stored(&self, listed: &Descriptor, image: &Descriptor) -> Option<Arc<Fetched>> {
        let (cache, memory) = (self.cache.clone()?, Arc::clone(&self.memory));
        let (listed, image) = (listed.clone(), image.clone());
        let read = move || {
            let fetched = fetch(&cache, &memory, &listed.digest, &image)?;
            (u64::try_from(fetched.manifest.len()) == Ok(listed.size)).then_some(fetched)
        };
        tokio::task::spawn_blocking(read).await.ok().flatten()
    }

    /// Has the disk keep what was learnt. Waits for nothing.
    pub(super) fn keep(&self, key: &ListKey, evidence: &Evidence) {
        let Some(cache) = &self.cache else { return };
        let mut kept = Vec::new();
        for candidate in &evidence.candidates {
            let Some(fetched) = self.memory.signature(&candidate.digest) else { continue };
            if let Some(raw) = &fetched.raw {
                cache.keep_signature(&candidate.digest, &fetched.manifest, raw);
                kept.push(&candidate.digest);
            }
        }
        let record = Record::of(evidence, |digest| kept.contains(&digest));
        about(key, |about| cache.keep_list(about, record.to_bytes()));
    }
}

fn state(cache: &EvidenceCache, memory: &Memory, digest: &Digest, image: &Descriptor) -> Option<CandidateState> {
    let fetched = memory.signature(digest).or_else(|| fetch(cache, memory, digest, image))?;
    Some(state_of(&fetched, image))
}

/// Reads, hashes and parses a signature of this image. Waits for the disk.
fn fetch(cache: &EvidenceCache, memory: &Memory, digest: &Digest, image: &Descriptor) -> Option<Arc<Fetched>> {
    let manifest = cache.blob(digest, digest)?;
    let parsed = parse(&manifest, image).ok()?;
    let blob = cache.blob(digest, &parsed.envelope.digest)?;
    if u64::try_from(blob.len()) != Ok(parsed.envelope.size) {
        return None;
    }
    let raw = Raw { manifest_type: parsed.media_type, envelope: parsed.envelope, bytes: blob };
    let fetched = Arc::new(open(manifest, &raw.envelope, &raw.bytes).with_raw(raw));
    memory.keep_signature(digest.clone(), Arc::clone(&fetched));
    Some(fetched)
}
