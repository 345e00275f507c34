// SPDX-License-Identifier: Apache-2.0
//! What was heard about revocation, within bounds, and when it is to be heard again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use sealwatch_notation::{AnswerTimes, RevocationAnswers, RevocationList, RevocationQuestion, RevocationRequest};

use crate::schedule;

/// How many answers are remembered. A namespace's chains name some tens of URLs.
const ANSWERS: usize = 4_096;
/// How many bytes of answers are remembered: two of the largest lists; usual ones are below 1 MiB.
const BYTES: usize = 64 * 1024 * 1024;
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
    Ocsp(Arc<[u8]>),
    List(RevocationList),
}

impl Answer {
    fn size(&self) -> usize {
        match self {
            Self::Ocsp(body) => body.len(),
            Self::List(list) => list.der().len(),
        }
    }

    /// Puts it among the answers that are judged by.
    pub(super) fn insert(&self, question: &RevocationQuestion, answers: &mut RevocationAnswers) {
        match self {
            Self::Ocsp(body) => answers.insert_ocsp(&question.url, &question.certificate, Ok(body.to_vec())),
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
    /// How long until it is to be asked again.
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

    /// Takes in how an attempt ended. An answer to the question takes the place of an older one; what answers nothing,
    /// only the place of the like.
    pub(super) fn store(&self, key: Key, attempt: Attempt) {
        let mut inner = self.lock();
        let known = inner.entries.remove(&key);
        inner.bytes = inner.bytes.saturating_sub(known.as_ref().map_or(0, size));
        let failed = known.as_ref().and_then(|entry| entry.failure.as_ref()).map_or(0, |failure| failure.times);
        let failure =
            attempt.failure.map(|why| Failure { why, times: failed.saturating_add(1), ended: Instant::now() });
        let new = attempt.answer.map(|(answer, times)| Held { answer, times, fetched: attempt.ended });
        let held = better(known.and_then(|entry| entry.held), new, attempt.ended);
        inner.clock = inner.clock.saturating_add(1);
        let entry = Entry { held, failure, asked: attempt.began, used: inner.clock };
        inner.bytes = inner.bytes.saturating_add(size(&entry));
        inner.entries.insert(key, entry);
        while inner.entries.len() > ANSWERS || inner.bytes > BYTES {
            let oldest = inner.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            let Some(gone) = oldest.and_then(|key| inner.entries.remove(&key)) else { break };
            inner.bytes = inner.bytes.saturating_sub(size(&gone));
        }
    }
}

fn size(entry: &Entry) -> usize {
    entry.held.as_ref().map_or(0, |held| held.answer.size())
}

/// Which of two answers is kept. A network that plays an older answer back does not undo a newer one, and what answers
/// nothing does not undo what did.
fn better(old: Option<Held>, new: Option<Held>, now: Timestamp) -> Option<Held> {
    let (Some(old), Some(new)) = (&old, &new) else { return new.or(old) };
    let kept = match (old.times, new.times) {
        (Some(_), None) => old.clone(),
        // As fresh as if it had been heard again.
        (Some(before), Some(after)) if old.is_current(now) && after.this_update < before.this_update => {
            Held { fetched: new.fetched, ..old.clone() }
        }
        _ => new.clone(),
    };
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        Key { url: number.to_string(), issuer: String::new(), certificate: None }
    }

    fn attempt(bytes: usize) -> Attempt {
        let answer = (bytes > 0).then(|| (Answer::Ocsp(vec![0; bytes].into()), None));
        Attempt { began: Instant::now(), ended: Timestamp::UNIX_EPOCH, answer, failure: None }
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room_by_bytes() {
        let cache = Cache::default();
        for number in 0..4 {
            cache.store(key(number), attempt(BYTES / 4));
        }
        assert!(cache.fetch(&key(0)).is_some());
        cache.store(key(4), attempt(1));
        assert!(cache.fetch(&key(1)).is_none(), "it was used before all others");
        assert!([0, 2, 3, 4].iter().all(|number| cache.fetch(&key(*number)).is_some()));
        // In place of an older answer there is room again.
        cache.store(key(0), attempt(BYTES / 4));
        assert!([0, 2, 3, 4].iter().all(|number| cache.fetch(&key(*number)).is_some()));
    }

    #[test]
    fn no_more_answers_are_remembered_than_the_limit_failures_included() {
        let cache = Cache::default();
        for number in 0..=ANSWERS {
            cache.store(key(number), attempt(0));
        }
        assert!(cache.fetch(&key(0)).is_none());
        assert!(cache.fetch(&key(1)).is_some() && cache.fetch(&key(ANSWERS)).is_some());
        assert_eq!(cache.lock().entries.len(), ANSWERS);
    }
}
