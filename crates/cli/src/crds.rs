// SPDX-License-Identifier: Apache-2.0
//! `sealwatch crds`.

use std::{io::Write as _, process::ExitCode};

pub(crate) fn run() -> ExitCode {
    match sealwatch_api::crds::yaml() {
        // A reader that went away is no reason to complain.
        Ok(text) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => crate::usage(&error.to_string()),
    }
}
