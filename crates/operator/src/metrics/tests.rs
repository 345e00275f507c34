// SPDX-License-Identifier: Apache-2.0

use std::collections::{BTreeMap, BTreeSet};

use sealwatch_api::{ExpiryKind, TrustPolicy, condition::Circumstance};
use sealwatch_registry::{PlainFetcher, RegistryOptions};
use serde_json::json;

use super::{policies::Figures, *};
use crate::{
    policy::Policy,
    status::{
        Trouble,
        policy::{Expiry, Facts, ImageResult},
    },
    trust_store::Loaded,
};

fn page(metrics: &Arc<Metrics>) -> String {
    page_with(metrics, None)
}

fn page_with(metrics: &Arc<Metrics>, cache: Option<EvidenceCache>) -> String {
    let fetcher = PlainFetcher::new(&RegistryOptions::default()).expect("a fetcher");
    let verifier = Verifier::new(HttpRegistry::new(RegistryOptions::default()).expect("a registry"));
    let mut page = String::new();
    let registry = registry(Sources {
        metrics: Arc::clone(metrics),
        verifier: Arc::new(verifier),
        revocation: Arc::new(Revocation::new(fetcher)),
        cache,
        sight: Sight::new(std::time::Duration::from_secs(195)),
    });
    prometheus_client::encoding::text::encode(&mut page, &registry).expect("a page");
    page
}

#[test]
fn a_cache_is_shown_as_open_while_its_folder_is_in_use_and_none_as_closed() {
    let metrics = Arc::new(Metrics::default());
    let folder = tempfile::tempdir().expect("a folder");
    let with = page_with(&metrics, Some(EvidenceCache::open(folder.path(), 1 << 20)));
    assert!(with.contains("sealwatch_cache_open 1\n"), "{with}");
    let without = page(&metrics);
    assert!(without.contains("sealwatch_cache_open 0\n"), "{without}");
    assert_eq!(series(&with), series(&without));
}

fn policy() -> Policy {
    let object: TrustPolicy = serde_json::from_value(json!({
        "apiVersion": "sealwatch.dev/v1alpha1", "kind": "TrustPolicy",
        "metadata": {"name": "microsoft", "namespace": "aio", "uid": "u", "generation": 1},
        "spec": {"version": "1.0", "trustPolicies": [
            {"name": "all", "registryScopes": ["*"], "signatureVerification": {"level": "skip"}},
        ]},
    }))
    .expect("a policy");
    Policy::new(&object, Loaded::default())
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).expect("in range")
}

fn result(reason: Reason) -> ImageResult {
    ImageResult {
        reason,
        trouble: None,
        verified_at: Some(at(1_000)),
        next_expiry: None,
        handled_request: None,
        judged_by: (1, String::new()),
    }
}

fn told(results: &BTreeMap<String, Option<ImageResult>>) -> Figures {
    let policy = policy();
    let images = results.iter().map(|(name, result)| (name.as_str(), result.as_ref())).collect();
    Figures::of(&Facts { policy: &policy, images, blind: None, pods: 0, containers: 0 })
}

/// The families of a page.
fn families(page: &str) -> BTreeSet<String> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
}

fn series(page: &str) -> BTreeSet<&str> {
    page.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(of, _)| of)
        .collect()
}

#[test]
fn the_page_shows_exactly_the_families_of_the_catalogue_from_the_start() {
    let metrics = Arc::new(Metrics::default());
    let expected: BTreeSet<_> = catalogue::ALL.iter().map(Metric::family).collect();
    assert_eq!(families(&page(&metrics)), expected);
}

