// SPDX-License-Identifier: Apache-2.0

//! The real `notation` command with a configuration folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::json;
use tokio::process::Command;

use super::pki::SigningKey;
use super::registry::{ACCOUNT, Registry};
use super::{Result, tools};

/// The format of a signature envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/jose+json`
    Jws,
    /// `application/cose`
    Cose,
}

/// How to sign. The default is a JWS envelope that never expires, attached by the Referrers API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignOptions {
    /// The format of the envelope.
    pub format: Format,
    /// Whether the signature is attached by the Referrers API; otherwise by the tag schema.
    pub referrers_api: bool,
    /// How long the signature is valid, in whole seconds from 1 s; `None` is without end.
    pub expiry: Option<Duration>,
    /// Whom to ask for a timestamp of the signature: the authority's URL, and its root in PEM.
    pub timestamp: Option<(String, String)>,
    /// What the signer attaches to the artifact, by name.
    pub user_metadata: Vec<(String, String)>,
}

impl Default for SignOptions {
    fn default() -> Self {
        Self { format: Format::Jws, referrers_api: true, expiry: None, timestamp: None, user_metadata: Vec::new() }
    }
}

impl SignOptions {
    /// The default with this format.
    pub fn format(format: Format) -> Self {
        Self { format, ..Self::default() }
    }
}

/// The `notation` command.
#[derive(Clone, Debug)]
pub struct Notation {
    program: PathBuf,
    dir: PathBuf,
    entry: Entry,
}

/// How it enters the registry. The default is plain HTTP, without a password.
#[derive(Clone, Debug, Default)]
struct Entry {
    authority: Option<PathBuf>,
    with_password: bool,
}

