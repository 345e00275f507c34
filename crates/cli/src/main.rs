// SPDX-License-Identifier: Apache-2.0
//! `sealwatch`: verify the Notary Project signatures of images, by hand or, as an operator, of all that run.
//!
//! Each command is a module of its name, which reads what was typed, has `sealwatch-verifier` or `sealwatch-operator` do
//! the work, and prints the answer; [`args`] says what may be typed. What commands share: where images are read from
//! ([`source`]), the flags about registries ([`registries`]), how answers are printed ([`output`], [`tree`],
//! [`terminal`]), and how a command ends when it is interrupted ([`interrupt`]). `ARCHITECTURE.md` draws how the crates
//! hang together.

mod args;
mod check;
mod completions;
mod crds;
mod credentials;
mod crl;
mod inspect;
mod interrupt;
mod log;
mod mirror;
mod name;
mod naming;
mod operator;
mod output;
mod policy;
mod progress;
mod registries;
mod scan;
mod source;
mod table;
mod terminal;
mod tree;
mod verify;
mod whole;

use std::process::ExitCode;

use clap::{FromArgMatches as _, error::ErrorKind};

use crate::{
    args::{Arguments, Command},
    interrupt::or_interrupted,
    terminal::EXIT_USAGE,
};

fn main() -> ExitCode {
    let parsed = name::command().try_get_matches().and_then(|found| Arguments::from_arg_matches(&found));
    let arguments = match parsed {
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
        Command::Check(options) => with_runtime(|| or_interrupted(check::run(options))),
        Command::Verify(options) => with_runtime(|| or_interrupted(verify::run(options))),
        Command::Scan(options) => with_runtime(|| or_interrupted(scan::run(options))),
        Command::Inspect(options) => with_runtime(|| or_interrupted(inspect::run(options))),
        Command::Policy(command) => with_runtime(|| or_interrupted(policy::run(command))),
        Command::Crl(command) => with_runtime(|| or_interrupted(crl::run(command))),
        Command::Mirror(options) => with_runtime(|| or_interrupted(mirror::run(options))),
        Command::Crds => crds::run(),
        Command::Completions { shell } => completions::run(shell),
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
