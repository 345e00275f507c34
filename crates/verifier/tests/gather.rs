// SPDX-License-Identifier: Apache-2.0

//! What gathering asks of a registry, and what it makes of the answers. The registry here is a script: real ones
//! decide in the end-to-end tests.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use sealwatch_registry::digest::Algorithm;
use sealwatch_registry::error::{At, Operation};
use sealwatch_registry::{Credentials, Descriptor, Digest, Error, Registry, Repository, Target};
use sealwatch_verifier::notation::{TrustPolicyDocument, TrustStores};
use sealwatch_verifier::{CandidateState, Reason, Subject, Verdict, Verification, Verifier, judge};

const SIGNATURE: &str = "application/vnd.cncf.notary.signature";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What the script answers, and what it was asked.
#[derive(Clone, Default)]
struct Script {
    asked: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<Answers>>,
    dead_host: Option<String>,
    slow: Arc<AtomicBool>,
}

#[derive(Clone, Default)]
struct Answers {
    head: Option<Error>,
    referrers: Option<Error>,
    manifest: Option<Error>,
    signatures: Vec<Bytes>,
}

impl Script {
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn answer(&self, change: impl FnOnce(&mut Answers)) {
        change(&mut self.answers.lock().unwrap());
    }

    async fn note(&self, what: &str, repository: &Repository) -> Answers {
        self.asked.lock().unwrap().push(what.to_owned());
        if self.dead_host.as_deref() == Some(repository.registry()) {
            pending::<()>().await;
        }
        if self.slow.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.answers.lock().unwrap().clone()
    }
}

impl Registry for Script {
    async fn resolve(&self, repository: &Repository, target: &Target, _: &Credentials) -> Result<Descriptor, Error> {
        let answers = self.note("resolve", repository).await;
        match (answers.head, target) {
            (Some(error), _) => Err(error),
            (None, Target::Digest(digest)) => Ok(descriptor(digest.clone(), 7)),
            (None, Target::Tag(_)) => Ok(descriptor(digest("image"), 7)),
        }
    }

    async fn referrers(
        &self,
        repository: &Repository,
        _: &Digest,
        _: &str,
        _: &Credentials,
    ) -> Result<Vec<Descriptor>, Error> {
        let answers = self.note("referrers", repository).await;
        let listed = answers
            .signatures
            .iter()
            .map(|bytes| descriptor(Digest::of_bytes(Algorithm::Sha256, bytes), u64::try_from(bytes.len()).unwrap()));
        answers.referrers.map_or_else(|| Ok(listed.collect()), Err)
    }

    async fn manifest(&self, repository: &Repository, wanted: &Descriptor, _: &Credentials) -> Result<Bytes, Error> {
        let answers = self.note("manifest", repository).await;
        let found = answers.signatures.into_iter().find(|bytes| wanted.digest.matches(bytes));
        answers.manifest.map_or_else(|| found.ok_or(not_found()), Err)
    }

    async fn blob(&self, repository: &Repository, _: &Descriptor, _: &Credentials) -> Result<Bytes, Error> {
        self.note("blob", repository).await;
        Ok(Bytes::from_static(b"no envelope"))
    }
}

fn digest(text: &str) -> Digest {
    Digest::of_bytes(Algorithm::Sha256, text.as_bytes())
}

fn descriptor(digest: Digest, size: u64) -> Descriptor {
    let (media_type, annotations) = (MANIFEST.to_owned(), BTreeMap::new());
    Descriptor { media_type, digest, size, artifact_type: Some(SIGNATURE.to_owned()), annotations }
}

fn at() -> At {
    At { registry: "registry.example".into(), operation: Operation::Resolve }
}

fn not_found() -> Error {
    Error::NotFound { at: at(), what: "manifest".into() }
}

fn unavailable() -> Error {
    Error::Unavailable { at: at(), detail: "500".into(), retry_after: Some(Duration::from_secs(9)) }
}

