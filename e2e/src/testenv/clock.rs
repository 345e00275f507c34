// SPDX-License-Identifier: Apache-2.0

//! A clock of the operator's own, which a test sets while it runs.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::{OperatorProcess, Result, skipped};

const SOURCE: &str = include_str!("clock.c");
/// The variable that names the file with the seconds.
const VARIABLE: &str = "SEALWATCH_TEST_CLOCK";
/// How much of a program is looked at for the name of its dynamic loader, which stands in its first page.
const FIRST_PAGE: u64 = 4096;

/// A clock for a program that is started with its variables.
#[derive(Debug)]
pub struct SetClock {
    folder: TempDir,
}

impl SetClock {
    /// A clock that is right. None where this machine has no C compiler, or the operator under test is linked statically:
    /// then it is said that `test` is skipped.
    ///
    /// # Errors
    /// The compiler refuses the source, or there is no operator.
    pub fn new(test: &str) -> Result<Option<Self>> {
        if !is_dynamic(&OperatorProcess::binary()?)? {
            skipped(test, "the operator is linked statically, and goes by the machine's clock");
            return Ok(None);
        }
        let clock = Self { folder: tempfile::Builder::new().prefix("sealwatch-clock-").tempdir()? };
        let source = clock.folder.path().join("clock.c");
        fs::write(&source, SOURCE)?;
        let compiled =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(clock.library()).arg(&source).output();
        let Ok(output) = compiled else {
            skipped(test, "there is no C compiler (cc)");
            return Ok(None);
        };
        if !output.status.success() {
            return Err(format!("cc: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        clock.set(0)?;
        Ok(Some(clock))
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("clock.so")
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("seconds")
    }

    /// What a program has to be started with.
    pub fn variables(&self) -> Vec<(String, String)> {
        let path = |path: PathBuf| path.display().to_string();
        vec![("LD_PRELOAD".to_owned(), path(self.library())), (VARIABLE.to_owned(), path(self.file()))]
    }

    /// Sets it to so many seconds ahead of the machine's, or (negative) behind.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn set(&self, seconds: i64) -> Result<()> {
        let new = self.folder.path().join("new");
        fs::write(&new, seconds.to_string())?;
        Ok(fs::rename(new, self.file())?)
    }
}

fn is_dynamic(program: &std::path::Path) -> Result<bool> {
    let mut page = Vec::new();
    fs::File::open(program)?.take(FIRST_PAGE).read_to_end(&mut page)?;
    Ok(page.windows(4).any(|bytes| bytes == b"/ld-"))
}
