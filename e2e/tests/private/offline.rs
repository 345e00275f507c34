// SPDX-License-Identifier: Apache-2.0

//! Credentials are asked for again after a restart, and evidence on disk belongs to them.

use std::path::Path;
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding};
use sealwatch_e2e::scene;
use sealwatch_e2e::stage::{ACCOUNT as OPERATOR, Launch};
use sealwatch_e2e::testenv::{ACCOUNT, Door, OperatorProcess, Registry, Result, Software};

use crate::{Company, WRONG, authority, auths, entry};

const IMAGE: &str = "app";

async fn operator(company: &Company, registry: &Registry, cache: &str) -> Result<OperatorProcess> {
    let launch = Launch {
        watched: Some(&company.stage.namespace),
        account: OPERATOR,
        contents: scene::registries(&[registry]),
        registries: &[registry],
        more: &["--cache-dir", cache],
        log: None,
    };
    company.stage.launch(&launch).await
}

/// Looks for texts in every file below a folder, and in their names.
fn find(folder: &Path, texts: &[String]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(find(&path, texts)?);
            continue;
        }
        let contents = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
        let name = path.display().to_string();
        let is_in = |text: &&String| contents.contains(*text) || name.contains(*text);
        found.extend(texts.iter().filter(is_in).map(|text| format!("{text} in {name}")));
    }
    Ok(found)
}

#[tokio::test]
async fn after_a_restart_without_the_registry_a_verdict_is_kept_for_the_pull_secret_that_it_was_learnt_with()
-> Result<()> {
    let company = Company::found("offline").await?;
    let mut registry = Registry::behind(Software::Olareg, Door::Basic, &authority("Private CA, offline")?).await?;
    let secret = |password| auths(std::slice::from_ref(&registry), &entry(password));
    let (right, wrong) = (secret(ACCOUNT.1), secret(WRONG));
    let image = company.signed(&registry, &format!("team/{IMAGE}")).await?;
    let stage = &company.stage;
    stage.pull_secret("pull", &right).await?;
    stage.run_pod_with("app-0", &image, &["pull"]).await?;
    let folder = stage.folder.path().join("cache");
    let cache = folder.display().to_string();
    let mut running = operator(&company, &registry, &cache).await?;
    stage.until("the verdict", |seen| seen.reason(IMAGE) == "SignatureValid").await?;
    let began = Instant::now();
    while std::fs::read_dir(folder.join("v1/lists")).map_or(0, Iterator::count) == 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "the list is on the disk");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.kill();
    registry.stop();
    for (secret, reason) in [(&right, "SignatureValid"), (&wrong, "RegistryUnavailable"), (&right, "SignatureValid")] {
        // Without a status that could stand in.
        stage.kubectl(&["delete", "iv", "--all"]).await?;
        stage.pull_secret("pull", secret).await?;
        let _operator = operator(&company, &registry, &cache).await?;
        let seen = stage.until(reason, |seen| seen.reason(IMAGE) == reason).await?;
        assert_eq!(seen.image_condition(IMAGE, "Ready"), "False/RegistryUnavailable");
    }
    let planted = [ACCOUNT.1.to_owned(), Base64::encode_string(format!("{}:{}", ACCOUNT.0, ACCOUNT.1).as_bytes())];
    assert_eq!(find(&folder, &planted)?, Vec::<String>::new());
    Ok(())
}
