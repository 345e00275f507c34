// SPDX-License-Identifier: Apache-2.0
//! `sealwatch`: verify the Notary Project signatures of images, by hand or, as an operator, of all that run.

mod args;
mod check;
mod crds;
mod log;
mod operator;
mod registries;
mod terminal;
mod verify;

use std::process::ExitCode;

use clap::{Parser, error::ErrorKind};

use crate::{
    args::{Arguments, Command},
    terminal::EXIT_USAGE,
};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // A reader that went away is no reason to complain.
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if asked { ExitCode::SUCCESS } else { ExitCode::from(EXIT_USAGE) };
        }
    };
    // All TLS of the process uses this provider; a second installation cannot happen here.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match arguments.command {
        Command::Operator(options) => with_runtime(|| operator::run(options)),
        Command::Verify(options) => with_runtime(|| verify::run(options)),
        Command::Check(options) => with_runtime(|| check::run(options)),
        Command::Crds => crds::run(),
    }
}

/// Runs a command on the asynchronous runtime. What is still running when it is done is dropped.
fn with_runtime<F: Future<Output = ExitCode>>(command: impl FnOnce() -> F) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(command());
            runtime.shutdown_background();
            code
        }
        Err(error) => terminal::usage(&format!("the asynchronous runtime could not be started: {error}")),
    }
}
