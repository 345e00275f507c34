// SPDX-License-Identifier: Apache-2.0
//! Registries over HTTP: OCI distribution specification 1.1, with every answer distrusted until it is checked.

mod body;
mod challenge;
mod clients;
mod cloud;
mod memory;
mod patience;
pub mod plain;
#[cfg(feature = "push")]
pub mod push;
mod referrers;
mod resolve;
mod session;
mod token;
mod transport;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderValue;

use self::clients::Clients;
use self::memory::Memory;
use self::referrers::{ApiKey, Found, ListKey, Listed};
use self::resolve::{Content, check_declared_size};
use self::token::{PULL, TokenKey};
use self::transport::Transport;
use crate::cloud::CloudIdentity;
use crate::credentials::{Credential, CredentialKey, Credentials};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::egress::{Cidr, Guard, NameLookup, SystemNames};
use crate::error::{At, Error, Operation};
use crate::limits::{
    CONNECT_TIMEOUT, MAX_LISTS_KEPT, MAX_LISTS_REMEMBERED, MAX_REMEMBERED, READ_TIMEOUT, TOTAL_TIMEOUT,
};
use crate::mirrors::{Endpoint, RegistriesConfig, ports_of};
use crate::proxies::Proxies;
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
    /// Which requests go through which proxy.
    pub proxies: Proxies,
    /// The `User-Agent` header; empty means this crate's name and version.
    pub user_agent: String,
    /// The operator's cloud identities, in the order in which they are looked through.
    pub identities: Vec<Arc<dyn CloudIdentity>>,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Name resolution; `None` is the system's.
    pub names: Option<Arc<dyn NameLookup>>,
}

impl RegistryOptions {
    fn user_agent(&self) -> &str {
        let own = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
        if self.user_agent.is_empty() { own } else { &self.user_agent }
    }
}

/// Registries over HTTP: OCI distribution specification 1.1.
///
/// Each call asks the endpoints of the repository in order (mirrors, then the registry itself). Clones share
/// connections, tokens and what was learnt about registries.
#[derive(Clone)]
pub struct HttpRegistry(Arc<Inner>);

/// What all calls share.
struct Inner {
    /// What it may do, as token servers call it.
    actions: &'static str,
    registries: RegistriesConfig,
    transport: Transport,
    identities: Vec<Arc<dyn CloudIdentity>>,
    /// What they came to, by registry; `None` is a refusal.
    cloud_credentials: Memory<String, Option<Credential>>,
    /// `Authorization` headers that worked.
    tokens: Memory<TokenKey, HeaderValue>,
    /// Registries, as repository and credentials, where no Referrers API was found.
    absent_apis: Memory<ApiKey, ()>,
    /// Where the lists of referrers were found.
    found: Memory<ListKey, Found>,
    /// Lists of referrers with their `ETag`, to ask whether they changed.
    lists: Memory<ListKey, Listed>,
}

impl HttpRegistry {
    /// A client with its connection pools, token cache and egress guard.
    ///
    /// # Errors
    /// [`Error::Unusable`] if a named host is not `host[:port]`, or TLS could not be set up.
    pub fn new(options: RegistryOptions) -> Result<Self, Error> {
        Inner::new(options, PULL).map(|inner| Self(Arc::new(inner)))
    }

    async fn fetch(
        &self,
        repository: &Repository,
        operation: Operation,
        content: Content,
        wanted: &Descriptor,
        credentials: &Credentials,
    ) -> Result<Bytes, Error> {
        check_declared_size(&At { registry: repository.registry().to_owned(), operation }, content, wanted)?;
        let mut failure = Failure::default();
        for endpoint in self.0.registries.signature_endpoints(repository).0 {
            let at = at(&endpoint, operation);
            match self.0.fetch_at(&at, &endpoint, content, wanted, credentials).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => failure.add(error),
            }
        }
        Err(failure.into_error(repository, operation))
    }
}

impl Inner {
    fn new(options: RegistryOptions, actions: &'static str) -> Result<Self, Error> {
        let unusable = |what: String| Error::Unusable {
            at: At { registry: "http client".to_owned(), operation: Operation::Open },
            what,
        };
        let mut guard = Guard { allowed: options.allow_egress.clone(), named: options.registries.named().collect() };
        for host in &options.named_hosts {
            guard.named.extend(ports_of(host).map_err(|error| unusable(error.to_string()))?);
        }
        let names = options.names.clone().unwrap_or_else(|| Arc::new(SystemNames));
        let user_agent = options.user_agent().to_owned();
        let (guard, timeouts, tls) = (Arc::new(guard), options.timeouts, options.registries.tls().clone());
        let clients = Clients::new(Arc::clone(&guard), names, timeouts, &user_agent, tls, options.proxies);
        let transport = Transport::new(guard, clients.map_err(unusable)?, timeouts.total);
        Ok(Self {
            actions,
            registries: options.registries,
            transport,
            identities: options.identities,
            cloud_credentials: Memory::new(MAX_REMEMBERED),
            tokens: Memory::new(MAX_REMEMBERED),
            absent_apis: Memory::new(MAX_REMEMBERED),
            found: Memory::new(MAX_LISTS_REMEMBERED),
            lists: Memory::new(MAX_LISTS_KEPT),
        })
    }
}

