// SPDX-License-Identifier: Apache-2.0
//! `sealwatch verify`: the operator's engine, once, for images by name.

mod output;
pub(crate) mod policy_file;
pub(crate) mod trust_store;

use std::{panic::AssertUnwindSafe, process::ExitCode, time::Duration};

use futures::{FutureExt as _, StreamExt as _, stream};
use jiff::Timestamp;
use sealwatch_registry::{Credentials, Digest, Reference, Registry};
use sealwatch_verifier::{
    DigestMatching, Findings, FollowedMatter, Freshness, GatherError, Platforms, Question, Reason, Revocation, Runs,
    Selection, Verdict, Verification, Verifier, Via,
    notation::{Action, CheckResult, Statement},
    select,
};

use self::policy_file::Policy;
use crate::{
    args::{self, LogFormat, VerifyArguments},
    credentials::{self, Found},
    log,
    source::{self, Place},
    terminal,
};

/// How many images are verified at once.
const IMAGES_AT_ONCE: usize = 8;
/// What an image reference without tag and digest means.
pub(crate) const DEFAULT_TAG: &str = "latest";

/// The answer about one image.
#[derive(Debug)]
struct Answer {
    /// The image as the user named it.
    asked: String,
    /// The same, understood.
    reference: Reference,
    /// The digest that was judged, or that the user named; none where a tag was not resolved.
    digest: Option<Digest>,
    verification: Verification,
    /// What the signature is about, and how that relates to the digest; none where no signature was judged.
    about: Option<(Digest, Via)>,
    /// What is to be said beside the answer, one sentence each.
    warnings: Vec<String>,
}

impl Answer {
    fn new(asked: &str, reference: &Reference, digest: Option<Digest>, verification: Verification) -> Self {
        let (asked, reference) = (asked.to_owned(), reference.clone());
        Self { asked, reference, digest, verification, about: None, warnings: Vec::new() }
    }

    /// `REPO@DIGEST`, or `REPO:TAG` where the digest is not known.
    fn image(&self) -> String {
        let repository = self.reference.repository();
        match &self.digest {
            Some(digest) => format!("{repository}@{digest}"),
            None => format!("{repository}:{}", self.reference.tag().unwrap_or(DEFAULT_TAG)),
        }
    }
}

/// What verifies: the engine's two halves.
struct Engine<R> {
    verifier: Verifier<R>,
    revocation: Revocation,
    /// What opens the registries.
    found: Found,
}

/// Where images are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Layout,
    Registry { insecure: bool },
}

pub(crate) async fn run(arguments: VerifyArguments) -> ExitCode {
    log::start(LogFormat::Text, "warn");
    let answers = match answers(&arguments).await {
        Ok(answers) => answers,
        Err(why) => return terminal::usage(&why),
    };
    answers.iter().flat_map(|answer| &answer.warnings).for_each(|warning| terminal::warn(warning));
    match output::render(&answers, arguments.output) {
        Ok(text) => terminal::answer(&text, ExitCode::from(exit_code(&answers))),
        Err(why) => terminal::usage(&why),
    }
}

/// The answers in the order of the images, or what the user has to put right first. Nothing is asked before all that
/// the user gave is understood.
async fn answers(arguments: &VerifyArguments) -> Result<Vec<Answer>, String> {
    let images: Result<Vec<(String, Reference)>, String> = arguments.images.iter().map(|image| parse(image)).collect();
    let images = images?;
    let mut policy = Policy::read(&arguments.policy, arguments.trust_store.as_deref())?;
    policy.bring(&arguments.crl)?;
    policy.matching = match arguments.digest_matching {
        Some(args::DigestMatching::Exact) => DigestMatching::Exact,
        Some(args::DigestMatching::FollowIndex) => DigestMatching::FollowIndex,
        None => policy.matching,
    };
    for (_, reference) in &images {
        if let Selection::Judge(statement) = select(&policy.document, reference.repository()) {
            policy.check_stores(statement)?;
        }
    }
    let opened = source::Source::open(&arguments.source, images.iter().map(|(_, reference)| reference)).await?;
    policy.warnings.iter().for_each(|warning| terminal::warn(warning));
    let source = match opened.place {
        Place::Layout(_) => Source::Layout,
        Place::Http(_) => Source::Registry { insecure: arguments.source.asking.insecure_registry },
    };
    // Certificates may lead where the flags allow it, but not to the registries of the images for their sake alone.
    let revocation = source::revocation(&opened.settings)?;
    let engine = Engine { verifier: Verifier::new(opened.place), revocation, found: opened.found };
    Ok(verify_all(&engine, source, &policy, &images).await)
}

/// An image as the user named it, and understood.
pub(crate) fn parse(image: &str) -> Result<(String, Reference), String> {
    let reference = image.parse().map_err(|error| format!("IMAGE {image:?}: {error}"))?;
    Ok((image.to_owned(), reference))
}

async fn verify_all<R: Registry>(
    engine: &Engine<R>,
    source: Source,
    policy: &Policy,
    images: &[(String, Reference)],
) -> Vec<Answer> {
    let verify_one = |(asked, reference)| verify_one(engine, source, policy, asked, reference);
    stream::iter(images.iter().map(|(asked, reference)| (asked.as_str(), reference)))
        .map(verify_one)
        .buffered(IMAGES_AT_ONCE)
        .collect()
        .await
}

