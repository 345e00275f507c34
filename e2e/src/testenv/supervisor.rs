// SPDX-License-Identifier: Apache-2.0

//! What the program `testenv-supervisor` does: run processes that must not outlive a test.

use std::io::Write;
use std::process::ExitCode;

use super::{control_plane, process};

/// Runs the mode that the first argument names: `control-plane FOLDER`, `guard LOG PROGRAM ARGS…` or
/// `exec PARENT PROGRAM ARGS…`.
pub fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let mode = args.next().unwrap_or_default();
    let result = match mode.to_str() {
        Some("control-plane") => control_plane::supervise(args),
        Some("guard") => process::guard(args),
        Some("exec") => process::exec(args),
        _ => Err("this program is started by the tests; it has no use of its own".into()),
    };
    result.unwrap_or_else(|error| {
        // There is nobody else to tell if that fails.
        let _ = writeln!(std::io::stderr(), "testenv-supervisor: {error}");
        ExitCode::FAILURE
    })
}
