// SPDX-License-Identifier: Apache-2.0

//! The main job: signed and unsigned images in, verdicts out.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use sealwatch_e2e::scene::{self, Images, Pki, Signed};
use sealwatch_e2e::stage::{ACCOUNT, Stage};
use sealwatch_e2e::testenv::pki::KeyKind;
use sealwatch_e2e::testenv::pods::{self, ContainerSpec, Place};
use sealwatch_e2e::testenv::{self, Format, Options, Registry, Request, Result, SignOptions};
use serde_json::json;

const POLICY: &str = "microsoft";

/// How many requests the operator made, by method and kind of path.
fn requests(log: &[Request]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in log.iter().filter(|request| request.user_agent.starts_with("sealwatch/")) {
        let kind = ["referrers", "manifests", "blobs"].into_iter().find(|kind| request.path.contains(kind));
        *counts.entry(format!("{} {}", request.method, kind.unwrap_or("other"))).or_default() += 1;
    }
    counts
}

fn total(log: &[Request]) -> usize {
    requests(log).values().sum()
}

/// A stage on which these images run under the seed's policy; what was asked for so far is forgotten.
async fn playing(registry: &Registry, referrers_api: bool, which: &[Signed]) -> Result<(Stage, Pki, Images)> {
    let stage = Stage::set(testenv::cluster().await?, "operator").await?;
    let (pki, images) = stage.play(POLICY, registry, referrers_api, which).await?;
    registry.clear_access_log();
    Ok((stage, pki, images))
}

#[tokio::test]
async fn every_image_gets_the_verdict_that_its_signature_deserves() -> Result<()> {
    let registry = Registry::olareg().await?;
    let (stage, _pki, _images) = playing(&registry, true, &Signed::ALL).await?;
    let mut operator = stage.operator(&[&registry], &[]).await?;
    let seen = stage
        .until("eight verdicts", |seen| {
            Signed::ALL.iter().all(|signed| seen.reason(signed.short()) == signed.expected())
                && seen.policy(POLICY).summary.is_some_and(|summary| summary.verified == 3 && summary.failed == 5)
        })
        .await?;
    assert_eq!(seen.images.len(), Signed::ALL.len());
    assert_eq!(seen.image_condition("aio-operator", "Verified"), "True/SignatureValid");
    assert_eq!(seen.image_condition("aio-operator", "Ready"), "True/Succeeded");
    assert_eq!(seen.image_condition("dataflow-operator", "Verified"), "False/NoSignature");
    assert_eq!(seen.image_condition("opc-ua-broker", "Verified"), "False/IntegrityFailed");
    assert_eq!(seen.image_condition("dataflow-operator", "Ready"), "True/Succeeded");

    let policy = seen.policy(POLICY);
    assert_eq!(seen.policy_condition(POLICY, "Ready"), "True/Succeeded");
    assert!(seen.policy_condition(POLICY, "Verified").starts_with("False/"), "{policy:?}");
    assert_eq!(policy.failing.len(), 5);
    let store = policy.trust_stores.first().ok_or("the trust store is listed")?;
    assert_eq!((store.name.as_str(), store.certificates.len()), ("ca:supplychain", 1));
    assert_eq!(policy.observed_generation, Some(1));

    let ended = operator.terminate(Duration::from_secs(20)).await?;
    assert!(ended.success(), "{ended}: {}", operator.log());
    Ok(())
}

