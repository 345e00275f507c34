// SPDX-License-Identifier: Apache-2.0
//! What a hundred hostile registries cost in memory. A process of its own: its peak is what is measured.

#[path = "registry/scripted.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod scripted;

use std::time::Duration;

use scripted::{Body, Script, Seen, Server};
use sealwatch_registry::{Credentials, Error, HttpRegistry, RegistriesConfig, Registry, RegistryOptions, Timeouts};

/// The peak of this process's resident memory, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_endless_lists_at_once_stay_within_the_budget() {
    // Each fills its list up to just below the limit, and then keeps it open.
    let chunk = vec![b' '; 64 * 1024];
    let server = Server::start("127.0.0.1", move |_: &Seen| {
        let body = Body::Stalling { chunk: chunk.clone(), times: 63 };
        Script::status(200).with("Content-Type", "application/vnd.oci.image.index.v1+json").body(body)
    })
    .await;
    let mut registries = RegistriesConfig::default();
    registries.insecure(&server.host()).unwrap();
    let timeouts =
        Timeouts { connect: Duration::from_secs(20), read: Duration::from_secs(2), total: Duration::from_secs(10) };
    let client = HttpRegistry::new(RegistryOptions { registries, timeouts, ..RegistryOptions::default() }).unwrap();
    let before = peak();
    let looks: Vec<_> = (0..100)
        .map(|number| {
            let (client, repository) = (client.clone(), format!("{}/app{number}", server.host()).parse().unwrap());
            let subject = format!("sha256:{}", "5a".repeat(32)).parse().unwrap();
            tokio::spawn(async move {
                client.referrers(&repository, &subject, "application/x", &Credentials::default()).await
            })
        })
        .collect();
    for look in looks {
        let error = look.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    }
    let grown = (peak() - before) / (1024 * 1024);
    // Without a budget it is 400 MiB of bodies. What comes beside them are a hundred connections of client and server.
    assert!(grown < 128, "{grown} MiB");
}
