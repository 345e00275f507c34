// SPDX-License-Identifier: Apache-2.0
//! Every metric that `/metrics` may show: what it is called, what it means, and a question that it answers. The page is
//! encoded from these, and `docs/metrics.md` is written from them, so that neither can say what the other does not.

use prometheus_client::{
    encoding::{DescriptorEncoder, MetricEncoder},
    metrics::MetricType,
    registry::Unit,
};

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Up only, from 0 at the start of the process.
    Counter,
    /// Up and down.
    Gauge,
}

/// A base unit of Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    Seconds,
    Bytes,
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The name without what follows from kind and unit.
    stem: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// What it is a number of, unless it counts.
    measure: Option<Measure>,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it counts or measures.
    pub meaning: &'static str,
    /// A question that it answers.
    pub question: &'static str,
    /// The question in `PromQL`.
    pub query: &'static str,
}

impl Metric {
    /// The name in queries.
    pub fn name(&self) -> String {
        format!("{}{}", self.family(), if self.kind == Kind::Counter { "_total" } else { "" })
    }

    /// The name of the family, as the page's `# TYPE` lines have it.
    pub fn family(&self) -> String {
        let suffix = match self.measure {
            Some(Measure::Seconds) => "_seconds",
            Some(Measure::Bytes) => "_bytes",
            None => "",
        };
        format!("{}{suffix}", self.stem)
    }

    /// The unit, in words.
    pub fn unit(&self) -> &'static str {
        match (self.measure, self.stem.ends_with("_timestamp")) {
            (Some(Measure::Seconds), true) => "seconds since 1970",
            (Some(Measure::Seconds), false) => "seconds",
            (Some(Measure::Bytes), _) => "bytes",
            (None, _) => "",
        }
    }

    /// The name without what a registry adds by itself.
    pub(super) fn stem(&self) -> &'static str {
        self.stem
    }

    /// Begins this metric's part of a page.
    pub(super) fn encode<'s>(
        &self,
        encoder: &'s mut DescriptorEncoder<'_>,
    ) -> Result<MetricEncoder<'s>, std::fmt::Error> {
        const SECONDS: &Unit = &Unit::Seconds;
        const BYTES: &Unit = &Unit::Bytes;
        let kind = match self.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
        };
        let unit = self.measure.map(|measure| if measure == Measure::Seconds { SECONDS } else { BYTES });
        encoder.encode_descriptor(self.stem, self.meaning, unit, kind)
    }
}

