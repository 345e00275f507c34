// SPDX-License-Identifier: Apache-2.0
//! The controller of `ImageVerification`: look when it is due, judge, write what changed.

mod case;
mod judged;
pub mod look;
pub mod memory;
pub mod once;

pub use case::ParsedCase;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use kube::{
    ResourceExt,
    runtime::{controller::Action, reflector::ObjectRef},
};
use sealwatch_api::{ImageVerification, Reason, Verdict, Word};
use sealwatch_verifier::{FollowedRecall, Revocation, schedule};

use self::{
    case::Case,
    judged::{Judged, judge},
    look::Scope,
    memory::{Looks, Shared, lock},
};
use crate::{
    apply::{self, ApplyError},
    context::{Context, STARTUP_GRACE},
    discover::{self, Found},
    metrics::ResultLabels,
    policy::Policy,
    status::{
        image::{self as status, Conclusion},
        policy::ImageResult,
    },
};

/// The shortest pause between two writes of one status that does not turn the verdict.
const PACE: Duration = Duration::from_secs(1);
/// The longest wait between two reconciles of an image.
const LOOK_AROUND: Duration = Duration::from_hours(1);

/// One reconcile, step by step; only the steps marked so speak to anybody.
///
/// # Errors
/// When the status could not be written.
pub async fn reconcile(image: Arc<ImageVerification>, context: Arc<Context>) -> Result<Action, ApplyError> {
    context.sight.wait().await;
    let key = ObjectRef::from_obj(&*image);
    let memory = context.images.of(&key, &image.uid().unwrap_or_default());
    let image = as_written(image, &memory);
    let now = Timestamp::now();

    let policy = match policy_of(&image, &context) {
        PolicyOf::Loaded(policy) => policy,
        // It is being loaded, and triggers us then; or the object is about to be collected with its owner.
        PolicyOf::Awaited | PolicyOf::Orphaned => return Ok(Action::await_change()),
        PolicyOf::Missing => {
            let name = &image.spec.trust_policy_ref.name;
            let conclusion = Conclusion::plain(
                Reason::TrustPolicyNotFound,
                format!("there is no TrustPolicy {name:?} in this namespace"),
            );
            let pace = write(&image, &context, &memory, &conclusion, None, None, now).await?;
            return Ok(pace.map_or_else(Action::await_change, Action::requeue));
        }
    };
    let found = context.discoveries.of(&policy.namespace, &policy.name).get(&image.name_any()).cloned();
    let ours = discover::is_owned_by(&image, &policy.uid);
    let case = Case { image: &image, policy: &policy, found: found.as_ref().filter(|_| ours), ours }.parse();

    // Recall what was heard about revocation (speaks to nobody).
    let recalled = recall(&case, &lock(&memory).looks.clone(), &context.revocation, now);
    // Look, in a task of its own (speaks to the registry, and to whom certificates name).
    if case.asks
        && !policy.suspend
        && let Some(scope) = begin_look(&case, &memory, &recalled, now)
    {
        look::start(&context, &key, &memory, &case, &policy, (scope, now));
    }
    // Judge (pure).
    let looks = lock(&memory).looks.clone();
    let judged = judge(&case, &looks, &recalled, now);
    let wait = next_reconcile(&case, &looks, &judged, &recalled, now);
    if looks.in_flight && recalled.is_unasked && judged.conclusion.reason == Reason::RevocationUnknown {
        // After an edit: what has never been asked is being asked, which takes seconds and brings us back.
        return Ok(Action::requeue(wait));
    }
    if judged.is_without_answer() && lock(&memory).written.is_none() && stands(&image, &context) {
        let grace = STARTUP_GRACE.saturating_sub(context.started.elapsed()) + Duration::from_secs(1);
        return Ok(Action::requeue(wait.min(grace)));
    }
    // Write (speaks to the API server).
    if let Some(pace) = write(&image, &context, &memory, &judged.conclusion, Some(&policy), case.found, now).await? {
        // The policy's summary does not tell of it before this status does.
        return Ok(Action::requeue(pace));
    }
    // Report to the policy (speaks to nobody).
    if report(&memory, &policy, judged) && ours {
        context.triggers.summary(ObjectRef::new(&policy.name).within(&policy.namespace), Instant::now());
    }
    Ok(Action::requeue(wait))
}

