// SPDX-License-Identifier: Apache-2.0
//! What is told of each `TrustPolicy`. The number of series of one policy is bounded by the API's closed tables,
//! whatever runs, unless the user wants one for each image.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::gauge::ConstGauge,
};
use sealwatch_api::{
    ConditionReason, ExpiryKind, Reason,
    text::{SUPPLIED_TEXT_MAX_BYTES, clip},
};

use super::catalogue::{self, Metric};
use crate::{image_verification::memory::Discovered, status::policy::Facts};

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
    /// Each image; empty unless the user wants that.
    each: Vec<Each>,
}

/// One image, as it is told of by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Each {
    /// The name of its `ImageVerification`.
    name: String,
    repository: String,
    /// What is reported to run: a digest, or a tag where nobody reports one.
    digest: String,
    reason: Reason,
}

impl Figures {
    /// The figures of a policy as it is now; with what is known to run, of each image too.
    pub fn of(facts: &Facts<'_>, each: Option<&Discovered>) -> Self {
        let mut figures = Self::default();
        for (name, result) in &facts.images {
            let reason = result.map_or(Reason::Pending, |result| result.reason);
            figures.each.extend(each.and_then(|each| each.get(*name)).map(|found| Each {
                name: (*name).to_owned(),
                repository: clip(&found.key.repository, SUPPLIED_TEXT_MAX_BYTES),
                digest: clip(&found.key.digest.to_string(), SUPPLIED_TEXT_MAX_BYTES),
                reason,
            }));
            *figures.images.entry(reason).or_default() += 1;
            let Some(result) = result else { continue };
            if let Some(trouble) = &result.trouble {
                *figures.unchecked.entry(trouble.reason).or_default() += 1;
            }
            if let Some(at) = result.verified_at {
                figures.verified =
                    Some(figures.verified.map_or((at, at), |(oldest, newest)| (oldest.min(at), newest.max(at))));
            }
            for end in &result.ends {
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
        page.metric(catalogue::IMAGE_VERDICT, |told| told.figures.each.iter().map(row_of).collect())?;
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

fn row_of(image: &Each) -> Row<'_> {
    let Each { name, repository, digest, reason } = image;
    let labels = [
        ("name", name.as_str()),
        ("repository", repository.as_str()),
        ("digest", digest.as_str()),
        ("verdict", reason.verdict().as_str()),
        ("reason", reason.as_str()),
    ];
    (labels.into(), 1)
}

/// A gauge's value. More than it holds is the most that it holds.
fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A series' labels beside namespace and policy, and its value.
type Row<'a> = (Vec<(&'static str, &'a str)>, i64);

struct Page<'a, 'b, 'c> {
    table: &'a BTreeMap<(String, String), Told>,
    encoder: &'b mut DescriptorEncoder<'c>,
}

impl<'a> Page<'a, '_, '_> {
    fn metric(&mut self, metric: Metric, rows: impl Fn(&'a Told) -> Vec<Row<'a>>) -> Result<(), std::fmt::Error> {
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
