// SPDX-License-Identifier: Apache-2.0
//! Revocation, asked and remembered: what the chains of an image name is fetched once for everybody, and kept for as
//! long as it can be used.
//!
//! [`Revocation::learn`] is the I/O; [`Revocation::recall`] asks nobody. Strangers choose nothing here: only chains that
//! end in a configured trust store are asked about (RV-24), over plain HTTP with the bounds of
//! [`sealwatch_registry::PlainFetcher`].

mod cache;
mod recall;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use sealwatch_notation::{
    MAX_CRL_BYTES, MAX_OCSP_RESPONSE_BYTES, RevocationList, RevocationQuestion, RevocationRequest,
};
use sealwatch_registry::{PlainError, PlainFetcher, PlainRequest};

use self::cache::{Answer, Attempt, Cache, Key};
pub use self::{
    cache::Freshness,
    recall::{Answers, BroughtLists, Kept, Matter, Recalled},
};
use crate::queue::{Flights, Hosts};

/// Time for an OCSP request (RV-8; the client of notation-go has the same).
const OCSP_TIME_LIMIT: Duration = Duration::from_secs(2);
/// Time for a revocation list (RV-15; the default of notation-go).
const CRL_TIME_LIMIT: Duration = Duration::from_secs(5);
/// How many questions one host is asked at once: one that is slow holds up its own answers only.
const CONCURRENT_PER_HOST: usize = 4;
/// How many questions of one image are asked at once: all of one signature.
const CONCURRENT: usize = 8;
/// How often what one signature needs is found out and asked: responders, what they lead to (twice), lists where they
/// said nothing, and what those lead to (twice), with room.
const ROUNDS: usize = 8;

/// Why a request was made, and how it ended: the labels of a metric.
pub type RequestCounts = BTreeMap<(&'static str, &'static str), u64>;

/// Asks about revocation and remembers the answers. Shared by all images and policies of a process.
pub struct Revocation {
    fetcher: PlainFetcher,
    cache: Cache,
    flights: Flights<Key>,
    hosts: Hosts,
    requests: Mutex<RequestCounts>,
}

impl fmt::Debug for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocation").finish_non_exhaustive()
    }
}

impl Revocation {
    /// Nothing has been asked yet.
    pub fn new(fetcher: PlainFetcher) -> Self {
        Self {
            fetcher,
            cache: Cache::default(),
            flights: Flights::default(),
            hosts: Hosts::new(CONCURRENT_PER_HOST),
            requests: Mutex::default(),
        }
    }

    /// Asks what the signatures of an image need and what is not known freshly enough. How it went is recalled.
    pub async fn learn(&self, matter: &Matter<'_>, freshness: Freshness) {
        for candidate in recall::signatures(matter, Timestamp::now()) {
            for _ in 0..ROUNDS {
                let consulted = self.consult(&candidate, freshness, Timestamp::now());
                if consulted.asks.is_empty() {
                    break;
                }
                // Collected, because the compiler cannot tell that a stream of borrowing closures may be sent.
                let asks: Vec<_> = consulted.asks.iter().map(|question| self.ask(question, freshness)).collect();
                stream::iter(asks).buffer_unordered(CONCURRENT).collect::<()>().await;
            }
            if self.consult(&candidate, freshness, Timestamp::now()).is_enough() {
                break;
            }
        }
    }

    /// How many requests were made, by method (`OCSP`, `CRL`) and result.
    pub fn requests(&self) -> RequestCounts {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks one question, unless somebody else just did.
    async fn ask(&self, question: &RevocationQuestion, freshness: Freshness) {
        let key = Key::from(question);
        let _flight = self.flights.board(&key).await;
        let is_known = |entry: cache::Entry| !entry.due(freshness, Timestamp::now()).is_zero();
        if self.cache.fetch(&key).is_some_and(is_known) {
            return;
        }
        let queue = self.hosts.queue(host_of(&question.url));
        let _place = queue.enter().await;
        let began = Instant::now();
        let heard = self.fetch(question).await;
        let ended = Timestamp::now();
        let (method, result) = (method_of(question), heard.as_ref().map_or_else(label, |_| "Succeeded"));
        let read = match heard {
            Ok(body) => read(question.clone(), body, ended).await,
            Err(error) => Err(error.to_string()),
        };
        let (answer, failure) = match read {
            Ok((answer, Ok(times))) => (Some((answer, Some(times))), None),
            Ok((answer, Err(why))) => (Some((answer, None)), Some(why)),
            Err(why) => (None, Some(why)),
        };
        let result = if failure.is_some() && result == "Succeeded" { "Unusable" } else { result };
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let count = requests.entry((method, result)).or_default();
        *count = count.saturating_add(1);
        drop(requests);
        self.cache.store(key, Attempt { began, ended, answer, failure });
    }

    async fn fetch(&self, question: &RevocationQuestion) -> Result<bytes::Bytes, PlainError> {
        let ocsp = |url, post| PlainRequest {
            url,
            post,
            accept: "application/ocsp-response",
            max_bytes: MAX_OCSP_RESPONSE_BYTES,
            time_limit: OCSP_TIME_LIMIT,
        };
        let request = match &question.request {
            RevocationRequest::OcspGet { url } => ocsp(url, None),
            RevocationRequest::OcspPost { body } => ocsp(&question.url, Some(("application/ocsp-request", body))),
            _ => PlainRequest {
                url: &question.url,
                post: None,
                accept: "application/pkix-crl, */*;q=0.5",
                max_bytes: MAX_CRL_BYTES,
                time_limit: CRL_TIME_LIMIT,
            },
        };
        self.fetcher.fetch(&request).await
    }
}

type Read = Result<(Answer, Result<sealwatch_notation::AnswerTimes, String>), String>;

/// Reads what came, in a thread of its own: a list may be long to hash, and a panic in a parser is a failure of this
/// question.
async fn read(question: RevocationQuestion, body: bytes::Bytes, now: Timestamp) -> Read {
    let read = move || -> Read {
        if question.request == RevocationRequest::Crl {
            let list = RevocationList::from_der(body).map_err(|error| error.to_string())?;
            let times = question.check_crl(&list, now).map_err(|error| error.to_string());
            return Ok((Answer::List(list), times));
        }
        let times = question.check_ocsp(&body, now).map_err(|error| error.to_string());
        Ok((Answer::Ocsp(body.as_ref().into()), times))
    };
    let read = tokio::task::spawn_blocking(read).await;
    read.unwrap_or_else(|_| Err("reading the answer ended in an internal error".to_owned()))
}

/// `host:port` of an http URL, as far as queues care.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

fn method_of(question: &RevocationQuestion) -> &'static str {
    if question.request == RevocationRequest::Crl { "CRL" } else { "OCSP" }
}

/// How a request without an answer ended, in a word.
fn label(error: &PlainError) -> &'static str {
    match error {
        PlainError::EgressRefused { .. } | PlainError::NameRefused { .. } => "EgressRefused",
        PlainError::TimeLimit { .. } => "TimedOut",
        PlainError::Status { .. } => "Status",
        PlainError::TooLarge { .. } => "TooLarge",
        _ => "Failed",
    }
}
