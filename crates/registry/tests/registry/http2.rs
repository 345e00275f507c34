// SPDX-License-Identifier: Apache-2.0
//! Registries that speak HTTP/2 and break its rules, or keep them in bad faith.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealwatch_registry::limits::{
    HTTP2_CONNECTION_WINDOW, HTTP2_STREAM_WINDOW, IDLE_CONNECTION_LIFE, MAX_HEADER_LIST_BYTES,
};
use sealwatch_registry::{
    Descriptor, Error, HttpRegistry, RegistriesConfig, Registry, RegistryOptions, Repository, Target,
};

use crate::fixture::{MANIFEST, Names, Signed, TIMEOUTS, anonymous, digest};
use crate::frames::{
    Event, Move, Peer, Tally, block, continuation, data, end, goaway, headers_in_pieces, ok, ping, promise, reset,
    setting, window,
};

/// The numbers of settings.
const ENABLE_PUSH: u16 = 2;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_HEADER_LIST_SIZE: u16 = 6;

fn client(peer: &Peer) -> (HttpRegistry, Repository) {
    let host = format!("registry.test:{}", peer.address.port());
    let yaml = format!("configs: {{'{host}': {{tls: {{insecure_skip_verify: true}}}}}}");
    let options = RegistryOptions {
        registries: RegistriesConfig::parse(yaml.as_bytes()).unwrap(),
        timeouts: TIMEOUTS,
        names: Some(Arc::new(Names(vec![("registry.test", "127.0.0.1".parse().unwrap())]))),
        ..RegistryOptions::default()
    };
    (HttpRegistry::new(options).unwrap(), format!("{host}/app").parse().unwrap())
}

async fn resolve(client: &HttpRegistry, repository: &Repository) -> Result<Descriptor, Error> {
    client.resolve(repository, &Target::Tag("v1".to_owned()), &anonymous()).await
}

/// Asks once a peer that answers so.
async fn ask(
    acknowledges: bool,
    script: impl Fn(u32) -> Vec<Move> + Send + Sync + 'static,
) -> (Result<Descriptor, Error>, Tally) {
    let peer = Peer::start(acknowledges, script).await;
    let (client, repository) = client(&peer);
    let answer = resolve(&client, &repository).await;
    (answer, peer.tally())
}

