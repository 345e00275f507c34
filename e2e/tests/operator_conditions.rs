// SPDX-License-Identifier: Apache-2.0

//! What a policy covers, how its verdicts age, and how it answers requests.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use sealwatch_api::{ExpiryKind, Summary};
use sealwatch_e2e::scene::{self, Images, Pki, Signed};
use sealwatch_e2e::stage::{Seen, Stage};
use sealwatch_e2e::testenv::pki::{KeyKind, Root, Validity};
use sealwatch_e2e::testenv::pods::{self, ContainerSpec, Place};
use sealwatch_e2e::testenv::{self, PushedImage, Registry, Result, SignOptions};
use sealwatch_fixtures::pki::{Signer, pem};
use serde_json::{Value, json};

const POLICY: &str = "microsoft";

/// Images that were pushed and signed under a trusted root, and the seed's policy with further fields.
async fn set(registry: &Registry, which: &[Signed], more: &Value) -> Result<(Stage, Images)> {
    let stage = Stage::set(testenv::cluster().await?, "conditions").await?;
    let pki = Pki::new(KeyKind::EcP256)?;
    let images = Images::push(registry, &stage.notation().await?, &pki, which, true).await?;
    stage.apply(&scene::roots(pki.root.certificate_pem())).await?;
    stage.apply(&policy(more)).await?;
    registry.clear_access_log();
    Ok((stage, images))
}

fn policy(more: &Value) -> Value {
    let mut policy = scene::trust_policy(POLICY, &scene::seed_document());
    for (field, value) in more.as_object().into_iter().flatten() {
        policy["spec"][field] = value.clone();
    }
    policy
}

/// (images, verified, failed, unknown) of the summary.
fn counts(seen: &Seen) -> Option<(u32, u32, u32, u32)> {
    let summary = seen.policy(POLICY).summary?;
    Some((summary.images, summary.verified, summary.failed, summary.unknown))
}

#[tokio::test]
async fn only_pods_that_the_selector_chooses_count_and_labels_may_change() -> Result<()> {
    let registry = Registry::olareg().await?;
    let selector = json!({"podSelector": {
        "matchLabels": {"tier": "edge"},
        "matchExpressions": [{"key": "verify", "operator": "NotIn", "values": ["no"]}],
    }});
    let (stage, images) = set(&registry, &[Signed::Cose, Signed::Not], &selector).await?;
    for (name, signed, labels) in [
        ("chosen", Signed::Cose, json!({"tier": "edge"})),
        ("exempt", Signed::Not, json!({"tier": "edge", "verify": "no"})),
        ("other", Signed::Not, json!({"tier": "cloud"})),
    ] {
        let image = images.of(signed)?;
        let container = ContainerSpec::new("main", &image.reference, image.by_digest());
        let labels = serde_json::from_value(labels)?;
        let labelled = |pod: &mut Pod| pod.metadata.labels = Some(labels);
        pods::run_as(&stage.client(), &stage.namespace, name, &[container], labelled).await?;
    }
    let _operator = stage.operator(&[&registry], &["--collect-after", "1s"]).await?;
    let seen = stage.until("the chosen pod alone", |seen| counts(seen) == Some((1, 1, 0, 0))).await?;
    assert_eq!(seen.images.len(), 1);
    stage.kubectl(&["label", "pod", "exempt", "verify-"]).await?;
    stage.until("the pod that is exempt no more", |seen| counts(seen) == Some((2, 1, 1, 0))).await?;
    stage.kubectl(&["label", "pod", "chosen", "tier=cloud", "--overwrite"]).await?;
    let gone = |seen: &Seen| counts(seen) == Some((1, 0, 1, 0)) && seen.images.len() == 1;
    stage.until("the pod that is chosen no more", gone).await?;
    Ok(())
}

