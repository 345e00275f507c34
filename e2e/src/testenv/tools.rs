// SPDX-License-Identifier: Apache-2.0

//! Where the programs come from.

use std::collections::HashMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};

use super::Result;

/// The exit code of `tools/build` for a tool that this machine cannot have.
const NOT_TO_BE_HAD: i32 = 69;

/// The folder with the binaries of a pinned tool (`kube`, `notation`, `olareg`, `distribution`); built if it is not
/// there yet, which may take minutes and says so on standard error.
pub(super) async fn folder(name: &'static str) -> Result<PathBuf> {
    tokio::task::spawn_blocking(move || build(name)).await?
}

/// As [`folder`], for a tool that not every machine can have.
pub(super) async fn folder_if_any(name: &'static str) -> Result<Option<PathBuf>> {
    tokio::task::spawn_blocking(move || build_if_any(name)).await?
}

/// As [`folder`], for those who may wait.
pub(super) fn build(name: &'static str) -> Result<PathBuf> {
    build_if_any(name)?.ok_or_else(|| format!("e2e/tools/build {name}: it is not to be had on this machine").into())
}

fn build_if_any(name: &'static str) -> Result<Option<PathBuf>> {
    static BUILT: LazyLock<Mutex<HashMap<&'static str, Option<PathBuf>>>> = LazyLock::new(Mutex::default);
    // The lock is kept during the build: a second caller of this process has nothing better to do than wait.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(folder) = built.get(name) {
        return Ok(folder.clone());
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/build");
    let output = Command::new(&script)
        .arg(name)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot run {}: {error}", script.display()))?;
    let folder = match output.status.code() {
        Some(0) => Some(PathBuf::from(String::from_utf8(output.stdout)?.trim_end())),
        Some(NOT_TO_BE_HAD) => None,
        _ => return Err(format!("e2e/tools/build {name} failed ({}); its messages stand above", output.status).into()),
    };
    built.insert(name, folder.clone());
    Ok(folder)
}

/// The supervisor that cargo built beside the running test or program.
pub(super) fn supervisor() -> Result<PathBuf> {
    beside_this_program("testenv-supervisor", "SEALWATCH_TESTENV_SUPERVISOR", "cargo build -p sealwatch-e2e --bins")
}

/// A binary of this workspace: the file that `variable` names, else `name` in the target folder of this program.
pub(super) fn beside_this_program(name: &str, variable: &str, how_to_build: &str) -> Result<PathBuf> {
    if let Some(given) = env::var_os(variable) {
        let given = PathBuf::from(given);
        return if given.is_file() {
            Ok(given)
        } else {
            Err(format!("{variable} names {}, which is no file", given.display()).into())
        };
    }
    let program = env::current_exe()?;
    // Test executables lie in target/PROFILE/deps, examples in target/PROFILE/examples, programs in target/PROFILE.
    let found = program.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| {
        format!("there is no `{name}` beside {}; build it with `{how_to_build}`", program.display()).into()
    })
}
