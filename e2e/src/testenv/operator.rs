// SPDX-License-Identifier: Apache-2.0

//! The operator as a process of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use super::Result;

/// How to start the operator.
#[derive(Clone, Debug, Default)]
pub struct OperatorOptions {
    /// Arguments after `sealwatch`, usually `operator --kubeconfig …`.
    pub args: Vec<String>,
    /// Variables to set beside the inherited environment.
    pub env: Vec<(String, String)>,
}

/// The running `sealwatch` binary; it is killed when this is dropped, and when this process dies.
#[derive(Debug)]
pub struct OperatorProcess {}

impl OperatorProcess {
    /// The binary under test: `SEALWATCH_BIN`, else the one that cargo built beside this test.
    ///
    /// # Errors
    /// There is none; the error says how to build it.
    pub fn binary() -> Result<PathBuf> {
        Err("the operator process is not built yet".into())
    }

    /// Starts it; both its outputs go to one log file.
    ///
    /// # Errors
    /// There is no binary, or it cannot be started.
    pub fn start(_options: &OperatorOptions) -> Result<Self> {
        Err("the operator process is not built yet".into())
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        unreachable!("no operator can be started yet")
    }

    /// Where its log is written.
    pub fn log_file(&self) -> &Path {
        unreachable!("no operator can be started yet")
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        unreachable!("no operator can be started yet")
    }

    /// Waits until its log holds `text`.
    ///
    /// # Errors
    /// It does not within `timeout`, or the process ends; the error holds the log.
    pub async fn wait_for_log(&self, _text: &str, _timeout: Duration) -> Result<()> {
        unreachable!("no operator can be started yet")
    }

    /// The TCP addresses that it listens on (health, metrics), as the kernel says.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn listening_on(&self) -> Result<Vec<SocketAddr>> {
        unreachable!("no operator can be started yet")
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// The process is gone.
    pub fn resident_bytes(&self) -> Result<u64> {
        unreachable!("no operator can be started yet")
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Errors
    /// It is still there after `timeout`.
    pub async fn terminate(&mut self, _timeout: Duration) -> Result<ExitStatus> {
        unreachable!("no operator can be started yet")
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) {}
}
