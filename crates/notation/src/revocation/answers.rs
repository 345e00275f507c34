// SPDX-License-Identifier: Apache-2.0
//! What was heard about revocation: read once, and nothing of it is believed yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::MAX_BROUGHT_CRLS;
use super::crl::RevocationList;
use super::error::RevocationError;
use super::ocsp::Response;
use super::questions::is_askable;
use crate::certificate::{Certificate, text};

/// What OCSP responders and revocation lists said. Whoever fills it says where each answer came from, and whom it was
/// asked about; whether it is authentic, about the right certificate and of today is [`judge`](crate::judge())'s part.
///
/// Without an answer for what a chain names, the judgement is `RevocationUnknown`. Cheap to clone; clones share what was
/// found out about signatures, so keep answers that are used again.
#[derive(Clone, Debug, Default)]
pub struct RevocationAnswers {
    /// By URL and SHA-256 of the certificate.
    ocsp: BTreeMap<(String, String), Answer<Arc<Response>>>,
    /// By URL.
    lists: BTreeMap<String, Answer<RevocationList>>,
    brought: Vec<RevocationList>,
    /// Why one that was brought cannot be read.
    unread: Option<String>,
}

/// What came, or why nothing did.
type Answer<T> = Result<T, RevocationError>;

/// An OCSP response that was read, and of which nothing is believed yet. Cheap to clone; clones share what was found out
/// about its signature.
#[derive(Clone, Debug)]
pub struct OcspResponse(Arc<Response>);

impl OcspResponse {
    /// Reads one response in DER.
    ///
    /// # Errors
    /// If there are more than [`MAX_OCSP_RESPONSE_BYTES`](super::MAX_OCSP_RESPONSE_BYTES), they are not exactly one
    /// response of the basic type, or the responder says that it has no answer.
    pub fn from_der(der: &[u8]) -> Result<Self, RevocationError> {
        Response::from_der(der).map(|response| Self(Arc::new(response)))
    }

    pub(super) fn response(&self) -> &Response {
        &self.0
    }
}

impl RevocationAnswers {
    /// Takes what the OCSP responder at `url` answered to the question about `certificate`: the body, or why there is
    /// none, as a phrase for messages. A body of more than [`MAX_OCSP_RESPONSE_BYTES`](super::MAX_OCSP_RESPONSE_BYTES) is not kept. Takes the place of
    /// an earlier answer.
    pub fn insert_ocsp(&mut self, url: &str, certificate: &Certificate, response: Result<Vec<u8>, String>) {
        let answer = match response {
            Ok(body) => OcspResponse::from_der(&body),
            Err(why) => Err(not_fetched(url, &why)),
        };
        self.insert_ocsp_response(url, certificate, answer);
    }

    /// Likewise, what reading the body came to earlier: what was found out about its signature is not found out again.
    pub fn insert_ocsp_response(
        &mut self,
        url: &str,
        certificate: &Certificate,
        response: Result<OcspResponse, RevocationError>,
    ) {
        let answer = response.map(|response| response.0);
        self.ocsp.insert((url.to_owned(), certificate.sha256().to_owned()), answer);
    }

    /// Takes the revocation list, or the delta of one, that is at `url`, or why there is none, as a phrase for
    /// messages. (What cannot be parsed is such a reason too.) Takes the place of an earlier answer.
    pub fn insert_crl(&mut self, url: &str, list: Result<RevocationList, String>) {
        self.lists.insert(url.to_owned(), list.map_err(|why| not_fetched(url, &why)));
    }

    /// Takes a revocation list that the user brought, or a delta of one. A delta counts with the list that it continues,
    /// brought or fetched. A list stands for a list at any distribution point of a certificate
    /// of its issuer that it covers, and is looked at too if such a certificate names no source at all.
    ///
    /// # Errors
    /// If there are [`MAX_BROUGHT_CRLS`] already.
    pub fn bring_crl(&mut self, list: RevocationList) -> Result<(), RevocationError> {
        if self.brought.len() >= MAX_BROUGHT_CRLS {
            return Err(RevocationError::TooMany { what: "revocation lists that were brought", max: MAX_BROUGHT_CRLS });
        }
        self.brought.push(list);
        Ok(())
    }

    /// Takes that a revocation list was brought that cannot be read, and why, as a phrase for messages. It may be the
    /// one that revokes a certificate which names no source itself, so such a certificate is unknown from now on, unless
    /// another list from its issuer was brought. What names a source is judged by that.
    pub fn bring_unread(&mut self, why: &str) {
        self.unread.get_or_insert_with(|| text(why));
    }

    /// RV-8: what is not http is no answer, whoever inserted it.
    pub(super) fn ocsp(&self, url: &str, certificate: &Certificate) -> Result<&Response, RevocationError> {
        check_askable(url)?;
        match self.ocsp.get(&(url.to_owned(), certificate.sha256().to_owned())) {
            Some(answer) => answer.as_deref().map_err(RevocationError::clone),
            None => Err(RevocationError::NotAsked { url: text(url) }),
        }
    }

    /// RV-15: likewise.
    pub(super) fn list(&self, url: &str) -> Result<&RevocationList, RevocationError> {
        check_askable(url)?;
        match self.lists.get(url) {
            Some(answer) => answer.as_ref().map_err(RevocationError::clone),
            None => Err(RevocationError::NotAsked { url: text(url) }),
        }
    }

    pub(super) fn unread(&self) -> Option<&str> {
        self.unread.as_deref()
    }

    pub(super) fn brought(&self) -> &[RevocationList] {
        &self.brought
    }
}

fn not_fetched(url: &str, why: &str) -> RevocationError {
    RevocationError::NotFetched { url: text(url), why: text(why) }
}

fn check_askable(url: &str) -> Result<(), RevocationError> {
    if is_askable(url) { Ok(()) } else { Err(RevocationError::NotAskable { url: text(url) }) }
}
