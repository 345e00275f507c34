// SPDX-License-Identifier: Apache-2.0
//! One HTTP exchange: guarded, bounded, with a time limit, and with redirects that carry no credentials elsewhere.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH,
    LOCATION,
};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::time::Instant;

use super::body::{Pace, Room};
use super::clients::Clients;
use super::patience::Patience;
use super::token::retry_after;
use super::turns::{Place, Turns};
use crate::credentials::CredentialKey;
use crate::egress::{Guard, Reach, Refusal};
use crate::error::{At, Error, printable};
use crate::limits::{FIRST_BODY_BYTES, MAX_ERROR_BODY_BYTES, MAX_HEADER_BYTES, MAX_HEADER_LIST_BYTES};
use crate::mirrors::host_of;
use crate::proxies::host_and_port;

/// What HTTP/2 counts for a header beside its name and value (RFC 9113, section 6.5.2).
const HEADER_OVERHEAD: usize = 32;

/// Whom a registry counts requests for: its origin, and the credential.
pub(super) type Account = (String, CredentialKey);

/// What is asked.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) accept: String,
    pub(super) authorization: Option<HeaderValue>,
    /// The `If-None-Match` header.
    pub(super) unless: Option<HeaderValue>,
    pub(super) body: Option<Body>,
    pub(super) reach: Reach,
    /// The registry that led to this URL, if it is not the registry's own.
    pub(super) led_by: Option<Url>,
    /// Who is throttled if the answer says so.
    pub(super) account: Option<Account>,
    pub(super) limit: Limit,
    pub(super) redirects: usize,
}

/// What is sent.
#[derive(Clone)]
pub(super) struct Body {
    pub(super) media_type: String,
    pub(super) bytes: Bytes,
    /// The `If-Match` header.
    pub(super) only_if: Option<HeaderValue>,
}

impl Body {
    /// An `application/x-www-form-urlencoded` body.
    pub(super) fn form(encoded: String) -> Self {
        Self { media_type: "application/x-www-form-urlencoded".to_owned(), bytes: encoded.into(), only_if: None }
    }
}

/// How much of a successful body is read, and what it is called in [`Error::TooLarge`].
#[derive(Clone, Copy)]
pub(super) struct Limit {
    pub(super) bytes: u64,
    pub(super) what: &'static str,
}

/// What came back: status, headers and the whole, bounded body.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Whether a redirect led to another origin, so that the answer is not the one of whom we asked.
    pub(super) is_foreign: bool,
}

/// Requests and what is checked before each of them.
pub(super) struct Transport {
    clients: Clients,
    guard: Arc<Guard>,
    total: Duration,
    turns: Turns,
    /// Hosts that do not answer, by origin.
    silent: Patience<String>,
    /// Registries that throttle: what one account used up is no limit for another.
    throttled: Patience<Account>,
}

/// What came of one step of an exchange.
enum Step {
    Done(Answer),
    Redirect(Url),
}

impl Transport {
    pub(super) fn new(guard: Arc<Guard>, clients: Clients, total: Duration) -> Self {
        let (silent, throttled) = (Patience::with_silence(), Patience::with_throttling());
        Self { clients, guard, total, turns: Turns::default(), silent, throttled }
    }

    /// Sends `request`, follows its redirects and reads the body, all within the total time limit. Waiting for a turn is
    /// not the server's time.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::EgressRefused`], [`Error::TooLarge`], [`Error::Malformed`];
    /// [`Error::Throttled`] if the account asked not long ago, and was told to wait. A status is no error here.
    pub(super) async fn exchange(&self, at: &At, mut request: Request) -> Result<Answer, Error> {
        let (first, mut left) = (request.url.origin(), self.total);
        for _ in 0..=request.redirects {
            let is_foreign = request.url.origin() != first;
            let place = self.turn(at, &request, is_foreign).await?;
            let began = Instant::now();
            let step = tokio::time::timeout(left, self.step(at, &request, is_foreign)).await;
            drop(place);
            left = left.saturating_sub(began.elapsed());
            let target = match step.unwrap_or_else(|_| Err(Error::unavailable(at, "time limit reached")))? {
                Step::Done(answer) => {
                    self.note_throttling(&request, &answer);
                    return Ok(answer);
                }
                Step::Redirect(target) => target,
            };
            if target.origin() != request.url.origin() {
                request.authorization = None;
                request.unless = None;
                request.reach = Reach::Foreign;
                request.led_by.get_or_insert_with(|| request.url.clone());
            }
            request.url = target;
        }
        Err(Error::malformed(at, format!("more than {} redirects", request.redirects)))
    }

