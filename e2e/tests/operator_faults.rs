// SPDX-License-Identifier: Apache-2.0

//! What goes wrong stays where it went wrong, and is said.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use sealwatch_e2e::scene::{self, Images, Pki, Signed};
use sealwatch_e2e::stage::{Seen, Stage};
use sealwatch_e2e::testenv::pki::KeyKind;
use sealwatch_e2e::testenv::{self, OperatorOptions, OperatorProcess, Registry, Result};
use serde_json::json;

const POLICY: &str = "microsoft";

#[tokio::test]
async fn a_policy_that_only_we_can_judge_is_stalled_and_stops_no_other() -> Result<()> {
    let registry = Registry::olareg().await?;
    let stage = Stage::set(testenv::cluster().await?, "faults").await?;
    stage.play(POLICY, &registry, true, &[Signed::Cose]).await?;
    let mut document = scene::seed_document();
    document["trustPolicies"][0]["trustedIdentities"] = json!(["x509.subject: CN=without organization,C=US"]);
    stage.apply(&scene::trust_policy("broken", &document)).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    let seen = stage
        .until("both policies", |seen| {
            seen.policy_condition(POLICY, "Verified") == "True/Succeeded"
                && seen.policy_condition("broken", "Stalled") == "True/TrustPolicyInvalid"
                && seen.policy(POLICY).summary.is_some_and(|summary| summary.verified == 1)
                && seen.policy("broken").summary.is_some_and(|summary| summary.unknown == 1)
                && seen.images.iter().all(|image| image.status.is_some())
        })
        .await?;
    assert_eq!(seen.policy_condition("broken", "Ready"), "False/TrustPolicyInvalid");
    let stalled = seen.policy("broken").conditions.into_iter().find(|condition| condition.type_ == "Stalled");
    let message = stalled.ok_or("a Stalled condition")?.message;
    assert!(message.contains("ST") || message.contains("\"O\""), "names the missing attribute: {message}");
    // Mended, it works.
    stage.apply(&scene::trust_policy("broken", &scene::seed_document())).await?;
    let seen = stage
        .until("the mended policy", |seen| seen.policy_condition("broken", "Verified") == "True/Succeeded")
        .await?;
    assert_eq!(seen.policy_condition("broken", "Stalled"), "");
    Ok(())
}

#[tokio::test]
async fn a_trust_store_without_its_config_map_is_unknown_and_heals_when_it_comes() -> Result<()> {
    let registry = Registry::olareg().await?;
    let stage = Stage::set(testenv::cluster().await?, "faults").await?;
    let pki = Pki::new(KeyKind::EcP256)?;
    let images = Images::push(&registry, &stage.notation().await?, &pki, &[Signed::Cose], true).await?;
    stage.apply(&scene::trust_policy(POLICY, &scene::seed_document())).await?;
    stage.run_pod("aio-operator-0", images.of(Signed::Cose)?).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    let seen = stage.until("the reason", |seen| seen.reason("aio-operator") == "TrustStoreUnavailable").await?;
    assert_eq!(seen.status("aio-operator").verdict.map(|verdict| verdict.to_string()).as_deref(), Some("Unknown"));
    let seen = stage
        .until("the policy to say so", |seen| seen.policy_condition(POLICY, "Ready") == "False/TrustStoreUnavailable")
        .await?;
    let listed = seen.policy(POLICY).trust_stores;
    let message = listed.first().and_then(|store| store.message.clone()).unwrap_or_default();
    assert!(message.contains("microsoft-roots") && message.contains("configMapKeyRef"), "{message}");

    stage.apply(&scene::roots("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")).await?;
    stage
        .until("another message", |seen| {
            let listed = seen.policy(POLICY).trust_stores;
            listed.first().and_then(|store| store.message.clone()).is_some_and(|now| now != message)
        })
        .await?;
    assert_eq!(stage.seen().await?.reason("aio-operator"), "TrustStoreUnavailable");

    stage.apply(&scene::roots(pki.root.certificate_pem())).await?;
    stage.until("the verdict", |seen| seen.reason("aio-operator") == "SignatureValid").await?;
    stage.kubectl(&["delete", "configmap", scene::ROOTS.0]).await?;
    stage.until("the loss to be noticed", |seen| seen.reason("aio-operator") == "TrustStoreUnavailable").await?;
    Ok(())
}