/// A signature manifest of the image, with an envelope that is none.
fn signature(number: u32) -> Bytes {
    let envelope = digest("no envelope");
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","artifactType":"{SIGNATURE}","config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{config}","size":2}},"layers":[{{"mediaType":"application/cose","digest":"{envelope}","size":11}}],"subject":{{"mediaType":"{MANIFEST}","digest":"{subject}","size":7}},"annotations":{{"number":"{number}"}}}}"#,
        config = digest("{}"),
        subject = digest("image"),
    );
    Bytes::from(manifest)
}

fn subject() -> Subject {
    Subject { repository: "registry.example/app".parse().unwrap(), digest: digest("image") }
}

fn anonymous() -> Credentials {
    Credentials::default()
}

fn somebody() -> Credentials {
    let config = br#"{"auths":{"registry.example":{"username":"tenant","password":"secret"}}}"#;
    Credentials::from_docker_config_json(config).unwrap()
}

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

const ALWAYS: Duration = Duration::ZERO;

#[tokio::test]
async fn the_first_look_asks_for_the_image_first_and_a_steady_pass_for_the_list_alone() {
    let script = Script::default();
    script.answer(|answers| answers.signatures = vec![signature(1)]);
    let verifier = Verifier::new(script.clone());
    verifier.gather(&subject(), &anonymous(), ALWAYS, now()).await.unwrap();
    assert_eq!(script.asked(), ["resolve", "referrers", "manifest", "blob"]);
    verifier.gather(&subject(), &anonymous(), ALWAYS, now()).await.unwrap();
    assert_eq!(script.asked(), ["referrers"]);
    script.answer(|answers| answers.signatures.push(signature(2)));
    verifier.gather(&subject(), &anonymous(), ALWAYS, now()).await.unwrap();
    assert_eq!(script.asked(), ["referrers", "manifest", "blob"]);
}

#[tokio::test]
async fn what_is_fresh_enough_is_not_asked_again() {
    let script = Script::default();
    let verifier = Verifier::new(script.clone());
    verifier.gather(&subject(), &anonymous(), ALWAYS, now()).await.unwrap();
    script.asked();
    verifier.gather(&subject(), &anonymous(), Duration::from_mins(1), now()).await.unwrap();
    assert_eq!(script.asked(), [""; 0]);
}

/// LV-5, LV-7.
#[tokio::test]
async fn an_error_of_the_registry_is_never_an_absence_of_signatures() {
    let forbidden = || Error::Forbidden { at: at(), detail: "403".into() };
    let unauthorized = || Error::Unauthorized { at: at(), detail: "401".into() };
    let throttled = || Error::Throttled { at: at(), retry_after: Some(Duration::from_secs(77)) };
    let mismatch = || Error::DigestMismatch { at: at(), expected: digest("image"), actual: digest("another") };
    for (error, reason) in [
        (forbidden(), Reason::RegistryUnauthorized),
        (unauthorized(), Reason::RegistryUnauthorized),
        (throttled(), Reason::RegistryThrottled),
        (unavailable(), Reason::RegistryUnavailable),
        (mismatch(), Reason::DigestMismatch),
        (not_found(), Reason::ImageNotFound),
    ] {
        for place in ["head", "referrers"] {
            let script = Script::default();
            script.answer(|answers| match place {
                "head" => answers.head = Some(error.clone()),
                _ => answers.referrers = Some(error.clone()),
            });
            let gathered = Verifier::new(script).gather(&subject(), &anonymous(), ALWAYS, now()).await;
            let failure = gathered.expect_err(place);
            assert_eq!(failure.reason, reason, "{place}");
            let verification = Verification::without_evidence(&failure, None);
            assert_eq!(verification.verdict, Verdict::Unknown, "{place} {reason}");
        }
    }
}

#[tokio::test]
async fn the_patience_that_a_registry_asks_for_is_passed_on() {
    let script = Script::default();
    script.answer(|answers| answers.head = Some(unavailable()));
    let gathered = Verifier::new(script).gather(&subject(), &anonymous(), ALWAYS, now()).await;
    assert_eq!(gathered.unwrap_err().retry_after, Some(Duration::from_secs(9)));
}

