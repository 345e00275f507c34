// SPDX-License-Identifier: Apache-2.0
//! The folder of a cache: who may use it, and how files get into it and out of it.
//!
//! A file is written whole under another name, and renamed within the same folder tree, so that whoever reads finds
//! the old one, the new one or none (what notation-go wrote into the system's temporary folder, which may be another
//! file system, could not be renamed: CVE-2024-51491).

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use super::seal::{KEY_BYTES, Seal};

/// Below the folder that the user names: what is in it is of this version alone.
pub(super) const VERSION: &str = "v1";
/// Where files are written before they get their name.
pub(super) const TEMPORARY: &str = "tmp";
/// Lists of signatures.
pub(super) const LISTS: &str = "lists";
/// Answers about revocation.
pub(super) const ANSWERS: &str = "answers";
/// The OCI image layout with signature manifests and envelopes.
pub(super) const LAYOUT: &str = "layout";
/// Every folder below, parents first. Those of rarer digests are made when they are needed.
const FOLDERS: [&str; 6] = [TEMPORARY, LISTS, ANSWERS, LAYOUT, "layout/blobs", "layout/blobs/sha256"];
/// How often a folder that is in use is tried, and the pause in between: whoever is just ending lets go of it.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(20);
const LOCK: &str = "lock";
const KEY: &str = "key";

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("another process uses it")]
    Busy,
    #[error("{path}: {source}")]
    Io { path: String, source: io::Error },
    #[error("{0} is no folder")]
    NotAFolder(String),
    #[error("no random key could be made")]
    Random,
}

/// What reading a file came to.
pub(super) enum Found {
    Absent,
    /// There is something that nobody here wrote: no file, or one that is too large.
    Damaged,
    Failed(io::Error),
    Bytes(Vec<u8>),
}

/// A folder that this process alone uses, until this is dropped.
pub(super) struct Folder {
    root: PathBuf,
    pub(super) seal: Seal,
    /// Whether the key was made anew: what other files there are cannot be read then.
    pub(super) is_new: bool,
    key: [u8; KEY_BYTES],
    temporary: AtomicU64,
    lock: Arc<File>,
}

impl Folder {
    /// Makes what is missing and takes the folder for this process. Where there is no key, it gets the one that this
    /// process has used before, if it has; and the lock may be held already.
    pub(super) fn open(folder: &Path, before: Option<&Self>) -> Result<Self, Unusable> {
        let root = folder.join(VERSION);
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|source| unusable(folder, source))?;
        make(&root)?;
        FOLDERS.iter().try_for_each(|below| make(&root.join(below)))?;
        let path = root.join(LOCK);
        let held = before.map(|before| &before.lock).filter(|held| is_same(held, &path));
        let lock = held.map_or_else(|| lock(&path).map(Arc::new), |held| Ok(Arc::clone(held)))?;
        let temporary = AtomicU64::new(0);
        sweep(&root.join(TEMPORARY));
        let path = root.join(KEY);
        let (key, is_new) = match read(&path, KEY_BYTES) {
            Found::Failed(source) => return Err(unusable(&path, source)),
            Found::Bytes(bytes) => <[u8; KEY_BYTES]>::try_from(bytes).map_or((None, true), |key| (Some(key), false)),
            Found::Absent | Found::Damaged => (None, true),
        };
        let key = if let Some(key) = key {
            fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(|source| unusable(&path, source))?;
            key
        } else {
            let mut key = [0; KEY_BYTES];
            match before {
                Some(before) => key = before.key,
                None => aws_lc_rs::rand::fill(&mut key).map_err(|_| Unusable::Random)?,
            }
            write(&root, &temporary, &path, &key).map_err(|source| unusable(&path, source))?;
            key
        };
        Ok(Self { root, seal: Seal::new(&key), key, is_new, temporary, lock })
    }

    pub(super) fn path(&self, below: &Path) -> PathBuf {
        self.root.join(below)
    }

    /// Reads a file of at most `limit` bytes.
    pub(super) fn read(&self, below: &Path, limit: usize) -> Found {
        read(&self.path(below), limit)
    }

    /// Writes a file, whole and for good, or not at all.
    pub(super) fn write(&self, below: &Path, bytes: &[u8]) -> io::Result<()> {
        write(&self.root, &self.temporary, &self.path(below), bytes)
    }

    /// Makes a folder below that is not always needed.
    pub(super) fn make(&self, below: &Path) -> io::Result<()> {
        make(&self.path(below)).map_err(io::Error::other)
    }

    /// Marks a file as used just now. Returns whether it is there.
    pub(super) fn touch(&self, below: &Path) -> bool {
        let path = self.path(below);
        // Before it is opened, as in reading.
        let is_file = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
        is_file
            && File::open(path).is_ok_and(|file| {
                // For the order after a restart; nothing else depends on it.
                let _ = file.set_modified(SystemTime::now());
                true
            })
    }

    /// Removes a file. That there is none is a success.
    pub(super) fn remove(&self, below: &Path) -> io::Result<()> {
        match fs::remove_file(self.path(below)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether the folder is still there, and the one that was locked.
    pub(super) fn is_there(&self) -> bool {
        is_same(&self.lock, &self.root.join(LOCK)) && FOLDERS.iter().all(|below| self.root.join(below).is_dir())
    }
}

fn unusable(path: &Path, source: io::Error) -> Unusable {
    Unusable::Io { path: path.display().to_string(), source }
}

/// Makes a folder that only its owner gets into.
fn make(path: &Path) -> Result<(), Unusable> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(unusable(path, error)),
        _ => {}
    }
    // A symbolic link could lead to a folder of somebody else.
    let metadata = fs::symlink_metadata(path).map_err(|source| unusable(path, source))?;
    if !metadata.is_dir() {
        return Err(Unusable::NotAFolder(path.display().to_string()));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(|source| unusable(path, source))?;
    }
    Ok(())
}

