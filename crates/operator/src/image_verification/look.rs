// SPDX-License-Identifier: Apache-2.0
//! One look at an image in its registry, and at what its signers' certificates name about their revocation, in a task of
//! its own: a slow registry holds up nobody's reconcile, and a panic in a parser becomes an error of this look
//! (LV-5).

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, runtime::reflector::ObjectRef};
use sealwatch_api::{ImageVerification, Reason, Vocabulary as _};
use sealwatch_registry::{Credentials, Digest, HttpRegistry, Reference};
use sealwatch_verifier::{
    DigestMatching, Findings, Freshness, GatherError, Platforms, Question, Runs, Subject, Verifier,
};

use super::{
    ParsedCase,
    memory::{LookError, Shared, lock},
};
use crate::{context::Context, metrics::GatherLabels, policy::Policy};

/// How long a look may take in all. Each request has its own, shorter limit.
pub(super) const LOOK_MOST: Duration = Duration::from_mins(5);
/// How long all questions about revocation may take. Each has its own, shorter limit.
pub(super) const LEARN_MOST: Duration = Duration::from_mins(2);
/// How many pull secrets are read for one image.
pub(crate) const SECRETS_MOST: usize = 16;

/// Everything that a look needs, owned.
pub(super) struct Look {
    namespace: String,
    reference: Reference,
    runs: Option<Runs>,
    references: Vec<Reference>,
    platforms: Platforms,
    pull_secrets: Vec<String>,
    /// Whether a person wrote the object: what the operator itself may pull is not for them to look into.
    by_hand: bool,
    max_age: Duration,
    policy: Arc<Policy>,
    /// What was known before.
    known: Option<Arc<Findings>>,
    /// Since when nobody has asked afresh, for whoever asks for that.
    since: Option<Instant>,
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The registry, then revocation.
    All,
    /// Revocation alone, about what is known of the image.
    Revocation,
}

/// Starts a look; its end is written to `memory` and triggers a reconcile.
pub fn start(
    context: &Arc<Context>,
    key: &ObjectRef<ImageVerification>,
    memory: &Shared,
    case: &ParsedCase<'_>,
    policy: &Arc<Policy>,
    (scope, now): (Scope, Timestamp),
) {
    let Ok(reference) = &case.reference else { return };
    let asked = case.request.clone();
    let (handled, known, failed_at, overtaken) = {
        let looks = &lock(memory).looks;
        let overtaken = case.is_overtaken(looks, now);
        (looks.handled.clone(), looks.findings.clone(), looks.error.as_ref().and(looks.ended), overtaken)
    };
    let requested = asked.asks_afresh(&handled);
    let by_policy = handled.image == asked.image;
    // After a failure only what was learnt since shows that the registry answers again.
    let fresh = failed_at.map_or(case.policy.interval / 2, |ended| ended.elapsed().min(case.policy.interval / 2));
    let look = Look {
        // What another policy has just learnt of the same image serves us too, unless somebody asked for a fresh look.
        max_age: if requested || overtaken { Duration::ZERO } else { fresh },
        known,
        // All images of a policy share one request for each answer.
        since: requested.then(|| if by_policy { policy.requested_seen } else { Instant::now() }),
        ..Look::new(case, reference, policy)
    };
    let (generation, judged_by) = (case.policy.generation, case.judged_by());
    let (context, key, memory) = (Arc::clone(context), key.clone(), Arc::clone(memory));
    tokio::spawn(async move {
        if scope == Scope::Revocation {
            look.learn_guarded(&context, look.known.as_ref()).await;
            lock(&memory).looks.learnt(judged_by, Instant::now());
            context.triggers.image(key);
            return;
        }
        let restored = OnceLock::new();
        let outcome =
            tokio::time::timeout(LOOK_MOST, AssertUnwindSafe(look.run(&context, &restored)).catch_unwind()).await;
        let outcome = match outcome {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_panic)) => Err(failed("the verification of this image ended in an internal error; see the log")),
            Err(_elapsed) => Err(failed("the registry was not done after 300 s")),
        };
        // A registry that is out of reach says nothing about the certificates of what is known.
        let known = lock(&memory).looks.findings.clone().or(restored.into_inner());
        look.learn_guarded(&context, outcome.as_ref().ok().or(known.as_ref())).await;
        let result = outcome.as_ref().err().map_or("Succeeded", |error| error.reason.as_str());
        context.metrics.gathers.get_or_create(&GatherLabels { result }).inc();
        let mut memory = lock(&memory);
        if let Err(error) = &outcome
            && memory.looks.error.as_ref().is_none_or(|known| known.reason != error.reason)
        {
            // Once, and again when the reason changes; the status and the metrics tell of the rest.
            tracing::info!(
                namespace = look.namespace,
                policy = look.policy.name,
                name = key.name,
                image = %look.reference,
                reason = error.reason.as_str(),
                error = error.message,
                "no evidence"
            );
        }
        if outcome.is_err() {
            // Only now: before the registry was asked, nobody could tell older evidence from fresh.
            memory.looks.findings = known;
        }
        memory.looks.ended(outcome, asked, generation, Instant::now());
        memory.looks.learnt(judged_by, Instant::now());
        drop(memory);
        context.triggers.image(key);
    });
}

