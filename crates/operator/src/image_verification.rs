// SPDX-License-Identifier: Apache-2.0
//! The controller of `ImageVerification`: look when it is due, judge, write what changed.

pub mod look;
pub mod memory;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use kube::{
    ResourceExt,
    runtime::{controller::Action, reflector::ObjectRef},
};
use sealwatch_api::{ExpiryKind, ImageVerification, Reason, Verdict, condition::Circumstance};
use sealwatch_registry::{Digest, Reference, Repository};
use sealwatch_verifier::{self as verifier, Evidence, Selection, Verification, schedule};

use self::memory::{Looks, Request, Shared, lock};
use crate::{
    apply::{self, ApplyError},
    context::{Context, STARTUP_GRACE},
    discover::{self, Found},
    metrics::ResultLabels,
    policy::{Policy, requested_at},
    running::RunningDigest,
    status::{
        Trouble,
        image::{self as status, Conclusion},
        policy::{Expiry, ImageResult},
    },
};

/// The longest wait between two reconciles of an image: a bound on how late a clock that was set can be noticed.
const LOOK_AROUND: Duration = Duration::from_hours(1);

/// One reconcile, step by step; only the steps marked so speak to anybody.
///
/// # Errors
/// When the status could not be written.
pub async fn reconcile(image: Arc<ImageVerification>, context: Arc<Context>) -> Result<Action, ApplyError> {
    context.synced.wait().await;
    let key = ObjectRef::from_obj(&*image);
    let memory = context.images.of(&key, &image.uid().unwrap_or_default());
    if lock(&memory).judged_version == image.resource_version() {
        // We wrote since, and the watch has not told us yet: it will.
        return Ok(Action::requeue(Duration::from_secs(1)));
    }
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
            write(&image, &context, &memory, &conclusion, None, now).await?;
            return Ok(Action::await_change());
        }
    };
    let found = context.discoveries.of(&policy.namespace, &policy.name).get(&image.name_any()).cloned();
    let ours = discover::is_owned_by(&image, &policy.uid);
    let case = Case { image: &image, policy: &policy, found: found.as_ref().filter(|_| ours), ours }.parse();

    // Look, in a task of its own (speaks to the registry).
    let due = case.asks && !policy.suspend && lock(&memory).looks.is_due(&case.request, Instant::now());
    if due {
        lock(&memory).looks.in_flight = true;
        look::start(&context, &key, &memory, &case);
    }
    // Judge (pure).
    let looks = lock(&memory).looks.clone();
    let judged = judge(&case, &looks, now);
    let wait = next_reconcile(&case, &looks, &judged, now);
    if judged.is_without_answer() && stands(&image, &context) {
        let grace = STARTUP_GRACE.saturating_sub(context.started.elapsed()) + Duration::from_secs(1);
        return Ok(Action::requeue(wait.min(grace)));
    }
    // Write (speaks to the API server).
    write(&image, &context, &memory, &judged.conclusion, case.found, now).await?;
    // Report to the policy (speaks to nobody).
    if report(&memory, &policy, judged) && ours {
        context.triggers.trust_policy(ObjectRef::new(&policy.name).within(&policy.namespace));
    }
    Ok(Action::requeue(wait))
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
            tracing::warn!(namespace = image.namespace(), name = image.name_any(), %error, "could not write a status");
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

/// One image under one policy.
struct Case<'a> {
    image: &'a ImageVerification,
    policy: &'a Policy,
    found: Option<&'a Found>,
    ours: bool,
}

/// One image under one policy, parsed: what was written wrongly is a conclusion already.
pub struct ParsedCase<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// Where the image runs.
    found: Option<&'a Found>,
    /// Where it is looked up, or why it cannot be.
    pub reference: Result<Reference, Box<Conclusion>>,
    /// The digest, where the object names one.
    pub digest: Option<Digest>,
    /// Whether the operator made the object.
    pub ours: bool,
    /// Whether a registry is asked about it at all.
    asks: bool,
    /// What asks for a fresh look.
    pub request: Request,
    /// The object's name.
    pub name: String,
}

