// SPDX-License-Identifier: Apache-2.0
//! The thread that writes: nobody who verifies waits for a disk.

use std::{
    fs, io,
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use sealwatch_registry::{Algorithm, Digest};
use tokio::sync::oneshot;

use super::{
    Event,
    files::{ANSWERS, Folder, LISTS},
    layout,
    shared::Shared,
    shelf::{Name, Shelf, Signature, room},
};

/// How soon a folder that cannot be used is tried again: another process may have ended, or a disk may be back.
const TRY_AGAIN: Duration = Duration::from_secs(30);
/// After how many jobs `index.json` is brought up to date at the latest.
const BATCH: usize = 64;
/// Digits of a keyed name.
const NAME_DIGITS: usize = 64;

/// What is to be done to the folder.
pub(super) enum Job {
    /// Keep this content, in place of an older one.
    Put(Name, [Bytes; 2]),
    /// Keep a signature: its manifest's digest, what is known of it, manifest and envelope.
    Sign(Digest, Signature, [Bytes; 2]),
    /// Forget an entry.
    Remove(Name),
    /// An entry was used.
    Use(Name),
    /// Say when everything before this is done.
    Flush(oneshot::Sender<()>),
    /// Likewise, and let go of the folder.
    Close(oneshot::Sender<()>),
}

impl Job {
    /// Whether nothing is lost for ever if it is not done.
    pub(super) fn is_optional(&self) -> bool {
        matches!(self, Self::Put(..) | Self::Sign(..) | Self::Use(_))
    }

    /// How much it holds of what is bounded until it is done.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Put(_, contents) | Self::Sign(_, _, contents) => contents.iter().map(Bytes::len).sum(),
            Self::Remove(_) | Self::Use(_) | Self::Flush(_) | Self::Close(_) => 0,
        }
    }
}

