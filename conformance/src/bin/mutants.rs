// SPDX-License-Identifier: Apache-2.0
//! Takes rules out of a copy of the sources, one after the other, and sees the tests of those rules fail.
//!
//! `mutants COPY [WORD…]`: COPY is a copy of the whole project, which is changed and put right again; with words, only
//! what has one of them as its rule, or in its text or file, is taken out. Ends with one line of counts, and fails if anything failed.

#![allow(clippy::print_stdout, clippy::print_stderr)] // it is a program

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::time::Instant;
use std::{env, fs, io};

use sealwatch_conformance::mutation::Mutation;

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let Some(copy) = arguments.next().map(PathBuf::from) else {
        eprintln!("usage: mutants COPY [WORD...]");
        return ExitCode::FAILURE;
    };
    match run(&copy, &arguments.collect::<Vec<String>>()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How many failed.
fn run(copy: &Path, words: &[String]) -> Result<usize, Box<dyn std::error::Error>> {
    let all = Mutation::parse_all(&fs::read_to_string(copy.join("conformance/mutations.txt"))?)?;
    let count = all.len();
    let is_wanted = |mutation: &Mutation| {
        let text = format!("{} {}", mutation.what, mutation.file);
        let fits = |word: &String| word.parse() == Ok(mutation.rule) || text.contains(word.as_str());
        words.is_empty() || words.iter().any(fits)
    };
    let wanted: Vec<Mutation> = all.into_iter().filter(is_wanted).collect();
    check_unchanged(copy, &wanted)?;
    let (mut passed, mut failed) = (0, 0);
    for mutation in &wanted {
        let begun = Instant::now();
        let verdict = take_out(copy, mutation);
        let seconds = begun.elapsed().as_secs();
        match verdict {
            Ok(()) => {
                passed += 1;
                println!("ok      {mutation}: {} fails, {seconds} s", mutation.test);
            }
            Err(why) => {
                failed += 1;
                println!("FAILED  {mutation}: {why}, {seconds} s");
            }
        }
    }
    println!("{passed} passed, {failed} failed, {} skipped", count - wanted.len());
    Ok(failed)
}

/// Without a change every test that is named is there, and passes.
fn check_unchanged(copy: &Path, mutations: &[Mutation]) -> Result<(), String> {
    let mut targets: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for mutation in mutations {
        let tests = targets.entry((&mutation.package, &mutation.target)).or_default();
        if !tests.contains(&mutation.test.as_str()) {
            tests.push(&mutation.test);
        }
    }
    for ((package, target), tests) in targets {
        let output = cargo(copy, package, target, &tests).map_err(|error| error.to_string())?;
        let text = said(&output);
        if !output.status.success() || !text.contains(&format!("test result: ok. {} passed;", tests.len())) {
            return Err(format!("the tests of {package} ({target}) do not all pass as they are:\n{text}"));
        }
    }
    Ok(())
}

/// Errs unless the rule can be taken out and its test then fails.
fn take_out(copy: &Path, mutation: &Mutation) -> Result<(), String> {
    let file = copy.join(&mutation.file);
    let original = fs::read_to_string(&file).map_err(|error| error.to_string())?;
    let result = fs::write(&file, mutation.applied(copy)?)
        .and_then(|()| cargo(copy, &mutation.package, &mutation.target, &[&mutation.test]));
    fs::write(&file, original).map_err(|error| format!("{} could not be put right: {error}", mutation.file))?;
    let text = said(&result.map_err(|error| error.to_string())?);
    if !text.contains("running 1 test") {
        return Err(format!("the sources do not compile without it:\n{text}"));
    }
    if text.contains("test result: FAILED. 0 passed; 1 failed;") {
        Ok(())
    } else {
        Err(format!("{} does not fail", mutation.test))
    }
}

fn cargo(copy: &Path, package: &str, target: &str, tests: &[&str]) -> io::Result<Output> {
    let target = if target == "lib" { vec!["--lib"] } else { vec!["--test", target] };
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(copy)
        .args(["test", "--locked", "--quiet", "--package", package])
        .args(target)
        .arg("--")
        .arg("--exact")
        .args(tests)
        .output()
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}
