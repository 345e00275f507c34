// SPDX-License-Identifier: Apache-2.0

//! `release`: writes the archives of a release. `dev/release` builds the programs and the image, and calls it.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of the build; nobody reads its output but people"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use sealwatch_image::{Platform, Release, Result, write_archives};

/// Write the archives of a release: the program for each platform, its bill of materials, the image in one file
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to; the folder must exist
    #[arg(long)]
    out: PathBuf,
    /// The version, which is part of every name
    #[arg(long)]
    version: String,
    /// Every time in the archives, in seconds since 1970
    #[arg(long)]
    epoch: u64,
    /// The folder of completions
    #[arg(long)]
    completions: PathBuf,
    /// The OCI layout of the image
    #[arg(long)]
    layout: PathBuf,
    /// A program, as ARCHITECTURE:TARGET:FILE (amd64:x86_64-unknown-linux-gnu:target/…/sealwatch); repeatable
    #[arg(long = "program", required = true)]
    programs: Vec<String>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    let platforms = Platform::read_all(&arguments.programs)?;
    let release = Release {
        version: arguments.version,
        epoch: arguments.epoch,
        platforms,
        completions: arguments.completions,
        layout: arguments.layout,
    };
    for name in write_archives(&release, &arguments.out)? {
        println!("{name}");
    }
    Ok(())
}