/// DS-9.
#[tokio::test]
async fn too_many_signatures_are_a_finding_and_no_outage() {
    let script = Script::default();
    let many = Error::LimitExceeded { at: at(), what: "signatures", limit: 100 };
    script.answer(|answers| answers.referrers = Some(many));
    let gathered = Verifier::new(script).gather(&subject(), &anonymous(), ALWAYS, now()).await;
    let verification = Verification::without_evidence(&gathered.unwrap_err(), None);
    assert_eq!((verification.verdict, verification.reason), (Verdict::Failed, Reason::SignatureLimitExceeded));
}

/// DS-10, LV-6, D26.
#[tokio::test]
async fn an_image_without_a_signature_is_a_finding_of_its_own_at_every_level_but_skip() {
    let evidence = Verifier::new(Script::default()).gather(&subject(), &anonymous(), ALWAYS, now()).await.unwrap();
    for (level, verdict, reason) in [
        ("strict", Verdict::Failed, Reason::NoSignature),
        ("permissive", Verdict::Failed, Reason::NoSignature),
        ("audit", Verdict::Failed, Reason::NoSignature),
        ("skip", Verdict::Skipped, sealwatch_verifier::notation::Reason::LevelSkip.into()),
    ] {
        let trust = if level == "skip" { "" } else { r#","trustStores":["ca:a"],"trustedIdentities":["*"]"# };
        let document = format!(
            r#"{{"version":"1.0","trustPolicies":[{{"name":"a","registryScopes":["*"],
                "signatureVerification":{{"level":"{level}"}}{trust}}}]}}"#
        );
        let document = TrustPolicyDocument::from_json(document.as_bytes()).unwrap();
        let verification = judge(
            &subject().repository,
            &evidence,
            &document,
            &TrustStores::new(),
            &sealwatch_verifier::Answers::default(),
            now(),
        );
        assert_eq!((verification.verdict, verification.reason), (verdict, reason), "{level}");
        assert!(verification.checks.is_empty(), "no signature was judged");
    }
}

#[tokio::test]
async fn a_hundred_signatures_are_looked_at_and_the_rest_is_counted() {
    let script = Script::default();
    script.answer(|answers| answers.signatures = (0..103).map(signature).collect());
    let evidence = Verifier::new(script.clone()).gather(&subject(), &anonymous(), ALWAYS, now()).await.unwrap();
    assert_eq!((evidence.candidates.len(), evidence.omitted), (100, 3));
    assert_eq!(script.asked().iter().filter(|what| *what == "manifest").count(), 100);
}

#[tokio::test]
async fn a_list_that_became_empty_is_believed_only_of_an_image_that_is_still_there() {
    let script = Script::default();
    script.answer(|answers| answers.signatures = vec![signature(1)]);
    let verifier = Verifier::new(script.clone());
    verifier.gather(&subject(), &anonymous(), ALWAYS, now()).await.unwrap();
    script.asked();
    script.answer(|answers| {
        answers.signatures.clear();
        answers.head = Some(not_found());
    });
    let gathered = verifier.gather(&subject(), &anonymous(), ALWAYS, now()).await;
    assert_eq!(gathered.unwrap_err().reason, Reason::ImageNotFound);
    assert_eq!(script.asked(), ["referrers", "resolve"]);
    assert!(verifier.remembered(&subject(), &anonymous()).is_none());
}

#[tokio::test]
async fn an_outage_leaves_what_was_known_in_memory() {
    let script = Script::default();
    let verifier = Verifier::new(script.clone());
    verifier.gather(&subject(), &anonymous(), ALWAYS, now()).await.unwrap();
    script.answer(|answers| answers.referrers = Some(unavailable()));
    verifier.gather(&subject(), &anonymous(), ALWAYS, now()).await.unwrap_err();
    assert!(verifier.remembered(&subject(), &anonymous()).is_some());
}

