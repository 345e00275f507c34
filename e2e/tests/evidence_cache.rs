// SPDX-License-Identifier: Apache-2.0

//! What `--cache-dir` keeps outlives the operator, and no registry need be there for it to be judged.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sealwatch_e2e::scene::{self, Signed};
use sealwatch_e2e::stage::{Seen, Stage, finished};
use sealwatch_e2e::testenv::{self, OperatorProcess, Registry, Result};
use serde_json::{Value, json};

const POLICY: &str = "microsoft";
const WHICH: [Signed; 2] = [Signed::Cose, Signed::Not];
const IMAGE: &str = "aio-operator";
const UNSIGNED: &str = "dataflow-operator";

/// Two images, one signed; their operator, with a cache, has come to its verdicts, written them down and been killed;
/// the registry is gone.
struct Aftermath {
    stage: Stage,
    registry: Registry,
    cache: PathBuf,
    before: Seen,
}

impl Aftermath {
    async fn new(prefix: &str) -> Result<Self> {
        let mut registry = Registry::olareg().await?;
        let stage = Stage::set(testenv::cluster().await?, prefix).await?;
        stage.play(POLICY, &registry, true, &WHICH).await?;
        let cache = stage.folder.path().join("cache");
        let mut operator = with_cache(&stage, &registry, &cache).await?;
        let before = stage.until("two verdicts", settled).await?;
        until_kept(&cache).await?;
        operator.kill();
        registry.stop();
        Ok(Self { stage, registry, cache, before })
    }

    async fn again(&self) -> Result<OperatorProcess> {
        with_cache(&self.stage, &self.registry, &self.cache).await
    }

    fn verified_at(seen: &Seen, image: &str) -> Option<jiff::Timestamp> {
        seen.status(image).last_verified_time.map(|time| time.0)
    }
}

async fn with_cache(stage: &Stage, registry: &Registry, cache: &Path) -> Result<OperatorProcess> {
    stage.operator(&[registry], &["--cache-dir", &cache.display().to_string()]).await
}

fn settled(seen: &Seen) -> bool {
    WHICH.iter().all(|signed| seen.reason(signed.short()) == signed.expected())
}

fn is_kept(seen: &Seen) -> bool {
    WHICH.iter().all(|signed| seen.image_condition(signed.short(), "Ready") == "False/RegistryUnavailable")
}

