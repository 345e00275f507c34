// SPDX-License-Identifier: Apache-2.0

//! Releases one after the other: what an upgrade changes, and what stays when the release goes.

use std::fs;
use std::path::Path;

use sealwatch_e2e::scene;
use sealwatch_e2e::stage::finished;
use sealwatch_e2e::testenv::{Cluster, Helm, Result, copy_folder};
use serde_json::{Value, json};

use crate::install::{audited, restricted};
use crate::manifests::{IMAGE, chart, in_repository};
use crate::values::everything;

/// The chart as an older version would be: its TrustPolicy does not know `suspend` yet.
fn older(folder: &Path) -> Result<String> {
    copy_folder(&in_repository("charts/sealwatch"), folder)?;
    let file = folder.join("files/crds/trustpolicies.sealwatch.dev.yaml");
    let mut definition: Value = serde_saphyr::from_str(&fs::read_to_string(&file)?)?;
    let fields = definition.pointer_mut(SPEC).and_then(Value::as_object_mut).ok_or("a spec")?;
    fields.remove("suspend").ok_or("TrustPolicy has no field suspend; take another one")?;
    fs::write(&file, definition.to_string())?;
    let metadata = folder.join("Chart.yaml");
    let text = fs::read_to_string(&metadata)?
        .replace("version: 0.1.0", "version: 0.0.9")
        .replace("appVersion: 0.1.0", "appVersion: 0.0.9");
    fs::write(metadata, text)?;
    Ok(folder.display().to_string())
}

const SPEC: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";

async fn definition(cluster: &Cluster) -> Result<Value> {
    let args = ["get", "crd", "trustpolicies.sealwatch.dev", "-o", "json"];
    Ok(serde_json::from_str(&finished("kubectl get crd", &cluster.kubectl(&args).await?)?)?)
}

/// Names of everything of the release that is there, definitions apart.
async fn of_the_release(cluster: &Cluster, namespace: &str) -> Result<Vec<String>> {
    let kinds = "deployments,services,serviceaccounts,secrets,configmaps,poddisruptionbudgets,networkpolicies,\
                 persistentvolumeclaims,clusterroles,clusterrolebindings";
    let args = ["get", kinds, "-n", namespace, "-l", "app.kubernetes.io/name=sealwatch", "-o", "json"];
    let list: Value = serde_json::from_str(&finished("kubectl get", &cluster.kubectl(&args).await?)?)?;
    let items = list["items"].as_array().into_iter().flatten();
    // No controller runs here that lets a claim go which is not in use any more.
    let there = items.filter(|item| item["metadata"].get("deletionTimestamp").is_none());
    Ok(there.map(|item| format!("{} {}", item["kind"], item["metadata"]["name"]).replace('"', "")).collect())
}

#[tokio::test]
async fn an_upgrade_brings_the_newer_kinds_and_nothing_of_them_goes_with_the_release() -> Result<()> {
    let Some(cluster) = audited("chart-release").await? else { return Ok(()) };
    let helm = Helm::on(&cluster).await?;
    let release = restricted(&cluster).await?;
    let folder = tempfile::tempdir()?;
    let older = older(&folder.path().join("sealwatch"))?;
    let command = |verb: &'static str, chart: &str| {
        [verb, "sealwatch", chart, "--namespace", &release, "--set", IMAGE].map(str::to_owned).to_vec()
    };
    let helm = |args: Vec<String>| {
        let helm = &helm;
        async move {
            let words: Vec<&str> = args.iter().map(String::as_str).collect();
            finished(&format!("helm {}", words.join(" ")), &helm.run(&words).await?)
        }
    };

    helm(command("install", &older)).await?;
    assert_eq!(definition(&cluster).await?.pointer(SPEC).and_then(|spec| spec.get("suspend")), None);
    let wait = ["wait", "--for=condition=Established", "--timeout=30s", "crd/trustpolicies.sealwatch.dev"];
    finished("kubectl wait", &cluster.kubectl(&wait).await?)?;
    let policy = scene::trust_policy("microsoft", &scene::seed_document());
    let apply = ["apply", "-n", &release, "-f", "-"];
    finished("kubectl apply", &cluster.kubectl_with_input(&apply, &policy.to_string()).await?)?;

    helm(command("upgrade", &chart())).await?;
    let spec = definition(&cluster).await?;
    assert!(spec.pointer(SPEC).is_some_and(|spec| spec.get("suspend").is_some()), "the definition was not upgraded");
    let get = ["get", "trustpolicy", "microsoft", "-n", &release, "-o", "name"];
    finished("kubectl get tp", &cluster.kubectl(&get).await?)?;

    // Everything that the API server knows is accepted by it, too; the two kinds of the Prometheus operator are not there.
    let mut all = command("upgrade", &chart());
    let file = everything();
    let more = [
        "--values",
        &file,
        "--set",
        "serviceMonitor.enabled=false,prometheusRule.enabled=false,watchNamespace=default,priorityClassName=",
    ];
    all.extend(more.map(str::to_owned));
    helm(all).await?;
    let installed = of_the_release(&cluster, &release).await?;
    for name in [
        "Secret seals-registries",
        "NetworkPolicy seals",
        "PersistentVolumeClaim seals-cache",
        "PodDisruptionBudget seals",
    ] {
        assert!(installed.iter().any(|installed| installed == name), "{name} is not among {installed:?}");
    }
    assert!(!installed.iter().any(|name| name == "Deployment sealwatch"), "the renamed one stays: {installed:?}");

    let uninstall = vec!["uninstall".to_owned(), "sealwatch".into(), "--namespace".into(), release.clone()];
    helm(uninstall).await?;
    assert_eq!(of_the_release(&cluster, &release).await?, Vec::<String>::new(), "something of the release is left");
    finished("kubectl get tp", &cluster.kubectl(&get).await?)?;

    // What stayed belongs to a new release of the same name.
    helm(command("install", &chart())).await?;
    finished("kubectl get tp", &cluster.kubectl(&get).await?)?;
    let annotations = definition(&cluster).await?["metadata"]["annotations"].clone();
    assert_eq!(annotations["helm.sh/resource-policy"], json!("keep"));
    Ok(())
}