impl Registry for HttpRegistry {
    /// A pull secret may name a mirror and not the registry, so all endpoints count.
    fn credential_key(&self, repository: &Repository, credentials: &Credentials) -> CredentialKey {
        let (endpoints, _) = self.0.registries.signature_endpoints(repository);
        CredentialKey::joined(endpoints.iter().map(|endpoint| credentials.key(&endpoint.repository)))
    }

    async fn resolve(
        &self,
        repository: &Repository,
        target: &Target,
        credentials: &Credentials,
    ) -> Result<Descriptor, Error> {
        let mut failure = Failure::default();
        for endpoint in self.0.registries.endpoints(repository) {
            let at = at(&endpoint, Operation::Resolve);
            match self.0.resolve_at(&at, &endpoint, target, credentials).await {
                Ok(descriptor) => return Ok(descriptor),
                Err(error) => failure.add(error),
            }
        }
        Err(failure.into_error(repository, Operation::Resolve))
    }

    fn look_anew(&self, repository: &Repository, subject: &Digest) {
        let (endpoints, _) = self.0.registries.signature_endpoints(repository);
        let is_theirs = |key: &ListKey| key.subject == *subject && endpoints.iter().any(|endpoint| key.is_at(endpoint));
        self.0.found.forget_where(is_theirs);
    }

    /// The first list that is not empty. An empty one is only given if every endpoint was asked and none failed:
    /// signatures are often not copied to mirrors, and an origin out of reach may have them.
    async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        artifact_type: &str,
        credentials: &Credentials,
    ) -> Result<Vec<Descriptor>, Error> {
        let (endpoints, is_last_word) = self.0.registries.signature_endpoints(repository);
        let (mut failure, mut empty_at, mut is_origin_missing) = (Failure::default(), None, false);
        for endpoint in endpoints {
            let at = at(&endpoint, Operation::Referrers);
            match self.0.referrers_at(&at, &endpoint, subject, artifact_type, credentials).await {
                Ok(list) if list.is_empty() => empty_at = empty_at.or_else(|| Some(endpoint.host().to_owned())),
                Ok(list) => return Ok(list),
                Err(error @ Error::LimitExceeded { .. }) => return Err(error),
                Err(error) => {
                    is_origin_missing |= empty_at.is_some() && !matches!(error, Error::NotFound { .. });
                    failure.add(error);
                }
            }
        }
        match (empty_at, failure.0) {
            (Some(_), None | Some(Error::NotFound { .. })) if is_last_word => Ok(Vec::new()),
            (Some(mirror), None | Some(Error::NotFound { .. })) => Err(origin_not_asked(repository, mirror)),
            (Some(mirror), Some(origin)) if is_origin_missing => {
                Err(Error::SignaturesNotMirrored { at: origin.at().clone(), mirror, origin: Box::new(origin) })
            }
            (_, failure) => Err(Failure(failure).into_error(repository, Operation::Referrers)),
        }
    }

    async fn manifest(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        credentials: &Credentials,
    ) -> Result<Bytes, Error> {
        self.fetch(repository, Operation::Manifest, Content::Manifest, descriptor, credentials).await
    }

    async fn blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        credentials: &Credentials,
    ) -> Result<Bytes, Error> {
        self.fetch(repository, Operation::Blob, Content::Blob, descriptor, credentials).await
    }
}

/// A mirror has no signatures, and it is configured that nobody else is asked.
fn origin_not_asked(repository: &Repository, mirror: String) -> Error {
    let at = At { registry: repository.registry().to_owned(), operation: Operation::Referrers };
    let what = "it is not asked where mirrors are configured (--disable-default-registry-endpoint)".to_owned();
    Error::SignaturesNotMirrored { at: at.clone(), mirror, origin: Box::new(Error::Unusable { at, what }) }
}

fn at(endpoint: &Endpoint, operation: Operation) -> At {
    At { registry: endpoint.host().to_owned(), operation }
}

/// The most telling error of several endpoints: "not found" only if all of them say so.
#[derive(Default)]
struct Failure(Option<Error>);

impl Failure {
    fn add(&mut self, error: Error) {
        if matches!(self.0, None | Some(Error::NotFound { .. })) {
            self.0 = Some(error);
        }
    }

    fn into_error(self, repository: &Repository, operation: Operation) -> Error {
        let at = At { registry: repository.registry().to_owned(), operation };
        self.0.unwrap_or_else(|| Error::Unusable { at, what: "no endpoint that may be asked is configured".to_owned() })
    }
}
