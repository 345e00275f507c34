// SPDX-License-Identifier: Apache-2.0
//! What to ask about the certificates of a chain, and whom. Asking is for others to do.

use std::fmt::Write as _;

use base64ct::{Base64, Encoding};

use super::answers::{OcspResponse, RevocationAnswers};
use super::crl::RevocationList;
use super::error::RevocationError;
use super::ocsp::{CertId, Responder};
use super::{MAX_URL_BYTES, MAX_URLS_PER_CERTIFICATE, MAX_URLS_PER_VERIFICATION};
use crate::Timestamp;
use crate::certificate::{Certificate, DistributionPoint};

/// RV-9: a URL with the question in it has fewer bytes than this.
const MAX_GET_BYTES: usize = 255;

/// One question about one certificate, to be asked over http only (RV-8, RV-15): without following redirects to
/// another scheme, and without credentials. The URL is what the certificate says, so it may point anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevocationQuestion {
    /// Whom to ask, and the key under which [`RevocationAnswers`] takes the answer.
    pub url: String,
    /// The certificate that the question is about.
    pub certificate: Certificate,
    /// Its issuer.
    pub issuer: Certificate,
    /// What to send.
    pub request: RevocationRequest,
}

impl RevocationQuestion {
    /// Whether an OCSP response answers this question, whatever it says: it is authentic, about this certificate and
    /// current (RV-10, RV-11, RV-13). Of two that do, the one with the later `thisUpdate` is the one to keep. (That a
    /// delegated responder is not revoked itself is another question.)
    ///
    /// # Errors
    /// Why it does not.
    pub fn check_ocsp(&self, response: &OcspResponse, now: Timestamp) -> Result<AnswerTimes, RevocationError> {
        let response = response.response();
        let answer = response.find(&CertId::of(&self.certificate, &self.issuer))?;
        response.authenticate(&self.issuer, now)?;
        answer.check_currency(now)?;
        Ok(AnswerTimes { this_update: answer.this_update, next_update: answer.next_update })
    }

    /// Whether a revocation list, complete or delta, answers this question: it is authentic and current (RV-16, RV-17).
    ///
    /// # Errors
    /// Why it does not.
    pub fn check_crl(&self, list: &RevocationList, now: Timestamp) -> Result<AnswerTimes, RevocationError> {
        list.authenticate(&self.issuer)?;
        list.check_currency(now)?;
        Ok(AnswerTimes { this_update: list.this_update(), next_update: list.next_update() })
    }

    /// What to ask for beside a list that answers this question: its deltas, of which one is needed (RV-21). None if the
    /// list names no delta; an empty one if it names none that may be asked for. At most [`MAX_URLS_PER_CERTIFICATE`].
    pub fn deltas(&self, list: &RevocationList) -> Option<Vec<Self>> {
        let urls = list.delta_urls()?.filter(|url| is_askable(url)).take(MAX_URLS_PER_CERTIFICATE);
        Some(urls.map(|url| ask_for_list(url, &self.certificate, &self.issuer)).collect())
    }

    /// Where a certificate says that its revocation lists are, for whoever brings them to where nobody can be asked: for
    /// each distribution point the questions of which one needs an answer, because a list that is brought stands for all
    /// URLs of its point. A point without a URL that may be asked has no question.
    ///
    /// No more than [`MAX_URLS_PER_CERTIFICATE`] points, and URLs of each, are looked at: a certificate with more of them
    /// is never good (RV-20).
    pub fn of_lists(certificate: &Certificate, issuer: &Certificate) -> Vec<Vec<Self>> {
        let points = certificate.extensions().revocation.distribution_points.as_deref().unwrap_or_default();
        let of_point = |point: &DistributionPoint| {
            let urls = point.urls.iter().filter(|url| is_askable(url)).take(MAX_URLS_PER_CERTIFICATE);
            urls.map(|url| ask_for_list(url, certificate, issuer)).collect()
        };
        points.iter().take(MAX_URLS_PER_CERTIFICATE).map(of_point).collect()
    }
}

/// From when until when an answer can be used, by its own word, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerTimes {
    /// When it was known to be so.
    pub this_update: Timestamp,
    /// When there will be a newer one at the latest.
    pub next_update: Timestamp,
}

