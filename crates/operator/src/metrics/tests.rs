// SPDX-License-Identifier: Apache-2.0

use std::collections::{BTreeMap, BTreeSet};

use sealwatch_api::{ExpiryKind, TrustPolicy, condition::Circumstance};
use sealwatch_registry::{PlainFetcher, RegistryOptions};
use serde_json::json;

use super::{policies::Figures, *};
use crate::{
    discover,
    image_verification::memory::Discovered,
    policy::Policy,
    running::{ImageKey, RunningDigest, RunningImage},
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
        ends: Vec::new(),
        handled_request: None,
        judged_by: (1, String::new()),
    }
}

fn told(results: &BTreeMap<String, Option<ImageResult>>) -> Figures {
    told_with(results, None)
}

fn told_with(results: &BTreeMap<String, Option<ImageResult>>, each: Option<&Discovered>) -> Figures {
    let policy = policy();
    let images = results.iter().map(|(name, result)| (name.as_str(), result.as_ref())).collect();
    Figures::of(&Facts { policy: &policy, images, blind: None, pods: 0, containers: 0 }, each)
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
    let whole = ImageResult { ends: vec![end], trouble: Some(trouble), ..result(Reason::SignatureValid) };
    let key = ImageKey { repository: "registry.example/a".into(), digest: RunningDigest::Tag("1".into()) };
    let found = Discovered::from([("a".to_owned(), discover::Found { key, running: RunningImage::default() })]);
    metrics.policies.set("aio", "microsoft", told_with(&[("a".into(), Some(whole))].into(), Some(&found)));
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
fn each_image_is_a_series_only_where_that_is_wanted_and_says_what_it_is() {
    let metrics = Arc::new(Metrics::default());
    let image = |digest: &str| discover::Found {
        key: ImageKey {
            repository: format!("registry.example/{}", "a".repeat(300)),
            digest: RunningDigest::Unreadable(digest.into()),
        },
        running: RunningImage::default(),
    };
    let found = Discovered::from([("odd".to_owned(), image("\u{1b}[1m\"x\n"))]);
    let results = BTreeMap::from([("odd".to_owned(), Some(result(Reason::NoSignature))), ("other".to_owned(), None)]);
    metrics.policies.set("aio", "microsoft", told(&results));
    assert!(!page(&metrics).contains("sealwatch_image_verdict{"));
    metrics.policies.set("aio", "microsoft", told_with(&results, Some(&found)));
    let shown = page(&metrics);
    let lines: Vec<_> = shown.lines().filter(|line| line.starts_with("sealwatch_image_verdict{")).collect();
    let [line] = lines.as_slice() else { panic!("{shown}") };
    assert!(
        line.starts_with(r#"sealwatch_image_verdict{namespace="aio",policy="microsoft",name="odd",repository="regis"#)
    );
    assert!(line.ends_with(r#",verdict="Failed",reason="NoSignature"} 1"#), "{line}");
    assert!(line.len() < 512 && !line.contains('\u{1b}'), "{line}");
    metrics.policies.forget("aio", "microsoft");
    assert!(!page(&metrics).contains("sealwatch_image_verdict{"));
}

#[test]
fn what_is_told_of_a_policy_is_what_its_images_say_and_goes_with_it() {
    let metrics = Arc::new(Metrics::default());
    let end = |kind, seconds| Expiry { time: at(seconds), kind, subject: "CN=s".into() };
    let ending = |kind, seconds| {
        // Every kind counts, also behind another of the same image.
        let ends = vec![end(kind, seconds), end(ExpiryKind::TrustAnchor, seconds + 1_000)];
        Some(ImageResult { ends, verified_at: Some(at(seconds)), ..result(Reason::SignatureValid) })
    };
    let unavailable = Trouble { reason: Reason::RegistryUnavailable.into(), message: "no".into() };
    let over = Some(ImageResult { ends: vec![end(ExpiryKind::Signature, 1_000)], ..result(Reason::SignatureValid) });
    let images = BTreeMap::from([
        ("a".to_owned(), ending(ExpiryKind::SigningCertificate, 9_000_000_200)),
        ("b".to_owned(), ending(ExpiryKind::SigningCertificate, 9_000_000_100)),
        ("c".to_owned(), ending(ExpiryKind::RevocationList, 9_000_000_300)),
        ("over".to_owned(), over),
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
        format!(r#"sealwatch_next_expiry_timestamp_seconds{of},kind="TrustAnchor"}} 9000001100"#),
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
            let ends = vec![Expiry { time, kind, subject: format!("CN=signer {number}") }];
            let result = ImageResult { trouble: Some(trouble), ends, ..result(reason) };
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