impl<'a> Case<'a> {
    fn parse(self) -> ParsedCase<'a> {
        let parsed = self.reference();
        let digest = self.image.spec.digest.as_ref().and_then(|digest| digest.parse().ok());
        let asks = match (&parsed, &self.policy.document) {
            (Ok(reference), Ok(document)) => {
                matches!(verifier::select(document, reference.repository()), Selection::Judge(_))
            }
            _ => false,
        };
        ParsedCase {
            policy: self.policy,
            found: self.found,
            reference: parsed,
            digest,
            ours: self.ours,
            asks,
            request: Request { image: requested_at(self.image), policy: self.policy.requested_at.clone() },
            name: self.image.name_any(),
        }
    }

    fn reference(&self) -> Result<Reference, Box<Conclusion>> {
        let unresolvable = |message: String, stalled: bool| {
            let stalled = stalled.then(|| message.clone());
            Box::new(Conclusion { stalled, ..Conclusion::plain(Reason::DigestUnresolvable, message) })
        };
        let spec = &self.image.spec;
        if let Some(found) = self.found {
            match &found.key.digest {
                RunningDigest::Manifest(_) => {}
                RunningDigest::Config(digest) => {
                    let message = format!(
                        "the node reports only the image configuration {digest}, as for an image that was loaded from a \
                         file; this version does not look for the manifest that it belongs to"
                    );
                    return Err(unresolvable(message, false));
                }
                RunningDigest::Unreadable(text) => {
                    let message = format!("status.containerStatuses[].imageID is {text:?}, which names no digest");
                    return Err(unresolvable(message, false));
                }
            }
        }
        if self.found.is_none() && self.ours && spec.digest.is_none() {
            return Err(unresolvable("the node reported no readable digest for this image".into(), false));
        }
        let reference: Reference = spec
            .image
            .parse()
            .map_err(|error| unresolvable(format!("spec.image {:?}: {error}", spec.image), !self.ours))?;
        match &spec.digest {
            Some(digest) => {
                digest.parse::<Digest>().map_err(|error| unresolvable(format!("spec.digest: {error}"), !self.ours))?;
            }
            None if reference.tag().is_none() && reference.digest().is_none() => {
                return Err(unresolvable(
                    format!("spec.image {:?} names neither tag nor digest", spec.image),
                    !self.ours,
                ));
            }
            None => {}
        }
        Ok(reference)
    }
}

impl ParsedCase<'_> {
    /// The pull secrets to try: of the pods, then of the policy.
    pub fn pull_secrets(&self) -> Vec<String> {
        let pods = self.found.into_iter().flat_map(|found| found.running.pull_secrets.iter().cloned());
        let mut secrets: Vec<String> = pods.collect();
        secrets.extend(self.policy.pull_secrets.iter().cloned());
        secrets
    }
}

/// A conclusion with what else follows from the same evidence.
struct Judged {
    conclusion: Conclusion,
    /// The next moment at which the clock alone changes it.
    next_change: Option<Timestamp>,
    /// The first thing that it rests on and that ends.
    expiry: Option<Expiry>,
    /// The policy's request that has been handled.
    handled: Option<String>,
}

impl Judged {
    /// Whether this process has nothing to say yet.
    fn is_without_answer(&self) -> bool {
        let conclusion = &self.conclusion;
        conclusion.reason == Reason::Pending || conclusion.trouble.is_some() && conclusion.last_verified.is_none()
    }
}

