// SPDX-License-Identifier: Apache-2.0

//! A reverse proxy that writes down each request.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONNECTION, HeaderName, TRANSFER_ENCODING, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response, StatusCode};

use super::{Request, Tls};
use crate::testenv::Result;
use crate::testenv::server::Server;

/// The largest body that is passed on; the images of the tests are far smaller.
const LARGEST_BODY: usize = 64 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Proxy {
    server: Server,
    backend: Arc<OnceLock<SocketAddr>>,
    log: Log,
}

/// Every request, in the order of the answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Log(Arc<Mutex<Vec<Request>>>);

impl Log {
    pub(super) fn entries(&self) -> Vec<Request> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn add(&self, parts: &Parts, status: StatusCode) {
        let text = |name: HeaderName| {
            let value = parts.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
            value.unwrap_or_default()
        };
        let request = Request {
            method: parts.method.to_string(),
            path: parts.uri.to_string(),
            status: status.as_u16(),
            user_agent: text(USER_AGENT),
            authorization: text(AUTHORIZATION),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    }
}

#[derive(Clone)]
struct Forward {
    client: reqwest::Client,
    scheme: &'static str,
    backend: Arc<OnceLock<SocketAddr>>,
    log: Log,
}

impl Proxy {
    /// Starts it at an address of this machine; it answers 502 until [`Proxy::forward_to`] says whom it stands for. With `tls`, both sides speak TLS.
    pub(super) fn start(host: IpAddr, tls: Option<&Tls>, log: &Log) -> Result<Self> {
        let backend = Arc::new(OnceLock::new());
        let forward = Forward {
            client: client(tls)?,
            scheme: if tls.is_some() { "https" } else { "http" },
            backend: Arc::clone(&backend),
            log: log.clone(),
        };
        let router = Router::new().fallback(pass_on).with_state(forward);
        let server = Server::start_at(host, tls.map(|tls| &tls.key), router)?;
        Ok(Self { server, backend, log: log.clone() })
    }

    /// From now on, this is asked; a second call changes nothing.
    pub(super) fn forward_to(&self, backend: SocketAddr) {
        let _ = self.backend.set(backend);
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    pub(super) fn stop(&mut self) {
        self.server.stop();
    }
}

/// A client that changes nothing: no redirects followed, nothing decompressed, no proxy of the environment.
pub(super) fn client(tls: Option<&Tls>) -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    // In HTTP/2, the registry would learn its own address and not the proxy's, and send its clients there.
    let builder = builder.http1_only().no_gzip().no_brotli().no_zstd().no_deflate().pool_max_idle_per_host(0);
    let authorities = tls.map(|tls| reqwest::Certificate::from_pem(tls.authority_pem.as_bytes())).transpose()?;
    Ok(builder.tls_certs_only(authorities).build()?)
}

async fn pass_on(State(forward): State<Forward>, request: axum::extract::Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let response = forward.ask(parts.clone(), body).await.unwrap_or_else(|error| {
        let mut response = Response::new(Body::from(error.to_string()));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    });
    forward.log.add(&parts, response.status());
    response
}

impl Forward {
    async fn ask(&self, parts: Parts, body: Body) -> Result<Response<Body>> {
        let backend = self.backend.get().ok_or("the registry has not started yet")?;
        let url = format!("{}://{backend}{}", self.scheme, parts.uri);
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
