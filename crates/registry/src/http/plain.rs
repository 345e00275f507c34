// SPDX-License-Identifier: Apache-2.0
//! Plain HTTP to whatever a certificate points to: OCSP responders and revocation lists.
//!
//! Such a URL was chosen by whoever made the certificate, so it is trusted less than a registry: http only, no
//! credentials and no cookies, no redirect is followed, status 200 only, one total time limit, bodies bounded before
//! and while they are read, public addresses only unless the operator's settings say otherwise. Where a proxy is set for
//! http, it resolves the names, and so the names themselves are all that can be looked at here.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use reqwest::{Client, Proxy, StatusCode, Url};
use tokio::sync::Semaphore;

use super::RegistryOptions;
use super::transport::{Limit, declared_length, failure, install_crypto, read_body, refused, through, with_port};
use crate::egress::{Guard, GuardedResolver, Reach, Refusal, SystemNames};
use crate::error::{At, Error, Operation, printable};
use crate::limits::{MAX_HEADER_LINES, MAX_PLAIN_BYTES_IN_FLIGHT, MAX_PLAIN_REQUESTS};
use crate::proxies::Proxies;

/// One request. There is no header that the caller could set beside these.
#[derive(Clone, Copy, Debug)]
pub struct PlainRequest<'a> {
    /// Where to.
    pub url: &'a str,
    /// What is posted, with its media type; without it, it is a GET.
    pub post: Option<(&'static str, &'a [u8])>,
    /// The media types that are understood.
    pub accept: &'static str,
    /// Most bytes of the body.
    pub max_bytes: usize,
    /// Time for everything, from the name lookup to the last byte.
    pub time_limit: Duration,
}

/// Why there is no body; its `Display` form reads after "could not be asked: ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlainError {
    /// Not a URL that may be asked.
    #[error("it is not an http URL without credentials")]
    Url,
    /// The egress guard refused the address; nothing was sent to it.
    #[error("egress to {host} ({address}) refused: {setting}")]
    EgressRefused {
        /// `host:port` that would have been asked.
        host: String,
        /// The address that it is, or that its name resolved to.
        address: IpAddr,
        /// The setting that would allow it.
        setting: &'static str,
    },
    /// The proxy would be asked for a name that may be internal; nothing was sent. Only the proxy resolves it, so no
    /// address is known.
    #[error("egress to {host} through the proxy refused by its name: {setting}")]
    NameRefused {
        /// `host:port` that would have been asked for.
        host: String,
        /// The setting that would allow it.
        setting: &'static str,
    },
    /// The time limit.
    #[error("no answer within {} s", limit.as_secs())]
    TimeLimit {
        /// The limit.
        limit: Duration,
    },
    /// Another status than 200.
    #[error("status {status}{}", hint(*status))]
    Status {
        /// The status.
        status: u16,
    },
    /// A body, or its declared size, beyond the limit.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// Name resolution, connection, a body that broke off.
    #[error("{detail}")]
    Failed {
        /// What happened.
        detail: String,
    },
}

/// Fetches by plain HTTP what certificates point to. Clones share its bounds.
#[derive(Clone)]
pub struct PlainFetcher {
    named: Client,
    foreign: Client,
    /// For what goes through the proxy.
    proxied: Client,
    proxies: Proxies,
    guard: Arc<Guard>,
    requests: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

impl std::fmt::Debug for PlainFetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlainFetcher").field("guard", &self.guard).finish_non_exhaustive()
    }
}

impl PlainFetcher {
    /// A fetcher that keeps to the egress settings and the proxies of these options: `allow_egress`, the `host:port`s of
    /// `registries`, and `proxies`. Neither `named_hosts` nor credentials nor time limits count here.
    ///
    /// # Errors
    /// [`Error::Unusable`] with what the HTTP client says.
    pub fn new(options: &RegistryOptions) -> Result<Self, Error> {
        let guard = Guard { allowed: options.allow_egress.clone(), named: options.registries.named().collect() };
        let guard = Arc::new(guard);
        install_crypto(); // the client cannot be made without, although it speaks no TLS
        let client = |reach, proxy| {
            client(&guard, reach, proxy, options).map_err(|error| Error::Unusable {
                at: At { registry: "http client".to_owned(), operation: Operation::Open },
                what: printable(&error.to_string()),
            })
        };
        Ok(Self {
            named: client(Reach::Named, None)?,
            foreign: client(Reach::Foreign, None)?,
            // The only name that is resolved here is the proxy's, which is the operator's choice.
            proxied: client(Reach::Named, options.proxies.http())?,
            proxies: options.proxies.clone(),
            guard: Arc::clone(&guard),
            requests: Arc::new(Semaphore::new(MAX_PLAIN_REQUESTS)),
            bytes: Arc::new(Semaphore::new(usize::try_from(MAX_PLAIN_BYTES_IN_FLIGHT).unwrap_or(usize::MAX))),
        })
    }

