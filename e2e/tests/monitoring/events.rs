// SPDX-License-Identifier: Apache-2.0

//! Events: each change is told of the object that it is about, and told again when it comes again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use sealwatch_e2e::scene::{self, Signed};
use sealwatch_e2e::stage::Stage;
use sealwatch_e2e::testenv::{OperatorProcess, Result};
use serde_json::json;

use crate::site::{SEED, address, metrics, sound};

const SOON: Duration = Duration::from_secs(30);
/// The longest note that the API allows, in bytes.
const NOTE_MOST: usize = 1024;

/// How often each was told: `Kind Type Reason`. Events of the same words are one object with a count.
async fn told(stage: &Stage) -> Result<BTreeMap<String, i32>> {
    let events: Api<Event> = Api::namespaced(stage.client(), &stage.namespace);
    let mut told = BTreeMap::new();
    for event in events.list(&ListParams::default()).await?.items {
        let kind = event.regarding.and_then(|regarding| regarding.kind).unwrap_or_default();
        if !["TrustPolicy", "ImageVerification"].contains(&kind.as_str()) {
            continue;
        }
        let note = event.note.unwrap_or_default();
        assert!(!note.is_empty() && note.len() <= NOTE_MOST, "{note}");
        let words = [kind, event.type_.unwrap_or_default(), event.reason.unwrap_or_default()].join(" ");
        *told.entry(words).or_default() += event.series.map_or(1, |series| series.count);
    }
    Ok(told)
}

async fn until_told(stage: &Stage, expected: &[(&str, i32)]) -> Result<()> {
    let expected: BTreeMap<String, i32> = expected.iter().map(|(words, count)| ((*words).to_owned(), *count)).collect();
    let began = Instant::now();
    loop {
        let told = told(stage).await?;
        if told == expected {
            return Ok(());
        }
        assert!(began.elapsed() < SOON, "told {told:#?}, expected {expected:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until so many looks failed: what somebody asked for, and what was tried again by itself.
async fn until_failed(operator: &OperatorProcess, looks: u32) -> Result<()> {
    let began = Instant::now();
    loop {
        let page = metrics(address(operator)?).await?;
        let line =
            page.lines().find_map(|line| line.strip_prefix("sealwatch_gathers_total{result=\"RegistryUnavailable\"} "));
        if line.ok_or("a count")?.parse::<u32>()? >= looks {
            return Ok(());
        }
        assert!(began.elapsed() < SOON, "{page}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn what_turns_bad_and_good_again_is_told_of_image_and_policy_each_time() -> Result<()> {
    let (stage, mut registry, operator, _pki, _images) = sound("events").await?;
    let (good, image_bad) = ("ImageVerification Normal SignatureValid", "ImageVerification Warning UntrustedIdentity");
    let (policy_bad, policy_good) = ("TrustPolicy Warning UntrustedIdentity", "TrustPolicy Normal Succeeded");
    until_told(&stage, &[(good, 1)]).await?;
    let mut stranger = scene::seed_document();
    stranger["trustPolicies"][0]["trustedIdentities"] = json!(["x509.subject: CN=Nobody,O=Nobody,C=US,ST=WA"]);
    for round in 1..=2 {
        stage.apply(&scene::trust_policy(SEED, &stranger)).await?;
        stage.until("the failure", |seen| seen.reason(Signed::Cose.short()) == "UntrustedIdentity").await?;
        let before = round - 1;
        let mut expected = vec![(good, round), (image_bad, round), (policy_bad, round), (policy_good, before)];
        expected.retain(|(_, count)| *count > 0);
        until_told(&stage, &expected).await?;
        stage.apply(&scene::trust_policy(SEED, &scene::seed_document())).await?;
        stage.until("the recovery", |seen| seen.policy_condition(SEED, "Verified") == "True/Succeeded").await?;
        let expected = [(good, round + 1), (image_bad, round), (policy_bad, round), (policy_good, round)];
        until_told(&stage, &expected).await?;
    }
    // An outage changes no verdict: the policy says that it is not Ready, once for however many looks fail.
    registry.stop();
    stage.request(SEED).await?;
    stage.request(SEED).await?;
    until_failed(&operator, 4).await?;
    let away = ("TrustPolicy Warning RegistryUnavailable", 1);
    until_told(&stage, &[(good, 3), (image_bad, 2), (policy_bad, 2), (policy_good, 2), away]).await
}