/// How to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevocationRequest {
    /// An OCSP request that fits into a URL: GET this one.
    OcspGet {
        /// The responder's URL with the request appended, of fewer than 255 bytes.
        url: String,
    },
    /// An OCSP request that does not: POST it to the question's URL as `application/ocsp-request`.
    OcspPost {
        /// The request in DER.
        body: Vec<u8>,
    },
    /// GET the revocation list at the question's URL.
    Crl,
}

/// The questions that one verification may ask, the most useful first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevocationQuestions {
    questions: Vec<RevocationQuestion>,
    left_out: usize,
}

/// In this order questions are taken until there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    First,
    Fallback,
    More,
}

impl RevocationQuestions {
    /// What to ask about chains, each with the leaf first and the root last; about roots nothing is asked (RV-2). The
    /// chains must be authentic: strangers must not choose who is asked (RV-24).
    ///
    /// There are at most [`MAX_URLS_PER_CERTIFICATE`] for one certificate and [`MAX_URLS_PER_VERIFICATION`] in all,
    /// each URL of a list once. What can never suffice is not asked: lists of a certificate that names more of them
    /// than that.
    pub fn of<'a>(chains: impl IntoIterator<Item = &'a [Certificate]>) -> Self {
        let mut ranked = Vec::new();
        for chain in chains {
            for (certificate, issuer) in chain.iter().zip(chain.iter().skip(1)) {
                rank_questions(certificate, issuer, &mut ranked);
            }
        }
        Self::take(ranked)
    }

    /// What to ask next, when these answers have come: deltas of the lists (RV-21), and lists that say whether a
    /// delegated OCSP responder is revoked itself (RV-13). Only authentic answers lead on. Call it twice at most, the
    /// second time on its own result: then all that counts has been asked.
    #[must_use]
    pub fn follow_up(&self, answers: &RevocationAnswers, now: Timestamp) -> Self {
        let mut ranked = Vec::new();
        for question in &self.questions {
            let RevocationQuestion { url, issuer, request, .. } = question;
            if *request == RevocationRequest::Crl {
                let authentic = answers.list(url).ok().filter(|list| list.authenticate(issuer).is_ok());
                let deltas = authentic.and_then(|list| question.deltas(list)).into_iter().flatten();
                ranked.extend(deltas.map(|delta| (Rank::First, delta)));
            } else if let Some(responder) = find_uncertain_responder(answers, question, now) {
                let urls = list_urls(&responder);
                ranked.extend(urls.iter().map(|url| (Rank::First, ask_for_list(url, &responder, issuer))));
            }
        }
        ranked.retain(|(_, question)| !self.questions.contains(question));
        Self::take(ranked)
    }

    /// The questions.
    pub fn iter(&self) -> std::slice::Iter<'_, RevocationQuestion> {
        self.questions.iter()
    }

    /// How many questions there are beyond the limit of a verification. They are not asked; if their answers would
    /// have been needed, the judgement is `RevocationUnknown`.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    fn take(mut ranked: Vec<(Rank, RevocationQuestion)>) -> Self {
        // A stable sort: among equals the leaf comes first.
        ranked.sort_by_key(|(rank, _)| *rank);
        let mut questions: Vec<RevocationQuestion> = Vec::new();
        for (_, question) in ranked {
            if !questions.iter().any(|known| is_same_request(known, &question)) {
                questions.push(question);
            }
        }
        let left_out = questions.len().saturating_sub(MAX_URLS_PER_VERIFICATION);
        questions.truncate(MAX_URLS_PER_VERIFICATION);
        Self { questions, left_out }
    }
}

