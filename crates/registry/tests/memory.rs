// SPDX-License-Identifier: Apache-2.0
//! What a hundred hostile images cost in memory, all at once. A process of its own: its peak is what is measured, that of
//! the scripted registries included.

#![allow(clippy::print_stdout, reason = "the figures are for people")]

#[path = "registry/frames.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod frames;
#[path = "registry/scripted.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod scripted;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use frames::{Event, Move, Peer, ok};
use peak_alloc::PeakAlloc;
use scripted::{Body, Script, Seen, Server};
use sealwatch_registry::egress::Lookup;
use sealwatch_registry::limits::{HTTP2_STREAM_WINDOW, MAX_BLOB_BYTES, MAX_MANIFEST_BYTES};
use sealwatch_registry::{
    Credentials, Descriptor, Error, HttpRegistry, NameLookup, RegistriesConfig, Registry, RegistryOptions, Repository,
    Target, Timeouts,
};
use tokio::task::JoinHandle;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Images that are looked at, and registries that have them.
const IMAGES: usize = 100;
const HOSTS: usize = 25;
const MIB: usize = 1024 * 1024;
const CHUNK: usize = 8 * 1024;
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

struct Loopback;

impl NameLookup for Loopback {
    fn lookup(&self, _: &str) -> Lookup {
        Box::pin(async { Ok(vec!["127.0.0.1".parse().unwrap()]) })
    }
}

/// The peak of this process's resident memory, in bytes.
fn peak_resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

fn client(registries: RegistriesConfig) -> HttpRegistry {
    let timeouts =
        Timeouts { connect: Duration::from_secs(20), read: Duration::from_secs(2), total: Duration::from_secs(10) };
    let names: Arc<dyn NameLookup> = Arc::new(Loopback);
    HttpRegistry::new(RegistryOptions { registries, timeouts, names: Some(names), ..RegistryOptions::default() })
        .unwrap()
}

fn descriptor(media_type: &str, size: u64) -> Descriptor {
    let digest = format!("sha256:{}", "5a".repeat(32)).parse().unwrap();
    Descriptor { media_type: media_type.to_owned(), digest, size, artifact_type: None, annotations: [].into() }
}

/// Everything that a look at an image may ask, at once: a manifest by its tag, its referrers, a signature's manifest and
/// envelope, and what is refused with an error body.
fn look(client: &HttpRegistry, repository: &str) -> Vec<JoinHandle<Error>> {
    let repository: Repository = repository.parse().unwrap();
    let none = Credentials::default();
    let mut looks = Vec::new();
    for n in 0..5 {
        let (client, repository, none) = (client.clone(), repository.clone(), none.clone());
        looks.push(tokio::spawn(async move {
            match n {
                0 => client.resolve(&repository, &Target::Tag("v1".to_owned()), &none).await.unwrap_err(),
                1 => {
                    let subject = descriptor(MANIFEST, 1).digest;
                    client.referrers(&repository, &subject, "application/x", &none).await.unwrap_err()
                }
                2 => client.manifest(&repository, &descriptor(MANIFEST, MAX_MANIFEST_BYTES), &none).await.unwrap_err(),
                3 => client.blob(&repository, &descriptor("a/b", MAX_BLOB_BYTES), &none).await.unwrap_err(),
                _ => client.resolve(&repository, &Target::Tag("refused".to_owned()), &none).await.unwrap_err(),
            }
        }));
    }
    looks
}

/// How many MiB more there were in use at the peak of looking at all images, and how many were resident until then.
async fn cost_of(client: &HttpRegistry, hosts: &[String]) -> (usize, usize) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let images = (0..IMAGES).map(|number| format!("{}/app{number}", hosts[number % hosts.len()]));
    let looks: Vec<_> = images.flat_map(|image| look(client, &image)).collect();
    for look in looks {
        let error = look.await.unwrap();
        let is_expected = matches!(
            error,
            Error::Unavailable { .. } | Error::Forbidden { .. } | Error::TooLarge { .. } | Error::Malformed { .. }
        );
        assert!(is_expected, "{error}");
    }
    ((ALLOCATOR.peak_usage() - before) / MIB, peak_resident() / MIB)
}

