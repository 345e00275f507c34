// SPDX-License-Identifier: Apache-2.0
//! What was heard about revocation, within bounds, and when it is to be heard again.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use sealwatch_notation::{
    AnswerTimes, OcspResponse, RevocationAnswers, RevocationError, RevocationList, RevocationQuestion,
    RevocationRequest,
};

use crate::schedule;

/// How many answers are remembered. A namespace's chains name some tens of URLs.
const ANSWERS: usize = 4_096;
/// How many bytes answers may take, by estimate: two of the largest lists; usual ones are below 1 MiB.
pub(super) const BYTES: usize = 96 * 1024 * 1024;
/// What an OCSP response takes when it is read, in terms of its encoding: copies of its parts, and its certificates.
const OCSP_FACTOR: usize = 6;
/// What a question takes beside its texts and the answer.
const OVERHEAD: usize = 1024;
/// How long a failure is remembered at least. Everybody who has the same question is served by it, and an outage of a
/// second costs no more than this.
pub(super) const FAILURE_KEPT: Duration = Duration::from_mins(1);
/// How long before its `nextUpdate` an answer is asked for again at the earliest; a tenth of its life if that is less.
const AHEAD_MOST: Duration = Duration::from_mins(5);
/// How soon after a success the same is asked again at the earliest, however short the life of the answers.
const PACE: Duration = Duration::from_secs(10);

/// What is asked: a list of revoked certificates is of one issuer, an OCSP response about one certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    url: String,
    issuer: String,
    certificate: Option<String>,
}

impl Key {
    /// What the name of its answer on disk is made of.
    pub(super) fn about(&self) -> [&[u8]; 4] {
        let kind = if self.certificate.is_some() { "OCSP" } else { "CRL" };
        let certificate = self.certificate.as_deref().unwrap_or_default();
        [kind, &self.url, &self.issuer, certificate].map(str::as_bytes)
    }

    fn size(&self) -> usize {
        self.about().iter().map(|text| text.len()).sum()
    }
}

impl From<&RevocationQuestion> for Key {
    fn from(question: &RevocationQuestion) -> Self {
        let is_list = question.request == RevocationRequest::Crl;
        Self {
            url: question.url.clone(),
            issuer: question.issuer.sha256().to_owned(),
            certificate: (!is_list).then(|| question.certificate.sha256().to_owned()),
        }
    }
}

/// An answer as it came, read as far as it must be to keep it.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// What reading it came to, and how long it is.
    Ocsp(Result<OcspResponse, RevocationError>, usize),
    List(RevocationList),
}

impl Answer {
    /// How much it takes, by estimate. The index of a list's entries takes less than half of what they do.
    fn size(&self) -> usize {
        match self {
            Self::Ocsp(_, size) => size.saturating_mul(OCSP_FACTOR),
            Self::List(list) => list.der().len().saturating_add(list.der().len() / 2),
        }
    }

    /// Puts it among the answers that are judged by.
    pub(super) fn insert(&self, question: &RevocationQuestion, answers: &mut RevocationAnswers) {
        match self {
            Self::Ocsp(response, _) => {
                answers.insert_ocsp_response(&question.url, &question.certificate, response.clone());
            }
            Self::List(list) => answers.insert_crl(&question.url, Ok(list.clone())),
        }
    }
}

/// An answer, and what is known of it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) answer: Answer,
    /// Until when it answers the question; none if it does not, and is kept for what it says about that.
    pub(super) times: Option<AnswerTimes>,
    pub(super) fetched: Timestamp,
}

impl Held {
    pub(super) fn is_current(&self, now: Timestamp) -> bool {
        self.times.is_some_and(|times| now <= times.next_update)
    }
}

/// That the last attempt failed.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) why: String,
    /// How many failed in a row.
    times: u32,
    ended: Instant,
}

/// Everything about one question.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The best answer so far.
    pub(super) held: Option<Held>,
    /// Why the last attempt brought nothing better, if it did not.
    pub(super) failure: Option<Failure>,
    /// When the last attempt began.
    asked: Instant,
    used: u64,
}

/// When to ask again.
#[derive(Clone, Copy, Debug)]
pub struct Freshness {
    /// How old an answer may be at most; an older one is asked for again.
    pub interval: Duration,
    /// What was asked before that moment is asked again, failed or not. For whoever asks for a fresh look.
    pub since: Option<Instant>,
}

