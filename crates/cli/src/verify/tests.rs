// SPDX-License-Identifier: Apache-2.0

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use clap::Parser as _;
use sealwatch_registry::{At, Credentials, Descriptor, Error, Operation, RegistryOptions, Repository, Target};
use serde_json::json;

use super::*;
use crate::args::{Arguments, Command};

/// A registry that has nothing, slowly, and counts.
#[derive(Default)]
struct Slow {
    asked: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Registry for &'static Slow {
    async fn resolve(&self, repository: &Repository, _: &Target, _: &Credentials) -> Result<Descriptor, Error> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        // The first ones asked are answered last.
        let wait = 100_u64.saturating_sub(u64::try_from(self.asked.load(Ordering::SeqCst)).unwrap());
        tokio::time::sleep(Duration::from_millis(wait)).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        let at = At { registry: repository.registry().to_owned(), operation: Operation::Resolve };
        match repository.path() {
            "panics" => panic!("a defect"),
            "locked" => Err(Error::Unauthorized { at, detail: String::new() }),
            "down" => Err(Error::Unavailable { at, detail: "x".to_owned(), retry_after: None }),
            path => Err(Error::NotFound { at, what: path.to_owned() }),
        }
    }

    async fn referrers(&self, _: &Repository, _: &Digest, _: &str, _: &Credentials) -> Result<Vec<Descriptor>, Error> {
        Ok(Vec::new())
    }

    async fn manifest(&self, _: &Repository, _: &Descriptor, _: &Credentials) -> Result<Bytes, Error> {
        Ok(Bytes::new())
    }

    async fn blob(&self, _: &Repository, _: &Descriptor, _: &Credentials) -> Result<Bytes, Error> {
        Ok(Bytes::new())
    }
}

/// Strict everywhere but in `r.test/skipped`; without stores, which these tests do not come to need.
fn policy() -> Policy {
    let document = json!({"version": "1.0", "trustPolicies": [
        {"name": "strict", "registryScopes": ["*"], "signatureVerification": {"level": "strict"},
         "trustStores": ["ca:roots"], "trustedIdentities": ["*"]},
        {"name": "skip", "registryScopes": ["r.test/skipped"], "signatureVerification": {"level": "skip"}},
    ]});
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), document.to_string()).unwrap();
    Policy::read(file.path(), None).unwrap()
}

async fn verify(registry: &'static Slow, source: Source, images: &[String]) -> Vec<Answer> {
    let images: Vec<_> = images.iter().map(|image| parse(image).unwrap()).collect();
    let revocation = source::revocation(&RegistryOptions::default()).unwrap();
    let engine = Engine { verifier: Verifier::new(registry), revocation, found: Found::default() };
    verify_all(&engine, source, &policy(), &images).await
}

fn slow() -> &'static Slow {
    Box::leak(Box::default())
}

async fn message(image: &str, source: Source) -> String {
    verify(slow(), source, &[image.to_owned()]).await.remove(0).verification.message
}

/// What the user is told first.
async fn refusal(arguments: &[&str]) -> String {
    let all = ["sealwatch", "verify"].into_iter().chain(arguments.iter().copied());
    let Command::Verify(arguments) = Arguments::try_parse_from(all).unwrap().command else { panic!("another command") };
    answers(&arguments).await.unwrap_err()
}

#[tokio::test]
async fn images_are_verified_at_once_within_a_bound_and_answered_in_order() {
    // A registry of its own for each image, so that the bound is that of this command and not that of a host.
    let images: Vec<String> = (0..30).map(|number| format!("r{number}.test/a:1")).collect();
    let registry = slow();
    let answers = verify(registry, Source::Layout, &images).await;
    assert_eq!(answers.iter().map(|answer| answer.asked.clone()).collect::<Vec<_>>(), images);
    assert_eq!(registry.most.load(Ordering::SeqCst), IMAGES_AT_ONCE);
}

