// SPDX-License-Identifier: Apache-2.0
//! The status of an `ImageVerification`.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use sealwatch_api::{
    self as api, Anchor, AppliedPolicy, Check, CheckAction, CheckResult, CheckType, ConditionStatus, ConditionType,
    ImageVerificationStatus, Reason, RevocationEvidence, RevocationMethod, Running, RunningContainer, Signature,
    SignedVia, Signer, Transition, Verdict, Vocabulary as _, Word,
    condition::Circumstance,
    image_verification::status::{CONTAINERS_MAX, PLATFORMS_MAX, REFERENCES_MAX, TRANSITIONS_MAX},
    text::{CHECK_MESSAGE_MAX_BYTES, MESSAGE_MAX_BYTES, SUPPLIED_TEXT_MAX_BYTES, clip},
};
use sealwatch_notation::{self as notation, Actions, Certificate};
use sealwatch_registry::Digest;
use sealwatch_verifier::{Applied, SignatureEvidence, Verification, Via};

use super::{Trouble, Wanted, conditions, time};
use crate::{
    policy::Policy,
    running::{Container, ContainerKind, ContainerState, RunningImage},
};

/// How long an unchanged status may keep an old `lastVerifiedTime`, as a share of the interval (at least an hour).
const HEARTBEAT_SHARE: f64 = 0.8;
/// The shortest interval that counts for the heartbeat.
const HEARTBEAT_LEAST: Duration = Duration::from_hours(1);

/// What is concluded about an image, before it meets the status that stands.
#[derive(Clone, Debug)]
pub struct Conclusion {
    /// Why; the verdict follows from it.
    pub reason: Reason,
    /// It in a sentence.
    pub message: String,
    /// When complete evidence was last obtained, if the conclusion rests on any.
    pub last_verified: Option<Timestamp>,
    /// Notation's five checks.
    pub checks: Vec<Check>,
    /// The signature that decided.
    pub signature: Option<Signature>,
    /// What was applied.
    pub policy: Option<AppliedPolicy>,
    /// What keeps Sealwatch from checking afresh.
    pub trouble: Option<Trouble>,
    /// What only the user can mend in this object.
    pub stalled: Option<String>,
    /// The request for a fresh look that was handled last.
    pub handled_request: Option<String>,
}

impl Conclusion {
    /// A conclusion that rests on no signature.
    pub fn plain(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            last_verified: None,
            checks: Vec::new(),
            signature: None,
            policy: None,
            trouble: None,
            stalled: None,
            handled_request: None,
        }
    }

    /// The conclusion that a verification is, about that digest.
    pub fn of(
        verification: &Verification,
        policy: &Policy,
        about: Option<(&Digest, Via)>,
        last_verified: Option<Timestamp>,
    ) -> Self {
        let reason = Reason::parse(verification.reason.as_str()).unwrap_or(Reason::Pending);
        Self {
            reason,
            message: verification.message.clone(),
            last_verified,
            checks: verification.checks.iter().map(check).collect(),
            signature: verification.signature.as_ref().map(|evidence| signature(evidence, verification, about)),
            policy: Some(applied(policy, verification.applied.as_ref())),
            trouble: None,
            stalled: None,
            handled_request: None,
        }
    }

    /// The verdict.
    pub fn verdict(&self) -> Verdict {
        self.reason.verdict()
    }

    fn conditions(&self) -> Vec<Wanted> {
        let verified = match self.verdict() {
            Verdict::Verified | Verdict::Skipped => ConditionStatus::True,
            Verdict::Failed => ConditionStatus::False,
            Verdict::Unknown => ConditionStatus::Unknown,
        };
        let mut wanted =
            vec![self.ready(), Wanted::new(ConditionType::Verified, verified, self.reason, self.message.clone())];
        // Nothing is under way for who is not to be looked at.
        let suspended = self.trouble.as_ref().is_some_and(|trouble| trouble.reason == Circumstance::Suspended.into());
        if self.reason == Reason::Pending && !suspended {
            let message = "the image is about to be looked at";
            wanted.push(Wanted::new(
                ConditionType::Reconciling,
                ConditionStatus::True,
                Circumstance::Progressing,
                message,
            ));
        }
        if let Some(stalled) = &self.stalled {
            wanted.push(Wanted::new(ConditionType::Stalled, ConditionStatus::True, self.reason, stalled.clone()));
        }
        wanted
    }

    fn ready(&self) -> Wanted {
        let ready = |status, reason, message: &str| Wanted {
            kind: ConditionType::Ready,
            status,
            reason,
            message: message.into(),
        };
        if let Some(trouble) = &self.trouble {
            return ready(ConditionStatus::False, trouble.reason, &trouble.message);
        }
        match (self.reason, self.verdict()) {
            (Reason::Pending, _) => {
                ready(ConditionStatus::Unknown, Circumstance::Progressing.into(), "not looked at yet")
            }
            (reason, Verdict::Unknown) => ready(ConditionStatus::False, reason.into(), &self.message),
            _ => ready(ConditionStatus::True, Circumstance::Succeeded.into(), "the verdict is conclusive and fresh"),
        }
    }
}