impl<'a> IntoIterator for &'a RevocationQuestions {
    type Item = &'a RevocationQuestion;
    type IntoIter = std::slice::Iter<'a, RevocationQuestion>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A list of one issuer is asked for once, for whichever certificate.
fn is_same_request(one: &RevocationQuestion, other: &RevocationQuestion) -> bool {
    one.url == other.url
        && one.request == other.request
        && one.issuer == other.issuer
        && (one.request == RevocationRequest::Crl || one.certificate == other.certificate)
}

/// RV-3, RV-4.
fn rank_questions(certificate: &Certificate, issuer: &Certificate, ranked: &mut Vec<(Rank, RevocationQuestion)>) {
    let responders: Vec<&String> =
        certificate.extensions().revocation.ocsp.iter().filter(|url| is_askable(url)).collect();
    let mut lists = list_urls(certificate);
    if !responders.is_empty() && lists.len() >= MAX_URLS_PER_CERTIFICATE {
        lists.clear();
    }
    let list_rank = if responders.is_empty() { Rank::First } else { Rank::Fallback };
    let room = MAX_URLS_PER_CERTIFICATE.saturating_sub(lists.len());
    for (index, url) in responders.into_iter().take(room).enumerate() {
        let rank = if index == 0 { Rank::First } else { Rank::More };
        ranked.push((rank, ask_responder(url, certificate, issuer)));
    }
    ranked.extend(lists.iter().map(|url| (list_rank, ask_for_list(url, certificate, issuer))));
}

/// The URLs at which lists for this certificate are, each once; none if they cannot suffice, because all must be asked
/// (RV-20).
fn list_urls(certificate: &Certificate) -> Vec<String> {
    let points: &[DistributionPoint] =
        certificate.extensions().revocation.distribution_points.as_deref().unwrap_or(&[]);
    let mut urls: Vec<String> = Vec::new();
    for url in points.iter().flat_map(|point| &point.urls) {
        if !is_askable(url) {
            return Vec::new();
        }
        if !urls.contains(url) {
            urls.push(url.clone());
        }
        if urls.len() > MAX_URLS_PER_CERTIFICATE {
            return Vec::new();
        }
    }
    urls
}

fn ask_for_list(url: &str, certificate: &Certificate, issuer: &Certificate) -> RevocationQuestion {
    let (certificate, issuer) = (certificate.clone(), issuer.clone());
    RevocationQuestion { url: url.to_owned(), certificate, issuer, request: RevocationRequest::Crl }
}

/// RV-9, RFC 6960 appendix A.1.
fn ask_responder(url: &str, certificate: &Certificate, issuer: &Certificate) -> RevocationQuestion {
    let body = CertId::of(certificate, issuer).to_request();
    let path = percent_encode(&Base64::encode_string(&body));
    let get = format!("{}/{path}", url.strip_suffix('/').unwrap_or(url));
    // What has a query or a fragment has no place for a path at its end.
    let request = if get.len() < MAX_GET_BYTES && !url.contains(['?', '#']) {
        RevocationRequest::OcspGet { url: get }
    } else {
        RevocationRequest::OcspPost { body }
    };
    RevocationQuestion { url: url.to_owned(), certificate: certificate.clone(), issuer: issuer.clone(), request }
}

/// Of the alphabet of base64 three characters have a meaning in URLs.
fn percent_encode(base64: &str) -> String {
    base64.chars().fold(String::new(), |mut out, character| {
        if character.is_ascii_alphanumeric() {
            out.push(character);
        } else {
            // Writing to a String does not fail.
            let _ = write!(out, "%{:02X}", u32::from(character));
        }
        out
    })
}

/// The delegated responder that gave an authentic answer, if nobody vouches that it is not revoked.
fn find_uncertain_responder(
    answers: &RevocationAnswers,
    question: &RevocationQuestion,
    now: Timestamp,
) -> Option<Certificate> {
    let RevocationQuestion { url, certificate, issuer, .. } = question;
    let response = answers.ocsp(url, certificate).ok()?;
    match response.authenticate(issuer, now).ok()? {
        Responder::Delegate(responder) if !responder.extensions().ocsp_no_check => Some(responder.clone()),
        _ => None,
    }
}

/// RV-8, RV-15: http, whatever its case, at most [`MAX_URL_BYTES`] of visible ASCII, with a host and no credentials.
pub(super) fn is_askable(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    scheme.eq_ignore_ascii_case("http")
        && url.len() <= MAX_URL_BYTES
        && url.bytes().all(|byte| byte.is_ascii_graphic())
        && !authority.is_empty()
        && !authority.starts_with(':')
        && !authority.contains('@')
}
