// SPDX-License-Identifier: Apache-2.0
//! Whom to leave alone, and until when: a registry that throttles, and a host that does not answer.
//!
//! An image has its own back-off (the verifier's `schedule`). This one is for what all images of a host share: after a
//! 429, none of them asks again before its time, so a throttled registry sees no more requests than a calm one; and a
//! mirror that is down costs its connection timeout once, not once for every request that then goes to the next place.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{MAX_REMEMBERED, SILENCE_FIRST, SILENCE_MOST, THROTTLE_FIRST, THROTTLE_MOST, TURN_SPACING};

/// How long somebody is left alone after the first failure, and at most.
#[derive(Clone, Copy)]
struct Pauses {
    first: Duration,
    most: Duration,
}

/// Who is left alone, by key.
pub(super) struct Patience<K> {
    waits: Mutex<HashMap<K, Wait>>,
    pauses: Pauses,
}

struct Wait {
    until: Instant,
    /// Failures in a row; those that come while one is being waited out are the same one.
    failures: u32,
    /// How many were turned away since, so that they do not all come back at the same moment.
    turned_away: u32,
}

impl<K: Clone + Eq + Hash> Patience<K> {
    /// For those who throttle without saying for how long.
    pub(super) fn with_throttling() -> Self {
        Self::new(THROTTLE_FIRST, THROTTLE_MOST)
    }

    /// For those who do not answer.
    pub(super) fn with_silence() -> Self {
        Self::new(SILENCE_FIRST, SILENCE_MOST)
    }

    fn new(first: Duration, most: Duration) -> Self {
        Self { waits: Mutex::default(), pauses: Pauses { first, most } }
    }

    /// # Errors
    /// How long to wait before asking, if it is not yet time. Each who is turned away gets a turn of their own.
    pub(super) fn check(&self, key: &K) -> Result<(), Duration> {
        let mut waits = self.lock();
        let Some(wait) = waits.get_mut(key) else { return Ok(()) };
        let left = wait.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        let turn = TURN_SPACING.saturating_mul(wait.turned_away);
        wait.turned_away = wait.turned_away.saturating_add(1);
        Err(left.saturating_add(turn.min(self.pauses.most)))
    }

    /// It failed, and asked for so long a pause, if it did.
    pub(super) fn failed(&self, key: &K, wish: Option<Duration>) {
        let now = Instant::now();
        let mut waits = self.lock();
        if waits.len() >= MAX_REMEMBERED && !waits.contains_key(key) {
            waits.retain(|_, wait| wait.until > now);
            if waits.len() >= MAX_REMEMBERED {
                return;
            }
        }
        let wait = waits.entry(key.clone()).or_insert(Wait { until: now, failures: 0, turned_away: 0 });
        let is_same_failure = wait.until > now;
        if !is_same_failure {
            wait.failures = wait.failures.saturating_add(1);
            wait.turned_away = 0;
        }
        let doubled = self.pauses.first.saturating_mul(2_u32.saturating_pow(wait.failures.saturating_sub(1).min(20)));
        let pause = wish.unwrap_or_else(|| doubled.min(self.pauses.most));
        wait.until = now.checked_add(pause).unwrap_or(now).max(wait.until);
    }

    /// It answered as it should.
    pub(super) fn answered(&self, key: &K) {
        let mut waits = self.lock();
        // An answer to what was asked before the failure does not end the pause.
        if waits.get(key).is_some_and(|wait| wait.until <= Instant::now()) {
            waits.remove(key);
        }
    }

    /// A poisoned lock only says that another thread panicked between two complete operations.
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Wait>> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(waited: Result<(), Duration>) -> Option<u64> {
        waited.err().map(|wait| wait.as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_their_bound_and_an_answer_ends_them() {
        let patience = Patience::with_silence();
        let mut pauses = Vec::new();
        for _ in 0..7 {
            patience.failed(&"host", None);
            // Others that were under way fail of the same cause.
            patience.failed(&"host", None);
            let pause = patience.check(&"host").unwrap_err();
            pauses.push(pause.as_secs());
            assert_eq!(patience.check(&"another"), Ok(()));
            tokio::time::advance(pause).await;
            assert_eq!(patience.check(&"host"), Ok(()));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        patience.answered(&"host");
        patience.failed(&"host", None);
        assert_eq!(seconds(patience.check(&"host")), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wish_is_obeyed_and_a_late_answer_does_not_shorten_it() {
        let patience = Patience::with_throttling();
        patience.failed(&"host", Some(Duration::from_mins(10)));
        patience.failed(&"host", Some(Duration::from_secs(5)));
        patience.answered(&"host");
        assert_eq!(seconds(patience.check(&"host")), Some(600));
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_are_turned_away_do_not_come_back_at_the_same_moment() {
        let patience = Patience::with_throttling();
        patience.failed(&"host", Some(Duration::from_secs(10)));
        let turns: Vec<Duration> = (0..3).map(|_| patience.check(&"host").unwrap_err()).collect();
        assert!(turns.windows(2).all(|pair| pair[1] == pair[0] + TURN_SPACING), "{turns:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_memory_of_failures_is_bounded() {
        let patience = Patience::with_silence();
        for host in 0..MAX_REMEMBERED + 10 {
            patience.failed(&host, None);
        }
        assert_eq!(patience.lock().len(), MAX_REMEMBERED);
    }
}
