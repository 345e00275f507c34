// SPDX-License-Identifier: Apache-2.0
//! Names of repositories and images, in the one canonical form that policies, requests and credentials share.
//!
//! Source: the grammar of distribution/reference, and its rules for short names.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::digest::{Digest, DigestError};
use crate::limits::{MAX_HOST_BYTES, MAX_REFERENCE_BYTES, MAX_REPOSITORY_PATH_BYTES, MAX_TAG_BYTES};

/// The registry that short names mean.
const DEFAULT_REGISTRY: &str = "docker.io";
/// The name that Docker Hub had before, still found in references and credentials.
const LEGACY_DEFAULT_REGISTRY: &str = "index.docker.io";
/// Where Docker Hub keeps what has no owner's name.
const OFFICIAL_OWNER: &str = "library/";
/// What an image reference without tag and digest means.
const DEFAULT_TAG: &str = "latest";

/// `registry/path`, without tag and digest: what a registry scope of a trust policy names.
///
/// The registry is in lower case (host names have no case), the path is lower case by its grammar.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Repository {
    registry: String,
    path: String,
}

/// A repository, with a tag, a digest, or both.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reference {
    repository: Repository,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is not a repository or an image reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing is there.
    #[error("image reference is empty")]
    Empty,
    /// A part is longer than its limit.
    #[error("{part} is longer than {limit} bytes")]
    TooLong {
        /// Which part.
        part: &'static str,
        /// Its limit.
        limit: usize,
    },
    /// The host is not a name, an IPv4 address or a bracketed IPv6 address.
    #[error("registry host is malformed")]
    MalformedHost,
    /// The port is not a number from 1 to 65535.
    #[error("registry port is not a number from 1 to 65535")]
    MalformedPort,
    /// The path breaks the grammar: components of lower-case letters, digits and single separators.
    #[error("repository path is malformed")]
    MalformedPath,
    /// The tag breaks the grammar.
    #[error("tag is malformed")]
    MalformedTag,
    /// The digest is malformed.
    #[error("{0}")]
    MalformedDigest(#[from] DigestError),
    /// A digest stands where a repository was expected: it names no place to look.
    #[error("image reference is a digest without a repository")]
    BareDigest,
    /// A repository was expected, and there is a tag or digest.
    #[error("repository has a tag or digest")]
    NotARepository,
}

impl Repository {
    /// The repository at `path` of another registry: what a mirror is asked for.
    ///
    /// # Errors
    /// If either part is malformed.
    pub(crate) fn at(registry: &str, path: &str) -> Result<Self, ReferenceError> {
        check_path(path)?;
        Ok(Self { registry: check_registry(registry)?, path: path.to_owned() })
    }

    /// `host[:port]`, in lower case; an IPv6 host is in brackets.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path within the registry, without leading slash.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl Reference {
    /// The repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The tag; `latest` if the text had neither tag nor digest.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if the text pins one.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    /// Takes the normal form and short names alike; `nginx` is `docker.io/library/nginx` (TP-22).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, tag, digest) = split(text)?;
        if tag.is_some() || digest.is_some() {
            return Err(ReferenceError::NotARepository);
        }
        parse_name(name)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, tag, digest) = split(text)?;
        let digest = digest.map(str::parse).transpose()?;
        let tag = match tag {
            Some(tag) => Some(check_tag(tag)?.to_owned()),
            None if digest.is_none() => Some(DEFAULT_TAG.to_owned()),
            None => None,
        };
        Ok(Self { repository: parse_name(name)?, tag, digest })
    }
}

/// Splits into name, tag and digest, without judging any of them.
fn split(text: &str) -> Result<(&str, Option<&str>, Option<&str>), ReferenceError> {
    if text.is_empty() {
        return Err(ReferenceError::Empty);
    }
    if text.len() > MAX_REFERENCE_BYTES {
        return Err(ReferenceError::TooLong { part: "image reference", limit: MAX_REFERENCE_BYTES });
    }
    if is_bare_digest(text) {
        return Err(ReferenceError::BareDigest);
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    // A colon before the last slash belongs to a port or to an IPv6 address.
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') && !tag.contains(']') => (name, Some(tag)),
        _ => (rest, None),
    };
    Ok((name, tag, digest))
}

