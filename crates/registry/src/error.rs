// SPDX-License-Identifier: Apache-2.0
//! What can go wrong between us and a registry. "Could not ask" is never "there is nothing".

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::digest::Digest;
use crate::limits::MAX_QUOTED_CHARS;

/// What was being done when it went wrong; its `Display` form reads after "could not".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Learn the descriptor of a tag or digest.
    Resolve,
    /// List the referrers of a digest.
    Referrers,
    /// Fetch a manifest.
    Manifest,
    /// Fetch a blob.
    Blob,
    /// Ask a token server.
    Token,
    /// Ask for something that a certificate points to.
    Ask,
    /// Write to a repository.
    Push,
    /// Open an OCI layout, or set up the HTTP client.
    Open,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolve",
            Self::Referrers => "list referrers",
            Self::Manifest => "fetch manifest",
            Self::Blob => "fetch blob",
            Self::Token => "fetch token",
            Self::Ask => "ask",
            Self::Push => "push",
            Self::Open => "open",
        })
    }
}

/// Where an error happened: which registry (host and port, or the folder of a layout), doing what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct At {
    /// `host[:port]` that was asked (a mirror's, if it was a mirror), or the path of an OCI layout.
    pub registry: String,
    /// What was asked of it.
    pub operation: Operation,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: could not {}", self.registry, self.operation)
    }
}

/// Why a registry gave no usable answer.
///
/// No variant means "no signatures": that is an empty list. Text that came from a server is cut to
/// [`MAX_QUOTED_CHARS`] and stripped of control characters; nothing secret is in any field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The registry answered that it does not have the image, repository or blob (404).
    #[error("{at}: {what} not found")]
    NotFound {
        /// Where.
        at: At,
        /// The repository, reference or digest that is missing.
        what: String,
    },
    /// No credential, or none that the registry or its token server took (401).
    #[error("{at}: unauthorized: {detail}")]
    Unauthorized {
        /// Where.
        at: At,
        /// Which step refused.
        detail: String,
    },
    /// The credential is known but may not do this (403).
    #[error("{at}: forbidden: {detail}")]
    Forbidden {
        /// Where.
        at: At,
        /// The registry's error code, if it gave a known one.
        detail: String,
    },
    /// Too many requests (429).
    #[error("{at}: throttled{}", retry_after.map_or(String::new(), |after| format!(", retry after {} s", after.as_secs())))]
    Throttled {
        /// Where.
        at: At,
        /// The `Retry-After` header, if there was one, at most [`crate::limits::MAX_RETRY_AFTER`].
        retry_after: Option<Duration>,
    },
    /// 5xx or another unexpected status, name resolution, connection, TLS, time-out, a body that broke off.
    #[error("{at}: unavailable: {detail}")]
    Unavailable {
        /// Where.
        at: At,
        /// What happened, from a closed vocabulary and the deepest cause's text.
        detail: String,
        /// The `Retry-After` header of a 503, if there was one.
        retry_after: Option<Duration>,
    },
    /// Bytes, or the registry's own header, that do not hash to the digest that was asked for: no evidence at all.
    #[error("{at}: digest mismatch: asked for {expected}, got {actual}")]
    DigestMismatch {
        /// Where.
        at: At,
        /// What was asked for.
        expected: Digest,
        /// What the bytes hash to, or what the registry's header says.
        actual: Digest,
    },
    /// A body, or its declared size, beyond the limit; no more than `limit` + 1 bytes of it were kept.
    #[error("{at}: {what} is larger than {limit} bytes")]
    TooLarge {
        /// Where.
        at: At,
        /// Which body.
        what: &'static str,
        /// The limit, in bytes.
        limit: u64,
    },
    /// More pages, referrers or signatures than are looked at.
    #[error("{at}: more than {limit} {what}")]
    LimitExceeded {
        /// Where.
        at: At,
        /// What there are too many of: `pages of referrers`, `referrers` or `signatures`.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// An answer that breaks the rules: which part and which rule.
    #[error("{at}: malformed answer: {what}")]
    Malformed {
        /// Where.
        at: At,
        /// The header, field or rule.
        what: String,
    },
    /// The egress guard refused the address; nothing was sent to it.
    #[error("{at}: egress to {host} ({address}) refused: {setting}")]
    EgressRefused {
        /// Where.
        at: At,
        /// `host:port` that would have been asked.
        host: String,
        /// The address that it is, or that its name resolved to.
        address: IpAddr,
        /// The setting that would allow it.
        setting: &'static str,
    },
    /// The proxy would be asked for a name that may be internal; nothing was sent. Only the proxy resolves it, so no
    /// address is known.
    #[error("{at}: egress to {host} through the proxy refused by its name: {setting}")]
    NameRefused {
        /// Where.
        at: At,
        /// `host:port` that would have been asked for.
        host: String,
        /// The setting that would allow it.
        setting: &'static str,
    },
    /// A mirror has the image without signatures, and the origin, which may have them, could not be asked.
    #[error(
        "{at}: {mirror} has no signatures of the image, and where they may be besides could not be asked ({origin}); \
         copy the signatures to the mirror (sealwatch mirror, oras cp -r), let the origin be asked, or name the place \
         under signatures in the file given by --registries"
    )]
    SignaturesNotMirrored {
        /// Where: the origin.
        at: At,
        /// `host:port` of the mirror that answered.
        mirror: String,
        /// Why the origin gave no answer.
        origin: Box<Error>,
    },
    /// The adapter itself could not be set up: the HTTP client, the folder, the configuration.
    #[error("{at}: {what}")]
    Unusable {
        /// Where.
        at: At,
        /// What is wrong.
        what: String,
    },
}