    /// Waits for a place at the host, and until its rate allows the request. Whether it is left alone is asked once there
    /// is a place: that may have come up meanwhile.
    async fn turn(&self, at: &At, request: &Request, is_foreign: bool) -> Result<Place, Error> {
        let origin = request.url.origin().ascii_serialization();
        let place = self.turns.place(&origin).await;
        self.silent.check(&origin).map_err(|wait| not_asked(at, wait))?;
        if let Some(account) = request.account.as_ref().filter(|_| !is_foreign) {
            let throttled = |wait| Error::Throttled { at: at.clone(), retry_after: Some(wait) };
            self.throttled.check(account).map_err(throttled)?;
        }
        place.pace().await;
        Ok(place)
    }

    fn note_throttling(&self, request: &Request, answer: &Answer) {
        let Some(account) = &request.account else { return };
        match (answer.status, retry_after(&answer.headers)) {
            (StatusCode::TOO_MANY_REQUESTS, wish) => self.throttled.failed(account, wish),
            (status, Some(wish)) if status.is_server_error() => self.throttled.failed(account, Some(wish)),
            _ => {}
        }
    }

    /// It answered as it should.
    pub(super) fn note_answer(&self, account: &Account) {
        self.throttled.answered(account);
    }

    async fn step(&self, at: &At, request: &Request, is_foreign: bool) -> Result<Step, Error> {
        let response = self.send(at, request).await?;
        check_header_list(at, response.headers())?;
        Ok(match redirect_target(at, &request.url, response.status(), response.headers())? {
            Some(target) => Step::Redirect(target),
            None => Step::Done(read(at, request, response, is_foreign).await?),
        })
    }

