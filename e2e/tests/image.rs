// SPDX-License-Identifier: Apache-2.0

//! The operator's own image: pushed to a registry, signed by `notation`, and verified by Sealwatch.
//!
//! `./just image-e2e` runs it with the image that `./just image` made, and with the program in that.

use std::fs;
use std::path::Path;

use sealwatch_e2e::cli;
use sealwatch_e2e::scene::{self, Pki, Signed};
use sealwatch_e2e::stage::Stage;
use sealwatch_e2e::testenv::pki::KeyKind;
use sealwatch_e2e::testenv::pods::{self, ContainerSpec};
use sealwatch_e2e::testenv::{self, Format, Registry, Result, SignOptions};
use sealwatch_image::{BILL, Bill, Platform, Recipe, write};
use serde_json::Value;

const REPOSITORY: &str = "sealwatch/sealwatch";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The image whose layout `SEALWATCH_IMAGE_LAYOUT` names, or one for both platforms that has a few bytes in place of the
/// programs: building them takes minutes, and what is looked at here is the image around them.
fn image(folder: &Path) -> Result<String> {
    if let Some(given) = std::env::var_os("SEALWATCH_IMAGE_LAYOUT").filter(|given| !given.is_empty()) {
        testenv::copy_folder(Path::new(&given), folder)?;
        let index: Value = serde_json::from_slice(&fs::read(folder.join("index.json"))?)?;
        let mut entries = index["manifests"].as_array().into_iter().flatten();
        let ours = entries.find(|entry| entry["annotations"]["org.opencontainers.image.ref.name"] == VERSION);
        let digest = ours.and_then(|entry| entry["digest"].as_str());
        return Ok(digest.ok_or_else(|| format!("{} has no image {VERSION}", given.display()))?.to_owned());
    }
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut platforms = Vec::new();
    for (architecture, target) in [("amd64", "x86_64-unknown-linux-gnu"), ("arm64", "aarch64-unknown-linux-gnu")] {
        let (program, bill) = (format!("for {architecture}").into_bytes(), Bill::of_workspace(workspace, target)?);
        platforms.push(Platform { architecture: architecture.into(), program, bill });
    }
    let recipe = Recipe { version: VERSION.into(), revision: String::new(), epoch: 1_790_000_000, platforms };
    Ok(write(&recipe, folder)?.digest)
}

/// The artifact types of what refers to this digest.
async fn referrers(registry: &Registry, digest: &str) -> Result<Vec<String>> {
    let answer = reqwest::get(format!("{}/v2/{REPOSITORY}/referrers/{digest}", registry.url())).await?;
    let list: Value = serde_json::from_slice(&answer.error_for_status()?.bytes().await?)?;
    let list = list["manifests"].as_array().into_iter().flatten();
    let mut types: Vec<String> = list.filter_map(|entry| entry["artifactType"].as_str()).map(str::to_owned).collect();
    types.sort();
    Ok(types)
}

/// The digests of the platforms' manifests.
fn platforms(layout: &Path, digest: &str) -> Result<Vec<String>> {
    let index: Value = serde_json::from_slice(&fs::read(layout.join("blobs").join(digest.replace(':', "/")))?)?;
    let entries = index["manifests"].as_array().into_iter().flatten();
    Ok(entries.filter_map(|entry| entry["digest"].as_str()).map(str::to_owned).collect())
}

#[tokio::test]
async fn our_own_image_is_pushed_with_its_bills_of_materials_signed_and_verified_by_sealwatch() -> Result<()> {
    let stage = Stage::set(testenv::cluster().await?, "own-image").await?;
    let layout = stage.folder.path().join("layout");
    let digest = image(&layout)?;
    let registry = Registry::olareg().await?;
    assert_eq!(registry.push_layout(REPOSITORY, &layout).await?.digest, digest);
    for subject in [digest.clone()].into_iter().chain(platforms(&layout, &digest)?) {
        assert_eq!(referrers(&registry, &subject).await?, [BILL], "{subject}");
    }

    let pki = Pki::new(KeyKind::EcP256)?;
    let by_digest = format!("{}/{REPOSITORY}@{digest}", registry.host());
    let options = SignOptions::format(Format::Cose);
    stage.notation().await?.sign(&by_digest, &pki.operations, &options).await?;
    assert_eq!(referrers(&registry, &digest).await?, ["application/vnd.cncf.notary.signature", BILL]);

    // By hand, by tag: the bill of materials beside it is no signature and no harm.
    let stores = stage.folder.path().join("stores");
    fs::create_dir_all(stores.join("ca/supplychain"))?;
    fs::write(stores.join("ca/supplychain/root.pem"), pki.root.certificate_pem())?;
    let policy = stage.folder.path().join("trustpolicy.json");
    fs::write(&policy, scene::seed_document().to_string())?;
    let by_tag = format!("{}/{REPOSITORY}:{VERSION}", registry.host());
    let (policy, stores) = (policy.display().to_string(), stores.display().to_string());
    let trust = ["--policy", &policy, "--trust-store", &stores];
    let verified = format!("Successfully verified signature for {by_digest}\n");
    let args = ["verify", &by_tag, "--insecure-registry"].into_iter().chain(trust);
    assert_eq!(cli::run(args).await?.stdout, verified);

    // From its own layout, once the signature is there, too.
    let own = layout.display().to_string();
    let into = format!("oci-layout:{own}");
    let mirrored = cli::run(["mirror", &by_digest, &into, "--insecure-registry"]).await?;
    assert_eq!(mirrored.code, Some(0), "{}", mirrored.stderr);
    let args = ["verify", &by_digest, "--oci-layout", &own].into_iter().chain(trust);
    assert_eq!(cli::run(args).await?.stdout, verified);

    // In the cluster, by the digest that runs.
    stage.apply(&scene::roots(pki.root.certificate_pem())).await?;
    stage.apply(&scene::trust_policy("ours", &scene::seed_document())).await?;
    let container = ContainerSpec::new("operator", &by_tag, &by_digest);
    pods::run(&stage.client(), &stage.namespace, "sealwatch-0", &[container]).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    stage.until("our verdict", |seen| seen.reason("sealwatch") == Signed::Cose.expected()).await?;
    Ok(())
}
