// SPDX-License-Identifier: Apache-2.0

//! `sealwatch mirror` at the same doors, and a mirror that breaks while it is written to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use sealwatch_e2e::cli::{self, Desk, Ran};
use sealwatch_e2e::scene;
use sealwatch_e2e::testenv::{ACCOUNT, Door, Format, PushedImage, Registry, Result, SignOptions, Software};
use serde_json::{Value, json};

use crate::{WRONG, authority, name_of, ours};

/// An image with a COSE and a JWS signature.
async fn signed(desk: &Desk, registry: &Registry) -> Result<PushedImage> {
    let image = registry.push_image("team/app", "1", "pushed").await?;
    let referrers_api = registry.has_referrers_api();
    for format in [Format::Cose, Format::Jws] {
        let options = SignOptions { format, referrers_api, ..SignOptions::default() };
        let notation = desk.notation.entering(registry);
        notation.sign(&image.by_digest(), &desk.pki.operations, &options).await?;
    }
    Ok(image)
}

/// The settings for these registries, which open with this password.
fn settings(registries: &[&Registry], password: &str) -> Value {
    let mut contents = scene::registries(registries);
    for registry in registries.iter().filter(|registry| registry.door().is_locked()) {
        contents["configs"][registry.host()]["auth"] = json!({"username": ACCOUNT.0, "password": password});
    }
    contents
}

#[tokio::test]
async fn signatures_are_copied_through_every_door_and_a_closed_one_is_one_sentence() -> Result<()> {
    let private = authority("Private CA of the mirrors")?;
    let mut from = Registry::behind(Software::Olareg, Door::Bearer, &private).await?;
    let desk = Desk::set(&from, true, &[]).await?;
    let image = signed(&desk, &from).await?;
    for software in Software::ALL {
        for door in [Door::Tls, Door::Basic, Door::Bearer] {
            let to = Registry::behind(software, door, &private).await?;
            let copy = to.push_image("mirror/app", "1", "pushed").await?;
            assert_eq!(copy.digest, image.digest);
            let case = name_of(&to);
            let mirror = async |contents: &Value| -> Result<Ran> {
                let file = scene::write_registries(desk.folder(), contents, &[&from, &to])?.display().to_string();
                to.clear_access_log();
                cli::run(["mirror", "--registries", &file, &image.by_digest(), &copy.repository]).await
            };
            let writes = || -> Vec<String> {
                let log = ours(&to.access_log(), "/v2/");
                let is_write = |method: &str| !matches!(method, "GET" | "HEAD");
                log.into_iter().filter(|one| is_write(&one.method)).map(|one| one.path).collect()
            };
            let both = [&from, &to];
            let mut closed = Vec::new();
            if door.is_locked() {
                let mut wrong = settings(&both, ACCOUNT.1);
                wrong["configs"][to.host()]["auth"]["password"] = WRONG.into();
                // What to do next.
                closed.push((wrong, "; credentials are read from "));
            }
            let mut unknown = settings(&both, ACCOUNT.1);
            unknown["configs"][to.host()]["tls"] = json!({});
            closed.push((unknown, "connection failed: invalid peer certificate: UnknownIssuer"));
            for (contents, words) in closed {
                let ran = mirror(&contents).await?;
                assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.lines().count()), (Some(3), "", 1), "{ran:?}");
                let said = format!("sealwatch: error: {}: ", to.host());
                assert!(ran.stderr.starts_with(&said) && ran.stderr.contains(words), "{case}: {ran:?}");
                assert!(!ran.stderr.contains(WRONG), "{ran:?}");
                // olareg lets nobody begin an upload either way; what counts is that nothing is there.
                assert!(writes().iter().all(|path| path.ends_with("/uploads/")), "{case}: {:?}", writes());
            }
            let open = settings(&both, ACCOUNT.1);
            let ran = mirror(&open).await?;
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{case}: {ran:?}");
            assert!(ran.stdout.starts_with("Copied 2 signatures of "), "{case}: {ran:?}");
            let again = mirror(&open).await?;
            assert!(again.stdout.contains(" has the 2 signatures of ") && writes().is_empty(), "{case}: {again:?}");
            let file = scene::write_registries(desk.folder(), &open, &both)?.display().to_string();
            let policy = desk.notation_policy(&{
                let mut document = scene::seed_document();
                document["trustPolicies"][0]["registryScopes"] = json!(["*"]);
                document
            })?;
            let flags = ["verify", "--registries", &file, &copy.by_digest()].map(str::to_owned);
            let ran = cli::run(flags.iter().chain(&policy)).await?;
            assert_eq!(ran.code, Some(0), "{case}: {ran:?}");
        }
    }
    // Where the signatures are to come from, likewise.
    let to = Registry::olareg().await?;
    let copy = to.push_image("mirror/app", "1", "pushed").await?;
    let mut wrong = settings(&[&from, &to], WRONG);
    wrong["mirrors"] = scene::registries(&[&to])["mirrors"].clone();
    let file = scene::write_registries(desk.folder(), &wrong, &[&from, &to])?.display().to_string();
    let args = ["mirror", "--registries", &file, &image.by_digest(), &copy.repository];
    let ran = cli::run(args).await?;
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.lines().count()), (Some(3), "", 1), "{ran:?}");
    assert!(ran.stderr.contains(&from.host()), "{ran:?}");
    from.stop();
    Ok(())
}

