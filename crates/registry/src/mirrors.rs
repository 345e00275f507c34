// SPDX-License-Identifier: Apache-2.0
//! K3s' `registries.yaml`: mirrors with rewrite rules, and credentials per registry.
//!
//! The syntax is K3s' own (its documentation, "Private Registry Configuration"), because the first users have the file
//! already. What is read and not used becomes a warning. No message quotes the file: it holds passwords.

mod endpoint;
mod file;
mod tls;

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use reqwest::Url;

pub(crate) use self::endpoint::{Endpoint, host_of};
use self::endpoint::{is_loopback, parse_endpoint};
pub use self::tls::TlsFiles;
pub(crate) use self::tls::{TlsSettings, TlsTable};
use crate::credentials::Credential;
use crate::egress::Cidr;
use crate::limits::MAX_CONFIG_BYTES;
use crate::reference::Repository;

/// Docker Hub's name in references.
const DOCKER_HUB: &str = "docker.io";
/// Where Docker Hub's registry really is.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";
/// The mirror entry for every registry without one of its own.
const WILDCARD: &str = "*";

/// What the operator configured about registries; the default is nothing. `Debug` shows no secret.
#[derive(Clone, Default, Debug)]
pub struct RegistriesConfig {
    mirrors: BTreeMap<String, Mirror>,
    credentials: BTreeMap<String, Credential>,
    tls: TlsTable,
    signatures: BTreeMap<String, Vec<Place>>,
    named: BTreeSet<(String, u16)>,
    is_origin_disabled: bool,
    warnings: Vec<String>,
}

/// The endpoints of one registry, in the order in which they are asked.
#[derive(Clone, Default, Debug)]
struct Mirror {
    endpoints: Vec<Url>,
    /// Whether there were more, which are not asked.
    has_left_out: bool,
    /// Whether nobody named the registry: it is held to the rules for what pods name.
    is_found: bool,
    rewrites: Vec<(Regex, String)>,
}

/// Where signatures of a registry's images may be besides its endpoints: an entry of `signatures`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// The registry itself, even where it is not asked for images.
    Origin,
    /// This repository.
    Repository(Repository),
    /// The image's own path below `registry/prefix`.
    Below {
        /// `host[:port]`.
        registry: String,
        /// The path before the image's, empty or with a slash at its end.
        prefix: String,
    },
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
    /// A field of `configs[…].tls` cannot be used.
    #[error("registries.yaml: configs[{registry}].tls.{field}: {why}")]
    Tls {
        /// The registry.
        registry: String,
        /// The field.
        field: &'static str,
        /// What is wrong; nothing of a file's content.
        why: String,
    },
    /// An entry of `signatures` is neither `origin`, nor `host/path`, nor `host/path/*`.
    #[error(
        "registries.yaml: signatures[{registry}] has an entry that is neither origin, nor host/path, nor host/path/*"
    )]
    Signatures {
        /// The registry whose signatures they are.
        registry: String,
    },
    /// A text that should be `host[:port]` is not.
    #[error("not host[:port]")]
    Host,
}

impl RegistriesConfig {
    /// Reads a `registries.yaml` of at most [`MAX_CONFIG_BYTES`] that names no files.
    ///
    /// # Errors
    /// See [`RegistriesError`].
    pub fn parse(yaml: &[u8]) -> Result<Self, RegistriesError> {
        Self::parse_with(yaml, &TlsFiles::None)
    }

    /// Reads a `registries.yaml` of at most [`MAX_CONFIG_BYTES`], and the files that its `tls` entries name, each once
    /// and now.
    ///
    /// # Errors
    /// See [`RegistriesError`].
    pub fn parse_with(yaml: &[u8], files: &TlsFiles) -> Result<Self, RegistriesError> {
        if yaml.len() > MAX_CONFIG_BYTES {
            return Err(RegistriesError::TooLarge { limit: MAX_CONFIG_BYTES });
        }
        file::read(yaml)?.into_config(files)
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
        self.mirrors.insert(registry, Mirror { endpoints: vec![endpoint], ..Mirror::default() });
        Ok(())
    }

    /// Plain HTTP for a `host[:port]` that nobody named, such as one that is found in a cluster: whoever may start a pod
    /// there chooses it, so its address is held to the rules of the egress guard. What the file says of it stays.
    ///
    /// # Errors
    /// [`RegistriesError::Host`] if `host` is not `host[:port]`.
    pub fn insecure_as_found(&mut self, host: &str) -> Result<(), RegistriesError> {
        let mut found = Self::default();
        found.insecure(host)?;
        for (registry, mirror) in found.mirrors {
            self.mirrors.entry(registry).or_insert(Mirror { is_found: true, ..mirror });
        }
        Ok(())
    }

    /// Never asks a registry itself where mirrors are configured for it (K3s' `disable-default-registry-endpoint`).
    pub fn disable_origins(&mut self) {
        self.is_origin_disabled = true;
    }

