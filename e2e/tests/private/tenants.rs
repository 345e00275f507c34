// SPDX-License-Identifier: Apache-2.0

//! Two namespaces, one operator, the same images: who may not pull them learns nothing from who may.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sealwatch_e2e::scene::{self, Pki};
use sealwatch_e2e::stage::{ACCOUNT as OPERATOR, Launch, Seen};
use sealwatch_e2e::testenv::pki::KeyKind;
use sealwatch_e2e::testenv::{self, ACCOUNT, Options, Registry, Request, Result};
use serde_json::{Value, json};

use crate::{Company, POLICY, WRONG, auths, entry, locked, name_of, ours};

/// What was shown in these requests.
fn authorizations<'a>(log: impl IntoIterator<Item = &'a Request>) -> BTreeSet<&'a str> {
    log.into_iter().map(|request| request.authorization.as_str()).filter(|shown| !shown.is_empty()).collect()
}

/// Those requests for content that were granted.
fn granted(log: &[Request]) -> impl Iterator<Item = &Request> {
    log.iter().filter(|request| request.status == 200 && request.path.starts_with("/v2/"))
}

/// Neither statuses nor events of a namespace have any of these.
async fn assert_says_nothing_of(company: &Company, secrets: &[String]) -> Result<()> {
    let seen = company.stage.seen().await?;
    let statuses: Vec<Value> =
        seen.images.iter().map(|image| json!(image.status)).chain([json!(seen.policy(POLICY))]).collect();
    let said = json!(statuses).to_string();
    let events = company.stage.kubectl(&["get", "events", "-o", "yaml"]).await?;
    let found = secrets.iter().find(|secret| said.contains(*secret) || events.contains(*secret));
    assert_eq!(found, None, "{said}\n{events}");
    Ok(())
}

#[tokio::test]
async fn a_namespace_without_the_pull_secret_learns_nothing_from_one_that_has_it() -> Result<()> {
    let cluster = testenv::cluster_with(Options { name: Some("tenants".into()), ..Options::default() }).await?;
    let owner = Company::settle(cluster, "owner", Arc::new(Pki::new(KeyKind::EcP256)?)).await?;
    let (nosy, guesser) = (owner.neighbour("nosy").await?, owner.neighbour("guesser").await?);
    let registries = locked("Private CA of the tenants").await?;
    let all: Vec<&Registry> = registries.iter().collect();
    // The pods of one namespace name a secret that only the other has.
    owner.stage.pull_secret("pull", &auths(&registries, &entry(ACCOUNT.1))).await?;
    guesser.stage.pull_secret("pull", &auths(&registries, &entry(WRONG))).await?;
    let mut images = Vec::new();
    for registry in &all {
        let name = format!("{}-x", name_of(registry));
        let image = owner.signed(registry, &format!("team/{name}")).await?;
        for company in [&nosy, &guesser] {
            company.stage.run_pod_with(&name, &image, &["pull"]).await?;
        }
        images.push((name, image));
        registry.clear_access_log();
    }
    let launch = Launch {
        watched: None,
        account: OPERATOR,
        contents: scene::registries(&all),
        registries: &all,
        more: &[],
        log: None,
    };
    let _operator = owner.stage.launch(&launch).await?;
    let every = |seen: &Seen, reason: &str| images.iter().all(|(name, _)| seen.reason(name) == reason);
    let are_refused = |seen: &Seen| every(seen, "RegistryUnauthorized");
    let log = || registries.iter().flat_map(|registry| ours(&registry.access_log(), "")).collect::<Vec<_>>();

    // Before anybody was let in.
    for company in [&nosy, &guesser] {
        company.stage.until("the refusals", are_refused).await?;
    }
    registries.iter().for_each(Registry::clear_access_log);
    for (name, image) in &images {
        owner.stage.run_pod_with(name, image, &["pull"]).await?;
    }
    let seen = owner.stage.until("the owner's verdicts", |seen| every(seen, "SignatureValid")).await?;
    let owners_log = log();
    let owners = authorizations(granted(&owners_log));
    // The password, which both registries without tokens are shown, and two tokens.
    assert_eq!(owners.len(), 3, "{owners:?}");
    let mut secrets = Vec::new();
    for (name, _) in &images {
        let signature = seen.status(name).signature.ok_or("a verified image shows its signature")?;
        secrets.push(signature.digest.ok_or("its digest")?);
        secrets.push(signature.signer.ok_or("its signer")?.subject);
    }

    // After somebody was let in, and was just now.
    for round in 0..2 {
        registries.iter().for_each(Registry::clear_access_log);
        for company in [&nosy, &guesser] {
            company.stage.request(POLICY).await?;
            company.stage.stays("the refusals", Duration::from_millis(500), are_refused).await?;
            let seen = company.stage.seen().await?;
            for (name, _) in &images {
                let status = serde_json::to_value(seen.status(name))?;
                assert_eq!((&status["signature"], &status["verdict"]), (&Value::Null, &json!("Unknown")), "{status}");
            }
            assert_says_nothing_of(company, &secrets).await?;
        }
        let asked = log();
        assert!(asked.len() >= 2 * all.len(), "round {round}: they were asked: {asked:#?}");
        let shown = authorizations(&asked);
        assert!(shown.is_disjoint(&owners), "round {round}: {shown:?} has something of {owners:?}");
        assert_eq!(granted(&asked).count(), 0, "{asked:#?}");
        // The owner looks in between.
        owner.stage.request(POLICY).await?;
        owner.stage.until("the owner's verdicts", |seen| every(seen, "SignatureValid")).await?;
    }

    // The check can fail: with the secret, the same namespace learns all of it.
    nosy.stage.pull_secret("pull", &auths(&registries, &entry(ACCOUNT.1))).await?;
    nosy.stage.request(POLICY).await?;
    let seen = nosy.stage.until("verdicts", |seen| every(seen, "SignatureValid")).await?;
    let said = json!(seen.images).to_string();
    assert!(secrets.iter().all(|secret| said.contains(secret)), "{said}");
    Ok(())
}
