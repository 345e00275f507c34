// SPDX-License-Identifier: Apache-2.0
//! Counts instructions for each byte of input, by Valgrind's callgrind: `work [FOLDER…]`. Inputs are the families of
//! worst cases, each in two sizes, the seeds, and the files in `FOLDER/TARGET` (what fuzzing has found).
//!
//! Fails if the double size of a family needs more than three times the instructions.

use std::fs;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

use sealwatch_fixtures::worst::families;
use sealwatch_fuzz::seeds::{Target, seeds};
use sealwatch_fuzz::work::{measured, prepare};

/// The sizes of families: such that what every input costs, most of all signatures, does not hide what grows.
const SIZES: [usize; 2] = [28 * 1024, 56 * 1024];
/// How many times the instructions the double size may need.
const MAX_GROWTH: f64 = 3.0;

/// The name of [`measured`] as callgrind sees it. With a wildcard it would not dump.
const MEASURED: &str = "sealwatch_fuzz::work::measured";

/// One input.
struct Input {
    name: String,
    /// Whether it is the first of two sizes of a family.
    is_first: bool,
    bytes: Vec<u8>,
}

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from).peekable();
    if let Some(target) = std::env::var("SEALWATCH_WORK_TARGET").ok().as_deref().and_then(target_named) {
        run(target, &arguments.collect::<Vec<_>>())?;
        return Ok(());
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("SKIPPED: work: there is no valgrind: install the package valgrind");
        println!("0 passed, 0 failed, {} skipped", Target::ALL.len());
        return Ok(());
    }
    let folders: Vec<PathBuf> = arguments.by_ref().collect();
    println!(
        "{:<13} {:>7} {:>10} {:>14}  worst: instructions, bytes, which",
        "target", "inputs", "median", "worst a byte"
    );
    let (mut broken, mut reported) = (Vec::new(), 0_usize);
    for (name, target) in Target::ALL {
        if target == Target::Manifest && cfg!(not(feature = "manifest")) {
            continue;
        }
        reported += 1;
        report(name, target, &folders, &mut broken)?;
    }
    for line in &broken {
        println!("{line}");
    }
    println!("{} passed, {} failed, 0 skipped", reported.saturating_sub(broken.len()), broken.len());
    if broken.is_empty() { Ok(()) } else { Err(Error::other("work grows faster than the input")) }
}

fn target_named(name: &str) -> Option<Target> {
    Target::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, target)| target)
}

/// The inputs of a target, in the same order in the process that measures and in the one that is measured.
fn inputs(target: Target, folders: &[PathBuf]) -> Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for family in families().into_iter().filter(|family| Some(family.format) == target.format()) {
        for (index, size) in SIZES.into_iter().enumerate() {
            let bytes = (family.make)(size);
            inputs.push(Input { name: family.name.to_owned(), is_first: index == 0, bytes });
        }
    }
    for (number, bytes) in seeds(target).into_iter().enumerate() {
        inputs.push(Input { name: format!("seed {number}"), is_first: false, bytes });
    }
    let folder_name = Target::ALL.iter().find(|(_, known)| *known == target).map_or("", |(name, _)| name);
    for folder in folders {
        let Ok(entries) = fs::read_dir(folder.join(folder_name)) else { continue };
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            inputs.push(Input { name, is_first: false, bytes: fs::read(&path)? });
        }
    }
    Ok(inputs)
}

/// The process that is measured.
fn run(target: Target, folders: &[PathBuf]) -> Result<()> {
    for input in inputs(target, folders)? {
        measured(target, &prepare(target, &input.bytes));
    }
    Ok(())
}

fn report(name: &str, target: Target, folders: &[PathBuf], broken: &mut Vec<String>) -> Result<()> {
    let inputs = inputs(target, folders)?;
    let counts = count(name, folders)?;
    if counts.len() != inputs.len() {
        return Err(Error::other(format!("{name}: {} counts for {} inputs", counts.len(), inputs.len())));
    }
    let size = |input: &Input| prepare(target, &input.bytes).len().max(1);
    #[allow(clippy::cast_precision_loss)] // for people
    let mut rows: Vec<(f64, u64, usize, &Input)> = inputs
        .iter()
        .zip(&counts)
        .map(|(input, count)| (*count as f64 / size(input) as f64, *count, size(input), input))
        .collect();
    for pair in rows.windows(2).filter(|pair| pair[0].3.is_first) {
        let (small, large) = (&pair[0], &pair[1]);
        #[allow(clippy::cast_precision_loss)] // for people
        let growth = large.1 as f64 / small.1.max(1) as f64;
        if growth > MAX_GROWTH {
            broken.push(format!(
                "{name}, {}: {} instructions for {} bytes, {growth:.1} times as many for {}",
                small.3.name, small.1, small.2, large.2
            ));
        }
    }
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Of a few bytes, what every input costs says nothing.
    let (Some(median), Some(worst)) = (rows.get(rows.len() / 2), rows.iter().rfind(|row| row.2 >= 64)) else {
        return Ok(());
    };
    println!(
        "{name:<13} {:>7} {:>10.0} {:>14.0}  {}, {}, {}",
        rows.len(),
        median.0,
        worst.0,
        worst.1,
        worst.2,
        worst.3.name
    );
    Ok(())
}

/// Runs this program again below callgrind, which writes a file each time that `measured` returns.
fn count(target: &str, folders: &[PathBuf]) -> Result<Vec<u64>> {
    let out = std::env::temp_dir().join(format!("sealwatch-work-{}-{target}", std::process::id()));
    fs::create_dir_all(&out)?;
    let status = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind", "--collect-atstart=no"])
        .arg(format!("--toggle-collect={MEASURED}"))
        .arg(format!("--dump-after={MEASURED}"))
        .arg(format!("--callgrind-out-file={}", out.join("out").display()))
        .arg(std::env::current_exe()?)
        .args(folders)
        .env("SEALWATCH_WORK_TARGET", target)
        .stderr(std::process::Stdio::null())
        .status()?;
    let counts = if status.success() { read_counts(&out) } else { Err(Error::other(format!("valgrind: {status}"))) };
    fs::remove_dir_all(&out)?;
    counts
}

fn read_counts(folder: &Path) -> Result<Vec<u64>> {
    let mut counts = Vec::new();
    for number in 1.. {
        let Ok(text) = fs::read_to_string(folder.join(format!("out.{number}"))) else { break };
        // The last one is written at the end of the program.
        if !text.contains("desc: Trigger: Program termination") {
            let total =
                text.lines().find_map(|line| line.strip_prefix("summary: ").or_else(|| line.strip_prefix("totals: ")));
            counts.push(total.and_then(|total| total.trim().parse().ok()).ok_or_else(|| Error::other("no total"))?);
        }
    }
    Ok(counts)
}
