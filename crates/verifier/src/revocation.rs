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
    MAX_CRL_BYTES, MAX_OCSP_RESPONSE_BYTES, OcspResponse, RevocationList, RevocationQuestion, RevocationRequest,
};
use sealwatch_registry::{PlainError, PlainFetcher, PlainRequest};

use self::cache::{Answer, Attempt, Cache, Held, Key};
pub use self::{
    cache::Freshness,
    recall::{Answers, BroughtLists, Kept, Matter, Recalled},
};
use crate::{
    cache::EvidenceCache,
    queue::{Flights, Hosts},
};

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
    disk: Option<EvidenceCache>,
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
            disk: None,
            flights: Flights::default(),
            hosts: Hosts::new(CONCURRENT_PER_HOST),
            requests: Mutex::default(),
        }
    }

    /// The same, which also keeps answers on disk, and finds there what an earlier process heard. That is used where the
    /// same cannot be heard again, and is asked for again in any case.
    #[must_use]
    pub fn with_cache(mut self, cache: EvidenceCache) -> Self {
        self.disk = Some(cache);
        self
    }

    /// How much memory the answers take, in bytes, by estimate; at most 96 MiB.
    pub fn remembered_bytes(&self) -> usize {
        self.cache.bytes()
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

    /// Fetches one revocation list, for somebody who brings it to where nobody can be asked: as [`Revocation::learn`]
    /// does, with the same limits and checks, but nothing is remembered.
    ///
    /// # Errors
    /// Why it could not be had, or is no answer to the question, as a phrase.
    pub async fn fetch_list(&self, question: &RevocationQuestion) -> Result<RevocationList, String> {
        let queue = self.hosts.queue(host_of(&question.url));
        let _place = queue.enter().await;
        let body = self.fetch(question).await.map_err(|error| error.to_string())?;
        match read(question.clone(), body, Timestamp::now()).await? {
            (Answer::List(list), Ok(_)) => Ok(list),
            (_, Err(why)) => Err(why),
            (Answer::Ocsp(..), Ok(_)) => Err("the question is not about a revocation list".to_owned()),
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
        let known = self.cache.fetch(&key);
        if known.as_ref().is_some_and(|entry| !entry.due(freshness, Timestamp::now()).is_zero()) {
            return;
        }
        let restored = if known.is_some() { None } else { self.restore(&key, question).await };
        let queue = self.hosts.queue(host_of(&question.url));
        let _place = queue.enter().await;
        let began = Instant::now();
        let heard = self.fetch(question).await;
        let ended = Timestamp::now();
        let (method, result) = (method_of(question), heard.as_ref().map_or_else(label, |_| "Succeeded"));
        let read = match &heard {
            Ok(body) => read(question.clone(), body.clone(), ended).await,
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
        let is_success = failure.is_none();
        let is_held = self.cache.store(key.clone(), restored, Attempt { began, ended, answer, failure });
        if let (Some(disk), Ok(body), true) = (&self.disk, heard, is_success && is_held) {
            disk.keep_answer(&key.about(), ended, body);
        }
    }

    /// What an earlier process heard, if it answered the question then. Whether it still does is judged like that of any
    /// answer.
    async fn restore(&self, key: &Key, question: &RevocationQuestion) -> Option<Held> {
        let (disk, key, now) = (self.disk.clone()?, key.clone(), Timestamp::now());
        let found = tokio::task::spawn_blocking(move || disk.answer(&key.about(), now));
        let (body, fetched) = found.await.ok().flatten()?;
        match read(question.clone(), body, fetched).await {
            Ok((answer, Ok(times))) => Some(Held { answer, times: Some(times), fetched }),
            Ok((_, Err(_))) | Err(_) => None,
        }
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
        let response = OcspResponse::from_der(&body);
        let times = response.as_ref().map_err(Clone::clone).and_then(|response| question.check_ocsp(response, now));
        Ok((Answer::Ocsp(response, body.len()), times.map_err(|error| error.to_string())))
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