/// The status that shall stand.
pub fn next(
    previous: &ImageVerificationStatus,
    conclusion: &Conclusion,
    running: Option<&RunningImage>,
    generation: i64,
    now: Timestamp,
) -> ImageVerificationStatus {
    let verdict = conclusion.verdict();
    let moved = previous.verdict.as_ref().is_none_or(|known| *known != verdict);
    let mut transitions = previous.transitions.clone();
    if moved {
        transitions.push(Transition {
            time: Some(time(now)),
            verdict: Some(verdict.into()),
            reason: Some(conclusion.reason.into()),
        });
        transitions.drain(..transitions.len().saturating_sub(TRANSITIONS_MAX));
    }
    let since = previous.verdict_since.clone().filter(|_| !moved);
    ImageVerificationStatus {
        observed_generation: Some(generation),
        verdict: Some(verdict.into()),
        reason: Some(conclusion.reason.into()),
        message: Some(clip(&conclusion.message, MESSAGE_MAX_BYTES)),
        verdict_since: Some(since.unwrap_or_else(|| time(now))),
        last_verified_time: conclusion.last_verified.map(time),
        checks: conclusion.checks.clone(),
        signature: conclusion.signature.clone(),
        policy: conclusion.policy.clone(),
        running: running.map(running_block),
        transitions,
        conditions: conditions(&previous.conditions, conclusion.conditions(), generation, now),
        last_handled_requested_at: conclusion.handled_request.clone(),
    }
}

/// Whether `next` is worth a write: something other than a time changed, or the heartbeat is due.
pub fn worth_writing(previous: &ImageVerificationStatus, next: &ImageVerificationStatus, interval: Duration) -> bool {
    let mut timeless = next.clone();
    timeless.last_verified_time.clone_from(&previous.last_verified_time);
    if timeless != *previous {
        return true;
    }
    heartbeat_due(previous.last_verified_time.as_ref(), next.last_verified_time.as_ref(), interval)
}

/// Whether a time that says "still so" has become so old that it must be written again; or is one of the future, by so
/// much, because the clock was set back.
pub(super) fn heartbeat_due(
    written: Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>,
    current: Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>,
    interval: Duration,
) -> bool {
    match (written, current) {
        (Some(written), Some(current)) => {
            let age = current.0.duration_since(written.0).unsigned_abs();
            age > interval.max(HEARTBEAT_LEAST).mul_f64(HEARTBEAT_SHARE)
        }
        (written, current) => written.is_some() != current.is_some(),
    }
}

fn check(check: &notation::Check) -> Check {
    let message = clip(&check.message, CHECK_MESSAGE_MAX_BYTES);
    Check {
        type_: Some(word::<CheckType>(check.check.as_str())),
        action: Some(word::<CheckAction>(&check.action.to_string())),
        result: Some(word::<CheckResult>(check.result.as_str())),
        message: Some(message).filter(|message| !message.is_empty()),
    }
}

fn word<T: api::Vocabulary>(text: &str) -> Word<T> {
    Word::from(text)
}

fn applied(policy: &Policy, applied: Option<&Applied>) -> AppliedPolicy {
    AppliedPolicy {
        uid: policy.uid.clone(),
        generation: policy.generation,
        statement: applied.map(|applied| clip(&applied.statement, SUPPLIED_TEXT_MAX_BYTES)),
        level: applied.map(|applied| applied.level.to_string()),
        actions: applied.map(|applied| actions(applied.actions)).unwrap_or_default(),
        trust_hash: policy.trust_hash.clone(),
    }
}

