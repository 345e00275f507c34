// SPDX-License-Identifier: Apache-2.0
//! From findings to one verdict. Pure but for the questions about revocation, which are those of each part.

use std::{cmp::Reverse, time::Duration};

use jiff::Timestamp;
use sealwatch_notation::{self as notation, TrustPolicyDocument, TrustStores};
use sealwatch_registry::{Digest, Repository};

use super::{DigestMatching, Findings, Path, Platforms, Via};
use crate::{
    evidence::Evidence,
    judge::{Verdict, Verification, judge},
    reason::Reason,
    revocation::{Answers, BroughtLists, Freshness, Kept, Matter, Recalled, Revocation},
};

/// What was found about an image, and by what it is judged.
#[derive(Clone, Copy, Debug)]
pub struct FollowedMatter<'a> {
    /// Its repository, which chooses the statement.
    pub repository: &'a Repository,
    /// What is known of it.
    pub findings: &'a Findings,
    /// Whose signatures count.
    pub matching: DigestMatching,
    /// The trust policy document.
    pub document: &'a TrustPolicyDocument,
    /// The trust stores.
    pub stores: &'a TrustStores,
    /// The revocation lists that the user brought.
    pub brought: &'a BroughtLists,
}

/// What is known about revocation of all that counts.
#[derive(Clone, Debug, Default)]
pub struct FollowedRecall {
    /// Of each part, in its order.
    answers: Vec<Answers>,
    /// That answers are used which could not be refreshed.
    pub kept: Option<Kept>,
    /// How long until something is to be asked, zero if it is now; none if there is nothing to ask.
    pub due: Option<Duration>,
    /// Whether something has never been asked.
    pub is_unasked: bool,
}

/// A verdict on what runs, and what it rests on.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The verdict; its signature is the one that decided.
    pub verification: Verification,
    /// The digest that this signature has to be about.
    pub verified_digest: Digest,
    /// How that digest relates to what runs.
    pub via: Via,
    /// The other verdicts that it rests on: where several manifests have to pass, each of them.
    pub others: Vec<Verification>,
}

impl<'a> FollowedMatter<'a> {
    fn of(&self, evidence: &'a Evidence) -> Matter<'a> {
        let Self { repository, document, stores, brought, .. } = *self;
        Matter { repository, evidence, document, stores, brought }
    }

    /// Asks about revocation of all that counts.
    pub async fn learn(&self, revocation: &Revocation, freshness: Freshness) {
        for evidence in self.findings.counting(self.matching) {
            revocation.learn(&self.of(evidence), freshness).await;
        }
    }

    /// What is known about revocation of all that counts, from memory alone.
    pub fn recall(&self, revocation: &Revocation, interval: Duration, now: Timestamp) -> FollowedRecall {
        let mut all = FollowedRecall::default();
        for evidence in self.findings.counting(self.matching) {
            let Recalled { answers, kept, due, is_unasked } = revocation.recall(&self.of(evidence), interval, now);
            all.answers.push(answers);
            all.kept = all.kept.into_iter().chain(kept).min_by_key(|kept| kept.fetched);
            all.due = all.due.into_iter().chain(due).min();
            all.is_unasked |= is_unasked;
        }
        all
    }

    /// Judges what runs.
    pub fn judge(&self, recalled: &FollowedRecall, now: Timestamp) -> Judgement {
        let nothing = Answers::default();
        let judged_by = |evidence: &'a Evidence, answers: &Answers| {
            let verification = judge(self.repository, evidence, self.document, self.stores, answers, now);
            (&evidence.image.digest, verification)
        };
        let findings = self.findings;
        let counting = findings.counting(self.matching).zip(recalled.answers.iter().chain(std::iter::repeat(&nothing)));
        let judged: Vec<Judged<'_>> = counting.map(|(evidence, answers)| judged_by(evidence, answers)).collect();
        let (own, followed) = judged.split_at(judged.len().min(findings.same_config.len().saturating_add(1)));
        let path = findings.followed.as_ref().filter(|_| self.matching == DigestMatching::FollowIndex);
        let judgement = match path.map(|followed| &followed.path) {
            None => one_of(own, findings.own_via),
            Some(Path::Nowhere(why)) => one_of(own, findings.own_via).map(|mut judgement| {
                let message = &mut judgement.verification.message;
                *message = format!("{message}; {why}");
                judgement
            }),
            Some(Path::Indexes) => through_index(followed),
            Some(Path::Children { platforms, claimed, count }) => all_of(followed, claimed, *count, platforms),
        };
        judgement.unwrap_or_else(|| {
            let (digest, verification) = judged_by(&findings.own, &nothing);
            Judgement { verification, verified_digest: digest.clone(), via: findings.own_via, others: Vec::new() }
        })
    }
}

/// A verdict on one artifact.
type Judged<'a> = (&'a Digest, Verification);

/// Smallest first, where one that passes is enough: a plain pass, one with logged failures, what is not known, failures.
/// That there is no signature says least.
fn order(verification: &Verification) -> u8 {
    match verification.verdict {
        Verdict::Skipped => 0,
        Verdict::Verified if verification.reason == Reason::Rule(notation::Reason::SignatureValid) => 0,
        Verdict::Verified => 1,
        Verdict::Unknown => 2,
        Verdict::Failed if verification.reason != Reason::NoSignature => 3,
        Verdict::Failed => 4,
    }
}

