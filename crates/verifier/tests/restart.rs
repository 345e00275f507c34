// SPDX-License-Identifier: Apache-2.0

//! What outlives a process: as much as its registry said, as old as it was, and for whom it was said.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use sealwatch_fixtures::{NOW, TARGET_MEDIA_TYPE, TARGET_SIZE, jws::Jws, pki::Signer, target_digest};
use sealwatch_registry::digest::Algorithm;
use sealwatch_registry::error::{At, Operation};
use sealwatch_registry::{Credentials, Descriptor, Digest, Error, Registry, Repository, Target};
use sealwatch_verifier::cache::Event;
use sealwatch_verifier::notation::{TrustPolicyDocument, TrustStore, TrustStores, parse_certificates};
use sealwatch_verifier::{
    Answers, CandidateState, Evidence, EvidenceCache, GatherError, Reason, Subject, Verdict, Verification, Verifier,
    judge,
};
use tempfile::TempDir;

const SIGNATURE: &str = "application/vnd.cncf.notary.signature";
const ROOM: u64 = 64 * 1024 * 1024;

/// What a registry is up to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    Away,
    WithoutImage,
    WithoutSignatures,
}

/// A registry with one image and its signatures.
#[derive(Clone)]
struct Shelf {
    mood: Arc<Mutex<Mood>>,
    manifests: Arc<Mutex<Vec<Bytes>>>,
    blobs: Arc<Mutex<Vec<Bytes>>>,
    asked: Arc<Mutex<Vec<&'static str>>>,
}

fn at() -> At {
    At { registry: "registry.test".to_owned(), operation: Operation::Blob }
}

impl Shelf {
    fn ask(&self, what: &'static str) -> Result<Mood, Error> {
        self.asked.lock().unwrap().push(what);
        match *self.mood.lock().unwrap() {
            Mood::Away => Err(Error::Unavailable { at: at(), detail: "no route".into(), retry_after: None }),
            Mood::WithoutImage => Err(Error::NotFound { at: at(), what: "image".into() }),
            mood => Ok(mood),
        }
    }

    fn find(&self, what: &'static str, contents: &Mutex<Vec<Bytes>>, wanted: &Descriptor) -> Result<Bytes, Error> {
        self.ask(what)?;
        let found = contents.lock().unwrap().iter().find(|bytes| wanted.digest.matches(bytes)).cloned();
        found.ok_or_else(|| Error::NotFound { at: at(), what: wanted.digest.to_string() })
    }

    fn asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }
}

impl Registry for Shelf {
    async fn resolve(&self, _: &Repository, _: &Target, _: &Credentials) -> Result<Descriptor, Error> {
        self.ask("resolve")?;
        Ok(descriptor(TARGET_MEDIA_TYPE, target_digest().parse().unwrap(), TARGET_SIZE))
    }

    async fn referrers(&self, _: &Repository, _: &Digest, _: &str, _: &Credentials) -> Result<Vec<Descriptor>, Error> {
        if self.ask("referrers")? == Mood::WithoutSignatures {
            return Ok(Vec::new());
        }
        let manifests = self.manifests.lock().unwrap();
        Ok(manifests.iter().map(|bytes| descriptor(TARGET_MEDIA_TYPE, digest(bytes), bytes.len() as u64)).collect())
    }

    async fn manifest(&self, _: &Repository, wanted: &Descriptor, _: &Credentials) -> Result<Bytes, Error> {
        self.find("manifest", &self.manifests, wanted)
    }

    async fn blob(&self, _: &Repository, wanted: &Descriptor, _: &Credentials) -> Result<Bytes, Error> {
        self.find("blob", &self.blobs, wanted)
    }
}

fn digest(bytes: &[u8]) -> Digest {
    Digest::of_bytes(Algorithm::Sha256, bytes)
}

fn descriptor(media_type: &str, digest: Digest, size: u64) -> Descriptor {
    let (media_type, annotations) = (media_type.to_owned(), BTreeMap::new());
    Descriptor { media_type, digest, size, artifact_type: Some(SIGNATURE.to_owned()), annotations }
}

fn manifest(envelope: &[u8]) -> Bytes {
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": TARGET_MEDIA_TYPE, "artifactType": SIGNATURE,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(b"{}"), "size": 2},
        "layers": [{"mediaType": "application/jose+json", "digest": digest(envelope), "size": envelope.len()}],
        "subject": {"mediaType": TARGET_MEDIA_TYPE, "digest": target_digest(), "size": TARGET_SIZE},
    });
    manifest.to_string().into()
}

