// SPDX-License-Identifier: Apache-2.0
//! The controller of `TrustPolicy`: load it, find what runs, keep the `ImageVerification`s and the summary.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, PostParams, Preconditions},
    runtime::{controller::Action, reflector::ObjectRef},
};
use sealwatch_api::{
    ConditionType, FIELD_MANAGER, ImageVerification, TrustPolicy, TrustPolicyStatus,
    trust_policy::{DEFAULT_INTERVAL, DEFAULT_STALE_AFTER},
};
use sealwatch_verifier::schedule;

use crate::{
    apply::{self, Ahead, ApplyError, bounded},
    config_maps::Key,
    context::{Context, STARTUP_GRACE},
    discover::{self, Plan, discovered},
    image_verification::memory::{Discovered, seed},
    metrics::{ResultLabels, policies::Figures},
    policy::{Policy, requested_at},
    running::NamespaceImages,
    status::{condition, policy as status},
    trust_store::{
        Reader,
        secrets::{Freshness, Secrets},
    },
};

/// How many `ImageVerification`s are created or deleted at once.
const CONCURRENT_WRITES: usize = 8;
/// The shortest pause between two writes of one summary that are no matter of the gate.
const PACE: Duration = Duration::from_secs(1);
/// The longest wait between two reconciles.
const LOOK_AROUND: Duration = Duration::from_hours(1);

/// The pause before something that the API server refused is tried again.
const RETRY: Duration = Duration::from_secs(30);
/// How long a summary waits for answers that belong to the policy as it is now.
const JUDGING_MOST: Duration = Duration::from_secs(10);

/// What this process remembers of one policy.
#[derive(Debug, Default)]
struct Memory {
    uid: String,
    /// The Secrets that its trust stores name, as they were read.
    secrets: Secrets,
    written: Option<TrustPolicyStatus>,
    ahead: Ahead,
    last_write: Option<Instant>,
    /// Since when answers are awaited that belong to the policy as it is now.
    judging_since: Option<Instant>,
    /// Since when an image of an existing `ImageVerification` has not been running.
    absent: BTreeMap<String, Instant>,
}

/// What this process remembers of every policy.
#[derive(Debug, Default)]
pub struct Memories {
    table: Mutex<HashMap<Key, Arc<Mutex<Memory>>>>,
}

impl Memories {
    fn of(&self, policy: &TrustPolicy) -> Arc<Mutex<Memory>> {
        let key = (policy.namespace().unwrap_or_default(), policy.name_any());
        let uid = policy.uid().unwrap_or_default();
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let known = table.get(&key).filter(|memory| lock(memory).uid == uid).cloned();
        known.unwrap_or_else(|| {
            let memory = Arc::new(Mutex::new(Memory { uid, ..Memory::default() }));
            table.insert(key, Arc::clone(&memory));
            memory
        })
    }

    /// Forgets a policy that is gone.
    pub fn remove(&self, namespace: &str, name: &str) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.remove(&(namespace.to_owned(), name.to_owned()));
    }
}

fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One reconcile, step by step; only the steps marked so speak to anybody.
///
/// # Errors
/// When the API server refuses something that is needed.
pub async fn reconcile(object: Arc<TrustPolicy>, context: Arc<Context>) -> Result<Action, ApplyError> {
    context.sight.wait_or_refusal().await;
    let memory = context.memories.of(&object);
    let object = as_written(object, &memory);
    let now = Timestamp::now();

    // Load (speaks to the API server only where a ConfigMap is new or changed, or a Secret is due).
    let policy = Arc::new(load(&object, &context, &memory).await);
    let rejudge = context.policies.replace(&policy);
    if context.sight.lacks_essentials() {
        // Without pods and ImageVerifications nothing can be discovered, and nothing may be collected either.
        let (images, found) = (NamespaceImages::default(), Discovered::default());
        let summarised = Summarised { policy: &policy, images: &images, found: &found, existing: &[], gate: false };
        summarise(&object, &context, &memory, &summarised, now).await?;
        return Ok(Action::requeue(RETRY));
    }
    // Discover (pure).
    let images = discover::images(&context.running(), &policy, now);
    let found = discovered(&policy.name, &images);
    let changed = context.discoveries.replace(&policy.namespace, &policy.name, &found);
    let existing = context.images_of(&policy.namespace, &policy.name);
    let plan = {
        let absent = &mut lock(&memory).absent;
        discover::plan(&object, &found, &existing, absent, context.settings.collect_after, Instant::now())
    };
    // Wake those whose facts changed (speaks to nobody).
    if rejudge {
        context.trigger_images_of(&policy.namespace, &policy.name);
    } else {
        for name in changed {
            context.triggers.image(ObjectRef::new(&name).within(&policy.namespace));
        }
    }
    // Summarise, before a registry is asked about a new image: whoever waits for its verdict must not pass meanwhile.
    // (Speaks to the API server if the status changed.)
    let gate = !plan.create.is_empty();
    let summarised = Summarised { policy: &policy, images: &images, found: &found, existing: &existing, gate };
    let pace = summarise(&object, &context, &memory, &summarised, now).await?;
    // Apply (speaks to the API server).
    apply_plan(&context, &policy.namespace, &plan, &existing).await?;
    context.metrics.reconciles.get_or_create(&ResultLabels { kind: "TrustPolicy", result: "success" }).inc();
    context.metrics.policies.passed(&policy.namespace, &policy.name, now);
    let wait = next_reconcile(&images, &plan, pace, now).min(policy.reads_again.unwrap_or(LOOK_AROUND));
    Ok(Action::requeue(if policy.incomplete { wait.min(RETRY) } else { wait }))
}