/// The object as it is since we wrote its status, where the watch still shows an older version.
fn as_written(mut image: Arc<ImageVerification>, memory: &Shared) -> Arc<ImageVerification> {
    let mut memory = lock(memory);
    if let Some(version) = memory.ahead.sees(image.resource_version()) {
        let image = Arc::make_mut(&mut image);
        image.metadata.resource_version = Some(version);
        image.status.clone_from(&memory.written);
    }
    image
}

/// What to do after a failure.
#[allow(clippy::needless_pass_by_value)] // the signature is kube's
pub fn on_error(image: Arc<ImageVerification>, error: &ApplyError, context: Arc<Context>) -> Action {
    context.metrics.reconciles.get_or_create(&ResultLabels { kind: "ImageVerification", result: error.label() }).inc();
    match error {
        // The object's new version is on its way to us.
        ApplyError::Conflict => Action::requeue(Duration::from_millis(500)),
        ApplyError::Gone => Action::await_change(),
        ApplyError::Timeout | ApplyError::Refused(_) => {
            let (namespace, name) = (image.namespace(), image.name_any());
            tracing::warn!(namespace, kind = "ImageVerification", name, %error, "could not write a status");
            Action::requeue(Duration::from_secs(30))
        }
    }
}

/// The policy that an image names.
enum PolicyOf {
    Loaded(Arc<Policy>),
    Awaited,
    Missing,
    Orphaned,
}

fn policy_of(image: &ImageVerification, context: &Context) -> PolicyOf {
    let namespace = image.namespace().unwrap_or_default();
    let name = &image.spec.trust_policy_ref.name;
    let exists = context.trust_policies.get(&ObjectRef::new(name).within(&namespace)).is_some();
    let owner = discover::controller(image);
    match context.policies.find(&namespace, name) {
        Some(policy) if owner.is_some_and(|owner| owner.uid != policy.uid) => PolicyOf::Orphaned,
        Some(policy) => PolicyOf::Loaded(policy),
        None if exists => PolicyOf::Awaited,
        None if owner.is_some() => PolicyOf::Orphaned,
        None => PolicyOf::Missing,
    }
}
/// Whether a status of an earlier process stands in for an answer of our own.
fn stands(image: &ImageVerification, context: &Context) -> bool {
    let told = image.status.as_ref().and_then(|status| status.verdict.as_ref());
    context.in_startup_grace() && told.is_some_and(|_| has_settled(image))
}

/// Whether an earlier process came to an answer.
fn has_settled(image: &ImageVerification) -> bool {
    let reason = image.status.as_ref().and_then(|status| status.reason.as_ref());
    reason.is_some_and(|reason| *reason != Reason::Pending)
}

/// What is known about revocation of this image; nothing where there is nothing to judge.
fn recall(case: &ParsedCase<'_>, looks: &Looks, revocation: &Revocation, now: Timestamp) -> FollowedRecall {
    let (Ok(reference), Some(findings)) = (&case.reference, &looks.findings) else { return FollowedRecall::default() };
    let matter = case.policy.matter(reference.repository(), findings);
    matter.map(|matter| matter.recall(revocation, case.policy.interval, now)).unwrap_or_default()
}

fn next_reconcile(
    case: &ParsedCase<'_>,
    looks: &Looks,
    judged: &Judged,
    recalled: &FollowedRecall,
    now: Timestamp,
) -> Duration {
    let looks_again = case.asks && !looks.in_flight && !case.policy.suspend;
    let revocation = case.revocation_wait(looks, recalled.due).unwrap_or(LOOK_AROUND);
    let look = if looks_again { case.wait(looks, now).min(revocation) } else { LOOK_AROUND };
    let change = judged.next_change.map_or(LOOK_AROUND, |moment| schedule::until(moment, now));
    // A moment later, so that the clock has passed the moment for certain.
    look.min(change).min(LOOK_AROUND) + Duration::from_millis(50)
}