/// What a peer says on a stream, and what it is called.
type Flood = (&'static str, fn(u32) -> Vec<u8>);
type Offence = (&'static str, Box<dyn Fn(u32) -> Vec<u8> + Send + Sync>);

fn good(stream: u32) -> Vec<Move> {
    let image = Signed::new().image;
    [ok(stream, &[("content-type", MANIFEST)]), data(stream, &image), end(stream)].map(Move::Say).to_vec()
}

#[tokio::test]
async fn a_good_answer_over_http2_is_read_and_the_connection_is_kept() {
    let peer = Peer::start(true, good).await;
    let (client, repository) = client(&peer);
    for _ in 0..3 {
        assert_eq!(resolve(&client, &repository).await.unwrap().digest, Signed::new().subject());
    }
    assert_eq!((peer.tally().connections, peer.tally().requests), (1, vec![1, 3, 5]));
}

#[tokio::test]
async fn a_body_of_many_windows_comes_through() {
    let image = Signed::new().image;
    let padded = [vec![b' '; 10 * usize::try_from(HTTP2_STREAM_WINDOW).unwrap()], image].concat();
    let whole = Arc::new(padded.clone());
    let rest = Mutex::new(0..padded.len());
    let peer = Peer::start_with(true, move |event| {
        let mut rest = rest.lock().unwrap();
        let (stream, room, mut says) = match event {
            Event::Request(stream) => (stream, HTTP2_STREAM_WINDOW, ok(stream, &[("content-type", MANIFEST)])),
            Event::Room(stream, room) => (stream, room, Vec::new()),
        };
        let next: Vec<u8> = whole[rest.clone()].iter().copied().take(usize::try_from(room).unwrap()).collect();
        rest.start += next.len();
        says.extend(next.chunks(16_000).flat_map(|piece| data(stream, piece)));
        if rest.is_empty() {
            says.extend(end(stream));
        }
        vec![Move::Say(says)]
    })
    .await;
    let (client, repository) = client(&peer);
    assert_eq!(resolve(&client, &repository).await.unwrap().digest, digest(&padded));
}

#[tokio::test]
async fn windows_and_header_lists_are_bounded_and_no_push_is_taken() {
    let (_, tally) = ask(true, good).await;
    assert_eq!(tally.settings.get(&INITIAL_WINDOW_SIZE), Some(&HTTP2_STREAM_WINDOW));
    assert_eq!(tally.settings.get(&MAX_HEADER_LIST_SIZE), Some(&MAX_HEADER_LIST_BYTES));
    assert_eq!(tally.settings.get(&ENABLE_PUSH), Some(&0));
    assert_eq!(tally.window, u64::from(HTTP2_CONNECTION_WINDOW));
}

// CVE-2023-44487 and its kin, from the side that a server has.
#[tokio::test]
async fn a_stream_that_is_reset_is_not_asked_for_again() {
    for code in [0, 2, 7, 8, 11] {
        for has_headers in [false, true] {
            let (answer, tally) = ask(true, move |stream| {
                let headers = has_headers.then(|| ok(stream, &[("content-type", MANIFEST)]));
                headers.into_iter().chain([reset(stream, code)]).map(Move::Say).collect()
            })
            .await;
            // After headers, "no error" ends a body like its last frame; what is cut off so is no manifest.
            let is_end = code == 0 && has_headers && matches!(answer, Err(Error::Malformed { .. }));
            assert!(is_end || matches!(answer, Err(Error::Unavailable { .. })), "{code}: {answer:?}");
            assert_eq!((tally.connections, tally.requests.len()), (1, 1), "{code}");
        }
    }
}

#[tokio::test]
async fn a_peer_that_goes_away_at_each_request_is_not_asked_without_end() {
    for last in [0, 1] {
        let (answer, tally) = ask(true, move |_| vec![Move::Say(goaway(last))]).await;
        assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
        assert!(tally.connections <= 2 && tally.requests.len() <= 2, "{tally:?}");
    }
}

// CVE-2024-27316 and its kin.
#[tokio::test]
async fn headers_that_never_end_are_cut() {
    let many = block(&[("x-much", &"x".repeat(100))]).repeat(150)[1..].to_vec();
    // A piece of nothing, a piece that is well-formed, and one that is not.
    for piece in [Vec::new(), many, vec![0x7f; 16_000]] {
        for acknowledges in [true, false] {
            let next = piece.clone();
            let (answer, tally) = ask(acknowledges, move |stream| {
                vec![
                    Move::Say(headers_in_pieces(stream, &block(&[]), false)),
                    Move::Repeat(continuation(stream, &next)),
                ]
            })
            .await;
            assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
            // What is on its way in buffers of the kernel counts too.
            assert!(tally.sent < 8 * 1024 * 1024, "{} bytes", tally.sent);
        }
    }
}

#[tokio::test]
async fn a_header_list_beyond_the_limit_is_refused_however_small_it_comes() {
    let long = "x".repeat(120);
    let much: Vec<(&str, &str)> = vec![("x-much", &long); 1_000];
    // A name and a value of 4,000 bytes that are put into the table once, and then named by one byte each.
    let mut bomb = vec![0x88, 0x40, 1, b'x', 0x7f];
    let mut rest = 3_900 - 127;
    while rest >= 128 {
        bomb.push(u8::try_from(rest % 128).unwrap() | 0x80);
        rest /= 128;
    }
    bomb.push(u8::try_from(rest).unwrap());
    bomb.extend(vec![b'y'; 3_900]);
    bomb.extend(vec![0xbe; 12_000]);
    for block in [block(&much), bomb] {
        for acknowledges in [true, false] {
            let block = block.clone();
            let (answer, _) = ask(acknowledges, move |stream| {
                vec![Move::Say(headers_in_pieces(stream, &block, true)), Move::Say(end(stream))]
            })
            .await;
            assert!(matches!(answer, Err(Error::Unavailable { .. } | Error::TooLarge { .. })), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn frames_that_bring_nothing_end_at_the_time_limit_and_their_connection_soon_after() {
    let headers = |stream| Move::Say(ok(stream, &[("content-type", MANIFEST)]));
    let floods: [Flood; 6] = [
        ("pings", |_| ping()),
        ("settings", |_| setting(INITIAL_WINDOW_SIZE, 65_535)),
        ("tables", |_| [setting(1, 0), setting(1, 4_096)].concat()),
        ("empty data", |stream| data(stream, &[])),
        ("windows", |stream| window(stream, 1)),
        ("priorities", |stream| vec![0, 0, 5, 2, 0, 0, 0, 0, u8::try_from(stream).unwrap(), 0, 0, 0, 0, 1]),
    ];
    let mut flooding = Vec::new();
    for (name, flood) in floods {
        let peer = Peer::start(true, move |stream| vec![headers(stream), Move::Repeat(flood(stream))]).await;
        let (client, repository) = client(&peer);
        let answer = resolve(&client, &repository).await;
        assert!(matches!(answer, Err(Error::Unavailable { .. })), "{name}: {answer:?}");
        assert_eq!(peer.tally().requests.len(), 1, "{name}");
        flooding.push((name, peer, client));
    }
    // The flood does not go on when there is nothing more to ask: the connection is ended although its client lives on.
    for (name, peer, _client) in &flooding {
        let ended = async {
            while peer.tally().ended == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(tokio::time::timeout(IDLE_CONNECTION_LIFE * 4, ended).await.is_ok(), "{name}: {:?}", peer.tally());
    }
}

#[tokio::test]
async fn what_breaks_the_rules_of_http2_is_an_error_and_no_answer() {
    let image = Signed::new().image;
    let headers = |stream| ok(stream, &[("content-type", MANIFEST)]);
    let window_size = usize::try_from(HTTP2_STREAM_WINDOW).unwrap();
    let cases: [Offence; 9] = [
        ("data before headers", Box::new(move |stream| [data(stream, &[1]), end(stream)].concat())),
        ("data of another stream", Box::new(move |_| data(99, &[1]))),
        ("a frame longer than was allowed", Box::new(move |stream| data(stream, &vec![0; 20_000]))),
        (
            "more data than the window has room for",
            Box::new(move |stream| {
                let chunk = data(stream, &[b' '; 16_000]);
                [headers(stream), chunk.repeat(window_size.div_ceil(16_000) * 3)].concat()
            }),
        ),
        (
            "a window beyond all bounds",
            Box::new(move |stream| [window(stream, u32::MAX >> 1), window(stream, u32::MAX >> 1)].concat()),
        ),
        ("a window update of nothing", Box::new(move |stream| window(stream, 0))),
        ("an answer that nobody asked for", Box::new(move |stream| [headers(stream), promise(stream, 2)].concat())),
        (
            "less than its length",
            Box::new({
                let image = image.clone();
                move |stream| {
                    let length = (image.len() + 1).to_string();
                    let headers = ok(stream, &[("content-type", MANIFEST), ("content-length", &length)]);
                    [headers, data(stream, &image), end(stream)].concat()
                }
            }),
        ),
        (
            "more than its length",
            Box::new(move |stream| {
                let length = (image.len() - 1).to_string();
                let headers = ok(stream, &[("content-type", MANIFEST), ("content-length", &length)]);
                [headers, data(stream, &image), end(stream)].concat()
            }),
        ),
    ];
    for (name, says) in cases {
        let (answer, tally) = ask(true, move |stream| vec![Move::Say(says(stream))]).await;
        assert!(matches!(answer, Err(Error::Unavailable { .. })), "{name}: {answer:?}");
        assert!(tally.requests.len() <= 2, "{name}");
    }
}

#[tokio::test]
async fn streams_of_one_connection_that_say_nothing_hold_up_no_other() {
    let silent = |stream: u32| (3..23).contains(&stream);
    let peer = Peer::start(true, move |stream| {
        if silent(stream) {
            let begins = Move::Say(ok(stream, &[("content-type", MANIFEST)]));
            vec![begins, Move::Fill { stream, bytes: 16_000, size: 16_000 }]
        } else {
            good(stream)
        }
    })
    .await;
    let (client, repository) = client(&peer);
    resolve(&client, &repository).await.unwrap();
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let (client, repository) = (client.clone(), repository.clone());
            tokio::spawn(async move { resolve(&client, &repository).await })
        })
        .collect();
    while peer.tally().requests.len() < 11 {
        tokio::task::yield_now().await;
    }
    assert!(resolve(&client, &repository).await.is_ok());
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()), "they still wait");
    for waiting in waiting {
        assert!(waiting.await.unwrap().is_err());
    }
    assert_eq!(peer.tally().connections, 1);
}
