// SPDX-License-Identifier: Apache-2.0
//! What notation-go says about cases: a process that is asked over pipes.

use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use crate::case::{Case, Opinion};

/// The program in `e2e/tools/oracle`, running.
pub struct Oracle {
    child: Child,
    input: Option<BufWriter<ChildStdin>>,
    output: BufReader<ChildStdout>,
}

impl Oracle {
    /// Builds the program with `e2e/tools/build`, if it is not there yet, and starts it.
    ///
    /// # Errors
    /// Why there is none, for people.
    pub fn start() -> Result<Self, String> {
        let mut command = Command::new(build()?.join("oracle"));
        command.args(["-test.run", "^TestOracle$", "-test.timeout", "0"]);
        // One core is for it, the other for us; it keeps little, so its memory may grow between collections.
        command.env("GOMAXPROCS", "1").env("GOGC", "400");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("cannot start the oracle: {error}"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let output = output.ok_or("the oracle has no standard output")?;
        Ok(Self { child, input: input.map(BufWriter::new), output: BufReader::new(output) })
    }

    /// Asks about all of these cases while `meanwhile` works, and returns the opinions in their order.
    ///
    /// # Errors
    /// If the oracle ends or says something that is no opinion about these cases.
    pub fn ask<T>(&mut self, cases: &[Case], meanwhile: impl FnOnce() -> T) -> Result<(Vec<Opinion>, T), String> {
        let Self { input, output, .. } = self;
        let input = input.as_mut().ok_or("the oracle has no standard input")?;
        thread::scope(|scope| {
            let writer = scope.spawn(move || write(input, cases));
            let reader = scope.spawn(move || cases.iter().map(|case| read(output, case.id)).collect());
            let done = meanwhile();
            writer
                .join()
                .map_err(|_| "writing panicked")?
                .map_err(|error| format!("cannot ask the oracle: {error}"))?;
            let opinions: Result<Vec<Opinion>, String> = reader.join().map_err(|_| "reading panicked")?;
            Ok((opinions?, done))
        })
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // It ends by itself when its input does.
        self.input = None;
        drop(self.child.wait());
    }
}

fn write(input: &mut BufWriter<ChildStdin>, cases: &[Case]) -> std::io::Result<()> {
    for case in cases {
        serde_json::to_writer(&mut *input, case)?;
        input.write_all(b"\n")?;
    }
    input.flush()
}

fn read(output: &mut BufReader<ChildStdout>, id: u64) -> Result<Opinion, String> {
    let mut line = String::new();
    output.read_line(&mut line).map_err(|error| format!("cannot read from the oracle: {error}"))?;
    let Ok(opinion) = serde_json::from_str::<Opinion>(&line) else {
        // What it says when it gives up has more than a line.
        let _ = output.take(4096).read_to_string(&mut line);
        return Err(format!("the oracle said about case {id}: {line}"));
    };
    if opinion.id == id {
        Ok(opinion)
    } else {
        Err(format!("the oracle spoke about case {} when asked about {id}", opinion.id))
    }
}

/// The folder of the program.
fn build() -> Result<PathBuf, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../e2e/tools/build");
    let output = Command::new(&script).arg("oracle").stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cannot run {}: {error}", script.display()))?;
    if !output.status.success() {
        return Err(format!("e2e/tools/build oracle failed ({}); its messages stand above", output.status));
    }
    let folder = String::from_utf8(output.stdout).map_err(|error| error.to_string())?;
    Ok(PathBuf::from(folder.trim_end()))
}