#[test]
fn the_labels_on_the_page_are_those_of_the_catalogue() {
    let metrics = Arc::new(Metrics::default());
    metrics.watch_failed("Pod");
    let end = Expiry { time: at(9_000_000_000), kind: ExpiryKind::Signature, subject: "CN=s".into() };
    let trouble = Trouble { reason: Circumstance::Suspended.into(), message: "no".into() };
    let whole = ImageResult { next_expiry: Some(end), trouble: Some(trouble), ..result(Reason::SignatureValid) };
    metrics.policies.set("aio", "microsoft", told(&[("a".into(), Some(whole))].into()));
    metrics.policies.passed("aio", "microsoft", at(1));
    let page = page(&metrics);
    for metric in catalogue::ALL {
        let name = metric.name();
        // Requests about revocation are counted elsewhere.
        let begins = |line: &&str| line.strip_prefix(&name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let Some(line) = page.lines().find(begins) else {
            assert_eq!(metric, catalogue::REVOCATION_REQUESTS, "{page}");
            continue;
        };
        let labels: Vec<_> = line
            .split(['{', ',', '}'])
            .skip(1)
            .filter_map(|pair| pair.split_once('=').map(|(label, _)| label))
            .collect();
        assert_eq!(labels, metric.labels, "{line}");
    }
}

#[test]
fn what_is_told_of_a_policy_is_what_its_images_say_and_goes_with_it() {
    let metrics = Arc::new(Metrics::default());
    let ending = |kind, seconds| {
        let next_expiry = Some(Expiry { time: at(seconds), kind, subject: "CN=s".into() });
        Some(ImageResult { next_expiry, verified_at: Some(at(seconds)), ..result(Reason::SignatureValid) })
    };
    let unavailable = Trouble { reason: Reason::RegistryUnavailable.into(), message: "no".into() };
    let images = BTreeMap::from([
        ("a".to_owned(), ending(ExpiryKind::SigningCertificate, 9_000_000_200)),
        ("b".to_owned(), ending(ExpiryKind::SigningCertificate, 9_000_000_100)),
        ("c".to_owned(), ending(ExpiryKind::RevocationList, 9_000_000_300)),
        ("over".to_owned(), ending(ExpiryKind::Signature, 1_000)),
        ("kept".to_owned(), Some(ImageResult { trouble: Some(unavailable), ..result(Reason::NoSignature) })),
        ("new".to_owned(), None),
    ]);
    metrics.policies.set("aio", "microsoft", told(&images));
    metrics.policies.passed("aio", "microsoft", at(1_234));
    let of = r#"{namespace="aio",policy="microsoft""#;
    let shown = page(&metrics);
    for line in [
        format!(r#"sealwatch_images{of},verdict="Verified",reason="SignatureValid"}} 4"#),
        format!(r#"sealwatch_images{of},verdict="Failed",reason="NoSignature"}} 1"#),
        format!(r#"sealwatch_images{of},verdict="Unknown",reason="Pending"}} 1"#),
        format!(r#"sealwatch_unchecked_images{of},reason="RegistryUnavailable"}} 1"#),
        format!(r#"sealwatch_next_expiry_timestamp_seconds{of},kind="SigningCertificate"}} 9000000100"#),
        format!(r#"sealwatch_next_expiry_timestamp_seconds{of},kind="RevocationList"}} 9000000300"#),
        format!("sealwatch_newest_verification_timestamp_seconds{of}}} 9000000300"),
        format!("sealwatch_oldest_verification_timestamp_seconds{of}}} 1000"),
        format!("sealwatch_last_pass_timestamp_seconds{of}}} 1234"),
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} in\n{shown}");
    }
    assert!(!shown.contains(r#"kind="Signature""#), "what has ended is no foresight: {shown}");
    metrics.policies.forget("aio", "microsoft");
    assert!(!page(&metrics).contains("microsoft"));
}

#[test]
fn fifty_thousand_distinct_images_make_no_more_series_than_one_of_each_reason() {
    let metrics = Arc::new(Metrics::default());
    let kinds = ExpiryKind::ALL;
    let images = |count: usize| {
        let image = |number: usize| {
            let reason = Reason::ALL[number % Reason::ALL.len()];
            let kind = kinds[number % kinds.len()];
            let time = at(9_000_000_000 + i64::try_from(number).expect("small"));
            let trouble = Trouble { reason: reason.into(), message: format!("host-{number}.example.com is away") };
            let next_expiry = Some(Expiry { time, kind, subject: format!("CN=signer {number}") });
            let result = ImageResult { trouble: Some(trouble), next_expiry, ..result(reason) };
            (format!("host-{number}.example.com-repository-{number}-{number:012x}"), Some(result))
        };
        (0..count).map(image).collect::<BTreeMap<_, _>>()
    };
    let few = Reason::ALL.len() * kinds.len();
    metrics.policies.set("aio", "microsoft", told(&images(few)));
    let before = page(&metrics);
    metrics.policies.set("aio", "microsoft", told(&images(50_000)));
    let after = page(&metrics);
    assert_eq!(series(&after), series(&before));
    assert!(!after.contains("host-") && !after.contains("signer"), "{after}");
    assert!(after.len() < 64 * 1024, "{} bytes", after.len());
}