pub(super) fn failed(message: &str) -> LookError {
    LookError { reason: Reason::RegistryUnavailable, message: message.to_owned(), retry_after: None }
}

impl Look {
    /// A first look at an image that runs.
    pub(super) fn new(case: &ParsedCase<'_>, reference: &Reference, policy: &Arc<Policy>) -> Self {
        Self {
            namespace: policy.namespace.clone(),
            reference: reference.clone(),
            runs: case.runs.clone(),
            references: case.references.clone(),
            platforms: case.platforms.clone(),
            pull_secrets: case.pull_secrets(),
            by_hand: !case.ours,
            max_age: policy.interval / 2,
            policy: Arc::clone(policy),
            known: None,
            since: None,
        }
    }

    async fn run(&self, context: &Context, restored: &OnceLock<Arc<Findings>>) -> Result<Arc<Findings>, LookError> {
        let credentials = self.credentials(&context.client).await?;
        let runs = self.named(&context.verifier, &credentials).await?;
        if self.known.is_none()
            && let Runs::Digest(digest) = &runs
        {
            self.restore(context, restored, digest, &credentials).await;
        }
        self.ask(&context.verifier, runs, &credentials).await
    }

    /// The clearest name of what runs: as reported, as pinned, or what the tag names now.
    pub(super) async fn named(
        &self,
        verifier: &Verifier<HttpRegistry>,
        credentials: &Credentials,
    ) -> Result<Runs, LookError> {
        let pinned = self.runs.clone().or_else(|| self.reference.digest().cloned().map(Runs::Digest));
        match (pinned, self.reference.tag()) {
            (Some(runs), _) => Ok(runs),
            (None, Some(tag)) => {
                let digest = verifier.resolve(self.reference.repository(), tag, credentials).await;
                Ok(Runs::Digest(digest.map_err(look_error)?))
            }
            (None, None) => Err(failed("the image names neither tag nor digest")),
        }
    }

    /// Asks the registry for the evidence about what runs.
    pub(super) async fn ask(
        &self,
        verifier: &Verifier<HttpRegistry>,
        runs: Runs,
        credentials: &Credentials,
    ) -> Result<Arc<Findings>, LookError> {
        let question = Question {
            repository: self.reference.repository().clone(),
            runs,
            references: self.references.clone(),
            matching: self.policy.matching,
            platforms: self.platforms.clone(),
        };
        let found = verifier.investigate(&question, credentials, self.max_age, Timestamp::now()).await;
        found.map(Arc::new).map_err(|error| self.explained(look_error(error)))
    }

