// SPDX-License-Identifier: Apache-2.0

//! Registries as they are in companies: behind TLS of their own, passwords, token servers and mirrors.

mod budget;
mod by_hand;
mod credentials;
mod dead;
mod mirrors;
mod offline;
mod planted;
mod pushing;
mod tenants;

use std::sync::Arc;

use base64ct::{Base64, Encoding};
use sealwatch_e2e::scene::{self, Pki};
use sealwatch_e2e::stage::{Seen, Stage};
use sealwatch_e2e::testenv::pki::{KeyKind, Root};
use sealwatch_e2e::testenv::{
    self, ACCOUNT, Cluster, Door, Format, PushedImage, Registry, Request, Result, SignOptions, Software,
};
use serde_json::{Value, json};

/// The policy of all stages: the seed's.
const POLICY: &str = "microsoft";
/// A password that opens nothing.
const WRONG: &str = "Wr0ng+password/of=Nobody";

/// A namespace in which the seed's policy trusts the keys that sign here.
struct Company {
    stage: Stage,
    pki: Arc<Pki>,
}

impl Company {
    async fn found(name: &str) -> Result<Self> {
        Self::settle(testenv::cluster().await?, name, Arc::new(Pki::new(KeyKind::EcP256)?)).await
    }

    /// Another namespace whose policy trusts the same keys.
    async fn neighbour(&self, name: &str) -> Result<Self> {
        Self::settle(self.stage.cluster.clone(), name, Arc::clone(&self.pki)).await
    }

    async fn settle(cluster: Cluster, name: &str, pki: Arc<Pki>) -> Result<Self> {
        let stage = Stage::set(cluster, name).await?;
        stage.apply(&scene::roots(pki.root.certificate_pem())).await?;
        stage.apply(&scene::trust_policy(POLICY, &scene::seed_document())).await?;
        Ok(Self { stage, pki })
    }

    /// Pushes an image that is signed.
    async fn signed(&self, registry: &Registry, repository: &str) -> Result<PushedImage> {
        let image = registry.push_image(repository, "1", repository).await?;
        self.sign(registry, &image).await?;
        Ok(image)
    }

    async fn sign(&self, registry: &Registry, image: &PushedImage) -> Result<()> {
        let (format, referrers_api) = (Format::Cose, registry.has_referrers_api());
        let options = SignOptions { format, referrers_api, ..SignOptions::default() };
        let notation = self.stage.notation().await?.entering(registry);
        notation.sign(&image.by_digest(), &self.pki.operations, &options).await
    }

    /// Writes the policy and its trust store for `sealwatch verify`.
    fn policy_file(&self) -> Result<String> {
        let objects =
            [scene::trust_policy(POLICY, &scene::seed_document()), scene::roots(self.pki.root.certificate_pem())];
        let texts: Result<Vec<String>, _> = objects.iter().map(serde_json::to_string).collect();
        let file = self.stage.folder.path().join("policy.yaml");
        std::fs::write(&file, texts?.join("\n---\n"))?;
        Ok(file.display().to_string())
    }
}

/// An authority that no system knows.
fn authority(name: &str) -> Result<Root> {
    Root::new(&[("C", "US"), ("O", "Private"), ("CN", name)], KeyKind::EcP256)
}

/// What a pull secret says of a registry that is entered with this password.
fn entry(password: &str) -> Value {
    json!({"auth": Base64::encode_string(format!("{}:{password}", ACCOUNT.0).as_bytes())})
}

/// The four registries that ask for a password, under an authority of this name.
async fn locked(name: &str) -> Result<Vec<Registry>> {
    let authority = authority(name)?;
    let mut registries = Vec::new();
    for software in Software::ALL {
        for door in [Door::Basic, Door::Bearer] {
            registries.push(Registry::behind(software, door, &authority).await?);
        }
    }
    Ok(registries)
}

/// The `auths` of a pull secret with the same entry for each of these.
fn auths(registries: &[Registry], entry: &Value) -> Value {
    registries.iter().map(|registry| (registry.host(), entry.clone())).collect::<serde_json::Map<_, _>>().into()
}

/// A name for a registry that is fit for an object's name.
fn name_of(registry: &Registry) -> String {
    let software = match registry.software() {
        Software::Olareg => "olareg",
        Software::Distribution => "distribution",
    };
    let door = match registry.door() {
        Door::Plain => "plain",
        Door::Tls => "tls",
        Door::Basic => "basic",
        Door::Bearer => "bearer",
    };
    format!("{software}-{door}")
}

/// What the program under test asked for with this text in it: a repository's name, for instance.
fn ours(log: &[Request], text: &str) -> Vec<Request> {
    let is_ours = |request: &&Request| request.user_agent.starts_with("sealwatch/") && request.path.contains(text);
    log.iter().filter(is_ours).cloned().collect()
}

fn message(seen: &Seen, image: &str) -> String {
    seen.status(image).message.unwrap_or_default()
}
