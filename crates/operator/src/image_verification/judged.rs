// SPDX-License-Identifier: Apache-2.0
//! From what is known of an image to what shall be said of it. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sealwatch_api::{ExpiryKind, Reason, Verdict, condition::Circumstance};
use sealwatch_registry::{Digest, Reference, Repository};
use sealwatch_verifier::{
    self as verifier, BroughtLists, DigestMatching, Findings, FollowedRecall, Selection, Verification,
};

use super::{case::ParsedCase, memory::Looks};
use crate::{
    running::RunningDigest,
    status::{Trouble, image::Conclusion, policy::Expiry},
};

/// A conclusion with what else follows from the same evidence.
pub(super) struct Judged {
    /// What the status shall say.
    pub(super) conclusion: Conclusion,
    /// The next moment at which the clock alone changes it.
    pub(super) next_change: Option<Timestamp>,
    /// The first thing of each kind that it rests on and that ends.
    pub(super) ends: Vec<Expiry>,
    /// The policy's request that has been handled.
    pub(super) handled: Option<String>,
}

impl Judged {
    /// Whether this process has nothing to say yet.
    pub(super) fn is_without_answer(&self) -> bool {
        let conclusion = &self.conclusion;
        // What could not be asked about revocation is no answer either: an earlier process may have had one.
        matches!(conclusion.reason, Reason::Pending | Reason::RevocationUnknown)
            || conclusion.trouble.is_some() && conclusion.last_verified.is_none()
    }
}