/// Waits until two lists are on the disk; what they name is written before them.
async fn until_kept(cache: &Path) -> Result<()> {
    let began = Instant::now();
    while std::fs::read_dir(cache.join("v1/lists")).map_or(0, Iterator::count) < 2 {
        if began.elapsed() > Duration::from_secs(20) {
            return Err("the lists are not on the disk".into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

#[tokio::test]
async fn killed_and_started_again_without_a_registry_it_keeps_its_verdicts_with_their_time() -> Result<()> {
    let after = Aftermath::new("kept").await?;
    let _operator = after.again().await?;
    let seen = after.stage.until("the outage to be said", is_kept).await?;
    assert!(settled(&seen), "red and green alike");
    for image in [IMAGE, UNSIGNED] {
        let (now, then) = (Aftermath::verified_at(&seen, image), Aftermath::verified_at(&after.before, image));
        assert!(then.is_some());
        assert_eq!(now, then, "a kept verdict is not made fresh");
    }
    let (old, new) = (after.before.status(IMAGE).signature, seen.status(IMAGE).signature);
    assert_eq!(old.map(|one| one.digest), new.map(|one| one.digest));
    // An edit takes effect with the network down, and back.
    let mut document = scene::seed_document();
    document["trustPolicies"][0]["trustedIdentities"] = json!([format!("x509.subject: {}", scene::PRODUCTS)]);
    after.stage.apply(&scene::trust_policy(POLICY, &document)).await?;
    after.stage.until("the removed identity", |seen| seen.reason(IMAGE) == "UntrustedIdentity").await?;
    after.stage.apply(&scene::trust_policy(POLICY, &scene::seed_document())).await?;
    let seen = after.stage.until("the identity again", |seen| seen.reason(IMAGE) == "SignatureValid").await?;
    assert_eq!(Aftermath::verified_at(&seen, IMAGE), Aftermath::verified_at(&after.before, IMAGE));
    Ok(())
}

#[tokio::test]
async fn what_a_status_says_is_no_evidence_neither_when_it_is_forged_nor_when_it_is_missing() -> Result<()> {
    let after = Aftermath::new("forged").await?;
    // Forged while nobody looks: the unsigned image claims the status of the signed one.
    let name = |beginning: &str| -> Result<String> {
        let image = after.before.image(beginning).ok_or("an image")?;
        Ok(image.metadata.name.clone().unwrap_or_default())
    };
    let good = after.stage.kubectl(&["get", "iv", &name(IMAGE)?, "-o", "json"]).await?;
    let good: Value = serde_json::from_str(&good)?;
    let patch = json!({"status": good["status"]}).to_string();
    let unsigned = name(UNSIGNED)?;
    after.stage.kubectl(&["patch", "iv", &unsigned, "--subresource=status", "--type=merge", "--patch", &patch]).await?;
    assert_eq!(after.stage.seen().await?.reason(UNSIGNED), "SignatureValid");
    let operator = after.again().await?;
    after.stage.until("the forged status to go", |seen| settled(seen) && is_kept(seen)).await?;
    drop(operator);
    // Without any status the verdicts are the same, as old as the evidence; without the cache there are none.
    after.stage.kubectl(&["delete", "iv", "--all"]).await?;
    let operator = after.again().await?;
    let seen = after.stage.until("verdicts without a status", |seen| settled(seen) && is_kept(seen)).await?;
    assert_eq!(Aftermath::verified_at(&seen, IMAGE), Aftermath::verified_at(&after.before, IMAGE));
    drop(operator);
    after.stage.kubectl(&["delete", "iv", "--all"]).await?;
    let _operator = after.stage.operator(&[&after.registry], &[]).await?;
    after
        .stage
        .until("no evidence", |seen| {
            WHICH.iter().all(|signed| {
                let status = seen.status(signed.short());
                let verdict = status.verdict.map(|verdict| verdict.to_string());
                (verdict.as_deref(), seen.reason(signed.short()).as_str()) == (Some("Unknown"), "RegistryUnavailable")
            })
        })
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_cache_that_is_damaged_deleted_or_in_use_costs_evidence_and_nothing_else() -> Result<()> {
    let after = Aftermath::new("damaged").await?;
    for entry in std::fs::read_dir(after.cache.join("v1/layout/blobs/sha256"))? {
        let path = entry?.path();
        let half = std::fs::metadata(&path)?.len() / 2;
        std::fs::OpenOptions::new().write(true).open(&path)?.set_len(half)?;
    }
    after.stage.kubectl(&["delete", "iv", "--all"]).await?;
    let mut operator = after.again().await?;
    let seen = after
        .stage
        .until("the lost signature", |seen| {
            seen.reason(IMAGE) == "RegistryUnavailable" && seen.reason(UNSIGNED) == "NoSignature"
        })
        .await?;
    assert_eq!(seen.status(IMAGE).verdict.map(|verdict| verdict.to_string()).as_deref(), Some("Unknown"));
    // While it runs: a second process, and a folder that goes away.
    let mut second = after.again().await?;
    second.wait_for_log("another process uses it", Duration::from_secs(20)).await?;
    drop(second);
    std::fs::remove_dir_all(&after.cache)?;
    after.stage.request(POLICY).await?;
    let address = *operator.listening_on()?.first().ok_or("it listens")?;
    let page = reqwest::get(format!("http://{address}/metrics")).await?.text().await?;
    assert!(page.contains("sealwatch_cache_events_total{event=\"Hit\"}"), "{page}");
    assert!(page.contains("sealwatch_cache_open 1"), "{page}");
    let ended = operator.terminate(Duration::from_secs(20)).await?;
    assert!(ended.success(), "{ended}: {}", operator.log());
    Ok(())
}

/// By the program that the signatures are made with, and its library.
#[tokio::test]
async fn notation_verifies_the_image_by_the_layout_in_the_cache() -> Result<()> {
    let registry = Registry::olareg().await?;
    let stage = Stage::set(testenv::cluster().await?, "layout").await?;
    let (pki, images) = stage.play(POLICY, &registry, true, &WHICH).await?;
    let cache = stage.folder.path().join("cache");
    let operator = with_cache(&stage, &registry, &cache).await?;
    stage.until("two verdicts", settled).await?;
    until_kept(&cache).await?;
    drop(operator);
    // Notation finds signatures by their image, so that is put in.
    let layout = cache.join("v1/layout");
    let image = images.of(Signed::Cose)?;
    let (host, repository) = image.repository.split_once('/').ok_or("a repository")?;
    let url = format!("http://{host}/v2/{repository}/manifests/{}", image.digest);
    let manifest = reqwest::Client::new().get(url).header("Accept", &image.media_type).send().await?;
    let blob = layout.join("blobs").join(image.digest.replace(':', "/"));
    std::fs::write(blob, manifest.error_for_status()?.bytes().await?)?;
    let mut index: Value = serde_json::from_slice(&std::fs::read(layout.join("index.json"))?)?;
    let described = json!({"mediaType": image.media_type, "digest": image.digest, "size": image.size});
    index["manifests"].as_array_mut().ok_or("a list")?.push(described);
    std::fs::write(layout.join("index.json"), index.to_string())?;
    let notation = stage.notation().await?;
    notation.trust(&scene::seed_document().to_string(), &[("ca:supplychain", pki.root.certificate_pem())])?;
    let reference = format!("{}@{}", layout.display(), image.digest);
    let verified =
        notation.run_experimental(&["verify", "--oci-layout", "--scope", &image.repository, &reference]).await?;
    let said = finished("notation verify", &verified)?;
    assert!(said.contains("Successfully verified signature"), "{said}");
    Ok(())
}