pub(super) struct Worker {
    shared: Arc<Shared>,
    /// Whether `index.json` does not say what lies in the layout.
    is_stale: bool,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, is_stale: false }
    }

    /// Opens the folder, says so, and works until there is nobody who could ask for anything.
    pub(super) fn run(mut self, jobs: &Receiver<Job>, opened: &Sender<()>) {
        self.shared.open();
        // Whoever has waited for too long need not know.
        let _ = opened.send(());
        self.settle();
        loop {
            let first = match jobs.recv_timeout(TRY_AGAIN) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if first.is_none() && self.shared.folder().is_none() {
                self.shared.open();
                self.settle();
            }
            let mut waiting = Vec::new();
            let mut is_last = false;
            for job in first.into_iter().chain(jobs.try_iter().take(BATCH)) {
                let size = job.size();
                match job {
                    Job::Flush(done) => waiting.push(done),
                    Job::Close(done) => {
                        waiting.push(done);
                        is_last = true;
                    }
                    job => self.perform(&job),
                }
                self.shared.done(size);
                if is_last {
                    break;
                }
            }
            self.write_index();
            if is_last {
                self.shared.close();
            }
            for done in waiting {
                // Whoever does not wait any more need not know.
                let _ = done.send(());
            }
            if is_last {
                return;
            }
        }
    }

    /// Takes stock of a folder that was just opened.
    fn settle(&mut self) {
        let Some(folder) = self.shared.folder() else { return };
        let stock = take_stock(&folder);
        *self.shared.shelf() = stock;
        self.is_stale = true;
        if let Err(error) = self.furnish(&folder) {
            self.shared.failed("written to", &error);
        }
    }

    /// Brings the folder into order. The mark that makes the layout one comes last.
    fn furnish(&mut self, folder: &Folder) -> io::Result<()> {
        self.make_room(folder, 0)?;
        folder.write(&layout::blob(&Digest::of_bytes(Algorithm::Sha256, layout::EMPTY)), layout::EMPTY)?;
        self.write_index();
        let (path, content) = layout::mark();
        if self.is_stale { Ok(()) } else { folder.write(&path, content) }
    }

    fn perform(&mut self, job: &Job) {
        let Some(folder) = self.shared.folder() else { return };
        let done = self.attempt(job, &folder);
        let gone = done.is_err() && !folder.is_there();
        let done = if gone {
            // Somebody deleted the folder, which is allowed: it is made anew.
            self.shared.open();
            self.settle();
            match self.shared.folder() {
                Some(folder) => self.attempt(job, &folder),
                None => return,
            }
        } else {
            done
        };
        if let Err(error) = done {
            self.shared.failed("written to", &error);
        }
    }

    fn attempt(&mut self, job: &Job, folder: &Folder) -> io::Result<()> {
        match job {
            Job::Put(name, content) => {
                let (Name::List(text) | Name::Answer(text)) = name else { return Ok(()) };
                let entry = folder.seal.seal(text, content.each_ref().map(Bytes::as_ref));
                self.make_room(folder, room(entry.len()))?;
                folder.write(&name.path(), &entry)?;
                self.shared.shelf().put(name.clone(), room(entry.len()), None);
                self.shared.count(Event::Stored);
            }
            Job::Sign(digest, signature, contents) => self.keep(folder, digest, signature, contents)?,
            Job::Remove(name) => self.remove(folder, std::slice::from_ref(name))?,
            Job::Use(name) => drop(self.use_again(folder, name)),
            Job::Flush(_) | Job::Close(_) => {}
        }
        Ok(())
    }

    /// Takes in that an entry was used. Returns whether it is there.
    fn use_again(&self, folder: &Folder, name: &Name) -> bool {
        let is_known = self.shared.shelf().touch(name);
        is_known && folder.touch(&name.path())
    }

    /// The envelope, then the manifest that names it, then (at the end of the batch) the index that names that.
    fn keep(
        &mut self,
        folder: &Folder,
        digest: &Digest,
        signature: &Signature,
        [manifest, envelope]: &[Bytes; 2],
    ) -> io::Result<()> {
        let name = Name::Signature(digest.clone());
        if self.use_again(folder, &name) {
            return Ok(());
        }
        self.make_room(folder, signature.room())?;
        let rarer = |digest: &&Digest| digest.algorithm() != Algorithm::Sha256;
        for digest in [digest, &signature.envelope].into_iter().filter(rarer) {
            folder.make(&layout::blobs(digest.algorithm()))?;
        }
        folder.write(&layout::blob(&signature.envelope), envelope)?;
        folder.write(&layout::blob(digest), manifest)?;
        self.shared.shelf().put(name, signature.room(), Some(signature.clone()));
        self.shared.count(Event::Stored);
        self.is_stale = true;
        Ok(())
    }

    /// Makes so much room that `more` bytes fit within the bound.
    fn make_room(&mut self, folder: &Folder, more: u64) -> io::Result<()> {
        if more > self.shared.max_bytes {
            return Err(io::Error::other("it is larger than the cache may be"));
        }
        let victims = self.shared.shelf().victims(more, self.shared.max_bytes);
        for _ in &victims {
            self.shared.count(Event::Evicted);
        }
        self.remove(folder, &victims)
    }

    fn remove(&mut self, folder: &Folder, names: &[Name]) -> io::Result<()> {
        let mut files = Vec::new();
        for name in names {
            let mut stock = self.shared.shelf();
            let is_signature = matches!(name, Name::Signature(_));
            if is_signature && !stock.has(name) {
                // It may be part of another one, as an envelope.
                continue;
            }
            self.is_stale |= is_signature;
            files.push(name.path());
            files.extend(stock.remove(name).as_ref().map(layout::blob));
        }
        // The index first, so that it never names what is not there; but a disk that is too full for it gets room.
        self.write_index();
        files.iter().try_for_each(|file| folder.remove(file))
    }

    fn write_index(&mut self) {
        let Some(folder) = self.shared.folder().filter(|_| self.is_stale) else { return };
        let index = layout::render(&self.shared.shelf());
        match folder.write(&layout::index(), &index) {
            Ok(()) => self.is_stale = false,
            // A folder that is gone has no index to be put right: the next job makes it anew.
            Err(_) if !folder.is_there() => {}
            Err(error) => self.shared.failed("written to", &error),
        }
    }
}

/// What lies in the folder, in the order of its last use. What nobody here would have written is removed.
fn take_stock(folder: &Folder) -> Shelf {
    let mut found: Vec<(SystemTime, Name, u64, Option<Signature>)> = Vec::new();
    for (below, name) in [(LISTS, Name::List as fn(String) -> Name), (ANSWERS, Name::Answer)] {
        let Ok(entries) = fs::read_dir(folder.path(Path::new(below))) else { continue };
        for entry in entries.flatten() {
            let file = entry.file_name().to_str().map(str::to_owned).filter(|name| is_keyed(name));
            match (file, entry.metadata()) {
                (Some(file), Ok(metadata)) if metadata.is_file() && !folder.is_new => {
                    let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                    let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
                    found.push((used, name(file), room(size), None));
                }
                _ => drop(folder.remove(&Path::new(below).join(entry.file_name()))),
            }
        }
    }
    let layout::Scan { signatures, strays } = layout::scan(folder);
    for stray in &strays {
        drop(folder.remove(stray));
    }
    for (used, digest, signature) in signatures {
        found.push((used, Name::Signature(digest), signature.room(), Some(signature)));
    }
    found.sort_by_key(|(used, ..)| *used);
    let mut shelf = Shelf::default();
    for (_, name, bytes, signature) in found {
        shelf.put(name, bytes, signature);
    }
    shelf
}

fn is_keyed(name: &str) -> bool {
    name.len() == NAME_DIGITS && name.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}
