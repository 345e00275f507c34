// SPDX-License-Identifier: Apache-2.0
//! Identities that a cloud gives to the operator's pod, turned into credentials for that cloud's registries.
//!
//! An identity is the operator's own: it is tried last, only at registries that it serves, and not for images that a
//! person named in an `ImageVerification`. Which registries those are is decided by the exact host, never by what a
//! registry says of itself (CVE-2025-27403).

pub mod azure;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use crate::credentials::Credential;
use crate::error::Error;

/// A future in a box, as traits that are used as objects need it.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A way from a cloud's identity to credentials for its registries.
pub trait CloudIdentity: Send + Sync + 'static {
    /// What it is called in messages.
    fn name(&self) -> &'static str;

    /// Whether `registry` (`host[:port]`, in lower case) is one to which this identity may be shown.
    fn serves(&self, registry: &str) -> bool;

    /// A credential for `registry`, and how long it is good. It is asked for anew when that time is over, or when the
    /// registry refuses it.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] or [`Error::Forbidden`] if the cloud or the registry does not take the identity; then
    /// the registry is asked anonymously. Every other error is passed on.
    fn credential<'a>(
        &'a self,
        registry: &'a str,
        wire: &'a dyn CloudWire,
    ) -> Boxed<'a, Result<(Credential, Duration), Error>>;
}

/// The way to token servers: guarded, bounded, over TLS, without redirects.
pub trait CloudWire: Send + Sync {
    /// Posts a form to a server that the operator's environment names.
    ///
    /// # Errors
    /// Every status but 200 is a typed error, as it is for a registry's token server.
    fn post_to_cloud<'a>(&'a self, url: &'a str, form: &'a [(&'a str, &'a str)]) -> Boxed<'a, Result<Bytes, Error>>;

    /// Posts a form to a path of the registry itself.
    ///
    /// # Errors
    /// As for [`CloudWire::post_to_cloud`].
    fn post_to_registry<'a>(&'a self, path: &'a str, form: &'a [(&'a str, &'a str)])
    -> Boxed<'a, Result<Bytes, Error>>;
}