    /// The body of a response of status 200. Waiting for a place among the requests is not counted as their time.
    ///
    /// # Errors
    /// [`PlainError`].
    pub async fn fetch(&self, request: &PlainRequest<'_>) -> Result<Bytes, PlainError> {
        let url = Url::parse(request.url).map_err(|_| PlainError::Url)?;
        let is_plain = url.scheme() == "http" && url.username().is_empty() && url.password().is_none();
        let (Some(host), Some(port), true) = (url.host_str(), url.port_or_known_default(), is_plain) else {
            return Err(PlainError::Url);
        };
        let reach = self.guard.reach(host, port, Reach::Foreign);
        let at = At { registry: host.to_owned(), operation: Operation::Ask };
        if self.proxies.proxy_for(&url).is_some() {
            let refuse = |setting| PlainError::NameRefused { host: with_port(&url), setting };
            Guard::check_name(reach, host).map_err(refuse)?;
        }
        // No name is resolved for a literal address, so it is checked here.
        if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse() {
            let refuse = |setting| in_our_words(refused(&at, &url, &Refusal { address, setting }), request);
            self.guard.check(reach, address).map_err(refuse)?;
        }
        // The semaphores are never closed.
        let _place = self.requests.acquire().await.ok();
        let limit = request.time_limit;
        tokio::time::timeout(limit, self.exchange(&at, url, reach, request))
            .await
            .unwrap_or(Err(PlainError::TimeLimit { limit }))
    }

    async fn exchange(&self, at: &At, url: Url, reach: Reach, request: &PlainRequest<'_>) -> Result<Bytes, PlainError> {
        let proxy = self.proxies.proxy_for(&url);
        let client = match (proxy, reach) {
            (Some(_), _) => &self.proxied,
            (None, Reach::Named) => &self.named,
            (None, _) => &self.foreign,
        };
        let builder = match request.post {
            Some((media_type, body)) => client.post(url.clone()).header(CONTENT_TYPE, media_type).body(body.to_vec()),
            None => client.get(url.clone()),
        };
        let sent = builder.header(ACCEPT, request.accept).header(ACCEPT_ENCODING, "identity").send().await;
        let response = sent.map_err(|error| {
            let failure = failure(at, &url, &error);
            in_our_words(if let Some(proxy) = proxy { through(proxy, failure) } else { failure }, request)
        })?;
        if response.status() != StatusCode::OK {
            return Err(PlainError::Status { status: response.status().as_u16() });
        }
        let most = u64::try_from(request.max_bytes).unwrap_or(u64::MAX);
        let expected = declared_length(response.headers()).unwrap_or(most).min(most);
        // What does not say how long it is may be as long as it can be.
        let permits = u32::try_from(expected).unwrap_or(u32::MAX).min(MAX_PLAIN_BYTES_IN_FLIGHT);
        let _room = self.bytes.acquire_many(permits).await.ok();
        let body = read_body(at, &url, Limit { bytes: most, what: "answer" }, response).await;
        body.map_err(|error| in_our_words(error, request))
    }
}

/// No TLS is spoken but with a proxy that wants it, and no connection is kept: the next question to the same host comes
/// an hour later.
fn client(
    guard: &Arc<Guard>,
    reach: Reach,
    proxy: Option<&Url>,
    options: &RegistryOptions,
) -> Result<Client, reqwest::Error> {
    let builder = || {
        let names = options.names.clone().unwrap_or_else(|| Arc::new(SystemNames));
        Client::builder()
            .user_agent(options.user_agent())
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .http1_only()
            .http1_max_headers(MAX_HEADER_LINES)
            .pool_max_idle_per_host(0)
            .dns_resolver(GuardedResolver { guard: Arc::clone(guard), reach, names })
    };
    let Some(url) = proxy else { return builder().tls_certs_only([]).build() };
    let builder = || Ok(builder().proxy(Proxy::http(url.clone())?));
    if url.scheme() == "https" { builder()?.build() } else { builder()?.tls_certs_only([]).build() }
}

/// What a status says that people cannot know by its number.
fn hint(status: u16) -> &'static str {
    match status {
        300..400 => "; redirects are not followed",
        407 => "; the proxy asks for a user name and password",
        _ => "",
    }
}

fn in_our_words(error: Error, request: &PlainRequest<'_>) -> PlainError {
    match error {
        Error::EgressRefused { host, address, setting, .. } => PlainError::EgressRefused { host, address, setting },
        Error::TooLarge { .. } => PlainError::TooLarge { limit: request.max_bytes },
        Error::Unavailable { detail, .. } => PlainError::Failed { detail },
        Error::Malformed { what, .. } => PlainError::Failed { detail: what },
        other => PlainError::Failed { detail: other.to_string() },
    }
}
