// SPDX-License-Identifier: Apache-2.0

//! The real `notation` command with a configuration folder of its own.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use super::Result;
use super::pki::SigningKey;

/// The format of a signature envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/jose+json`
    Jws,
    /// `application/cose`
    Cose,
}

/// How to sign. The default is a JWS envelope that never expires, found by the Referrers API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignOptions {
    /// The format of the envelope.
    pub format: Format,
    /// Whether the signature is attached by the Referrers API; otherwise by the tag schema.
    pub referrers_api: bool,
    /// How long the signature is valid, in whole seconds from 1 s; `None` is without end.
    pub expiry: Option<Duration>,
}

impl Default for SignOptions {
    fn default() -> Self {
        Self { format: Format::Jws, referrers_api: true, expiry: None }
    }
}

/// The `notation` command.
#[derive(Debug)]
pub struct Notation {}

impl Notation {
    /// The command with its configuration and cache in `dir`, which is created.
    ///
    /// # Errors
    /// It cannot be built, or the folder cannot be made.
    pub async fn new(_dir: &Path) -> Result<Self> {
        Err("notation is not built yet".into())
    }

    /// Signs the artifact that `reference` (`host/repository@digest`) names, over plain HTTP.
    ///
    /// # Errors
    /// `notation` refuses it; the error holds its output.
    pub async fn sign(&self, _reference: &str, _key: &SigningKey, _options: &SignOptions) -> Result<()> {
        unreachable!("no notation can be made yet")
    }

    /// Writes a trust policy document, and trust stores of type `ca` by name with their PEM certificates.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn trust(&self, _trust_policy_json: &str, _ca_stores: &[(&str, &str)]) -> Result<()> {
        unreachable!("no notation can be made yet")
    }

    /// Runs `notation verify` on `reference`, over plain HTTP, and gives its output whatever its exit code.
    ///
    /// # Errors
    /// `notation` cannot be started.
    pub async fn verify(&self, _reference: &str) -> Result<Output> {
        unreachable!("no notation can be made yet")
    }
}