    /// In case the registry cannot be asked: older evidence is evidence of its time. Only what was found about exactly
    /// what runs is restored; where that has no signature and others would count, nothing is known.
    async fn restore(
        &self,
        context: &Context,
        restored: &OnceLock<Arc<Findings>>,
        digest: &Digest,
        credentials: &Credentials,
    ) {
        let subject = Subject { repository: self.reference.repository().clone(), digest: digest.clone() };
        let Some(found) = context.verifier.restore(&subject, credentials, Timestamp::now()).await else { return };
        if self.policy.matching == DigestMatching::Exact || !found.candidates.is_empty() {
            restored.get_or_init(|| Arc::new(Findings::exact(found)));
        }
    }

    /// A digest that a node reports and the registry does not have came to the node in some other way.
    fn explained(&self, error: LookError) -> LookError {
        if self.by_hand || error.reason != Reason::ImageNotFound {
            return error;
        }
        let hint = "if the image was not deleted there, it was loaded from a file, or pulled from a mirror that made its \
                    manifest anew: name that mirror in registries.yaml, or have the node pull again";
        LookError { message: format!("{}; {hint}", error.message), ..error }
    }

    /// Asks about revocation. What fails or takes too long is found missing when it is judged.
    async fn learn_guarded(&self, context: &Context, findings: Option<&Arc<Findings>>) {
        let matter = findings.and_then(|findings| self.policy.matter(self.reference.repository(), findings));
        let Some(matter) = matter else { return };
        let freshness = Freshness { interval: self.policy.interval, since: self.since };
        let learn = AssertUnwindSafe(matter.learn(&context.revocation, freshness)).catch_unwind();
        if !matches!(tokio::time::timeout(LEARN_MOST, learn).await, Ok(Ok(()))) {
            tracing::warn!(
                namespace = self.namespace,
                policy = self.policy.name,
                image = %self.reference,
                "not everything about revocation could be asked in time; see the status"
            );
        }
    }

    /// The credentials of the pull secrets, read by name in the image's own namespace. One that does not exist or
    /// cannot be read as a pull secret is passed over, as the kubelet does.
    async fn credentials(&self, client: &Client) -> Result<Credentials, LookError> {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &self.namespace);
        let mut credentials = Credentials::default();
        for name in self.pull_secrets.iter().take(SECRETS_MOST) {
            match secrets.get_opt(name).await {
                Ok(Some(secret)) => credentials.merge(credentials_of(&secret)),
                Ok(None) => {}
                Err(kube::Error::Api(status)) if status.code == 403 => {
                    let message = format!("pull secret {name:?}: the operator may not read it ({})", status.message);
                    return Err(LookError { reason: Reason::CredentialsForbidden, message, retry_after: None });
                }
                Err(error) => return Err(failed(&format!("pull secret {name:?} could not be read: {error}"))),
            }
        }
        Ok(if self.by_hand { credentials.without_operator_credentials() } else { credentials })
    }
}

/// What a pull secret holds; nothing where it is none.
pub(crate) fn credentials_of(secret: &Secret) -> Credentials {
    let data = secret.data.as_ref();
    let value = |key: &str| data.and_then(|data| data.get(key)).map(|value| value.0.as_slice());
    let read = match (value(".dockerconfigjson"), value(".dockercfg")) {
        (Some(json), _) => Credentials::from_docker_config_json(json),
        (None, Some(cfg)) => Credentials::from_docker_cfg(cfg),
        (None, None) => return Credentials::default(),
    };
    read.unwrap_or_else(|error| {
        tracing::warn!(
            namespace = secret.metadata.namespace,
            kind = "Secret",
            name = secret.metadata.name,
            %error,
            "not a pull secret"
        );
        Credentials::default()
    })
}

fn look_error(error: GatherError) -> LookError {
    let reason = Reason::parse(error.reason.as_str()).unwrap_or(Reason::RegistryUnavailable);
    LookError { reason, message: error.message, retry_after: error.retry_after }
}
