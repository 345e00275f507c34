// SPDX-License-Identifier: Apache-2.0
//! Registry credentials, read and matched as the kubelet does.
//!
//! Source: `pkg/credentialprovider/{config,keyring}.go` of Kubernetes. Nothing here runs a program or reads a file.

mod matching;

use std::collections::BTreeMap;
use std::fmt;

use base64ct::{Base64, Base64Unpadded, Encoding};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::limits::{MAX_CONFIG_BYTES, MAX_CONFIG_ENTRIES};
use crate::reference::Repository;

/// What proves to a registry who asks. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// The credentials of one pull: those of the pod's and the policy's pull secrets.
///
/// The operator's own (`registries.yaml`) are tried after them, unless
/// [`Credentials::without_operator_credentials`] says otherwise.
#[derive(Clone, Default)]
pub struct Credentials {
    entries: Vec<Entry>,
    is_operator_excluded: bool,
}

#[derive(Clone)]
struct Entry {
    /// `host[:port][/path]`, where labels of the host may hold wildcards.
    location: String,
    credential: Credential,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries.iter().map(|entry| (&entry.location, &entry.credential))).finish()
    }
}

/// A fingerprint (SHA-256) of what would be used for a repository: two pulls with the same key may share what a
/// registry answered. `Debug` shows nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialKey([u8; 32]);

impl fmt::Debug for CredentialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialKey(…)")
    }
}

/// Why a pull secret could not be read. No message quotes it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// Larger than [`MAX_CONFIG_BYTES`].
    #[error("pull secret is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// Not JSON, or not of the shape.
    #[error("pull secret is not JSON of the expected shape: line {line}, column {column}")]
    Malformed {
        /// Line, from 1.
        line: usize,
        /// Column, from 0.
        column: usize,
    },
    /// More entries than [`MAX_CONFIG_ENTRIES`].
    #[error("pull secret has more than {limit} entries")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// An entry's `auth` is not base64(username:password).
    #[error("pull secret has an auth field that is not base64(username:password)")]
    Auth,
}

#[derive(Deserialize)]
struct DockerConfigJson {
    #[serde(default)]
    auths: Option<BTreeMap<String, DockerEntry>>,
}

#[derive(Deserialize)]
struct DockerEntry {
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    identitytoken: Option<String>,
}

impl Credentials {
    /// Reads a `kubernetes.io/dockerconfigjson` Secret's `.dockerconfigjson`.
    ///
    /// # Errors
    /// See [`CredentialsError`]. One malformed entry spoils the Secret, as it does for the kubelet.
    pub fn from_docker_config_json(bytes: &[u8]) -> Result<Self, CredentialsError> {
        let config: DockerConfigJson = parse(bytes)?;
        Self::from_entries(config.auths.unwrap_or_default())
    }

    /// Reads a `kubernetes.io/dockercfg` Secret's `.dockercfg`.
    ///
    /// # Errors
    /// As for [`Credentials::from_docker_config_json`].
    pub fn from_docker_cfg(bytes: &[u8]) -> Result<Self, CredentialsError> {
        Self::from_entries(parse(bytes)?)
    }

    fn from_entries(docker: BTreeMap<String, DockerEntry>) -> Result<Self, CredentialsError> {
        if docker.len() > MAX_CONFIG_ENTRIES {
            return Err(CredentialsError::TooMany { limit: MAX_CONFIG_ENTRIES });
        }
        let mut entries = Vec::new();
        for (location, entry) in docker {
            let credential = entry.credential()?;
            // The kubelet skips locations that are no URLs, and so do we; an empty credential proves nothing.
            if let (Some(location), Some(credential)) = (matching::normalise(&location), credential) {
                entries.push(Entry { location, credential });
            }
        }
        Ok(Self { entries, is_operator_excluded: false })
    }

    /// Adds `other`'s entries behind these: of two for the same location, these are tried first.
    pub fn merge(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.is_operator_excluded |= other.is_operator_excluded;
    }

    /// The same, and the operator's own credentials are not used beside them.
    #[must_use]
    pub fn without_operator_credentials(mut self) -> Self {
        self.is_operator_excluded = true;
        self
    }

