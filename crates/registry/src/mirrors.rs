// SPDX-License-Identifier: Apache-2.0
//! K3s' `registries.yaml`: mirrors with rewrite rules, and credentials per registry.
//!
//! The syntax is K3s' own (its documentation, "Private Registry Configuration"), because the first users have the file
//! already. What is read and not used becomes a warning. No message quotes the file: it holds passwords.

mod file;

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use reqwest::Url;

use crate::credentials::Credential;
use crate::limits::MAX_CONFIG_BYTES;
use crate::reference::{Repository, check_path};

/// Where Docker Hub's registry really is.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";
/// The mirror entry for every registry without one of its own.
const WILDCARD: &str = "*";

/// What the operator configured about registries; the default is nothing. `Debug` shows no secret.
#[derive(Clone, Default, Debug)]
pub struct RegistriesConfig {
    mirrors: BTreeMap<String, Mirror>,
    credentials: BTreeMap<String, Credential>,
    named: BTreeSet<(String, u16)>,
    is_origin_disabled: bool,
    warnings: Vec<String>,
}

/// The endpoints of one registry, in the order in which they are asked.
#[derive(Clone, Default, Debug)]
struct Mirror {
    endpoints: Vec<Url>,
    rewrites: Vec<(Regex, String)>,
}

/// Why a `registries.yaml` could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistriesError {
    /// Larger than [`MAX_CONFIG_BYTES`].
    #[error("registries.yaml is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// Not YAML, or not of the shape.
    #[error("registries.yaml is not YAML of the expected shape: line {line}, column {column}")]
    Malformed {
        /// Line, from 1; 0 if it is not known.
        line: u64,
        /// Column, from 1; 0 if it is not known.
        column: u64,
    },
    /// More entries than [`crate::limits::MAX_CONFIG_ENTRIES`].
    #[error("registries.yaml has more than {limit} {what}")]
    TooMany {
        /// Which list.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// An endpoint is not an http or https URL without credentials, query and fragment.
    #[error("registries.yaml: mirrors[{registry}].endpoint is not an http or https URL of host, port and path")]
    Endpoint {
        /// The registry whose mirror it is.
        registry: String,
    },
    /// A rewrite pattern is not a regular expression.
    #[error("registries.yaml: mirrors[{registry}].rewrite has a pattern that is not a regular expression")]
    Rewrite {
        /// The registry whose mirror it is.
        registry: String,
    },
    /// `configs[…].auth` is neither a user with a password, nor base64(user:password), nor an identity token.
    #[error("registries.yaml: configs[{registry}].auth is malformed")]
    Auth {
        /// The registry.
        registry: String,
    },
    /// A text that should be `host[:port]` is not.
    #[error("not host[:port]")]
    Host,
}

/// One place where a repository is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// Scheme, host, port and the path up to `/v2`.
    base: Url,
    /// The repository under the name that this endpoint knows it by; pull secrets are matched against it.
    pub(crate) repository: Repository,
    /// The original registry, for mirrors that serve several.
    namespace: Option<String>,
    /// The operator's credential for this endpoint's host.
    pub(crate) operator_credential: Option<Credential>,
}

impl Endpoint {
    /// `host[:port]` for messages.
    pub(crate) fn host(&self) -> &str {
        self.repository.registry()
    }

    /// Scheme, host and port are those of this URL.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// The URL of `kind` (`manifests`, `blobs`, `referrers`) and a checked tag or digest.
    pub(crate) fn url(&self, kind: &str, reference: &str) -> Url {
        let mut url = self.base.clone();
        let prefix = self.base.path().trim_end_matches('/');
        url.set_path(&format!("{prefix}/{}/{kind}/{reference}", self.repository.path()));
        if let Some(namespace) = &self.namespace {
            url.query_pairs_mut().append_pair("ns", namespace);
        }
        url
    }
}

impl RegistriesConfig {
    /// Reads a `registries.yaml` of at most [`MAX_CONFIG_BYTES`].
    ///
    /// # Errors
    /// See [`RegistriesError`].
    pub fn parse(yaml: &[u8]) -> Result<Self, RegistriesError> {
        if yaml.len() > MAX_CONFIG_BYTES {
            return Err(RegistriesError::TooLarge { limit: MAX_CONFIG_BYTES });
        }
        file::read(yaml)?.try_into()
    }

    /// What was read and is not used, one sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Plain HTTP for `host[:port]`, whatever its address.
    ///
    /// # Errors
    /// [`RegistriesError::Host`] if `host` is not `host[:port]`.
    pub fn insecure(&mut self, host: &str) -> Result<(), RegistriesError> {
        // A repository's grammar is also that of its registry.
        let repository = Repository::at(host, "x").map_err(|_| RegistriesError::Host)?;
        let registry = repository.registry().to_owned();
        let endpoint = parse_endpoint(&registry, &format!("http://{registry}"))?;
        self.name(&endpoint);
        self.mirrors.insert(registry, Mirror { endpoints: vec![endpoint], rewrites: Vec::new() });
        Ok(())
    }

    /// Never asks a registry itself where mirrors are configured for it (K3s' `disable-default-registry-endpoint`).
    pub fn disable_origins(&mut self) {
        self.is_origin_disabled = true;
    }