/// `sha256:…` and 64 hexadecimal digits are ids of images, though the grammar would also read them as names.
fn is_bare_digest(text: &str) -> bool {
    text.parse::<Digest>().is_ok() || (text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn parse_name(name: &str) -> Result<Repository, ReferenceError> {
    let (registry, path) = match name.split_once('/') {
        Some((first, rest)) if is_host(first) => (check_registry(first)?, rest.to_owned()),
        _ => (DEFAULT_REGISTRY.to_owned(), name.to_owned()),
    };
    let path =
        if registry == DEFAULT_REGISTRY && !path.contains('/') { format!("{OFFICIAL_OWNER}{path}") } else { path };
    check_path(&path)?;
    Ok(Repository { registry, path })
}

/// Docker's rule that tells a host from an owner's name: it has a dot or a colon, or is `localhost`.
///
/// Off-spec: Docker also takes a single label with a capital (`Registry/nginx`) for a host. In lower case, as hosts
/// are kept here, that would read as an owner on Docker Hub, so it is refused as a malformed path.
fn is_host(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost"
}

fn check_registry(text: &str) -> Result<String, ReferenceError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or(ReferenceError::MalformedHost)?;
            address.parse::<Ipv6Addr>().map_err(|_| ReferenceError::MalformedHost)?;
            match after.strip_prefix(':') {
                Some(port) => (format!("[{address}]"), Some(port)),
                None if after.is_empty() => (format!("[{address}]"), None),
                None => return Err(ReferenceError::MalformedHost),
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (check_host_name(host)?.to_owned(), Some(port)),
            None => (check_host_name(text)?.to_owned(), None),
        },
    };
    let host = host.to_ascii_lowercase();
    match port {
        Some(port) => Ok(format!("{host}:{}", check_port(port)?)),
        None if host == LEGACY_DEFAULT_REGISTRY => Ok(DEFAULT_REGISTRY.to_owned()),
        None => Ok(host),
    }
}

fn check_host_name(host: &str) -> Result<&str, ReferenceError> {
    if host.len() > MAX_HOST_BYTES {
        return Err(ReferenceError::TooLong { part: "registry host", limit: MAX_HOST_BYTES });
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if host.split('.').all(is_label) { Ok(host) } else { Err(ReferenceError::MalformedHost) }
}

fn check_port(port: &str) -> Result<u16, ReferenceError> {
    let is_canonical = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
    if !is_canonical {
        return Err(ReferenceError::MalformedPort);
    }
    port.parse().map_err(|_| ReferenceError::MalformedPort)
}

/// `component ("/" component)*`. Checked as well for paths that a mirror's rewrite rule made.
pub(crate) fn check_path(path: &str) -> Result<(), ReferenceError> {
    if path.len() > MAX_REPOSITORY_PATH_BYTES {
        return Err(ReferenceError::TooLong { part: "repository path", limit: MAX_REPOSITORY_PATH_BYTES });
    }
    if path.split('/').all(is_path_component) { Ok(()) } else { Err(ReferenceError::MalformedPath) }
}

/// `[a-z0-9]+ (("." | "_" | "__" | "-"+) [a-z0-9]+)*`.
fn is_path_component(component: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_separator =
        |separator: &str| matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-');
    component.starts_with(is_alphanumeric)
        && component.ends_with(is_alphanumeric)
        && component.split(is_alphanumeric).all(is_separator)
}

fn check_tag(tag: &str) -> Result<&str, ReferenceError> {
    if tag.len() > MAX_TAG_BYTES {
        return Err(ReferenceError::TooLong { part: "tag", limit: MAX_TAG_BYTES });
    }
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let first_is_word = tag.bytes().next().is_some_and(is_word);
    if first_is_word && tag.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-')) {
        Ok(tag)
    } else {
        Err(ReferenceError::MalformedTag)
    }
}

