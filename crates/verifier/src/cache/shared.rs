// SPDX-License-Identifier: Apache-2.0
//! What the writing thread and everybody else share: the folder while it is open, the account, and the counts.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    Event, WAITING, WAITING_BYTES,
    files::{Folder, Unusable},
    shelf::Shelf,
    worker::Job,
};

/// What the writing thread and everybody else share.
pub(super) struct Shared {
    pub(super) path: PathBuf,
    pub(super) max_bytes: u64,
    /// None while it cannot be used.
    pub(super) folder: Mutex<Option<Arc<Folder>>>,
    pub(super) shelf: Mutex<Shelf>,
    pub(super) counts: Mutex<BTreeMap<Event, u64>>,
    /// How many jobs wait, and how many bytes they hold.
    pub(super) waiting: Mutex<(usize, usize)>,
    /// What was warned of.
    pub(super) warned: Mutex<HashSet<String>>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A poisoned lock only says that another thread panicked between two complete operations.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn folder(&self) -> Option<Arc<Folder>> {
        lock(&self.folder).clone()
    }

    pub(super) fn shelf(&self) -> MutexGuard<'_, Shelf> {
        lock(&self.shelf)
    }

    pub(super) fn count(&self, event: Event) {
        let mut counts = lock(&self.counts);
        let count = counts.entry(event).or_default();
        *count = count.saturating_add(1);
    }

    pub(super) fn open(&self) {
        // Entries that wait were named with the key of the folder that they were meant for.
        let before = self.folder();
        match Folder::open(&self.path, before.as_deref()) {
            Ok(folder) => {
                tracing::info!(path = %self.path.display(), "evidence is kept on disk");
                *lock(&self.folder) = Some(Arc::new(folder));
            }
            Err(error) => {
                self.close();
                self.count(Event::Failed);
                let advice = if matches!(error, Unusable::Busy) { "; each process needs one of its own" } else { "" };
                self.warn(&format!("cannot be used: {error}{advice}"));
            }
        }
    }

    pub(super) fn close(&self) {
        *lock(&self.folder) = None;
        *self.shelf() = Shelf::default();
    }

    pub(super) fn failed(&self, what: &str, error: &io::Error) {
        self.count(Event::Failed);
        self.warn(&format!("could not be {what}: {error}"));
    }

    /// Once for each way to fail; the metric tells of the rest.
    pub(super) fn warn(&self, what: &str) {
        if lock(&self.warned).insert(what.to_owned()) {
            let error = format!("the folder {what}");
            tracing::warn!(path = %self.path.display(), error, "verifying goes on without the evidence cache");
        }
    }

    /// Takes a place in the queue, if there is one.
    pub(super) fn begin(&self, job: &Job) -> bool {
        let mut waiting = lock(&self.waiting);
        let (jobs, bytes) = (waiting.0.saturating_add(1), waiting.1.saturating_add(job.size()));
        let fits = !job.is_optional() || jobs <= WAITING && bytes <= WAITING_BYTES;
        if fits {
            *waiting = (jobs, bytes);
        }
        fits
    }

    pub(super) fn done(&self, size: usize) {
        let mut waiting = lock(&self.waiting);
        *waiting = (waiting.0.saturating_sub(1), waiting.1.saturating_sub(size));
    }
}