#[tokio::test]
async fn binary_data_and_der_and_inline_pem_are_certificates_too() -> Result<()> {
    let registry = Registry::olareg().await?;
    let stage = Stage::set(testenv::cluster().await?, "faults").await?;
    let pki = Pki::new(KeyKind::EcP256)?;
    let images = Images::push(&registry, &stage.notation().await?, &pki, &[Signed::Cose], true).await?;
    let (map, key) = scene::ROOTS;
    let file = stage.folder.path().join(key);
    std::fs::write(&file, pki.root.certificate_der())?;
    stage.kubectl(&["create", "configmap", map, &format!("--from-file={}", file.display())]).await?;
    stage.apply(&scene::trust_policy(POLICY, &scene::seed_document())).await?;
    let mut inline = scene::trust_policy("inline", &scene::seed_document());
    inline["spec"]["trustStores"][0]["certificates"] = json!([{"pem": pki.root.certificate_pem()}]);
    stage.apply(&inline).await?;
    stage.run_pod("aio-operator-0", images.of(Signed::Cose)?).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    stage
        .until("both verdicts", |seen| {
            [POLICY, "inline"].iter().all(|policy| seen.policy_condition(policy, "Verified") == "True/Succeeded")
        })
        .await?;
    Ok(())
}

#[tokio::test]
async fn an_outage_of_the_registry_keeps_the_verdict_and_says_that_it_is_kept() -> Result<()> {
    let mut registry = Registry::olareg().await?;
    let stage = Stage::set(testenv::cluster().await?, "faults").await?;
    let which = [Signed::Cose, Signed::Not];
    stage.play(POLICY, &registry, true, &which).await?;
    let operator = stage.operator(&[&registry], &[]).await?;
    let settled =
        |seen: &sealwatch_e2e::stage::Seen| which.iter().all(|signed| seen.reason(signed.short()) == signed.expected());
    stage.until("two verdicts", settled).await?;
    let verified_at = stage.seen().await?.status("aio-operator").last_verified_time;
    registry.stop();
    stage.kubectl(&["annotate", "tp", POLICY, "sealwatch.dev/requestedAt=now"]).await?;
    let seen = stage
        .until("the outage to be said", |seen| {
            which.iter().all(|signed| seen.image_condition(signed.short(), "Ready") == "False/RegistryUnavailable")
                && seen.policy_condition(POLICY, "Ready") == "False/RegistryUnavailable"
        })
        .await?;
    assert!(settled(&seen), "verdicts are kept, red and green alike");
    assert_eq!(seen.status("aio-operator").last_verified_time, verified_at, "a kept verdict is not made fresh");

    // A restart forgets the evidence, and what the status says is no evidence; it stands for two minutes at most.
    drop(operator);
    let before: Vec<_> = stage.seen().await?.images.into_iter().map(|image| image.status).collect();
    let operator = stage.operator(&[&registry], &[]).await?;
    stage
        .stays("the old status", Duration::from_secs(5), |seen| {
            seen.images.iter().map(|image| &image.status).eq(&before)
        })
        .await?;
    drop(operator);
    Ok(())
}

#[tokio::test]
async fn a_pull_secret_that_is_missing_is_passed_over_and_one_that_may_not_be_read_is_said() -> Result<()> {
    let registry = Registry::olareg().await?;
    let stage = Stage::set(testenv::cluster().await?, "faults").await?;
    stage.play(POLICY, &registry, true, &[Signed::Cose]).await?;
    let mut policy = scene::trust_policy(POLICY, &scene::seed_document());
    policy["spec"]["imagePullSecrets"] = json!([{"name": "there-is-none"}]);
    stage.apply(&policy).await?;
    let operator = stage.operator(&[&registry], &[]).await?;
    stage.until("the verdict", |seen| seen.reason("aio-operator") == "SignatureValid").await?;
    drop(operator);

    // The same rights, but for secrets, given to another service account.
    let name = "blind";
    stage.grant_all_but(name, &["secrets"]).await?;
    stage.kubectl(&["delete", "iv", "--all"]).await?;
    let watched = Some(stage.namespace.as_str());
    let _operator = stage.operator_for(watched, (&stage.namespace, name), &[&registry], &[]).await?;
    let seen = stage.until("the refusal", |seen| seen.reason("aio-operator") == "CredentialsForbidden").await?;
    let message = seen.status("aio-operator").message.unwrap_or_default();
    assert!(message.contains("there-is-none"), "{message}");
    assert_eq!(seen.image_condition("aio-operator", "Ready"), "False/CredentialsForbidden");
    Ok(())
}