/// The object as it is since we wrote its status, where the watch still shows an older version.
fn as_written(mut object: Arc<TrustPolicy>, memory: &Mutex<Memory>) -> Arc<TrustPolicy> {
    let mut memory = lock(memory);
    if let Some(version) = memory.ahead.sees(object.resource_version()) {
        let object = Arc::make_mut(&mut object);
        object.metadata.resource_version = Some(version);
        object.status.clone_from(&memory.written);
    }
    object
}

/// What to do after a failure.
#[allow(clippy::needless_pass_by_value)] // the signature is kube's
pub fn on_error(policy: Arc<TrustPolicy>, error: &ApplyError, context: Arc<Context>) -> Action {
    context.metrics.reconciles.get_or_create(&ResultLabels { kind: "TrustPolicy", result: error.label() }).inc();
    match error {
        ApplyError::Conflict => Action::requeue(Duration::from_millis(500)),
        ApplyError::Gone => Action::await_change(),
        ApplyError::Timeout | ApplyError::Refused(_) => {
            let (namespace, name) = (policy.namespace(), policy.name_any());
            tracing::warn!(namespace, kind = "TrustPolicy", name, %error, "reconcile failed");
            Action::requeue(RETRY)
        }
    }
}

async fn load(object: &TrustPolicy, context: &Context, memory: &Mutex<Memory>) -> Policy {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let reader = Reader {
        client: &context.client,
        config_maps: &context.config_maps,
        blind: context.sight.refusal("ConfigMap"),
        bundles: &context.bundles,
    };
    let freshness = Freshness {
        period: schedule::period(object.spec.interval().unwrap_or(DEFAULT_INTERVAL), seed(&name)),
        stale_after: object.spec.stale_after().unwrap_or(DEFAULT_STALE_AFTER),
        request: requested_at(object),
    };
    let mut secrets = lock(memory).secrets.clone();
    let loaded = reader.read(&namespace, &object.spec, &mut secrets, &freshness).await;
    lock(memory).secrets = secrets;
    Policy::new(object, loaded).after(context.policies.find(&namespace, &name).as_deref())
}

/// What a summary is made of.
struct Summarised<'a> {
    policy: &'a Policy,
    images: &'a NamespaceImages,
    found: &'a Discovered,
    existing: &'a [Arc<ImageVerification>],
    /// Whether an image was found that nobody knows yet.
    gate: bool,
}

/// Writes the status if it is worth it. Returns when to come back where a write was put off.
async fn summarise(
    object: &TrustPolicy,
    context: &Context,
    memory: &Mutex<Memory>,
    summarised: &Summarised<'_>,
    now: Timestamp,
) -> Result<Option<Duration>, ApplyError> {
    let policy = summarised.policy;
    let results = context.images.results(&policy.namespace, summarised.found.keys().map(String::as_str));
    let facts = status::Facts {
        policy,
        images: results.iter().map(|(name, result)| (*name, result.as_ref())).collect(),
        blind: context.sight.trouble(Instant::now()),
        pods: summarised.images.pods,
        containers: summarised.images.containers,
    };
    let each = context.settings.metrics_per_image.then_some(summarised.found);
    context.metrics.policies.set(&policy.namespace, &policy.name, Figures::of(&facts, each));
    if let Some(wait) = being_judged(memory, &facts, summarised.gate) {
        return Ok(Some(wait));
    }
    let facts = facts.without_older_answers();
    let stands = object.status.clone().unwrap_or_default();
    let earlier = lock(memory).written.is_none();
    if let Some(wait) = stands_for(context, &stands, summarised, &facts).filter(|_| earlier) {
        return Ok(Some(wait));
    }
    let previous = lock(memory).written.clone().unwrap_or_else(|| stands.clone());
    let next = status::next(&previous, &facts, now);
    if stands == previous && !status::worth_writing(&previous, &next, policy.interval) {
        return Ok(None);
    }
    let since = lock(memory).last_write.map_or(PACE, |written| written.elapsed());
    if let Some(wait) = PACE.checked_sub(since).filter(|wait| !summarised.gate && !wait.is_zero()) {
        return Ok(Some(wait));
    }
    let written = apply::status(&context.client, object, &next).await;
    let result = written.as_ref().err().map_or("success", ApplyError::label);
    context.metrics.status_writes.get_or_create(&ResultLabels { kind: "TrustPolicy", result }).inc();
    let written = written?;
    tell(object, context, &previous, &next).await;
    let mut memory = lock(memory);
    memory.ahead.wrote(written.resource_version());
    memory.written = Some(written.status.unwrap_or(next));
    memory.last_write = Some(Instant::now());
    Ok(None)
}

