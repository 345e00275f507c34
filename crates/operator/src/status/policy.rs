// SPDX-License-Identifier: Apache-2.0
//! The status of a `TrustPolicy`.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use sealwatch_api::{
    ConditionStatus, ConditionType, ExpiryKind, NextExpiry, Reason, Summary, TrustPolicyStatus, Verdict,
    condition::Circumstance,
    text::{SUPPLIED_TEXT_MAX_BYTES, clip},
    trust_policy::status::FAILING_MAX,
};
use sealwatch_notation::{Level, Statement, TrustStoreRef, TrustStoreType};

use super::{Trouble, Wanted, conditions, image::heartbeat_due, time};
use crate::policy::Policy;

/// What this process knows about one image of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageResult {
    /// Why; the verdict follows from it.
    pub reason: Reason,
    /// What keeps Sealwatch from checking it afresh.
    pub trouble: Option<Trouble>,
    /// When complete evidence was last obtained.
    pub verified_at: Option<Timestamp>,
    /// What it rests on and ends: the first of each kind.
    pub ends: Vec<Expiry>,
    /// The policy's request for a fresh look that was handled last.
    pub handled_request: Option<String>,
    /// The policy that it was judged by: its generation, and the hash of what it trusts.
    pub judged_by: (i64, String),
}

impl ImageResult {
    /// Whether it belongs to the policy as it is now.
    pub fn is_judged_by(&self, policy: &Policy) -> bool {
        self.judged_by.0 == policy.generation && self.judged_by.1 == policy.trust_hash
    }
}

/// Something that a verdict rests on and that ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiry {
    /// When.
    pub time: Timestamp,
    /// What.
    pub kind: ExpiryKind,
    /// Whose.
    pub subject: String,
}

/// Everything that a policy's status tells of.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The policy as loaded.
    pub policy: &'a Policy,
    /// Each running image by the name of its `ImageVerification`; `None` without an answer of this process.
    pub images: BTreeMap<&'a str, Option<&'a ImageResult>>,
    /// What keeps us from seeing the cluster as it is now.
    pub blind: Option<Trouble>,
    /// How many pods run something that the policy selects.
    pub pods: usize,
    /// How many containers.
    pub containers: usize,
}

impl Facts<'_> {
    /// Whether every answer there is belongs to the policy as it is now.
    pub fn is_judged(&self) -> bool {
        self.images.values().flatten().all(|result| result.is_judged_by(self.policy))
    }

    /// The same, where an answer that belongs to an older policy counts as none.
    #[must_use]
    pub fn without_older_answers(mut self) -> Self {
        for result in self.images.values_mut() {
            *result = result.filter(|result| result.is_judged_by(self.policy));
        }
        self
    }

    fn summary(&self) -> Summary {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let mut summary = Summary {
            images: count(self.images.len()),
            pods: count(self.pods),
            containers: count(self.containers),
            ..Summary::default()
        };
        for result in self.images.values() {
            let reason = result.map_or(Reason::Pending, |result| result.reason);
            match reason.verdict() {
                Verdict::Verified => summary.verified += 1,
                Verdict::Failed => summary.failed += 1,
                Verdict::Unknown => summary.unknown += 1,
                Verdict::Skipped => summary.skipped += 1,
            }
            summary.logged += u32::from(reason == Reason::FailuresLogged);
        }
        summary
    }

    /// The images that are Failed or Unknown, the failed first.
    fn failing(&self) -> Vec<(&str, Reason)> {
        let reasons =
            self.images.iter().map(|(name, result)| (*name, result.map_or(Reason::Pending, |result| result.reason)));
        let of = |verdict: Verdict| reasons.clone().filter(move |(_, reason)| reason.verdict() == verdict);
        of(Verdict::Failed).chain(of(Verdict::Unknown)).collect()
    }

    fn verified(&self) -> Wanted {
        let failing = self.failing();
        let wanted = |status, reason: sealwatch_api::ConditionReason, message: String| Wanted {
            kind: ConditionType::Verified,
            status,
            reason,
            message,
        };
        if let Err(rule) = &self.policy.document {
            return wanted(ConditionStatus::Unknown, Reason::TrustPolicyInvalid.into(), rule.clone());
        }
        if let Some(trouble) = self.blind.as_ref().filter(|_| self.images.is_empty()) {
            let message = "which images run is not known".to_owned();
            return wanted(ConditionStatus::Unknown, trouble.reason, message);
        }
        match failing.first() {
            _ if self.images.is_empty() => {
                let message = "no selected pod runs an image".to_owned();
                wanted(ConditionStatus::Unknown, Circumstance::NoImages.into(), message)
            }
            None => {
                let logged =
                    self.images.values().flatten().filter(|result| result.reason == Reason::FailuresLogged).count();
                let message = match logged {
                    0 => format!("every one of {} images is verified or skipped", self.images.len()),
                    _ => format!(
                        "{} images are verified or skipped, {logged} of them with logged failures",
                        self.images.len()
                    ),
                };
                let reason = if logged == 0 { Circumstance::Succeeded.into() } else { Reason::FailuresLogged.into() };
                wanted(ConditionStatus::True, reason, message)
            }
            Some((name, reason)) => {
                let verdict = reason.verdict();
                let count = failing.iter().filter(|(_, reason)| reason.verdict() == verdict).count();
                let status = if verdict == Verdict::Failed { ConditionStatus::False } else { ConditionStatus::Unknown };
                // An image that was not looked at yet holds the gate, whatever else is unknown.
                let pending =
                    verdict == Verdict::Unknown && failing.iter().any(|(_, reason)| *reason == Reason::Pending);
                let reason = if pending { Reason::Pending } else { *reason };
                let word = if verdict == Verdict::Failed { "failed" } else { "not known" };
                let message = format!("{count} of {} images {word}, the first is {name}", self.images.len());
                wanted(status, reason.into(), message)
            }
        }
    }

    fn ready(&self) -> Wanted {
        let policy = self.policy;
        let not = |reason: sealwatch_api::ConditionReason, message: String| Wanted {
            kind: ConditionType::Ready,
            status: ConditionStatus::False,
            reason,
            message,
        };
        if let Err(rule) = &policy.document {
            return not(Reason::TrustPolicyInvalid.into(), rule.clone());
        }
        if let Some(trouble) = &self.blind {
            return not(trouble.reason, trouble.message.clone());
        }
        if policy.suspend {
            let message = "spec.suspend is true: no request is made and verdicts go on ageing".to_owned();
            return not(Circumstance::Suspended.into(), message);
        }
        if let Some(problem) = policy.stores.problems.first() {
            return not(Reason::TrustStoreUnavailable.into(), problem.clone());
        }
        if let Some(problem) = policy.brought.unread.first() {
            return not(Reason::RevocationUnknown.into(), problem.clone());
        }
        let troubled = self.images.iter().filter_map(|(name, result)| Some((name, result.as_ref()?.trouble.as_ref()?)));
        let troubled: Vec<_> = troubled.collect();
        if let Some((name, trouble)) = troubled.first() {
            let message = format!(
                "{} of {} images could not be checked, the first is {name}: {}",
                troubled.len(),
                self.images.len(),
                trouble.message
            );
            return not(trouble.reason, message);
        }
        let mut message = "the policy is loaded and every image is looked after".to_owned();
        for warning in warnings(policy).into_iter().chain(policy.stores.notes.iter().cloned()) {
            message.push_str("; warning: ");
            message.push_str(&warning);
        }
        Wanted::new(ConditionType::Ready, ConditionStatus::True, Circumstance::Succeeded, message)
    }

    fn conditions(&self) -> Vec<Wanted> {
        let mut wanted = vec![self.ready(), self.verified()];
        if self.images.values().any(Option::is_none) && !self.policy.suspend {
            let message = "images are about to be looked at";
            wanted.push(Wanted::new(
                ConditionType::Reconciling,
                ConditionStatus::True,
                Circumstance::Progressing,
                message,
            ));
        }
        if let Err(rule) = &self.policy.document {
            wanted.push(Wanted::new(
                ConditionType::Stalled,
                ConditionStatus::True,
                Reason::TrustPolicyInvalid,
                rule.clone(),
            ));
        }
        wanted
    }

    fn next_expiry(&self) -> Option<NextExpiry> {
        let ends = || self.images.values().flatten().map(|result| &result.ends);
        let first = ends().flatten().min()?;
        let images = ends().filter(|ends| ends.contains(first)).count();
        Some(NextExpiry {
            time: Some(time(first.time)),
            kind: Some(first.kind.into()),
            subject: clip(&first.subject, SUPPLIED_TEXT_MAX_BYTES),
            images: u32::try_from(images).unwrap_or(u32::MAX),
        })
    }

    /// The policy's request counts as handled once every image has been looked at for it.
    fn handled_request(&self, previous: &TrustPolicyStatus) -> Option<String> {
        let wanted = self.policy.requested_at.clone()?;
        let all = self
            .images
            .values()
            .all(|result| result.is_some_and(|result| result.handled_request.as_ref() == Some(&wanted)));
        if all { Some(wanted) } else { previous.last_handled_requested_at.clone() }
    }
}