    async fn send(&self, at: &At, request: &Request) -> Result<Response, Error> {
        let reach = self.check(at, &request.url, request.reach)?;
        let client = self.clients.choose(&request.url, reach, request.led_by.as_ref());
        let client = client.map_err(|what| Error::Unusable { at: at.clone(), what })?;
        let mut builder = client
            .request(request.method.clone(), request.url.clone())
            .header(ACCEPT, &request.accept)
            .header(ACCEPT_ENCODING, "identity");
        if let Some(authorization) = &request.authorization {
            builder = builder.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(tag) = &request.unless {
            builder = builder.header(IF_NONE_MATCH, tag.clone());
        }
        if let Some(body) = &request.body {
            builder = builder.header(CONTENT_TYPE, &body.media_type).body(body.bytes.clone());
            if let Some(tag) = &body.only_if {
                builder = builder.header(IF_MATCH, tag.clone());
            }
        }
        let origin = request.url.origin().ascii_serialization();
        match builder.send().await {
            Ok(response) => {
                self.silent.answered(&origin);
                Ok(response)
            }
            Err(error) => {
                let failure = failure(at, &request.url, &error);
                if matches!(failure, Error::Unavailable { .. }) {
                    self.silent.failed(&origin, None);
                }
                Err(match self.clients.proxy_for(&request.url) {
                    Some(proxy) => through(proxy, failure),
                    None => failure,
                })
            }
        }
    }

    /// The reach of a URL's host; a literal address is checked here because no name is resolved for it.
    ///
    /// # Errors
    /// [`Error::EgressRefused`] for a literal address that may not be asked; [`Error::Malformed`] for a URL that is not
    /// http or https, or that holds credentials.
    pub(super) fn check(&self, at: &At, url: &Url, asked: Reach) -> Result<Reach, Error> {
        let is_plain =
            matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
        let (Some(host), Some(port), true) = (url.host_str(), url.port_or_known_default(), is_plain) else {
            return Err(Error::malformed(at, "URL is not an http or https URL without credentials"));
        };
        let reach = self.guard.reach(host, port, asked);
        if self.clients.proxy_for(url).is_some() {
            // The proxy resolves the name, so the name itself is all that can be looked at.
            let refuse = |setting| Error::NameRefused { at: at.clone(), host: with_port(url), setting };
            Guard::check_name(reach, host).map_err(refuse)?;
        }
        if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse() {
            self.guard.check(reach, address).map_err(|setting| refused(at, url, &Refusal { address, setting }))?;
        }
        Ok(reach)
    }
}

/// HTTP/1.1 has no setting for this; HTTP/2 has, and ends the stream before.
fn check_header_list(at: &At, headers: &HeaderMap) -> Result<(), Error> {
    let of_one = |(name, value): (&HeaderName, &HeaderValue)| {
        name.as_str().len().saturating_add(value.len()).saturating_add(HEADER_OVERHEAD)
    };
    let size = headers.iter().map(of_one).fold(0_usize, usize::saturating_add);
    if u32::try_from(size).is_ok_and(|size| size <= MAX_HEADER_LIST_BYTES) {
        return Ok(());
    }
    Err(Error::TooLarge { at: at.clone(), what: "header list", limit: u64::from(MAX_HEADER_LIST_BYTES) })
}

/// One provider for all TLS of the process; if one is installed already, that is the one.
pub(super) fn install_crypto() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
}

/// Where a redirect leads, or `None` if the answer is none.
fn redirect_target(at: &At, from: &Url, status: StatusCode, headers: &HeaderMap) -> Result<Option<Url>, Error> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
    let location = location.filter(|location| location.len() <= MAX_HEADER_BYTES);
    let target = location.and_then(|location| from.join(location).ok());
    let target = target.ok_or_else(|| Error::malformed(at, "redirect without a usable Location"))?;
    if from.scheme() == "https" && target.scheme() != "https" {
        return Err(Error::malformed(at, "redirect from https to http"));
    }
    Ok(Some(target))
}

async fn read(at: &At, request: &Request, response: Response, is_foreign: bool) -> Result<Answer, Error> {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = if request.method == Method::HEAD {
        Bytes::new()
    } else if status.is_success() {
        read_body(at, &request.url, request.limit, response).await?
    } else {
        // An error body is read for its code only; one that cannot be read has none.
        let limit = Limit { bytes: MAX_ERROR_BODY_BYTES, what: "error" };
        read_body(at, &request.url, limit, response).await.unwrap_or_default()
    };
    Ok(Answer { status, headers, body, is_foreign })
}

