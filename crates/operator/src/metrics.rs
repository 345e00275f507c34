// SPDX-License-Identifier: Apache-2.0
//! What the operator counts. Labels are of bounded number: never an image, a digest or anything a registry says, unless
//! the user wants a series for each image.

pub mod catalogue;
pub mod policies;

use std::{sync::Arc, time::Instant};

use jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::ConstGauge,
    },
    registry::Registry,
};
use sealwatch_api::Reason;
use sealwatch_registry::HttpRegistry;
use sealwatch_verifier::{CacheEvent, EvidenceCache, Revocation, Verifier};

use self::{catalogue::Metric, policies::Policies};
use crate::sight::{Sight, WATCHED};

/// A kind and a result.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ResultLabels {
    /// `TrustPolicy` or `ImageVerification`.
    pub kind: &'static str,
    /// `success`, `conflict`, `gone`, `timeout` or `error`.
    pub result: &'static str,
}

/// How often a registry was asked for evidence, by how it ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct GatherLabels {
    /// `Succeeded`, or the reason in the API's closed table.
    pub result: &'static str,
}

/// A watched kind.
#[derive(Clone, Debug, Hash, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
pub struct WatchLabels {
    /// The kind.
    pub kind: &'static str,
}

/// How passes and writes end.
const RESULTS: [&str; 5] = ["success", "conflict", "gone", "timeout", "error"];
/// How looks fail.
const LOOKS_FAIL: [Reason; 10] = [
    Reason::RegistryUnavailable,
    Reason::RegistryUnauthorized,
    Reason::RegistryThrottled,
    Reason::CredentialsForbidden,
    Reason::EgressRefused,
    Reason::ImageNotFound,
    Reason::DigestUnresolvable,
    Reason::SignaturesNotMirrored,
    Reason::DigestMismatch,
    Reason::SignatureLimitExceeded,
];

/// The operator's metrics.
#[derive(Debug)]
pub struct Metrics {
    /// Reconciles by kind and result.
    pub reconciles: Family<ResultLabels, Counter>,
    /// Status writes by kind and result.
    pub status_writes: Family<ResultLabels, Counter>,
    /// Gatherings of evidence by result.
    pub gathers: Family<GatherLabels, Counter>,
    /// Failures of watches by kind.
    pub watch_errors: Family<WatchLabels, Counter>,
    /// What is told of each policy.
    pub policies: Policies,
}

impl Default for Metrics {
    /// What can be counted starts at 0 rather than to be absent: the first of something is an increase, too.
    fn default() -> Self {
        let metrics = Self {
            reconciles: Family::default(),
            status_writes: Family::default(),
            gathers: Family::default(),
            watch_errors: Family::default(),
            policies: Policies::default(),
        };
        for kind in ["TrustPolicy", "ImageVerification"] {
            for result in RESULTS {
                let _ = metrics.reconciles.get_or_create(&ResultLabels { kind, result });
                let _ = metrics.status_writes.get_or_create(&ResultLabels { kind, result });
            }
        }
        for result in LOOKS_FAIL.iter().map(|reason| reason.as_str()).chain(["Succeeded"]) {
            let _ = metrics.gathers.get_or_create(&GatherLabels { result });
        }
        for (kind, _) in WATCHED {
            metrics.watch_begins(kind);
        }
        metrics
    }
}

impl Metrics {
    /// A watch of this kind begins.
    pub fn watch_begins(&self, kind: &'static str) {
        let _ = self.watch_errors.get_or_create(&WatchLabels { kind });
    }

    /// A watch of this kind has just failed.
    pub fn watch_failed(&self, kind: &'static str) {
        self.watch_errors.get_or_create(&WatchLabels { kind }).inc();
    }
}

/// Who is asked when somebody wants to see the metrics.
#[derive(Debug)]
pub struct Sources {
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What remembers evidence.
    pub verifier: Arc<Verifier<HttpRegistry>>,
    /// What remembers answers about revocation.
    pub revocation: Arc<Revocation>,
    /// The cache on disk, if there is one.
    pub cache: Option<EvidenceCache>,
    /// What is seen of the cluster.
    pub sight: Sight,
}

/// What is read when somebody asks, rather than counted.
#[derive(Debug)]
struct Current(Sources);

impl Collector for Current {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Sources { metrics, revocation, sight, .. } = &self.0;
        let mut family = catalogue::BUILD_INFO.encode(&mut encoder)?;
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        ConstGauge::new(1_i64).encode(family.encode_family(&version)?)?;
        metrics.policies.encode(&mut encoder, Timestamp::now())?;
        let mut family = catalogue::WATCH_AGE.encode(&mut encoder)?;
        for (kind, age) in sight.ages(Instant::now()) {
            let gauge = ConstGauge::new(age.as_secs_f64());
            gauge.encode(family.encode_family(&WatchLabels { kind })?)?;
        }
        let mut family = catalogue::REVOCATION_REQUESTS.encode(&mut encoder)?;
        for ((method, result), count) in revocation.requests() {
            let labels = [("method", method), ("result", result)];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        self.encode_memory(&mut encoder)?;
        self.encode_cache(&mut encoder)
    }
}

impl Current {
    fn encode_memory(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Sources { verifier, revocation, .. } = &self.0;
        let mut family = catalogue::REMEMBERED.encode(encoder)?;
        for (what, bytes) in [("evidence", verifier.remembered_bytes()), ("revocation", revocation.remembered_bytes())]
        {
            gauge(bytes).encode(family.encode_family(&[("what", what)])?)?;
        }
        Ok(())
    }

    /// The cache on disk; without one, one that is not open and in which nothing happens.
    fn encode_cache(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let state = self.0.cache.as_ref().map(EvidenceCache::state).unwrap_or_default();
        gauge(i64::from(state.is_open)).encode(catalogue::CACHE_OPEN.encode(encoder)?)?;
        gauge(state.bytes).encode(catalogue::CACHE_BYTES.encode(encoder)?)?;
        let mut family = catalogue::CACHE_EVENTS.encode(encoder)?;
        for event in CacheEvent::ALL {
            let count = state.events.get(&event).copied().unwrap_or_default();
            ConstCounter::new(count).encode(family.encode_family(&[("event", event.as_str())])?)?;
        }
        Ok(())
    }
}

/// As a gauge holds it.
fn gauge(bytes: impl TryInto<i64>) -> ConstGauge<i64> {
    ConstGauge::new(bytes.try_into().unwrap_or(i64::MAX))
}

/// The registry that `/metrics` prints.
pub fn registry(sources: Sources) -> Registry {
    let metrics = &sources.metrics;
    let mut registry = Registry::default();
    let counted = |metric: Metric| (metric.stem(), metric.meaning);
    for (metric, family) in
        [(catalogue::RECONCILES, &metrics.reconciles), (catalogue::STATUS_WRITES, &metrics.status_writes)]
    {
        let (name, help) = counted(metric);
        registry.register(name, help, family.clone());
    }
    let (name, help) = counted(catalogue::GATHERS);
    registry.register(name, help, metrics.gathers.clone());
    let (name, help) = counted(catalogue::WATCH_ERRORS);
    registry.register(name, help, metrics.watch_errors.clone());
    registry.register_collector(Box::new(Current(sources)));
    registry
}

#[cfg(test)]
mod tests;
