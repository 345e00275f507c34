// SPDX-License-Identifier: Apache-2.0

//! A reader at a shell, who does what a page says, block by block, and compares what comes of it.
//!
//! What a page may say behind the opening fence of a block:
//! * ` ```console runnable `: the block is run by bash and has to succeed; `exit=N`: with this exit code;
//!   `background`: it is left running while the rest of the page is played;
//! * ` ```text recorded `, right after such a block: what it prints, on both outputs. A line `…` stands for any number
//!   of lines; `kept`: somebody wrote it, and it is not written anew;
//! * ` ```json file=NAME `, ` ```yaml file=NAME `: the block is what the reader saves under this name.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sealwatch_e2e::testenv::{Notation, OperatorOptions, OperatorProcess, Result};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::markdown::{Block, Page};
use crate::recorded;

/// How long one block may take.
const BLOCK_MOST: Duration = Duration::from_secs(150);
/// Writes what was printed into the page where it is not what the page says; or everywhere, if it is `all`.
const RECORD: &str = "SEALWATCH_RECORD_DOCS";

/// The reader's shell: a folder, a home in it, and programs.
pub(crate) struct Shell {
    folder: TempDir,
    /// Names of the page, and what stands for them here.
    names: Vec<(String, String)>,
    env: Vec<(String, String)>,
    background: Vec<OperatorProcess>,
}

impl Shell {
    /// A shell in a folder that looks like a checkout, with the programs of the system and `sealwatch`.
    pub(crate) fn begin() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("sealwatch-docs-").tempdir()?;
        for name in ["bin", "home", "work"] {
            fs::create_dir(folder.path().join(name))?;
        }
        for name in ["config", "charts"] {
            symlink(crate::root().canonicalize()?.join(name), folder.path().join("work").join(name))?;
        }
        let shell = Self { folder, names: Vec::new(), env: Vec::new(), background: Vec::new() };
        shell.program("sealwatch", &OperatorProcess::binary()?)?;
        Ok(shell)
    }

    /// The reader's home.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// The folder in which everything is run.
    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// Puts a program on the path.
    pub(crate) fn program(&self, name: &str, path: &Path) -> Result<()> {
        Ok(symlink(path, self.folder.path().join("bin").join(name))?)
    }

    /// The signer's `notation`, which is no concern of the reader.
    pub(crate) async fn notation(&self) -> Result<Notation> {
        Notation::new(&self.home().join("signer")).await
    }

    /// Gives the reader what notation keeps in the home: this trust policy, and the root that lies in the folder.
    pub(crate) fn notation_configuration(&self, document: &Value) -> Result<()> {
        let configuration = self.home().join(".config/notation");
        let store = configuration.join("truststore/x509/ca/supplychain");
        fs::create_dir_all(&store)?;
        fs::write(configuration.join("trustpolicy.json"), document.to_string())?;
        fs::copy(self.work().join("msft_signing_cert.crt"), store.join("msft_signing_cert.crt"))?;
        Ok(())
    }

    /// Sets a variable of the reader's environment.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// What `real` is here has this name on the pages.
    pub(crate) fn call(&mut self, real: &str, name: &str) {
        self.names.push((name.to_owned(), real.to_owned()));
    }

    /// Does what the page says. With the variable `SEALWATCH_RECORD_DOCS`, outputs that differ are written into it.
    pub(crate) async fn play(&mut self, path: &Path, page: &Page) -> Result<()> {
        let mut changed = Vec::new();
        let played = self.play_blocks(path, page, &mut changed).await;
        recorded::write(&crate::root().join(path), &changed)?;
        played
    }

    async fn play_blocks<'a>(
        &mut self,
        path: &Path,
        page: &'a Page,
        changed: &mut Vec<(&'a Block, String)>,
    ) -> Result<()> {
        let mut blocks = page.blocks.iter().peekable();
        while let Some(block) = blocks.next() {
            if let Some(name) = block.value("file") {
                fs::write(self.work().join(name), self.real(&block.text))?;
            }
            if !block.is("runnable") {
                continue;
            }
            let place = format!("{}:{}", path.display(), block.line);
            if block.is("background") {
                self.leave_running(block)?;
                continue;
            }
            let printed = self.run(block).await.map_err(|error| format!("{place}: {error}\n{}", block.text))?;
            let Some(shown) = blocks.next_if(|next| next.is("recorded")) else { continue };
            let agrees = recorded::agrees(&shown.text, &printed);
            let is_written_here = !shown.is("kept") && !recorded::is_abridged(&shown.text);
            match env::var(RECORD) {
                Ok(which) if is_written_here && (!agrees || which == "all") => changed.push((shown, printed)),
                _ if agrees => {}
                _ => return Err(differs(&place, block, shown, &printed).into()),
            }
        }
        Ok(())
    }

    /// Whether what was left running still runs.
    pub(crate) fn assert_nothing_ended(&mut self) -> Result<()> {
        for process in &mut self.background {
            if let Some(status) = process.status()? {
                return Err(format!("what runs in the background ended ({status}):\n{}", process.log()).into());
            }
        }
        Ok(())
    }

    /// What was left running has logged.
    pub(crate) fn log(&self) -> String {
        self.background.iter().map(OperatorProcess::log).collect()
    }

    fn real(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, real)| text.replace(name, real))
    }

    fn environment(&self) -> Vec<(String, String)> {
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.folder.path().join("bin").display());
        let own = [("PATH", path), ("HOME", self.home().display().to_string()), ("LANG", "C.UTF-8".to_owned())];
        own.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(self.env.clone()).collect()
    }

    async fn run(&self, block: &Block) -> Result<String> {
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c"]).arg(format!("exec 2>&1\n{}", self.real(&block.text)));
        command.current_dir(self.work()).env_clear().envs(self.environment()).stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(BLOCK_MOST, command.output()).await;
        let output = output.map_err(|_| format!("not over within {BLOCK_MOST:?}"))??;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let text = self.names.iter().fold(text, |text, (name, real)| text.replace(real, name));
        let expected = block.value("exit").unwrap_or("0");
        if output.status.code().is_none_or(|code| code.to_string() != expected) {
            return Err(format!("ended with {} instead of {expected}:\n{text}", output.status).into());
        }
        Ok(text)
    }

    /// Under the guard that also ends operators, so that nothing outlives the test.
    fn leave_running(&mut self, block: &Block) -> Result<()> {
        let script = format!("cd {}\nexec {}", self.work().display(), self.real(&block.text));
        let args = ["-euo", "pipefail", "-c", &script].map(str::to_owned).to_vec();
        let options =
            OperatorOptions { args, env: self.environment(), binary: Some("/bin/bash".into()), ..Default::default() };
        self.background.push(OperatorProcess::start(&options)?);
        Ok(())
    }
}

fn differs(place: &str, block: &Block, shown: &Block, printed: &str) -> String {
    format!(
        "{place}: the page shows another output (if the new one is right: {RECORD}=1)\n{}---- the page\n{}---- \
         now\n{printed}----",
        block.text, shown.text
    )
}
