// SPDX-License-Identifier: Apache-2.0

//! Whether nothing stays when a run is interrupted or killed.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sealwatch_e2e::testenv::Result;
use sealwatch_e2e::testenv::node::{self, enclosure};

const SOON: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
/// The exit code of a program that an interrupt ended, as shells have it.
const INTERRUPTED: i32 = 130;

/// Starts a run that only waits, ends it from outside, and looks whether the machine is as it was.
pub(crate) fn ends_with_its_parent(folder: &Path) -> Result<()> {
    for signal in [Signal::INT, Signal::KILL] {
        let before = enclosure::machine()?;
        let held = folder.join("held");
        let _ = fs::remove_file(&held);
        let mut run = Command::new(std::env::current_exe()?).arg("hold").arg(folder).stdin(Stdio::null()).spawn()?;
        until("the inside to hold", || Ok(held.exists()))?;
        if enclosure::machine()? == before {
            return Err("an enclosure shows nowhere; then its end shows nothing".into());
        }
        kill_process(Pid::from_child(&run), signal)?;
        let status = run.wait()?;
        if signal == Signal::INT && (status.code() != Some(INTERRUPTED) || enclosure::machine()? != before) {
            return Err(format!("interrupted, it ended ({status}) before all was cleared").into());
        }
        until("the machine to be as it was", || Ok(enclosure::machine()? == before))?;
    }
    println!("ok: interrupted or killed, a run leaves nothing: processes, cgroups, mounts, links, settings");
    Ok(())
}

fn until(what: &str, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    while !done()? {
        if began.elapsed() > SOON {
            return Err(format!("waited {} s for {what}", SOON.as_secs()).into());
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// `hold FOLDER`: the outside of a run that only waits.
pub(crate) fn outside(mut args: impl Iterator<Item = OsString>) -> Result<ExitCode> {
    let folder = PathBuf::from(args.next().ok_or("hold: no folder given")?);
    let args = ["hold".into(), folder.clone().into()];
    crate::runtime()?.block_on(enclosure::run(&folder, &args))
}

/// Its inside: a process that ends by itself much later, in a cgroup below the enclosure's.
pub(crate) fn hold(folder: &Path) -> Result<ExitCode> {
    node::prepare(&folder.join("logs"))?;
    let mut stray = Command::new("sleep").arg("3600").stdin(Stdio::null()).spawn()?;
    node::put_into_cgroup("stray", stray.id())?;
    fs::write(folder.join("held"), "")?;
    stray.wait()?;
    Ok(ExitCode::SUCCESS)
}
