// SPDX-License-Identifier: Apache-2.0

//! `sealwatch verify` at the same doors, and from folders that hold what the registries hold.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use sealwatch_e2e::cli::{self, Desk, Ran};
use sealwatch_e2e::scene::{self, Signed};
use sealwatch_e2e::testenv::{ACCOUNT, Door, PushedImage, Registry, Result, Software, digest_of};
use serde_json::{Value, json};

use crate::{WRONG, authority, name_of, ours};

const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Verifies images with this registries.yaml.
async fn verify(desk: &Desk, contents: &Value, registry: &Registry, images: &[String]) -> Result<Ran> {
    let file = scene::write_registries(desk.folder(), contents, &[registry])?.display().to_string();
    let policy = desk.notation_policy(&scene::seed_document())?;
    let flags = ["verify", "-o", "json", "--registries", &file].map(str::to_owned);
    cli::run(flags.iter().chain(&policy).chain(images)).await
}

/// The first answer's verdict, reason and message.
fn answer(ran: &Ran) -> Result<[String; 3]> {
    let answers: Value = serde_json::from_str(&ran.stdout).map_err(|error| format!("{error}: {ran:?}"))?;
    Ok(["verdict", "reason", "message"].map(|field| answers[0][field].as_str().unwrap_or_default().to_owned()))
}

#[tokio::test]
async fn every_door_opens_by_registries_yaml_alone_with_and_without_the_proxy_of_the_tests() -> Result<()> {
    let private = authority("Private CA of the hand")?;
    for software in Software::ALL {
        for door in Door::ALL {
            let registry = Registry::behind(software, door, &private).await?;
            let desk = Desk::set(&registry, registry.has_referrers_api(), &[Signed::Cose]).await?;
            let image = desk.images.of(Signed::Cose)?;
            let with = |password: &str| {
                let mut contents = scene::registries(&[&registry]);
                if door.is_locked() {
                    let auth = json!({"username": ACCOUNT.0, "password": password});
                    contents["configs"][registry.host()]["auth"] = auth;
                }
                contents
            };
            let case = name_of(&registry);
            let ran = verify(&desk, &with(ACCOUNT.1), &registry, &[image.by_digest()]).await?;
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{case}: {ran:?}");
            // The registry itself speaks TLS and asks for the password; the proxy only writes down.
            let bare = image.by_digest().replace(&registry.host(), &registry.bare_host());
            let contents = with(ACCOUNT.1).to_string().replace(&registry.host(), &registry.bare_host());
            let mut contents: Value = serde_json::from_str(&contents)?;
            if registry.door() == Door::Bearer && registry.token_host().is_none() {
                // olareg says that its tokens are to be had at the proxy.
                contents["configs"][registry.host()] =
                    scene::registries(&[&registry])["configs"][registry.host()].clone();
            }
            registry.clear_access_log();
            let ran = verify(&desk, &contents, &registry, &[bare]).await?;
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{case}: {ran:?}");
            assert_eq!(ours(&registry.access_log(), "/v2/"), [], "{case}");
            if door.is_locked() {
                let ran = verify(&desk, &with(WRONG), &registry, &[image.by_digest()]).await?;
                let [verdict, reason, message] = answer(&ran)?;
                assert_eq!((ran.code, &*verdict, &*reason), (Some(3), "Unknown", "RegistryUnauthorized"), "{ran:?}");
                assert!(message.starts_with(&registry.host()), "{message}");
            }
            if door != Door::Plain {
                let mut contents = with(ACCOUNT.1);
                contents["configs"][registry.host()]["tls"] = json!({});
                let ran = verify(&desk, &contents, &registry, &[image.by_digest()]).await?;
                let [verdict, reason, message] = answer(&ran)?;
                assert_eq!((ran.code, &*verdict, &*reason), (Some(3), "Unknown", "RegistryUnavailable"), "{ran:?}");
                assert!(message.contains("connection failed: invalid peer certificate: UnknownIssuer"), "{message}");
            }
        }
    }
    Ok(())
}

/// A layout that is filled from a registry.
struct Layout<'a> {
    root: PathBuf,
    registry: &'a Registry,
    entries: BTreeMap<String, Value>,
}

impl<'a> Layout<'a> {
    fn new(root: PathBuf, registry: &'a Registry) -> Result<Self> {
        fs::create_dir_all(root.join("blobs/sha256"))?;
        fs::write(root.join("oci-layout"), json!({"imageLayoutVersion": "1.0.0"}).to_string())?;
        Ok(Self { root, registry, entries: BTreeMap::new() })
    }