/// No request is made from the first moment on; what is known is kept and grows old; and all comes back.
#[tokio::test]
async fn a_suspended_policy_asks_nobody_and_its_verdicts_go_on_ageing() -> Result<()> {
    let registry = Registry::olareg().await?;
    let brief = |suspend: bool| json!({"suspend": suspend, "interval": "1m", "staleAfter": "1m"});
    let (stage, images) = set(&registry, &[Signed::Cose], &brief(true)).await?;
    stage.run_pod("aio-operator-0", images.of(Signed::Cose)?).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    let suspended = |seen: &Seen| {
        seen.policy_condition(POLICY, "Ready") == "False/Suspended"
            && seen.image_condition("aio-operator", "Ready") == "False/Suspended"
    };
    let untouched = |seen: &Seen| suspended(seen) && seen.policy_condition(POLICY, "Verified") == "Unknown/Pending";
    let seen = stage.until("the suspension to be said", untouched).await?;
    assert_eq!(seen.reason("aio-operator"), "Pending");
    assert_eq!(seen.image_condition("aio-operator", "Reconciling"), "", "nothing is under way");
    assert_eq!(registry.access_log(), [], "nobody was asked");

    stage.apply(&policy(&brief(false))).await?;
    stage.until("the verdict", |seen| seen.reason("aio-operator") == "SignatureValid").await?;
    stage.apply(&policy(&brief(true))).await?;
    let seen = stage.until("the suspension", suspended).await?;
    assert_eq!(seen.reason("aio-operator"), "SignatureValid", "kept");
    registry.clear_access_log();
    stage.kubectl(&["annotate", "tp", POLICY, "sealwatch.dev/requestedAt=now"]).await?;
    let most = Duration::from_secs(60 + 20);
    let too_old = |seen: &Seen| seen.reason("aio-operator") == "Stale" && suspended(seen);
    let seen = stage.until_within(most, "the verdict to grow old", too_old).await?;
    assert_eq!(registry.access_log(), [], "nobody was asked, for a request either");
    assert_eq!(seen.policy(POLICY).last_handled_requested_at, None, "and so none was handled");
    let message = seen.status("aio-operator").message.unwrap_or_default();
    assert!(message.contains("it was Verified then"), "{message}");
    stage.until("the policy to say so", |seen| seen.policy_condition(POLICY, "Verified") == "Unknown/Stale").await?;

    stage.apply(&policy(&brief(false))).await?;
    stage
        .until("the verdict and the answer", |seen| {
            seen.reason("aio-operator") == "SignatureValid"
                && seen.policy(POLICY).last_handled_requested_at.as_deref() == Some("now")
        })
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_request_on_one_image_asks_afresh_about_that_one_alone() -> Result<()> {
    let registry = Registry::olareg().await?;
    let which = [Signed::Cose, Signed::Jws];
    let (stage, images) = set(&registry, &which, &json!({})).await?;
    for signed in which {
        stage.run_pod(&format!("{}-0", signed.short()), images.of(signed)?).await?;
    }
    let _operator = stage.operator(&[&registry], &[]).await?;
    let seen = stage.until("two verdicts", |seen| counts(seen) == Some((2, 2, 0, 0))).await?;
    let name = seen.image("aio-operator").ok_or("an image verification")?.name_any();
    registry.clear_access_log();
    stage.kubectl(&["annotate", "iv", &name, "sealwatch.dev/requestedAt=one"]).await?;
    let handled = |seen: &Seen| seen.status("aio-operator").last_handled_requested_at.as_deref() == Some("one");
    let seen = stage.until("the request to be handled", handled).await?;
    assert_eq!(seen.status("aio-broker").last_handled_requested_at, None);
    assert_eq!(seen.policy(POLICY).last_handled_requested_at, None);
    let asked: Vec<String> = registry.access_log().into_iter().map(|request| request.path).collect();
    assert!(!asked.is_empty() && asked.iter().all(|path| path.contains("aio-operator")), "{asked:?}");
    Ok(())
}

#[tokio::test]
async fn a_request_where_nothing_runs_is_handled_at_once() -> Result<()> {
    let registry = Registry::olareg().await?;
    let (stage, _images) = set(&registry, &[], &json!({})).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    stage.until("nothing", |seen| seen.policy_condition(POLICY, "Verified") == "Unknown/NoImages").await?;
    stage.request(POLICY).await?;
    Ok(())
}

#[tokio::test]
async fn a_debug_container_stops_to_count_ten_minutes_after_its_end_and_an_init_container_does_not() -> Result<()> {
    let registry = Registry::olareg().await?;
    let which = [Signed::Cose, Signed::Jws, Signed::Not];
    let (stage, images) = set(&registry, &which, &json!({})).await?;
    let container = |name: &str, signed: Signed, place: Place| -> Result<ContainerSpec> {
        let image = images.of(signed)?;
        Ok(ContainerSpec::new(name, &image.reference, image.by_digest()).at(place))
    };
    let containers = [
        container("main", Signed::Cose, Place::Main)?,
        // Reported as long completed.
        container("init", Signed::Jws, Place::Init)?,
        container("debug", Signed::Not, Place::Ephemeral)?,
    ];
    pods::run(&stage.client(), &stage.namespace, "all-0", &containers).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    stage.until("the debug container to count", |seen| counts(seen) == Some((3, 2, 1, 0))).await?;
    // It ended almost ten minutes ago.
    let ended = Timestamp::now() - Duration::from_mins(10) + Duration::from_secs(8);
    let api: Api<Pod> = Api::namespaced(stage.client(), &stage.namespace);
    let mut status = api.get("all-0").await?.status.ok_or("a status")?;
    let debug = status.ephemeral_container_statuses.as_mut().and_then(|all| all.first_mut()).ok_or("a container")?;
    debug.state = serde_json::from_value(json!({"terminated": {
        "exitCode": 0, "startedAt": "2026-01-01T00:00:00Z", "finishedAt": ended.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    }}))?;
    let patch = json!({"status": {"ephemeralContainerStatuses": status.ephemeral_container_statuses}});
    api.patch_status("all-0", &PatchParams::default(), &Patch::Merge(&patch)).await?;
    let ended = |seen: &Seen| {
        let running = seen.status("dataflow-operator").running.unwrap_or_default();
        let found = running.containers.first().and_then(|container| container.state.clone());
        found.is_some_and(|found| found.to_string() == "Terminated")
    };
    let seen = stage.until("its end to be seen", ended).await?;
    assert_eq!(counts(&seen), Some((3, 2, 1, 0)), "it still counts");
    let forgotten = |seen: &Seen| {
        counts(seen) == Some((2, 2, 0, 0)) && seen.policy_condition(POLICY, "Verified") == "True/Succeeded"
    };
    stage.until("it to count no more", forgotten).await?;
    Ok(())
}

#[tokio::test]
async fn the_next_end_is_foreseen_with_the_number_of_images_that_it_concerns() -> Result<()> {
    let registry = Registry::olareg().await?;
    let which = [Signed::Cose, Signed::Jws, Signed::Not];
    let (stage, images) = set(&registry, &which, &json!({})).await?;
    for signed in which {
        stage.run_pod(&format!("{}-0", signed.short()), images.of(signed)?).await?;
    }
    let _operator = stage.operator(&[&registry], &[]).await?;
    let seen = stage
        .until("the end", |seen| {
            counts(seen) == Some((3, 2, 1, 0)) && seen.policy(POLICY).next_expiry.is_some_and(|next| next.images == 2)
        })
        .await?;
    let next = seen.policy(POLICY).next_expiry.ok_or("an end")?;
    let signer = seen.status("aio-operator").signature.and_then(|signature| signature.signer).ok_or("a signer")?;
    assert_eq!(next.kind, Some(ExpiryKind::SigningCertificate.into()));
    assert_eq!((next.subject.as_str(), next.time), (scene::OPERATIONS, signer.not_after));
    Ok(())
}

#[tokio::test]
async fn a_root_that_ends_before_its_signers_is_foreseen_as_trust_anchor_and_both_are_in_the_metrics() -> Result<()> {
    let registry = Registry::olareg().await?;
    let stage = Stage::set(testenv::cluster().await?, "anchor").await?;
    let lasting = |days: i64| Validity { ends_in_seconds: days * 24 * 3600, ..Validity::default() };
    let subject = scene::name("A Root That Ends Soon (test)");
    let root = Root::lasting(&subject, KeyKind::EcP256, lasting(30))?;
    let key = root.issue(&scene::name("Azure IoT Operations"), KeyKind::EcP256, lasting(60))?;
    let image = registry.push_image("azureiotoperations/anchored", "1", "anchored").await?;
    stage.notation().await?.sign(&image.by_digest(), &key, &SignOptions::default()).await?;
    stage.apply(&scene::roots(root.certificate_pem())).await?;
    stage.apply(&scene::trust_policy(POLICY, &scene::seed_document())).await?;
    stage.run_pod("anchored-0", &image).await?;
    let operator = stage.operator(&[&registry], &[]).await?;
    let seen = stage.until("the end", |seen| seen.policy(POLICY).next_expiry.is_some()).await?;
    let (status, evidence) = (seen.policy(POLICY), seen.status("anchored").signature.ok_or("a signature")?);
    let next = status.next_expiry.ok_or("an end")?;
    let (anchor, signer) = (evidence.anchor.ok_or("an anchor")?, evidence.signer.ok_or("a signer")?);
    let listed = status.trust_stores.first().and_then(|store| store.certificates.first()).ok_or("a certificate")?;
    assert_eq!(next.kind, Some(ExpiryKind::TrustAnchor.into()));
    assert_eq!((next.subject.as_str(), next.images), (anchor.subject.as_str(), 1));
    assert_eq!(next.time, listed.not_after, "the root's end");
    let address = *operator.listening_on()?.first().ok_or("it listens")?;
    let page = reqwest::get(format!("http://{address}/metrics")).await?.error_for_status()?.text().await?;
    for (kind, end) in [("TrustAnchor", next.time), ("SigningCertificate", signer.not_after)] {
        let of = format!("namespace=\"{}\",policy=\"{POLICY}\",kind=\"{kind}\"", stage.namespace);
        let end = end.ok_or("a time")?.0.as_second();
        let line = format!("sealwatch_next_expiry_timestamp_seconds{{{of}}} {end}");
        assert!(page.lines().any(|shown| shown == line), "{line} in\n{page}");
    }
    Ok(())
}

#[tokio::test]
async fn an_image_that_a_statement_skips_is_skipped_by_name_and_no_registry_is_asked() -> Result<()> {
    let registry = Registry::olareg().await?;
    let skip = json!({"trustStores": [], "trustPolicies": [
        {"name": "all", "registryScopes": ["*"], "signatureVerification": {"level": "skip"}},
    ]});
    let (stage, images) = set(&registry, &[Signed::Not], &skip).await?;
    stage.run_pod("dataflow-operator-0", images.of(Signed::Not)?).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    let seen = stage.until("the verdict", |seen| seen.reason("dataflow-operator") == "LevelSkip").await?;
    assert_eq!(seen.status("dataflow-operator").verdict, Some(sealwatch_api::Verdict::Skipped.into()));
    assert_eq!(seen.image_condition("dataflow-operator", "Verified"), "True/LevelSkip");
    let verified = |seen: &Seen| seen.policy_condition(POLICY, "Verified") == "True/Succeeded";
    stage.until("the policy's word", verified).await?;
    assert!(!registry.access_log().iter().any(|request| request.user_agent.starts_with("sealwatch/")));
    Ok(())
}

fn images_of(seen: &Seen, policy: &str) -> usize {
    seen.images.iter().filter(|image| image.spec.trust_policy_ref.name == policy).count()
}

#[tokio::test]
async fn a_namespace_with_a_thousand_images_stays_small_and_names_the_first_twenty() -> Result<()> {
    const PODS: usize = 25;
    const CONTAINERS: usize = 40;
    let registry = Registry::olareg().await?;
    let stage = Stage::set(testenv::cluster().await?, "thousand").await?;
    let signer = Signer::new();
    let images = scene::crowd(&registry, &signer, PODS * CONTAINERS).await?;
    stage.apply(&scene::roots(&pem(signer.root()))).await?;
    let mut elsewhere = scene::seed_document();
    elsewhere["trustPolicies"][0]["registryScopes"] = json!(["registry.example/elsewhere"]);
    for (name, document) in [("all", scene::seed_document()), ("elsewhere", elsewhere)] {
        stage.apply(&scene::trust_policy(name, &document)).await?;
    }
    for (pod, images) in images.chunks(CONTAINERS).enumerate() {
        let container = |(place, image): (usize, &PushedImage)| {
            ContainerSpec::new(format!("c{place}"), &image.reference, image.by_digest())
        };
        let containers: Vec<_> = images.iter().enumerate().map(container).collect();
        pods::run(&stage.client(), &stage.namespace, &format!("pod-{pod}"), &containers).await?;
    }
    let _operator = stage.operator(&[&registry], &[]).await?;
    // Only the policies are looked at meanwhile: to list everything all the time would be most of the work.
    let began = Instant::now();
    let settled = async || -> Result<bool> {
        let summary = async |name: &str| -> Result<Summary> {
            Ok(stage.policies().get_status(name).await?.status.and_then(|status| status.summary).unwrap_or_default())
        };
        Ok(summary("all").await?.verified == 1000 && summary("elsewhere").await?.failed == 1000)
    };
    while !settled().await? {
        assert!(began.elapsed() < Duration::from_mins(4), "{}", stage.kubectl(&["get", "tp"]).await?);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let seen = stage.seen().await?;
    assert_eq!(seen.policy_condition("all", "Verified"), "True/Succeeded");
    assert_eq!(seen.policy_condition("elsewhere", "Verified"), "False/NoApplicableTrustPolicy");
    assert_eq!(seen.images.len(), 2000);
    let status = seen.policy("elsewhere");
    assert_eq!(status.failing.len(), 20);
    assert!(status.failing.is_sorted());
    // As they are stored, with managedFields: far from the 1.5 MiB that etcd takes, however many images there are.
    let policies = seen.policies.iter().map(|policy| serde_json::to_vec(policy).map(|bytes| bytes.len()));
    let largest = policies.collect::<Result<Vec<_>, _>>()?.into_iter().max().unwrap_or_default();
    assert!(largest < 16 * 1024, "a TrustPolicy has {largest} bytes");
    let images = seen.images.iter().map(|image| serde_json::to_vec(image).map(|bytes| bytes.len()));
    let largest = images.collect::<Result<Vec<_>, _>>()?.into_iter().max().unwrap_or_default();
    assert!(largest < 8 * 1024, "an ImageVerification has {largest} bytes");
    let asked =
        registry.access_log().into_iter().filter(|request| request.user_agent.starts_with("sealwatch/")).count();
    assert!(asked <= 4 * images_of(&seen, "all"), "{asked} requests to the registry");
    Ok(())
}

/// F15.
#[tokio::test]
async fn a_policy_that_is_edited_again_and_again_is_judged_at_last_and_written_at_a_pace() -> Result<()> {
    const EDITS: u32 = 300;
    let registry = Registry::olareg().await?;
    let (stage, images) = set(&registry, &[Signed::Cose], &json!({})).await?;
    stage.run_pod("aio-operator-0", images.of(Signed::Cose)?).await?;
    let operator = stage.operator(&[&registry], &[]).await?;
    stage.until("the verdict", |seen| counts(seen) == Some((1, 1, 0, 0))).await?;
    let written = async || -> Result<BTreeMap<&str, u64>> {
        let address = *operator.listening_on()?.first().ok_or("it listens")?;
        let page = reqwest::get(format!("http://{address}/metrics")).await?.text().await?;
        let count = |kind: &str| {
            let line = format!("sealwatch_status_writes_total{{kind=\"{kind}\",result=\"success\"}} ");
            page.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok()).unwrap_or_default()
        };
        Ok(["TrustPolicy", "ImageVerification"].map(|kind| (kind, count(kind))).into())
    };
    let (before, began) = (written().await?, Instant::now());
    let mut generation = None;
    for edit in 0..EDITS {
        // The last edit is the one that refuses the image.
        let identity = if edit + 1 == EDITS { scene::PRODUCTS } else { scene::OPERATIONS };
        let spec = json!({"interval": format!("{}m", 60 + edit % 2), "trustPolicies": [{
            "name": "supplychain", "registryScopes": ["*"], "signatureVerification": {"level": "strict"},
            "trustStores": ["ca:supplychain"], "trustedIdentities": [format!("x509.subject: {identity}")],
        }]});
        let patch = Patch::Merge(json!({"spec": spec}));
        generation = stage.policies().patch(POLICY, &PatchParams::default(), &patch).await?.metadata.generation;
    }
    let last = |seen: &Seen| {
        seen.policy(POLICY).observed_generation == generation
            && seen.policy_condition(POLICY, "Verified") == "False/UntrustedIdentity"
    };
    stage.until("the last edit to count", last).await?;
    let (after, seconds) = (written().await?, began.elapsed().as_secs());
    for (kind, count) in after {
        let count = count - before.get(kind).copied().unwrap_or_default();
        // One a second, and one more for what changed the verdict.
        assert!(count <= seconds + 3, "{count} writes of {kind} in {seconds} s");
    }
    Ok(())
}
