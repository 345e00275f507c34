// SPDX-License-Identifier: Apache-2.0

//! A desk: a folder with a policy and trust stores, signed images in a registry, and the `sealwatch` command.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::{env, fs};

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::scene::{self, Images, Pki, Signed};
use crate::testenv::pki::KeyKind;
use crate::testenv::{self, Notation, OperatorProcess, Registry, Result};

/// The trust store that [`scene::seed_document`] names.
const STORE: &str = "supplychain";

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it printed on standard output.
    pub stdout: String,
    /// What it printed on standard error.
    pub stderr: String,
}

/// The command under test with these arguments, without any setting of the environment.
///
/// # Errors
/// There is no binary.
pub fn command<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Result<Command> {
    let mut command = Command::new(OperatorProcess::binary()?);
    command.args(args).env_clear().stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

/// Runs `sealwatch` to its end, whatever its exit code.
///
/// # Errors
/// It cannot be started, or prints something that is not UTF-8.
pub async fn run<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Result<Ran> {
    let output = command(args)?.output().await?;
    Ok(Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}

/// The folder of the conformance vectors; says loudly that `test` is skipped where there is none.
pub fn vectors(test: &str) -> Option<PathBuf> {
    let folder = env::var_os("SEALWATCH_VECTORS").map(PathBuf::from).filter(|folder| folder.is_dir());
    if folder.is_none() {
        testenv::skipped(test, "SEALWATCH_VECTORS does not name the folder of test vectors");
    }
    folder
}

/// What somebody has on the desk who verifies images by hand.
#[derive(Debug)]
pub struct Desk {
    /// The keys that signed the images.
    pub pki: Pki,
    /// The images.
    pub images: Images,
    /// The real `notation`, for signing and for a second opinion.
    pub notation: Notation,
    folder: TempDir,
}

impl Desk {
    /// Pushes and signs these images; the trust store holds the trusted root.
    ///
    /// # Errors
    /// The registry or `notation` refuses something.
    pub async fn set(registry: &Registry, referrers_api: bool, which: &[Signed]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("sealwatch-desk-").tempdir()?;
        let notation = Notation::new(&folder.path().join("notation")).await?;
        let pki = Pki::new(KeyKind::EcP256)?;
        let images = Images::push(registry, &notation, &pki, which, referrers_api).await?;
        let desk = Self { pki, images, notation, folder };
        desk.write(&format!("truststore/ca/{STORE}/root.crt"), desk.pki.root.certificate_pem())?;
        registry.clear_access_log();
        Ok(desk)
    }

    /// The folder of everything.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, contents: &str) -> Result<String> {
        let path = self.folder.path().join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, contents)?;
        Ok(path.display().to_string())
    }

    /// The flags for a trustpolicy.json with this document and for the trust store beside it. `notation` gets the same.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn notation_policy(&self, document: &Value) -> Result<Vec<String>> {
        self.notation.trust(&document.to_string(), &[(&format!("ca:{STORE}"), self.pki.root.certificate_pem())])?;
        let policy = self.write("trustpolicy.json", &document.to_string())?;
        let store = self.folder.path().join("truststore").display().to_string();
        Ok(["--policy".to_owned(), policy, "--trust-store".to_owned(), store].into())
    }

    /// The flags for a TrustPolicy with this document, whose ConfigMap stands in the same file.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn trust_policy(&self, document: &Value) -> Result<Vec<String>> {
        let objects = [scene::trust_policy("microsoft", document), scene::roots(self.pki.root.certificate_pem())];
        let policy = self.write("trustpolicy.yaml", &scene::documents(&objects)?)?;
        Ok(["--policy".to_owned(), policy].into())
    }

    /// `sealwatch verify` over plain HTTP, under the seed's policy, with more arguments.
    ///
    /// # Errors
    /// It cannot be run.
    pub async fn verify(&self, more: &[&str]) -> Result<Ran> {
        self.verify_under(&self.notation_policy(&scene::seed_document())?, more).await
    }

    /// The same under another policy.
    ///
    /// # Errors
    /// It cannot be run.
    pub async fn verify_under(&self, policy: &[String], more: &[&str]) -> Result<Ran> {
        let args = ["verify", "--insecure-registry"].into_iter();
        run(args.chain(policy.iter().map(String::as_str)).chain(more.iter().copied())).await
    }
}
