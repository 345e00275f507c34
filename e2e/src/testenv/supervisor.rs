// SPDX-License-Identifier: Apache-2.0

//! What the program `testenv-supervisor` does: run processes that must not outlive a test.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::ExitCode;

use super::{Options, Result, cluster_with, control_plane, process};

/// Runs the mode that the first argument names: `control-plane FOLDER`, `guard LOG PROGRAM ARGS…`,
/// `exec PARENT PROGRAM ARGS…` or, for people, `hold [NAME]`.
pub fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let mode = args.next().unwrap_or_default();
    let result = match mode.to_str() {
        Some("control-plane") => control_plane::supervise(args),
        Some("guard") => process::guard(args),
        Some("exec") => process::exec(args),
        Some("hold") => hold(args),
        _ => Err("this program is started by the tests; by hand, `hold` keeps their control plane up".into()),
    };
    result.unwrap_or_else(|error| {
        // There is nobody else to tell if that fails.
        let _ = writeln!(std::io::stderr(), "testenv-supervisor: {error}");
        ExitCode::FAILURE
    })
}

/// `hold [NAME]`: uses the tests' control plane (or the one of that name) until its standard input ends, which keeps it
/// up. Prints the supervisor's process id, the address and the kubeconfig, each on a line.
fn hold(mut args: impl Iterator<Item = OsString>) -> Result<ExitCode> {
    let name = args.next().map(|name| name.to_string_lossy().into_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let cluster = runtime.block_on(cluster_with(Options { name, ..Options::default() }))?;
    let supervisor = cluster.supervisor().map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    let (url, kubeconfig) = (cluster.api_server_url(), cluster.kubeconfig().display());
    writeln!(std::io::stdout(), "{supervisor}\n{url}\n{kubeconfig}")?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(ExitCode::SUCCESS)
}