#[tokio::test]
async fn a_verdict_comes_with_its_evidence_and_names_a_signer_only_if_that_is_a_fact() -> Result<()> {
    let registry = Registry::olareg().await?;
    let which = [Signed::Cose, Signed::ByOtherRoot];
    let (stage, _pki, images) = playing(&registry, true, &which).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    let seen = stage
        .until("two verdicts", |seen| which.iter().all(|signed| seen.reason(signed.short()) == signed.expected()))
        .await?;
    let good = seen.status("aio-operator");
    let signature = good.signature.ok_or("a verified image shows its signature")?;
    let signer = signature.signer.ok_or("a trusted signer is named")?;
    assert_eq!(signer.subject, scene::OPERATIONS);
    assert_eq!(signature.media_type.as_deref(), Some("application/cose"));
    assert_eq!(signature.scheme.as_deref(), Some("notary.x509"));
    assert_eq!(signature.verified_digest.as_deref(), Some(images.of(Signed::Cose)?.digest.as_str()));
    assert_eq!(signature.anchor.ok_or("an anchor")?.store, "ca:supplychain");
    let checks: Vec<String> = good.checks.iter().map(|check| format!("{:?} {:?}", check.type_, check.result)).collect();
    let passed = |kind: &str| format!("Some(Known({kind})) Some(Known(Passed))");
    let all = ["Integrity", "Authenticity", "AuthenticTimestamp", "Expiry", "Revocation"];
    assert_eq!(checks, all.map(passed));
    let applied = good.policy.ok_or("what was applied")?;
    assert_eq!((applied.statement.as_deref(), applied.level.as_deref()), (Some("supplychain"), Some("strict")));
    let running = good.running.ok_or("where it runs")?;
    assert_eq!((running.pods, running.containers.len()), (1, 1));

    // A name under a root that is not trusted is a claim.
    let impostor = seen.status("akri-connector").signature.ok_or("its signature")?;
    assert_eq!(impostor.signer, None);
    assert_eq!(impostor.claimed_signer.as_deref(), Some(scene::OPERATIONS));

    let image = seen.image("aio-operator").ok_or("an image verification")?;
    let owner = image.owner_references().first().ok_or("an owner")?;
    assert_eq!((owner.name.as_str(), owner.controller, owner.block_owner_deletion), (POLICY, Some(true), None));
    assert_eq!(image.labels().get("sealwatch.dev/trust-policy").map(String::as_str), Some(POLICY));
    let digest = &images.of(Signed::Cose)?.digest["sha256:".len()..][..12];
    assert!(image.name_any().starts_with(&format!("aio-operator-{digest}-")), "{}", image.name_any());
    Ok(())
}

#[tokio::test]
async fn a_first_verification_costs_four_requests_and_a_steady_pass_one() -> Result<()> {
    let registry = Registry::olareg().await?;
    let which = [Signed::Cose, Signed::Jws, Signed::Not];
    let (stage, _pki, _images) = playing(&registry, true, &which).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    stage
        .until("three verdicts", |seen| which.iter().all(|signed| seen.reason(signed.short()) == signed.expected()))
        .await?;
    let first = requests(&registry.access_log());
    assert_eq!(first.get("HEAD manifests"), Some(&3), "{first:?}");
    assert!(total(&registry.access_log()) <= 4 + 4 + 3, "{first:?}");
    registry.clear_access_log();
    stage.request(POLICY).await?;
    let steady = requests(&registry.access_log());
    // Where the Referrers API lists nothing, the tag is asked for too: `notation sign` uses it by default.
    assert_eq!(steady.get("GET referrers"), Some(&3), "{steady:?}");
    assert_eq!(total(&registry.access_log()), 1 + 1 + 2, "{steady:?}");
    Ok(())
}

