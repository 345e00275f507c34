// SPDX-License-Identifier: Apache-2.0
//! A good citizen: nobody is asked before the time that they asked for, and the dead are left alone.

use std::time::Duration;

use sealwatch_registry::{Error, HttpRegistry, RegistriesConfig, Registry, Repository, Target};

use crate::fixture::{Signed, anonymous, app, client, configured, login};
use crate::scripted::{Script, Seen, Server};

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
