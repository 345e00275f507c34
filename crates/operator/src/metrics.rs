// SPDX-License-Identifier: Apache-2.0
//! What the operator counts. Labels are of bounded number: never an image, a digest or anything a registry says.

pub mod catalogue;
pub mod policies;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

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
use sealwatch_verifier::Revocation;

use self::{catalogue::Metric, policies::Policies};

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

/// What is watched in any case.
const WATCHED: [&str; 4] = ["Pod", "TrustPolicy", "ImageVerification", "ConfigMap"];
/// How passes and writes end.
const RESULTS: [&str; 5] = ["success", "conflict", "gone", "timeout", "error"];
/// How looks fail.
const LOOKS_FAIL: [Reason; 9] = [
    Reason::RegistryUnavailable,
    Reason::RegistryUnauthorized,
    Reason::RegistryThrottled,
    Reason::CredentialsForbidden,
    Reason::EgressRefused,
    Reason::ImageNotFound,
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
    watches: Mutex<BTreeMap<&'static str, Instant>>,
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
            watches: Mutex::default(),
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
        for kind in WATCHED {
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

    /// A watch of this kind has just said something.
    pub fn watch_spoke(&self, kind: &'static str) {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner).insert(kind, Instant::now());
    }

    /// A watch of this kind has just failed.
    pub fn watch_failed(&self, kind: &'static str) {
        self.watch_errors.get_or_create(&WatchLabels { kind }).inc();
    }
}

/// What is read when somebody asks, rather than counted.
#[derive(Debug)]
struct Current(Arc<Metrics>, Arc<Revocation>);

impl Collector for Current {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut family = catalogue::BUILD_INFO.encode(&mut encoder)?;
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        ConstGauge::new(1_i64).encode(family.encode_family(&version)?)?;
        self.0.policies.encode(&mut encoder, Timestamp::now())?;
        let watches = self.0.watches.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut family = catalogue::WATCH_AGE.encode(&mut encoder)?;
        for (kind, spoke) in watches {
            let gauge = ConstGauge::new(spoke.elapsed().as_secs_f64());
            gauge.encode(family.encode_family(&WatchLabels { kind })?)?;
        }
        let mut family = catalogue::REVOCATION_REQUESTS.encode(&mut encoder)?;
        for ((method, result), count) in self.1.requests() {
            let labels = [("method", method), ("result", result)];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// The registry that `/metrics` prints.
pub fn registry(metrics: &Arc<Metrics>, revocation: &Arc<Revocation>) -> Registry {
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
    registry.register_collector(Box::new(Current(Arc::clone(metrics), Arc::clone(revocation))));
    registry
}

#[cfg(test)]
mod tests;