/// A signed image, the policy by which it is good, and a folder.
struct Scene {
    shelf: Shelf,
    envelope: Bytes,
    document: TrustPolicyDocument,
    stores: TrustStores,
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let signer = Signer::new();
        let envelope = Bytes::from(Jws::new(&signer).sign());
        let json = br#"{"version":"1.0","trustPolicies":[{"name":"test","registryScopes":["*"],
            "signatureVerification":{"level":"strict","override":{"revocation":"skip"}},
            "trustStores":["ca:test"],"trustedIdentities":["*"]}]}"#;
        let mut stores = TrustStores::new();
        let roots = parse_certificates(signer.root()).unwrap();
        stores.insert(TrustStore::new("ca:test".parse().unwrap(), roots).unwrap());
        let shelf = Shelf {
            mood: Arc::new(Mutex::new(Mood::Well)),
            manifests: Arc::new(Mutex::new(vec![manifest(&envelope)])),
            blobs: Arc::new(Mutex::new(vec![envelope.clone()])),
            asked: Arc::default(),
        };
        let folder = tempfile::tempdir().unwrap();
        Self { shelf, envelope, document: TrustPolicyDocument::from_json(json).unwrap(), stores, folder }
    }

    fn process(&self) -> Process<'_> {
        let cache = EvidenceCache::open(self.folder.path(), ROOM);
        let verifier = Verifier::new(self.shelf.clone()).with_cache(cache.clone());
        Process { scene: self, verifier, cache }
    }

    /// A process that has looked at the image, and ended.
    async fn earlier(&self, credentials: &Credentials) {
        let process = self.process();
        process.gather(credentials, now()).await.unwrap();
        process.cache.close().await;
        self.shelf.asked();
    }

    fn judge(&self, evidence: &Evidence) -> Verification {
        judge(&subject().repository, evidence, &self.document, &self.stores, &Answers::default(), now())
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join("v1").join(below)
    }

    fn blob(&self, bytes: &[u8]) -> PathBuf {
        self.path("layout/blobs/sha256").join(digest(bytes).hex())
    }

    fn list(&self) -> PathBuf {
        fs::read_dir(self.path("lists")).unwrap().next().unwrap().unwrap().path()
    }
}

struct Process<'a> {
    scene: &'a Scene,
    verifier: Verifier<Shelf>,
    cache: EvidenceCache,
}

impl Process<'_> {
    async fn gather(&self, credentials: &Credentials, now: Timestamp) -> Result<Arc<Evidence>, GatherError> {
        self.verifier.gather(&subject(), credentials, Duration::ZERO, now).await
    }

    async fn restore(&self, credentials: &Credentials) -> Option<Arc<Evidence>> {
        self.verifier.restore(&subject(), credentials, later()).await
    }

    /// What is restored, judged by a process that has read nothing yet.
    async fn judge_afresh(&self) -> Option<Verification> {
        let verifier = Verifier::new(self.scene.shelf.clone()).with_cache(self.cache.clone());
        let evidence = verifier.restore(&subject(), &anonymous(), later()).await?;
        Some(self.scene.judge(&evidence))
    }
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn later() -> Timestamp {
    now() + Duration::from_hours(1)
}

fn subject() -> Subject {
    Subject { repository: "registry.test/app".parse().unwrap(), digest: target_digest().parse().unwrap() }
}

fn anonymous() -> Credentials {
    Credentials::default()
}