async fn verify_one<R: Registry>(
    engine: &Engine<R>,
    source: Source,
    policy: &Policy,
    asked: &str,
    reference: &Reference,
) -> Answer {
    let statement = match select(&policy.document, reference.repository()) {
        Selection::Judge(statement) => statement,
        Selection::NoStatement => {
            let verification = Verification::no_statement(reference.repository());
            return Answer::new(asked, reference, reference.digest().cloned(), verification);
        }
        Selection::Skip(statement) => {
            let verification = Verification::skipped(statement);
            return Answer::new(asked, reference, reference.digest().cloned(), verification);
        }
    };
    // A defect met by one image does not take the answers about the others along.
    let (digest, verification, about) = match AssertUnwindSafe(look(engine, policy, reference)).catch_unwind().await {
        Ok((digest, Ok((verification, about)))) => (digest, verification, Some(about)),
        Ok((digest, Err(error))) => {
            let advice = engine.found.advice(reference.repository().registry());
            (digest, unknown(&error, source, statement, &advice), None)
        }
        Err(_panic) => {
            (reference.digest().cloned(), Verification::without_evidence(&internal_error(), Some(statement)), None)
        }
    };
    let mut answer = Answer { about, ..Answer::new(asked, reference, digest, verification) };
    answer.warnings = warnings(&answer);
    answer
}

/// Asks and judges. The digest is none where a tag could not be resolved.
async fn look<R: Registry>(
    Engine { verifier, revocation, found }: &Engine<R>,
    policy: &Policy,
    reference: &Reference,
) -> (Option<Digest>, Result<(Verification, (Digest, Via)), GatherError>) {
    let (digest, findings) = match find(verifier, policy.matching, reference, &found.credentials).await {
        (digest, Ok(findings)) => (digest, findings),
        (digest, Err(error)) => return (digest, Err(error)),
    };
    let Policy { document, stores, brought, matching, .. } = policy;
    let repository = reference.repository();
    let matter = FollowedMatter { repository, findings: &findings, matching: *matching, document, stores, brought };
    matter.learn(revocation, Freshness { interval: Duration::MAX, since: None }).await;
    let now = Timestamp::now();
    let judgement = matter.judge(&matter.recall(revocation, Duration::MAX, now), now);
    (digest, Ok((judgement.verification, (judgement.verified_digest, judgement.via))))
}

/// Asks for the signatures that count for an image. The digest is none where a tag could not be resolved.
pub(crate) async fn find<R: Registry>(
    verifier: &Verifier<R>,
    matching: DigestMatching,
    reference: &Reference,
    credentials: &Credentials,
) -> (Option<Digest>, Result<Findings, GatherError>) {
    let repository = reference.repository();
    let digest = match reference.digest() {
        Some(digest) => Ok(digest.clone()),
        None => verifier.resolve(repository, reference.tag().unwrap_or(DEFAULT_TAG), credentials).await,
    };
    let digest = match digest {
        Ok(digest) => digest,
        Err(error) => return (None, Err(error)),
    };
    let question = Question {
        repository: repository.clone(),
        runs: Runs::Digest(digest.clone()),
        references: vec![reference.clone()],
        matching,
        // It may run anywhere.
        platforms: Platforms::Unknown,
    };
    let findings = verifier.investigate(&question, credentials, Duration::ZERO, Timestamp::now()).await;
    (Some(digest), findings)
}

fn internal_error() -> GatherError {
    GatherError {
        reason: Reason::RegistryUnavailable,
        message: "the verification of this image ended in an internal error, which stands above".to_owned(),
        retry_after: None,
    }
}

/// There is no evidence; the message also says which flag may help.
fn unknown(error: &GatherError, source: Source, statement: &Statement, on_refusal: &str) -> Verification {
    let mut verification = Verification::without_evidence(error, Some(statement));
    let advice = match (error.reason, source) {
        (Reason::RegistryUnavailable, Source::Registry { insecure: false }) => credentials::WITHOUT_TLS,
        (Reason::RegistryUnauthorized, Source::Registry { .. }) => on_refusal,
        _ => "",
    };
    verification.message.push_str(advice);
    verification
}

fn warnings(answer: &Answer) -> Vec<String> {
    let asked = &answer.asked;
    let mut warnings = Vec::new();
    if answer.reference.digest().is_none() {
        let tag = answer.reference.tag().unwrap_or(DEFAULT_TAG);
        warnings.push(format!("{asked}: the tag {tag:?} may name another image tomorrow; a digest names one for ever"));
    }
    if answer.verification.verdict == Verdict::Verified {
        let logged = answer.verification.checks.iter();
        let logged = logged.filter(|check| check.action == Action::Log && check.result != CheckResult::Passed);
        let sentence = |check: &sealwatch_verifier::notation::Check| {
            format!("{asked}: {} was set to \"log\" and did not pass: {}", check.check, check.message)
        };
        warnings.extend(logged.map(sentence));
    }
    warnings
}

/// The worst of 1 (failed), 3 (could not tell) and 0.
fn exit_code(answers: &[Answer]) -> u8 {
    let any = |verdict: Verdict| answers.iter().any(|answer| answer.verification.verdict == verdict);
    match (any(Verdict::Failed), any(Verdict::Unknown)) {
        (true, _) => 1,
        (false, true) => 3,
        (false, false) => 0,
    }
}

#[cfg(test)]
mod tests;
