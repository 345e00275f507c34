// SPDX-License-Identifier: Apache-2.0

//! What of a release Helm and kubectl read, as `dev/release-manifests` makes it.

use std::fs;
use std::path::Path;

use sealwatch_e2e::stage::{established, finished, run};
use sealwatch_e2e::testenv::{self, Helm, Options, Result, kustomize};
use serde_json::Value;
use tokio::process::Command;

use crate::manifests::{IMAGE, in_repository, parse, template};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const REPOSITORY: &str = "registry.example.com:5000/mirror/sealwatch";

fn digest() -> String {
    format!("sha256:{}", "0123456789abcdef".repeat(4))
}

async fn make(folder: &Path) -> Result<()> {
    let digest = digest();
    let mut command = Command::new(in_repository("dev/release-manifests"));
    command.arg(folder).args([REPOSITORY, &digest]).env_remove("SOURCE_DATE_EPOCH");
    finished("dev/release-manifests", &command.output().await?).map(drop)
}

fn name(end: &str) -> String {
    format!("sealwatch-{VERSION}{end}")
}

#[tokio::test]
async fn a_releases_manifests_are_the_same_bytes_each_time() -> Result<()> {
    let (one, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
    make(one.path()).await?;
    // Helm writes the times of files into a package, in whole seconds: in the next one it would be another.
    let second = jiff::Timestamp::now().as_second();
    while jiff::Timestamp::now().as_second() == second {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    make(other.path()).await?;
    for end in [".tgz", "-crds.yaml", "-install.yaml"] {
        let read = |folder: &Path| fs::read(folder.join(name(end)));
        assert!(read(one.path())? == read(other.path())?, "{end} differs");
    }
    assert_eq!(fs::read_dir(one.path())?.count(), 3);
    Ok(())
}

#[tokio::test]
async fn a_releases_package_and_file_install_what_chart_and_kustomization_install() -> Result<()> {
    let folder = tempfile::tempdir()?;
    make(folder.path()).await?;
    let helm = Helm::without_cluster().await?;
    let package = folder.path().join(name(".tgz")).display().to_string();
    let args = ["template", "sealwatch", &package, "--namespace", "sealwatch-system", "--set", IMAGE];
    assert_eq!(parse(&finished("helm template", &helm.run(&args).await?)?)?, template(&helm, &[]).await?);

    let mut expected = parse(&kustomize(&in_repository("config/default")).await?)?;
    let mut images = 0;
    for object in &mut expected {
        if let Some(image) = object.pointer_mut("/spec/template/spec/containers/0/image") {
            *image = Value::from(format!("{REPOSITORY}:{VERSION}@{}", digest()));
            images += 1;
        }
    }
    assert_eq!(images, 1);
    assert_eq!(parse(&fs::read_to_string(folder.path().join(name("-install.yaml")))?)?, expected);
    Ok(())
}

#[tokio::test]
async fn a_releases_file_installs_everything_by_one_apply_and_again_over_it() -> Result<()> {
    let test = "release-file";
    if std::env::var_os("SEALWATCH_E2E_KUBECONFIG").is_some_and(|value| !value.is_empty()) {
        testenv::skipped(test, "an existing cluster may hold an installation already");
        return Ok(());
    }
    let cluster = testenv::cluster_with(Options { name: Some(test.to_owned()), ..Options::default() }).await?;
    let folder = tempfile::tempdir()?;
    make(folder.path()).await?;
    for end in ["-install.yaml", "-crds.yaml", "-install.yaml"] {
        let file = folder.path().join(name(end)).display().to_string();
        run(&cluster, &["apply", "--server-side", "-f", &file]).await?;
    }
    established(&cluster).await?;
    let image = "jsonpath={.spec.template.spec.containers[0].image}";
    let found = run(&cluster, &["get", "deployment", "sealwatch", "-n", "sealwatch-system", "-o", image]).await?;
    assert_eq!(found, format!("{REPOSITORY}:{VERSION}@{}", digest()));
    Ok(())
}
