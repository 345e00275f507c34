// SPDX-License-Identifier: Apache-2.0

//! What runs beside Microsoft's list of what was released.

use sealwatch_e2e::stage::Stage;
use sealwatch_e2e::testenv::pods::{self, ContainerSpec};
use sealwatch_e2e::testenv::{self, Result};
use serde_json::{Value, json};

use crate::desk::{answer, scan, user};

fn digest(digit: char) -> String {
    format!("sha256:{}", digit.to_string().repeat(64))
}

fn entry(repo: &str, tag: &str, digit: char, namespace: &str) -> Value {
    json!({"repo": format!("mcr.microsoft.com/{repo}"), "tag": tag, "digest": digest(digit), "namespace": namespace,
           "multiArch": true, "architectures": ["linux/amd64", "linux/arm64"]})
}

/// No registry is there, nothing is signed, no policy exists, and the user may only list pods.
#[tokio::test]
async fn running_digests_are_held_against_the_list_without_any_registry_or_policy() -> Result<()> {
    let stage = Stage::set(testenv::cluster().await?, "scan-list").await?;
    let own = stage.namespace.as_str();
    let list = json!({
        "images": [
            entry("azureiotoperations/aio-operator", "1.4.112", 'a', own),
            entry("azureiotoperations/dataflow-operator", "1.4.112", 'b', own),
            entry("azureiotoperations/akri/operator", "0.9.1", 'c', own),
            // One digest under two tags, several versions of one repository, and a namespace that is not told.
            entry("geneva/distroless/mdm", "2.1", 'd', ""),
            entry("geneva/distroless/mdm", "recommended", 'd', ""),
            entry("oss/v2/kubernetes/kubectl", "v1.31", 'e', own),
            entry("oss/v2/kubernetes/kubectl", "v1.32", 'f', own),
            entry("azurearck8s/clusterconnect-agent", "1.37.3", '1', "azure-arc"),
        ],
        "helmCharts": [{"release": "x", "chartName": "x", "chartVersion": "1", "ociRef": null, "digest": null}],
    });
    let file = stage.folder.path().join("list.json");
    std::fs::write(&file, format!("\u{feff}{list}"))?;
    let run = async |pod: &str, repository: &str, id: &str| {
        let container = ContainerSpec::new("main", format!("{repository}:1"), id);
        pods::run(&stage.client(), own, pod, &[container]).await
    };
    let by = |repository: &str, digit| format!("{repository}@{}", digest(digit));
    let released = "mcr.microsoft.com/azureiotoperations/aio-operator";
    run("released", released, &by(released, 'a')).await?;
    // A mirror keeps the path under another host, or below a folder.
    let mirror = "mirror.test/aio-mirror/1.4.112/azureiotoperations/dataflow-operator";
    run("mirrored", mirror, &by(mirror, 'b')).await?;
    let changed = "mirror.test/azureiotoperations/akri/operator";
    run("changed", changed, &by(changed, '9')).await?;
    run("loaded", "mcr.microsoft.com/oss/v2/kubernetes/kubectl", &digest('8')).await?;
    run("foreign", "docker.io/library/busybox", &by("docker.io/library/busybox", '7')).await?;

    let reader = user(&stage, "reader", &["get", "list"]).await?;
    let path = file.display().to_string();
    let flags = ["-n", own, "--deployment-image-list", &path];
    let ran = scan(&reader, &[&flags[..], &["-o", "json"]].concat()).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""), "{ran:?}");
    let found = answer(&ran)?;
    assert!(found["images"].is_null(), "{found}");
    let list = &found["deploymentImageList"];
    let images: Vec<(&str, &str)> = list["images"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|image| (image["state"].as_str().unwrap_or_default(), image["pods"][0].as_str().unwrap_or_default()))
        .collect();
    let pod = |name: &str| format!("{own}/{name}");
    let expected = [
        ("OtherDigest", pod("changed")),
        ("NotInList", pod("foreign")),
        ("Unknown", pod("loaded")),
        ("AsReleased", pod("released")),
        ("AsReleased", pod("mirrored")),
    ];
    assert_eq!(images, expected.each_ref().map(|(state, pod)| (*state, pod.as_str())), "{list}");
    let message = |place: usize| list["images"][place]["message"].as_str().unwrap_or_default();
    assert!(message(0).starts_with(&format!("the list has {} (tag 0.9.1)", digest('c'))), "{list}");
    assert!(message(0).contains("digest of an index"), "{list}");
    assert_eq!(message(4), "as mcr.microsoft.com/azureiotoperations/dataflow-operator, tag 1.4.112");
    // Those of other namespaces are not missed here; of one repository each version counts for itself.
    let missing: Vec<_> = list["notRunning"].as_array().into_iter().flatten().map(|entry| &entry["digest"]).collect();
    assert_eq!(missing, [&json!(digest('d'))], "{list}");

    let table = scan(&reader, &flags).await?.stdout;
    assert!(table.starts_with("STATE        IMAGE"), "{table}");
    let counts =
        "\n2 as released, 1 with another digest, 1 not in the list, 1 that cannot be told; 1 of the list not running\n";
    assert!(table.ends_with(counts), "{table}");
    Ok(())
}

#[tokio::test]
async fn microsofts_own_list_is_read_whole() -> Result<()> {
    let Some(folder) = sealwatch_e2e::cli::vectors("microsofts_own_list_is_read_whole") else { return Ok(()) };
    let file = folder.join("dil/aio-customer-dil-1.4.112.json");
    if !file.is_file() {
        testenv::skipped("microsofts_own_list_is_read_whole", "the vectors have no Deployment Image List");
        return Ok(());
    }
    let stage = Stage::set(testenv::cluster().await?, "scan-list-own").await?;
    let list: Value = serde_json::from_str(&std::fs::read_to_string(&file)?)?;
    let first = &list["images"][0];
    let text = |field: &str| first[field].as_str().unwrap_or_default();
    let reference = format!("{}:{}", text("repo"), text("tag"));
    let id = format!("{}@{}", text("repo"), text("digest"));
    let container = ContainerSpec::new("main", &reference, &id);
    pods::run(&stage.client(), &stage.namespace, "web", &[container]).await?;
    let path = file.display().to_string();
    let flags = ["-n", &stage.namespace, "--deployment-image-list", &path, "-o", "json"];
    let ran = scan(stage.cluster.kubeconfig(), &flags).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let found = &answer(&ran)?["deploymentImageList"];
    assert_eq!(found["images"][0]["state"], "AsReleased");
    // 70 entries, of which one digest stands there twice; one of them runs.
    assert_eq!(found["notRunning"].as_array().map(Vec::len), Some(68));
    Ok(())
}