    async fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let url = format!("{}/v2/{path}", self.registry.url());
        let answer = reqwest::Client::new().get(&url).header("Accept", MANIFESTS).send().await?;
        if answer.status() == 404 {
            return Ok(None);
        }
        Ok(Some(answer.error_for_status()?.bytes().await?.to_vec()))
    }

    fn put(&self, content: &[u8]) -> Result<String> {
        let digest = digest_of(content);
        fs::write(self.root.join("blobs").join(digest.replace(':', "/")), content)?;
        Ok(digest)
    }

    /// Copies a manifest and what it consists of.
    async fn copy(&self, repository: &str, digest: &str) -> Result<Value> {
        let bytes = self.get(&format!("{repository}/manifests/{digest}")).await?.ok_or("no such manifest")?;
        assert_eq!(self.put(&bytes)?, digest);
        let manifest: Value = serde_json::from_slice(&bytes)?;
        let parts = manifest["layers"].as_array().into_iter().flatten().chain([&manifest["config"]]);
        for digest in parts.filter_map(|part| part["digest"].as_str()) {
            // The empty configuration of an artifact need not be stored.
            if let Some(blob) = self.get(&format!("{repository}/blobs/{digest}")).await? {
                self.put(&blob)?;
            }
        }
        Ok(json!({"mediaType": manifest["mediaType"], "digest": digest, "size": bytes.len()}))
    }

    /// Copies an image with its signatures, listed as the registry lists them: by `subject`, or under a tag.
    async fn add(&mut self, image: &PushedImage) -> Result<()> {
        let repository = image.repository.split_once('/').ok_or("no path")?.1;
        let mut entry = self.copy(repository, &image.digest).await?;
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": image.digest.replace(':', "-of-")});
        self.entries.insert(image.digest.clone(), entry);
        let tag = image.digest.replace(':', "-");
        let list = if self.registry.has_referrers_api() {
            format!("{repository}/referrers/{}", image.digest)
        } else {
            format!("{repository}/manifests/{tag}")
        };
        let Some(list) = self.get(&list).await? else { return Ok(()) };
        let signatures: Value = serde_json::from_slice(&list)?;
        for signature in signatures["manifests"].as_array().into_iter().flatten() {
            let digest = signature["digest"].as_str().ok_or("no digest")?;
            let entry = self.copy(repository, digest).await?;
            if self.registry.has_referrers_api() {
                self.entries.insert(digest.to_owned(), entry);
            }
        }
        if !self.registry.has_referrers_api() {
            let annotations = json!({"org.opencontainers.image.ref.name": tag});
            let entry = json!({
                "mediaType": INDEX, "digest": self.put(&list)?, "size": list.len(), "annotations": annotations,
            });
            self.entries.insert(tag, entry);
        }
        Ok(())
    }

    fn finish(self) -> Result<PathBuf> {
        let manifests: Vec<Value> = self.entries.into_values().collect();
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        fs::write(self.root.join("index.json"), index.to_string())?;
        Ok(self.root)
    }
}

/// The answers to images, without when they were given.
fn timeless(ran: &Ran) -> Result<Value> {
    let mut answers: Value = serde_json::from_str(&ran.stdout).map_err(|error| format!("{error}: {ran:?}"))?;
    for answer in answers.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        answer.retain(|field, _| !field.ends_with("Time"));
    }
    Ok(answers)
}

async fn a_folder_answers_as_the_registry(software: Software) -> Result<()> {
    let registry = Registry::behind(software, Door::Plain, &authority("nobody's")?).await?;
    let desk = Desk::set(&registry, registry.has_referrers_api(), &Signed::ALL).await?;
    let mut layout = Layout::new(desk.folder().join("layout"), &registry)?;
    let mut names = Vec::new();
    for (_, image) in desk.images.iter() {
        layout.add(image).await?;
        names.push(image.by_digest());
    }
    let layout = layout.finish()?;
    let policy = desk.notation_policy(&scene::seed_document())?;
    let ask = async |names: &[String], more: &[&str]| {
        let flags = ["verify", "-o", "json"].into_iter().chain(more.iter().copied()).map(str::to_owned);
        let ran = cli::run(flags.chain(policy.clone()).chain(names.iter().cloned())).await?;
        Ok::<_, sealwatch_e2e::testenv::Error>((ran.code, timeless(&ran)?))
    };
    let expected = ask(&names, &["--insecure-registry"]).await?;
    let reasons: Vec<&Value> = expected.1.as_array().into_iter().flatten().map(|answer| &answer["reason"]).collect();
    let deserved: Vec<&str> = desk.images.iter().map(|(signed, _)| signed.expected()).collect();
    assert_eq!(json!(reasons), json!(deserved));
    registry.clear_access_log();
    assert_eq!(ask(&names, &["--oci-layout", &layout.display().to_string()]).await?, expected);
    assert_eq!(registry.access_log(), []);
    Ok(())
}

#[tokio::test]
async fn a_layout_with_what_a_registry_holds_gives_the_same_answers_with_the_referrers_api() -> Result<()> {
    a_folder_answers_as_the_registry(Software::Olareg).await
}

#[tokio::test]
async fn a_layout_with_what_a_registry_holds_gives_the_same_answers_with_the_tag_schema() -> Result<()> {
    a_folder_answers_as_the_registry(Software::Distribution).await
}
