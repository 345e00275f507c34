// SPDX-License-Identifier: Apache-2.0

//! How test processes share a control plane: three lock files in a run folder.
//!
//! | file | who holds it, and for how long |
//! |---|---|
//! | `start.lock` | exclusively, whoever looks whether a control plane runs, starts one or stops one |
//! | `users.lock` | shared, every process that uses the control plane, for as long as it does |
//! | `alive.lock` | exclusively, the supervisor of a running control plane |
//!
//! The kernel drops a lock when its process ends, however it ends: a killed user counts no longer, and a killed
//! supervisor is seen. The supervisor stops the control plane when nobody has held `users.lock` for [`LINGER`].

use std::fs::{self, File, Permissions, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::cluster::{Flavour, Options};
use super::{Result, tools};

/// How long an unused control plane waits for the next test binary of the same run.
pub(super) const LINGER: Duration = Duration::from_secs(3);

/// How long a control plane may take to become ready.
const START_TIMEOUT: Duration = Duration::from_mins(2);

const POLL: Duration = Duration::from_millis(50);

/// What a supervisor is asked to run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// The folder with the binaries.
    pub(super) binaries: PathBuf,
    pub(super) flavour: Flavour,
    pub(super) options: Options,
}

/// What a supervisor says when its control plane is ready.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ready {
    pub(super) url: String,
    pub(super) kubeconfig: PathBuf,
    pub(super) supervisor: u32,
}

/// The run folder of one control plane: private to the user, one for each checkout, source and set of options.
#[derive(Clone, Debug)]
pub(super) struct RunFolder(PathBuf);

impl RunFolder {
    pub(super) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    fn of(order: &Order) -> Result<Self> {
        let mut hasher = DefaultHasher::new();
        (env!("CARGO_MANIFEST_DIR"), &order.binaries, &order.options).hash(&mut hasher);
        let folder = cache_folder()?.join("run").join(format!("{:016x}", hasher.finish()));
        fs::create_dir_all(&folder)?;
        // It holds a key with all rights on the cluster.
        fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
        Ok(Self(folder))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// What goes with the control plane; the logs beside it stay until the next start.
    pub(super) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    pub(super) fn start_lock(&self) -> Result<File> {
        self.lock_file("start.lock")
    }

    pub(super) fn users_lock(&self) -> Result<File> {
        self.lock_file("users.lock")
    }

    pub(super) fn alive_lock(&self) -> Result<File> {
        self.lock_file("alive.lock")
    }

    pub(super) fn order_file(&self) -> PathBuf {
        self.0.join("order.json")
    }

    pub(super) fn ready_file(&self) -> PathBuf {
        self.0.join("ready.json")
    }

    pub(super) fn log_file(&self) -> PathBuf {
        self.0.join("supervisor.log")
    }

    /// Removes everything but the locks.
    pub(super) fn clear(&self) -> Result<()> {
        for entry in fs::read_dir(&self.0)? {
            let path = entry?.path();
            if path.is_dir() {
                fs::remove_dir_all(path)?;
            } else if path.extension().is_none_or(|extension| extension != "lock") {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn lock_file(&self, name: &str) -> Result<File> {
        let path = self.0.join(name);
        Ok(File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| format!("cannot open {}: {error}", path.display()))?)
    }
}

/// The right to use a running control plane; it ends with this value or with the process.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) ready: Ready,
    pub(super) run: RunFolder,
    _users: File,
}

impl Lease {
    /// Joins the control plane that fits `order`, or starts it. Blocks for some seconds.
    pub(super) fn take(order: &Order) -> Result<Self> {
        let run = RunFolder::of(order)?;
        let start = run.start_lock()?;
        start.lock()?;
        let users = run.users_lock()?;
        users.lock_shared()?;
        let ready = match running(&run)? {
            Some(ready) => ready,
            None => start_supervisor(&run, order)?,
        };
        Ok(Self { ready, run, _users: users })
    }
}

/// The control plane of this folder, if its supervisor lives and has said that it is ready.
fn running(run: &RunFolder) -> Result<Option<Ready>> {
    if !is_held(&run.alive_lock()?)? {
        return Ok(None);
    }
    // Whoever started it held the start lock until it was ready or was told to end.
    wait_for_ready(run, || is_held(&run.alive_lock()?))
}

fn start_supervisor(run: &RunFolder, order: &Order) -> Result<Ready> {
    run.clear()?;
    fs::write(run.order_file(), serde_json::to_vec(order)?)?;
    let log = File::create(run.log_file())?;
    let mut supervisor = Command::new(tools::supervisor()?)
        .arg("control-plane")
        .arg(run.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // An interrupt from the keyboard ends the tests; the supervisor sees that by their locks.
        .process_group(0)
        .spawn()?;
    let ready = wait_for_ready(run, || Ok(supervisor.try_wait()?.is_none()))?;
    ready.ok_or_else(|| {
        let log = fs::read_to_string(run.log_file()).unwrap_or_default();
        format!("the control plane did not start; its logs are in {}:\n{log}", run.path().display()).into()
    })
}

fn wait_for_ready(run: &RunFolder, mut alive: impl FnMut() -> Result<bool>) -> Result<Option<Ready>> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        if let Ok(text) = fs::read(run.ready_file()) {
            return Ok(Some(serde_json::from_slice(&text)?));
        }
        if !alive()? {
            return Ok(None);
        }
        if Instant::now() > deadline {
            let logs = run.path().display();
            return Err(format!("the control plane was not ready within {START_TIMEOUT:?}; its logs: {logs}").into());
        }
        sleep(POLL);
    }
}

/// Whether another process (or another open file of this one) holds this lock exclusively.
pub(super) fn is_held(lock: &File) -> Result<bool> {
    match lock.try_lock_shared() {
        Ok(()) => {
            lock.unlock()?;
            Ok(false)
        }
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// The user's cache folder for this project, as in `e2e/tools/build`.
pub(super) fn cache_folder() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
        Some(given) => PathBuf::from(given),
        None => PathBuf::from(std::env::var_os("HOME").ok_or("neither XDG_CACHE_HOME nor HOME is set")?).join(".cache"),
    };
    Ok(base.join("sealwatch"))
}
