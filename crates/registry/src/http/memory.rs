// SPDX-License-Identifier: Apache-2.0
//! What is remembered for a while: bounded in number, each entry until its end.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A map with room for a fixed number of entries, each with an end; the one that was new first goes first.
pub(super) struct Memory<K, V> {
    inner: Mutex<Inner<K, V>>,
    room: usize,
}

struct Inner<K, V> {
    entries: HashMap<K, (V, Instant)>,
    order: VecDeque<K>,
}

impl<K: Clone + Eq + Hash, V: Clone> Memory<K, V> {
    pub(super) fn new(room: usize) -> Self {
        Self { inner: Mutex::new(Inner { entries: HashMap::new(), order: VecDeque::new() }), room }
    }

    pub(super) fn recall(&self, key: &K) -> Option<V> {
        let inner = self.lock();
        inner.entries.get(key).filter(|(_, end)| *end > Instant::now()).map(|(value, _)| value.clone())
    }

    pub(super) fn remember(&self, key: K, value: V, life: Duration) {
        let Some(end) = Instant::now().checked_add(life) else { return };
        let mut inner = self.lock();
        if inner.entries.insert(key.clone(), (value, end)).is_none() {
            inner.order.push_back(key);
        }
        while inner.order.len() > self.room {
            let Some(oldest) = inner.order.pop_front() else { break };
            inner.entries.remove(&oldest);
        }
    }

    /// Another value for an entry that is there, with the end that it has.
    pub(super) fn replace(&self, key: &K, value: V) {
        if let Some((known, _)) = self.lock().entries.get_mut(key) {
            *known = value;
        }
    }

    pub(super) fn forget(&self, key: &K) {
        self.forget_where(|known| known == key);
    }

    /// Forgets every entry whose key is so.
    pub(super) fn forget_where(&self, is_so: impl Fn(&K) -> bool) {
        let mut inner = self.lock();
        let Inner { entries, order } = &mut *inner;
        let before = entries.len();
        entries.retain(|key, _| !is_so(key));
        if entries.len() != before {
            order.retain(|key| !is_so(key));
        }
    }

    /// A poisoned lock only says that another thread panicked between two complete operations.
    fn lock(&self) -> MutexGuard<'_, Inner<K, V>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_entry_ends_with_its_life_and_the_oldest_makes_room() {
        let memory = Memory::new(2);
        memory.remember("a", 1, Duration::from_secs(10));
        memory.remember("b", 2, Duration::from_secs(20));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!((memory.recall(&"a"), memory.recall(&"b")), (None, Some(2)));
        memory.remember("b", 3, Duration::from_secs(20));
        memory.remember("c", 4, Duration::from_secs(20));
        memory.remember("d", 5, Duration::from_secs(20));
        assert_eq!((memory.recall(&"b"), memory.recall(&"c"), memory.recall(&"d")), (None, Some(4), Some(5)));
        memory.forget(&"c");
        memory.remember("e", 6, Duration::from_secs(20));
        assert_eq!((memory.recall(&"c"), memory.recall(&"d"), memory.recall(&"e")), (None, Some(5), Some(6)));
    }
}
