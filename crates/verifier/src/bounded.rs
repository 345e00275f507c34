// SPDX-License-Identifier: Apache-2.0
//! A memory for things of bounded size, bounded by their number.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::{Mutex, PoisonError},
};

/// A map with room for a fixed number of entries; the one stored first goes first.
#[derive(Debug)]
pub(crate) struct Bounded<K, V> {
    inner: Mutex<Inner<K, V>>,
    capacity: usize,
}

#[derive(Debug)]
struct Inner<K, V> {
    entries: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Clone + Eq + Hash, V: Clone> Bounded<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { inner: Mutex::new(Inner { entries: HashMap::new(), order: VecDeque::new() }), capacity }
    }

    pub(crate) fn fetch(&self, key: &K) -> Option<V> {
        // A poisoned lock only says that another thread panicked between two complete operations.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).entries.get(key).cloned()
    }

    pub(crate) fn store(&self, key: K, value: V) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.entries.insert(key.clone(), value).is_none() {
            inner.order.push_back(key);
        }
        while inner.order.len() > self.capacity {
            let Some(oldest) = inner.order.pop_front() else { break };
            inner.entries.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounded_map_forgets_the_oldest_entry_first() {
        let map = Bounded::new(2);
        map.store("a", 1);
        map.store("b", 2);
        map.store("a", 3);
        map.store("c", 4);
        assert_eq!((map.fetch(&"a"), map.fetch(&"b"), map.fetch(&"c")), (None, Some(2), Some(4)));
    }
}
