// SPDX-License-Identifier: Apache-2.0

//! Two operators and one Lease: one works, the other takes over, and one that was stopped in between writes nothing.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use rustix::process::{Pid, Signal, kill_process};
use sealwatch_e2e::scene::Signed;
use sealwatch_e2e::stage::{Stage, finished};
use sealwatch_e2e::testenv::{self, OperatorProcess, Options, Registry, Result};
use serde_json::json;

const POLICY: &str = "microsoft";
const LEASE: &str = "sealwatch";
const SOON: Duration = Duration::from_secs(30);
/// The Lease lasts 15 s, and is looked at every 2 s; the rest is for a machine that has much to do.
const TAKEN_OVER: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);
const HOLDING: &str = "holding the Lease";

/// A stage of its own, with the accounts `one` and `two`, which have the operator's rights and those on the Lease.
async fn stage(name: &str) -> Result<Option<Stage>> {
    if std::env::var_os("SEALWATCH_E2E_KUBECONFIG").is_some_and(|value| !value.is_empty()) {
        testenv::skipped(name, "an existing cluster has no audit log that could be read");
        return Ok(None);
    }
    let options = Options { name: Some("leader".into()), audit: true, ..Options::default() };
    let stage = Stage::set(testenv::cluster_with(options).await?, name).await?;
    let namespace = &stage.namespace;
    for account in ["one", "two"] {
        let subject = format!("--serviceaccount={namespace}:{account}");
        let create = |more: &[&str]| {
            let args: Vec<String> =
                ["-n", namespace, "create"].iter().chain(more).map(|word| (*word).to_owned()).collect();
            let cluster = stage.cluster.clone();
            async move {
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                finished("kubectl create", &cluster.kubectl(&args).await?)
            }
        };
        create(&["serviceaccount", account]).await?;
        create(&["rolebinding", account, "--clusterrole=sealwatch", &subject]).await?;
        create(&["role", &format!("{account}-lease"), "--verb=get,create,update", "--resource=leases"]).await?;
        create(&["rolebinding", &format!("{account}-lease"), &format!("--role={account}-lease"), &subject]).await?;
    }
    Ok(Some(stage))
}

async fn operator(stage: &Stage, account: &str, registries: &[&Registry]) -> Result<OperatorProcess> {
    let namespace = stage.namespace.as_str();
    let folder = stage.folder.path().join(account);
    std::fs::create_dir_all(&folder)?;
    let lease = ["--lease", LEASE, "--lease-namespace", namespace];
    stage.operator_for(Some(namespace), (namespace, account), registries, &lease).await
}

fn signal(process: &OperatorProcess, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(process.pid())?).ok_or("a process id")?;
    Ok(kill_process(pid, signal)?)
}

/// What this account asked for so far: verb and resource, and whether it was a write.
fn asked(stage: &Stage, account: &str) -> Result<Vec<(String, bool)>> {
    let user = format!("system:serviceaccount:{}:{account}", stage.namespace);
    let requests = stage.cluster.audit_log()?.into_iter().filter(|request| request.user.username == user);
    let described = requests.map(|request| {
        let write = !["get", "list", "watch"].contains(&request.verb.as_str());
        (format!("{} {}", request.verb, request.object_ref.unwrap_or_default().resource), write)
    });
    Ok(described.collect())
}

async fn ready_says(process: &OperatorProcess, text: &str) -> Result<()> {
    let began = Instant::now();
    loop {
        if let Some(address) = process.listening_on()?.first() {
            let answer = reqwest::get(format!("http://{address}/readyz")).await?;
            let (status, said) = (answer.status().as_u16(), answer.text().await?);
            if status == 200 && said.contains(text) {
                return Ok(());
            }
        }
        if began.elapsed() > SOON {
            return Err(format!("it does not say '{text}'; its log:\n{}", process.log()).into());
        }
        tokio::time::sleep(POLL).await;
    }
}

