// SPDX-License-Identifier: Apache-2.0
//! Asks `sealwatch-notation` and notation-go the same, and fails if they disagree where `exceptions.toml` does not
//! say so.
#![allow(clippy::print_stdout)] // it is a command

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use sealwatch_conformance::case::Case;
use sealwatch_conformance::compare::disagreements;
use sealwatch_conformance::oracle::Oracle;
use sealwatch_conformance::run::Report;
use sealwatch_conformance::{grid, mutate, ours};

#[derive(Parser)]
#[command(about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The whole run: the grid, then mutations
    Run {
        /// How many mutations
        #[arg(long, default_value_t = 120_000)]
        mutations: u64,
        /// What decides the mutations
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Show both opinions about one mutation
    Mutation {
        /// The seed of the run
        seed: u64,
        /// The number of the mutation
        index: u64,
    },
    /// Show both opinions about a case of the grid, by part of its name
    Grid {
        /// Part of the name
        name: String,
    },
    /// Show both opinions about a case that was kept
    Replay {
        /// The file
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Run { mutations, seed } => run(mutations, seed),
        Command::Mutation { seed, index } => show(&[mutate::case(seed, index)]),
        Command::Grid { name } => {
            show(&grid::cases().filter(|case| case.name.contains(&name)).take(16).collect::<Vec<_>>())
        }
        Command::Replay { file } => read(&file).and_then(|case| show(&[case])),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            println!("error: {why}");
            ExitCode::from(2)
        }
    }
}

fn run(mutations: u64, seed: u64) -> Result<bool, String> {
    let mut oracle = Oracle::start()?;
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/conformance");
    let mut all_well = true;
    let mut tell = |what: &str, report: &Report, begun: Instant| -> Result<(), String> {
        println!("{what}: {}", report.summary());
        print!("{}", report.keep(&kept).map_err(|error| error.to_string())?);
        println!("{what}: {} s\n", begun.elapsed().as_secs());
        all_well &= report.unexplained() == 0;
        Ok(())
    };
    let begun = Instant::now();
    let mut report = Report::default();
    report.run(&mut oracle, grid::cases())?;
    tell("grid", &report, begun)?;
    let unused: Vec<String> = report.unused().iter().map(|row| row.id.clone()).collect();
    let begun = Instant::now();
    let mut report = Report::default();
    report.run(&mut oracle, (0..mutations).map(|index| mutate::case(seed, index)))?;
    tell(&format!("mutations of seed {seed}"), &report, begun)?;
    for id in &unused {
        println!("the exception {id:?} matches nothing in the grid: the verifiers agree");
    }
    Ok(all_well && unused.is_empty())
}

fn read(file: &Path) -> Result<Case, String> {
    let text = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", file.display()))
}

fn show(cases: &[Case]) -> Result<bool, String> {
    let mut oracle = Oracle::start()?;
    let (expected, actual) = oracle.ask(cases, || cases.iter().map(ours::opinion).collect::<Vec<_>>())?;
    for ((case, expected), actual) in cases.iter().zip(&expected).zip(&actual) {
        println!("{}\nnotation-go: {expected:#?}\nsealwatch: {actual:#?}", case.name);
        for disagreement in disagreements(expected, actual) {
            println!("{disagreement}");
        }
    }
    Ok(!cases.is_empty())
}