#[tokio::test]
async fn pods_that_may_not_be_listed_are_said_and_heal() -> Result<()> {
    let registry = Registry::olareg().await?;
    let stage = Stage::set(testenv::cluster().await?, "faults").await?;
    stage.play(POLICY, &registry, true, &[Signed::Cose]).await?;
    let name = "podless";
    stage.grant_all_but(name, &["pods"]).await?;
    let watched = Some(stage.namespace.as_str());
    let _operator = stage.operator_for(watched, (&stage.namespace, name), &[&registry], &[]).await?;
    let seen =
        stage.until("the refusal", |seen| seen.policy_condition(POLICY, "Ready") == "False/PodsForbidden").await?;
    assert_eq!(seen.policy_condition(POLICY, "Verified"), "Unknown/PodsForbidden");
    assert!(seen.images.is_empty());
    stage.grant_all_but(name, &[]).await?;
    stage.until("the verdict", |seen| seen.policy_condition(POLICY, "Verified") == "True/Succeeded").await?;
    Ok(())
}

/// F13: what cannot be said in a status is said in the log and counted, at a pace.
#[tokio::test]
async fn statuses_that_may_not_be_written_are_said_in_the_log_at_a_pace_and_heal() -> Result<()> {
    let registry = Registry::olareg().await?;
    let stage = Stage::set(testenv::cluster().await?, "faults").await?;
    stage.play(POLICY, &registry, true, &[Signed::Cose]).await?;
    let name = "mute";
    stage.grant_all_but(name, &["imageverifications/status"]).await?;
    let watched = Some(stage.namespace.as_str());
    let mut operator = stage.operator_for(watched, (&stage.namespace, name), &[&registry], &[]).await?;
    operator.wait_for_log("reconcile failed", Duration::from_secs(20)).await?;
    let sentence = "the API server refused: ";
    let line = operator.log().lines().find(|line| line.contains("reconcile failed")).map(str::to_owned);
    let line = line.unwrap_or_default();
    assert!(line.contains(sentence) && line.contains("cannot patch resource"), "{line}");
    let mute = |seen: &Seen| {
        seen.policies.iter().all(|policy| policy.status.is_none())
            && seen.images.iter().all(|image| image.status.is_none())
    };
    stage.stays("the silence", Duration::from_secs(10), mute).await?;
    let address = *operator.listening_on()?.first().ok_or("it listens")?;
    let page = reqwest::get(format!("http://{address}/metrics")).await?.text().await?;
    let count = |kind: &str| -> u32 {
        let line = format!("sealwatch_status_writes_total{{kind=\"{kind}\",result=\"error\"}} ");
        page.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok()).unwrap_or_default()
    };
    // Tried again every 30 s, and when something about it changes.
    assert!((1..=4).contains(&count("TrustPolicy")), "{} attempts", count("TrustPolicy"));
    assert!(count("ImageVerification") <= 4, "{} attempts", count("ImageVerification"));
    stage.grant_all_but(name, &[]).await?;
    let verified = |seen: &Seen| seen.policy_condition(POLICY, "Verified") == "True/Succeeded";
    stage.until_within(Duration::from_mins(1), "the verdict", verified).await?;
    Ok(())
}

/// The port of a service that accepts no connection: bound, and never listened on for long.
fn closed_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

#[tokio::test]
async fn sigterm_ends_an_operator_whose_api_server_was_never_there() -> Result<()> {
    let mut operator = OperatorProcess::facing(&format!("https://127.0.0.1:{}", closed_port()?), &[])?;
    operator.wait_for_log("watch failed", Duration::from_secs(20)).await?;
    let address = *operator.listening_on()?.first().ok_or("it listens")?;
    let ask = |path: &str| reqwest::get(format!("http://{address}{path}"));
    assert_eq!(ask("/healthz").await?.status(), 200);
    let ready = ask("/readyz").await?;
    assert_eq!(ready.status(), 503);
    assert!(ready.text().await?.contains("Pod"));
    let began = Instant::now();
    let ended = operator.terminate(Duration::from_secs(20)).await?;
    assert!(ended.success(), "{ended} after {:?}: {}", began.elapsed(), operator.log());
    Ok(())
}

