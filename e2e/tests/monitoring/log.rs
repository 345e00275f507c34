// SPDX-License-Identifier: Apache-2.0

//! The log: each line of it is read, and nothing secret is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::LocalObjectReference;
use sealwatch_e2e::scene::{self, Signed};
use sealwatch_e2e::stage::{ACCOUNT, Stage};
use sealwatch_e2e::testenv::pods::{self, ContainerSpec};
use sealwatch_e2e::testenv::{Identity, OperatorOptions, OperatorProcess, Registry, Result, cluster};
use serde_json::{Map, Value, json};

use crate::site::{SEED, cut_off, table};

/// The longest value that a line may hold, in bytes.
const VALUE_MOST: usize = 1024;
/// The longest line.
const LINE_MOST: usize = 16 * 1024;
const LEVELS: [&str; 5] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"];
const PASSWORD: &str = "correct-horse-battery-staple";

/// The lines of a log, each an object with the documented keys.
fn read(log: &str) -> Result<Vec<Map<String, Value>>> {
    let documented: BTreeSet<String> = table("docs/operations.md", "## Logs")?.into_keys().collect();
    assert!(documented.contains("time") && documented.len() > 10, "{documented:?}");
    let mut lines = Vec::new();
    for line in log.lines() {
        assert!(line.len() <= LINE_MOST, "{} bytes: {line}", line.len());
        let object: Map<String, Value> = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
        let text = |key: &str| object.get(key).and_then(Value::as_str).ok_or_else(|| format!("no {key}: {line}"));
        text("time")?.parse::<jiff::Timestamp>()?;
        assert!(LEVELS.contains(&text("level")?), "{line}");
        let (target, _) = (text("target")?, text("message")?);
        for (key, value) in &object {
            assert!(value.as_str().is_none_or(|text| text.len() <= VALUE_MOST), "{key}: {line}");
            // What libraries say is theirs.
            assert!(!target.starts_with("sealwatch") || documented.contains(key), "{key} is not documented: {line}");
        }
        lines.push(object);
    }
    assert!(!lines.is_empty(), "nothing is logged");
    Ok(lines)
}

/// The texts of an event under these keys.
fn said<'a>(line: &'a Map<String, Value>, keys: &[&str]) -> BTreeMap<String, &'a str> {
    keys.iter().map(|key| ((*key).to_owned(), line.get(*key).and_then(Value::as_str).unwrap_or_default())).collect()
}

/// Starts an operator whose log is JSON at this level.
async fn operator(stage: &Stage, registry: &Registry, level: &str) -> Result<OperatorProcess> {
    let (namespace, name) = ACCOUNT;
    let account = Identity::ServiceAccount { namespace, name };
    let kubeconfig = stage.cluster.kubeconfig_for(account).await?.display().to_string();
    // The registry asks for no password; one is offered all the same.
    let endpoint = format!("http://{}", registry.host());
    let auth = json!({"auth": {"username": "robot", "password": format!("{PASSWORD}-of-the-file")}});
    let registries = json!({
        "mirrors": {registry.host(): {"endpoint": [endpoint]}}, "configs": {registry.host(): auth},
    });
    let file = stage.folder.path().join("registries.yaml");
    std::fs::write(&file, registries.to_string())?;
    let file = file.display().to_string();
    let args = ["operator", "--log-format", "json", "--listen", "127.0.0.1:0", "--kubeconfig", &kubeconfig];
    let args = args.into_iter().chain(["--registries", &file, "--watch-namespace", &stage.namespace]);
    let args = args.map(str::to_owned).collect();
    let env = vec![("RUST_LOG".to_owned(), level.to_owned())];
    OperatorProcess::start(&OperatorOptions { args, env, ..OperatorOptions::default() })
}

/// Everything that a log tells of: verdicts, a registry that goes, a pull secret that is none and one that is.
async fn work(stage: &Stage, registry: &mut Registry, level: &str) -> Result<OperatorProcess> {
    let (_pki, images) = stage.play(SEED, registry, true, &[Signed::Cose, Signed::Not]).await?;
    let login = json!({"auths": {registry.host(): {"username": "robot", "password": PASSWORD}}}).to_string();
    for (name, config) in [("acr", login.as_str()), ("broken", "{\"auths\": \"correct-horse-battery-staple\"}")] {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque",
            "stringData": {".dockerconfigjson": config},
        });
        stage.apply(&secret).await?;
    }
    let image = images.of(Signed::Cose)?;
    let container = ContainerSpec::new("main", &image.reference, image.by_digest());
    pods::run_as(&stage.client(), &stage.namespace, "private-0", &[container], |pod| {
        if let Some(spec) = &mut pod.spec {
            let secrets = ["acr", "broken"].map(|name| LocalObjectReference { name: name.into() });
            spec.image_pull_secrets = Some(secrets.into());
        }
    })
    .await?;
    let operator = operator(stage, registry, level).await?;
    stage
        .until("two verdicts", |seen| {
            [Signed::Cose, Signed::Not].iter().all(|signed| seen.reason(signed.short()) == signed.expected())
        })
        .await?;
    let mut stranger = scene::seed_document();
    stranger["trustPolicies"][0]["trustedIdentities"] = json!(["x509.subject: CN=Nobody,O=Nobody,C=US,ST=WA"]);
    stage.apply(&scene::trust_policy(SEED, &stranger)).await?;
    stage.until("the edit", |seen| seen.reason(Signed::Cose.short()) == "UntrustedIdentity").await?;
    registry.stop();
    stage.request(SEED).await?;
    Ok(operator)
}

