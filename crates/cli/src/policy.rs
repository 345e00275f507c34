// SPDX-License-Identifier: Apache-2.0
//! `sealwatch policy`: from Notation's configuration to a TrustPolicy, back, and what is unwise in either.

mod configuration;
mod export;
mod import;
mod lint;
mod pem;

use std::process::ExitCode;

use crate::args::PolicyCommand;

pub(crate) async fn run(command: PolicyCommand) -> ExitCode {
    match command {
        PolicyCommand::Import(arguments) => import::run(&arguments),
        PolicyCommand::Export(arguments) => export::run(&arguments),
        PolicyCommand::Lint(arguments) => lint::run(arguments).await,
    }
}