/// Reads a body, and drops the connection at the first byte beyond the limit.
pub(super) async fn read_body(at: &At, url: &Url, limit: Limit, mut response: Response) -> Result<Bytes, Error> {
    let Limit { bytes: limit, what } = limit;
    let too_large = || Error::TooLarge { at: at.clone(), what, limit };
    let encoding = response.headers().get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
        return Err(Error::malformed(at, format!("{what} with Content-Encoding, which was not asked for")));
    }
    if declared_length(response.headers()).is_some_and(|declared| declared > limit) {
        return Err(too_large());
    }
    let most = declared_length(response.headers()).unwrap_or(limit);
    let (mut room, mut pace) = (Room::default(), Pace::start());
    let mut body = BytesMut::with_capacity(FIRST_BODY_BYTES.min(usize::try_from(limit).unwrap_or(FIRST_BODY_BYTES)));
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(at, url, &error))? {
        let total = body.len().saturating_add(chunk.len());
        if u64::try_from(total).map_or(true, |total| total > limit) {
            return Err(too_large());
        }
        if !pace.keeps_up(chunk.len()) {
            return Err(Error::unavailable(at, format!("{what} comes too slowly")));
        }
        let before = Instant::now();
        room.make(&mut body, total, most).await;
        pace.forgive(before.elapsed());
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The `Content-Length` header, if it is a number.
pub(super) fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The media type of `Content-Type`, in lower case, without parameters.
pub(super) fn content_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// An error of the HTTP client in our words: the client's own text may hold a URL with a signature in it.
pub(super) fn failure(at: &At, url: &Url, error: &reqwest::Error) -> Error {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        if let Some(refusal) = source.downcast_ref::<Refusal>() {
            return refused(at, url, refusal);
        }
        deepest = source;
    }
    let step = if error.is_timeout() {
        return Error::unavailable(at, "time limit reached");
    } else if error.is_dns() {
        "name resolution failed"
    } else if error.is_connect() {
        "connection failed"
    } else if error.is_body() || error.is_decode() {
        "body broke off"
    } else {
        "request failed"
    };
    let detail =
        if error.source().is_some() { format!("{step}: {}", printable(&deepest.to_string())) } else { step.to_owned() };
    Error::unavailable(at, detail)
}

pub(super) fn refused(at: &At, url: &Url, refusal: &Refusal) -> Error {
    Error::EgressRefused { at: at.clone(), host: with_port(url), address: refusal.address, setting: refusal.setting }
}

pub(super) fn with_port(url: &Url) -> String {
    match (url.port(), url.port_or_known_default()) {
        (None, Some(port)) => format!("{}:{port}", host_of(url)),
        _ => host_of(url),
    }
}

/// The host did not answer a moment ago, and is left alone.
fn not_asked(at: &At, wait: Duration) -> Error {
    let detail = "not asked again yet: it did not answer just now".to_owned();
    Error::Unavailable { at: at.clone(), detail, retry_after: Some(wait) }
}

/// Says of a failed connection that a proxy was on the way: it is the first thing to look at.
pub(super) fn through(proxy: &Url, error: Error) -> Error {
    match error {
        Error::Unavailable { at, detail, retry_after } => {
            let detail = format!("{detail} (through the proxy {})", host_and_port(proxy));
            Error::Unavailable { at, detail, retry_after }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Operation;

    fn redirect(from: &str, status: u16, location: &str) -> Result<Option<Url>, Error> {
        let at = At { registry: "registry.test".to_owned(), operation: Operation::Blob };
        let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_str(location).unwrap())]);
        redirect_target(&at, &Url::parse(from).unwrap(), StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn a_redirect_never_leads_from_https_to_http() {
        for location in ["http://registry.test/x", "http://other.test/", "ftp://registry.test/", "data:,x"] {
            let error = redirect("https://registry.test/v2/", 307, location).unwrap_err();
            assert!(error.to_string().contains("from https to http"), "{location}: {error}");
        }
        for (from, location) in [
            ("https://registry.test/v2/", "https://other.test/"),
            ("https://registry.test/v2/", "//other.test/"),
            ("http://registry.test/", "https://other.test/"),
            ("http://registry.test/v2/", "../"),
        ] {
            assert!(redirect(from, 302, location).unwrap().is_some(), "{from} to {location}");
        }
    }

    #[test]
    fn a_location_without_a_redirect_leads_nowhere() {
        for status in [200, 201, 300, 304, 305, 404] {
            assert_eq!(redirect("https://registry.test/", status, "/x"), Ok(None), "{status}");
        }
    }

    #[test]
    fn a_content_type_is_compared_without_parameters_and_case() {
        let headers = |value: &str| HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_str(value).unwrap())]);
        assert_eq!(content_type(&headers("Application/JSON ; charset=utf-8")).unwrap(), "application/json");
        assert_eq!(content_type(&HeaderMap::new()), None);
    }
}
