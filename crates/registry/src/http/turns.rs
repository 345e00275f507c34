// SPDX-License-Identifier: Apache-2.0
//! Whose turn it is: each host is asked by a few at once, and no faster than a steady rate with room for a burst.
//!
//! Every host has places and a pace of its own, so one that is dead or slow keeps nobody waiting who asks another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::limits::{MAX_REMEMBERED, MAX_REQUESTS_PER_HOST, REQUEST_BURST, REQUEST_SPACING};

/// The turns of all hosts, by origin.
#[derive(Default)]
pub(super) struct Turns {
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

/// One host's places and pace.
struct Host {
    places: Arc<Semaphore>,
    /// When the next request would be due if all came evenly spaced: the generic cell rate algorithm (ITU-T I.371).
    due: Mutex<Instant>,
}

/// A place at a host; whoever holds it may ask once their [`Place::pace`] is over.
pub(super) struct Place {
    host: Arc<Host>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// Waits for a place at this host.
    pub(super) async fn place(&self, origin: &str) -> Place {
        let host = self.host(origin);
        // The semaphore is never closed.
        let permit = Arc::clone(&host.places).acquire_owned().await.ok();
        Place { host, _permit: permit }
    }

    fn host(&self, origin: &str) -> Arc<Host> {
        // A poisoned lock only says that another thread panicked between two complete operations.
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= MAX_REMEMBERED && !hosts.contains_key(origin) {
            hosts.retain(|_, host| Arc::strong_count(host) > 1 || host.is_ahead());
        }
        // The empty name is no host's: it is what all hosts beyond the bound share, which is slower but bounded.
        let name = if hosts.len() < MAX_REMEMBERED || hosts.contains_key(origin) { origin } else { "" };
        Arc::clone(hosts.entry(name.to_owned()).or_insert_with(|| Arc::new(Host::new())))
    }
}

impl Place {
    /// Waits until the host's rate allows one more request.
    pub(super) async fn pace(&self) {
        let wait = self.host.reserve(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

impl Host {
    fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(MAX_REQUESTS_PER_HOST)), due: Mutex::new(Instant::now()) }
    }

    /// How long the next request has to wait; its turn is taken.
    fn reserve(&self, now: Instant) -> Duration {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = (*due).max(now);
        *due = mine.checked_add(REQUEST_SPACING).unwrap_or(mine);
        let burst = REQUEST_SPACING.saturating_mul(REQUEST_BURST.saturating_sub(1));
        mine.saturating_duration_since(now).saturating_sub(burst)
    }

    /// Whether it was asked faster than evenly a moment ago, which must not be forgotten yet.
    fn is_ahead(&self) -> bool {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner) > Instant::now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_free_and_then_requests_are_spaced_evenly() {
        let turns = Turns::default();
        let start = Instant::now();
        for _ in 0..REQUEST_BURST {
            turns.place("host").await.pace().await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        let more = 250;
        for _ in 0..more {
            turns.place("host").await.pace().await;
        }
        let took = start.elapsed();
        let least = REQUEST_SPACING * more;
        assert!(took >= least && took < least + REQUEST_SPACING * 2 * more, "{took:?}");
        // Whoever was quiet for long enough has a whole burst again, and no more than one.
        tokio::time::advance(Duration::from_hours(1)).await;
        let start = Instant::now();
        for _ in 0..REQUEST_BURST {
            turns.place("host").await.pace().await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        turns.place("host").await.pace().await;
        assert!(start.elapsed() >= REQUEST_SPACING);
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_have_a_place_at_a_host_and_the_next_waits_for_one_to_leave() {
        let turns = Turns::default();
        let mut places = Vec::new();
        for _ in 0..MAX_REQUESTS_PER_HOST {
            places.push(turns.place("host").await);
        }
        let waited = tokio::time::timeout(Duration::from_hours(1), turns.place("host")).await;
        assert!(waited.is_err(), "there is no place");
        places.pop();
        turns.place("host").await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_whose_places_and_rate_are_used_up_delays_no_other() {
        let turns = Turns::default();
        let mut places = Vec::new();
        for _ in 0..MAX_REQUESTS_PER_HOST {
            places.push(turns.place("dead").await);
        }
        for _ in 0..REQUEST_BURST * 2 {
            places[0].host.reserve(Instant::now());
        }
        let start = Instant::now();
        turns.place("alive").await.pace().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_memory_of_hosts_is_bounded_and_forgets_no_pace() {
        let turns = Turns::default();
        turns.place("0").await.pace().await;
        for host in 1..MAX_REMEMBERED {
            turns.place(&host.to_string()).await;
        }
        turns.place("one more").await;
        let hosts = turns.hosts.lock().unwrap();
        assert!(hosts.len() <= MAX_REMEMBERED, "{}", hosts.len());
        assert!(hosts.contains_key("0"), "its pace is not over");
        assert!(!hosts.contains_key("1"));
    }
}