#[tokio::test]
async fn a_tenant_learns_nothing_from_what_another_was_shown() {
    let script = Script::default();
    script.answer(|answers| answers.signatures = vec![signature(1)]);
    let verifier = Verifier::new(script.clone());
    verifier.gather(&subject(), &somebody(), ALWAYS, now()).await.unwrap();
    script.answer(|answers| answers.head = Some(Error::Unauthorized { at: at(), detail: "401".into() }));
    let gathered = verifier.gather(&subject(), &anonymous(), Duration::from_hours(1), now()).await;
    assert_eq!(gathered.unwrap_err().reason, Reason::RegistryUnauthorized);
    assert!(verifier.remembered(&subject(), &anonymous()).is_none());
    assert!(verifier.remembered(&subject(), &somebody()).is_some());
}

/// D25.
#[tokio::test]
async fn a_signature_that_is_listed_and_missing_is_broken_and_one_out_of_reach_is_not_known() {
    let script = Script::default();
    script.answer(|answers| {
        answers.signatures = vec![signature(1)];
        answers.manifest = Some(not_found());
    });
    let evidence = Verifier::new(script.clone()).gather(&subject(), &anonymous(), ALWAYS, now()).await.unwrap();
    assert!(matches!(evidence.candidates[0].state, CandidateState::Broken(_)), "{evidence:?}");
    assert!(!evidence.is_partial());

    script.answer(|answers| answers.manifest = Some(unavailable()));
    let evidence = Verifier::new(script.clone()).gather(&subject(), &anonymous(), ALWAYS, now()).await.unwrap();
    assert!(matches!(evidence.candidates[0].state, CandidateState::Unfetched(_)), "{evidence:?}");
    assert!(evidence.is_partial());
}

/// DS-4, DS-14.
#[tokio::test]
async fn a_signature_of_another_image_is_broken_however_often_it_is_listed() {
    let script = Script::default();
    script.answer(|answers| answers.signatures = vec![signature(1)]);
    let verifier = Verifier::new(script.clone());
    verifier.gather(&subject(), &anonymous(), ALWAYS, now()).await.unwrap();
    // The same manifest, remembered by its digest, is listed for another image.
    let other = Subject { digest: digest("other"), ..subject() };
    let evidence = verifier.gather(&other, &anonymous(), ALWAYS, now()).await.unwrap();
    let CandidateState::Broken(why) = &evidence.candidates[0].state else { panic!("{evidence:?}") };
    assert!(why.contains("subject"), "{why}");
}

#[tokio::test]
async fn one_image_is_asked_about_once_at_a_time() {
    let script = Script::default();
    script.slow.store(true, Ordering::Relaxed);
    let verifier = Arc::new(Verifier::new(script.clone()));
    let looks = (0..20).map(|_| {
        let verifier = Arc::clone(&verifier);
        tokio::spawn(async move { verifier.gather(&subject(), &anonymous(), Duration::from_mins(1), now()).await })
    });
    for look in looks.collect::<Vec<_>>() {
        look.await.unwrap().unwrap();
    }
    assert_eq!(script.asked(), ["resolve", "referrers"]);
}

#[tokio::test]
async fn a_registry_that_never_answers_holds_up_no_other() {
    let script = Script { dead_host: Some("dead.example".into()), ..Script::default() };
    let verifier = Arc::new(Verifier::new(script.clone()));
    let stuck: Vec<_> = (0..50)
        .map(|number| {
            let verifier = Arc::clone(&verifier);
            let repository = format!("dead.example/app{number}").parse().unwrap();
            tokio::spawn(async move {
                let subject = Subject { repository, digest: digest("image") };
                verifier.gather(&subject, &anonymous(), ALWAYS, now()).await
            })
        })
        .collect();
    tokio::task::yield_now().await;
    let (subject, anonymous) = (subject(), anonymous());
    let other = verifier.gather(&subject, &anonymous, ALWAYS, now());
    tokio::time::timeout(Duration::from_secs(10), other).await.expect("not held up").unwrap();
    let dead = script.asked().iter().filter(|what| *what == "resolve").count() - 1;
    assert_eq!(dead, 8, "no more at once than a host's share");
    for look in stuck {
        look.abort();
    }
}