#[tokio::test]
async fn every_line_of_an_operator_without_its_api_server_is_an_object_with_documented_keys() -> Result<()> {
    let mut operator = cut_off(&["--log-format", "json"]).await?;
    operator.terminate(Duration::from_secs(20)).await?;
    let lines = read(&operator.log())?;
    let failed = lines.iter().find(|line| said(line, &["message"])["message"].starts_with("watch failed"));
    let failed = failed.ok_or("a line about the watch")?;
    assert_eq!(said(failed, &["level"])["level"], "WARN");
    assert!(!said(failed, &["kind"])["kind"].is_empty() && !said(failed, &["error"])["error"].is_empty(), "{failed:?}");
    Ok(())
}

#[tokio::test]
async fn every_line_of_an_operator_at_work_is_an_object_with_documented_keys_and_tells_what_it_is_about() -> Result<()>
{
    let mut registry = Registry::olareg().await?;
    let stage = Stage::set(cluster().await?, "log").await?;
    let mut operator = work(&stage, &mut registry, "info").await?;
    operator.terminate(Duration::from_secs(20)).await?;
    let lines = read(&operator.log())?;
    let keys = ["namespace", "policy", "image", "verdict", "was", "reason"];
    let verdicts: Vec<_> = lines.iter().filter(|line| said(line, &["message"])["message"] == "verdict").collect();
    let told: BTreeSet<_> = verdicts
        .iter()
        .map(|line| {
            let said = said(line, &keys);
            assert_eq!((said["namespace"], said["policy"]), (stage.namespace.as_str(), SEED), "{line:?}");
            assert!(said["image"].contains("azureiotoperations/"), "{line:?}");
            [said["was"], said["verdict"], said["reason"]].join(" ")
        })
        .collect();
    for expected in [" Verified SignatureValid", " Failed NoSignature", "Verified Failed UntrustedIdentity"] {
        assert!(told.iter().any(|told| told.ends_with(expected)), "{expected} in {told:?}");
    }
    let outage = lines.iter().find(|line| said(line, &["message"])["message"] == "no evidence");
    let outage = said(outage.ok_or("a line about the outage")?, &["namespace", "policy", "name", "image", "reason"]);
    assert_eq!(outage["reason"], "RegistryUnavailable");
    assert!(outage.values().all(|value| !value.is_empty()), "{outage:?}");
    assert!(lines.iter().any(|line| said(line, &["message"])["message"] == "not a pull secret"), "{}", operator.log());
    Ok(())
}

#[tokio::test]
async fn no_password_is_in_the_log_whatever_is_asked_for() -> Result<()> {
    let mut registry = Registry::olareg().await?;
    let stage = Stage::set(cluster().await?, "log").await?;
    let mut operator = work(&stage, &mut registry, "trace").await?;
    operator.terminate(Duration::from_secs(20)).await?;
    let log = operator.log();
    let lines = read(&log)?;
    assert!(lines.iter().any(|line| said(line, &["level"])["level"] == "TRACE"), "nothing is traced");
    // As it is, and as it stands in a header.
    for secret in [PASSWORD, "Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5LXN0YXBsZ", "cm9ib3Q6Y29ycmVjdC1ob3JzZ"] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None);
    }
    Ok(())
}

#[tokio::test]
async fn a_level_that_cannot_be_understood_is_a_warning_and_the_usual_one_is_taken() -> Result<()> {
    let args = ["operator", "--kubeconfig", "/nonexistent/kubeconfig"].map(str::to_owned).to_vec();
    let env = vec![("RUST_LOG".to_owned(), "sealwatch=loud".to_owned())];
    let mut operator = OperatorProcess::start(&OperatorOptions { args, env, ..OperatorOptions::default() })?;
    let ended = operator.wait(Duration::from_secs(20)).await?;
    assert_eq!(ended.code(), Some(2));
    let log = operator.log();
    let (first, rest) = log.split_once('\n').ok_or("two lines")?;
    let lines = read(first)?;
    let warning = said(&lines[0], &["level", "message", "error"]);
    assert_eq!(warning["level"], "WARN");
    assert!(warning["message"].contains("RUST_LOG") && !warning["error"].is_empty(), "{first}");
    // What cannot be used is a plain sentence.
    assert!(rest.starts_with("sealwatch: error: ") && rest.lines().count() == 1, "{rest}");
    Ok(())
}
