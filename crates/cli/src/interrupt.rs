// SPDX-License-Identifier: Apache-2.0
//! Ctrl-C and SIGTERM: the command ends at once, and what it was writing is taken away.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

/// What a shell says of a program that SIGINT ended: 128 and the signal's number.
const EXIT_INTERRUPTED: u8 = 130;
/// Likewise of SIGTERM.
const EXIT_TERMINATED: u8 = 143;

/// Runs a command until it is done or somebody ends it. A command that is ended is dropped, and with it its temporary
/// folders; what it was about to rename into place stays away.
pub(crate) async fn or_interrupted(command: impl Future<Output = ExitCode>) -> ExitCode {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without handlers both signals end the process, as they do any other.
        return command.await;
    };
    tokio::select! {
        code = command => code,
        _ = interrupt.recv() => ExitCode::from(EXIT_INTERRUPTED),
        _ = terminate.recv() => ExitCode::from(EXIT_TERMINATED),
    }
}
