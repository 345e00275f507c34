// SPDX-License-Identifier: Apache-2.0
//! What the operator counts. Labels are of bounded number: never an image, a digest or anything a registry says.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
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
use sealwatch_registry::HttpRegistry;
use sealwatch_verifier::{EvidenceCache, Revocation, Verifier};

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
    watches: Mutex<BTreeMap<&'static str, Instant>>,
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

    /// A watch of this kind has just said something.
    pub fn watch_spoke(&self, kind: &'static str) {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner).insert(kind, Instant::now());
    }
}

/// The labels of `sealwatch_revocation_requests`.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RevocationLabels {
    method: &'static str,
    result: &'static str,
}

/// What happened to entries of the cache on disk.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CacheLabels {
    event: &'static str,
}

/// What is remembered.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct MemoryLabels {
    what: &'static str,
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
}

/// What is read when somebody asks, rather than counted.
#[derive(Debug)]
struct Current(Sources);

impl Collector for Current {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.encode_counts(&mut encoder)?;
        self.encode_memory(&mut encoder)?;
        self.0.cache.as_ref().map_or(Ok(()), |cache| encode_cache(cache, &mut encoder))
    }
}

/// As a gauge holds it.
fn gauge(bytes: impl TryInto<i64>) -> ConstGauge<i64> {
    ConstGauge::new(bytes.try_into().unwrap_or(i64::MAX))
}

fn encode_cache(cache: &EvidenceCache, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
    let state = cache.state();
    let open = gauge(i64::from(state.is_open));
    let help = "Whether the cache on disk is in use";
    open.encode(encoder.encode_descriptor("sealwatch_cache_open", help, None, open.metric_type())?)?;
    let bytes = gauge(state.bytes);
    let help = "Room that the cache takes on disk";
    bytes.encode(encoder.encode_descriptor("sealwatch_cache", help, Some(&Unit::Bytes), bytes.metric_type())?)?;
    let counter = ConstCounter::new(0_u64);
    let help = "What happened to entries of the cache on disk";
    let mut metric = encoder.encode_descriptor("sealwatch_cache_events", help, None, counter.metric_type())?;
    for (event, count) in state.events {
        let labels = CacheLabels { event: event.as_str() };
        ConstCounter::new(count).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

impl Current {
    fn encode_memory(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Sources { verifier, revocation, .. } = &self.0;
        let help = "Memory that what is remembered takes, by estimate";
        let kind = gauge(0_i64).metric_type();
        let mut metric = encoder.encode_descriptor("sealwatch_remembered", help, Some(&Unit::Bytes), kind)?;
        for (what, bytes) in [("evidence", verifier.remembered_bytes()), ("revocation", revocation.remembered_bytes())]
        {
            gauge(bytes).encode(metric.encode_family(&MemoryLabels { what })?)?;
        }
        Ok(())
    }

    fn encode_counts(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Sources { metrics, revocation, .. } = &self.0;
        let images = metrics.images.lock().unwrap_or_else(PoisonError::into_inner).clone();
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
        let watches = metrics.watches.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut metric = encoder.encode_descriptor(
            "sealwatch_watch_age",
            "Time since a watch last said something",
            Some(&Unit::Seconds),
            gauge.metric_type(),
        )?;
        for (kind, spoke) in watches {
            let gauge = ConstGauge::new(spoke.elapsed().as_secs_f64());
            gauge.encode(metric.encode_family(&WatchLabels { kind })?)?;
        }
        let counter = ConstCounter::new(0_u64);
        let mut metric = encoder.encode_descriptor(
            "sealwatch_revocation_requests",
            "Requests about revocation by method and result",
            None,
            counter.metric_type(),
        )?;
        for ((method, result), count) in revocation.requests() {
            ConstCounter::new(count).encode(metric.encode_family(&RevocationLabels { method, result })?)?;
        }
        Ok(())
    }
}

/// The registry that `/metrics` prints.
pub fn registry(sources: Sources) -> Registry {
    let metrics = &sources.metrics;
    let mut registry = Registry::default();
    registry.register("sealwatch_reconciles", "Reconciles by kind and result", metrics.reconciles.clone());
    registry.register(
        "sealwatch_status_writes",
        "Writes of a status by kind and result",
        metrics.status_writes.clone(),
    );
    registry.register("sealwatch_gathers", "Gatherings of evidence by result", metrics.gathers.clone());
    registry.register_collector(Box::new(Current(sources)));
    registry
}

#[cfg(test)]
mod tests {
    use sealwatch_registry::{PlainFetcher, RegistryOptions};

    use super::*;

    #[test]
    fn the_metrics_page_shows_what_was_counted_under_its_names() {
        let metrics = Arc::new(Metrics::default());
        let folder = tempfile::tempdir().expect("a folder");
        let sources = || {
            let fetcher = PlainFetcher::new(&RegistryOptions::default()).expect("a fetcher");
            let registry = HttpRegistry::new(RegistryOptions::default()).expect("a registry");
            Sources {
                metrics: Arc::clone(&metrics),
                verifier: Arc::new(Verifier::new(registry)),
                revocation: Arc::new(Revocation::new(fetcher)),
                cache: Some(EvidenceCache::open(folder.path(), 1 << 20)),
            }
        };
        metrics.reconciles.get_or_create(&ResultLabels { kind: "TrustPolicy", result: "success" }).inc();
        metrics.set_images("aio", "microsoft", BTreeMap::from([(("Verified".into(), "SignatureValid".into()), 27)]));
        metrics.watch_spoke("Pod");
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry(sources())).expect("a page");
        assert!(page.contains("# TYPE sealwatch_revocation_requests counter"), "{page}");
        assert!(page.contains(r#"sealwatch_reconciles_total{kind="TrustPolicy",result="success"} 1"#), "{page}");
        assert!(
            page.contains(
                r#"sealwatch_images{namespace="aio",policy="microsoft",verdict="Verified",reason="SignatureValid"} 27"#
            ),
            "{page}"
        );
        assert!(page.contains(r#"sealwatch_watch_age_seconds{kind="Pod"} "#), "{page}");
        assert!(page.contains("sealwatch_cache_open 1"), "{page}");
        assert!(page.contains("sealwatch_cache_bytes "), "{page}");
        assert!(page.contains("# TYPE sealwatch_cache_events counter"), "{page}");
        assert!(page.contains(r#"sealwatch_remembered_bytes{what="evidence"} 0"#), "{page}");
        metrics.forget("aio", "microsoft");
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry(sources())).expect("a page");
        assert!(!page.contains("microsoft"), "{page}");
    }
}
