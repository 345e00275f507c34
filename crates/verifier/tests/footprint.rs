// SPDX-License-Identifier: Apache-2.0

//! Whether the bound on memory is one: the estimates that it is kept by against what is really allocated. Alone in this
//! program, because everything that allocates here counts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use peak_alloc::PeakAlloc;
use sealwatch_fixtures::jws::Jws;
use sealwatch_fixtures::pki::Signer;
use sealwatch_fixtures::revocation::{crl_at, leaf_with};
use sealwatch_fixtures::{NOW, TARGET_MEDIA_TYPE, TARGET_SIZE, target_digest};
use sealwatch_registry::digest::Algorithm;
use sealwatch_registry::error::{At, Operation};
use sealwatch_registry::{Credentials, Descriptor, Digest, Error, Registry, Repository, Target};
use sealwatch_verifier::{CandidateState, Subject, Verifier};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const SIGNATURE: &str = "application/vnd.cncf.notary.signature";
/// Signatures of one image: each is parsed by itself, although their envelopes are the same.
const SIGNATURES: usize = 100;

#[derive(Clone)]
struct Shelf(Arc<(Vec<Bytes>, Bytes)>);

impl Shelf {
    fn of(envelope: Vec<u8>) -> Self {
        let envelope = Bytes::from(envelope);
        let manifest = |number| {
            let manifest = serde_json::json!({
                "schemaVersion": 2, "mediaType": TARGET_MEDIA_TYPE, "artifactType": SIGNATURE,
                "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(b"{}"), "size": 2},
                "layers": [{"mediaType": "application/jose+json", "digest": digest(&envelope), "size": envelope.len()}],
                "subject": {"mediaType": TARGET_MEDIA_TYPE, "digest": target_digest(), "size": TARGET_SIZE},
                "annotations": {"number": format!("{number}")},
            });
            Bytes::from(manifest.to_string())
        };
        Self(Arc::new(((0..SIGNATURES).map(manifest).collect(), envelope)))
    }
}

impl Registry for Shelf {
    async fn resolve(&self, _: &Repository, _: &Target, _: &Credentials) -> Result<Descriptor, Error> {
        Ok(descriptor(target_digest().parse().unwrap(), TARGET_SIZE))
    }

    async fn referrers(&self, _: &Repository, _: &Digest, _: &str, _: &Credentials) -> Result<Vec<Descriptor>, Error> {
        Ok(self.0.0.iter().map(|bytes| descriptor(digest(bytes), bytes.len() as u64)).collect())
    }

    async fn manifest(&self, _: &Repository, wanted: &Descriptor, _: &Credentials) -> Result<Bytes, Error> {
        let at = At { registry: "registry.test".to_owned(), operation: Operation::Manifest };
        let found = self.0.0.iter().find(|bytes| wanted.digest.matches(bytes));
        // A copy, as from a network.
        found.map(|bytes| Bytes::copy_from_slice(bytes)).ok_or(Error::NotFound { at, what: String::new() })
    }

    async fn blob(&self, _: &Repository, _: &Descriptor, _: &Credentials) -> Result<Bytes, Error> {
        Ok(Bytes::copy_from_slice(&self.0.1))
    }
}

fn digest(bytes: &[u8]) -> Digest {
    Digest::of_bytes(Algorithm::Sha256, bytes)
}

fn descriptor(digest: Digest, size: u64) -> Descriptor {
    let (media_type, annotations) = (TARGET_MEDIA_TYPE.to_owned(), BTreeMap::new());
    Descriptor { media_type, digest, size, artifact_type: Some(SIGNATURE.to_owned()), annotations }
}

/// What is allocated for an image with these signatures, what it is estimated to be, and how many are kept.
fn measure(envelope: Vec<u8>) -> (usize, usize, usize) {
    let shelf = Shelf::of(envelope);
    let subject =
        Subject { repository: "registry.test/app".parse().unwrap(), digest: target_digest().parse().unwrap() };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let before = ALLOCATOR.current_usage();
    let verifier = Verifier::new(shelf);
    let nobody = Credentials::default();
    let gathered = verifier.gather(&subject, &nobody, Duration::ZERO, NOW.parse().unwrap());
    let evidence = runtime.block_on(gathered).unwrap();
    let whole = evidence.candidates.iter().filter(|one| matches!(one.state, CandidateState::Envelope(_))).count();
    drop(evidence);
    (ALLOCATOR.current_usage().saturating_sub(before), verifier.remembered_bytes(), whole)
}

#[test]
fn what_is_remembered_takes_no_more_memory_than_is_counted_whatever_is_in_the_certificates() {
    let urls: Vec<String> = (0..2_000).map(|number| format!("http://a/{number}")).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let hostile = leaf_with(&[crl_at(&[&urls])]);
    let (usual, hostile) = (Jws::new(&Signer::new()).sign(), Jws::new(&Signer::with_leaf(&hostile)).sign());
    assert!(hostile.len() > 20_000, "{}", hostile.len());
    for (what, envelope) in [("usual", usual), ("hostile", hostile)] {
        let size = envelope.len();
        let (allocated, counted, whole) = measure(envelope);
        assert!(allocated <= counted, "{what}: {whole} of {size} bytes: {allocated} are allocated, {counted} counted");
        assert!(counted < 8 * allocated, "{what}: {counted} are counted, and only {allocated} allocated");
        // Of the largest, an image's share of memory holds fewer than there are.
        assert!(whole > 10, "{whole}");
    }
}
