// SPDX-License-Identifier: Apache-2.0

//! Namespaces for network, mounts, processes and cgroups, and the end of all that is in them.
//!
//! | process | does |
//! |---|---|
//! | outside ([`run`]) | waits; tells the keeper to end it all, by closing a pipe, when it is interrupted or dies |
//! | `keep` ([`keep`]) | makes the cgroups, starts the next one, and removes the cgroups when everything has ended |
//! | `enter` ([`enter`]) | moves into the cgroups and becomes `unshare`, which dies with the keeper |
//! | `inside` | the first process in the new namespaces: when it ends, the kernel kills all others there |
//!
//! Mounts, network devices, addresses and containers' namespaces exist only for as long as their processes do.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use rustix::process::{Pid, Signal, getuid, kill_process, set_parent_process_death_signal};
use tokio::signal::unix::{SignalKind, signal};

use super::cgroups;
use crate::testenv::Result;
use crate::testenv::lease::cache_folder;

/// What ends [`run`] early, by the code of a shell for it (128 + SIGINT).
const INTERRUPTED: u8 = 130;
/// What names the cgroups.
const PREFIX: &str = "sealwatch-node-";

/// Why there can be no enclosure on this machine, in a sentence.
pub fn obstacle() -> Option<String> {
    if !getuid().is_root() {
        return Some("a node needs root: it makes namespaces, mounts and cgroups".to_owned());
    }
    let there = |name: &&str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
    };
    let compiler = super::compiler();
    let needed = [("unshare", "util-linux"), ("mount", "mount"), ("ip", "iproute2"), (&compiler, "gcc and libc6-dev")];
    if let Some((name, package)) = needed.iter().find(|(name, _)| !there(name)) {
        return Some(format!("there is no `{name}`, which a node needs; Debian has it in {package}"));
    }
    match cgroups::hierarchies() {
        Ok(_) => None,
        Err(error) => Some(format!("a node needs cgroups, and there are none here: {error}")),
    }
}

/// What a node must not change on a machine: its links, and the settings that a kubelet writes.
///
/// # Errors
/// The kernel's files cannot be read.
pub fn machine() -> Result<Vec<String>> {
    let mut found: Vec<String> = super::inside::SETTINGS
        .iter()
        .map(|(path, _)| *path)
        .chain(["/proc/sys/net/ipv4/ip_forward"])
        .map(|path| Ok(format!("{path} = {}", fs::read_to_string(path)?.trim())))
        .collect::<Result<_>>()?;
    let mut links = Vec::new();
    for entry in fs::read_dir("/sys/class/net")? {
        links.push(format!("link {}", entry?.file_name().to_string_lossy()));
    }
    links.sort();
    found.extend(links);
    for hierarchy in cgroups::hierarchies()? {
        for entry in fs::read_dir(hierarchy.folder)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX)) {
                found.push(format!("cgroup {}", path.display()));
            }
        }
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let ours = |line: &&str| ["containerd", "kubelet"].iter().any(|word| line.contains(word));
    found.extend(mounts.lines().filter(ours).map(str::to_owned));
    Ok(found)
}

/// Runs this program as `inside ARGS…` in an enclosure whose files are in `folder`, to its end or until an interrupt.
///
/// # Errors
/// It cannot be started.
pub async fn run(folder: &Path, args: &[OsString]) -> Result<ExitCode> {
    let mut command = tokio::process::Command::new(std::env::current_exe()?);
    // Of a process group of its own: an interrupt from the keyboard is the outside's to pass on.
    command.arg("keep").arg(folder).args(args).stdin(Stdio::piped()).process_group(0);
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hangup = signal(SignalKind::hangup())?;
    let mut keeper = command.spawn()?;
    let pipe = keeper.stdin.take();
    let status = tokio::select! {
        status = keeper.wait() => Some(status?),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
        _ = hangup.recv() => None,
    };
    drop(pipe);
    let Some(status) = status else {
        keeper.wait().await?;
        return Ok(ExitCode::from(INTERRUPTED));
    };
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// `keep FOLDER ARGS…`
///
/// # Errors
/// The cgroups cannot be made or removed, or the next process cannot be started.
pub fn keep(mut args: impl Iterator<Item = OsString>) -> Result<ExitCode> {
    let folder = PathBuf::from(args.next().ok_or("keep: no folder given")?);
    let name = format!("{PREFIX}{}", std::process::id());
    let hierarchies = cgroups::hierarchies()?;
    let all: Vec<PathBuf> = hierarchies.iter().map(|hierarchy| hierarchy.folder.join(&name)).collect();
    let ended = cgroups::make(&name, &hierarchies).and_then(|made| start(&folder, &made, args));
    let cleared = cgroups::remove(&all);
    // The control plane's data: its supervisor had no time to remove it if it was killed.
    for run in fs::read_dir(folder.join("sealwatch/run")).into_iter().flatten().flatten() {
        let _ = fs::remove_dir_all(run.path().join("data"));
    }
    let code = ended?;
    cleared.map(|()| code)
}

fn start(folder: &Path, cgroups: &[PathBuf], args: impl Iterator<Item = OsString>) -> Result<ExitCode> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("enter").arg(std::process::id().to_string()).arg(std::env::join_paths(cgroups)?).args(args);
    let tools =
        std::env::var_os("SEALWATCH_TOOLS_CACHE").map_or_else(cache_folder, |given| Ok(PathBuf::from(given)))?;
    command.env("SEALWATCH_TOOLS_CACHE", tools).env("XDG_CACHE_HOME", folder).env("TMPDIR", super::inside::TEMPORARY);
    command.env_remove("KUBEBUILDER_ASSETS").env_remove("SEALWATCH_E2E_KUBECONFIG");
    let mut child = command.stdin(Stdio::null()).spawn()?;
    let pid = Pid::from_child(&child);
    std::thread::spawn(move || {
        // The outside writes nothing: this returns when it closes the pipe or dies.
        let _ = std::io::stdin().read(&mut [0]);
        let _ = kill_process(pid, Signal::KILL);
    });
    let status = child.wait()?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// `enter PARENT CGROUPS ARGS…`
///
/// # Errors
/// A cgroup cannot be entered, or there is no `unshare`.
pub fn enter(mut args: impl Iterator<Item = OsString>) -> Result<ExitCode> {
    let parent = args.next().ok_or("enter: no parent given")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&args.next().ok_or("enter: no cgroups given")?).collect();
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before the order was given.
    let actual = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().to_string());
    if actual.as_deref().map(OsStr::new) != Some(&parent) {
        return Ok(ExitCode::FAILURE);
    }
    cgroups::enter(&folders)?;
    let error = Command::new("unshare")
        .args(["--net", "--mount", "--pid", "--cgroup", "--fork", "--kill-child", "--mount-proc"])
        .arg(std::env::current_exe()?)
        .arg("inside")
        .args(args)
        .exec();
    Err(format!("cannot run unshare: {error}").into())
}