/// A registry whose bodies go on until just below their limits, or only begin, and are then kept open.
fn stalling(is_begun_only: bool) -> impl Fn(&Seen) -> Script + Send + Sync + 'static {
    move |seen| {
        let chunks = |limit: u64| usize::try_from(limit).unwrap() / CHUNK - 1;
        let (times, kind) = match seen.path() {
            path if path.contains("/blobs/") => (chunks(MAX_BLOB_BYTES), "a/b"),
            path if path.contains("/referrers/") => (chunks(MAX_MANIFEST_BYTES), INDEX),
            path if path.ends_with("/refused") => (usize::MAX, "application/json"),
            _ => (chunks(MAX_MANIFEST_BYTES), MANIFEST),
        };
        let status = if seen.path().ends_with("/refused") { 403 } else { 200 };
        // One piece of memory for all connections: what the servers hold is not on its way.
        let (chunk, times): (&[u8], _) = if is_begun_only { (b" ", 1) } else { (&[b' '; CHUNK], times) };
        Script::status(status).with("Content-Type", kind).body(Body::Stalling { chunk, times })
    }
}

async fn over_http1(is_begun_only: bool) -> (usize, usize) {
    let mut registries = RegistriesConfig::default();
    let mut servers = Vec::new();
    for _ in 0..HOSTS {
        let server = Server::start("127.0.0.1", stalling(is_begun_only)).await;
        registries.insecure(&server.host()).unwrap();
        servers.push(server);
    }
    let hosts: Vec<String> = servers.iter().map(Server::host).collect();
    cost_of(&client(registries), &hosts).await
}

/// As much as the windows allow, as soon as they do, in frames of this size; a size of 0 only begins.
async fn over_http2(size: usize) -> (usize, usize) {
    let fill = move |stream: u32, room: u32| {
        let bytes = if size == 0 { 0 } else { usize::try_from(room).unwrap() };
        Move::Fill { stream, bytes, size }
    };
    let script = move |event| match event {
        Event::Request(stream) => {
            vec![Move::Say(ok(stream, &[("content-type", MANIFEST)])), fill(stream, HTTP2_STREAM_WINDOW)]
        }
        Event::Room(stream, room) => vec![fill(stream, room)],
    };
    let mut yaml = String::from("configs:\n");
    let (mut peers, mut hosts) = (Vec::new(), Vec::new());
    for _ in 0..HOSTS {
        let peer = Peer::start_with(true, script).await;
        let host = format!("registry.test:{}", peer.address.port());
        writeln!(yaml, "  '{host}': {{tls: {{insecure_skip_verify: true}}}}").unwrap();
        hosts.push(host);
        peers.push(peer);
    }
    cost_of(&client(RegistriesConfig::parse(yaml.as_bytes()).unwrap()), &hosts).await
}

/// One test, because there is one process. What connections and their two ends cost is measured with bodies that only
/// begin; the rest is what is on its way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_hostile_images_at_once_have_less_than_64_mib_on_their_way() {
    let begun = over_http1(true).await;
    let whole = over_http1(false).await;
    let begun2 = over_http2(0).await;
    for (name, begun, whole) in [
        ("over HTTP/1.1", begun, whole),
        ("over HTTP/2", begun2, over_http2(16_000).await),
        ("over HTTP/2 in the smallest frames", begun2, over_http2(1).await),
    ] {
        println!(
            "{IMAGES} hostile images {name}: {} MiB at the peak, of which {} for connections; {} MiB resident in all",
            whole.0, begun.0, whole.1
        );
        assert!(whole.0 < begun.0 + 64, "{name}: {whole:?} and {begun:?}");
    }
}