/// From what is known to a conclusion. Pure.
pub(super) fn judge(case: &ParsedCase<'_>, looks: &Looks, recalled: &FollowedRecall, now: Timestamp) -> Judged {
    let mut judged = match (&case.policy.document, &case.reference) {
        (Err(rule), _) => Judged::plain(Conclusion::plain(Reason::TrustPolicyInvalid, rule.clone())),
        (_, Err(conclusion)) => Judged::plain(Conclusion::clone(conclusion)),
        (Ok(document), Ok(reference)) => match verifier::select(document, reference.repository()) {
            Selection::NoStatement => judged_alone(&Verification::no_statement(reference.repository()), case, now),
            Selection::Skip(statement) => judged_alone(&Verification::skipped(statement), case, now),
            Selection::Judge(_) => match looks.findings.as_ref().filter(|findings| say_enough(findings, case)) {
                Some(findings) => judged_by(findings, case, reference.repository(), (looks, recalled), now),
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
        Self { conclusion, next_change: None, ends: Vec::new(), handled: None }
    }
}

/// A verdict that needs no evidence: it is as fresh as the moment.
fn judged_alone(verification: &Verification, case: &ParsedCase<'_>, now: Timestamp) -> Judged {
    Judged::plain(Conclusion::of(verification, case.policy, None, Some(now)))
}

/// Whether everything was looked at that runs now: on a node of a further platform it may be another manifest.
fn say_enough(findings: &Findings, case: &ParsedCase<'_>) -> bool {
    !case.asks || case.policy.matching == DigestMatching::Exact || findings.cover(&case.platforms)
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
    findings: &Findings,
    case: &ParsedCase<'_>,
    repository: &Repository,
    (looks, recalled): (&Looks, &FollowedRecall),
    now: Timestamp,
) -> Judged {
    let policy = case.policy;
    let Some(matter) = policy.matter(repository, findings) else { return Judged::plain(without_evidence(looks)) };
    let gathered_at = findings.gathered_at(policy.matching);
    // Complete is evidence only with fresh word about revocation.
    let kept = recalled.kept.as_ref();
    let checked_at = kept.map_or(gathered_at, |kept| kept.fetched.min(gathered_at));
    // What is of a time to come was learnt before the clock was set back: nothing is said to be newer than now.
    let checked_at = checked_at.min(now);
    let stale_at = checked_at.checked_add(policy.stale_after).ok();
    let judgement = matter.judge(recalled, now);
    let verification = &judgement.verification;
    let about = (&judgement.verified_digest, judgement.via);
    let mut conclusion = Conclusion::of(verification, policy, Some(about), Some(checked_at));
    for note in [pinned_elsewhere(case, &judgement.verified_digest), tag_resolved(case, findings)].into_iter().flatten()
    {
        conclusion.message.push_str(&note);
    }
    let trouble = looks.error.as_ref().map(|error| (error.reason, error.message.clone()));
    let trouble = trouble.or_else(|| {
        let message = |kept: &verifier::Kept| format!("older word about revocation is used: {}", kept.message);
        kept.map(|kept| (Reason::RevocationUnknown, message(kept)))
    });
    conclusion.trouble = trouble.map(|(reason, message)| Trouble { reason: reason.into(), message });
    if stale_at.is_some_and(|stale_at| stale_at <= now) {
        let was = conclusion.verdict();
        conclusion.message = format!("last checked at {checked_at}, longer ago than staleAfter; it was {was} then");
        conclusion.reason = Reason::Stale;
    }
    let next_change = [verification.next_change, stale_at].into_iter().flatten().filter(|moment| *moment > now).min();
    let rests_on = std::iter::once(verification).chain(&judgement.others);
    let all = rests_on.flat_map(|verification| ends(verification, &policy.brought, now));
    let ends = if conclusion.verdict() == Verdict::Verified { first_of_each_kind(all) } else { Vec::new() };
    Judged { conclusion, next_change, ends, handled: None }
}

/// What to say where the pods pin another digest than the one that the node reports, or than an index that lists it.
fn pinned_elsewhere(case: &ParsedCase<'_>, verified: &Digest) -> Option<String> {
    let found = case.found?;
    let RunningDigest::Manifest(running) = &found.key.digest else { return None };
    let references = found.running.references.iter();
    let mut pinned = references.filter_map(|reference| reference.parse::<Reference>().ok()?.digest().cloned());
    pinned
        .find(|pinned| pinned != running && pinned != verified)
        // Not that something else runs: a node that has an image under several digests reports one of them for all.
        .map(|pinned| format!("; the pod pins {pinned}, and the node reports {running}"))
}

/// What to say where nobody reports what is mounted.
fn tag_resolved(case: &ParsedCase<'_>, findings: &Findings) -> Option<String> {
    let RunningDigest::Tag(tag) = &case.found?.key.digest else { return None };
    let digest = &findings.running().digest;
    Some(format!("; tag-resolved: the node does not report which image is mounted, and {tag:?} names {digest} now"))
}

/// When what a verdict rests on ends: the signature, its certificates, the anchor. A timestamp proves that
/// the signature was made in time, and so does a signing authority: the end of certificates changes nothing then. Of
/// revocation lists only those count that the user brought and has to renew; others are fetched anew by themselves.
fn ends(verification: &Verification, brought: &BroughtLists, now: Timestamp) -> Vec<Expiry> {
    let Some(evidence) = &verification.signature else { return Vec::new() };
    let envelope = &evidence.envelope;
    let anchor = evidence.anchor.as_ref().map(|anchor| &anchor.certificate);
    let authentic_time = evidence.timestamp.is_some() || envelope.authentic_signing_time().is_some();
    let ending = if authentic_time { &[][..] } else { envelope.certificate_chain() };
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
    let lists = brought.lists.iter().filter(|list| evidence.answers_until.contains(&list.next_update()));
    let lists =
        lists.map(|list| Expiry { time: list.next_update(), kind: ExpiryKind::RevocationList, subject: list.issuer() });
    // What has ended already, and was only logged, is no news to come.
    certificates.chain(signature).chain(lists).filter(|end| end.time > now).collect()
}

/// A list that somebody has to renew may be forgotten behind a certificate that ends sooner, so each kind is told of.
fn first_of_each_kind(ends: impl Iterator<Item = Expiry>) -> Vec<Expiry> {
    let mut first: BTreeMap<ExpiryKind, Expiry> = BTreeMap::new();
    for end in ends {
        let known = first.entry(end.kind).or_insert_with(|| end.clone());
        if end < *known {
            *known = end;
        }
    }
    first.into_values().collect()
}

#[cfg(test)]
mod tests;
