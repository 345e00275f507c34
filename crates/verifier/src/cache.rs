// SPDX-License-Identifier: Apache-2.0
//! Evidence that outlives the process, in a folder that the user names: lists of signatures with the time they were
//! obtained, signatures as an OCI image layout, answers about revocation with the time they were fetched.
//!
//! It serves a process that starts while a registry is out of reach, and nothing else: what is read here is judged as
//! what was heard then, at the time it was heard, and is never taken for what would be heard now. Every entry is
//! checked when it is read, and one that is damaged is no entry. No failure of the folder is an error of anybody: it
//! is logged once, counted, and verifying goes on without.

mod files;
mod layout;
pub(crate) mod memory;
pub(crate) mod record;
mod seal;
mod shared;
mod shelf;
mod worker;

use std::{
    collections::BTreeMap,
    fmt, io,
    path::Path,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use sealwatch_notation::MAX_CRL_BYTES;
use sealwatch_registry::Digest;
use tokio::sync::oneshot;

use self::{
    files::{Folder, Found},
    layout::SIGNATURE_FILE_MOST,
    memory::Raw,
    seal::SEAL_BYTES,
    shared::{Shared, lock},
    shelf::{Name, Signature},
    worker::{Job, Worker},
};

/// The room that a cache on disk may take unless the user says otherwise: some thousand images.
pub const DEFAULT_MAX_BYTES: u64 = 256 * 1024 * 1024;
/// The least room that a user may give it.
pub const LEAST_MAX_BYTES: u64 = 1024 * 1024;
/// Largest list of signatures that is kept; of the most signatures that are looked at, it has some 20 KiB.
const LIST_MOST: usize = 256 * 1024;
/// One entry takes at most this part of the room, so that a single one cannot push out all others.
const PART: u64 = 4;
/// How much may wait to be written, in bytes and in jobs. What comes beyond is not kept.
const WAITING_BYTES: usize = 32 * 1024 * 1024;
const WAITING: usize = 8_192;
/// How long opening a folder is waited for. One that takes longer is used as soon as it is open.
const OPENS_MOST: Duration = Duration::from_secs(10);
/// Bytes of the time that stands before an answer.
const TIME_BYTES: usize = 8;

/// What happens to entries, for those who count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Event {
    /// An entry was read and is what it should be.
    Hit,
    /// There was no entry.
    Miss,
    /// An entry was cut, changed, of another version or not ours; it was removed.
    Damaged,
    /// An entry is of a time to come, by this machine's clock. It is kept, in case the clock is wrong.
    Future,
    /// An entry was written.
    Stored,
    /// An entry had to make room.
    Evicted,
    /// An entry was not written, because it is too large or too much is waiting.
    Dropped,
    /// The disk did not do as it was told.
    Failed,
}

impl Event {
    /// Each of them.
    pub const ALL: [Self; 8] =
        [Self::Hit, Self::Miss, Self::Damaged, Self::Future, Self::Stored, Self::Evicted, Self::Dropped, Self::Failed];

    /// The label of a metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "Hit",
            Self::Miss => "Miss",
            Self::Damaged => "Damaged",
            Self::Future => "Future",
            Self::Stored => "Stored",
            Self::Evicted => "Evicted",
            Self::Dropped => "Dropped",
            Self::Failed => "Failed",
        }
    }
}

/// How a cache is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheState {
    /// Whether its folder is in use. If not, nothing is read or written, and it is tried again every 30 s.
    pub is_open: bool,
    /// The room that its entries take on the disk, in bytes.
    pub bytes: u64,
    /// What happened how often since the start.
    pub events: BTreeMap<Event, u64>,
}

/// A cache on disk. Clones share it; it is written by a thread of its own.
#[derive(Clone)]
pub struct EvidenceCache {
    shared: Arc<Shared>,
    jobs: mpsc::Sender<Job>,
}

impl fmt::Debug for EvidenceCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvidenceCache").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

