// SPDX-License-Identifier: Apache-2.0

//! `./just e2e-node`: the chart and the image on a real kubelet. As root, on Linux; what it needs and does stands in
//! e2e/README.md.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is there to be read")]

mod cases;
mod images;
mod operator;
mod package;
mod play;
mod pods;
mod rehearsal;
mod report;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use sealwatch_e2e::testenv::Result;
use sealwatch_e2e::testenv::node::{self, enclosure};

/// The policy that judges every pod, and the one with `digestMatching: FollowIndex` that judges some.
const POLICY: &str = "microsoft";
const FOLLOW: &str = "follow";
/// Where its logs are.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../build/e2e-node");

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let first = args.next().unwrap_or_default();
    let result = match first.to_str() {
        Some("keep") => enclosure::keep(args),
        Some("enter") => enclosure::enter(args),
        Some("inside") => inside(args),
        Some("hold") => rehearsal::outside(args),
        Some("check") => check().map(|()| ExitCode::SUCCESS),
        _ => outside(&first),
    };
    result.unwrap_or_else(|error| {
        eprintln!("e2e-node: error: {error}");
        ExitCode::FAILURE
    })
}

fn check() -> Result<()> {
    enclosure::obstacle().map_or(Ok(()), |obstacle| Err(format!("{obstacle}; nothing was tested").into()))
}

/// `check`, or `PROGRAM|LAYOUT`: a static program of ours to make an image of, or the OCI layout of `./just image`.
fn outside(given: &OsStr) -> Result<ExitCode> {
    let began = Instant::now();
    check()?;
    if given.is_empty() {
        return Err("say what to test: a static program, or the folder of an OCI layout".into());
    }
    fs::create_dir_all(FOLDER)?;
    let folder = PathBuf::from(FOLDER).canonicalize()?;
    let lock = File::create(folder.join("lock"))?;
    lock.try_lock().map_err(|error| format!("another run of this checkout has {}: {error}", folder.display()))?;
    for part in ["logs", "sealwatch"] {
        let _ = fs::remove_dir_all(folder.join(part));
    }
    fs::create_dir(folder.join("logs"))?;
    let layout = package::layout(Path::new(given), &folder)?;
    rehearsal::ends_with_its_parent(&folder)?;
    let before = enclosure::machine()?;
    let args = ["play".into(), folder.join("logs").into(), layout.into()];
    let code = runtime()?.block_on(enclosure::run(&folder, &args))?;
    let after = enclosure::machine()?;
    if before != after {
        return Err(format!("the machine is not as it was: before {before:#?}, after {after:#?}").into());
    }
    println!("ok: the machine is as it was: links, cgroups, mounts, settings of the kernel");
    let seconds = began.elapsed().as_secs();
    if code == ExitCode::SUCCESS {
        println!("e2e-node passed, {seconds} s");
    } else {
        println!("e2e-node FAILED, {seconds} s; logs: {}", folder.join("logs").display());
    }
    Ok(code)
}

/// `play LOGS LAYOUT`, or `hold FILE`
fn inside(mut args: impl Iterator<Item = OsString>) -> Result<ExitCode> {
    let what = args.next().unwrap_or_default();
    let mut path = || args.next().map(PathBuf::from).ok_or("inside: an argument is missing");
    if what == "hold" {
        return rehearsal::hold(&path()?);
    }
    let (logs, layout) = (path()?, path()?);
    node::prepare(&logs)?;
    runtime()?.block_on(play::play(&layout, &logs))?;
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