/// After an edit every image is judged again, within moments and without a request. A summary of old answers under
/// the new generation would be a lie, so it waits for them, but neither for ever nor where the gate has to close.
fn being_judged(memory: &Mutex<Memory>, facts: &status::Facts<'_>, gate: bool) -> Option<Duration> {
    let mut memory = lock(memory);
    if facts.is_judged() {
        memory.judging_since = None;
        return None;
    }
    let waited = memory.judging_since.get_or_insert_with(Instant::now).elapsed();
    JUDGING_MOST.checked_sub(waited).filter(|wait| !gate && !wait.is_zero())
}

/// After a restart an earlier process's summary stands until there is an answer for every image that it counted, for
/// two minutes at most. An image that nobody knows yet ends that at once.
fn stands_for(
    context: &Context,
    stands: &TrustPolicyStatus,
    summarised: &Summarised<'_>,
    facts: &status::Facts<'_>,
) -> Option<Duration> {
    let same_generation = stands.observed_generation == Some(summarised.policy.generation);
    if summarised.gate || !context.in_startup_grace() || !same_generation || summarised.policy.document.is_err() {
        return None;
    }
    let told = |name: &str| {
        let image = summarised.existing.iter().find(|image| image.name_any() == name);
        image
            .and_then(|image| image.status.as_ref()?.reason.as_ref())
            .is_some_and(|reason| *reason != sealwatch_api::Reason::Pending)
    };
    let mut unanswered = facts.images.iter().filter(|(_, result)| result.is_none()).peekable();
    unanswered.peek()?;
    unanswered
        .all(|(name, _)| told(name))
        .then(|| STARTUP_GRACE.saturating_sub(context.started.elapsed()) + Duration::from_secs(1))
}

/// Tells of a condition that moved: a warning where it became False, else a plain event where it recovered.
async fn tell(object: &TrustPolicy, context: &Context, previous: &TrustPolicyStatus, next: &TrustPolicyStatus) {
    for kind in [ConditionType::Ready, ConditionType::Verified] {
        let status_of =
            |status: &TrustPolicyStatus| condition(&status.conditions, kind).map(|condition| condition.status.clone());
        let (before, Some(now)) = (status_of(previous), condition(&next.conditions, kind)) else { continue };
        let recovered = before.as_deref() == Some("False") && now.status == "True";
        if now.status == "False" && before.as_deref() != Some("False") || recovered {
            apply::event(&context.recorder, object, !recovered, &now.reason, &now.message).await;
        }
    }
}

async fn apply_plan(
    context: &Context,
    namespace: &str,
    plan: &Plan,
    existing: &[Arc<ImageVerification>],
) -> Result<(), ApplyError> {
    let api: Api<ImageVerification> = Api::namespaced(context.client.clone(), namespace);
    let creations: Vec<_> = plan.create.iter().map(|image| create(&api, image)).collect();
    stream::iter(creations).buffer_unordered(CONCURRENT_WRITES).try_collect::<()>().await?;
    let uid_of = |name: &String| existing.iter().find(|image| image.name_any() == *name).and_then(|image| image.uid());
    let deletions: Vec<_> = plan.delete.iter().map(|name| delete(&api, name, uid_of(name))).collect();
    stream::iter(deletions).buffer_unordered(CONCURRENT_WRITES).try_collect::<()>().await
}

async fn create(api: &Api<ImageVerification>, image: &ImageVerification) -> Result<(), ApplyError> {
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    match bounded(api.create(&params, image)).await {
        // Somebody made it before us, or a namesake is about to be collected: its events bring us back.
        Ok(_) | Err(ApplyError::Conflict) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn delete(api: &Api<ImageVerification>, name: &str, uid: Option<String>) -> Result<(), ApplyError> {
    let only_that = Preconditions { uid, resource_version: None };
    match bounded(api.delete(name, &DeleteParams::default().preconditions(only_that))).await {
        Ok(_) | Err(ApplyError::Gone | ApplyError::Conflict) => Ok(()),
        Err(error) => Err(error),
    }
}

fn next_reconcile(images: &NamespaceImages, plan: &Plan, pace: Option<Duration>, now: Timestamp) -> Duration {
    let clock = images.next_change.map(|moment| schedule::until(moment, now) + Duration::from_millis(50));
    [clock, plan.next, pace].into_iter().flatten().min().unwrap_or(LOOK_AROUND).min(LOOK_AROUND)
}
