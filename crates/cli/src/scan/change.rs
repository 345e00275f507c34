// SPDX-License-Identifier: Apache-2.0
//! Which verdicts would change if another policy took the place of the cluster's.

use std::{collections::BTreeMap, sync::Arc};

use sealwatch_api::Verdict;
use sealwatch_operator::running::ImageKey;
use serde::Serialize;

use super::{
    judging::{Case, Judged, Judging},
    policies::ByNamespace,
    report::{Subject, rank, verdict_of},
};

/// One image under a policy of the cluster, or under none where that one does not select it, and under the file.
pub(super) struct Pair {
    /// The policy of the cluster.
    pub(super) policy: Arc<str>,
    pub(super) from: Case,
    pub(super) to: Case,
}

/// One image whose verdict would change.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Change {
    #[serde(flatten)]
    pub(super) subject: Subject,
    /// The `TrustPolicy` that judges it now.
    pub(super) policy: String,
    pub(super) from: Side,
    pub(super) to: Side,
}

/// A verdict with its reason.
#[derive(Clone, Serialize)]
pub(super) struct Side {
    pub(super) verdict: Verdict,
    pub(super) reason: String,
    pub(super) message: String,
}

/// Every image of the namespaces that have a policy, under each of those and under the file.
pub(super) fn pairs(judging: &Judging<'_>, own: &ByNamespace, new: &ByNamespace) -> Vec<Pair> {
    let by_key = |cases: Vec<Case>| -> BTreeMap<ImageKey, Case> {
        cases.into_iter().map(|case| (case.found.key.clone(), case)).collect()
    };
    let mut pairs = Vec::new();
    for (namespace, own) in own {
        let Some(new) = new.get(namespace).and_then(|new| new.first()) else { continue };
        let (all, to) = (judging.all(namespace), by_key(judging.selected(namespace, new)));
        for named in own {
            let from = by_key(judging.selected(namespace, named));
            let pair = |case: &Case| {
                let of = |side: &BTreeMap<ImageKey, Case>| {
                    side.get(&case.found.key).cloned().unwrap_or_else(|| case.clone())
                };
                Pair { policy: Arc::clone(&named.label), from: of(&from), to: of(&to) }
            };
            pairs.extend(all.iter().map(pair));
        }
    }
    pairs
}

/// What would change, the worst first. The answers are of [`pairs`], both of a pair beside each other.
pub(super) fn of(policies: &[Arc<str>], judged: &[Judged]) -> Vec<Change> {
    let change = |(pair, policy): (&[Judged], &Arc<str>)| {
        let [from, to] = pair else { return None };
        let subject = Subject::of(std::iter::once(to));
        let change = Change { subject, policy: policy.to_string(), from: Side::of(from), to: Side::of(to) };
        (change.from.verdict != change.to.verdict).then_some(change)
    };
    let mut changes: Vec<Change> = judged.chunks_exact(2).zip(policies).filter_map(change).collect();
    changes.sort_by_cached_key(|change| (rank(change.to.verdict), change.subject.repository.clone()));
    changes
}

impl Side {
    fn of(judged: &Judged) -> Self {
        let status = &judged.answer.status;
        Self {
            verdict: verdict_of(status),
            reason: status.reason.as_ref().map(ToString::to_string).unwrap_or_default(),
            message: status.message.clone().unwrap_or_default(),
        }
    }
}
