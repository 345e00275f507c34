// SPDX-License-Identifier: Apache-2.0
//! A good citizen: nobody is asked before the time that they asked for, by too many at once or too fast, and the dead are
//! left alone.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sealwatch_registry::limits::{MAX_REQUESTS_PER_HOST, REQUEST_BURST, REQUEST_SPACING};
use sealwatch_registry::{
    Error, HttpRegistry, RegistriesConfig, Registry, RegistryOptions, Repository, Target, Timeouts,
};
use tokio::task::JoinHandle;

use crate::fixture::{Signed, anonymous, app, client, configured, login};
use crate::scripted::{Body, Script, Seen, Server};

fn repository(server: &Server, number: usize) -> Repository {
    format!("{}/app{number}", server.host()).parse().unwrap()
}

async fn ask(client: &HttpRegistry, repository: &Repository) -> Result<(), Error> {
    let target = Target::Digest(Signed::new().subject());
    client.resolve(repository, &target, &anonymous()).await.map(|_| ())
}

#[tokio::test]
async fn a_registry_that_throttles_is_asked_by_no_image_before_its_time() {
    for status in [429, 503] {
        let server =
            Server::start("127.0.0.1", move |_: &Seen| Script::status(status).with("Retry-After", "600")).await;
        let client = client(&[&server]);
        let mut turns = Vec::new();
        for number in 0..50 {
            let error = ask(&client, &repository(&server, number)).await.unwrap_err();
            turns.push(error.retry_after().unwrap());
        }
        assert_eq!(server.seen().len(), 1, "{status}: {:?}", server.lines());
        assert!(turns.iter().all(|turn| *turn >= Duration::from_secs(590)), "{turns:?}");
        assert!(turns[49] > turns[1] + Duration::from_secs(4), "they do not all come back at once: {turns:?}");
    }
}

#[tokio::test]
async fn what_one_account_used_up_is_no_limit_for_another() {
    let signed = Signed::new();
    let server = Server::start("127.0.0.1", move |seen: &Seen| match seen.header("authorization") {
        Some(_) => signed.answer(seen),
        None if seen.path().starts_with("/v2/app/") => Script::status(401).with("WWW-Authenticate", "Basic realm=x"),
        None => Script::status(429).with("Retry-After", "600"),
    })
    .await;
    let client = client(&[&server]);
    let app = app(&server);
    let joe = login(&[(&server.host(), "joe", "s3cret")]);
    let target = Target::Digest(Signed::new().subject());
    ask(&client, &repository(&server, 0)).await.unwrap_err();
    let error = ask(&client, &app).await.unwrap_err();
    assert!(matches!(error, Error::Throttled { .. }), "{error}");
    assert_eq!(server.seen().len(), 1, "nobody without an account asks again");
    client.resolve(&app, &target, &joe).await.unwrap();
}

#[tokio::test]
async fn a_date_to_retry_after_is_held_against_the_answers_own_date() {
    for (date, wish, expected) in [
        ("Thu, 26 Nov 2026 09:00:00 GMT", "Thu, 26 Nov 2026 09:02:00 GMT", Some(120)),
        ("Thu, 26 Nov 2026 09:00:00 GMT", "Thu, 26 Nov 2026 08:00:00 GMT", Some(0)),
        ("Thu, 26 Nov 2026 09:00:00 GMT", "Fri, 26 Nov 2066 09:00:00 GMT", Some(86_400)),
        ("Thu, 26 Nov 2026 09:00:00 GMT", "soon", None),
        ("never", "Thu, 26 Nov 2026 09:02:00 GMT", None),
    ] {
        let server = Server::start("127.0.0.1", move |_: &Seen| {
            Script::status(429).with("Date", date).with("Retry-After", wish)
        })
        .await;
        let error = ask(&client(&[&server]), &repository(&server, 0)).await.unwrap_err();
        assert_eq!(error.retry_after().map(|wish| wish.as_secs()), expected, "{wish}");
    }
}

#[tokio::test]
async fn a_mirror_that_is_silent_is_waited_for_once_and_not_at_every_request() {
    let signed = Signed::new();
    let good = Server::start("127.0.0.1", move |seen: &Seen| signed.answer(seen)).await;
    // It takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.2:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let yaml = format!(
        "mirrors: {{registry.test: {{endpoint: ['http://{}', 'http://{}']}}}}",
        silent.local_addr().unwrap(),
        good.host()
    );
    let mut registries = RegistriesConfig::parse(yaml.as_bytes()).unwrap();
    registries.disable_origins();
    let client = configured(registries);
    let repository: Repository = "registry.test/app".parse().unwrap();
    for _ in 0..11 {
        ask(&client, &repository).await.unwrap();
    }
    let knocks = std::iter::from_fn(|| silent.accept().ok()).count();
    // Once, and once more after 1, 2, 4, … s, should this machine be slow.
    assert!((1..6).contains(&knocks), "{knocks}");
    assert_eq!(good.seen().len(), 11);
}