/// Whether a text may stand as a tag in a URL.
pub(crate) fn is_tag(tag: &str) -> bool {
    check_tag(tag).is_ok()
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_malformed_reference_is_refused_with_its_reason() {
        let hex = "a".repeat(64);
        let cases = [
            ("", ReferenceError::Empty),
            ("a.test/", ReferenceError::MalformedPath),
            ("a.test//b", ReferenceError::MalformedPath),
            ("a.test/B", ReferenceError::MalformedPath),
            ("Nginx", ReferenceError::MalformedPath),
            ("Registry/nginx", ReferenceError::MalformedPath),
            ("Localhost/nginx", ReferenceError::MalformedPath),
            ("a.test/b..c", ReferenceError::MalformedPath),
            ("a.test/b___c", ReferenceError::MalformedPath),
            ("a.test/../b", ReferenceError::MalformedPath),
            ("a.test/b%2fc", ReferenceError::MalformedPath),
            ("a.test/b c", ReferenceError::MalformedPath),
            ("a.test/аbc", ReferenceError::MalformedPath), // Cyrillic
            ("a.test/-b", ReferenceError::MalformedPath),
            ("-a.test/b", ReferenceError::MalformedHost),
            ("a..test/b", ReferenceError::MalformedHost),
            ("a_b.test/b", ReferenceError::MalformedHost),
            ("user@a.test/b", ReferenceError::MalformedDigest(DigestError::NoAlgorithm)),
            ("a.test:0/b", ReferenceError::MalformedPort),
            ("a.test:65536/b", ReferenceError::MalformedPort),
            ("a.test:080/b", ReferenceError::MalformedPort),
            ("a.test:/b", ReferenceError::MalformedPort),
            ("[::1/b", ReferenceError::MalformedHost),
            ("[::1]x/b", ReferenceError::MalformedHost),
            ("[fe80::1%25eth0]/b", ReferenceError::MalformedHost),
            ("a.test/b:", ReferenceError::MalformedTag),
            ("a.test/b:-x", ReferenceError::MalformedTag),
            ("a.test/b@", ReferenceError::MalformedDigest(DigestError::NoAlgorithm)),
            (&hex, ReferenceError::BareDigest),
            (&format!("sha256:{hex}"), ReferenceError::BareDigest),
            (&format!("a.test/{}", "b".repeat(256)), ReferenceError::TooLong { part: "repository path", limit: 255 }),
            (&format!("a.test/b:{}", "c".repeat(129)), ReferenceError::TooLong { part: "tag", limit: 128 }),
            (&"x".repeat(5_000), ReferenceError::TooLong { part: "image reference", limit: 1_024 }),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Reference>(), Err(expected), "{text}");
        }
    }

    /// TP-22.
    #[test]
    fn short_names_mean_docker_hub() {
        for (text, expected) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1.27", "docker.io/library/nginx:1.27"),
            ("grafana/grafana", "docker.io/grafana/grafana:latest"),
            ("docker.io/nginx", "docker.io/library/nginx:latest"),
            ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
            ("localhost/nginx", "localhost/nginx:latest"),
            ("localhost:5000/nginx", "localhost:5000/nginx:latest"),
            ("MCR.Microsoft.com/a", "mcr.microsoft.com/a:latest"),
            ("[::1]/a", "[::1]/a:latest"),
            ("[2001:DB8::1]:5000/a/b:v1", "[2001:db8::1]:5000/a/b:v1"),
            ("a.test/b--c/d__e/f.g", "a.test/b--c/d__e/f.g:latest"),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn a_digest_keeps_the_default_tag_away_and_a_written_tag_stays() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let pinned: Reference = format!("nginx@{digest}").parse().unwrap();
        assert_eq!((pinned.tag(), pinned.digest().unwrap().to_string()), (None, digest.clone()));
        let both: Reference = format!("a.test:5000/b:v1@{digest}").parse().unwrap();
        assert_eq!((both.tag(), both.digest().unwrap().to_string()), (Some("v1"), digest));
        assert_eq!(both.repository().registry(), "a.test:5000");
        assert_eq!(both.repository().path(), "b");
    }

    #[test]
    fn a_repository_has_neither_tag_nor_digest() {
        assert_eq!("a.test/b:v1".parse::<Repository>(), Err(ReferenceError::NotARepository));
        let pinned = format!("a.test/b@sha256:{}", "a".repeat(64));
        assert_eq!(pinned.parse::<Repository>(), Err(ReferenceError::NotARepository));
        assert_eq!("nginx".parse::<Repository>().unwrap().to_string(), "docker.io/library/nginx");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in any::<String>()) {
            let _ = text.parse::<Reference>();
            let _ = text.parse::<Repository>();
        }

        #[test]
        fn what_parses_round_trips(
            text in "([a-zA-Z0-9.-]{1,12}(:[0-9]{1,5})?/|\\[[0-9a-f:]{2,8}\\]/)?[a-z0-9._/-]{1,20}(:[a-zA-Z0-9._-]{1,10})?(@sha256:[0-9a-f]{64})?"
        ) {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference.clone());
                let repository = reference.repository();
                prop_assert_eq!(&repository.to_string().parse::<Repository>().unwrap(), repository);
            }
        }
    }
}
