// SPDX-License-Identifier: Apache-2.0

//! Objects that were stored under an older version's definitions, on a real API server whose definitions are upgraded.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use kube::Api;
use sealwatch_api::{ImageVerification, TrustPolicy};
use sealwatch_e2e::scene::{self, Signed};
use sealwatch_e2e::stage::{Seen, Stage, established, finished, run};
use sealwatch_e2e::testenv::{self, Cluster, Helm, Options, Registry, Result};
use serde_json::{Value, json};

use crate::{definitions, file, objects};

/// The oldest version that is kept.
const FIRST: &str = "first";
/// How long the API server may take to serve what was applied.
const SOON: Duration = Duration::from_secs(30);
const POLICY: &str = "microsoft";
const IMAGE: &str = "image.repository=registry.example.com/sealwatch";

/// A control plane of its own, on which nothing of ours is installed.
async fn bare(test: &str) -> Result<Option<Cluster>> {
    if std::env::var_os("SEALWATCH_E2E_KUBECONFIG").is_some_and(|value| !value.is_empty()) {
        testenv::skipped(test, "an existing cluster may hold the kinds already, of another version");
        return Ok(None);
    }
    let options = Options { name: Some(test.to_owned()), ..Options::default() };
    Ok(Some(testenv::cluster_with(options).await?))
}

