// SPDX-License-Identifier: Apache-2.0

//! The operator as a process of its own.

use std::collections::HashSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::consumption::Consumption;
use super::kubeconfig::write_stranger_kubeconfig;
use super::process::{Guarded, wait_until};
use super::{Result, tools};

const POLL: Duration = Duration::from_millis(20);

/// How to start the operator.
#[derive(Clone, Debug, Default)]
pub struct OperatorOptions {
    /// Arguments after `sealwatch`, usually `operator --kubeconfig …`.
    pub args: Vec<String>,
    /// Variables to set beside the inherited environment.
    pub env: Vec<(String, String)>,
    /// The program; `None` is [`OperatorProcess::binary`].
    pub binary: Option<PathBuf>,
    /// The file for its log, which is appended to; `None` is a temporary one that goes with the process.
    pub log_file: Option<PathBuf>,
}

fn folder() -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("sealwatch-operator-").tempdir()?)
}

/// The running `sealwatch` binary; it is killed when this is dropped, and when this process dies.
#[derive(Debug)]
pub struct OperatorProcess {
    program: Guarded,
    _folder: TempDir,
}

impl OperatorProcess {
    /// The binary under test: `SEALWATCH_BIN`, else the one that cargo built beside this test.
    ///
    /// # Errors
    /// There is none; the error says how to build it.
    pub fn binary() -> Result<PathBuf> {
        tools::beside_this_program("sealwatch", "SEALWATCH_BIN", "cargo build -p sealwatch")
    }

    /// Starts it; both its outputs go to one log file.
    ///
    /// # Errors
    /// There is no binary, or it cannot be started.
    pub fn start(options: &OperatorOptions) -> Result<Self> {
        Self::start_in(folder()?, options)
    }

    /// Starts `sealwatch operator` with these further arguments, towards an API server that knows nobody: it is served
    /// by the test, or not at all.
    ///
    /// # Errors
    /// As [`OperatorProcess::start`].
    pub fn facing(api_server: &str, more: &[&str]) -> Result<Self> {
        let folder = folder()?;
        let kubeconfig = folder.path().join("kubeconfig");
        write_stranger_kubeconfig(&kubeconfig, api_server)?;
        let kubeconfig = kubeconfig.display().to_string();
        let args = ["operator", "--listen", "127.0.0.1:0", "--kubeconfig", &kubeconfig];
        let args = args.iter().chain(more).map(|arg| (*arg).to_owned()).collect();
        Self::start_in(folder, &OperatorOptions { args, ..OperatorOptions::default() })
    }

    fn start_in(folder: TempDir, options: &OperatorOptions) -> Result<Self> {
        let log = options.log_file.clone().unwrap_or_else(|| folder.path().join("operator.log"));
        let binary = options.binary.clone().map_or_else(Self::binary, Ok)?;
        let program = Guarded::start(&binary, &options.args, &options.env, &log)?;
        Ok(Self { program, _folder: folder })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.program.pid()
    }

    /// Where its log is written.
    pub fn log_file(&self) -> &Path {
        self.program.log_file()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.program.log()
    }

    /// Waits until its log holds `text`.
    ///
    /// # Errors
    /// It does not within `timeout`, or the process ends; the error holds the log.
    pub async fn wait_for_log(&mut self, text: &str, timeout: Duration) -> Result<()> {
        let log = self.program.log_file().to_owned();
        let seen = || async { fs::read(&log).is_ok_and(|log| String::from_utf8_lossy(&log).contains(text)) };
        wait_until(&mut self.program, &format!("waiting for '{text}' in the log"), timeout, seen).await
    }

    /// The TCP addresses that it listens on (health, metrics), as the kernel says; IPv4 only, sorted by port.
    ///
    /// # Errors
    /// `/proc` cannot be read, or the process is gone.
    pub fn listening_on(&self) -> Result<Vec<SocketAddr>> {
        listening_on(self.pid())
    }

    /// What it takes of its machine now.
    ///
    /// # Errors
    /// The process is gone.
    pub fn consumption(&self) -> Result<Consumption> {
        Consumption::of(self.pid())
    }

    /// Its exit status, if it has ended; ended by a signal is the code 128 + signal.
    ///
    /// # Errors
    /// The system cannot say.
    pub fn status(&mut self) -> Result<Option<ExitStatus>> {
        self.program.status()
    }

    /// Sends SIGTERM and waits for the end; ended by a signal is the code 128 + signal.
    ///
    /// # Errors
    /// It is still there after `timeout`; the error holds the log.
    pub async fn terminate(&mut self, timeout: Duration) -> Result<ExitStatus> {
        self.program.terminate()?;
        self.wait(timeout).await
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// As [`OperatorProcess::terminate`].
    pub async fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(status) = self.program.status()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                return Err(format!("the operator still runs after {timeout:?}; its log:\n{}", self.log()).into());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) {
        self.program.kill();
    }
}

/// The TCP addresses that a process listens on, as the kernel says; IPv4 only, sorted by port.
pub(super) fn listening_on(pid: u32) -> Result<Vec<SocketAddr>> {
    let sockets = sockets_of(pid)?;
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp"))?;
    let mut found: Vec<_> = table.lines().skip(1).filter_map(|line| listening(line, &sockets)).collect();
    found.sort_by_key(SocketAddr::port);
    Ok(found)
}

/// The inode numbers of a process's open sockets (proc(5), `/proc/PID/fd`).
fn sockets_of(pid: u32) -> Result<HashSet<String>> {
    let mut sockets = HashSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        // A file may be closed while the folder is read.
        let Ok(target) = fs::read_link(entry?.path()) else { continue };
        if let Some(inode) = target.to_str().and_then(|target| target.strip_prefix("socket:[")?.strip_suffix(']')) {
            sockets.insert(inode.to_owned());
        }
    }
    Ok(sockets)
}

/// The local address in a line of `/proc/PID/net/tcp`, if it is a listening socket (state 0A) among `sockets`.
fn listening(line: &str, sockets: &HashSet<String>) -> Option<SocketAddr> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let (&local, &state, &inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    if state != "0A" || !sockets.contains(inode) {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    // The kernel prints the address as one number in the machine's byte order.
    let address = Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?.to_ne_bytes());
    Some(SocketAddr::from((address, u16::from_str_radix(port, 16).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1 0 100 0 0 10 0";

    #[test]
    #[cfg(target_endian = "little")]
    fn a_listening_socket_of_the_process_is_found_with_its_address() {
        let sockets = HashSet::from(["4711".to_owned()]);
        assert_eq!(listening(LINE, &sockets), Some(([127, 0, 0, 1], 8080).into()));
    }

    #[test]
    fn a_socket_of_another_process_or_one_that_is_connected_is_not_found() {
        assert_eq!(listening(LINE, &HashSet::from(["1".to_owned()])), None);
        let connected = LINE.replace(" 0A ", " 01 ");
        assert_eq!(listening(&connected, &HashSet::from(["4711".to_owned()])), None);
        assert_eq!(listening("", &HashSet::new()), None);
    }
}