impl Entry {
    /// RV-23: how long until it is to be asked again.
    pub(super) fn due(&self, freshness: Freshness, now: Timestamp) -> Duration {
        if freshness.since.is_some_and(|since| self.asked < since) {
            return Duration::ZERO;
        }
        match (&self.failure, &self.held) {
            (Some(failure), _) => {
                let pause = schedule::retry(failure.times, None).max(FAILURE_KEPT);
                pause.saturating_sub(failure.ended.elapsed())
            }
            (None, Some(Held { times: Some(times), fetched, .. })) => {
                let age = self.asked.elapsed();
                let life = schedule::until(times.next_update, *fetched);
                let ahead = schedule::until(times.next_update, now).saturating_sub((life / 10).min(AHEAD_MOST));
                freshness.interval.saturating_sub(age).min(ahead.max(PACE.saturating_sub(age)))
            }
            (None, _) => Duration::ZERO,
        }
    }
}

/// How an attempt ended: with an answer, which may be none to the question, or with none.
pub(super) struct Attempt {
    pub(super) began: Instant,
    pub(super) ended: Timestamp,
    pub(super) answer: Option<(Answer, Option<AnswerTimes>)>,
    /// Why it is no success.
    pub(super) failure: Option<String>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<Key, Entry>,
    bytes: usize,
    /// Counts the uses, to find what was not used for longest.
    clock: u64,
}

/// The answers; what was not used for longest goes first.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<Inner>);

impl Cache {
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // A poisoned lock only says that another thread panicked between two complete operations.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn fetch(&self, key: &Key) -> Option<Entry> {
        let mut inner = self.lock();
        inner.clock = inner.clock.saturating_add(1);
        let clock = inner.clock;
        let entry = inner.entries.get_mut(key)?;
        entry.used = clock;
        Some(entry.clone())
    }

    /// How much the answers take, by estimate.
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// RV-23: takes in how an attempt ended. An answer to the question takes the place of an older one; what answers
    /// nothing, only the place of the like. `restored` is what an earlier process heard, if this one has heard nothing.
    /// Returns whether the new answer is the one that is held now.
    pub(super) fn store(&self, key: Key, restored: Option<Held>, attempt: Attempt) -> bool {
        let mut inner = self.lock();
        let known = inner.entries.remove(&key);
        inner.bytes = inner.bytes.saturating_sub(known.as_ref().map_or(0, |entry| size(&key, entry)));
        let failed = known.as_ref().and_then(|entry| entry.failure.as_ref()).map_or(0, |failure| failure.times);
        let failure =
            attempt.failure.map(|why| Failure { why, times: failed.saturating_add(1), ended: Instant::now() });
        let new = attempt.answer.map(|(answer, times)| Held { answer, times, fetched: attempt.ended });
        let (held, is_new) = better(known.and_then(|entry| entry.held).or(restored), new, attempt.ended);
        inner.clock = inner.clock.saturating_add(1);
        let entry = Entry { held, failure, asked: attempt.began, used: inner.clock };
        inner.bytes = inner.bytes.saturating_add(size(&key, &entry));
        inner.entries.insert(key, entry);
        while inner.entries.len() > ANSWERS || inner.bytes > BYTES {
            let oldest = inner.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            let Some((key, gone)) = oldest.and_then(|key| inner.entries.remove_entry(&key)) else { break };
            inner.bytes = inner.bytes.saturating_sub(size(&key, &gone));
        }
        is_new
    }
}

fn size(key: &Key, entry: &Entry) -> usize {
    let answer = entry.held.as_ref().map_or(0, |held| held.answer.size());
    let failure = entry.failure.as_ref().map_or(0, |failure| failure.why.len());
    [answer, failure, OVERHEAD].into_iter().fold(key.size(), usize::saturating_add)
}

