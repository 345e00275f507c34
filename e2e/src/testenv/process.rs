// SPDX-License-Identifier: Apache-2.0

//! Child processes that cannot outlive the test, not even when the test is killed with SIGKILL.
//!
//! Between the test and the program stands a guard (a mode of `testenv-supervisor`). The guard holds the reading end
//! of a pipe whose writing end only the test has: however the test ends, the pipe closes, and the guard kills the
//! program. The program in turn asks the kernel to be killed when the guard dies.
//!
//! The kernel's signal alone would not do in a test: it is sent when the *thread* that started the child ends.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

use super::{Result, tools};

/// A program under guard, with both its outputs in one file.
#[derive(Debug)]
pub(super) struct Guarded {
    guard: Child,
    /// Closing it is the order to kill.
    pipe: Option<ChildStdin>,
    pid: u32,
    log: PathBuf,
    status: Option<ExitStatus>,
}

impl Guarded {
    pub(super) fn start<A: AsRef<OsStr>>(
        program: &Path,
        args: impl IntoIterator<Item = A>,
        env: &[(String, String)],
        log: &Path,
    ) -> Result<Self> {
        if !program.is_file() {
            return Err(format!("there is no program {}", program.display()).into());
        }
        let mut command = Command::new(tools::supervisor()?);
        command.arg("guard").arg(log).arg(program).args(args);
        command.envs(env.iter().map(|(key, value)| (key, value)));
        let mut guard = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let pipe = guard.stdin.take();
        let mut line = String::new();
        if let Some(stdout) = guard.stdout.take() {
            BufReader::new(stdout.take(64)).read_line(&mut line)?;
        }
        let Ok(pid) = line.trim_end().parse() else {
            let status = guard.wait()?;
            let log = fs::read_to_string(log).unwrap_or_default();
            return Err(format!("cannot start {} ({status}): {log}", program.display()).into());
        };
        Ok(Self { guard, pipe, pid, log: log.to_owned(), status: None })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn log_file(&self) -> &Path {
        &self.log
    }

    pub(super) fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The exit status, once the program has ended; a program that a signal ended has the code 128 + signal.
    pub(super) fn status(&mut self) -> Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.guard.try_wait()?;
        }
        Ok(self.status)
    }

    /// Sends SIGTERM to the program, not to the guard.
    pub(super) fn terminate(&mut self) -> Result<()> {
        if self.status()?.is_none() {
            let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).ok_or("no process id")?;
            kill_process(pid, Signal::TERM)?;
        }
        Ok(())
    }

    /// Kills the program and waits for its end.
    pub(super) fn kill(&mut self) {
        drop(self.pipe.take());
        if self.status.is_none() {
            self.status = self.guard.wait().ok();
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until `ready` says so, the program ends, or `timeout` has passed.
pub(super) async fn wait_until<F: Future<Output = bool>>(
    program: &mut Guarded,
    what: &str,
    timeout: Duration,
    mut ready: impl FnMut() -> F,
) -> Result<()> {
    let deadline = Instant::now() + timeout;
    loop {
        if ready().await {
            return Ok(());
        }
        if let Some(status) = program.status()? {
            return Err(format!("{what}: the program ended ({status}); its log:\n{}", program.log()).into());
        }
        if Instant::now() > deadline {
            return Err(format!("{what}: not within {timeout:?}; the log:\n{}", program.log()).into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The guard's side: `guard LOG PROGRAM ARGS…`.
pub(super) fn guard(mut args: impl Iterator<Item = OsString>) -> Result<ExitCode> {
    let log = File::options().create(true).append(true).open(args.next().ok_or("guard: no log file given")?)?;
    let program = args.next().ok_or("guard: no program given")?;
    let mut child = match under_this_process(&program, args, &log)?.spawn() {
        Ok(child) => child,
        Err(error) => {
            writeln!(&log, "{error}")?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let pid = Pid::from_child(&child);
    writeln!(std::io::stdout(), "{}", child.id())?;
    thread::spawn(move || {
        // The test writes nothing: this returns when the test closes the pipe or ends.
        let _ = std::io::stdin().read(&mut [0]);
        let _ = kill_process(pid, Signal::KILL);
    });
    let status = child.wait()?;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// A command whose process the kernel kills when the calling *thread* ends: for main threads only.
pub(super) fn under_this_process(
    program: &OsStr,
    args: impl IntoIterator<Item = OsString>,
    log: &File,
) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("exec").arg(std::process::id().to_string()).arg(program).args(args);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?);
    Ok(command)
}

/// `exec PARENT PROGRAM ARGS…`: becomes PROGRAM, with the order to the kernel to kill it when the parent ends.
pub(super) fn exec(mut args: impl Iterator<Item = OsString>) -> Result<ExitCode> {
    let parent = args.next().ok_or("exec: no parent given")?;
    let program = args.next().ok_or("exec: no program given")?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before the order was given.
    let actual = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().to_string());
    if actual.as_deref().map(OsStr::new) != Some(&parent) {
        return Ok(ExitCode::FAILURE);
    }
    let error = Command::new(&program).args(args).exec();
    Err(format!("cannot run {}: {error}", Path::new(&program).display()).into())
}