impl Notation {
    /// The command with its configuration, cache and keys below `dir`, which is created.
    ///
    /// # Errors
    /// It cannot be built, or the folder cannot be made.
    pub async fn new(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir)?;
        // The command refuses symbolic links on the way to its configuration.
        let dir = dir.canonicalize()?;
        Ok(Self { program: tools::folder("notation").await?.join("notation"), dir, entry: Entry::default() })
    }

    /// The same command for another registry: over TLS and with the password, if that is how it is entered.
    #[must_use]
    pub fn entering(&self, registry: &Registry) -> Self {
        let entry = Entry { authority: registry.authority_file(), with_password: registry.door().is_locked() };
        Self { entry, ..self.clone() }
    }

    /// Signs the artifact that `reference` (`host/repository@digest`) names.
    ///
    /// # Errors
    /// `notation` refuses it; the error holds its output.
    pub async fn sign(&self, reference: &str, key: &SigningKey, options: &SignOptions) -> Result<()> {
        let config = self.key_folder(key)?;
        let mut command = self.command(&config, "sign");
        command.args(["--key", &key.name, "--signature-format"]).arg(match options.format {
            Format::Jws => "jws",
            Format::Cose => "cose",
        });
        // Without this flag the command always uses the tag schema.
        command.arg(format!("--force-referrers-tag={}", !options.referrers_api));
        if let Some(expiry) = options.expiry {
            command.arg("--expiry").arg(format!("{}s", expiry.as_secs()));
        }
        if let Some((url, root_pem)) = &options.timestamp {
            let root = config.join("timestamp-root.pem");
            fs::write(&root, root_pem)?;
            command.args(["--timestamp-url", url, "--timestamp-root-cert"]).arg(root);
        }
        for (name, value) in &options.user_metadata {
            command.arg("--user-metadata").arg(format!("{name}={value}"));
        }
        let output = command.arg(reference).output().await?;
        if output.status.success() { Ok(()) } else { Err(failure("sign", reference, &output).into()) }
    }

    /// Writes a trust policy document, and trust stores by `type:name` with their PEM certificates.
    ///
    /// # Errors
    /// A file cannot be written, or a store has no type.
    pub fn trust(&self, trust_policy_json: &str, trust_stores: &[(&str, &str)]) -> Result<()> {
        let config = self.trust_folder();
        let stores = config.join("truststore/x509");
        if stores.exists() {
            fs::remove_dir_all(&stores)?;
        }
        for (reference, pem) in trust_stores {
            let (kind, name) = reference.split_once(':').ok_or("the trust store has no type")?;
            let store = stores.join(kind).join(name);
            fs::create_dir_all(&store)?;
            fs::write(store.join("certificates.pem"), pem)?;
        }
        fs::create_dir_all(&config)?;
        Ok(fs::write(config.join("trustpolicy.json"), trust_policy_json)?)
    }

    /// Runs `notation verify` on `reference` and gives its output whatever its exit code.
    ///
    /// # Errors
    /// `notation` cannot be started.
    pub async fn verify(&self, reference: &str) -> Result<Output> {
        Ok(self.command(&self.trust_folder(), "verify").arg(reference).output().await?)
    }

    /// Runs `notation` with other arguments and the configuration of [`Notation::trust`], whatever its exit code.
    ///
    /// # Errors
    /// `notation` cannot be started.
    pub async fn run(&self, args: &[&str]) -> Result<Output> {
        Ok(self.bare_command(&self.trust_folder()).args(args).output().await?)
    }

    /// Likewise, with what notation calls experimental: OCI layouts.
    ///
    /// # Errors
    /// As [`Notation::run`].
    pub async fn run_experimental(&self, args: &[&str]) -> Result<Output> {
        let mut command = self.bare_command(&self.trust_folder());
        Ok(command.env("NOTATION_EXPERIMENTAL", "1").args(args).output().await?)
    }

    /// Runs `notation` with the configuration folder `config`, whatever its exit code.
    ///
    /// # Errors
    /// `notation` cannot be started.
    pub async fn run_with(&self, config: &Path, args: &[&str]) -> Result<Output> {
        // The command refuses symbolic links on the way to its configuration.
        Ok(self.bare_command(&config.canonicalize()?).args(args).output().await?)
    }

    /// The program itself, for whoever measures it.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The configuration folder that [`Notation::trust`] writes.
    pub fn configuration(&self) -> PathBuf {
        self.trust_folder()
    }

    fn command(&self, config: &Path, subcommand: &str) -> Command {
        let mut command = self.bare_command(config);
        command.arg(subcommand);
        match &self.entry.authority {
            Some(file) => command.env("SSL_CERT_FILE", file),
            None => command.arg("--insecure-registry"),
        };
        if self.entry.with_password {
            command.env("NOTATION_USERNAME", ACCOUNT.0).env("NOTATION_PASSWORD", ACCOUNT.1);
        }
        command
    }

    fn bare_command(&self, config: &Path) -> Command {
        let mut command = Command::new(&self.program);
        // Nothing of the user's own configuration, credentials or proxies takes part.
        command.env_clear().env("HOME", &self.dir).env("DOCKER_CONFIG", &self.dir).env("NOTATION_CONFIG", config);
        command.env("NOTATION_CACHE", self.dir.join("cache")).env("NOTATION_LIBEXEC", self.dir.join("libexec"));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    fn trust_folder(&self) -> PathBuf {
        self.dir.join("trust")
    }

    /// A configuration folder for each key: signing with two keys at once must not write the same file.
    fn key_folder(&self, key: &SigningKey) -> Result<PathBuf> {
        let folder = self.dir.join("keys").join(&key.name);
        let (key_file, chain_file) = (folder.join("signing.key"), folder.join("signing.crt"));
        if !folder.exists() {
            fs::create_dir_all(&folder)?;
            fs::write(&key_file, &key.key_pem)?;
            fs::write(&chain_file, &key.chain_pem)?;
            let entry = json!({ "name": key.name, "keyPath": key_file, "certPath": chain_file });
            fs::write(folder.join("signingkeys.json"), json!({ "keys": [entry] }).to_string())?;
        }
        Ok(folder)
    }
}

fn failure(what: &str, reference: &str, output: &Output) -> String {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("notation {what} {reference} failed ({}): {stdout}{stderr}", output.status)
}