/// Which of two answers is kept, and whether it is the new one. A network that plays an older answer back does not undo a newer one, and what answers
/// nothing does not undo what did.
fn better(old: Option<Held>, new: Option<Held>, now: Timestamp) -> (Option<Held>, bool) {
    let (Some(old), Some(new)) = (&old, &new) else {
        let is_new = new.is_some();
        return (new.or(old), is_new);
    };
    let (kept, is_new) = match (old.times, new.times) {
        (Some(_), None) => (old.clone(), false),
        // As fresh as if it had been heard again.
        (Some(before), Some(after)) if old.is_current(now) && after.this_update < before.this_update => {
            (Held { fetched: new.fetched, ..old.clone() }, false)
        }
        _ => (new.clone(), true),
    };
    (Some(kept), is_new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        Key { url: number.to_string(), issuer: String::new(), certificate: None }
    }

    /// An answer that takes so many bytes and overhead.
    fn attempt(bytes: usize) -> Attempt {
        let unreadable = OcspResponse::from_der(b"").map(|_| ()).unwrap_err();
        let answer = (bytes > 0).then(|| (Answer::Ocsp(Err(unreadable), bytes / OCSP_FACTOR), None));
        Attempt { began: Instant::now(), ended: Timestamp::UNIX_EPOCH, answer, failure: None }
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room_by_bytes() {
        let cache = Cache::default();
        let quarter = BYTES / 4 - 2 * OVERHEAD;
        for number in 0..4 {
            cache.store(key(number), None, attempt(quarter));
        }
        assert!(cache.fetch(&key(0)).is_some());
        cache.store(key(4), None, attempt(8 * OVERHEAD));
        assert!(cache.fetch(&key(1)).is_none(), "it was used before all others");
        assert!([0, 2, 3, 4].iter().all(|number| cache.fetch(&key(*number)).is_some()));
        // In place of an older answer there is room again.
        cache.store(key(0), None, attempt(quarter));
        assert!([0, 2, 3, 4].iter().all(|number| cache.fetch(&key(*number)).is_some()));
        assert!(cache.bytes() <= BYTES);
        // What does not fit at all is not kept, and nothing else is for its sake.
        cache.store(key(5), None, attempt(2 * BYTES));
        assert!(cache.bytes() <= BYTES, "{}", cache.bytes());
    }

    /// F22: how old an answer is goes by the monotonic clock, and whether it has ended by the other.
    #[test]
    fn a_clock_that_is_set_asks_nobody_without_end_and_keeps_nobody_from_being_asked() {
        let fetched: Timestamp = "2026-11-22T12:00:00Z".parse().expect("a time");
        let hours = |hours: i64| fetched + jiff::SignedDuration::from_hours(hours);
        let times = AnswerTimes { this_update: hours(-1), next_update: hours(12) };
        let Attempt { began, answer, .. } = attempt(1);
        let answer = answer.expect("an answer").0;
        let held = Held { answer, times: Some(times), fetched };
        let entry = Entry { held: Some(held), failure: None, asked: began, used: 0 };
        let freshness = Freshness { interval: Duration::from_hours(1), since: None };
        let (hour, second) = (freshness.interval, Duration::from_secs(1));
        for set in [-24 * 365, -24, -1, 0, 1, 10] {
            let due = entry.due(freshness, hours(set));
            assert!(due <= hour && due + 30 * second > hour, "set by {set} h: {due:?}");
        }
        // What has ended by this clock is asked for, at a pace; what is still no answer then, at that of failures.
        for set in [12, 24, 24 * 365] {
            let due = entry.due(freshness, hours(set));
            assert!(due <= PACE && due > Duration::ZERO, "set by {set} h: {due:?}");
            let failure = Some(Failure { why: "it has expired".into(), times: 1, ended: began });
            let failed = Entry { failure, ..entry.clone() };
            let due = failed.due(freshness, hours(set));
            assert!(due <= FAILURE_KEPT && due + 30 * second > FAILURE_KEPT, "set by {set} h: {due:?}");
        }
    }

    #[test]
    fn long_addresses_and_reasons_count_as_bytes_too() {
        let cache = Cache::default();
        for number in 0..ANSWERS {
            let failure = Some("x".repeat(64 * 1024));
            let url = format!("{number}{}", "u".repeat(2048));
            let key = Key { url, issuer: String::new(), certificate: None };
            cache.store(key, None, Attempt { failure, ..attempt(0) });
            assert!(cache.bytes() <= BYTES);
        }
        let entries = cache.lock().entries.len();
        assert!(entries > 1_000 && entries < BYTES / (64 * 1024), "{entries}");
    }

    #[test]
    fn no_more_answers_are_remembered_than_the_limit_failures_included() {
        let cache = Cache::default();
        for number in 0..=ANSWERS {
            cache.store(key(number), None, attempt(0));
        }
        assert!(cache.fetch(&key(0)).is_none());
        assert!(cache.fetch(&key(1)).is_some() && cache.fetch(&key(ANSWERS)).is_some());
        assert_eq!(cache.lock().entries.len(), ANSWERS);
    }
}
