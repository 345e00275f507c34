// SPDX-License-Identifier: Apache-2.0

//! A reverse proxy that writes down each request.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::header::{CONNECTION, TRANSFER_ENCODING, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response, StatusCode};

use super::Request;
use crate::testenv::Result;
use crate::testenv::server::Server;

/// The largest body that is passed on; the images of the tests are far smaller.
const LARGEST_BODY: usize = 64 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Proxy {
    server: Server,
    log: Log,
}

type Log = Arc<Mutex<Vec<Request>>>;

#[derive(Clone)]
struct Forward {
    client: reqwest::Client,
    backend: SocketAddr,
    log: Log,
}

impl Proxy {
    pub(super) fn start(backend: SocketAddr) -> Result<Self> {
        let log = Log::default();
        let forward = Forward { client: client()?, backend, log: Arc::clone(&log) };
        let server = Server::start(Router::new().fallback(pass_on).with_state(forward))?;
        Ok(Self { server, log })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub(super) fn log(&self) -> Vec<Request> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn clear_log(&self) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn stop(&mut self) {
        self.server.stop();
    }
}

/// A client that changes nothing: no redirects followed, nothing decompressed, no proxy of the environment.
pub(super) fn client() -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    let builder = builder.no_gzip().no_brotli().no_zstd().no_deflate().pool_max_idle_per_host(0);
    Ok(builder.build()?)
}

async fn pass_on(State(forward): State<Forward>, request: axum::extract::Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let mut entry = Request {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        status: StatusCode::BAD_GATEWAY.as_u16(),
        user_agent: parts
            .headers
            .get(USER_AGENT)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .unwrap_or_default(),
    };
    let response = forward.ask(parts, body).await.unwrap_or_else(|error| {
        let mut response = Response::new(Body::from(error.to_string()));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    });
    entry.status = response.status().as_u16();
    forward.log.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    response
}

impl Forward {
    async fn ask(&self, parts: Parts, body: Body) -> Result<Response<Body>> {
        let url = format!("http://{}{}", self.backend, parts.uri);
        let body = to_bytes(body, LARGEST_BODY).await?;
        let request = self.client.request(parts.method, url).headers(end_to_end(parts.headers)).body(body);
        let answer = request.send().await?;
        let (status, headers) = (answer.status(), end_to_end(answer.headers().clone()));
        let mut response = Response::new(Body::from(answer.bytes().await?));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// Without the headers that belong to one connection only (RFC 9110 section 7.6.1).
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    headers.remove(CONNECTION);
    headers.remove(TRANSFER_ENCODING);
    headers
}
