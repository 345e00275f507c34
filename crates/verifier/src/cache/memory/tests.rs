// SPDX-License-Identifier: Apache-2.0
//! The bound on memory.

use std::time::Instant;

use jiff::Timestamp;
use proptest::prelude::*;
use sealwatch_fixtures::{jws::Jws, pki::Signer};
use sealwatch_notation::MEDIA_TYPE_JWS;
use sealwatch_registry::{Algorithm, Credentials};

use super::*;
use crate::{Candidate, Subject};

fn digest(number: usize) -> Digest {
    Digest::of_bytes(Algorithm::Sha256, &number.to_be_bytes())
}

fn key(number: usize) -> ListKey {
    let subject = Subject { repository: "registry.test/app".parse().unwrap(), digest: digest(number) };
    let credentials = Credentials::default().key(&subject.repository);
    (subject, credentials)
}

fn envelope() -> Arc<Envelope> {
    let bytes = Jws::new(&Signer::new()).sign();
    Arc::new(Envelope::parse(MEDIA_TYPE_JWS, &bytes).unwrap())
}

fn listing(states: Vec<CandidateState>) -> Arc<Evidence> {
    let descriptor = descriptor();
    let candidates = states.into_iter().map(|state| Candidate { digest: descriptor.digest.clone(), state }).collect();
    let (gathered_at, gathered) = (Timestamp::UNIX_EPOCH, Instant::now());
    Arc::new(Evidence { image: descriptor, candidates, omitted: 0, gathered_at, gathered })
}

fn descriptor() -> Descriptor {
    let annotations = BTreeMap::new();
    Descriptor { media_type: "a/b".to_owned(), digest: digest(0), size: 0, artifact_type: None, annotations }
}

fn fetched(manifest: usize, raw: Option<usize>, envelope: Result<Arc<Envelope>, usize>) -> Arc<Fetched> {
    let bytes = |size| Bytes::from(vec![7; size]);
    let envelope = Some(envelope.map_err(|length| "x".repeat(length).into()));
    let fetched = Fetched { manifest: bytes(manifest), envelope, raw: None };
    let raw = raw.map(|size| Raw { manifest_type: "a/b".to_owned(), envelope: descriptor(), bytes: bytes(size) });
    Arc::new(match raw {
        Some(raw) => fetched.with_raw(raw),
        None => fetched,
    })
}

#[test]
fn what_is_hostile_in_size_pushes_out_what_was_not_used_and_never_exceeds_the_bound() {
    let memory = Memory::new(8 * 1024 * 1024);
    for number in 0..200 {
        let size = [0, 1, 4_096, 1 << 20, 4 << 20, 32 << 20][number % 6];
        memory.keep_signature(digest(number), fetched(size, Some(size), Err(size)));
        assert!(memory.bytes() <= 8 * 1024 * 1024, "{}", memory.bytes());
        let broken = CandidateState::Broken("x".repeat(size).into());
        memory.keep_list(key(number), listing(vec![broken; 3]));
        assert!(memory.bytes() <= 8 * 1024 * 1024, "{}", memory.bytes());
    }
    assert!(memory.signature(&digest(198)).is_some(), "small, and used not long ago");
    assert!(memory.signature(&digest(197)).is_none(), "larger than the bound by itself");
    for number in 0..200 {
        memory.forget_list(&key(number));
        memory.lock().remove(&Name::Signature(digest(number)));
    }
    assert_eq!(memory.bytes(), 0, "and what is gone counts no more");
}

#[test]
fn bytes_of_hostile_envelopes_are_not_remembered_for_the_disk() {
    assert!(fetched(10, Some(SIGNATURE_FILE_MOST), Err(0)).raw.is_some());
    assert!(fetched(10, Some(SIGNATURE_FILE_MOST + 1), Err(0)).raw.is_none());
    assert!(fetched(SIGNATURE_FILE_MOST + 1, Some(10), Err(0)).raw.is_none());
}

#[test]
fn an_envelope_counts_once_however_many_hold_it_and_until_the_last_lets_go() {
    let memory = Memory::new(EVIDENCE_BYTES);
    let envelope = envelope();
    memory.keep_signature(digest(1), fetched(0, None, Ok(Arc::clone(&envelope))));
    let alone = memory.bytes();
    assert!(alone > footprint(&envelope));
    for number in 0..10 {
        memory.keep_list(key(number), listing(vec![CandidateState::Envelope(Arc::clone(&envelope))]));
    }
    assert!(memory.bytes() < alone + 10 * footprint(&envelope), "{}", memory.bytes());
    memory.lock().remove(&Name::Signature(digest(1)));
    assert!(memory.bytes() > footprint(&envelope));
    for number in 0..10 {
        memory.forget_list(&key(number));
    }
    assert_eq!(memory.bytes(), 0);
}

#[test]
fn what_is_used_stays_and_what_is_not_goes_whichever_kind_it_is() {
    let room = 16 * 1024;
    let memory = Memory::new(4 * room);
    let size = room - 2 * 1024;
    memory.keep_signature(digest(0), fetched(size, None, Err(0)));
    memory.keep_list(key(1), listing(vec![CandidateState::Broken("x".repeat(size).into())]));
    memory.keep_signature(digest(2), fetched(size, None, Err(0)));
    assert!(memory.signature(&digest(0)).is_some());
    memory.keep_signature(digest(3), fetched(size, None, Err(0)));
    memory.keep_signature(digest(4), fetched(size, None, Err(0)));
    assert!(memory.list(&key(1)).is_none(), "it was used before all others");
    assert!([0, 2, 3, 4].iter().all(|number| memory.signature(&digest(*number)).is_some()));
}

proptest! {
    #[test]
    fn the_account_is_what_is_there(steps in prop::collection::vec((0_usize..8, 0_usize..3, 0_usize..40_000), 0..60)) {
        static ENVELOPE: std::sync::OnceLock<Arc<Envelope>> = std::sync::OnceLock::new();
        let envelope = ENVELOPE.get_or_init(envelope);
        let memory = Memory::new(100_000);
        for (number, kind, size) in steps {
            match kind {
                0 => memory.keep_signature(digest(number), fetched(size, Some(size), Ok(Arc::clone(envelope)))),
                1 => memory.keep_list(key(number), listing(vec![CandidateState::Envelope(Arc::clone(envelope))])),
                _ => memory.forget_list(&key(number)),
            }
            let inner = memory.lock();
            let own: usize = inner.entries.iter().map(|(name, (value, _))| value.size(name)).sum();
            let is_held = inner.entries.values().any(|(value, _)| !value.envelopes().is_empty());
            prop_assert_eq!(inner.bytes, own + if is_held { footprint(envelope) } else { 0 });
            prop_assert!(inner.bytes <= 100_000);
            prop_assert_eq!(inner.entries.len(), inner.order.len());
        }
    }
}