#[tokio::test]
async fn a_host_that_answers_again_is_asked_again() {
    let signed = Signed::new();
    let server = Server::start("127.0.0.1", move |seen: &Seen| signed.answer(seen)).await;
    let (client, address) = (client(&[&server]), server.address);
    let app: Repository = format!("{}/app", server.host()).parse().unwrap();
    drop(server);
    let error = ask(&client, &app).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { retry_after: None, .. }), "{error}");
    let error = ask(&client, &app).await.unwrap_err();
    let wait = error.retry_after().expect("it says when to come back");
    assert!(wait <= Duration::from_secs(1), "{wait:?}");
    let signed = Signed::new();
    let _again = Server::start_at(address, move |seen: &Seen| signed.answer(seen)).await;
    tokio::time::sleep(wait).await;
    ask(&client, &app).await.unwrap();
}

/// A client that waits for long.
fn patient(servers: &[&Server]) -> HttpRegistry {
    let mut registries = RegistriesConfig::default();
    for server in servers {
        registries.insecure(&server.host()).unwrap();
    }
    let long = Duration::from_mins(10);
    let timeouts = Timeouts { connect: long, read: long, total: long };
    HttpRegistry::new(RegistryOptions { registries, timeouts, ..RegistryOptions::default() }).unwrap()
}

/// So many images of a registry, all at once.
fn ask_all(client: &HttpRegistry, server: &Server, count: usize) -> Vec<JoinHandle<Result<(), Error>>> {
    let start = |number| {
        let (client, repository) = (client.clone(), repository(server, number));
        tokio::spawn(async move { ask(&client, &repository).await })
    };
    (0..count).map(start).collect()
}

async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_host_is_asked_by_so_many_at_once_and_a_dead_one_delays_no_other() {
    let dead =
        Server::start("127.0.0.1", |_: &Seen| Script::status(200).body(Body::Silence(Duration::from_hours(1)))).await;
    let alive = Server::start("127.0.0.2", |_: &Seen| Script::status(404)).await;
    let client = patient(&[&dead, &alive]);
    let waiting = ask_all(&client, &dead, 100);
    until(|| dead.seen().len() >= MAX_REQUESTS_PER_HOST).await;
    // While all of them wait, every image of the other host has its answer.
    for asked in ask_all(&client, &alive, 100) {
        let error = asked.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }
    assert_eq!(alive.seen().len(), 100);
    assert_eq!(dead.seen().len(), MAX_REQUESTS_PER_HOST, "nobody else was let in");
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
    for waiting in waiting {
        waiting.abort();
    }
}

#[tokio::test]
async fn more_than_a_burst_of_requests_comes_at_the_rate_of_the_host() {
    let times: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let log = Arc::clone(&times);
    let server = Server::start("127.0.0.1", move |_: &Seen| {
        log.lock().unwrap().push(Instant::now());
        Script::status(404)
    })
    .await;
    let (burst, more) = (usize::try_from(REQUEST_BURST).unwrap(), 50_u32);
    let client = patient(&[&server]);
    let start = Instant::now();
    for asked in ask_all(&client, &server, burst + usize::try_from(more).unwrap()) {
        asked.await.unwrap().unwrap_err();
    }
    // However slow this machine is, it only makes the whole take longer.
    let times = times.lock().unwrap();
    let took = *times.last().unwrap() - start;
    assert!(took >= REQUEST_SPACING * more, "{took:?}");
}

#[tokio::test]
async fn a_registry_that_throttles_a_while_sees_hardly_more_requests_than_a_calm_one() {
    const IMAGES: usize = 200;
    let begin: Arc<Mutex<Option<Instant>>> = Arc::default();
    let server = Server::start("127.0.0.1", move |_: &Seen| {
        let first = *begin.lock().unwrap().get_or_insert_with(Instant::now);
        let is_storm = first.elapsed() < Duration::from_millis(500);
        if is_storm { Script::status(429).with("Retry-After", "1") } else { Script::status(404) }
    })
    .await;
    let client = client(&[&server]);
    // Each image comes back when it is told to, as often as it takes.
    let images: Vec<_> = (0..IMAGES)
        .map(|number| {
            let (client, repository) = (client.clone(), repository(&server, number));
            tokio::spawn(async move {
                loop {
                    match ask(&client, &repository).await.unwrap_err() {
                        Error::Throttled { retry_after, .. } => tokio::time::sleep(retry_after.unwrap()).await,
                        other => return other,
                    }
                }
            })
        })
        .collect();
    for image in images {
        assert!(matches!(image.await.unwrap(), Error::NotFound { .. }));
    }
    let requests = server.seen().len();
    assert!(requests > IMAGES && requests * 10 <= IMAGES * 11, "{requests} requests of {IMAGES} images");
}

#[tokio::test]
async fn a_token_server_that_throttles_is_left_alone_too() {
    let server = Server::start("127.0.0.1", |seen: &Seen| {
        if seen.path() == "/token" {
            return Script::status(429).with("Retry-After", "600");
        }
        let realm = format!("http://{}/token", seen.header("host").unwrap());
        Script::status(401).with("WWW-Authenticate", format!("Bearer realm=\"{realm}\""))
    })
    .await;
    let client = client(&[&server]);
    for number in 0..20 {
        let error = ask(&client, &repository(&server, number)).await.unwrap_err();
        assert!(error.retry_after().is_some_and(|wish| wish >= Duration::from_secs(590)), "{error}");
    }
    assert_eq!(server.seen().len(), 2, "{:?}", server.lines());
}
