// SPDX-License-Identifier: Apache-2.0
//! Registries over HTTP.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::credentials::Credentials;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::egress::{Cidr, NameLookup};
use crate::error::{At, Error, Operation};
use crate::limits::{CONNECT_TIMEOUT, READ_TIMEOUT, TOTAL_TIMEOUT};
use crate::mirrors::RegistriesConfig;
use crate::reference::Repository;
use crate::{Registry, Target};

/// How long a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To open a connection, TLS included.
    pub connect: Duration,
    /// Between two pieces of a body.
    pub read: Duration,
    /// For one request, its redirects and its body.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: CONNECT_TIMEOUT, read: READ_TIMEOUT, total: TOTAL_TIMEOUT }
    }
}

/// What an [`HttpRegistry`] is built from.
#[derive(Clone, Default)]
pub struct RegistryOptions {
    /// The operator's `registries.yaml`.
    pub registries: RegistriesConfig,
    /// Ranges that may be asked although the guard would refuse them (`--allow-egress`).
    pub allow_egress: Vec<Cidr>,
    /// `host[:port]` that may be asked whatever their address: those of the command line.
    pub named_hosts: Vec<String>,
    /// The `User-Agent` header; empty means this crate's name and version.
    pub user_agent: String,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Name resolution; `None` is the system's.
    pub names: Option<Arc<dyn NameLookup>>,
}

/// Registries over HTTP: OCI distribution specification 1.1.
#[derive(Clone)]
pub struct HttpRegistry {}

impl HttpRegistry {
    /// A client with its connection pools, token cache and egress guard; clones share them.
    ///
    /// # Errors
    /// [`Error::Unusable`] if the options are malformed or TLS could not be set up.
    pub fn new(_options: RegistryOptions) -> Result<Self, Error> {
        Ok(Self {})
    }
}

fn unbuilt(repository: &Repository, operation: Operation) -> Error {
    Error::unavailable(&At { registry: repository.registry().to_owned(), operation }, "not built yet")
}

impl Registry for HttpRegistry {
    async fn resolve(&self, repository: &Repository, _: &Target, _: &Credentials) -> Result<Descriptor, Error> {
        Err(unbuilt(repository, Operation::Resolve))
    }

    async fn referrers(
        &self,
        repository: &Repository,
        _: &Digest,
        _: &str,
        _: &Credentials,
    ) -> Result<Vec<Descriptor>, Error> {
        Err(unbuilt(repository, Operation::Referrers))
    }

    async fn manifest(&self, repository: &Repository, _: &Descriptor, _: &Credentials) -> Result<Bytes, Error> {
        Err(unbuilt(repository, Operation::Manifest))
    }

    async fn blob(&self, repository: &Repository, _: &Descriptor, _: &Credentials) -> Result<Bytes, Error> {
        Err(unbuilt(repository, Operation::Blob))
    }
}
