// SPDX-License-Identifier: Apache-2.0

//! `image`: writes the layout. `dev/image` builds the programs and calls it.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of the build; nobody reads its output but people"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use sealwatch_image::{LAYERS_MOST, Platform, Recipe, Result, write};

/// Write the container image as an OCI layout
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to; the folder must not exist or be empty
    #[arg(long)]
    out: PathBuf,
    /// The version, which becomes the tag
    #[arg(long)]
    version: String,
    /// The commit
    #[arg(long, default_value = "")]
    revision: String,
    /// Every time in the image, in seconds since 1970
    #[arg(long)]
    epoch: u64,
    /// A program, as ARCHITECTURE:TARGET:FILE (amd64:x86_64-unknown-linux-gnu:target/…/sealwatch); repeatable
    #[arg(long = "program", required = true)]
    programs: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let platforms = Platform::read_all(&arguments.programs)?;
    let recipe = Recipe {
        version: arguments.version.clone(),
        revision: arguments.revision.clone(),
        epoch: arguments.epoch,
        platforms,
    };
    let written = write(&recipe, &arguments.out)?;
    for (architecture, digest, size) in &written.platforms {
        println!("linux/{architecture}: {digest}, layers {size} bytes");
    }
    if let Some(architecture) = written.too_large() {
        return Err(format!("the layers for linux/{architecture} take more than {LAYERS_MOST} bytes").into());
    }
    println!("{}", written.digest);
    Ok(())
}