fn tenant(password: &str) -> Credentials {
    let config = format!(r#"{{"auths":{{"registry.test":{{"username":"planted-user","password":"{password}"}}}}}}"#);
    Credentials::from_docker_config_json(config.as_bytes()).unwrap()
}

#[tokio::test]
async fn without_a_network_a_new_process_judges_what_the_earlier_one_learnt_and_as_old_as_it_is() {
    let scene = Scene::new();
    scene.earlier(&anonymous()).await;
    scene.shelf.is(Mood::Away);
    let process = scene.process();
    let evidence = process.restore(&anonymous()).await.expect("evidence");
    assert!(scene.shelf.asked().is_empty(), "restoring asks no registry");
    assert_eq!(evidence.gathered_at, now());
    let verification = scene.judge(&evidence);
    assert_eq!(verification.verdict, Verdict::Verified, "{verification:?}");
    let error = process.gather(&anonymous(), later()).await.unwrap_err();
    assert_eq!(error.reason, Reason::RegistryUnavailable);
    assert!(process.restore(&anonymous()).await.is_some(), "and still does after asking in vain");
}

#[tokio::test]
async fn without_a_cache_a_new_process_knows_nothing() {
    let scene = Scene::new();
    scene.earlier(&anonymous()).await;
    scene.shelf.is(Mood::Away);
    let verifier = Verifier::new(scene.shelf.clone());
    assert!(verifier.restore(&subject(), &anonymous(), later()).await.is_none());
}

#[tokio::test]
async fn that_nothing_was_signed_is_restored_as_that() {
    let scene = Scene::new();
    scene.shelf.is(Mood::WithoutSignatures);
    scene.earlier(&anonymous()).await;
    scene.shelf.is(Mood::Away);
    let verification = scene.process().judge_afresh().await.unwrap();
    assert_eq!((verification.verdict, verification.reason), (Verdict::Failed, Reason::NoSignature));
}

#[tokio::test]
async fn a_registry_that_can_be_asked_is_asked_for_all_but_contents_and_its_word_counts() {
    let scene = Scene::new();
    scene.earlier(&anonymous()).await;
    let process = scene.process();
    assert!(process.restore(&anonymous()).await.is_some());
    let evidence = process.gather(&anonymous(), later()).await.unwrap();
    assert_eq!(scene.shelf.asked(), ["resolve", "referrers"], "that the image exists is asked anew");
    assert_eq!((evidence.gathered_at, scene.judge(&evidence).verdict), (later(), Verdict::Verified));
    // Signatures that are gone there are gone, here and in the next process.
    scene.shelf.is(Mood::WithoutSignatures);
    let evidence = process.gather(&anonymous(), later()).await.unwrap();
    assert_eq!(scene.judge(&evidence).reason, Reason::NoSignature);
    process.cache.close().await;
    scene.shelf.is(Mood::Away);
    assert_eq!(scene.process().judge_afresh().await.unwrap().reason, Reason::NoSignature);
}

#[tokio::test]
async fn a_young_list_of_an_earlier_process_saves_no_question() {
    let scene = Scene::new();
    scene.earlier(&anonymous()).await;
    let process = scene.process();
    process.restore(&anonymous()).await.unwrap();
    process.verifier.gather(&subject(), &anonymous(), Duration::MAX, now()).await.unwrap();
    assert_eq!(scene.shelf.asked(), ["resolve", "referrers"]);
}

#[tokio::test]
async fn an_image_that_the_registry_does_not_have_any_more_is_forgotten_on_disk() {
    let scene = Scene::new();
    scene.earlier(&anonymous()).await;
    let process = scene.process();
    scene.shelf.is(Mood::WithoutImage);
    let error = process.gather(&anonymous(), later()).await.unwrap_err();
    assert_eq!(error.reason, Reason::ImageNotFound);
    process.cache.close().await;
    assert!(scene.process().restore(&anonymous()).await.is_none());
}

#[tokio::test]
async fn a_list_belongs_to_the_credentials_and_they_are_not_on_the_disk() {
    let scene = Scene::new();
    let owner = tenant("planted-secret");
    scene.earlier(&owner).await;
    let process = scene.process();
    assert!(process.restore(&owner).await.is_some());
    for other in [anonymous(), tenant("guessed"), owner.clone().without_operator_credentials()] {
        assert!(process.restore(&other).await.is_none());
    }
    process.cache.close().await;
    let fingerprint = owner.key(&subject().repository);
    let hex = format!("{:02x?}", fingerprint.expose()).replace(['[', ']', ',', ' '], "");
    assert_eq!(hex.len(), 64);
    let planted: [&[u8]; 5] =
        [b"planted-secret", b"planted-user", b"registry.test/app", hex.as_bytes(), fingerprint.expose()];
    let mut files = 0;
    look_through(scene.folder.path(), &mut |path, bytes| {
        files += 1;
        for secret in planted {
            let name = path.to_str().unwrap().as_bytes();
            let is_in = |text: &[u8]| text.windows(secret.len()).any(|part| part == secret);
            assert!(!is_in(bytes) && !is_in(name), "{}", path.display());
        }
    });
    assert!(files > 5, "{files}");
}

fn look_through(folder: &Path, look: &mut dyn FnMut(&Path, &[u8])) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            look_through(&path, look);
        } else {
            look(&path, &fs::read(&path).unwrap());
        }
    }
}

#[tokio::test]
async fn what_a_tenant_has_not_been_shown_a_signature_on_disk_does_not_show() {
    let scene = Scene::new();
    scene.earlier(&tenant("planted-secret")).await;
    // Another tenant's list is empty; that the signature is known here changes nothing about it.
    scene.shelf.is(Mood::WithoutSignatures);
    let process = scene.process();
    let evidence = process.gather(&anonymous(), later()).await.unwrap();
    assert_eq!(scene.judge(&evidence).reason, Reason::NoSignature);
}