fn actions(actions: Actions) -> BTreeMap<String, Word<CheckAction>> {
    let action = |check: notation::CheckType| (check.to_string(), word(&actions.of(check).to_string()));
    notation::CheckType::ALL.into_iter().map(action).collect()
}

fn signature(evidence: &SignatureEvidence, verification: &Verification, about: Option<(&Digest, Via)>) -> Signature {
    let envelope = &evidence.envelope;
    let leaf = envelope.leaf();
    let subject = clip(leaf.subject(), SUPPLIED_TEXT_MAX_BYTES);
    let integral = verification
        .checks
        .iter()
        .any(|check| check.check == notation::CheckType::Integrity && check.result == notation::CheckResult::Passed);
    Signature {
        digest: Some(evidence.digest.to_string()),
        media_type: Some(clip(envelope.media_type(), 64)),
        scheme: Some(clip(&envelope.signing_scheme().to_string(), 64)),
        signing_time: Some(time(envelope.signing_time())),
        timestamp: evidence.timestamp.as_ref().map(|timestamp| api::Timestamp {
            time: Some(time(timestamp.time)),
            authority: clip(timestamp.authority.subject(), SUPPLIED_TEXT_MAX_BYTES),
        }),
        expiry: envelope.expiry().map(time),
        // A name is a fact only once the chain is trusted and the identity is one of the policy's.
        signer: evidence.authentic.then(|| signer(leaf)),
        claimed_signer: (!evidence.authentic).then_some(subject),
        anchor: evidence.anchor.as_ref().map(|anchor| Anchor {
            store: anchor.store.to_string(),
            subject: clip(anchor.certificate.subject(), SUPPLIED_TEXT_MAX_BYTES),
            sha256: anchor.certificate.sha256().to_owned(),
        }),
        verified_digest: about.filter(|_| integral).map(|(digest, _)| digest.to_string()),
        via: about.filter(|_| integral).map(|(_, via)| word::<SignedVia>(via.as_str())),
        revocation: evidence.revocation.as_ref().map(|revocation| RevocationEvidence {
            method: Some(word::<RevocationMethod>(revocation.method.as_str())),
            checked_at: evidence.revocation_checked_at.map(time),
            next_update: revocation.next_update.map(time),
        }),
    }
}

fn signer(leaf: &Certificate) -> Signer {
    Signer {
        common_name: leaf.common_name().map(|name| clip(name, SUPPLIED_TEXT_MAX_BYTES)),
        subject: clip(leaf.subject(), SUPPLIED_TEXT_MAX_BYTES),
        issuer: clip(leaf.issuer(), SUPPLIED_TEXT_MAX_BYTES),
        sha256: leaf.sha256().to_owned(),
        not_before: Some(time(leaf.not_before())),
        not_after: Some(time(leaf.not_after())),
    }
}

fn running_block(running: &RunningImage) -> Running {
    let container = |(pod, container): &(std::sync::Arc<str>, Container)| RunningContainer {
        pod: clip(pod, 253),
        container: clip(&container.name, 253),
        type_: Some(
            match container.kind {
                ContainerKind::Container => api::ContainerType::Container,
                ContainerKind::Init => api::ContainerType::InitContainer,
                ContainerKind::Sidecar => api::ContainerType::Sidecar,
                ContainerKind::Ephemeral => api::ContainerType::EphemeralContainer,
                ContainerKind::Volume => api::ContainerType::ImageVolume,
            }
            .into(),
        ),
        state: Some(
            match container.state {
                ContainerState::Running => api::ContainerState::Running,
                ContainerState::Terminated { .. } => api::ContainerState::Terminated,
            }
            .into(),
        ),
    };
    Running {
        pods: u32::try_from(running.pods).unwrap_or(u32::MAX),
        containers: running.containers.iter().take(CONTAINERS_MAX).map(container).collect(),
        references: running.references.iter().take(REFERENCES_MAX).map(|reference| clip(reference, 512)).collect(),
        platforms: running.platforms.iter().take(PLATFORMS_MAX).map(ToString::to_string).collect(),
    }
}