    /// Whether the operator's own credentials may be tried after these.
    pub(crate) fn is_operator_included(&self) -> bool {
        !self.is_operator_excluded
    }

    /// What applies to a repository: the most specific location first (the kubelet sorts locations in descending
    /// order), several of one location in the order in which they were merged, none twice.
    pub fn for_repository(&self, repository: &Repository) -> Vec<&Credential> {
        let mut matching: Vec<&Entry> =
            self.entries.iter().filter(|entry| matching::is_match(&entry.location, repository)).collect();
        if matching.is_empty() && repository.registry() == "docker.io" {
            matching = self.entries.iter().filter(|entry| entry.location == matching::DOCKER_HUB_LOCATION).collect();
        }
        matching.sort_by(|a, b| b.location.cmp(&a.location));
        let mut credentials: Vec<&Credential> = Vec::with_capacity(matching.len());
        for entry in matching {
            if !credentials.contains(&&entry.credential) {
                credentials.push(&entry.credential);
            }
        }
        credentials
    }

    /// A fingerprint of what would be used for `repository` at its own registry. Where mirrors are configured, other
    /// credentials may count too: [`crate::Registry::credential_key`] knows.
    pub fn key(&self, repository: &Repository) -> CredentialKey {
        let mut hash = Sha256::new();
        hash.update([u8::from(self.is_operator_excluded)]);
        for credential in self.for_repository(repository) {
            hash.update(CredentialKey::of(Some(credential)).0);
        }
        CredentialKey(hash.finalize().into())
    }
}

impl CredentialKey {
    /// The fingerprint itself, to be put through a keyed hash. Whoever has it can try out passwords: it is never to be
    /// stored or shown as it is.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The fingerprint of several that are used together, in order.
    pub(crate) fn joined(keys: impl Iterator<Item = Self>) -> Self {
        let mut hash = Sha256::new();
        keys.for_each(|key| hash.update(key.0));
        Self(hash.finalize().into())
    }

    /// The fingerprint of one credential, or of none. Lengths keep `("ab", "c")` and `("a", "bc")` apart.
    pub(crate) fn of(credential: Option<&Credential>) -> Self {
        let fields: [&str; 3] = match credential {
            None => ["none", "", ""],
            Some(Credential::Basic { username, password }) => ["basic", username, password],
            Some(Credential::IdentityToken { token }) => ["identitytoken", token, ""],
        };
        let mut hash = Sha256::new();
        for field in fields {
            hash.update(u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(field.as_bytes());
        }
        Self(hash.finalize().into())
    }
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, CredentialsError> {
    if bytes.len() > MAX_CONFIG_BYTES {
        return Err(CredentialsError::TooLarge { limit: MAX_CONFIG_BYTES });
    }
    // The parser's own message may quote a value.
    serde_json::from_slice(bytes)
        .map_err(|error| CredentialsError::Malformed { line: error.line(), column: error.column() })
}

impl DockerEntry {
    /// `auth` wins over user name and password; an identity token over both.
    fn credential(self) -> Result<Option<Credential>, CredentialsError> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let (username, password) = match given(self.auth) {
            Some(auth) => {
                let (username, password) = decode_auth(&auth).ok_or(CredentialsError::Auth)?;
                (Some(username), Some(password))
            }
            None => (given(self.username), given(self.password)),
        };
        if let Some(token) = given(self.identitytoken) {
            return Ok(Some(Credential::IdentityToken { token }));
        }
        if username.is_none() && password.is_none() {
            return Ok(None);
        }
        let (username, password) = (username.unwrap_or_default(), password.unwrap_or_default());
        Ok(Some(Credential::Basic { username, password }))
    }
}

/// `base64(username:password)`, with or without padding.
pub(crate) fn decode_auth(auth: &str) -> Option<(String, String)> {
    let bytes = if auth.contains('=') { Base64::decode_vec(auth) } else { Base64Unpadded::decode_vec(auth) }.ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (username, password) = text.split_once(':')?;
    Some((username.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests;