    /// Every `host` and port that the file names.
    pub(crate) fn named(&self) -> impl Iterator<Item = (String, u16)> + '_ {
        self.named.iter().cloned()
    }

    /// Whether the operator configured plain HTTP for this origin.
    pub(crate) fn is_plain_http(&self, url: &Url) -> bool {
        let mut endpoints = self.mirrors.values().flat_map(|mirror| &mirror.endpoints);
        url.scheme() == "http" && endpoints.any(|endpoint| endpoint.origin() == url.origin())
    }

    /// Where `repository` is asked for: its mirror endpoints, then the registry itself unless it is one of them.
    pub(crate) fn endpoints(&self, repository: &Repository) -> Vec<Endpoint> {
        let origin_host = if repository.registry() == "docker.io" { DOCKER_HUB_HOST } else { repository.registry() };
        let mut endpoints = Vec::new();
        let mut is_origin_listed = false;
        if let Some(mirror) = self.mirrors.get(repository.registry()).or_else(|| self.mirrors.get(WILDCARD)) {
            for base in &mirror.endpoints {
                let is_origin = host_of(base) == origin_host;
                is_origin_listed |= is_origin;
                endpoints.extend(self.mirror_endpoint(base, mirror, repository, is_origin));
            }
        }
        let is_origin_wanted = !is_origin_listed && (endpoints.is_empty() || !self.is_origin_disabled);
        if is_origin_wanted && let Ok(base) = Url::parse(&format!("https://{origin_host}/v2")) {
            let operator_credential = self.credential(&[repository.registry(), origin_host]);
            endpoints.push(Endpoint { base, repository: repository.clone(), namespace: None, operator_credential });
        }
        endpoints
    }

    fn mirror_endpoint(
        &self,
        base: &Url,
        mirror: &Mirror,
        repository: &Repository,
        is_origin: bool,
    ) -> Option<Endpoint> {
        let host = host_of(base);
        let rewritten =
            if is_origin { Ok(repository.clone()) } else { Repository::at(&host, &rewrite(mirror, repository.path())) };
        // A rewrite rule may have made a path that is none.
        let Ok(rewritten) = rewritten else {
            tracing::warn!(mirror = %host, "a rewrite rule of registries.yaml made a malformed repository path");
            return None;
        };
        let namespace = (!is_origin).then(|| repository.registry().to_owned());
        Some(Endpoint {
            base: base.clone(),
            repository: rewritten,
            namespace,
            operator_credential: self.credential(&[&host]),
        })
    }

    fn credential(&self, hosts: &[&str]) -> Option<Credential> {
        hosts.iter().find_map(|host| self.credentials.get(*host)).cloned()
    }

    fn name(&mut self, url: &Url) {
        if let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) {
            self.named.insert((host.to_ascii_lowercase(), port));
        }
    }
}

/// The first rule that changes the path; rules are for mirrors only, never for the registry itself.
fn rewrite(mirror: &Mirror, path: &str) -> String {
    mirror
        .rewrites
        .iter()
        .map(|(pattern, replacement)| pattern.replace_all(path, replacement.as_str()))
        .find(|rewritten| *rewritten != path)
        .map_or_else(|| path.to_owned(), std::borrow::Cow::into_owned)
}

/// `host[:port]` as references write it: the port only where it is not the scheme's.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// `host`, or `host:port`, with the ports that it means.
pub(crate) fn ports_of(registry: &str) -> Result<Vec<(String, u16)>, RegistriesError> {
    let repository = Repository::at(registry, "x").map_err(|_| RegistriesError::Host)?;
    let registry = repository.registry();
    let port = registry.rsplit_once(':').filter(|(_, port)| !port.contains(']'));
    match port.map(|(host, port)| (host, port.parse())) {
        Some((host, Ok(port))) => Ok(vec![(host.to_owned(), port)]),
        _ => Ok(vec![(registry.to_owned(), 443), (registry.to_owned(), 80)]),
    }
}

/// Endpoints without scheme are https, except localhost with a port; a path other than `/v2` replaces `/v2`. Source:
/// K3s, `pkg/agent/containerd`.
fn parse_endpoint(registry: &str, text: &str) -> Result<Url, RegistriesError> {
    let refuse = || RegistriesError::Endpoint { registry: registry.to_owned() };
    let with_scheme = if text.contains("://") {
        text.to_owned()
    } else if text.starts_with("localhost:") || text.starts_with("127.0.0.1:") || text.starts_with("[::1]:") {
        format!("http://{text}")
    } else {
        format!("https://{text}")
    };
    let mut url = Url::parse(&with_scheme).map_err(|_| refuse())?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && Repository::at(&host_of(&url), "x").is_ok();
    if !is_plain {
        return Err(refuse());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    let is_path = |path: &str| path.strip_prefix('/').is_some_and(|path| check_path(path).is_ok());
    match path.as_str() {
        "" => url.set_path("/v2"),
        path if is_path(path) => url.set_path(path),
        _ => return Err(refuse()),
    }
    Ok(url)
}

#[cfg(test)]
mod tests;
