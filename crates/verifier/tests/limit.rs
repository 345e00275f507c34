// SPDX-License-Identifier: Apache-2.0

//! More signatures than are looked at: whoever may push can make them, and must not turn a good image red by it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use sealwatch_fixtures::{NOW, TARGET_MEDIA_TYPE, TARGET_SIZE, jws::Jws, pki::Signer, target_digest};
use sealwatch_notation::{TrustPolicyDocument, TrustStore, TrustStores, parse_certificates};
use sealwatch_registry::digest::Algorithm;
use sealwatch_registry::error::{At, Operation};
use sealwatch_registry::{Credentials, Descriptor, Digest, Error, Registry, Repository, Target};
use sealwatch_verifier::{Answers, Reason, Subject, Verdict, Verification, Verifier, judge};

const SIGNATURE: &str = "application/vnd.cncf.notary.signature";

/// A registry that lists these manifests, in this order, and has these blobs.
#[derive(Clone, Default)]
struct Shelf {
    manifests: Arc<Mutex<Vec<Bytes>>>,
    blobs: Arc<Mutex<Vec<Bytes>>>,
}

impl Registry for Shelf {
    async fn resolve(&self, _: &Repository, _: &Target, _: &Credentials) -> Result<Descriptor, Error> {
        Ok(descriptor(TARGET_MEDIA_TYPE, target_digest().parse().unwrap(), TARGET_SIZE))
    }

    async fn referrers(&self, _: &Repository, _: &Digest, _: &str, _: &Credentials) -> Result<Vec<Descriptor>, Error> {
        let manifests = self.manifests.lock().unwrap();
        Ok(manifests.iter().map(|bytes| descriptor(TARGET_MEDIA_TYPE, digest(bytes), bytes.len() as u64)).collect())
    }

    async fn manifest(&self, _: &Repository, wanted: &Descriptor, _: &Credentials) -> Result<Bytes, Error> {
        find(&self.manifests, wanted)
    }

    async fn blob(&self, _: &Repository, wanted: &Descriptor, _: &Credentials) -> Result<Bytes, Error> {
        find(&self.blobs, wanted)
    }
}

fn find(shelf: &Mutex<Vec<Bytes>>, wanted: &Descriptor) -> Result<Bytes, Error> {
    let at = At { registry: "registry.test".to_owned(), operation: Operation::Blob };
    let shelf = shelf.lock().unwrap();
    let found = shelf.iter().find(|bytes| wanted.digest.matches(bytes)).cloned();
    found.ok_or_else(|| Error::NotFound { at, what: wanted.digest.to_string() })
}

fn digest(bytes: &[u8]) -> Digest {
    Digest::of_bytes(Algorithm::Sha256, bytes)
}

fn descriptor(media_type: &str, digest: Digest, size: u64) -> Descriptor {
    let (media_type, annotations) = (media_type.to_owned(), BTreeMap::new());
    Descriptor { media_type, digest, size, artifact_type: Some(SIGNATURE.to_owned()), annotations }
}

/// A signature manifest for the image with this envelope.
fn signature(envelope: &[u8]) -> Bytes {
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": TARGET_MEDIA_TYPE, "artifactType": SIGNATURE,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(b"{}"), "size": 2},
        "layers": [{"mediaType": "application/jose+json", "digest": digest(envelope), "size": envelope.len()}],
        "subject": {"mediaType": TARGET_MEDIA_TYPE, "digest": target_digest(), "size": TARGET_SIZE},
    });
    manifest.to_string().into()
}

/// A good signature, the policy by which it is good, and any number of others that are none.
struct Scene {
    shelf: Shelf,
    good: Bytes,
    junk: Vec<Bytes>,
    document: TrustPolicyDocument,
    stores: TrustStores,
}

impl Scene {
    fn new(junk: usize) -> Self {
        let signer = Signer::new();
        let envelope = Jws::new(&signer).sign();
        let junk: Vec<Vec<u8>> = (0..junk).map(|n| format!("no envelope {n}").into_bytes()).collect();
        let shelf = Shelf::default();
        shelf.blobs.lock().unwrap().extend(junk.iter().cloned().map(Bytes::from));
        shelf.blobs.lock().unwrap().push(envelope.clone().into());
        let json = br#"{"version":"1.0","trustPolicies":[{"name":"test","registryScopes":["*"],
            "signatureVerification":{"level":"strict","override":{"revocation":"skip"}},
            "trustStores":["ca:test"],"trustedIdentities":["*"]}]}"#;
        let mut stores = TrustStores::new();
        let roots = parse_certificates(signer.root()).unwrap();
        stores.insert(TrustStore::new("ca:test".parse().unwrap(), roots).unwrap());
        Self {
            shelf,
            good: signature(&envelope),
            junk: junk.iter().map(|bytes| signature(bytes)).collect(),
            document: TrustPolicyDocument::from_json(json).unwrap(),
            stores,
        }
    }

    fn list(&self, manifests: impl IntoIterator<Item = Bytes>) {
        *self.shelf.manifests.lock().unwrap() = manifests.into_iter().collect();
    }

    async fn look(&self, verifier: &Verifier<Shelf>) -> Verification {
        let repository: Repository = "registry.test/app".parse().unwrap();
        let subject = Subject { repository: repository.clone(), digest: target_digest().parse().unwrap() };
        let now = NOW.parse().unwrap();
        let evidence = verifier.gather(&subject, &Credentials::default(), Duration::ZERO, now).await.unwrap();
        judge(&repository, &evidence, &self.document, &self.stores, &Answers::default(), now)
    }
}

/// DS-9, DS-12.
#[tokio::test]
async fn a_hundred_other_signatures_do_not_displace_one_that_was_good_before() {
    let scene = Scene::new(102);
    let verifier = Verifier::new(scene.shelf.clone());
    scene.list([scene.good.clone()]);
    let before = scene.look(&verifier).await;
    assert_eq!(before.verdict, Verdict::Verified, "{before:?}");
    scene.list(scene.junk.iter().cloned().chain([scene.good.clone()]));
    let after = scene.look(&verifier).await;
    assert_eq!(after.verdict, Verdict::Verified, "{after:?}");
}

/// DS-9.
#[tokio::test]
async fn more_signatures_than_are_looked_at_with_no_good_one_among_them_are_said_to_be_too_many() {
    let scene = Scene::new(102);
    scene.list(scene.junk.iter().cloned().chain([scene.good.clone()]));
    let verification = scene.look(&Verifier::new(scene.shelf.clone())).await;
    assert_eq!((verification.verdict, verification.reason), (Verdict::Failed, Reason::SignatureLimitExceeded));
    assert!(verification.message.contains("103 signatures"), "{}", verification.message);
    // Within the limit, the good one is found wherever it stands.
    scene.list(scene.junk.iter().take(99).cloned().chain([scene.good.clone()]));
    let verification = scene.look(&Verifier::new(scene.shelf.clone())).await;
    assert_eq!(verification.verdict, Verdict::Verified, "{verification:?}");
}
