// SPDX-License-Identifier: Apache-2.0
//! What is told of each `TrustPolicy`. The number of series of one policy is bounded by the API's closed tables,
//! whatever runs.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::gauge::ConstGauge,
};
use sealwatch_api::{ConditionReason, ExpiryKind, Reason};

use super::catalogue::{self, Metric};
use crate::status::policy::Facts;

/// What is told of one policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Images by the reason of their verdict.
    images: BTreeMap<Reason, u64>,
    /// Images that could not be checked afresh, by the reason of that.
    unchecked: BTreeMap<ConditionReason, u64>,
    /// When complete evidence was obtained: for the image for which that is longest ago, and for the last.
    verified: Option<(Timestamp, Timestamp)>,
    /// The first end of each kind.
    ends: BTreeMap<ExpiryKind, Timestamp>,
}

impl Figures {
    /// The figures of a policy as it is now.
    pub fn of(facts: &Facts<'_>) -> Self {
        let mut figures = Self::default();
        for result in facts.images.values() {
            let reason = result.map_or(Reason::Pending, |result| result.reason);
            *figures.images.entry(reason).or_default() += 1;
            let Some(result) = result else { continue };
            if let Some(trouble) = &result.trouble {
                *figures.unchecked.entry(trouble.reason).or_default() += 1;
            }
            if let Some(at) = result.verified_at {
                figures.verified =
                    Some(figures.verified.map_or((at, at), |(oldest, newest)| (oldest.min(at), newest.max(at))));
            }
            if let Some(end) = &result.next_expiry {
                figures.ends.entry(end.kind).and_modify(|first| *first = end.time.min(*first)).or_insert(end.time);
            }
        }
        figures
    }
}

#[derive(Clone, Debug, Default)]
struct Told {
    figures: Figures,
    last_pass: Option<Timestamp>,
}

/// What is told of every policy, by namespace and name.
#[derive(Debug, Default)]
pub struct Policies {
    table: Mutex<BTreeMap<(String, String), Told>>,
}

impl Policies {
    fn table(&self) -> MutexGuard<'_, BTreeMap<(String, String), Told>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces what is told of a policy.
    pub fn set(&self, namespace: &str, policy: &str, figures: Figures) {
        self.table().entry((namespace.to_owned(), policy.to_owned())).or_default().figures = figures;
    }

    /// A pass over this policy has succeeded.
    pub fn passed(&self, namespace: &str, policy: &str, now: Timestamp) {
        self.table().entry((namespace.to_owned(), policy.to_owned())).or_default().last_pass = Some(now);
    }

    /// Forgets a policy that is gone.
    pub fn forget(&self, namespace: &str, policy: &str) {
        self.table().remove(&(namespace.to_owned(), policy.to_owned()));
    }

    /// Writes everything to a page. What has ended by `now` is a matter of verdicts, and no foresight any more.
    ///
    /// # Errors
    /// The page cannot be written to.
    pub fn encode(&self, encoder: &mut DescriptorEncoder<'_>, now: Timestamp) -> Result<(), std::fmt::Error> {
        let table = self.table().clone();
        let mut page = Page { table: &table, encoder };
        page.metric(catalogue::IMAGES, |told| {
            let rows = told.figures.images.iter();
            rows.map(|(reason, count)| {
                let verdict = reason.verdict().as_str();
                (vec![("verdict", verdict), ("reason", reason.as_str())], number(*count))
            })
            .collect()
        })?;
        page.metric(catalogue::UNCHECKED, |told| {
            let rows = told.figures.unchecked.iter();
            rows.map(|(reason, count)| (vec![("reason", reason.as_str())], number(*count))).collect()
        })?;
        page.metric(catalogue::NEXT_EXPIRY, |told| {
            let rows = told.figures.ends.iter().filter(|(_, end)| **end > now);
            rows.map(|(kind, end)| (vec![("kind", kind.as_str())], end.as_second())).collect()
        })?;
        page.moment(catalogue::NEWEST, |told| told.figures.verified.map(|(_, newest)| newest))?;
        page.moment(catalogue::OLDEST, |told| told.figures.verified.map(|(oldest, _)| oldest))?;
        page.moment(catalogue::LAST_PASS, |told| told.last_pass)
    }
}

/// A gauge's value. More than it holds is the most that it holds.
fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A series' labels beside namespace and policy, and its value.
type Row = (Vec<(&'static str, &'static str)>, i64);

struct Page<'a, 'b, 'c> {
    table: &'a BTreeMap<(String, String), Told>,
    encoder: &'b mut DescriptorEncoder<'c>,
}

impl Page<'_, '_, '_> {
    fn metric(&mut self, metric: Metric, rows: impl Fn(&Told) -> Vec<Row>) -> Result<(), std::fmt::Error> {
        let mut family = metric.encode(self.encoder)?;
        for ((namespace, policy), told) in self.table {
            for (more, value) in rows(told) {
                let mut labels = vec![("namespace", namespace.as_str()), ("policy", policy.as_str())];
                labels.extend(more);
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn moment(&mut self, metric: Metric, of: impl Fn(&Told) -> Option<Timestamp>) -> Result<(), std::fmt::Error> {
        self.metric(metric, |told| of(told).map(|moment| (Vec::new(), moment.as_second())).into_iter().collect())
    }
}
