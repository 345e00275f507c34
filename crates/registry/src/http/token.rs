// SPDX-License-Identifier: Apache-2.0
//! The answer to a challenge: an `Authorization` header, fetched where necessary, and remembered while it is good.
//!
//! Source: the distribution project's "Token Authentication Specification" and "`OAuth2` Token Authentication".

use std::time::Duration;

use base64ct::{Base64, Encoding};
use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

use super::challenge::Challenge;
use super::transport::{Account, Answer, Body, Limit, Request, Transport};
use crate::credentials::Credential;
use crate::descriptor::Object;
use crate::egress::Reach;
use crate::error::{At, Error, Operation};
use crate::limits::{
    DEFAULT_TOKEN_LIFE, MAX_RETRY_AFTER, MAX_TOKEN_BYTES, MAX_TOKEN_LIFE, MAX_TOKEN_RESPONSE_BYTES, TOKEN_MARGIN,
};
use crate::mirrors::{Endpoint, RegistriesConfig, host_of};

/// What a reader may do, as token servers call it.
pub(super) const PULL: &str = "pull";
/// The name that we give to token servers.
const CLIENT_ID: &str = "sealwatch";

/// What an authorization is good for: one registry, one repository, one credential. The actions are those of the client
/// whose memory it is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct TokenKey {
    account: Account,
    repository: String,
}

impl TokenKey {
    pub(super) fn new(endpoint: &Endpoint, account: &Account) -> Self {
        Self { account: account.clone(), repository: endpoint.repository.path().to_owned() }
    }
}

/// An `Authorization` header, marked as sensitive, and how long it is good.
#[derive(Clone)]
pub(super) struct Authorization {
    pub(super) header: HeaderValue,
    pub(super) life: Duration,
}

/// Meets a challenge, for these actions on the repository. `account` is that of the credential at the endpoint.
///
/// # Errors
/// [`Error::Unauthorized`] if the credential does not fit the challenge or the token server refuses it;
/// [`Error::EgressRefused`] or [`Error::Malformed`] for a realm that may not be asked, before anything is sent to it.
pub(super) async fn authorize(
    transport: &Transport,
    registries: &RegistriesConfig,
    endpoint: &Endpoint,
    (credential, account): (Option<&Credential>, &Account),
    challenge: &Challenge,
    actions: &str,
) -> Result<Authorization, Error> {
    let at = At { registry: endpoint.host().to_owned(), operation: Operation::Token };
    match (challenge, credential) {
        (Challenge::Basic, Some(Credential::Basic { username, password })) => {
            Ok(Authorization { header: basic(&at, username, password)?, life: MAX_TOKEN_LIFE })
        }
        (Challenge::Basic, _) => Err(unauthorized(&at, "registry asks for a user name and password")),
        (Challenge::Bearer { realm, service, scope }, _) => {
            let (url, reach) = check_realm(transport, registries, &at, endpoint, realm)?;
            let scope = own_scope(scope.as_deref(), endpoint.repository.path(), actions);
            let mut request = token_request(&at, url, reach, service.as_deref(), &scope, credential)?;
            let is_own = request.url.origin() == endpoint.base().origin();
            request.led_by = (!is_own).then(|| endpoint.base().clone());
            // Without a token nothing can be asked, so whoever its server throttles is throttled.
            request.account = Some(account.clone());
            fetch(transport, &at, request).await
        }
    }
}

/// A realm is the registry's own origin, or https; plain http elsewhere only where the operator configured it. The
/// guard has the last word, and all of it comes before a credential is looked at (CVE-2026-48978).
fn check_realm(
    transport: &Transport,
    registries: &RegistriesConfig,
    at: &At,
    endpoint: &Endpoint,
    realm: &str,
) -> Result<(Url, Reach), Error> {
    let url = Url::parse(realm).map_err(|_| Error::malformed(at, "token realm is not a URL"))?;
    let is_own = url.origin() == endpoint.base().origin();
    if !is_own && url.scheme() != "https" && !registries.is_plain_http(&url) {
        return Err(Error::malformed(at, "token realm is neither https nor the registry itself"));
    }
    let asked = if is_own { Reach::Registry } else { Reach::Foreign };
    let reach = transport.check(at, &url, asked)?;
    Ok((url, reach))
}

/// The challenge's scope, cut down to these actions on one repository: a registry cannot make us fetch a stronger token.
fn own_scope(scope: Option<&str>, path: &str, actions: &str) -> String {
    let named = scope.and_then(|scope| {
        let (name, _) = scope.strip_prefix("repository:")?.rsplit_once(':')?;
        crate::reference::check_path(name).is_ok().then_some(name)
    });
    format!("repository:{}:{actions}", named.unwrap_or(path))
}

fn token_request(
    at: &At,
    mut url: Url,
    reach: Reach,
    service: Option<&str>,
    scope: &str,
    credential: Option<&Credential>,
) -> Result<Request, Error> {
    let mut parameters: Vec<(&str, &str)> = service.map(|service| ("service", service)).into_iter().collect();
    parameters.push(("scope", scope));
    let (mut authorization, mut body) = (None, None);
    match credential {
        Some(Credential::IdentityToken { token }) => {
            parameters.extend([("grant_type", "refresh_token"), ("client_id", CLIENT_ID), ("refresh_token", token)]);
            body = Some(Body::form(encode(&parameters)));
        }
        Some(Credential::Basic { username, password }) => {
            authorization = Some(basic(at, username, password)?);
            url.query_pairs_mut().append_pair("account", username).extend_pairs(&parameters);
        }
        None => {
            url.query_pairs_mut().extend_pairs(&parameters);
        }
    }
    url.set_fragment(None);
    Ok(Request {
        method: if body.is_some() { Method::POST } else { Method::GET },
        url,
        accept: "application/json".to_owned(),
        authorization,
        unless: None,
        body,
        reach,
        led_by: None,
        account: None,
        limit: Limit { bytes: MAX_TOKEN_RESPONSE_BYTES, what: "token response" },
        redirects: 0,
    })
}