/// A way to a registry that breaks at one of the writes, before or after it has arrived, and stays broken.
struct Way {
    target: String,
    /// How many writes are let through.
    room: AtomicUsize,
    /// Whether the write that breaks arrives.
    arrives: bool,
    is_broken: AtomicBool,
}

impl Way {
    /// Opens it, and gives its host.
    async fn open(registry: &Registry, room: usize, arrives: bool) -> Result<(Arc<Self>, String)> {
        let (room, is_broken) = (AtomicUsize::new(room), AtomicBool::new(false));
        let way = Arc::new(Self { target: registry.url(), room, arrives, is_broken });
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let host = listener.local_addr()?.to_string();
        let router = Router::new().fallback(pass).with_state(Arc::clone(&way));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok((way, host))
    }

    fn mend(&self) {
        self.room.store(usize::MAX, Ordering::SeqCst);
        self.is_broken.store(false, Ordering::SeqCst);
    }

    async fn forward(&self, method: Method, uri: Uri, mut headers: HeaderMap, body: Bytes) -> Result<Response> {
        headers.remove("content-length");
        let url = format!("{}{uri}", self.target);
        let request = reqwest::Client::new().request(method, url).headers(headers).body(body);
        let answer = request.send().await?;
        let mut response = Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            if name != "transfer-encoding" {
                response = response.header(name, value);
            }
        }
        Ok(response.body(Body::from(answer.bytes().await?))?)
    }
}

/// An answer that breaks off.
fn broken() -> Response {
    let cut = futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("broken")) });
    Response::builder().header("content-length", "100").body(Body::from_stream(cut)).expect("a response")
}

async fn pass(State(way): State<Arc<Way>>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let is_write = !matches!(method, Method::GET | Method::HEAD);
    if is_write && way.room.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |room| room.checked_sub(1)).is_err() {
        let is_first = !way.is_broken.swap(true, Ordering::SeqCst);
        if is_first && way.arrives {
            let _ = way.forward(method, uri, headers, body).await;
        }
        return broken();
    }
    if way.is_broken.load(Ordering::SeqCst) {
        return broken();
    }
    way.forward(method, uri, headers, body).await.unwrap_or_else(|_| broken())
}

/// The signatures that are listed for an image, every one of which is whole.
async fn whole(image: &str) -> Result<usize> {
    let ran = cli::run(["inspect", "--insecure-registry", "-o", "json", image]).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let answer: Value = serde_json::from_str(&ran.stdout)?;
    Ok(answer[0]["signatures"].as_array().map_or(0, Vec::len))
}

#[tokio::test]
async fn a_mirror_that_breaks_at_any_write_is_left_whole_and_can_be_tried_again() -> Result<()> {
    let from = Registry::olareg().await?;
    let desk = Desk::set(&from, true, &[]).await?;
    let image = signed(&desk, &from).await?;
    for to in [Registry::olareg().await?, Registry::distribution().await?] {
        let mut broke = 0;
        for room in 0.. {
            let arrives = room % 2 == 1;
            let repository = format!("mirror/app-{room}");
            let copy = to.push_image(&repository, "1", "pushed").await?;
            let (way, host) = Way::open(&to, room, arrives).await?;
            let args = ["mirror", "--insecure-registry", &image.by_digest(), &format!("{host}/{repository}")];
            let ran = cli::run(args).await?;
            if ran.code == Some(0) {
                break;
            }
            broke += 1;
            assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.lines().count()), (Some(3), "", 1), "{ran:?}");
            assert!(ran.stderr.starts_with(&format!("sealwatch: error: {host}: ")), "{ran:?}");
            assert!(whole(&copy.by_digest()).await? <= 2, "{room}");
            way.mend();
            let ran = cli::run(args).await?;
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{room}: {ran:?}");
            assert_eq!(whole(&copy.by_digest()).await?, 2, "{room}");
        }
        assert!(broke >= 6, "{broke} writes were broken");
    }
    Ok(())
}
