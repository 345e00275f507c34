// SPDX-License-Identifier: Apache-2.0

//! One of five registries takes connections and never answers.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use sealwatch_e2e::scene;
use sealwatch_e2e::stage::Seen;
use sealwatch_e2e::testenv::{PushedImage, Registry, Result};
use serde_json::json;

use crate::Company;

/// Images in each registry that lives.
const IMAGES: usize = 4;
/// Images in the dead one: more than are asked about at once of one host.
const DEAD_IMAGES: usize = 12;
/// How often each time is taken; the median counts.
const ROUNDS: usize = 3;

/// Whether all images whose names begin so are verified.
fn are_verified(seen: &Seen, beginning: &str) -> bool {
    let images = seen.images.iter().filter(|image| image.spec.image.contains(&format!("/{beginning}-")));
    let is_verified = |image: &sealwatch_api::ImageVerification| {
        let reason = image.status.as_ref().and_then(|status| status.reason.as_ref());
        reason.is_some_and(|reason| reason.to_string() == "SignatureValid")
    };
    images.clone().count() == IMAGES && images.clone().all(is_verified)
}

#[expect(clippy::print_stdout, reason = "a figure for whoever runs this with --nocapture")]
fn show(without: &[Duration], with: &[Duration]) {
    let median = |times: &[Duration]| {
        let mut times = times.to_vec();
        times.sort();
        times[times.len() / 2]
    };
    let (without, with) = (median(without), median(with));
    let ratio = with.as_secs_f64() / without.as_secs_f64();
    println!("time to the last of 16 verdicts: {without:.2?}, and {with:.2?} with one of five dead: {ratio:.2} times");
}

#[tokio::test]
async fn four_registries_give_their_verdicts_while_a_fifth_takes_connections_and_never_answers() -> Result<()> {
    let company = Company::found("dead").await?;
    let stage = &company.stage;
    let mut registries = Vec::new();
    for number in 0..4 {
        let registry = Registry::olareg().await?;
        for image in 0..IMAGES {
            let name = format!("live{number}-{image}");
            let image = company.signed(&registry, &format!("team/{name}")).await?;
            stage.run_pod(&name, &image).await?;
        }
        registries.push(registry);
    }
    // The kernel takes the connections; nobody reads what is sent.
    let dead = TcpListener::bind((IpAddr::V4(Ipv4Addr::new(127, 0, 0, 5)), 0))?;
    let host = dead.local_addr()?.to_string();
    let all: Vec<&Registry> = registries.iter().collect();
    let mut contents = scene::registries(&all);
    contents["mirrors"][&host] = json!({"endpoint": [format!("http://{host}")]});
    let is_done = |seen: &Seen| (0..4).all(|number| are_verified(seen, &format!("live{number}")));
    let settle = async || {
        let began = Instant::now();
        let operator = stage.operator_with(contents.clone(), &all).await?;
        let seen = stage.until("the verdicts of the living", is_done).await?;
        Ok::<_, sealwatch_e2e::testenv::Error>((began.elapsed(), seen, operator))
    };
    let mut without = Vec::new();
    for _ in 0..ROUNDS {
        let (time, _, operator) = settle().await?;
        without.push(time);
        drop(operator);
        stage.kubectl(&["delete", "iv", "--all"]).await?;
    }
    for number in 0..DEAD_IMAGES {
        let repository = format!("{host}/team/dead-{number}");
        let image = PushedImage {
            reference: format!("{repository}:1"),
            repository,
            digest: format!("sha256:{number:064x}"),
            size: 1,
            media_type: String::new(),
        };
        stage.run_pod(&format!("dead-{number}"), &image).await?;
    }
    let mut with = Vec::new();
    for _ in 0..ROUNDS {
        let (time, seen, operator) = settle().await?;
        drop(operator);
        with.push(time);
        // The others did not wait for it: nothing is known of it yet.
        let dead: Vec<_> = seen.images.iter().filter(|image| image.spec.image.starts_with(&host)).collect();
        assert!(!dead.is_empty());
        for image in dead {
            let status = image.status.clone().unwrap_or_default();
            let verdict = status.verdict.map(|verdict| verdict.to_string());
            assert!(verdict.is_none_or(|verdict| verdict == "Unknown") && status.signature.is_none());
            let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
            assert!(
                ready.is_none_or(|ready| ready.reason != "RegistryUnavailable"),
                "it is still being asked: {ready:?}"
            );
        }
        stage.kubectl(&["delete", "iv", "--all"]).await?;
    }
    show(&without, &with);
    Ok(())
}