/// What the API server says of our kinds, once it says something of both.
async fn page(cluster: &Cluster) -> Result<String> {
    let began = Instant::now();
    loop {
        let page = run(cluster, &["get", "--raw", "/openapi/v3/apis/sealwatch.dev/v1alpha1"]).await;
        match page {
            Ok(page)
                if ["v1alpha1.ImageVerification\"", "v1alpha1.TrustPolicy\""]
                    .iter()
                    .all(|kind| page.contains(kind)) =>
            {
                return Ok(page);
            }
            Err(error) if began.elapsed() > SOON => return Err(error),
            Ok(page) if began.elapsed() > SOON => return Err(format!("a kind is missing in {page}").into()),
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Waits until the API server serves other definitions than it did.
async fn upgraded(cluster: &Cluster, before: &str) -> Result<()> {
    let began = Instant::now();
    while page(cluster).await? == before {
        if began.elapsed() > SOON {
            return Err("the API server goes on serving the first definitions".into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Stores an object, status included, as an operator did.
async fn store(cluster: &Cluster, namespace: &str, object: &Value) -> Result<()> {
    let args = ["create", "-n", namespace, "-f", "-"];
    finished("kubectl create", &cluster.kubectl_with_input(&args, &object.to_string()).await?)?;
    let (kind, name) = named(object)?;
    let status = json!({"status": object["status"]}).to_string();
    let args = ["patch", &kind, &name, "-n", namespace, "--subresource=status", "--type=merge", "-p", &status];
    run(cluster, &args).await.map(drop)
}

fn named(object: &Value) -> Result<(String, String)> {
    let kind = object["kind"].as_str().ok_or("a kind")?.to_lowercase();
    Ok((kind, object["metadata"]["name"].as_str().ok_or("a name")?.to_owned()))
}

async fn stored(cluster: &Cluster, namespace: &str, object: &Value) -> Result<Value> {
    let (kind, name) = named(object)?;
    Ok(serde_json::from_str(&run(cluster, &["get", &kind, &name, "-n", namespace, "-o", "json"]).await?)?)
}

/// The API server accepts an object as it has it, spec and status, which is what every later edit rests on.
async fn assert_valid(cluster: &Cluster, namespace: &str, object: &Value) -> Result<()> {
    for subresource in [&[][..], &["--subresource=status"]] {
        let mut args = vec!["replace", "-n", namespace, "--dry-run=server", "-f", "-"];
        args.extend_from_slice(subresource);
        finished("kubectl replace", &cluster.kubectl_with_input(&args, &object.to_string()).await?)?;
    }
    Ok(())
}

/// Places of a schema's fields: `spec.trustStores[].name`.
fn fields(place: &str, schema: &Value, into: &mut BTreeSet<String>) {
    for (name, below) in schema["properties"].as_object().into_iter().flatten() {
        let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
        into.insert(place.clone());
        fields(&place, below, into);
    }
    if schema["items"].is_object() {
        fields(&format!("{place}[]"), &schema["items"], into);
    }
}

/// Places of an object's fields, as [`fields`] writes them.
fn filled(place: &str, value: &Value, into: &mut BTreeSet<String>) {
    for (name, below) in value.as_object().into_iter().flatten() {
        let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
        into.insert(place.clone());
        filled(&place, below, into);
    }
    for below in value.as_array().into_iter().flatten() {
        filled(&format!("{place}[]"), below, into);
    }
}

#[test]
fn the_objects_that_are_stored_have_every_field_of_their_definition() -> Result<()> {
    let objects = objects(FIRST, "objects.yaml")?;
    for definition in definitions(FIRST)? {
        let kind = &definition["spec"]["names"]["kind"];
        let object = objects.iter().find(|object| object["kind"] == *kind).ok_or("an object of the kind")?;
        let (mut there, mut filled_in) = (BTreeSet::new(), BTreeSet::new());
        fields("", &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &mut there);
        filled("", object, &mut filled_in);
        let missing: Vec<&String> = there.difference(&filled_in).collect();
        assert!(there.len() > 50 && missing.is_empty(), "{kind}: {missing:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_the_first_version_stored_is_whole_valid_and_read_after_its_definitions_were_upgraded() -> Result<()> {
    let Some(cluster) = bare("upgrade-definitions").await? else { return Ok(()) };
    let first = file(FIRST, "crds.yaml").display().to_string();
    run(&cluster, &["apply", "--server-side", "-f", &first]).await?;
    established(&cluster).await?;
    let namespace = cluster.namespace("upgrade").await?;
    let objects = objects(FIRST, "objects.yaml")?;
    let mut before = Vec::new();
    for object in &objects {
        store(&cluster, &namespace, object).await?;
        let there = stored(&cluster, &namespace, object).await?;
        assert_eq!((&there["spec"], &there["status"]), (&object["spec"], &object["status"]), "dropped by {FIRST}");
        before.push(there);
    }
    let first = page(&cluster).await?;

    let now = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/crd");
    run(&cluster, &["apply", "--server-side", "-k", now]).await?;
    upgraded(&cluster, &first).await?;
    for before in &before {
        assert_eq!(stored(&cluster, &namespace, before).await?, *before);
        assert_valid(&cluster, &namespace, before).await?;
    }

    // Every word of them is one that this version's types know; nothing is skipped on the way.
    let policy = Api::<TrustPolicy>::namespaced(cluster.client(), &namespace).get("every-field").await?;
    let image = Api::<ImageVerification>::namespaced(cluster.client(), &namespace).get("every-field").await?;
    for (read, before) in [(serde_json::to_value(&policy)?, &before[0]), (serde_json::to_value(&image)?, &before[1])] {
        assert_eq!((&read["spec"], &read["status"]), (&before["spec"], &before["status"]));
    }
    Ok(())
}

/// The chart as the first version had it.
fn first_chart(folder: &Path) -> Result<String> {
    let chart = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/sealwatch"));
    testenv::copy_folder(chart, folder)?;
    fs::remove_dir_all(folder.join("files/crds"))?;
    fs::create_dir(folder.join("files/crds"))?;
    for definition in definitions(FIRST)? {
        let name = definition["metadata"]["name"].as_str().ok_or("a name")?;
        fs::write(folder.join(format!("files/crds/{name}.yaml")), definition.to_string())?;
    }
    let file = folder.join("Chart.yaml");
    let mut metadata: Value = serde_saphyr::from_str(&fs::read_to_string(&file)?)?;
    (metadata["version"], metadata["appVersion"]) = (json!("0.0.1"), json!("0.0.1"));
    fs::write(file, metadata.to_string())?;
    Ok(folder.display().to_string())
}

#[tokio::test]
async fn the_operator_of_now_takes_over_what_the_first_version_left_after_helm_upgrade() -> Result<()> {
    let Some(cluster) = bare("upgrade-helm").await? else { return Ok(()) };
    let helm = Helm::on(&cluster).await?;
    let release = cluster.namespace("sealwatch-system").await?;
    let folder = tempfile::tempdir()?;
    let older = first_chart(&folder.path().join("sealwatch"))?;
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/sealwatch");
    let args = ["sealwatch", &older, "--namespace", &release, "--set", IMAGE];
    finished("helm install", &helm.run(&[&["install"][..], &args].concat()).await?)?;
    established(&cluster).await?;

    let first = page(&cluster).await?;

    // What it had found: one image that is Verified, one of which it said the same and is wrong by now.
    let namespace = cluster.namespace("upgrade").await?;
    let stage = Stage { cluster: cluster.clone(), namespace: namespace.clone(), folder: tempfile::tempdir()? };
    let registry = Registry::olareg().await?;
    let (_, images) = stage.play(POLICY, &registry, true, &[Signed::Cose, Signed::Not]).await?;
    let mut left = objects(FIRST, "objects.yaml")?.into_iter();
    let (policy, mut image) = (left.next().ok_or("a policy")?, left.next().ok_or("an image")?);
    let status = json!({"status": policy["status"]}).to_string();
    stage.kubectl(&["patch", "tp", POLICY, "--subresource=status", "--type=merge", "-p", &status]).await?;
    let unsigned = images.of(Signed::Not)?;
    image["metadata"]["name"] = json!("by-hand");
    image["spec"] = json!({"image": unsigned.reference, "digest": unsigned.digest, "trustPolicyRef": {"name": POLICY}});
    store(&cluster, &namespace, &image).await?;
    let uid = stored(&cluster, &namespace, &image).await?["metadata"]["uid"].clone();

    let args = ["sealwatch", chart, "--namespace", &release, "--set", IMAGE];
    finished("helm upgrade", &helm.run(&[&["upgrade"][..], &args].concat()).await?)?;
    upgraded(&cluster, &first).await?;
    let _operator = stage.operator_for(Some(&namespace), (&release, "sealwatch"), &[&registry], &[]).await?;
    let seen = stage
        .until("the verdicts of now", |seen| {
            let summary = seen.policy(POLICY).summary.unwrap_or_default();
            (summary.images, summary.verified, summary.failed) == (2, 1, 1)
                && seen.reason("by-hand") == Signed::Not.expected()
        })
        .await?;
    // It is the same object, whose history goes on.
    assert_eq!(stored(&cluster, &namespace, &image).await?["metadata"]["uid"], uid);
    let transitions = serde_json::to_value(seen.status("by-hand").transitions)?;
    let reasons: Vec<&Value> =
        transitions.as_array().into_iter().flatten().map(|transition| &transition["reason"]).collect();
    assert_eq!(reasons, ["SignatureValid", Signed::Not.expected()], "{transitions}");
    let reason = |seen: &Seen| seen.policy_condition(POLICY, "Ready");
    assert!(reason(&seen).starts_with("True/"), "what is said of the policy is old: {}", reason(&seen));
    for object in [&image, &scene::trust_policy(POLICY, &scene::seed_document())] {
        let now = stored(&cluster, &namespace, object).await?;
        assert_valid(&cluster, &namespace, &now).await?;
    }
    Ok(())
}
