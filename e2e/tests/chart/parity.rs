// SPDX-License-Identifier: Apache-2.0

//! `kubectl apply -k config/…` and `helm install` install the same.

use std::collections::BTreeMap;

use sealwatch_e2e::testenv::{Helm, Result, kustomize};
use serde_json::{Map, Value};

use crate::manifests::{in_repository, key, parse, template};

/// Labels that Helm adds, or that say which of the two did it.
const OF_THE_INSTALLER: [&str; 4] =
    ["app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "app.kubernetes.io/version", "helm.sh/chart"];

/// Objects by kind and name, without what only tells who installed them.
fn installed(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for mut object in objects {
        // Helm makes the namespace by itself, and runs hooks when asked to.
        if object["kind"] == "Namespace" || object.pointer("/metadata/annotations/helm.sh~1hook").is_some() {
            continue;
        }
        for pointer in ["/metadata", "/spec/template/metadata"] {
            if let Some(metadata) = object.pointer_mut(pointer).and_then(Value::as_object_mut) {
                normalise(metadata);
            }
        }
        found.insert(key(&object), object);
    }
    found
}

fn normalise(metadata: &mut Map<String, Value>) {
    for (field, gone) in [("labels", &OF_THE_INSTALLER[..]), ("annotations", &["helm.sh/resource-policy"][..])] {
        if let Some(map) = metadata.get_mut(field).and_then(Value::as_object_mut) {
            map.retain(|name, _| !gone.contains(&name.as_str()));
            // The definitions are generated, without labels.
            map.retain(|name, _| name != "app.kubernetes.io/name");
            if map.is_empty() {
                metadata.remove(field);
            }
        }
    }
}

async fn assert_same(folder: &str, more: &[&str], only: impl Fn(&str) -> bool) -> Result<()> {
    let by_kustomize = installed(parse(&kustomize(&in_repository(folder)).await?)?);
    let mut by_helm = installed(template(&Helm::without_cluster().await?, more).await?);
    by_helm.retain(|key, _| only(key));
    let keys = |objects: &BTreeMap<String, Value>| objects.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&by_kustomize), keys(&by_helm), "{folder}: kustomize on the left, Helm on the right");
    for (key, left) in &by_kustomize {
        let (left, right) = (serde_json::to_string_pretty(left)?, serde_json::to_string_pretty(&by_helm[key])?);
        let differing = left.lines().zip(right.lines()).find(|(left, right)| left != right);
        assert_eq!(left, right, "{folder}: {key} differs, first in {differing:?}");
    }
    Ok(())
}

#[tokio::test]
async fn kustomize_and_helm_install_the_same_for_all_namespaces() -> Result<()> {
    assert_same("config/default", &[], |_| true).await
}

#[tokio::test]
async fn kustomize_and_helm_install_the_same_for_one_namespace() -> Result<()> {
    assert_same("config/namespaced", &["--set", "watchNamespace=azure-iot-operations"], |_| true).await
}

#[tokio::test]
async fn kustomize_and_helm_install_the_same_for_monitoring() -> Result<()> {
    let switches = "serviceMonitor.enabled=true,prometheusRule.enabled=true,dashboard.enabled=true";
    let monitoring = ["ServiceMonitor", "PrometheusRule", "ConfigMap"];
    assert_same("config/monitoring", &["--set", switches], |key| {
        monitoring.iter().any(|kind| key.starts_with(&format!("{kind} ")))
    })
    .await
}

#[tokio::test]
async fn a_difference_would_be_noticed() -> Result<()> {
    let helm = Helm::without_cluster().await?;
    let (one, other) = (template(&helm, &[]).await?, template(&helm, &["--set", "collectAfter=11m"]).await?);
    let (one, other) = (installed(one), installed(other));
    let differing: Vec<_> = one.iter().filter(|(key, object)| other[*key] != **object).map(|(key, _)| key).collect();
    assert_eq!(differing, ["Deployment sealwatch-system/sealwatch"]);
    Ok(())
}