#[tokio::test]
async fn health_and_metrics_tell_what_the_operator_does() -> Result<()> {
    let registry = Registry::olareg().await?;
    let stage = Stage::set(testenv::cluster().await?, "faults").await?;
    stage.play(POLICY, &registry, true, &[Signed::Not]).await?;
    let operator = stage.operator(&[&registry], &[]).await?;
    stage.until("the summary", |seen| seen.policy(POLICY).summary.is_some_and(|summary| summary.failed == 1)).await?;
    let address = *operator.listening_on()?.first().ok_or("it listens")?;
    let ready = reqwest::get(format!("http://{address}/readyz")).await?;
    assert_eq!(ready.status(), 200);
    let page = reqwest::get(format!("http://{address}/metrics")).await?.text().await?;
    let expected = format!(
        "sealwatch_images{{namespace=\"{}\",policy=\"microsoft\",verdict=\"Failed\",reason=\"NoSignature\"}} 1",
        stage.namespace
    );
    assert!(page.contains(&expected), "{page}");
    assert!(page.contains("sealwatch_gathers_total{result=\"Succeeded\"} 1"), "{page}");
    assert!(!page.contains("sha256:") && !page.contains("azureiotoperations"), "no image is a label: {page}");
    Ok(())
}

#[tokio::test]
async fn a_wrong_kubeconfig_or_registries_file_is_a_sentence_and_exit_code_2() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let write = |name: &str, contents: &str| -> Result<String> {
        let file = folder.path().join(name);
        std::fs::write(&file, contents)?;
        Ok(file.display().to_string())
    };
    let planted = "Zk9plantedToken";
    let broken = write("broken", &format!("users:\n- user: {{token: {planted}}}\nmirrors: [this is no mapping"))?;
    let mistyped = write("mistyped", &format!("clusters: {planted}\n"))?;
    let (empty, whole) = (write("empty", "{}")?, folder.path().join("whole"));
    testenv::write_stranger_kubeconfig(&whole, "https://127.0.0.1:1")?;
    let whole = whole.display().to_string();
    let of = |file: &str, problem: &str| format!("sealwatch: error: --kubeconfig {file}: {problem}\n");
    let nonexistent = "/nonexistent/kubeconfig";
    let invalid = |value: &str, flag: &str, rule: &str| {
        format!("error: invalid value '{value}' for '{flag}': {rule}\n\nFor more information, try '--help'.\n")
    };
    for (args, sentence) in [
        (["--kubeconfig", nonexistent], of(nonexistent, "it cannot be read: No such file or directory (os error 2)")),
        (["--kubeconfig", &broken], of(&broken, "it is no kubeconfig: line 2, column 3 cannot be understood")),
        (["--kubeconfig", &mistyped], of(&mistyped, "it is no kubeconfig: line 1, column 11 cannot be understood")),
        (
            ["--kubeconfig", &empty],
            of(&empty, "it names no current-context: set one with kubectl config use-context NAME"),
        ),
        (["--listen", "nowhere"], invalid("nowhere", "--listen <ADDRESS>", "invalid socket address syntax")),
        (
            ["--collect-after", "soon"],
            invalid(
                "soon",
                "--collect-after <DURATION>",
                "duration \"soon\" is not hours, minutes and seconds such as \"1h30m\"",
            ),
        ),
        (["--watch-timeout", "1s"], invalid("1s", "--watch-timeout <DURATION>", "must be from 5s to 290s")),
    ] {
        let args = ["operator"].into_iter().chain(args).map(str::to_owned).collect();
        let mut operator = OperatorProcess::start(&OperatorOptions { args, ..OperatorOptions::default() })?;
        let ended = operator.wait(Duration::from_secs(20)).await?;
        assert_eq!(ended.code(), Some(2), "{}", operator.log());
        assert_eq!(operator.log(), sentence, "nothing of the file is quoted");
    }
    let mut operator = OperatorProcess::start(&OperatorOptions {
        args: ["operator", "--kubeconfig", &whole, "--registries", &broken].map(str::to_owned).into(),
        ..OperatorOptions::default()
    })?;
    assert_eq!(operator.wait(Duration::from_secs(20)).await?.code(), Some(2), "{}", operator.log());
    let log = operator.log();
    assert!(log.contains("--registries") && log.contains(&broken) && log.lines().count() == 1, "{log}");
    assert!(!log.contains(planted), "{log}");
    // Without the flag, by the variable.
    let mut operator = OperatorProcess::start(&OperatorOptions {
        args: vec!["operator".to_owned()],
        env: vec![("KUBECONFIG".to_owned(), mistyped)],
        ..OperatorOptions::default()
    })?;
    assert_eq!(operator.wait(Duration::from_secs(20)).await?.code(), Some(2), "{}", operator.log());
    let sentence = "sealwatch: error: no way to the API server: this is no pod, and of KUBECONFIG or ~/.kube/config: it is no \
                    kubeconfig: line 1, column 11 cannot be understood; give --kubeconfig, set KUBECONFIG, or run in a \
                    pod\n";
    assert_eq!(operator.log(), sentence);
    Ok(())
}
