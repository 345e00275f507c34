// SPDX-License-Identifier: Apache-2.0
//! What a certificate points to is asked by plain HTTP, and trusted with nothing.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sealwatch_registry::egress::Lookup;
use sealwatch_registry::limits::{MAX_PLAIN_BYTES_IN_FLIGHT, MAX_PLAIN_REQUESTS};
use sealwatch_registry::{NameLookup, PlainError, PlainFetcher, PlainRequest, RegistriesConfig, RegistryOptions};

use crate::scripted::{Body, Script, Seen, Server};

const MOST: usize = 64;

fn request(url: &str) -> PlainRequest<'_> {
    PlainRequest { url, post: None, accept: "*/*", max_bytes: MOST, time_limit: Duration::from_secs(2) }
}

/// May ask anything on loopback.
fn fetcher() -> PlainFetcher {
    let allow_egress = vec!["127.0.0.0/8".parse().unwrap()];
    PlainFetcher::new(&RegistryOptions { allow_egress, ..RegistryOptions::default() }).unwrap()
}

async fn answering(answer: Script) -> (Server, String) {
    let server = Server::start("127.0.0.1", move |_: &Seen| answer.clone()).await;
    let url = format!("http://{}/root.crl", server.host());
    (server, url)
}

async fn fetched(answer: Script) -> Result<Bytes, PlainError> {
    let (_server, url) = answering(answer).await;
    fetcher().fetch(&request(&url)).await
}

