// SPDX-License-Identifier: Apache-2.0
//! `sealwatch crds`.

use std::process::ExitCode;

use crate::terminal;

pub(crate) fn run() -> ExitCode {
    match sealwatch_api::crds::yaml() {
        Ok(text) => terminal::answer(&text, ExitCode::SUCCESS),
        Err(error) => terminal::usage(&error.to_string()),
    }
}
