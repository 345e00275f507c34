// SPDX-License-Identifier: Apache-2.0

//! Who shares a control plane, and that nothing is left of it.
//!
//! Each test has a control plane of its own name, held by processes that the test may kill.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use sealwatch_e2e::testenv::{self, Options, Result};

const SUPERVISOR: &str = env!("CARGO_BIN_EXE_testenv-supervisor");

/// Longer than a control plane lingers without users.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// Another process that uses the control plane of this name.
struct Holder {
    process: Child,
    _stdin: Option<ChildStdin>,
    supervisor: u32,
    url: String,
    folder: String,
}

impl Holder {
    fn start(name: &str) -> Result<Self> {
        let mut process = Command::new(SUPERVISOR)
            .args(["hold", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdin = process.stdin.take();
        let mut lines = BufReader::new(process.stdout.take().ok_or("no output")?).lines();
        let mut line = || lines.next().ok_or("the holder said too little")?.map_err(testenv::Error::from);
        let (supervisor, url, kubeconfig) = (line()?.parse()?, line()?, line()?);
        let folder = kubeconfig.rsplit_once("/data/").ok_or("an unexpected place for a kubeconfig")?.0.to_owned();
        Ok(Self { process, _stdin: stdin, supervisor, url, folder })
    }

    /// SIGKILL: no code of the holder runs any more.
    fn kill(mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

/// The command lines of the running processes of the control plane in this folder.
fn processes_of(folder: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        // Processes come and go while this looks.
        let Ok(line) = fs::read(entry?.path().join("cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(folder) {
            found.push(line);
        }
    }
    Ok(found)
}

fn is_gone(folder: &str) -> Result<bool> {
    let deadline = Instant::now() + GONE_WITHIN;
    while !processes_of(folder)?.is_empty() {
        if Instant::now() > deadline {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(true)
}

#[tokio::test]
async fn two_processes_share_a_control_plane_and_nothing_is_left_after_both_were_killed() -> Result<()> {
    let first = Holder::start("shared")?;
    let second = Holder::start("shared")?;
    assert_eq!((first.supervisor, &first.url), (second.supervisor, &second.url), "one control plane for both");
    let (folder, supervisor) = (first.folder.clone(), first.supervisor);

    // A user like this one sees the same cluster, and keeps it while others are killed.
    let cluster = testenv::cluster_with(Options { name: Some("shared".into()), ..Options::default() }).await?;
    assert_eq!(cluster.supervisor(), Some(supervisor));
    first.kill()?;
    second.kill()?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    cluster.client().apiserver_version().await?;
    assert!(processes_of(&folder)?.len() >= 4, "supervisor, etcd, apiserver, controller manager");

    drop(cluster);
    assert!(is_gone(&folder)?, "left running: {:#?}", processes_of(&folder)?);
    Ok(())
}

#[tokio::test]
async fn a_killed_supervisor_takes_its_control_plane_along_and_the_next_user_gets_a_new_one() -> Result<()> {
    let holder = Holder::start("orphans")?;
    let killed = Command::new("kill").args(["-KILL", &holder.supervisor.to_string()]).status()?;
    assert!(killed.success());
    assert!(is_gone(&holder.folder)?, "left running: {:#?}", processes_of(&holder.folder)?);

    let next = Holder::start("orphans")?;
    assert_ne!(next.supervisor, holder.supervisor);
    let folder = next.folder.clone();
    holder.kill()?;
    next.kill()?;
    assert!(is_gone(&folder)?, "left running: {:#?}", processes_of(&folder)?);
    Ok(())
}

#[test]
fn a_guarded_program_dies_with_the_process_that_holds_its_pipe() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("guarded.log");
    // The log's path, unique to this test, is an argument of the guard; `sh` gets it too, as its $0.
    let mut holder = Command::new("sleep").arg("600").stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let pipe = holder.stdout.take().ok_or("no pipe")?;
    let mut guard = Command::new(SUPERVISOR)
        .arg("guard")
        .arg(&log)
        .args(["/bin/sh", "-c", "sleep 600; true"])
        .arg(&log)
        .stdin(pipe)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(guard.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    let program: u32 = line.trim().parse()?;
    assert!(fs::exists(format!("/proc/{program}"))?, "the program runs");

    holder.kill()?;
    holder.wait()?;
    assert_eq!(guard.wait()?.code(), Some(128 + 9));
    assert!(!fs::exists(format!("/proc/{program}"))?, "the program is gone");
    Ok(())
}

#[test]
fn a_guarded_program_dies_with_its_guard() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("guarded.log");
    let mut guard = Command::new(SUPERVISOR)
        .arg("guard")
        .arg(&log)
        .args(["/bin/sleep", "600"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(guard.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    let program: u32 = line.trim().parse()?;
    guard.kill()?;
    guard.wait()?;
    let deadline = Instant::now() + GONE_WITHIN;
    while state_of(program).is_some_and(|state| state != 'Z') {
        assert!(Instant::now() < deadline, "the program outlived its guard");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The state of a process (proc(5), `/proc/PID/stat`); it may stay a zombie where nobody collects orphans.
fn state_of(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
