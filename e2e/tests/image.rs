// SPDX-License-Identifier: Apache-2.0

//! The operator's own image: pushed to a registry, signed by `notation`, and verified by Sealwatch.

use std::fs;
use std::path::Path;

use reqwest::{Client, StatusCode};
use sealwatch_e2e::scene::{self, Pki, Signed};
use sealwatch_e2e::stage::{Stage, finished};
use sealwatch_e2e::testenv::pki::KeyKind;
use sealwatch_e2e::testenv::pods::{self, ContainerSpec};
use sealwatch_e2e::testenv::{self, Format, OperatorProcess, Registry, Result, SignOptions};
use sealwatch_image::{BILL, Bill, Platform, Recipe, write};
use serde_json::Value;

const REPOSITORY: &str = "sealwatch/sealwatch";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// An image for both platforms. In place of the programs it has a few bytes: building them takes minutes, and what is
/// looked at here is the image around them.
fn image(folder: &Path) -> Result<String> {
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut platforms = Vec::new();
    for (architecture, target) in [("amd64", "x86_64-unknown-linux-gnu"), ("arm64", "aarch64-unknown-linux-gnu")] {
        let (program, bill) = (format!("for {architecture}").into_bytes(), Bill::of_workspace(workspace, target)?);
        platforms.push(Platform { architecture: architecture.into(), program, bill });
    }
    let recipe = Recipe { version: VERSION.into(), revision: String::new(), epoch: 1_790_000_000, platforms };
    Ok(write(&recipe, folder)?.digest)
}

/// A registry, as `oras cp -r --from-oci-layout` pushes to it.
struct Push {
    client: Client,
    url: String,
    layout: std::path::PathBuf,
}

impl Push {
    fn blob(&self, digest: &str) -> Result<Vec<u8>> {
        Ok(fs::read(self.layout.join("blobs").join(digest.replace(':', "/")))?)
    }

    async fn upload(&self, digest: &str) -> Result<()> {
        let begun = self.client.post(format!("{}/blobs/uploads/", self.url)).send().await?;
        let location = begun.headers().get("location").ok_or("a place to upload to")?.to_str()?;
        let mut to = begun.url().join(location)?;
        to.query_pairs_mut().append_pair("digest", digest);
        let answer = self.client.put(to).header("content-type", "application/octet-stream").body(self.blob(digest)?);
        assert_eq!(answer.send().await?.status(), StatusCode::CREATED, "{digest}");
        Ok(())
    }

    /// Pushes a manifest and, before it, everything that it names; under `name`, or under its digest.
    async fn manifest(&self, descriptor: &Value, name: Option<&str>) -> Result<()> {
        let digest = descriptor["digest"].as_str().ok_or("a digest")?;
        let bytes = self.blob(digest)?;
        let manifest: Value = serde_json::from_slice(&bytes)?;
        for child in manifest["manifests"].as_array().into_iter().flatten() {
            Box::pin(self.manifest(child, None)).await?;
        }
        for blob in manifest["layers"].as_array().into_iter().flatten().chain(manifest.get("config")) {
            self.upload(blob["digest"].as_str().ok_or("a digest")?).await?;
        }
        let media_type = descriptor["mediaType"].as_str().ok_or("a media type")?;
        let request = self.client.put(format!("{}/manifests/{}", self.url, name.unwrap_or(digest)));
        let answer = request.header("content-type", media_type).body(bytes).send().await?;
        assert_eq!(answer.status(), StatusCode::CREATED, "{digest}");
        Ok(())
    }

    /// Pushes the image under its tag, and all that refers to it.
    async fn all(registry: &Registry, layout: &Path) -> Result<Self> {
        testenv::install_crypto_provider();
        let url = format!("http://{}/v2/{REPOSITORY}", registry.host());
        let push = Self { client: Client::new(), url, layout: layout.to_owned() };
        let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json"))?)?;
        for entry in index["manifests"].as_array().ok_or("manifests")? {
            let name = entry["annotations"]["org.opencontainers.image.ref.name"].as_str();
            // The lists of the tag schema are for layouts; a registry with the Referrers API makes them itself.
            if name.is_none_or(|name| !name.starts_with("sha256-")) {
                push.manifest(entry, name).await?;
            }
        }
        Ok(push)
    }

    /// The artifact types of what refers to this digest.
    async fn referrers(&self, digest: &str) -> Result<Vec<String>> {
        let answer = self.client.get(format!("{}/referrers/{digest}", self.url)).send().await?;
        let list: Value = serde_json::from_slice(&answer.error_for_status()?.bytes().await?)?;
        let list = list["manifests"].as_array().into_iter().flatten();
        let mut types: Vec<String> =
            list.filter_map(|entry| entry["artifactType"].as_str()).map(str::to_owned).collect();
        types.sort();
        Ok(types)
    }

    /// The digests of the platforms' manifests.
    fn platforms(&self, digest: &str) -> Result<Vec<String>> {
        let index: Value = serde_json::from_slice(&self.blob(digest)?)?;
        let entries = index["manifests"].as_array().into_iter().flatten();
        Ok(entries.filter_map(|entry| entry["digest"].as_str()).map(str::to_owned).collect())
    }
}

#[tokio::test]
async fn our_own_image_is_pushed_with_its_bills_of_materials_signed_and_verified_by_sealwatch() -> Result<()> {
    let stage = Stage::set(testenv::cluster().await?, "own-image").await?;
    let layout = stage.folder.path().join("layout");
    let digest = image(&layout)?;
    let registry = Registry::olareg().await?;
    let push = Push::all(&registry, &layout).await?;
    for subject in [digest.clone()].into_iter().chain(push.platforms(&digest)?) {
        assert_eq!(push.referrers(&subject).await?, [BILL], "{subject}");
    }

    let pki = Pki::new(KeyKind::EcP256)?;
    let by_digest = format!("{}/{REPOSITORY}@{digest}", registry.host());
    let options = SignOptions::format(Format::Cose);
    stage.notation().await?.sign(&by_digest, &pki.operations, &options).await?;
    assert_eq!(push.referrers(&digest).await?, ["application/vnd.cncf.notary.signature", BILL]);

    // By hand, by tag: the bill of materials beside it is no signature and no harm.
    let stores = stage.folder.path().join("stores");
    fs::create_dir_all(stores.join("ca/supplychain"))?;
    fs::write(stores.join("ca/supplychain/root.pem"), pki.root.certificate_pem())?;
    let policy = stage.folder.path().join("trustpolicy.json");
    fs::write(&policy, scene::seed_document().to_string())?;
    let by_tag = format!("{}/{REPOSITORY}:{VERSION}", registry.host());
    let mut verify = tokio::process::Command::new(OperatorProcess::binary()?);
    verify.args(["verify", &by_tag, "--insecure-registry", "--policy"]).arg(&policy).arg("--trust-store").arg(&stores);
    let said = finished("sealwatch verify", &verify.output().await?)?;
    assert_eq!(said.trim_end(), format!("Successfully verified signature for {by_digest}"));

    // In the cluster, by the digest that runs.
    stage.apply(&scene::roots(pki.root.certificate_pem())).await?;
    stage.apply(&scene::trust_policy("ours", &scene::seed_document())).await?;
    let container = ContainerSpec::new("operator", &by_tag, &by_digest);
    pods::run(&stage.client(), &stage.namespace, "sealwatch-0", &[container]).await?;
    let _operator = stage.operator(&[&registry], &[]).await?;
    stage.until("our verdict", |seen| seen.reason("sealwatch") == Signed::Cose.expected()).await?;
    Ok(())
}
