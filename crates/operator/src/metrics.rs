// SPDX-License-Identifier: Apache-2.0
//! What the operator counts. Labels are of bounded number: never an image, a digest or anything a registry says.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::ConstGauge,
    },
    registry::{Registry, Unit},
};
use sealwatch_verifier::Revocation;

use crate::sight::Sight;

/// The labels of `sealwatch_images`.
#[derive(Clone, Debug, Hash, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
pub struct ImageLabels {
    /// The namespace.
    pub namespace: String,
    /// The `TrustPolicy`.
    pub policy: String,
    /// The verdict.
    pub verdict: String,
    /// Its reason.
    pub reason: String,
}

/// A kind and a result.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ResultLabels {
    /// `TrustPolicy` or `ImageVerification`.
    pub kind: &'static str,
    /// `success`, `conflict` or `error`.
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
struct WatchLabels {
    kind: &'static str,
}

/// How many images have each (verdict, reason).
pub type Counts = BTreeMap<(String, String), u64>;

/// The operator's metrics.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Reconciles by kind and result.
    pub reconciles: Family<ResultLabels, Counter>,
    /// Status writes by kind and result.
    pub status_writes: Family<ResultLabels, Counter>,
    /// Gatherings of evidence by result.
    pub gathers: Family<GatherLabels, Counter>,
    images: Mutex<BTreeMap<(String, String), Counts>>,
}

impl Metrics {
    /// Replaces the image counts of one policy, by (verdict, reason).
    pub fn set_images(&self, namespace: &str, policy: &str, counts: Counts) {
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        images.insert((namespace.to_owned(), policy.to_owned()), counts);
    }

    /// Forgets a policy that is gone.
    pub fn forget(&self, namespace: &str, policy: &str) {
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        images.remove(&(namespace.to_owned(), policy.to_owned()));
    }
}

/// The labels of `sealwatch_revocation_requests`.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RevocationLabels {
    method: &'static str,
    result: &'static str,
}

/// What is read when somebody asks, rather than counted.
#[derive(Debug)]
struct Current(Arc<Metrics>, Arc<Revocation>, Sight);

impl Collector for Current {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let images = self.0.images.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let gauge = ConstGauge::new(0_i64);
        let mut metric = encoder.encode_descriptor(
            "sealwatch_images",
            "Running images by verdict and reason",
            None,
            gauge.metric_type(),
        )?;
        for ((namespace, policy), counts) in images {
            for ((verdict, reason), count) in counts {
                let labels = ImageLabels { namespace: namespace.clone(), policy: policy.clone(), verdict, reason };
                let gauge = ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
                gauge.encode(metric.encode_family(&labels)?)?;
            }
        }
        let mut metric = encoder.encode_descriptor(
            "sealwatch_watch_age",
            "Time since the API server was last heard about a watched kind, bookmarks included",
            Some(&Unit::Seconds),
            gauge.metric_type(),
        )?;
        for (kind, age) in self.2.ages() {
            let gauge = ConstGauge::new(age.as_secs_f64());
            gauge.encode(metric.encode_family(&WatchLabels { kind })?)?;
        }
        let counter = ConstCounter::new(0_u64);
        let mut metric = encoder.encode_descriptor(
            "sealwatch_revocation_requests",
            "Requests about revocation by method and result",
            None,
            counter.metric_type(),
        )?;
        for ((method, result), count) in self.1.requests() {
            ConstCounter::new(count).encode(metric.encode_family(&RevocationLabels { method, result })?)?;
        }
        Ok(())
    }
}

/// The registry that `/metrics` prints.
pub fn registry(metrics: &Arc<Metrics>, revocation: &Arc<Revocation>, sight: Sight) -> Registry {
    let mut registry = Registry::default();
    registry.register("sealwatch_reconciles", "Reconciles by kind and result", metrics.reconciles.clone());
    registry.register(
        "sealwatch_status_writes",
        "Writes of a status by kind and result",
        metrics.status_writes.clone(),
    );
    registry.register("sealwatch_gathers", "Gatherings of evidence by result", metrics.gathers.clone());
    registry.register_collector(Box::new(Current(Arc::clone(metrics), Arc::clone(revocation), sight)));
    registry
}

#[cfg(test)]
mod tests {
    use sealwatch_registry::{PlainFetcher, RegistryOptions};

    use super::*;

    #[test]
    fn the_metrics_page_shows_what_was_counted_under_its_names() {
        let metrics = Arc::new(Metrics::default());
        let fetcher = PlainFetcher::new(&RegistryOptions::default()).expect("a fetcher");
        let revocation = Arc::new(Revocation::new(fetcher));
        metrics.reconciles.get_or_create(&ResultLabels { kind: "TrustPolicy", result: "success" }).inc();
        metrics.set_images("aio", "microsoft", BTreeMap::from([(("Verified".into(), "SignatureValid".into()), 27)]));
        let sight = Sight::new(std::time::Duration::from_secs(195));
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry(&metrics, &revocation, sight.clone()))
            .expect("a page");
        assert!(page.contains("# TYPE sealwatch_revocation_requests counter"), "{page}");
        assert!(page.contains(r#"sealwatch_reconciles_total{kind="TrustPolicy",result="success"} 1"#), "{page}");
        assert!(
            page.contains(
                r#"sealwatch_images{namespace="aio",policy="microsoft",verdict="Verified",reason="SignatureValid"} 27"#
            ),
            "{page}"
        );
        assert!(page.contains(r#"sealwatch_watch_age_seconds{kind="Pod"} "#), "{page}");
        metrics.forget("aio", "microsoft");
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry(&metrics, &revocation, sight)).expect("a page");
        assert!(!page.contains("microsoft"), "{page}");
    }
}