impl Error {
    /// Where it happened.
    pub fn at(&self) -> &At {
        match self {
            Self::NotFound { at, .. }
            | Self::Unauthorized { at, .. }
            | Self::Forbidden { at, .. }
            | Self::Throttled { at, .. }
            | Self::Unavailable { at, .. }
            | Self::DigestMismatch { at, .. }
            | Self::TooLarge { at, .. }
            | Self::LimitExceeded { at, .. }
            | Self::Malformed { at, .. }
            | Self::EgressRefused { at, .. }
            | Self::NameRefused { at, .. }
            | Self::SignaturesNotMirrored { at, .. }
            | Self::Unusable { at, .. } => at,
        }
    }

    /// When the server asked to be left alone until, if it did.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } | Self::Unavailable { retry_after, .. } => *retry_after,
            Self::SignaturesNotMirrored { origin, .. } => origin.retry_after(),
            _ => None,
        }
    }

    pub(crate) fn malformed(at: &At, what: impl Into<String>) -> Self {
        Self::Malformed { at: at.clone(), what: what.into() }
    }

    pub(crate) fn unavailable(at: &At, detail: impl Into<String>) -> Self {
        Self::Unavailable { at: at.clone(), detail: detail.into(), retry_after: None }
    }
}

/// `text` fit for a message: at most [`MAX_QUOTED_CHARS`] characters, without control characters and without those
/// that change the direction or the visibility of text.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| {
            !c.is_control()
                && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        })
        .take(MAX_QUOTED_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> At {
        At { registry: "registry.test:5000".to_owned(), operation: Operation::Referrers }
    }

    #[test]
    fn every_message_names_the_registry_and_the_operation() {
        let origin = Error::unavailable(&at(), "no route");
        let errors = [
            Error::NotFound { at: at(), what: "app".to_owned() },
            Error::Throttled { at: at(), retry_after: Some(Duration::from_secs(7)) },
            Error::malformed(&at(), "Link to another origin"),
            Error::LimitExceeded { at: at(), what: "signatures", limit: 100 },
            Error::SignaturesNotMirrored { at: at(), mirror: "m.test".to_owned(), origin: Box::new(origin) },
        ];
        for error in errors {
            let text = error.to_string();
            assert!(text.starts_with("registry.test:5000: could not list referrers"), "{text}");
            assert!(!text.ends_with('.'), "{text}");
        }
    }

    #[test]
    fn text_from_elsewhere_is_cut_and_cannot_steer_a_terminal() {
        assert_eq!(printable("a\u{1b}[31m\nb\u{202e}c"), "a[31mbc");
        assert_eq!(printable(&"x".repeat(1_000)).len(), MAX_QUOTED_CHARS);
    }
}