/// Which look is due, if none is under way; then it counts as under way.
fn begin_look(case: &ParsedCase<'_>, memory: &Shared, recalled: &FollowedRecall, now: Timestamp) -> Option<Scope> {
    let looks = &mut lock(memory).looks;
    let revocation_due = || case.revocation_wait(looks, recalled.due).is_some_and(|wait| wait.is_zero());
    let scope = match looks.in_flight {
        true => None,
        false if case.wait(looks, now).is_zero() => Some(Scope::All),
        false => revocation_due().then_some(Scope::Revocation),
    };
    looks.in_flight |= scope.is_some();
    scope
}

/// Writes the status if it is worth it, and tells of a transition. Returns when to come back where a write was put off:
/// a policy that is edited all the time need not be followed edit by edit, unless it turns the verdict.
async fn write(
    image: &ImageVerification,
    context: &Context,
    memory: &Shared,
    conclusion: &Conclusion,
    policy: Option<&Policy>,
    found: Option<&Found>,
    now: Timestamp,
) -> Result<Option<Duration>, ApplyError> {
    let stands = image.status.clone().unwrap_or_default();
    // What we wrote is remembered, so that what somebody else wrote over it is put right, times and all.
    let previous = lock(memory).written.clone().unwrap_or_else(|| stands.clone());
    let running = found.map(|found| &found.running);
    let next = status::next(&previous, conclusion, running, image.metadata.generation.unwrap_or_default(), now);
    let interval = policy.map(|policy| policy.interval).unwrap_or_default();
    let foreign = stands != previous;
    let moved = previous.verdict != next.verdict;
    let since = lock(memory).last_write.map_or(PACE, |written| written.elapsed());
    let pace = PACE.checked_sub(since).filter(|wait| !moved && !foreign && !wait.is_zero());
    if foreign || status::worth_writing(&previous, &next, interval) {
        if pace.is_some() {
            return Ok(pace);
        }
        let written = apply::status(&context.client, image, &next).await;
        let result = written.as_ref().err().map_or("success", ApplyError::label);
        context.metrics.status_writes.get_or_create(&ResultLabels { kind: "ImageVerification", result }).inc();
        let written = written?;
        {
            let mut memory = lock(memory);
            memory.ahead.wrote(written.resource_version());
            memory.written = Some(written.status.unwrap_or(next));
            memory.last_write = Some(Instant::now());
        }
        if moved && conclusion.reason != Reason::Pending {
            log(image, previous.verdict.as_ref(), conclusion);
            let warning = matches!(conclusion.verdict(), Verdict::Failed | Verdict::Unknown);
            apply::event(&context.recorder, image, warning, conclusion.reason.as_str(), &conclusion.message).await;
        }
    }
    context.metrics.reconciles.get_or_create(&ResultLabels { kind: "ImageVerification", result: "success" }).inc();
    Ok(None)
}

/// Logs a transition.
fn log(image: &ImageVerification, was: Option<&Word<Verdict>>, conclusion: &Conclusion) {
    let (verdict, reason) = (conclusion.verdict().as_str(), conclusion.reason.as_str());
    tracing::info!(
        namespace = image.namespace(),
        policy = image.spec.trust_policy_ref.name,
        name = image.name_any(),
        image = image.spec.image,
        digest = image.spec.digest,
        verdict,
        was = was.map(ToString::to_string),
        reason,
        detail = conclusion.message,
        "verdict"
    );
}

/// Leaves the result for the policy's summary. Returns whether it is another than before.
fn report(memory: &Shared, policy: &Policy, judged: Judged) -> bool {
    let result = Some(ImageResult {
        reason: judged.conclusion.reason,
        trouble: judged.conclusion.trouble,
        verified_at: judged.conclusion.last_verified,
        ends: judged.ends,
        handled_request: judged.handled,
        judged_by: (policy.generation, policy.trust_hash.clone()),
    });
    let mut memory = lock(memory);
    let changed = memory.result != result;
    memory.result = result;
    changed
}
