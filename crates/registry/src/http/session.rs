// SPDX-License-Identifier: Apache-2.0
//! One question to one endpoint: with each credential that applies, and with the challenge met.

use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::Inner;
use super::challenge::Challenge;
use super::token::{TokenKey, authorize, retry_after};
use super::transport::{Account, Answer, Body, Limit, Request};
use crate::credentials::{Credential, CredentialKey, Credentials};
use crate::descriptor::{Capped, Object};
use crate::egress::Reach;
use crate::error::{At, Error};
use crate::limits::{MAX_CREDENTIALS_TRIED, MAX_ERRORS, MAX_REDIRECTS};
use crate::mirrors::Endpoint;

/// Error codes that are repeated in messages: OCI distribution specification 1.1, "Error Codes". Anything else that a
/// server writes is not, because it may be what we sent it.
const KNOWN_CODES: [&str; 14] = [
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
];

/// A question about a repository; `url` may be that of a later page.
pub(super) struct Question {
    pub(super) method: Method,
    pub(super) url: reqwest::Url,
    pub(super) accept: String,
    /// What is asked for only if it is no longer the one with this `ETag`.
    pub(super) unless: Option<HeaderValue>,
    pub(super) limit: Limit,
    /// What is sent: of a writer only.
    pub(super) body: Option<Body>,
}

impl Question {
    /// Whether it would change something. Such a question is never sent on to where a redirect leads.
    fn is_writing(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD)
    }
}

/// An answer that is worth reading.
pub(super) enum Reply {
    /// 200, with the body; to a writer, also 201 and 202.
    Found(Answer),
    /// 304: it still is the one that the question excepted.
    Unchanged,
    /// 412: it is not the one that the writer meant any more.
    Changed,
    /// 404, with the registry's error code if it is a known one.
    Missing {
        /// The code.
        code: Option<&'static str>,
    },
    /// 405 or 501: the registry does not know this kind of request.
    Unsupported,
}

impl Inner {
    /// Asks with each credential that applies, most specific first, until the registry does not refuse it, and then with
    /// the operator's cloud identity; without any of them, anonymously.
    ///
    /// # Errors
    /// Every status except 200, 404, 405 and 501 is a typed error.
    pub(super) async fn ask(
        &self,
        at: &At,
        endpoint: &Endpoint,
        credentials: &Credentials,
        question: &Question,
    ) -> Result<Reply, Error> {
        let mut candidates: Vec<&Credential> = credentials.for_repository(&endpoint.repository);
        if credentials.is_operator_included() {
            candidates.extend(endpoint.operator_credential.as_ref());
        }
        candidates.truncate(MAX_CREDENTIALS_TRIED);
        let mut refusal = None;
        for credential in &candidates {
            match self.ask_as(at, endpoint, Some(credential), question).await {
                Err(error @ (Error::Unauthorized { .. } | Error::Forbidden { .. })) => refusal = Some(error),
                other => return other,
            }
        }
        if credentials.is_operator_included()
            && let Some(credential) = self.cloud_credential(endpoint).await?
        {
            let asked = self.ask_as(at, endpoint, Some(&credential), question).await;
            if matches!(asked, Err(Error::Unauthorized { .. })) {
                self.cloud_credentials.forget(&endpoint.host().to_owned());
            }
            return asked;
        }
        match refusal {
            Some(refusal) => Err(refusal),
            None => self.ask_as(at, endpoint, None, question).await.map_err(in_want_of_a_credential),
        }
    }

    async fn ask_as(
        &self,
        at: &At,
        endpoint: &Endpoint,
        credential: Option<&Credential>,
        question: &Question,
    ) -> Result<Reply, Error> {
        let account = (endpoint.base().origin().ascii_serialization(), CredentialKey::of(credential));
        let asked = self.ask_and_authorize(at, endpoint, credential, &account, question).await;
        if asked.is_ok() {
            self.transport.note_answer(&account);
        }
        asked
    }