#[tokio::test]
async fn an_image_whose_level_is_skip_is_not_asked_about() {
    let registry = slow();
    let answers = verify(registry, Source::Layout, &["r.test/skipped:1".to_owned()]).await;
    assert_eq!(answers[0].verification.verdict, Verdict::Skipped);
    assert_eq!((registry.asked.load(Ordering::SeqCst), exit_code(&answers)), (0, 0));
}

#[tokio::test]
async fn a_defect_in_one_verification_leaves_the_others_alone() {
    let images = ["r.test/panics:1".to_owned(), "r.test/absent:1".to_owned()];
    let answers = verify(slow(), Source::Registry { insecure: false }, &images).await;
    assert_eq!(answers[0].verification.verdict, Verdict::Unknown);
    assert!(answers[0].verification.message.ends_with("internal error, which stands above"));
    assert_eq!(answers[1].verification.reason.as_str(), "ImageNotFound");
}

#[tokio::test]
async fn the_flag_that_may_help_is_named_where_it_may() {
    let (secure, insecure) = (Source::Registry { insecure: false }, Source::Registry { insecure: true });
    assert!(message("r.test/down:1", secure).await.ends_with("a registry without TLS needs --insecure-registry"));
    assert!(message("r.test/locked:1", insecure).await.ends_with("the file given by --registries"));
    for (image, source) in
        [("down:1", insecure), ("down:1", Source::Layout), ("locked:1", Source::Layout), ("absent:1", secure)]
    {
        let message = message(&format!("r.test/{image}"), source).await;
        assert!(!message.contains("--"), "{image} {source:?}: {message}");
    }
}

#[tokio::test]
async fn only_a_tag_is_warned_of() {
    let digest = format!("r.test/a@sha256:{}", "a".repeat(64));
    let answers = verify(slow(), Source::Layout, &["r.test/a:1".to_owned(), digest]).await;
    assert!(answers[0].warnings[0].contains("the tag \"1\" may name another image"));
    assert_eq!(answers[1].warnings, Vec::<String>::new());
}

#[tokio::test]
async fn the_worst_verdict_decides_the_exit_code() {
    let answer = |verdict| {
        let (asked, reference) = parse("r.test/a:1").unwrap();
        let mut verification = Verification::no_statement(reference.repository());
        verification.verdict = verdict;
        Answer::new(&asked, &reference, None, verification)
    };
    let code = |verdicts: &[Verdict]| exit_code(&verdicts.iter().copied().map(answer).collect::<Vec<_>>());
    assert_eq!(code(&[Verdict::Verified, Verdict::Skipped]), 0);
    assert_eq!(code(&[Verdict::Verified, Verdict::Unknown, Verdict::Skipped]), 3);
    assert_eq!(code(&[Verdict::Unknown, Verdict::Failed, Verdict::Verified]), 1);
    assert_eq!(code(&[Verdict::Failed, Verdict::Unknown]), 1);
}

#[tokio::test]
async fn what_the_user_gave_is_named_when_it_cannot_be_used() {
    assert!(refusal(&["r.test/A:1", "--policy", "p"]).await.starts_with("IMAGE \"r.test/A:1\": repository path"));
    assert!(refusal(&["r.test/a:1", "--policy", "/nonexistent"]).await.starts_with("--policy /nonexistent: "));
    let skip = tempfile::NamedTempFile::new().unwrap();
    let document = json!({"version": "1.0", "trustPolicies": [
        {"name": "skip", "registryScopes": ["*"], "signatureVerification": {"level": "skip"}},
    ]});
    fs::write(skip.path(), document.to_string()).unwrap();
    let policy = skip.path().to_str().unwrap();
    let layout = refusal(&["r.test/a:1", "--policy", policy, "--oci-layout", "/nonexistent"]).await;
    assert!(layout.starts_with("--oci-layout: /nonexistent: "), "{layout}");
    let registries = refusal(&["r.test/a:1", "--policy", policy, "--registries", "/nonexistent"]).await;
    assert!(registries.starts_with("--registries /nonexistent: "), "{registries}");
}