/// From what is known to a conclusion. Pure.
fn judge(case: &ParsedCase<'_>, looks: &Looks, now: Timestamp) -> Judged {
    let mut judged = match (&case.policy.document, &case.reference) {
        (Err(rule), _) => Judged::plain(Conclusion::plain(Reason::TrustPolicyInvalid, rule.clone())),
        (_, Err(conclusion)) => Judged::plain(Conclusion::clone(conclusion)),
        (Ok(document), Ok(reference)) => match verifier::select(document, reference.repository()) {
            Selection::NoStatement => judged_alone(&Verification::no_statement(reference.repository()), case, now),
            Selection::Skip(statement) => judged_alone(&Verification::skipped(statement), case, now),
            Selection::Judge(_) => match &looks.evidence {
                Some(evidence) => judged_by(evidence, case, reference.repository(), looks, now),
                None => Judged::plain(without_evidence(looks)),
            },
        },
    };
    if case.policy.suspend && case.asks {
        let message = "spec.suspend of the policy is true: no request is made".to_owned();
        judged.conclusion.trouble = Some(Trouble { reason: Circumstance::Suspended.into(), message });
    }
    // Requests are about registries: where none is asked, there is nothing left to do for one.
    let handled = if case.asks { &looks.handled } else { &case.request };
    judged.conclusion.handled_request.clone_from(&handled.image);
    judged.handled.clone_from(&handled.policy);
    judged
}

impl Judged {
    fn plain(conclusion: Conclusion) -> Self {
        Self { conclusion, next_change: None, expiry: None, handled: None }
    }
}

/// A verdict that needs no evidence: it is as fresh as the moment.
fn judged_alone(verification: &Verification, case: &ParsedCase<'_>, now: Timestamp) -> Judged {
    Judged::plain(Conclusion::of(verification, case.policy, None, Some(now)))
}

fn without_evidence(looks: &Looks) -> Conclusion {
    match &looks.error {
        Some(error) => Conclusion {
            trouble: Some(Trouble { reason: error.reason.into(), message: error.message.clone() }),
            ..Conclusion::plain(error.reason, error.message.clone())
        },
        None => Conclusion::plain(Reason::Pending, "not looked at yet"),
    }
}

fn judged_by(
    evidence: &Evidence,
    case: &ParsedCase<'_>,
    repository: &Repository,
    looks: &Looks,
    now: Timestamp,
) -> Judged {
    let policy = case.policy;
    let Ok(document) = &policy.document else { return Judged::plain(without_evidence(looks)) };
    let digest = evidence.image.digest.to_string();
    let stale_at = evidence.gathered_at.checked_add(policy.stale_after).ok();
    let verification = verifier::judge(repository, evidence, document, &policy.stores.stores, now);
    let mut conclusion = Conclusion::of(&verification, policy, Some(&digest), Some(evidence.gathered_at));
    if let Some(note) = pinned_elsewhere(case, &evidence.image.digest) {
        conclusion.message.push_str(&note);
    }
    conclusion.trouble =
        looks.error.as_ref().map(|error| Trouble { reason: error.reason.into(), message: error.message.clone() });
    if stale_at.is_some_and(|stale_at| stale_at <= now) {
        let was = conclusion.verdict();
        conclusion.message =
            format!("last checked at {}, longer ago than staleAfter; it was {was} then", evidence.gathered_at);
        conclusion.reason = Reason::Stale;
    }
    let next_change = [verification.next_change, stale_at].into_iter().flatten().filter(|moment| *moment > now).min();
    let expiry = (conclusion.verdict() == Verdict::Verified).then(|| expiry(&verification)).flatten();
    Judged { conclusion, next_change, expiry, handled: None }
}

/// What to say where the pods pin another digest than the one that runs.
fn pinned_elsewhere(case: &ParsedCase<'_>, running: &Digest) -> Option<String> {
    let references = case.found.into_iter().flat_map(|found| &found.running.references);
    let mut pinned = references.filter_map(|reference| reference.parse::<Reference>().ok()?.digest().cloned());
    pinned
        .find(|pinned| pinned != running)
        .map(|pinned| format!("; the pod pins {pinned}, and the digest above is what runs"))
}

