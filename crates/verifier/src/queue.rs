// SPDX-License-Identifier: Apache-2.0
//! Who may ask when: one at a time about one thing, and a few at a time of one host.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{OwnedMutexGuard, Semaphore, SemaphorePermit};

use crate::limits::MAX_QUEUES;

/// The questions that are under way.
pub(crate) struct Flights<K> {
    aboard: Mutex<HashMap<K, Weak<tokio::sync::Mutex<()>>>>,
}

impl<K> Default for Flights<K> {
    fn default() -> Self {
        Self { aboard: Mutex::default() }
    }
}

impl<K: Clone + Eq + Hash> Flights<K> {
    /// Waits for the question about this that is under way, if one is.
    pub(crate) async fn board(&self, key: &K) -> Flight<'_, K> {
        let seat = {
            let mut aboard = self.aboard.lock().unwrap_or_else(PoisonError::into_inner);
            let seat = aboard.get(key).and_then(Weak::upgrade).unwrap_or_default();
            aboard.insert(key.clone(), Arc::downgrade(&seat));
            seat
        };
        Flight { flights: self, key: key.clone(), seat: Some(seat.lock_owned().await) }
    }
}

/// The right to ask about one thing.
pub(crate) struct Flight<'a, K: Eq + Hash> {
    flights: &'a Flights<K>,
    key: K,
    seat: Option<OwnedMutexGuard<()>>,
}

impl<K: Eq + Hash> Drop for Flight<'_, K> {
    fn drop(&mut self) {
        self.seat = None;
        let mut aboard = self.flights.aboard.lock().unwrap_or_else(PoisonError::into_inner);
        if aboard.get(&self.key).is_some_and(|seat| seat.strong_count() == 0) {
            aboard.remove(&self.key);
        }
    }
}

/// A queue for each host.
pub(crate) struct Hosts {
    queues: Mutex<HashMap<String, Arc<Queue>>>,
    at_once: usize,
}

impl Hosts {
    /// Queues that let so many ask one host at once.
    pub(crate) fn new(at_once: usize) -> Self {
        Self { queues: Mutex::default(), at_once }
    }

    pub(crate) fn queue(&self, host: &str) -> Arc<Queue> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        // The empty name is no host's: it is the queue that all hosts beyond the bound share.
        let name = if queues.contains_key(host) || queues.len() < MAX_QUEUES { host } else { "" };
        let queue = queues.entry(name.to_owned()).or_insert_with(|| Arc::new(Queue(Semaphore::new(self.at_once))));
        Arc::clone(queue)
    }
}

pub(crate) struct Queue(Semaphore);

impl Queue {
    /// A place in the queue. The semaphore is never closed, so there always is one.
    pub(crate) async fn enter(&self) -> Option<SemaphorePermit<'_>> {
        self.0.acquire().await.ok()
    }
}