impl EvidenceCache {
    /// Uses this folder, and at most `max_bytes` in it. What is missing is made. A folder that cannot be used (another
    /// process has it, it may not be written to, it cannot be made) is no error: it is warned of, and tried again from
    /// time to time. Waits for the disk, but not longer than 10 s.
    pub fn open(folder: &Path, max_bytes: u64) -> Self {
        let shared = Arc::new(Shared {
            path: folder.to_owned(),
            max_bytes: max_bytes.max(LEAST_MAX_BYTES),
            folder: Mutex::default(),
            shelf: Mutex::default(),
            counts: Mutex::default(),
            waiting: Mutex::default(),
            warned: Mutex::default(),
        });
        let ((jobs, received), (opening, opened)) = (mpsc::channel(), mpsc::channel());
        let worker = Worker::new(Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("evidence-cache".to_owned());
        match thread.spawn(move || worker.run(&received, &opening)) {
            Ok(_) => {
                if opened.recv_timeout(OPENS_MOST).is_err() {
                    shared.failed("opened yet", &io::ErrorKind::TimedOut.into());
                }
            }
            Err(error) => shared.failed("written to", &error),
        }
        Self { shared, jobs }
    }

    /// How it is doing.
    pub fn state(&self) -> CacheState {
        let events = lock(&self.shared.counts).clone();
        CacheState { is_open: self.shared.folder().is_some(), bytes: self.shared.shelf().bytes(), events }
    }

    /// Waits until everything that was to be kept so far is on the disk, or could not be written.
    pub async fn flush(&self) {
        self.finish(Job::Flush).await;
    }

    /// Likewise, and lets go of the folder: from then on nothing is read or kept.
    pub async fn close(&self) {
        self.finish(Job::Close).await;
    }

    async fn finish(&self, job: impl FnOnce(oneshot::Sender<()>) -> Job) {
        let (done, wait) = oneshot::channel();
        if self.send(job(done)) {
            // An error says that the thread is gone, and so there is nothing to wait for.
            let _ = wait.await;
        }
    }

    fn send(&self, job: Job) -> bool {
        let size = job.size();
        if !self.shared.begin(&job) {
            self.shared.count(Event::Dropped);
            return false;
        }
        let is_sent = self.jobs.send(job).is_ok();
        if !is_sent {
            self.shared.done(size);
        }
        is_sent
    }

    /// The keyed name of something; none while there is no folder.
    fn name(&self, kind: fn(String) -> Name, about: &[&[u8]]) -> Option<(Arc<Folder>, Name)> {
        let folder = self.shared.folder()?;
        let word = match kind(String::new()) {
            Name::List(_) => "list",
            Name::Answer(_) | Name::Signature(_) => "answer",
        };
        let name = kind(folder.seal.name(word, about));
        Some((folder, name))
    }

    fn put(&self, name: Name, content: [Bytes; 2]) {
        let size = content.iter().fold(SEAL_BYTES, |size, part| size.saturating_add(part.len()));
        if self.fits(shelf::room(size)) {
            self.send(Job::Put(name, content));
        }
    }

    /// Whether something is small enough to be kept.
    fn fits(&self, room: u64) -> bool {
        let fits = room <= self.shared.max_bytes / PART;
        if !fits {
            self.shared.count(Event::Dropped);
        }
        fits
    }

    /// Reads an entry; not to be called where waiting for a disk holds up others.
    fn get(&self, folder: &Folder, name: &Name, most: usize) -> Option<Vec<u8>> {
        let (Name::List(text) | Name::Answer(text)) = name else { return None };
        let bytes = self.read(folder, &name.path(), most.saturating_add(SEAL_BYTES), name)?;
        let content = folder.seal.open(text, &bytes).map(<[u8]>::to_vec);
        if content.is_none() {
            self.damaged(name.clone());
        }
        content
    }

    fn read(&self, folder: &Folder, path: &Path, limit: usize, name: &Name) -> Option<Vec<u8>> {
        match folder.read(path, limit) {
            Found::Bytes(bytes) => return Some(bytes),
            Found::Absent => self.shared.count(Event::Miss),
            Found::Damaged => self.damaged(name.clone()),
            Found::Failed(error) => self.shared.failed("read from", &error),
        }
        None
    }

    fn damaged(&self, name: Name) {
        self.shared.count(Event::Damaged);
        self.send(Job::Remove(name));
    }

    fn hit(&self, name: Name) {
        self.shared.count(Event::Hit);
        self.send(Job::Use(name));
    }

    /// Keeps a list of signatures.
    pub(crate) fn keep_list(&self, about: &[&[u8]], content: Vec<u8>) {
        let Some((_, name)) = self.name(Name::List, about) else { return };
        if content.len() > LIST_MOST {
            self.shared.count(Event::Dropped);
            self.send(Job::Remove(name));
            return;
        }
        self.put(name, [Bytes::new(), content.into()]);
    }

    /// Forgets a list of signatures.
    pub(crate) fn forget_list(&self, about: &[&[u8]]) {
        if let Some((_, name)) = self.name(Name::List, about) {
            self.send(Job::Remove(name));
        }
    }

    /// Reads a list of signatures with `read`, which gives none for what is none, and the time of what is. Waits for
    /// the disk.
    pub(crate) fn list<T>(
        &self,
        about: &[&[u8]],
        now: Timestamp,
        read: impl FnOnce(&[u8]) -> Option<(T, Timestamp)>,
    ) -> Option<T> {
        let (folder, name) = self.name(Name::List, about)?;
        let content = self.get(&folder, &name, LIST_MOST)?;
        let list = read(&content);
        self.dated(name, list, now)
    }

    /// Keeps an answer about revocation.
    pub(crate) fn keep_answer(&self, about: &[&[u8]], fetched: Timestamp, body: Bytes) {
        let Some((_, name)) = self.name(Name::Answer, about) else { return };
        let Ok(nanoseconds) = i64::try_from(fetched.as_nanosecond()) else { return };
        self.put(name, [Bytes::copy_from_slice(&nanoseconds.to_be_bytes()), body]);
    }

    /// Reads an answer about revocation, and when it was fetched. Waits for the disk.
    pub(crate) fn answer(&self, about: &[&[u8]], now: Timestamp) -> Option<(Bytes, Timestamp)> {
        let (folder, name) = self.name(Name::Answer, about)?;
        let content = Bytes::from(self.get(&folder, &name, MAX_CRL_BYTES.saturating_add(TIME_BYTES))?);
        let read = || {
            let time = i64::from_be_bytes(content.get(..TIME_BYTES)?.try_into().ok()?);
            let fetched = Timestamp::from_nanosecond(i128::from(time)).ok()?;
            Some((content.slice(TIME_BYTES..), fetched))
        };
        let answer = read().map(|(body, fetched)| ((body, fetched), fetched));
        self.dated(name, answer, now)
    }

    /// What is of a time to come is not believed; nor is it removed, because this machine's clock may be what is wrong.
    fn dated<T>(&self, name: Name, read: Option<(T, Timestamp)>, now: Timestamp) -> Option<T> {
        match read {
            Some((value, at)) if at <= now => {
                self.hit(name);
                Some(value)
            }
            Some(_) => {
                self.shared.count(Event::Future);
                None
            }
            None => {
                self.damaged(name);
                None
            }
        }
    }

    /// Keeps a signature by the digest of its manifest.
    pub(crate) fn keep_signature(&self, digest: &Digest, manifest: &Bytes, raw: &Raw) {
        let size = |bytes: &Bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let signature = Signature {
            media_type: raw.manifest_type.clone(),
            size: size(manifest),
            envelope: raw.envelope.digest.clone(),
            envelope_size: size(&raw.bytes),
        };
        if self.shared.folder().is_some() && self.fits(signature.room()) {
            self.send(Job::Sign(digest.clone(), signature, [manifest.clone(), raw.bytes.clone()]));
        }
    }

    /// Reads a blob of the signature with this manifest. Waits for the disk.
    pub(crate) fn blob(&self, manifest: &Digest, digest: &Digest) -> Option<Bytes> {
        let folder = self.shared.folder()?;
        let name = Name::Signature(manifest.clone());
        let bytes = self.read(&folder, &layout::blob(digest), SIGNATURE_FILE_MOST, &name)?;
        if !digest.matches(&bytes) {
            self.damaged(name);
            return None;
        }
        Some(bytes.into())
    }
}

#[cfg(test)]
mod tests;