#[tokio::test]
async fn the_other_takes_over_from_a_leader_that_is_stopped_and_that_one_writes_nothing_when_it_goes_on() -> Result<()>
{
    let Some(stage) = stage("leader-stopped").await? else { return Ok(()) };
    testenv::install_crypto_provider();
    let registry = Registry::olareg().await?;
    let mut one = operator(&stage, "one", &[&registry]).await?;
    one.wait_for_log(HOLDING, SOON).await?;
    let mut two = operator(&stage, "two", &[&registry]).await?;
    ready_says(&two, "standing by").await?;
    let address = *two.listening_on()?.first().ok_or("it listens")?;
    let page = reqwest::get(format!("http://{address}/metrics")).await?.error_for_status()?.text().await?;
    assert_eq!(page, "# EOF\n", "who stands by is scraped, and has nothing to tell");

    let (_pki, images) = stage.play(POLICY, &registry, true, &[Signed::Cose, Signed::Not]).await?;
    stage.until("verdicts", |seen| seen.reason(Signed::Cose.short()) == "SignatureValid").await?;
    stage.until("verdicts", |seen| seen.reason(Signed::Not.short()) == "NoSignature").await?;
    let of_two = asked(&stage, "two")?;
    assert!(of_two.iter().all(|(what, _)| what.ends_with(" leases")), "who stands by does more: {of_two:?}");

    signal(&one, Signal::STOP)?;
    two.wait_for_log(HOLDING, TAKEN_OVER).await?;
    ready_says(&two, "ok").await?;
    // The new leader works: a pod goes, and another one comes.
    let pod = format!("{}-0", Signed::Not.short());
    testenv::pods::delete(&stage.client(), &stage.namespace, &pod).await?;
    stage.run_pod("later", images.of(Signed::Cose)?).await?;
    let pods =
        |seen: &sealwatch_e2e::stage::Seen| seen.status(Signed::Cose.short()).running.map(|running| running.pods);
    stage.until("the new leader's work", |seen| pods(seen) == Some(2)).await?;

    // It has much to write: everything changed while it was stopped.
    let before = asked(&stage, "one")?.len();
    signal(&one, Signal::CONT)?;
    let ended = one.wait(SOON).await?;
    assert_eq!(ended.code(), Some(1), "{}", one.log());
    assert!(one.log().contains("the Lease is lost"), "{}", one.log());
    let after: Vec<_> = asked(&stage, "one")?.into_iter().skip(before).collect();
    assert!(after.iter().all(|(_, write)| !write), "it went on to write: {after:?}");
    assert!(two.status()?.is_none(), "{}", two.log());
    Ok(())
}

#[tokio::test]
async fn a_leader_that_is_told_to_end_gives_the_lease_back_and_the_other_need_not_wait_until_it_has_run_out()
-> Result<()> {
    let Some(stage) = stage("leader-ends").await? else { return Ok(()) };
    let (mut one, mut two) = (operator(&stage, "one", &[]).await?, operator(&stage, "two", &[]).await?);
    let began = Instant::now();
    while !one.log().contains(HOLDING) && !two.log().contains(HOLDING) {
        assert!(began.elapsed() < SOON, "nobody leads:\n{}\n{}", one.log(), two.log());
        tokio::time::sleep(POLL).await;
    }
    let (leader, other) = if one.log().contains(HOLDING) { (&mut one, &mut two) } else { (&mut two, &mut one) };
    assert!(!other.log().contains(HOLDING), "both lead");
    let ended = leader.terminate(SOON).await?;
    assert!(ended.success(), "{ended}: {}", leader.log());
    assert!(leader.log().contains("gave the Lease back"), "{}", leader.log());
    other.wait_for_log(HOLDING, TAKEN_OVER).await?;
    let lease = Api::<Lease>::namespaced(stage.client(), &stage.namespace).get(LEASE).await?;
    let spec = lease.spec.ok_or("a spec")?;
    assert_eq!((spec.lease_duration_seconds, spec.lease_transitions), (Some(15), Some(1)));
    // Who stands by ends at once.
    let mut third = operator(&stage, "one", &[]).await?;
    ready_says(&third, "standing by").await?;
    assert!(third.terminate(SOON).await?.success(), "{}", third.log());
    Ok(())
}

#[tokio::test]
async fn a_lease_that_somebody_takes_or_deletes_ends_its_holder_and_a_label_on_it_does_not() -> Result<()> {
    let Some(stage) = stage("leader-robbed").await? else { return Ok(()) };
    let leases: Api<Lease> = Api::namespaced(stage.client(), &stage.namespace);
    let renewed = async |than: Option<String>| -> Result<Option<String>> {
        let began = Instant::now();
        loop {
            let lease = leases.get(LEASE).await?;
            let at = lease.spec.and_then(|spec| spec.renew_time).map(|time| time.0.to_string());
            if at != than {
                return Ok(at);
            }
            assert!(began.elapsed() < SOON, "it is not renewed");
            tokio::time::sleep(POLL).await;
        }
    };
    let mut one = operator(&stage, "one", &[]).await?;
    one.wait_for_log(HOLDING, SOON).await?;
    let label = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    leases.patch(LEASE, &PatchParams::default(), &label).await?;
    let at = renewed(None).await?;
    let at = renewed(at).await?;
    renewed(at).await?;
    assert!(one.status()?.is_none(), "a label ends it: {}", one.log());

    let thief = Patch::Merge(json!({"spec": {"holderIdentity": "thief"}}));
    leases.patch(LEASE, &PatchParams::default(), &thief).await?;
    assert_eq!(one.wait(SOON).await?.code(), Some(1), "{}", one.log());
    assert!(one.log().contains("somebody else holds the Lease"), "{}", one.log());

    leases.delete(LEASE, &DeleteParams::default()).await?;
    let mut two = operator(&stage, "two", &[]).await?;
    two.wait_for_log(HOLDING, SOON).await?;
    leases.delete(LEASE, &DeleteParams::default()).await?;
    assert_eq!(two.wait(SOON).await?.code(), Some(1), "{}", two.log());
    Ok(())
}
