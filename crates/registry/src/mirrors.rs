// SPDX-License-Identifier: Apache-2.0
//! K3s' `registries.yaml`: mirrors, and what the operator configured per registry.

/// What the operator configured about registries; the default is nothing.
#[derive(Clone, Default, Debug)]
pub struct RegistriesConfig {}

/// Why a `registries.yaml` could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistriesError {
    /// Not YAML, or not of the shape.
    #[error("registries.yaml is malformed: {detail}")]
    Malformed {
        /// What the parser found.
        detail: String,
    },
}

impl RegistriesConfig {
    /// Reads a `registries.yaml`.
    ///
    /// # Errors
    /// See [`RegistriesError`].
    pub fn parse(_yaml: &[u8]) -> Result<Self, RegistriesError> {
        Ok(Self {})
    }

    /// What was read and is not used, one sentence each.
    pub fn warnings(&self) -> &[String] {
        &[]
    }

    /// Plain HTTP for `host[:port]`, whatever its address.
    ///
    /// # Errors
    /// If `host` is not `host[:port]`.
    pub fn insecure(&mut self, _host: &str) -> Result<(), RegistriesError> {
        Ok(())
    }
}
