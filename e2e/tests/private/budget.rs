// SPDX-License-Identifier: Apache-2.0

//! Both registries behind every door: verdicts, and what they cost in requests.

use std::collections::BTreeMap;
use std::time::Duration;

use sealwatch_e2e::scene;
use sealwatch_e2e::stage::Seen;
use sealwatch_e2e::testenv::{ACCOUNT, Door, Registry, Result, Software};
use serde_json::{Value, json};

use crate::{Company, POLICY, authority, entry, name_of, ours};

/// The two images of each registry: what is appended to its name.
const IMAGES: [&str; 2] = ["signed", "unsigned"];

/// How many requests each image cost since the logs were cleared, by name.
fn counts(registries: &[Registry]) -> BTreeMap<String, usize> {
    let images = registries.iter().flat_map(|registry| IMAGES.map(|kind| (registry, kind)));
    let count = |(registry, kind)| {
        let image = format!("{}-{kind}", name_of(registry));
        let asked = ours(&registry.access_log(), &format!("{image}-"));
        (image, asked.len())
    };
    images.map(count).collect()
}

/// What a first look may cost.
fn budget(registry: &Registry, is_signed: bool) -> usize {
    let look = match (is_signed, registry.software()) {
        (false, _) => 3,
        (true, Software::Olareg) => 4,
        (true, Software::Distribution) => 5,
    };
    // A token is one request to the token server, and one that was answered with where to get it.
    look + match registry.door() {
        Door::Plain | Door::Tls => 0,
        Door::Basic => 1,
        Door::Bearer => 2,
    }
}

#[expect(clippy::print_stdout, reason = "a table for whoever runs this with --nocapture")]
fn show(first: &BTreeMap<String, usize>, edit: &BTreeMap<String, usize>, steady: &BTreeMap<String, usize>) {
    println!("| registry and image | first | policy edits | steady |\n| --- | --- | --- | --- |");
    for (image, first) in first {
        println!("| {image} | {first} | {} | {} |", edit[image], steady[image]);
    }
}

#[tokio::test]
async fn both_registries_are_verified_behind_every_door_within_the_budget_of_requests() -> Result<()> {
    let company = Company::found("matrix").await?;
    let stage = &company.stage;
    let authority = authority("Private CA of the matrix")?;
    let mut registries = Vec::new();
    for software in Software::ALL {
        for door in Door::ALL {
            registries.push(Registry::behind(software, door, &authority).await?);
        }
    }
    let auths: Vec<(String, Value)> = registries.iter().map(|registry| (registry.host(), entry(ACCOUNT.1))).collect();
    stage.pull_secret("pull", &auths.into_iter().collect()).await?;
    let policy = |document: &Value| {
        let mut policy = scene::trust_policy(POLICY, document);
        policy["spec"]["interval"] = json!("1m");
        policy
    };
    stage.apply(&policy(&scene::seed_document())).await?;
    for registry in &registries {
        let name = name_of(registry);
        let images = [
            ("signed", company.signed(registry, &format!("matrix/{name}-signed-x")).await?),
            ("unsigned", registry.push_image(&format!("matrix/{name}-unsigned-x"), "1", &name).await?),
        ];
        for (kind, image) in images {
            stage.run_pod_with(&format!("{name}-{kind}"), &image, &["pull"]).await?;
        }
        registry.clear_access_log();
    }
    let all: Vec<&Registry> = registries.iter().collect();
    let are_judged = |seen: &Seen, signed: &str| {
        all.iter().all(|registry| {
            let reason = |kind| seen.reason(&format!("{}-{kind}-x", name_of(registry)));
            [reason("signed"), reason("unsigned")] == [signed, "NoSignature"]
        })
    };
    let _operator = stage.operator_with(scene::registries(&all), &all).await?;
    let seen = stage.until("sixteen verdicts", |seen| are_judged(seen, "SignatureValid")).await?;
    assert_eq!(seen.images.len(), 16);
    let first = counts(&registries);
    let all_that_was_asked: usize = registries.iter().map(|registry| ours(&registry.access_log(), "").len()).sum();
    assert_eq!(first.values().sum::<usize>(), all_that_was_asked, "nothing is asked that belongs to no image");
    registries.iter().for_each(Registry::clear_access_log);

    // What is known is judged again.
    let mut document = scene::seed_document();
    document["trustPolicies"][0]["trustedIdentities"] = json!([format!("x509.subject: {}", scene::PRODUCTS)]);
    stage.apply(&policy(&document)).await?;
    stage.until("other verdicts", |seen| are_judged(seen, "UntrustedIdentity")).await?;
    stage.apply(&policy(&scene::seed_document())).await?;
    stage.until("the old verdicts", |seen| are_judged(seen, "SignatureValid")).await?;
    let edit = counts(&registries);
    registries.iter().for_each(Registry::clear_access_log);

    // Nobody asks for it: the shortest interval and its jitter have to pass.
    let most = Duration::from_secs(66 + 20);
    let is_over = |_: &Seen| counts(&registries).values().all(|count| *count > 0);
    stage.until_within(most, "the next look at each image", is_over).await?;
    let steady = counts(&registries);

    show(&first, &edit, &steady);
    for registry in &registries {
        for kind in IMAGES {
            let (image, most) = (format!("{}-{kind}", name_of(registry)), budget(registry, kind == "signed"));
            assert!((1..=most).contains(&first[&image]), "{image}: {} requests, {most} at most", first[&image]);
            assert_eq!((edit[&image], steady[&image]), (0, 1), "{image}: {:#?}", registry.access_log());
        }
    }
    Ok(())
}