#[tokio::test]
async fn a_signature_cut_or_changed_anywhere_on_disk_makes_the_image_unknown_and_nothing_else() {
    let scene = Scene::new();
    scene.earlier(&anonymous()).await;
    scene.shelf.is(Mood::Away);
    let process = scene.process();
    assert_eq!(process.judge_afresh().await.unwrap().verdict, Verdict::Verified);
    for whole in [scene.envelope.clone(), manifest(&scene.envelope)] {
        let path = scene.blob(&whole);
        for place in 0..whole.len() {
            let mut flipped = whole.to_vec();
            flipped[place] ^= 1 << (place % 8);
            for damaged in [&flipped[..], &whole[..place]] {
                fs::write(&path, damaged).unwrap();
                let verification = process.judge_afresh().await.unwrap();
                let found = (verification.verdict, verification.reason);
                assert_eq!(found, (Verdict::Unknown, Reason::RegistryUnavailable), "{place}: {verification:?}");
                assert!(verification.message.contains("not in the evidence cache"), "{}", verification.message);
            }
        }
        // The damaged pair was removed; it is put back for the next round.
        process.cache.flush().await;
        fs::write(scene.blob(&scene.envelope), &scene.envelope).unwrap();
        let manifest = manifest(&scene.envelope);
        fs::write(scene.blob(&manifest), &manifest).unwrap();
        assert_eq!(process.judge_afresh().await.unwrap().verdict, Verdict::Verified);
    }
    let events = process.cache.state().events;
    assert!(events[&Event::Damaged] > 1_000, "{events:?}");
}

#[tokio::test]
async fn a_list_cut_or_changed_anywhere_on_disk_is_no_evidence() {
    let scene = Scene::new();
    scene.earlier(&anonymous()).await;
    scene.shelf.is(Mood::Away);
    let process = scene.process();
    process.cache.flush().await;
    let path = scene.list();
    let whole = fs::read(&path).unwrap();
    for place in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[place] ^= 1 << (place % 8);
        for damaged in [&flipped[..], &whole[..place]] {
            fs::write(&path, damaged).unwrap();
            assert!(process.judge_afresh().await.is_none(), "{place}");
            process.cache.flush().await;
        }
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(process.judge_afresh().await.unwrap().verdict, Verdict::Verified);
}

#[tokio::test]
async fn evidence_of_a_time_to_come_is_not_believed_until_it_has_come() {
    let scene = Scene::new();
    scene.earlier(&anonymous()).await;
    scene.shelf.is(Mood::Away);
    let process = scene.process();
    let before = now() - Duration::from_secs(1);
    assert!(process.verifier.restore(&subject(), &anonymous(), before).await.is_none());
    assert!(process.verifier.restore(&subject(), &anonymous(), now()).await.is_some());
}

#[tokio::test]
async fn a_signature_that_made_room_is_unknown_and_is_fetched_and_kept_again() {
    let scene = Scene::new();
    scene.earlier(&anonymous()).await;
    fs::remove_file(scene.blob(&scene.envelope)).unwrap();
    scene.shelf.is(Mood::Away);
    let process = scene.process();
    let verification = process.judge_afresh().await.unwrap();
    assert_eq!((verification.verdict, verification.reason), (Verdict::Unknown, Reason::RegistryUnavailable));
    scene.shelf.is(Mood::Well);
    scene.shelf.asked();
    process.gather(&anonymous(), later()).await.unwrap();
    assert_eq!(scene.shelf.asked(), ["resolve", "referrers", "manifest", "blob"]);
    process.cache.close().await;
    scene.shelf.is(Mood::Away);
    assert_eq!(scene.process().judge_afresh().await.unwrap().verdict, Verdict::Verified);
}

#[tokio::test]
async fn broken_and_unfetched_signatures_are_restored_as_what_they_were() {
    let scene = Scene::new();
    let junk = Bytes::from_static(b"no envelope");
    scene.shelf.manifests.lock().unwrap().extend([manifest(&junk), manifest(b"lost")]);
    scene.shelf.blobs.lock().unwrap().push(junk);
    let process = scene.process();
    let before = process.gather(&anonymous(), now()).await.unwrap();
    process.cache.close().await;
    scene.shelf.is(Mood::Away);
    let after = scene.process().restore(&anonymous()).await.unwrap();
    assert_eq!(before.candidates.len(), 3);
    assert_eq!((&before.image.digest, before.omitted), (&after.image.digest, after.omitted));
    for (before, after) in before.candidates.iter().zip(&after.candidates) {
        assert_eq!(before.digest, after.digest);
        match (&before.state, &after.state) {
            (CandidateState::Envelope(before), CandidateState::Envelope(after)) => assert_eq!(before, after),
            (CandidateState::Broken(before), CandidateState::Broken(after)) => assert_eq!(before, after),
            (before, after) => panic!("{before:?} became {after:?}"),
        }
    }
    assert_eq!(scene.judge(&after).verdict, Verdict::Verified);
}

#[tokio::test]
async fn a_steady_pass_with_a_cache_is_one_request_as_without() {
    let scene = Scene::new();
    let process = scene.process();
    process.gather(&anonymous(), now()).await.unwrap();
    assert_eq!(scene.shelf.asked(), ["resolve", "referrers", "manifest", "blob"]);
    process.gather(&anonymous(), later()).await.unwrap();
    assert_eq!(scene.shelf.asked(), ["referrers"]);
}