/// The first end among what a verdict rests on: the signature, its certificates, the anchor. A timestamp proves that
/// the signature was made in time, and so the end of the certificates changes nothing then.
fn expiry(verification: &Verification) -> Option<Expiry> {
    let evidence = verification.signature.as_ref()?;
    let envelope = &evidence.envelope;
    let anchor = evidence.anchor.as_ref().map(|anchor| &anchor.certificate);
    let ending = if evidence.timestamp.is_some() { &[][..] } else { envelope.certificate_chain() };
    let certificates = ending.iter().map(|certificate| Expiry {
        time: certificate.not_after(),
        kind: if Some(certificate) == anchor { ExpiryKind::TrustAnchor } else { ExpiryKind::SigningCertificate },
        subject: certificate.subject().to_owned(),
    });
    let signature = envelope.expiry().map(|time| Expiry {
        time,
        kind: ExpiryKind::Signature,
        subject: envelope.leaf().subject().to_owned(),
    });
    certificates.chain(signature).min()
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

fn next_reconcile(case: &ParsedCase<'_>, looks: &Looks, judged: &Judged, now: Timestamp) -> Duration {
    let look = looks.next.map_or(LOOK_AROUND, |next| next.saturating_duration_since(Instant::now()));
    let look = if case.asks && !looks.in_flight && !case.policy.suspend { look } else { LOOK_AROUND };
    let change = judged.next_change.map_or(LOOK_AROUND, |moment| schedule::until(moment, now));
    // A moment later, so that the clock has passed the moment for certain.
    look.min(change).min(LOOK_AROUND) + Duration::from_millis(50)
}

/// Writes the status if it is worth it, and tells of a transition.
async fn write(
    image: &ImageVerification,
    context: &Context,
    memory: &Shared,
    conclusion: &Conclusion,
    found: Option<&Found>,
    now: Timestamp,
) -> Result<(), ApplyError> {
    let stands = image.status.clone().unwrap_or_default();
    // What we wrote is remembered, so that what somebody else wrote over it is put right, times and all.
    let previous = lock(memory).written.clone().unwrap_or_else(|| stands.clone());
    let running = found.map(|found| &found.running);
    let next = status::next(&previous, conclusion, running, image.metadata.generation.unwrap_or_default(), now);
    let policy = context.policies.find(&image.namespace().unwrap_or_default(), &image.spec.trust_policy_ref.name);
    let interval = policy.map(|policy| policy.interval).unwrap_or_default();
    let foreign = stands != previous;
    if foreign || status::worth_writing(&previous, &next, interval) {
        let written = apply::status(&context.client, image, &next).await;
        let result = written.as_ref().err().map_or("success", ApplyError::label);
        context.metrics.status_writes.get_or_create(&ResultLabels { kind: "ImageVerification", result }).inc();
        written?;
        let moved = previous.verdict != next.verdict;
        {
            let mut memory = lock(memory);
            memory.written = Some(next);
            memory.judged_version = image.resource_version();
        }
        if moved && conclusion.reason != Reason::Pending {
            let warning = matches!(conclusion.verdict(), Verdict::Failed | Verdict::Unknown);
            apply::event(&context.recorder, image, warning, conclusion.reason.as_str(), &conclusion.message).await;
        }
    }
    context.metrics.reconciles.get_or_create(&ResultLabels { kind: "ImageVerification", result: "success" }).inc();
    Ok(())
}

/// Leaves the result for the policy's summary. Returns whether it is another than before.
fn report(memory: &Shared, policy: &Policy, judged: Judged) -> bool {
    let result = Some(ImageResult {
        reason: judged.conclusion.reason,
        trouble: judged.conclusion.trouble,
        verified_at: judged.conclusion.last_verified,
        next_expiry: judged.expiry,
        handled_request: judged.handled,
        judged_by: (policy.generation, policy.trust_hash.clone()),
    });
    let mut memory = lock(memory);
    let changed = memory.result != result;
    memory.result = result;
    changed
}