/// The kernel lets go of the lock when the process ends, however it ends.
fn lock(path: &Path) -> Result<File, Unusable> {
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = options.map_err(|source| unusable(path, source))?;
    let mut locked = file.try_lock();
    for _ in 1..TRIES {
        if matches!(locked, Err(TryLockError::WouldBlock)) {
            std::thread::sleep(PAUSE);
            locked = file.try_lock();
        }
    }
    match locked {
        // Whoever deleted the file meanwhile made place for another process to lock one of that name.
        Ok(()) if is_same(&file, path) => Ok(file),
        Ok(()) | Err(TryLockError::WouldBlock) => Err(Unusable::Busy),
        Err(TryLockError::Error(source)) => Err(unusable(path, source)),
    }
}

fn is_same(file: &File, path: &Path) -> bool {
    let (Ok(one), Ok(other)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Removes what an earlier process was writing when it ended.
fn sweep(temporary: &Path) {
    let Ok(entries) = fs::read_dir(temporary) else { return };
    for entry in entries.flatten() {
        let _ = fs::remove_file(entry.path());
    }
}

fn read(path: &Path, limit: usize) -> Found {
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    let is_absent = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let open = || -> io::Result<Option<File>> {
        // Before it is opened: opening a pipe would wait for somebody to write to it.
        let metadata = fs::symlink_metadata(path)?;
        if !metadata.is_file() || metadata.len() > limit {
            return Ok(None);
        }
        File::open(path).map(Some)
    };
    let file = match open() {
        Ok(Some(file)) => file,
        Ok(None) => return Found::Damaged,
        Err(error) if is_absent(&error) => return Found::Absent,
        Err(error) => return Found::Failed(error),
    };
    let mut bytes = Vec::new();
    match file.take(limit.saturating_add(1)).read_to_end(&mut bytes) {
        Ok(read) if u64::try_from(read).is_ok_and(|read| read <= limit) => Found::Bytes(bytes),
        Ok(_) => Found::Damaged,
        Err(error) => Found::Failed(error),
    }
}

fn write(root: &Path, temporary: &AtomicU64, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let number = temporary.fetch_add(1, Ordering::Relaxed);
    let before = root.join(TEMPORARY).join(number.to_string());
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&before)?;
        file.write_all(bytes)?;
        // The content is on the disk before the name is, or a crash could leave a name without content.
        file.sync_all()?;
        fs::rename(&before, path)?;
        path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
    };
    let written = write();
    if written.is_err() {
        let _ = fs::remove_file(&before);
    }
    written
}
