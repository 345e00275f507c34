// SPDX-License-Identifier: Apache-2.0
//! Writes `conformance.md` and `attacks.md` into the folder that is named.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use sealwatch_conformance::attacks::{self, Attacks};
use sealwatch_conformance::exceptions::exceptions;
use sealwatch_conformance::rules::{Table, render, scan};

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        return fail("usage: rules FOLDER");
    };
    match write(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn write(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = Table::parse(&fs::read_to_string(here.join("rules.tsv"))?)?;
    let mentions = scan(&here.join(".."))?;
    table.check(&mentions)?;
    let page = render(&fs::read_to_string(here.join("page.md"))?, &table, &mentions, &exceptions());
    fs::create_dir_all(folder)?;
    fs::write(folder.join("conformance.md"), page)?;
    let table = Attacks::parse(&fs::read_to_string(here.join("attacks.tsv"))?)?;
    let tests = attacks::find_all(&here.join(".."))?;
    table.check(&tests)?;
    let page = attacks::render(&fs::read_to_string(here.join("attacks.md"))?, &table, &tests);
    fs::write(folder.join("attacks.md"), page)?;
    Ok(())
}

#[allow(clippy::print_stderr)] // it is a program
fn fail(problem: &str) -> ExitCode {
    eprintln!("error: {problem}");
    ExitCode::FAILURE
}