const fn gauge(stem: &'static str, labels: &'static [&'static str], meaning: &'static str) -> Metric {
    Metric { stem, kind: Kind::Gauge, measure: None, labels, meaning, question: "", query: "" }
}

const fn counter(stem: &'static str, labels: &'static [&'static str], meaning: &'static str) -> Metric {
    Metric { kind: Kind::Counter, ..gauge(stem, labels, meaning) }
}

impl Metric {
    const fn in_seconds(self) -> Self {
        Self { measure: Some(Measure::Seconds), ..self }
    }

    const fn in_bytes(self) -> Self {
        Self { measure: Some(Measure::Bytes), ..self }
    }

    const fn answers(self, question: &'static str, query: &'static str) -> Self {
        Self { question, query, ..self }
    }
}

const OF_A_POLICY: &[&str] = &["namespace", "policy"];
const HOW_IT_WENT: &[&str] = &["kind", "result"];

/// The version that runs.
pub const BUILD_INFO: Metric = gauge("sealwatch_build_info", &["version"], "Always 1; the version is a label")
    .answers("Which versions run?", "count by (version) (sealwatch_build_info)");

/// Running images.
pub const IMAGES: Metric = gauge(
    "sealwatch_images",
    &["namespace", "policy", "verdict", "reason"],
    "Distinct running images by verdict and reason",
)
.answers(
    "Which images are not verified, where and why?",
    "max by (namespace, policy, verdict, reason) (sealwatch_images{verdict=~\"Failed|Unknown\"}) > 0",
);

/// Each running image.
pub const IMAGE_VERDICT: Metric = gauge(
    "sealwatch_image_verdict",
    &["namespace", "policy", "name", "repository", "digest", "verdict", "reason"],
    "Always 1, one for each distinct running image and policy; only with `--metrics-per-image`",
)
.answers(
    "Which images are these, where each is shown?",
    "max by (namespace, policy, repository, digest, reason) (sealwatch_image_verdict{verdict!=\"Verified\"})",
);

/// Images whose verdict is kept, or unknown, because something could not be asked.
pub const UNCHECKED: Metric = gauge(
    "sealwatch_unchecked_images",
    &["namespace", "policy", "reason"],
    "Distinct running images that could not be checked afresh when it was tried last, by the reason of their condition Ready; their verdict may stand from before",
)
.answers("Whose verdict is kept?", "max by (namespace, policy, reason) (sealwatch_unchecked_images)");

/// The end of what verdicts rest on.
pub const NEXT_EXPIRY: Metric = gauge(
    "sealwatch_next_expiry_timestamp",
    &["namespace", "policy", "kind"],
    "When the first thing of each kind ends that verified images rest on, also where another kind ends sooner; status.nextExpiry of the TrustPolicy names the first of all",
)
.in_seconds()
.answers(
    "How many days are left before images turn red?",
    "min by (namespace, policy, kind) (sealwatch_next_expiry_timestamp_seconds - time()) / 86400",
);

/// The newest verdict from complete evidence.
pub const NEWEST: Metric = gauge(
    "sealwatch_newest_verification_timestamp",
    OF_A_POLICY,
    "When complete evidence was last obtained for any image of the policy",
)
.in_seconds()
.answers(
    "How long ago could anything be checked?",
    "time() - max by (namespace, policy) (sealwatch_newest_verification_timestamp_seconds)",
);

/// The oldest verdict from complete evidence that still stands.
pub const OLDEST: Metric = gauge(
    "sealwatch_oldest_verification_timestamp",
    OF_A_POLICY,
    "When complete evidence was last obtained for the image of the policy that has gone longest without; at staleAfter it becomes Unknown",
)
.in_seconds()
.answers(
    "How old is the oldest verdict that stands?",
    "time() - min by (namespace, policy) (sealwatch_oldest_verification_timestamp_seconds)",
);

/// The last pass over a policy.
pub const LAST_PASS: Metric = gauge(
    "sealwatch_last_pass_timestamp",
    OF_A_POLICY,
    "When a pass over the TrustPolicy last succeeded; there is one each hour at least",
)
.in_seconds()
.answers("Is a policy stuck?", "time() - max by (namespace, policy) (sealwatch_last_pass_timestamp_seconds)");

/// Passes.
pub const RECONCILES: Metric =
    counter("sealwatch_reconciles", HOW_IT_WENT, "Passes over a TrustPolicy or ImageVerification, by how they ended")
        .answers("How busy is the operator?", "sum by (kind, result) (rate(sealwatch_reconciles_total[5m]))");

/// Writes of a status.
pub const STATUS_WRITES: Metric =
    counter("sealwatch_status_writes", HOW_IT_WENT, "Writes of a status, by how they ended").answers(
        "How much is written to the API server?",
        "sum by (kind, result) (rate(sealwatch_status_writes_total[5m]))",
    );

/// Looks at registries.
pub const GATHERS: Metric = counter(
    "sealwatch_gathers",
    &["result"],
    "Looks at a registry for evidence about one image, by how they ended; what was remembered and is fresh is no look",
)
.answers("How do registries answer?", "sum by (result) (rate(sealwatch_gathers_total[5m]))");

/// Requests about revocation.
pub const REVOCATION_REQUESTS: Metric =
    counter("sealwatch_revocation_requests", &["method", "result"], "Requests about revocation, by how they ended")
        .answers(
            "Do responders and lists answer?",
            "sum by (method, result) (rate(sealwatch_revocation_requests_total[5m]))",
        );

/// How long ago each watched kind was heard of.
pub const WATCH_AGE: Metric = gauge(
    "sealwatch_watch_age",
    &["kind"],
    "Time since the API server last said anything about a watched kind, which it does about once a minute also where nothing happens; it stays below the 195 s that a watch lasts; absent where the API server does not show nodes, ConfigMaps or ClusterTrustBundles",
)
.in_seconds()
.answers("Is the cluster seen?", "max by (kind) (sealwatch_watch_age_seconds)");

/// Failed watches.
pub const WATCH_ERRORS: Metric = counter(
    "sealwatch_watch_errors",
    &["kind"],
    "How often a list or watch at the API server failed; it is tried again after a pause",
)
.answers("Does the API server answer?", "sum by (kind) (increase(sealwatch_watch_errors_total[10m]))");

/// Memory of what was learnt.
pub const REMEMBERED: Metric =
    gauge("sealwatch_remembered", &["what"], "Memory that what is remembered takes, by estimate")
        .in_bytes()
        .answers("What is the memory used for?", "sum by (what) (sealwatch_remembered_bytes)");

/// Whether the cache on disk is in use.
pub const CACHE_OPEN: Metric = gauge(
    "sealwatch_cache_open",
    &[],
    "1 if the [cache on disk](evidence-cache.md) is in use; 0 if its folder cannot be used, or none was asked for",
)
.answers("Would a restart without the network lose verdicts?", "min(sealwatch_cache_open)");

/// Room that the cache takes.
pub const CACHE_BYTES: Metric = gauge("sealwatch_cache", &[], "Room that the cache takes on disk")
    .in_bytes()
    .answers("How large is the cache?", "sum(sealwatch_cache_bytes)");

/// What happens to entries of the cache.
pub const CACHE_EVENTS: Metric =
    counter("sealwatch_cache_events", &["event"], "What happened to entries of the cache on disk")
        .answers("Is the disk well?", "sum by (event) (increase(sealwatch_cache_events_total[10m]))");

/// All of them, in the order of the documentation.
pub const ALL: [Metric; 18] = [
    IMAGES,
    IMAGE_VERDICT,
    UNCHECKED,
    NEXT_EXPIRY,
    NEWEST,
    OLDEST,
    LAST_PASS,
    GATHERS,
    REVOCATION_REQUESTS,
    RECONCILES,
    STATUS_WRITES,
    WATCH_AGE,
    WATCH_ERRORS,
    REMEMBERED,
    CACHE_OPEN,
    CACHE_BYTES,
    CACHE_EVENTS,
    BUILD_INFO,
];

/// What each label may say. None of it comes from a registry or a certificate, and from an image only where that is
/// wanted.
pub const LABELS: [(&str, &str); 13] = [
    ("namespace", "the namespace of the TrustPolicy and of the images, not that of the operator"),
    ("policy", "the name of the TrustPolicy"),
    ("name", "the name of the ImageVerification"),
    ("repository", "the repository as the pods name it, 256 bytes at most"),
    (
        "digest",
        "the digest that the node reports, 256 bytes at most; a tag, or what was reported instead, where that is none",
    ),
    ("verdict", "`Verified`, `Failed`, `Unknown` or `Skipped`"),
    (
        "reason",
        "a reason of [reasons.md](reasons.md); of `sealwatch_unchecked_images` also `Suspended`, where a policy asks for that",
    ),
    (
        "kind",
        "of `sealwatch_next_expiry_timestamp_seconds`: `SigningCertificate`, `TrustAnchor`, `Signature`, `RevocationList`; elsewhere a kind of object: `TrustPolicy`, `ImageVerification`, and of watches also `Pod`, `ConfigMap`, `Node`, `ClusterTrustBundle`",
    ),
    (
        "result",
        "of reconciles and status writes: `success`, `conflict` (somebody wrote at the same time; tried again), `gone`, `timeout`, `error`; of gathers: `Succeeded` or a reason of [reasons.md](reasons.md); of requests about revocation: `Succeeded`, `Unusable` (an answer that is none), `Status`, `TimedOut`, `TooLarge`, `EgressRefused`, `Failed`",
    ),
    ("method", "`OCSP` or `CRL`"),
    ("what", "`evidence` or `revocation`"),
    (
        "event",
        "`Hit`, `Miss`, `Damaged`, `Future`, `Stored`, `Evicted`, `Dropped` (too large, or too much was waiting), `Failed` (the disk, or the folder, could not be used)",
    ),
    ("version", "the version of Sealwatch"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        let names: BTreeSet<_> = ALL.iter().map(Metric::name).collect();
        assert_eq!(names.len(), ALL.len(), "each name once");
        for metric in ALL {
            let name = metric.name();
            assert!(name.starts_with("sealwatch_"), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
            assert_eq!(name.ends_with("_seconds"), metric.unit().starts_with("seconds"), "{name}");
            assert_eq!(name.ends_with("_bytes"), metric.unit() == "bytes", "{name}");
            assert!(metric.query.contains(&name), "{name}: its query asks for something else: {}", metric.query);
            assert!(!metric.question.is_empty() && metric.meaning.len() > 10, "{name}");
        }
    }

    #[test]
    fn every_label_is_explained_and_none_that_does_not_exist() {
        let used: BTreeSet<_> = ALL.iter().flat_map(|metric| metric.labels).copied().collect();
        let explained: BTreeSet<_> = LABELS.iter().map(|(label, _)| *label).collect();
        assert_eq!(used, explained);
    }
}