/// What is allowed and unwise (D1, TP-16).
fn warnings(policy: &Policy) -> Vec<String> {
    let Ok(document) = &policy.document else { return Vec::new() };
    document.statements().iter().filter_map(warning).collect()
}

fn warning(statement: &Statement) -> Option<String> {
    let name = statement.name();
    if statement.level() == Level::Skip {
        let is_for_all = statement.registry_scopes().iter().any(|scope| scope == "*");
        return is_for_all.then(|| {
            format!("statement {name:?} skips verification for every registry that no other statement names")
        });
    }
    let is_tsa = |store: &TrustStoreRef| store.store_type() == TrustStoreType::Tsa;
    let trusts_nobody = statement.trust_stores().iter().all(is_tsa);
    trusts_nobody.then(|| format!("statement {name:?} names trust stores of type tsa alone, and so trusts no signer"))
}

/// The status that shall stand.
pub fn next(previous: &TrustPolicyStatus, facts: &Facts<'_>, now: Timestamp) -> TrustPolicyStatus {
    let scanned = facts.images.values().flatten().filter_map(|result| result.verified_at).max();
    let scanned = if facts.images.is_empty() { Some(now) } else { scanned };
    TrustPolicyStatus {
        observed_generation: Some(facts.policy.generation),
        conditions: conditions(&previous.conditions, facts.conditions(), facts.policy.generation, now),
        summary: Some(facts.summary()),
        trust_stores: facts.policy.stores.listed.clone(),
        failing: facts.failing().iter().take(FAILING_MAX).map(|(name, _)| (*name).to_owned()).collect(),
        next_expiry: facts.next_expiry(),
        last_scan_time: scanned.map(time).or_else(|| previous.last_scan_time.clone()),
        last_handled_requested_at: facts.handled_request(previous),
    }
}

/// Whether `next` is worth a write: something other than the time of the last scan changed, or that became old.
pub fn worth_writing(previous: &TrustPolicyStatus, next: &TrustPolicyStatus, interval: Duration) -> bool {
    let mut timeless = next.clone();
    timeless.last_scan_time.clone_from(&previous.last_scan_time);
    timeless != *previous || heartbeat_due(previous.last_scan_time.as_ref(), next.last_scan_time.as_ref(), interval)
}