/// One that passes is enough; among equals the first counts.
fn one_of(judged: &[Judged<'_>], via: Via) -> Option<Judgement> {
    let best = judged.iter().min_by_key(|(_, verification)| order(verification))?;
    Some(decided(judged, best, via))
}

/// All have to pass: the worst decides; among equals the first.
fn all_of(judged: &[Judged<'_>], claimed: &[String], count: usize, platforms: &Platforms) -> Option<Judgement> {
    // A failure is one whatever the others turn out to be, so all failures come before what is not known.
    let severity = |(_, verification): &Judged<'_>| Reverse(order(verification).min(3));
    let (place, worst) = judged.iter().enumerate().min_by_key(|(_, judged)| severity(judged))?;
    let mut judgement = decided(judged, worst, Via::PlatformManifest);
    let message = &judgement.verification.message;
    judgement.verification.message = if judgement.verification.verdict == Verdict::Verified {
        let each = if count == 1 {
            "the one manifest in it".to_owned()
        } else {
            format!("each of the {count} manifests in it")
        };
        format!("{message}; the index has no signature of its own, but {each} that may run on {platforms}")
    } else {
        let platform = claimed.get(place).map_or("?", String::as_str);
        let digest = &judgement.verified_digest;
        format!("the index has no signature of its own, and its manifest {digest} ({platform}) did not pass: {message}")
    };
    judgement.others = judged.iter().map(|(_, verification)| verification.clone()).collect();
    Some(judgement)
}

/// One of the indexes has to pass.
fn through_index(judged: &[Judged<'_>]) -> Option<Judgement> {
    let mut judgement = one_of(judged, Via::Index)?;
    let (message, index) = (&judgement.verification.message, &judgement.verified_digest);
    judgement.verification.message = if judgement.verification.verdict == Verdict::Verified {
        format!("{message}; the signature is that of the index {index}, which lists the manifest that runs")
    } else {
        format!("the manifest has no signature of its own, and the index {index} that lists it did not pass: {message}")
    };
    Some(judgement)
}

/// The judgement by the one that decides. The clock may change any of them.
fn decided(judged: &[Judged<'_>], (digest, verification): &Judged<'_>, via: Via) -> Judgement {
    let next_change = judged.iter().filter_map(|(_, verification)| verification.next_change).min();
    let verification = Verification { next_change, ..verification.clone() };
    Judgement { verification, verified_digest: Digest::clone(digest), via, others: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gather::GatherError;

    fn verification(verdict: Verdict, reason: Reason) -> Verification {
        let error = GatherError { reason, message: reason.to_string(), retry_after: None };
        Verification { verdict, ..Verification::without_evidence(&error, None) }
    }

    fn valid() -> Verification {
        verification(Verdict::Verified, notation::Reason::SignatureValid.into())
    }

    fn logged() -> Verification {
        verification(Verdict::Verified, notation::Reason::FailuresLogged.into())
    }

    fn unknown() -> Verification {
        verification(Verdict::Unknown, Reason::RegistryUnavailable)
    }

    fn revoked() -> Verification {
        verification(Verdict::Failed, notation::Reason::Revoked.into())
    }

    fn unsigned() -> Verification {
        verification(Verdict::Failed, Reason::NoSignature)
    }

    fn decide(by: impl Fn(&[Judged<'_>]) -> Option<Judgement>, verifications: Vec<Verification>) -> String {
        let digest: Digest = format!("sha256:{}", "a".repeat(64)).parse().expect("a digest");
        let judged: Vec<Judged<'_>> = verifications.into_iter().map(|verification| (&digest, verification)).collect();
        by(&judged).expect("a judgement").verification.reason.to_string()
    }

    #[test]
    fn where_all_have_to_pass_the_worst_decides() {
        let all = |judged: &[Judged<'_>]| all_of(judged, &[], 2, &Platforms::Unknown);
        for (verifications, expected) in [
            (vec![valid(), logged()], "FailuresLogged"),
            (vec![logged(), unknown(), valid()], "RegistryUnavailable"),
            (vec![unknown(), unsigned()], "NoSignature"),
            (vec![unsigned(), revoked()], "NoSignature"),
            (vec![revoked(), unknown()], "Revoked"),
            (vec![valid(), valid()], "SignatureValid"),
        ] {
            assert_eq!(decide(all, verifications), expected);
        }
    }

    #[test]
    fn where_one_is_enough_the_best_decides_and_else_the_most_telling() {
        let one = |judged: &[Judged<'_>]| one_of(judged, Via::Index);
        for (verifications, expected) in [
            (vec![revoked(), logged(), valid()], "SignatureValid"),
            (vec![unknown(), logged()], "FailuresLogged"),
            (vec![revoked(), unknown()], "RegistryUnavailable"),
            (vec![unsigned(), revoked()], "Revoked"),
        ] {
            assert_eq!(decide(one, verifications), expected);
        }
    }

    #[test]
    fn nothing_judged_is_no_judgement() {
        assert!(all_of(&[], &[], 0, &Platforms::Unknown).is_none() && one_of(&[], Via::Exact).is_none());
    }
}
