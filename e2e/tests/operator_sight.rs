// SPDX-License-Identifier: Apache-2.0

//! An operator that does not see the cluster, or not all of it: it says so, and sees again when it can.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use sealwatch_e2e::scene::{self, Images, Signed};
use sealwatch_e2e::stage::{ACCOUNT, Seen, Stage, install};
use sealwatch_e2e::testenv::{self, Identity, OperatorProcess, Options, Registry, Result, SilentProxy};
use serde_json::json;

const POLICY: &str = "microsoft";
/// The shortest time that a watch may last, so that tests need not wait for the usual one.
const BRIEF: [&str; 2] = ["--watch-timeout", "5s"];
/// How long it takes at most until a watch of that length counts as silent, and to recover from that.
const SILENT: Duration = Duration::from_secs(15 + 15);
/// How long it takes at most until a watch of that length has ended, been refused, and been granted again.
const REFUSED: Duration = Duration::from_mins(1);

/// What an endpoint of the operator answers.
async fn ask(operator: &OperatorProcess, path: &str) -> Result<(u16, String)> {
    let address = *operator.listening_on()?.first().ok_or("it listens")?;
    let answer = reqwest::get(format!("http://{address}{path}")).await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

/// Waits until an endpoint's answer is as it shall be.
async fn until_answer(
    operator: &OperatorProcess,
    path: &str,
    time: Duration,
    done: impl Fn(u16, &str) -> bool,
) -> Result<String> {
    let began = Instant::now();
    loop {
        // Right after its start it does not listen yet.
        let answer = ask(operator, path).await;
        if let Ok((status, text)) = &answer
            && done(*status, text)
        {
            return Ok(text.clone());
        }
        if began.elapsed() > time {
            return Err(format!(
                "waited {} s for {path}, which answers {answer:?}: {}",
                time.as_secs(),
                operator.log()
            )
            .into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A verified image, under an operator that reaches the API server by a way that can fall silent.
async fn behind_silence() -> Result<(Stage, Registry, Images, SilentProxy, OperatorProcess)> {
    let registry = Registry::olareg().await?;
    let stage = Stage::set(testenv::cluster().await?, "sight").await?;
    let pki = scene::Pki::new(testenv::pki::KeyKind::EcP256)?;
    let which = [Signed::Cose, Signed::Not];
    let images = Images::push(&registry, &stage.notation().await?, &pki, &which, true).await?;
    stage.apply(&scene::roots(pki.root.certificate_pem())).await?;
    stage.apply(&scene::trust_policy(POLICY, &scene::seed_document())).await?;
    stage.run_pod("aio-operator-0", images.of(Signed::Cose)?).await?;
    let (namespace, name) = ACCOUNT;
    let proxy = SilentProxy::start(&stage.cluster, Identity::ServiceAccount { namespace, name }).await?;
    let operator = stage.operator_by(&proxy.kubeconfig(stage.folder.path())?, &[&registry], &BRIEF)?;
    stage.until("the verdict", verified).await?;
    Ok((stage, registry, images, proxy, operator))
}

fn verified(seen: &Seen) -> bool {
    seen.policy_condition(POLICY, "Verified") == "True/Succeeded"
        && seen.policy_condition(POLICY, "Ready") == "True/Succeeded"
}

fn ready(seen: &Seen) -> String {
    let conditions = seen.policy(POLICY).conditions;
    conditions.into_iter().find(|found| found.type_ == "Ready").map(|found| found.message).unwrap_or_default()
}

/// F05, F07.
#[tokio::test]
async fn a_watch_that_falls_silent_is_said_everywhere_and_heals_without_a_restart() -> Result<()> {
    let (stage, _registry, images, proxy, operator) = behind_silence().await?;
    assert_eq!(ask(&operator, "/readyz").await?, (200, "ok\n".into()));
    proxy.silence("pods");
    stage.run_pod("dataflow-operator-0", images.of(Signed::Not)?).await?;
    let silence_said = |seen: &Seen| seen.policy_condition(POLICY, "Ready") == "False/CacheStale";
    let seen = stage.until_within(SILENT, "the silence to be said", silence_said).await?;
    assert_eq!(ready(&seen), "nothing was heard about Pod for more than 15 s, longer than a watch lasts");
    assert_eq!(seen.policy_condition(POLICY, "Verified"), "True/Succeeded", "what is known is kept");
    assert!(seen.image("dataflow-operator").is_none());
    let (status, text) = ask(&operator, "/readyz").await?;
    assert_eq!((status, text.contains("nothing was heard about Pod")), (503, true), "{text}");
    assert_eq!(ask(&operator, "/healthz").await?.0, 200, "it is not to be killed for that");
    let (_, page) = ask(&operator, "/metrics").await?;
    let age = page.lines().find_map(|line| line.strip_prefix("sealwatch_watch_age_seconds{kind=\"Pod\"} "));
    assert!(age.is_some_and(|age| age.parse::<f64>().is_ok_and(|age| age > 15.0)), "{page}");
    // The other watches are not held up by it.
    stage.apply(&Stage::handwritten("by-hand", &images.of(Signed::Not)?.reference, None, POLICY)).await?;
    stage.until("a verdict meanwhile", |seen| seen.reason("by-hand") == "NoSignature").await?;
    proxy.speak();
    let healed = |seen: &Seen| {
        seen.policy_condition(POLICY, "Ready") == "True/Succeeded" && seen.reason("dataflow-operator") == "NoSignature"
    };
    stage.until_within(SILENT, "the recovery", healed).await?;
    until_answer(&operator, "/readyz", SILENT, |status, _| status == 200).await?;
    Ok(())
}

/// F06.
#[tokio::test]
async fn a_connection_that_was_forgotten_on_the_way_is_noticed_and_no_pod_is_missed() -> Result<()> {
    let (stage, _registry, images, proxy, _operator) = behind_silence().await?;
    proxy.forget();
    stage.run_pod("dataflow-operator-0", images.of(Signed::Not)?).await?;
    let noticed = |seen: &Seen| seen.reason("dataflow-operator") == "NoSignature";
    stage.until_within(SILENT, "the pod that came meanwhile", noticed).await?;
    Ok(())
}

/// F07: only the TrustPolicies fall silent.
#[tokio::test]
async fn a_silent_watch_of_policies_stops_no_verdict() -> Result<()> {
    let (stage, _registry, images, proxy, _operator) = behind_silence().await?;
    proxy.silence("trustpolicies");
    let silence_said = |seen: &Seen| seen.policy_condition(POLICY, "Ready") == "False/CacheStale";
    stage.until_within(SILENT, "the silence to be said", silence_said).await?;
    stage.run_pod("dataflow-operator-0", images.of(Signed::Not)?).await?;
    stage.until("a verdict meanwhile", |seen| seen.reason("dataflow-operator") == "NoSignature").await?;
    proxy.speak();
    stage.until_within(SILENT, "the recovery", |seen| !silence_said(seen)).await?;
    Ok(())
}

/// Nothing hangs for longer than its time-out, and nothing else with it.
#[tokio::test]
async fn a_secret_about_which_the_api_server_never_answers_holds_up_its_own_policy_alone() -> Result<()> {
    let (stage, _registry, images, proxy, _operator) = behind_silence().await?;
    // Named as the last part of its address.
    proxy.silence("unanswered");
    let mut waiting = scene::trust_policy("waiting", &scene::seed_document());
    waiting["spec"]["trustStores"][0]["certificates"] =
        json!([{"secretKeyRef": {"name": "unanswered", "key": "ca.crt"}}]);
    stage.apply(&waiting).await?;
    stage.run_pod("dataflow-operator-0", images.of(Signed::Not)?).await?;
    let others = |seen: &Seen| seen.policy_condition(POLICY, "Verified") == "False/NoSignature";
    let seen = stage.until("the other policy's verdict", others).await?;
    assert_eq!(seen.policy("waiting").conditions, [], "it is still being asked for");
    let told = |seen: &Seen| {
        let stores = seen.policy("waiting").trust_stores;
        let message = stores.first().and_then(|store| store.message.clone()).unwrap_or_default();
        message.contains("Secret \"unanswered\" could not be read: the API server did not answer within 30 s")
            && seen.policy_condition("waiting", "Ready") == "False/TrustStoreUnavailable"
    };
    stage.until_within(Duration::from_mins(1), "the time-out to be said", told).await?;
    Ok(())
}

/// An operator whose rights can be taken away, with a verified image.
async fn revocable(account: &str, without: &[&str]) -> Result<(Stage, Registry, OperatorProcess)> {
    let registry = Registry::olareg().await?;
    let stage = Stage::set(testenv::cluster().await?, "sight").await?;
    stage.play(POLICY, &registry, true, &[Signed::Cose]).await?;
    stage.grant_all_but(account, without).await?;
    let (watched, as_whom) = (Some(stage.namespace.as_str()), (stage.namespace.as_str(), account));
    let operator = stage.operator_for(watched, as_whom, &[&registry], &BRIEF).await?;
    Ok((stage, registry, operator))
}

/// F13.
#[tokio::test]
async fn a_right_that_is_lost_later_is_said_and_heals() -> Result<()> {
    let (stage, _registry, _operator) = revocable("loser", &[]).await?;
    stage.until("the verdict", verified).await?;
    for (resource, condition, said, reason) in [
        (
            "pods",
            "False/PodsForbidden",
            "the API server does not show the pods: the operator may not",
            "SignatureValid",
        ),
        (
            "imageverifications",
            "False/CacheStale",
            "the API server does not show every ImageVerification: the operator may not list and watch it",
            "SignatureValid",
        ),
        (
            "configmaps",
            "False/TrustStoreUnavailable",
            "ConfigMap \"microsoft-roots\" could not be read: the operator may not list and watch it",
            "TrustStoreUnavailable",
        ),
    ] {
        stage.grant_all_but("loser", &[resource]).await?;
        let told = |seen: &Seen| {
            seen.policy_condition(POLICY, "Ready") == condition && ready(seen).contains(said)
                // Where only the view is lost, what was seen is kept.
                && seen.reason("aio-operator") == reason
        };
        stage.until_within(REFUSED, &format!("the loss of {resource}"), told).await?;
        stage.grant_all_but("loser", &[]).await?;
        stage.until_within(REFUSED, &format!("the return of {resource}"), verified).await?;
    }
    Ok(())
}

#[tokio::test]
async fn config_maps_that_may_never_be_listed_concern_only_who_names_one() -> Result<()> {
    let (stage, _registry, _operator) = revocable("mapless", &["configmaps"]).await?;
    let seen = stage
        .until("the refusal", |seen| {
            seen.policy_condition(POLICY, "Ready") == "False/TrustStoreUnavailable"
                && seen.reason("aio-operator") == "TrustStoreUnavailable"
        })
        .await?;
    assert!(ready(&seen).contains("the operator may not list and watch it"), "{}", ready(&seen));
    let skip = json!({"version": "1.0", "trustPolicies": [
        {"name": "all", "registryScopes": ["*"], "signatureVerification": {"level": "skip"}},
    ]});
    let mut lenient = scene::trust_policy("lenient", &skip);
    lenient["spec"]["trustStores"] = json!([]);
    stage.apply(&lenient).await?;
    stage.until("the other policy", |seen| seen.policy_condition("lenient", "Verified") == "True/Succeeded").await?;
    stage.grant_all_but("mapless", &[]).await?;
    stage.until_within(REFUSED, "the verdict", verified).await?;
    Ok(())
}

#[tokio::test]
async fn image_verifications_that_may_never_be_listed_are_said_and_heal() -> Result<()> {
    let (stage, _registry, operator) = revocable("formless", &["imageverifications"]).await?;
    let told = |seen: &Seen| {
        seen.policy_condition(POLICY, "Ready") == "False/CacheStale"
            && seen.policy_condition(POLICY, "Verified") == "Unknown/CacheStale"
    };
    stage.until("the refusal", told).await?;
    let (status, text) = ask(&operator, "/readyz").await?;
    assert_eq!(status, 503);
    assert!(text.contains("waiting for the first list of ImageVerification: the operator may not list"), "{text}");
    stage.grant_all_but("formless", &[]).await?;
    stage.until_within(REFUSED, "the verdict", verified).await?;
    Ok(())
}

#[tokio::test]
async fn missing_definitions_are_waited_for_with_one_clear_sentence() -> Result<()> {
    let options = Options { name: Some("bare".into()), ..Options::default() };
    let cluster = testenv::cluster_with(options).await?;
    // This control plane may have seen an earlier run of this test.
    let definitions = ["crd/trustpolicies.sealwatch.dev", "crd/imageverifications.sealwatch.dev"];
    let gone = ["delete", definitions[0], definitions[1], "--ignore-not-found"];
    sealwatch_e2e::stage::run(&cluster, &gone).await?;
    let stage = Stage { namespace: cluster.namespace("bare").await?, folder: tempfile::tempdir()?, cluster };
    let registry = Registry::olareg().await?;
    let kubeconfig = stage.cluster.kubeconfig().to_owned();
    let operator = stage.operator_by(&kubeconfig, &[&registry], &[])?;
    let sentence = "waiting for the first list of TrustPolicy: the API server does not know the kind \
                    TrustPolicy.sealwatch.dev; apply the definitions that `sealwatch crds` prints";
    let said = until_answer(&operator, "/readyz", Duration::from_secs(20), |status, text| {
        status == 503 && text.lines().any(|line| line == sentence) && text.lines().count() == 2
    });
    said.await?;
    assert!(operator.log().contains("does not know the kind ImageVerification.sealwatch.dev"), "{}", operator.log());
    assert_eq!(ask(&operator, "/healthz").await?.0, 200);
    install(&stage.cluster).await?;
    stage.play(POLICY, &registry, true, &[Signed::Cose]).await?;
    stage.until("the verdict", verified).await?;
    until_answer(&operator, "/readyz", Duration::from_secs(20), |status, _| status == 200).await?;
    Ok(())
}

/// Accepts connections and never says a word on them.
#[tokio::test]
async fn an_api_server_that_accepts_and_never_answers_is_said_in_time() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let mut operator = OperatorProcess::facing(&format!("https://{}", listener.local_addr()?), &[])?;
    // A connection may take 10 s to be set up.
    let said = until_answer(&operator, "/readyz", Duration::from_secs(30), |status, text| {
        status == 503 && text.contains("waiting for the first list of Pod: the API server could not be asked: ")
    });
    let text = said.await?;
    assert_eq!(text.lines().count(), 5, "{text}");
    assert!(operator.log().contains(&listener.local_addr()?.to_string()), "which one: {}", operator.log());
    let ended = operator.terminate(Duration::from_secs(20)).await?;
    assert!(ended.success(), "{ended}: {}", operator.log());
    Ok(())
}