#[tokio::test]
async fn only_http_urls_without_credentials_are_asked() {
    let server = Server::start("127.0.0.1", |_: &Seen| Script::status(200)).await;
    let host = server.host();
    for url in [
        format!("https://{host}/"),
        format!("ldap://{host}/"),
        format!("file://{host}/"),
        format!("http://me@{host}/"),
        format!("http://:secret@{host}/"),
        "root.crl".to_owned(),
        "http://".to_owned(),
    ] {
        assert_eq!(fetcher().fetch(&request(&url)).await, Err(PlainError::Url), "{url}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn loopback_is_refused_by_default_and_the_setting_named() {
    let server = Server::start("127.0.0.1", |_: &Seen| Script::status(200)).await;
    let fetcher = PlainFetcher::new(&RegistryOptions::default()).unwrap();
    let port = server.address.port();
    // Every spelling of the address is the address.
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "[::1]"] {
        let error = fetcher.fetch(&request(&format!("http://{host}:{port}/"))).await.unwrap_err();
        assert!(matches!(error, PlainError::EgressRefused { .. }), "{host}: {error}");
        assert!(error.to_string().contains("--allow-egress"), "{error}");
    }
    assert!(server.seen().is_empty());
}

/// Answers every name with this address.
struct Names(IpAddr);

impl NameLookup for Names {
    fn lookup(&self, _: &str) -> Lookup {
        let address = self.0;
        Box::pin(async move { Ok(vec![address]) })
    }
}

#[tokio::test]
async fn a_name_that_leads_to_loopback_is_refused_unless_it_is_named_with_its_port() {
    let server = Server::start("127.0.0.2", |_: &Seen| Script::new(200, "application/pkix-crl", "a list")).await;
    let names: Arc<dyn NameLookup> = Arc::new(Names(server.address.ip()));
    let options = RegistryOptions { names: Some(names), ..RegistryOptions::default() };
    let url = format!("http://pki.test:{}/root.crl", server.address.port());
    // Whoever names a registry on the command line does not thereby trust certificates to lead there.
    let on_command_line =
        RegistryOptions { named_hosts: vec![format!("pki.test:{}", server.address.port())], ..options.clone() };
    for options in [&options, &on_command_line] {
        let error = PlainFetcher::new(options).unwrap().fetch(&request(&url)).await.unwrap_err();
        assert!(matches!(&error, PlainError::EgressRefused { host, .. } if host.starts_with("pki.test:")), "{error}");
    }
    assert!(server.seen().is_empty());
    let mut registries = RegistriesConfig::default();
    registries.insecure(&format!("pki.test:{}", server.address.port())).unwrap();
    let fetcher = PlainFetcher::new(&RegistryOptions { registries, ..options }).unwrap();
    assert_eq!(fetcher.fetch(&request(&url)).await.unwrap(), "a list");
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let elsewhere = Server::start("127.0.0.2", |_: &Seen| Script::status(200)).await;
    for status in [301, 302, 303, 307, 308] {
        let answer = Script::status(status).with("Location", format!("http://{}/", elsewhere.host()));
        assert_eq!(fetched(answer).await, Err(PlainError::Status { status }));
    }
    assert!(elsewhere.seen().is_empty());
    assert!(PlainError::Status { status: 301 }.to_string().contains("redirects are not followed"));
}

#[tokio::test]
async fn only_status_200_is_an_answer() {
    for status in [201, 204, 206, 400, 401, 404, 429, 500, 503] {
        assert_eq!(fetched(Script::status(status)).await, Err(PlainError::Status { status }));
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_cut_however_it_is_sent() {
    for body in [
        Body::Whole(vec![0; MOST + 1]),
        Body::Chunked { chunk: vec![0; MOST], times: usize::MAX },
        Body::Lying { declared: 1 << 40, bytes: Vec::new() },
    ] {
        assert_eq!(fetched(Script::status(200).body(body)).await, Err(PlainError::TooLarge { limit: MOST }));
    }
    let whole = Script::status(200).body(Body::Chunked { chunk: vec![7; MOST], times: 1 });
    assert_eq!(fetched(whole).await.unwrap(), vec![7; MOST]);
}

#[tokio::test]
async fn a_body_that_breaks_off_or_is_encoded_is_no_answer() {
    let broken = Script::status(200).body(Body::Lying { declared: 9, bytes: b"half".to_vec() });
    let error = fetched(broken).await.unwrap_err();
    assert!(matches!(&error, PlainError::Failed { detail } if detail.contains("broke off")), "{error}");
    let error = fetched(Script::new(200, "*/*", "x").with("Content-Encoding", "gzip")).await.unwrap_err();
    assert!(matches!(&error, PlainError::Failed { detail } if detail.contains("Content-Encoding")), "{error}");
}

#[tokio::test]
async fn silence_and_a_trickle_end_at_the_time_limit() {
    let limit = Duration::from_millis(300);
    let pause = Duration::from_millis(20);
    for body in [Body::Silence(Duration::from_mins(1)), Body::Slow { bytes: vec![0; MOST], pause }] {
        let (_server, url) = answering(Script::status(200).body(body)).await;
        let answer = fetcher().fetch(&PlainRequest { time_limit: limit, ..request(&url) }).await;
        assert_eq!(answer, Err(PlainError::TimeLimit { limit }));
    }
}

#[tokio::test]
async fn nothing_is_told_but_what_was_asked() {
    let (server, url) = answering(Script::new(200, "*/*", "x").with("Set-Cookie", "crumb=1; Path=/")).await;
    let fetcher = fetcher();
    let post = Some(("application/ocsp-request", &b"question"[..]));
    fetcher.fetch(&request(&url)).await.unwrap();
    fetcher.fetch(&PlainRequest { post, accept: "application/ocsp-response", ..request(&url) }).await.unwrap();
    assert_eq!(server.lines(), ["GET /root.crl", "POST /root.crl"]);
    for seen in server.seen() {
        for name in seen.headers.keys() {
            let known = ["accept", "accept-encoding", "content-length", "content-type", "host", "user-agent"];
            assert!(known.contains(&name.as_str()), "{name}");
        }
    }
    let posted = &server.seen()[1];
    assert_eq!((posted.body.as_str(), posted.header("content-type")), ("question", Some("application/ocsp-request")));
    assert_eq!(posted.header("accept"), Some("application/ocsp-response"));
}

#[tokio::test]
async fn a_host_that_is_not_there_is_a_failure_with_its_cause() {
    let (server, url) = answering(Script::status(200)).await;
    drop(server);
    let error = fetcher().fetch(&request(&url)).await.unwrap_err();
    assert!(matches!(&error, PlainError::Failed { detail } if detail.contains("connection failed")), "{error}");
}

// Catalogue C23: lists of the largest size at many URLs.
#[tokio::test]
async fn an_answer_that_finds_no_room_is_not_read_and_ends_at_its_time_limit() {
    let most = usize::try_from(MAX_PLAIN_BYTES_IN_FLIGHT).unwrap();
    let server = Server::start("127.0.0.1", |seen: &Seen| match seen.path() {
        // Without a length, it may be as long as it can be, and keeps all the room.
        "/large" => Script::status(200).body(Body::Stalling { chunk: &[0; 1_000], times: 1 }),
        _ => Script::new(200, "*/*", "small"),
    })
    .await;
    let (fetcher, host) = (fetcher(), server.host());
    let large = format!("http://{host}/large");
    let small = format!("http://{host}/small");
    let slow = PlainRequest { max_bytes: most, time_limit: Duration::from_mins(10), ..request(&large) };
    let holder = fetcher.clone();
    tokio::select! {
        answer = holder.fetch(&slow) => panic!("{answer:?}"),
        () = async {
            while server.seen().is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // The first one's answer may still be on its way to its reservation.
            let mut attempts = 0;
            let patient = PlainRequest { time_limit: Duration::from_mins(10), ..request(&small) };
            while tokio::time::timeout(Duration::from_secs(2), fetcher.fetch(&patient)).await.is_ok() {
                attempts += 1;
                assert!(attempts < 20, "there always is room");
            }
            let limit = Duration::from_millis(300);
            let answer = fetcher.fetch(&PlainRequest { time_limit: limit, ..request(&small) }).await;
            assert_eq!(answer, Err(PlainError::TimeLimit { limit }));
        } => {}
    }
    // Whoever gave up gave the room back.
    assert_eq!(fetcher.fetch(&request(&small)).await.unwrap(), "small");
}

#[tokio::test]
async fn no_more_questions_than_the_limit_are_asked_at_once() {
    let server =
        Server::start("127.0.0.1", |_: &Seen| Script::status(200).body(Body::Silence(Duration::from_hours(1)))).await;
    let fetcher = fetcher();
    let waiting: Vec<_> = (0..MAX_PLAIN_REQUESTS * 2)
        .map(|n| {
            let (fetcher, url) = (fetcher.clone(), format!("http://{}/{n}", server.host()));
            let limit = Duration::from_mins(10);
            tokio::spawn(async move { fetcher.fetch(&PlainRequest { time_limit: limit, ..request(&url) }).await })
        })
        .collect();
    while server.seen().len() < MAX_PLAIN_REQUESTS {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // A question that was asked after those had a chance to be answered has none either.
    let limit = Duration::from_millis(200);
    let url = format!("http://{}/last", server.host());
    let last = PlainRequest { time_limit: limit, ..request(&url) };
    assert!(tokio::time::timeout(limit, fetcher.fetch(&last)).await.is_err());
    assert_eq!(server.seen().len(), MAX_PLAIN_REQUESTS);
    for waiting in waiting {
        waiting.abort();
    }
}