    async fn ask_and_authorize(
        &self,
        at: &At,
        endpoint: &Endpoint,
        credential: Option<&Credential>,
        account: &Account,
        question: &Question,
    ) -> Result<Reply, Error> {
        let key = TokenKey::new(endpoint, account);
        let recalled = self.tokens.recall(&key);
        let answer = self.exchange(at, question, account, recalled).await?;
        // A 401 from where a redirect led is not our registry's challenge.
        if answer.status != StatusCode::UNAUTHORIZED || answer.is_foreign {
            return reply(at, question, answer);
        }
        self.tokens.forget(&key);
        let challenge = Challenge::find(&answer.headers)
            .ok_or_else(|| unauthorized(at, "registry answered 401 without a challenge that can be met"))?;
        let authorization =
            authorize(&self.transport, &self.registries, endpoint, (credential, account), &challenge, self.actions);
        let authorization = authorization.await?;
        let answer = self.exchange(at, question, account, Some(authorization.header.clone())).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            self.tokens.remember(key, authorization.header, authorization.life);
        }
        reply(at, question, answer)
    }

    async fn exchange(
        &self,
        at: &At,
        question: &Question,
        account: &Account,
        authorization: Option<HeaderValue>,
    ) -> Result<Answer, Error> {
        let request = Request {
            method: question.method.clone(),
            url: question.url.clone(),
            accept: question.accept.clone(),
            authorization,
            unless: question.unless.clone(),
            body: question.body.clone(),
            reach: Reach::Registry,
            led_by: None,
            account: Some(account.clone()),
            limit: question.limit,
            redirects: if question.is_writing() { 0 } else { MAX_REDIRECTS },
        };
        self.transport.exchange(at, request).await
    }
}

/// Sorts statuses into what may be read and what is an error. No error ever becomes an empty list.
fn reply(at: &At, question: &Question, answer: Answer) -> Result<Reply, Error> {
    let code = error_code(&answer.body);
    let detail = |fallback: &str| code.map_or_else(|| fallback.to_owned(), str::to_owned);
    match answer.status {
        StatusCode::OK => Ok(Reply::Found(answer)),
        StatusCode::CREATED | StatusCode::ACCEPTED if question.is_writing() => Ok(Reply::Found(answer)),
        StatusCode::PRECONDITION_FAILED if question.is_writing() => Ok(Reply::Changed),
        // Only who was asked so may say so.
        StatusCode::NOT_MODIFIED if question.unless.is_some() && !answer.is_foreign => Ok(Reply::Unchanged),
        StatusCode::NOT_FOUND => Ok(Reply::Missing { code }),
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => Ok(Reply::Unsupported),
        StatusCode::UNAUTHORIZED => Err(unauthorized(at, &detail("registry refused the credential"))),
        StatusCode::FORBIDDEN => Err(Error::Forbidden { at: at.clone(), detail: detail("registry answered 403") }),
        StatusCode::TOO_MANY_REQUESTS => {
            Err(Error::Throttled { at: at.clone(), retry_after: retry_after(&answer.headers) })
        }
        status => Err(Error::Unavailable {
            at: at.clone(),
            detail: code.map_or_else(String::new, |code| format!("{code}, ")) + &format!("status {}", status.as_u16()),
            retry_after: retry_after(&answer.headers),
        }),
    }
}

#[derive(Deserialize)]
struct ErrorBody {
    errors: Option<Capped<ErrorItem, MAX_ERRORS>>,
}

#[derive(Deserialize)]
struct ErrorItem {
    code: Option<String>,
}

/// The first known error code of an error body.
fn error_code(body: &[u8]) -> Option<&'static str> {
    let Object(body): Object<ErrorBody> = serde_json::from_slice(body).ok()?;
    let mut codes = body.errors?.kept.into_iter().filter_map(|item| item.code);
    codes.find_map(|code| KNOWN_CODES.into_iter().find(|known| *known == code))
}

/// Who shows nothing is not told that something was refused.
fn in_want_of_a_credential(error: Error) -> Error {
    match error {
        Error::Unauthorized { at, .. } => unauthorized(
            &at,
            "a credential is needed, and no pull secret or registries.yaml entry that may be used fits",
        ),
        other => other,
    }
}

fn unauthorized(at: &At, detail: &str) -> Error {
    Error::Unauthorized { at: at.clone(), detail: detail.to_owned() }
}
