// SPDX-License-Identifier: Apache-2.0
//! One place where a repository is asked for, and the URL that the file has for it.

use std::net::IpAddr;

use reqwest::Url;

use super::RegistriesError;
use crate::credentials::Credential;
use crate::egress::Cidr;
use crate::limits::MAX_REPOSITORY_PATH_BYTES;
use crate::reference::Repository;

/// One place where a repository is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// Scheme, host, port and the path up to `/v2`.
    pub(super) base: Url,
    /// The repository under the name that this endpoint knows it by; pull secrets are matched against it.
    pub(crate) repository: Repository,
    /// The original registry, for mirrors that serve several.
    pub(super) namespace: Option<String>,
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

    /// Whether this is a mirror and not the registry itself.
    pub(crate) fn is_mirror(&self) -> bool {
        self.namespace.is_some()
    }

    /// Whether both ask for the same repository at the same place.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.base == other.base && self.repository.path() == other.repository.path()
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

/// `host[:port]` as references write it: the port only where it is not the scheme's.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether a URL leads to loopback by name or by address, and not into one of these ranges.
pub(super) fn is_loopback(url: &Url, allowed: &[Cidr]) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address: Option<IpAddr> = match host {
        "localhost" => Some(IpAddr::from([127, 0, 0, 1])),
        other => other.trim_start_matches('[').trim_end_matches(']').parse().ok(),
    };
    address.is_some_and(|address| address.is_loopback() && !allowed.iter().any(|range| range.contains(address)))
}

/// Endpoints without scheme are https, except on loopback with a port other than 443; a path other than `/v2` replaces
/// `/v2`. Source: `normalizeEndpointAddress` of K3s, `pkg/agent/containerd/config.go`.
pub(super) fn parse_endpoint(registry: &str, text: &str) -> Result<Url, RegistriesError> {
    let refuse = || RegistriesError::Endpoint { registry: registry.to_owned() };
    let parse = |text: &str| Url::parse(text).map_err(|_| refuse());
    let mut url = if text.contains("://") {
        parse(text)?
    } else {
        let plain = parse(&format!("http://{text}"))?;
        let is_plain = is_loopback(&plain, &[]) && plain.port().is_some_and(|port| port != 443);
        if is_plain { plain } else { parse(&format!("https://{text}"))? }
    };
    let is_usable = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && Repository::at(&host_of(&url), "x").is_ok();
    if !is_usable {
        return Err(refuse());
    }
    match url.path().trim_end_matches('/').to_owned().as_str() {
        "" => url.set_path("/v2"),
        path if is_path(path) => url.set_path(path),
        _ => return Err(refuse()),
    }
    Ok(url)
}

/// Segments of unreserved characters (RFC 3986, section 2.3), none of them empty or made of dots alone.
fn is_path(path: &str) -> bool {
    let is_segment = |segment: &str| {
        segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'~'))
            && !segment.bytes().all(|byte| byte == b'.')
    };
    path.len() <= MAX_REPOSITORY_PATH_BYTES
        && path.strip_prefix('/').is_some_and(|path| path.split('/').all(is_segment))
}
