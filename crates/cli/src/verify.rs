// SPDX-License-Identifier: Apache-2.0
//! `sealwatch verify`: the operator's engine, once, for images by name.

mod output;
mod policy_file;

use std::{process::ExitCode, time::Duration};

use jiff::Timestamp;
use sealwatch_registry::{Credentials, HttpRegistry, LayoutRegistry, Reference, Registry};
use sealwatch_verifier::{
    GatherError, Selection, Subject, Verdict, Verification, Verifier,
    notation::{TrustPolicyDocument, TrustStores},
    select,
};

use crate::{args::VerifyArguments, registries, usage};

/// A policy with its trust stores.
pub(crate) struct Policy {
    document: TrustPolicyDocument,
    stores: TrustStores,
}

/// The answer about one image.
pub(crate) struct Answer {
    /// The image as the user named it.
    asked: String,
    /// The image that was judged: repository, and digest where one was found.
    image: String,
    digest: Option<String>,
    verification: Verification,
}

pub(crate) async fn run(arguments: VerifyArguments) -> ExitCode {
    match prepare_and_verify(&arguments).await {
        Ok(answers) => {
            output::print(&answers, arguments.output);
            exit_code(&answers)
        }
        Err(why) => usage(&why),
    }
}

async fn prepare_and_verify(arguments: &VerifyArguments) -> Result<Vec<Answer>, String> {
    let policy = policy_file::read(&arguments.policy, arguments.trust_store.as_deref())?;
    let images: Result<Vec<(String, Reference)>, String> =
        arguments.images.iter().map(|image| Ok((image.clone(), parse(image)?))).collect();
    let images = images?;
    if let Some(folder) = &arguments.oci_layout {
        let layout =
            LayoutRegistry::open(folder).map_err(|error| format!("--oci-layout {}: {error}", folder.display()))?;
        return Ok(verify_all(&Verifier::new(layout), &policy, images).await);
    }
    let mut options = registries::options(&arguments.registries)?;
    for (_, reference) in &images {
        // Whoever names a registry on the command line means it, wherever it is.
        let host = reference.repository().registry().to_owned();
        if arguments.insecure_registry {
            options.registries.insecure(&host).map_err(|error| format!("registry {host}: {error}"))?;
        }
        options.named_hosts.push(host);
    }
    let registry = HttpRegistry::new(options).map_err(|error| error.to_string())?;
    Ok(verify_all(&Verifier::new(registry), &policy, images).await)
}

fn parse(image: &str) -> Result<Reference, String> {
    let reference: Reference = image.parse().map_err(|error| format!("image {image:?}: {error}"))?;
    Ok(reference)
}

async fn verify_all<R: Registry>(
    verifier: &Verifier<R>,
    policy: &Policy,
    images: Vec<(String, Reference)>,
) -> Vec<Answer> {
    let mut answers = Vec::new();
    for (asked, reference) in images {
        answers.push(verify(verifier, policy, asked, &reference).await);
    }
    answers
}

async fn verify<R: Registry>(verifier: &Verifier<R>, policy: &Policy, asked: String, reference: &Reference) -> Answer {
    let repository = reference.repository();
    let answer = |digest: Option<String>, verification: Verification| {
        let image = digest.as_ref().map_or_else(|| asked.clone(), |digest| format!("{repository}@{digest}"));
        Answer { asked: asked.clone(), image, digest, verification }
    };
    let statement = match select(&policy.document, repository) {
        Selection::NoStatement => return answer(None, Verification::no_statement(repository)),
        Selection::Skip(statement) => return answer(None, Verification::skipped(statement)),
        Selection::Judge(statement) => statement,
    };
    let credentials = Credentials::default();
    let unknown = |digest: Option<String>, error: &GatherError| {
        answer(digest, Verification::without_evidence(error, Some(statement)))
    };
    let digest = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => Ok(digest.clone()),
        (None, tag) => {
            let tag = tag.unwrap_or("latest");
            output::warn(&format!(
                "{asked}: the tag {tag:?} may name another image tomorrow; a digest names one for ever"
            ));
            verifier.resolve(repository, tag, &credentials).await
        }
    };
    let digest = match digest {
        Ok(digest) => digest,
        Err(error) => return unknown(None, &error),
    };
    let subject = Subject { repository: repository.clone(), digest };
    let text = Some(subject.digest.to_string());
    match verifier.gather(&subject, &credentials, Duration::ZERO, Timestamp::now()).await {
        Err(error) => unknown(text, &error),
        Ok(evidence) => {
            let now = Timestamp::now();
            answer(text, sealwatch_verifier::judge(repository, &evidence, &policy.document, &policy.stores, now))
        }
    }
}

/// The worst of 1 (failed), 3 (could not tell) and 0.
fn exit_code(answers: &[Answer]) -> ExitCode {
    let any = |verdict: Verdict| answers.iter().any(|answer| answer.verification.verdict == verdict);
    ExitCode::from(match (any(Verdict::Failed), any(Verdict::Unknown)) {
        (true, _) => 1,
        (false, true) => 3,
        (false, false) => 0,
    })
}