/// `application/x-www-form-urlencoded`, by way of a URL's query.
pub(super) fn encode(parameters: &[(&str, &str)]) -> String {
    Url::parse_with_params("http://form.invalid/", parameters)
        .ok()
        .and_then(|url| url.query().map(str::to_owned))
        .unwrap_or_default()
}

#[derive(Deserialize)]
struct TokenResponse {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

async fn fetch(transport: &Transport, at: &At, request: Request) -> Result<Authorization, Error> {
    let server = host_of(&request.url);
    let answer = transport.exchange(at, request).await?;
    check_token_status(at, &server, &answer)?;
    let Object(response): Object<TokenResponse> =
        serde_json::from_slice(&answer.body).map_err(|_| Error::malformed(at, "token response is not JSON"))?;
    let token = [response.token, response.access_token].into_iter().flatten().find(|token| !token.is_empty());
    let token = token.ok_or_else(|| Error::malformed(at, "token response has no token"))?;
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Error::TooLarge { at: at.clone(), what: "token", limit: MAX_TOKEN_BYTES as u64 });
    }
    // The token specification sets a floor of one minute, for servers that say less.
    let life = response.expires_in.map_or(DEFAULT_TOKEN_LIFE, Duration::from_secs);
    let life = life.clamp(DEFAULT_TOKEN_LIFE, MAX_TOKEN_LIFE).saturating_sub(TOKEN_MARGIN);
    Ok(Authorization { header: sensitive(at, &format!("Bearer {token}"))?, life })
}

pub(super) fn check_token_status(at: &At, server: &str, answer: &Answer) -> Result<(), Error> {
    match answer.status {
        StatusCode::OK => Ok(()),
        // Token servers answer 400 to a refresh token that has ended (RFC 6749, section 5.2).
        StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST => {
            Err(unauthorized(at, &format!("token server {server} refused the credential")))
        }
        StatusCode::FORBIDDEN => {
            Err(Error::Forbidden { at: at.clone(), detail: format!("token server {server} answered 403") })
        }
        StatusCode::TOO_MANY_REQUESTS => {
            Err(Error::Throttled { at: at.clone(), retry_after: retry_after(&answer.headers) })
        }
        status if status.is_redirection() => Err(Error::malformed(at, "token server redirects")),
        status => Err(Error::Unavailable {
            at: at.clone(),
            detail: format!("token server {server} answered {}", status.as_u16()),
            retry_after: retry_after(&answer.headers),
        }),
    }
}

/// `Retry-After`, cut to [`MAX_RETRY_AFTER`]: in seconds, or as a date, which is held against the answer's own `Date`, so
/// that no clock is needed.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let wish = text(RETRY_AFTER)?;
    let seconds = match wish.parse() {
        Ok(seconds) => seconds,
        Err(_) => u64::try_from(http_date(wish)?.saturating_sub(http_date(text(DATE)?)?)).unwrap_or(0),
    };
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

/// Seconds of the Unix epoch.
fn http_date(text: &str) -> Option<i64> {
    jiff::fmt::rfc2822::parse(text).ok().map(|date| date.timestamp().as_second())
}

fn basic(at: &At, username: &str, password: &str) -> Result<HeaderValue, Error> {
    sensitive(at, &format!("Basic {}", Base64::encode_string(format!("{username}:{password}").as_bytes())))
}

fn sensitive(at: &At, text: &str) -> Result<HeaderValue, Error> {
    let mut header = HeaderValue::from_str(text).map_err(|_| Error::malformed(at, "token is no header value"))?;
    header.set_sensitive(true);
    Ok(header)
}

fn unauthorized(at: &At, detail: &str) -> Error {
    Error::Unauthorized { at: at.clone(), detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_cannot_widen_the_scope() {
        for (scope, expected) in [
            (None, "repository:a/b:pull"),
            (Some("repository:a/b:pull,push,delete"), "repository:a/b:pull"),
            (Some("repository:proxy/a/b:*"), "repository:proxy/a/b:pull"),
            (Some("registry:catalog:*"), "repository:a/b:pull"),
            (Some("repository:x y:pull"), "repository:a/b:pull"),
            (Some("repository:a/b:pull repository:c:push"), "repository:a/b:pull"),
        ] {
            assert_eq!(own_scope(scope, "a/b", PULL), expected, "{scope:?}");
            let writing = own_scope(scope, "a/b", "pull,push");
            assert_eq!(writing, format!("{expected},push"), "nor a writer's");
        }
    }

    #[test]
    fn a_form_is_encoded_whatever_the_token_holds() {
        assert_eq!(encode(&[("refresh_token", "a&b=c d+é")]), "refresh_token=a%26b%3Dc+d%2B%C3%A9");
    }
}