#[tokio::test]
async fn each_image_is_looked_at_again_every_interval() -> Result<()> {
    let registry = Registry::olareg().await?;
    let (stage, pki, images) = playing(&registry, true, &[Signed::Not]).await?;
    let mut policy = scene::trust_policy(POLICY, &scene::seed_document());
    policy["spec"]["interval"] = json!("1m");
    stage.apply(&policy).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    stage.until("the verdict", |seen| seen.reason("dataflow-operator") == "NoSignature").await?;
    let began = Instant::now();
    let unsigned = images.of(Signed::Not)?;
    stage.notation().await?.sign(&unsigned.by_digest(), &pki.operations, &SignOptions::default()).await?;
    // Nobody asks: the shortest interval, a minute and its jitter, has to pass.
    let most = Duration::from_secs(66 + 20);
    stage.until_within(most, "the next look", |seen| seen.reason("dataflow-operator") == "SignatureValid").await?;
    assert!(began.elapsed() > Duration::from_secs(40), "it was looked at after {:?}", began.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_signature_that_expires_turns_its_image_failed_with_the_network_down() -> Result<()> {
    let mut registry = Registry::olareg().await?;
    let (stage, pki, images) = playing(&registry, true, &[Signed::Not]).await?;
    let image = images.of(Signed::Not)?;
    let options = SignOptions { expiry: Some(Duration::from_secs(30)), ..SignOptions::default() };
    stage.notation().await?.sign(&image.by_digest(), &pki.operations, &options).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    stage
        .until("the verdict, and the end that is to come", |seen| {
            seen.reason("dataflow-operator") == "SignatureValid"
                && seen.policy(POLICY).next_expiry.is_some_and(|next| next.images == 1)
        })
        .await?;
    registry.stop();
    registry.clear_access_log();
    let most = Duration::from_mins(1);
    stage.until_within(most, "the end", |seen| seen.reason("dataflow-operator") == "SignatureExpired").await?;
    assert_eq!(registry.access_log(), []);
    Ok(())
}

#[tokio::test]
async fn a_transition_is_told_once_and_what_stays_is_not_told() -> Result<()> {
    let registry = Registry::olareg().await?;
    let which = [Signed::Cose, Signed::Not];
    let (stage, _pki, _images) = playing(&registry, true, &which).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    stage
        .until("two verdicts", |seen| {
            which.iter().all(|signed| seen.reason(signed.short()) == signed.expected())
                && seen.policy_condition(POLICY, "Verified") == "False/NoSignature"
        })
        .await?;
    stage.request(POLICY).await?;
    let events: Api<Event> = Api::namespaced(stage.client(), &stage.namespace);
    let mut told = Vec::new();
    for event in events.list(&ListParams::default()).await?.items {
        let regarding = event.regarding.unwrap_or_default();
        let (kind, name) = (regarding.kind.unwrap_or_default(), regarding.name.unwrap_or_default());
        let stem = name.split("-7").next().unwrap_or_default().to_owned();
        if kind != "Pod" && kind != "Namespace" {
            told.push((
                kind,
                stem.chars().take(12).collect::<String>(),
                event.type_.unwrap_or_default(),
                event.reason.unwrap_or_default(),
            ));
        }
    }
    let about = |kind: &str, name: &str| {
        told.iter().filter(|(of, at, ..)| of == kind && name.starts_with(at.as_str())).cloned().collect::<Vec<_>>()
    };
    let expected = |kind: &str, name: &str, level: &str, reason: &str| {
        vec![(kind.to_owned(), name.chars().take(12).collect(), level.to_owned(), reason.to_owned())]
    };
    let kind = "ImageVerification";
    assert_eq!(about(kind, "aio-operator"), expected(kind, "aio-operator", "Normal", "SignatureValid"), "{told:?}");
    assert_eq!(
        about(kind, "dataflow-operator"),
        expected(kind, "dataflow-operator", "Warning", "NoSignature"),
        "{told:?}"
    );
    assert_eq!(about("TrustPolicy", POLICY), expected("TrustPolicy", POLICY, "Warning", "NoSignature"), "{told:?}");
    Ok(())
}

/// DS-12, D25.
#[tokio::test]
async fn a_broken_or_foreign_signature_hides_no_good_one_and_the_most_telling_failure_is_kept() -> Result<()> {
    let registry = Registry::olareg().await?;
    let which = [Signed::Tampered, Signed::ByStranger, Signed::ByOtherRoot];
    let (stage, pki, images) = playing(&registry, true, &which).await?;
    let notation = stage.notation().await?;
    // Beside the broken signature a good one; beside the stranger's an impostor's.
    let good = SignOptions::format(Format::Cose);
    notation.sign(&images.of(Signed::Tampered)?.by_digest(), &pki.operations, &good).await?;
    notation.sign(&images.of(Signed::ByStranger)?.by_digest(), &pki.impostor, &good).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    stage
        .until("three verdicts", |seen| {
            seen.reason(Signed::Tampered.short()) == "SignatureValid"
                && seen.reason(Signed::ByStranger.short()) == "UntrustedIdentity"
                && seen.reason(Signed::ByOtherRoot.short()) == "UntrustedChain"
        })
        .await?;
    Ok(())
}

#[tokio::test]
async fn an_operator_without_a_namespace_of_its_own_watches_all_of_them() -> Result<()> {
    let cluster = testenv::cluster_with(Options { name: Some("wide".into()), ..Options::default() }).await?;
    let registry = Registry::olareg().await?;
    let first = Stage::set(cluster.clone(), "wide").await?;
    let second = Stage::set(cluster, "wide").await?;
    let pki = Pki::new(KeyKind::EcP256)?;
    let images = Images::push(&registry, &first.notation().await?, &pki, &[Signed::Cose, Signed::Not], true).await?;
    for (stage, signed) in [(&first, Signed::Cose), (&second, Signed::Not)] {
        stage.apply(&scene::roots(pki.root.certificate_pem())).await?;
        stage.apply(&scene::trust_policy(POLICY, &scene::seed_document())).await?;
        stage.run_pod("pod-0", images.of(signed)?).await?;
    }
    let _operator = first.operator_for(None, ACCOUNT, &[&registry], &[]).await?;
    first.until("the verdict", |seen| seen.policy_condition(POLICY, "Verified") == "True/Succeeded").await?;
    second.until("the verdict", |seen| seen.policy_condition(POLICY, "Verified") == "False/NoSignature").await?;
    Ok(())
}

#[tokio::test]
async fn signatures_are_found_in_a_registry_without_referrers_api() -> Result<()> {
    let registry = Registry::distribution().await?;
    let which = [Signed::Cose, Signed::Jws, Signed::Not, Signed::ByStranger];
    let (stage, _pki, _images) = playing(&registry, false, &which).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    stage
        .until("four verdicts", |seen| which.iter().all(|signed| seen.reason(signed.short()) == signed.expected()))
        .await?;
    let first = requests(&registry.access_log());
    assert!(total(&registry.access_log()) <= 5 * which.len(), "{first:?}");
    registry.clear_access_log();
    stage.request(POLICY).await?;
    let steady = requests(&registry.access_log());
    assert!(total(&registry.access_log()) <= which.len(), "{steady:?}");
    Ok(())
}

#[tokio::test]
async fn an_edit_of_policy_or_trust_store_judges_again_without_a_registry_request() -> Result<()> {
    let mut registry = Registry::olareg().await?;
    let which = [Signed::Cose, Signed::BySecondIdentity, Signed::ByOtherRoot];
    let (stage, _pki, _images) = playing(&registry, true, &which).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    stage
        .until("three verdicts", |seen| which.iter().all(|signed| seen.reason(signed.short()) == signed.expected()))
        .await?;
    registry.clear_access_log();
    // With the registry gone, nothing can be asked even by mistake.
    registry.stop();

    let mut document = scene::seed_document();
    document["trustPolicies"][0]["trustedIdentities"] = json!([format!("x509.subject: {}", scene::OPERATIONS)]);
    stage.apply(&scene::trust_policy(POLICY, &document)).await?;
    let seen = stage
        .until("the second identity to be trusted no more", |seen| {
            seen.reason("otel-collector") == "UntrustedIdentity"
                && seen.policy(POLICY).observed_generation == Some(2)
                && seen.policy(POLICY).summary.is_some_and(|summary| summary.verified == 1)
        })
        .await?;
    assert_eq!(seen.reason("aio-operator"), "SignatureValid");
    assert_eq!(seen.status("aio-operator").policy.map(|policy| policy.generation), Some(2));

    let other = Pki::new(KeyKind::EcP256)?;
    stage.apply(&scene::roots(other.root.certificate_pem())).await?;
    stage.until("the root to be trusted no more", |seen| seen.reason("aio-operator") == "UntrustedChain").await?;
    assert_eq!(registry.access_log(), []);
    Ok(())
}

#[tokio::test]
async fn no_image_is_seen_verified_under_a_policy_that_refuses_it() -> Result<()> {
    let registry = Registry::olareg().await?;
    let (stage, _pki, _images) = playing(&registry, true, &[Signed::Cose]).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    stage.until("a verdict", |seen| seen.policy_condition(POLICY, "Verified") == "True/Succeeded").await?;
    let mut document = scene::seed_document();
    document["trustPolicies"][0]["trustedIdentities"] = json!([format!("x509.subject: {}", scene::PRODUCTS)]);
    stage.apply(&scene::trust_policy(POLICY, &document)).await?;
    // Whatever is seen on the way: a status that speaks of the new generation never says Verified.
    let lies = |seen: &sealwatch_e2e::stage::Seen| {
        let policy = seen.policy(POLICY);
        let image = seen.status("aio-operator");
        let image_lies = image.policy.is_some_and(|policy| policy.generation == 2)
            && image.verdict.is_some_and(|verdict| verdict.as_str() == "Verified");
        let policy_lies =
            policy.observed_generation == Some(2) && seen.policy_condition(POLICY, "Verified").starts_with("True");
        image_lies || policy_lies
    };
    stage
        .until("the refusal", |seen| {
            assert!(!lies(seen), "{seen:?}");
            seen.policy_condition(POLICY, "Verified") == "False/UntrustedIdentity"
        })
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_new_image_closes_the_gate_before_its_registry_is_asked() -> Result<()> {
    let mut registry = Registry::olareg().await?;
    let (stage, pki, _images) = playing(&registry, true, &[Signed::Cose]).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    stage.until("a verdict", |seen| seen.policy_condition(POLICY, "Verified") == "True/Succeeded").await?;
    let image = registry.push_image("azureiotoperations/late", "1", "late").await?;
    stage.notation().await?.sign(&image.by_digest(), &pki.operations, &SignOptions::format(Format::Jws)).await?;
    registry.stop();
    stage.run_pod("late-0", &image).await?;
    let seen = stage
        .until("the gate to close", |seen| seen.policy_condition(POLICY, "Verified").starts_with("Unknown/"))
        .await?;
    assert_eq!(seen.policy(POLICY).summary.map(|summary| (summary.images, summary.unknown)), Some((2, 1)));
    // An outage of the registry is not known to be anything else.
    let seen = stage.until("a reason", |seen| seen.reason("late") == "RegistryUnavailable").await?;
    assert_eq!(seen.image_condition("late", "Ready"), "False/RegistryUnavailable");
    Ok(())
}

#[tokio::test]
async fn init_sidecar_and_debug_containers_are_verified_in_every_form_that_a_node_reports_them() -> Result<()> {
    let registry = Registry::olareg().await?;
    let which = [Signed::Cose, Signed::Jws, Signed::BySecondIdentity, Signed::Not];
    let stage = Stage::set(testenv::cluster().await?, "operator").await?;
    let pki = Pki::new(KeyKind::EcP256)?;
    let images = Images::push(&registry, &stage.notation().await?, &pki, &which, true).await?;
    stage.apply(&scene::roots(pki.root.certificate_pem())).await?;
    stage.apply(&scene::trust_policy(POLICY, &scene::seed_document())).await?;
    let container = |name: &str, signed: Signed, image_id: String| -> Result<ContainerSpec> {
        Ok(ContainerSpec::new(name, &images.of(signed)?.reference, image_id))
    };
    let containers = [
        container("main", Signed::Cose, format!("docker-pullable://{}", images.of(Signed::Cose)?.by_digest()))?,
        container("init", Signed::Jws, images.of(Signed::Jws)?.by_digest())?.at(Place::Init),
        container("sidecar", Signed::BySecondIdentity, images.of(Signed::BySecondIdentity)?.by_digest())?
            .at(Place::Sidecar),
        container("debug", Signed::Not, images.of(Signed::Not)?.by_digest())?.at(Place::Ephemeral),
        ContainerSpec::new("loaded", format!("{}/loaded:1", registry.host()), format!("sha256:{}", "c".repeat(64))),
        ContainerSpec::new("garbage", format!("{}/garbage:1", registry.host()), "no digest at all"),
        ContainerSpec::new("pulling", format!("{}/pulling:1", registry.host()), ""),
        ContainerSpec::new(
            "vanished",
            format!("{}/azureiotoperations/aio-broker:1.2.36", registry.host()),
            format!("{}/azureiotoperations/aio-broker@sha256:{}", registry.host(), "d".repeat(64)),
        ),
    ];
    pods::run(&stage.client(), &stage.namespace, "all-0", &containers).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    let seen = stage
        .until("a reason for each", |seen| {
            seen.reason("aio-operator") == "SignatureValid"
                && seen.reason(&format!("aio-broker-{}", &images.of(Signed::Jws).map(|image| image.digest[7..19].to_owned()).unwrap_or_default())) == "SignatureValid"
                && seen.reason("otel-collector") == "SignatureValid"
                && seen.reason("dataflow-operator") == "NoSignature"
                && seen.reason("loaded") == "DigestUnresolvable"
                && seen.reason("garbage") == "DigestUnresolvable"
                // olareg answers an empty list of referrers for a digest that it does not have.
                && seen.reason("aio-broker-dddddddddddd") == "ImageNotFound"
        })
        .await?;
    assert_eq!(seen.images.len(), 7, "an image that is being pulled does not run");
    let kind = |name: &str| {
        let running = seen.status(name).running.unwrap_or_default();
        running.containers.first().and_then(|container| container.type_.as_ref()).map(ToString::to_string)
    };
    assert_eq!(kind("otel-collector").as_deref(), Some("Sidecar"));
    assert_eq!(kind("dataflow-operator").as_deref(), Some("EphemeralContainer"));
    assert!(seen.status("garbage").message.is_some_and(|message| message.contains("imageID")));
    Ok(())
}

#[tokio::test]
async fn what_runs_no_more_is_collected_and_what_a_policy_owned_goes_with_it() -> Result<()> {
    let registry = Registry::olareg().await?;
    let which = [Signed::Cose, Signed::Jws];
    let (stage, _pki, images) = playing(&registry, true, &which).await?;
    stage.run_pod("aio-broker-1", images.of(Signed::Jws)?).await?;
    let _operator = stage.operator(&[&registry], &["--collect-after", "1s"]).await?;
    stage
        .until("two verdicts", |seen| which.iter().all(|signed| seen.reason(signed.short()) == signed.expected()))
        .await?;

    pods::delete(&stage.client(), &stage.namespace, "aio-operator-0").await?;
    pods::delete(&stage.client(), &stage.namespace, "aio-broker-0").await?;
    let seen = stage.until("the image to be collected", |seen| seen.image("aio-operator").is_none()).await?;
    assert_eq!(seen.reason("aio-broker"), "SignatureValid", "another pod still runs it");

    if !stage.cluster.flavour().has_controller_manager() {
        testenv::skipped(
            "what_runs_no_more_is_collected_and_what_a_policy_owned_goes_with_it",
            "no controller manager",
        );
        return Ok(());
    }
    stage.kubectl(&["delete", "tp", POLICY]).await?;
    stage.until("nothing to be left", |seen| seen.images.is_empty()).await?;
    Ok(())
}

#[tokio::test]
async fn an_image_verification_that_a_person_wrote_is_looked_after_and_not_counted() -> Result<()> {
    let registry = Registry::olareg().await?;
    let stage = Stage::set(testenv::cluster().await?, "operator").await?;
    let pki = Pki::new(KeyKind::EcP256)?;
    let images = Images::push(&registry, &stage.notation().await?, &pki, &[Signed::Cose, Signed::Not], true).await?;
    stage.apply(&scene::roots(pki.root.certificate_pem())).await?;
    stage.apply(&scene::trust_policy(POLICY, &scene::seed_document())).await?;
    let (good, unsigned) = (images.of(Signed::Cose)?, images.of(Signed::Not)?);
    stage.apply(&Stage::handwritten("by-tag", &good.reference, None, POLICY)).await?;
    stage.apply(&Stage::handwritten("by-digest", &unsigned.reference, Some(&unsigned.digest), POLICY)).await?;
    stage.apply(&Stage::handwritten("orphan", &good.reference, None, "nobody")).await?;
    stage.apply(&Stage::handwritten("unreadable", "not//a:reference:at@all", None, POLICY)).await.err();
    let _operator = stage.operator(&[&registry], &["--collect-after", "1s"]).await?;
    let seen = stage
        .until("three verdicts", |seen| {
            seen.reason("by-tag") == "SignatureValid"
                && seen.reason("by-digest") == "NoSignature"
                && seen.reason("orphan") == "TrustPolicyNotFound"
        })
        .await?;
    let verified = seen.status("by-tag").signature.and_then(|signature| signature.verified_digest);
    assert_eq!(verified.as_deref(), Some(good.digest.as_str()));
    stage.until("the summary", |seen| seen.policy_condition(POLICY, "Verified") == "Unknown/NoImages").await?;
    assert_eq!(stage.seen().await?.policy_condition(POLICY, "Ready"), "True/Succeeded");
    // Nothing runs them, and still they are not collected.
    stage
        .stays("what a person wrote", Duration::from_secs(3), |seen| {
            seen.image("by-tag").is_some() && seen.reason("by-digest") == "NoSignature"
        })
        .await?;
    // The policy that an orphan waits for may come.
    stage.apply(&scene::trust_policy("nobody", &scene::seed_document())).await?;
    stage.until("the orphan's verdict", |seen| seen.reason("orphan") == "SignatureValid").await?;
    // And go.
    stage.kubectl(&["delete", "tp", "nobody"]).await?;
    stage.until("the orphan to say so", |seen| seen.reason("orphan") == "TrustPolicyNotFound").await?;
    Ok(())
}

#[tokio::test]
async fn a_status_that_somebody_else_wrote_is_put_right() -> Result<()> {
    let registry = Registry::olareg().await?;
    let (stage, _pki, _images) = playing(&registry, true, &[Signed::Not]).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    let seen = stage
        .until("a verdict", |seen| {
            seen.reason("dataflow-operator") == "NoSignature"
                && seen.policy(POLICY).summary.is_some_and(|summary| summary.failed == 1)
        })
        .await?;
    let honest = seen.status("dataflow-operator");
    let name = seen.image("dataflow-operator").ok_or("an image verification")?.name_any();
    let lie = json!({"status": {
        "verdict": "Verified", "reason": "SignatureValid", "verdictSince": "2020-01-01T00:00:00Z",
        "signature": {"signer": {"subject": "CN=Nobody", "commonName": "Nobody"}},
    }});
    stage.images().patch_status(&name, &PatchParams::default(), &Patch::Merge(&lie)).await?;
    let seen = stage.until("the truth", |seen| seen.reason("dataflow-operator") == "NoSignature").await?;
    assert_eq!(seen.status("dataflow-operator"), honest);
    let lie = json!({"status": {"summary": {"images": 1, "verified": 1, "failed": 0}}});
    stage.policies().patch_status(POLICY, &PatchParams::default(), &Patch::Merge(&lie)).await?;
    stage
        .until("the true summary", |seen| seen.policy(POLICY).summary.is_some_and(|summary| summary.failed == 1))
        .await?;
    Ok(())
}

#[tokio::test]
async fn nothing_is_written_while_nothing_changes() -> Result<()> {
    let registry = Registry::olareg().await?;
    let which = [Signed::Cose, Signed::Not];
    let (stage, _pki, images) = playing(&registry, true, &which).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    stage
        .until("two verdicts", |seen| {
            which.iter().all(|signed| seen.reason(signed.short()) == signed.expected())
                && seen.policy(POLICY).summary.is_some_and(|summary| summary.verified == 1 && summary.failed == 1)
        })
        .await?;
    let versions = |seen: &sealwatch_e2e::stage::Seen| -> Vec<Option<String>> {
        let images = seen.images.iter().map(ResourceExt::resource_version);
        images.chain(seen.policies.iter().map(ResourceExt::resource_version)).collect()
    };
    let before = versions(&stage.seen().await?);
    // A pod's status that says nothing new is no news either.
    let image = images.of(Signed::Cose)?;
    let container = ContainerSpec::new("main", &image.reference, image.by_digest());
    pods::report(&stage.client(), &stage.namespace, "aio-operator-0", &[container]).await?;
    stage.stays("every resourceVersion", Duration::from_secs(4), |seen| versions(seen) == before).await?;
    Ok(())
}

#[tokio::test]
async fn two_policies_of_a_namespace_judge_every_image_independently() -> Result<()> {
    let registry = Registry::olareg().await?;
    let (stage, _pki, _images) = playing(&registry, true, &[Signed::BySecondIdentity]).await?;
    let mut document = scene::seed_document();
    document["trustPolicies"][0]["trustedIdentities"] = json!([format!("x509.subject: {}", scene::OPERATIONS)]);
    stage.apply(&scene::trust_policy("narrow", &document)).await?;
    let mut document = scene::seed_document();
    document["trustPolicies"][0]["registryScopes"] = json!(["registry.example/elsewhere"]);
    stage.apply(&scene::trust_policy("elsewhere", &document)).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    let seen = stage
        .until("three summaries", |seen| {
            seen.policy_condition(POLICY, "Verified") == "True/Succeeded"
                && seen.policy_condition("narrow", "Verified") == "False/UntrustedIdentity"
                && seen.policy_condition("elsewhere", "Verified") == "False/NoApplicableTrustPolicy"
        })
        .await?;
    assert_eq!(seen.images.len(), 3);
    // One image, looked at once: what one policy learnt serves the other.
    assert!(total(&registry.access_log()) <= 4 + 1, "{:?}", requests(&registry.access_log()));
    Ok(())
}