    /// Leaves out mirror endpoints on loopback, each with a warning: in a file of a node they mean the node (K3s'
    /// embedded mirror is one), and a pod's loopback is another. Kept are those of a registry that is itself on
    /// loopback, and addresses in the ranges `allowed`.
    pub fn leave_out_loopback(&mut self, allowed: &[Cidr]) {
        for (registry, mirror) in &mut self.mirrors {
            let is_local = Url::parse(&format!("http://{registry}")).is_ok_and(|url| is_loopback(&url, &[]));
            if is_local {
                continue;
            }
            let (left_out, kept) = std::mem::take(&mut mirror.endpoints)
                .into_iter()
                .partition::<Vec<_>, _>(|endpoint| is_loopback(endpoint, allowed));
            mirror.endpoints = kept;
            mirror.has_left_out |= !left_out.is_empty();
            self.warnings.extend(left_out.iter().map(|endpoint| {
                let host = host_of(endpoint);
                format!(
                    "registries.yaml: mirrors[{registry}].endpoint {host} is on the loopback of a node and left out; \
                     --allow-egress 127.0.0.0/8 keeps it"
                )
            }));
        }
    }

    /// Every `host` and port that the file names.
    pub(crate) fn named(&self) -> impl Iterator<Item = (String, u16)> + '_ {
        let endpoints = self.mirrors.values().filter(|mirror| !mirror.is_found).flat_map(|mirror| &mirror.endpoints);
        let endpoints =
            endpoints.filter_map(|url| Some((url.host_str()?.to_ascii_lowercase(), url.port_or_known_default()?)));
        self.named.iter().cloned().chain(endpoints)
    }

    /// How TLS is spoken with each host.
    pub(crate) fn tls(&self) -> &TlsTable {
        &self.tls
    }

    /// Whether the operator configured plain HTTP for this origin.
    pub(crate) fn is_plain_http(&self, url: &Url) -> bool {
        let mut endpoints = self.mirrors.values().flat_map(|mirror| &mirror.endpoints);
        url.scheme() == "http" && endpoints.any(|endpoint| endpoint.origin() == url.origin())
    }

    /// Where `repository` is asked for: its mirror endpoints, then the registry itself unless it is one of them.
    pub(crate) fn endpoints(&self, repository: &Repository) -> Vec<Endpoint> {
        self.places(repository).0
    }

    /// The registry itself, by the way that the file has to it, and no mirror: where something is written.
    #[cfg(feature = "push")]
    pub(crate) fn own_endpoint(&self, repository: &Repository) -> Option<Endpoint> {
        let own = self.places(repository).0.into_iter().find(|endpoint| !endpoint.is_mirror());
        own.or_else(|| self.origin(repository))
    }

    /// Where signatures of images in `repository` are asked for: its endpoints, then the places of `signatures`. The
    /// flag says whether "none" of all of them is the last word: the registry itself is among them, or the file says
    /// where else to look, be it nowhere.
    pub(crate) fn signature_endpoints(&self, repository: &Repository) -> (Vec<Endpoint>, bool) {
        let (mut endpoints, mut is_last_word) = self.places(repository);
        let places = self.signatures.get(repository.registry()).or_else(|| self.signatures.get(WILDCARD));
        is_last_word |= places.is_some();
        for place in places.into_iter().flatten() {
            let more = match place {
                Place::Origin => self.origin(repository).into_iter().collect(),
                Place::Repository(other) => self.endpoints(other),
                Place::Below { registry, prefix } => {
                    // Both parts are checked; together they may be too long.
                    let other = Repository::at(registry, &format!("{prefix}{}", repository.path()));
                    other.map(|other| self.endpoints(&other)).unwrap_or_default()
                }
            };
            for endpoint in more {
                if !endpoints.iter().any(|known| known.is_same(&endpoint)) {
                    endpoints.push(endpoint);
                }
            }
        }
        (endpoints, is_last_word)
    }

    /// The endpoints of a repository, and whether the registry itself is among them.
    fn places(&self, repository: &Repository) -> (Vec<Endpoint>, bool) {
        let origin_host = origin_host(repository);
        let mut endpoints = Vec::new();
        let (mut is_origin_listed, mut is_mirrored) = (false, false);
        if let Some(mirror) = self.mirrors.get(repository.registry()).or_else(|| self.mirrors.get(WILDCARD)) {
            // Also where none of them can be asked: the registry itself is what was not to be asked.
            is_mirrored = mirror.has_left_out || !mirror.endpoints.is_empty();
            for base in &mirror.endpoints {
                let is_origin = host_of(base) == origin_host;
                is_origin_listed |= is_origin;
                endpoints.extend(self.mirror_endpoint(base, mirror, repository, is_origin));
            }
        }
        let is_origin_wanted = !(is_origin_listed || is_mirrored && self.is_origin_disabled);
        if is_origin_wanted {
            endpoints.extend(self.origin(repository));
        }
        (endpoints, is_origin_listed || is_origin_wanted)
    }

    /// The registry itself.
    fn origin(&self, repository: &Repository) -> Option<Endpoint> {
        let host = origin_host(repository);
        let base = Url::parse(&format!("https://{host}/v2")).ok()?;
        let operator_credential = self.credential(host);
        Some(Endpoint { base, repository: repository.clone(), namespace: None, operator_credential })
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
        let operator_credential = self.credential(&host);
        Some(Endpoint { base: base.clone(), repository: rewritten, namespace, operator_credential })
    }

    /// For Docker Hub, an entry under its real host comes before one under its name. Source: `configForHost` of K3s.
    fn credential(&self, host: &str) -> Option<Credential> {
        let hub = (host == DOCKER_HUB_HOST).then_some(DOCKER_HUB);
        self.credentials.get(host).or_else(|| self.credentials.get(hub?)).cloned()
    }
}

/// The host at which a registry is asked.
fn origin_host(repository: &Repository) -> &str {
    if repository.registry() == DOCKER_HUB { DOCKER_HUB_HOST } else { repository.registry() }
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

#[cfg(test)]
mod tests;
