// SPDX-License-Identifier: Apache-2.0
//! Where signatures come from: one trait, [`Registry`], and two adapters, [`HttpRegistry`] (OCI distribution
//! specification) and [`LayoutRegistry`] (OCI image layout on disk).
//!
//! Everything that a registry sends is hostile until its digest was recomputed: bodies are bounded while they are
//! read ([`limits`]), addresses are checked after name resolution ([`egress`]), credentials go to the registry that
//! they were given for and to nobody else, and an error is never an empty list ([`Error`]).
//!
//! To find one's way:
//!
//! * what people and nodes write becomes a type that cannot be wrong: [`Reference`], [`Repository`], [`Digest`],
//!   [`ImageId`], [`Platform`];
//! * what a registry sends is parsed and bounded: [`Descriptor`], [`ImageDocument`] (an image or an index),
//!   [`SignatureManifest`];
//! * [`RegistryOptions`] says how [`HttpRegistry`] asks: mirrors ([`RegistriesConfig`], the words of K3s'
//!   `registries.yaml`), [`Proxies`], a [`CloudIdentity`], and which addresses ([`Cidr`]) are allowed besides;
//! * [`Credentials`] go with each question, because they belong to who asks and not to the registry;
//! * [`PlainFetcher`] asks what certificates name about revocation, by plain HTTP and under the same rules;
//! * `Pusher` writes, and exists with the feature `push` only, which the command line turns on for `mirror`.
//!
//! Nothing here decides whom to trust; that is `sealwatch-notation`'s, and `sealwatch-verifier` joins the two.

#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::arithmetic_side_effects,
        clippy::panic
    )
)]

pub mod cloud;
pub mod credentials;
pub mod descriptor;
pub mod digest;
pub mod egress;
pub mod error;
pub mod http;
pub mod image_document;
pub mod image_id;
mod index;
pub mod layout;
pub mod limits;
pub mod mirrors;
pub mod platform;
pub mod proxies;
pub mod reference;
pub mod signature_manifest;

use std::future::Future;

use bytes::Bytes;

pub use crate::cloud::CloudIdentity;
pub use crate::cloud::azure::{AzureIdentity, AzureIdentityError};
pub use crate::credentials::{Credential, CredentialKey, Credentials, CredentialsError};
pub use crate::descriptor::{Descriptor, DescriptorError};
pub use crate::digest::{Algorithm, Digest, DigestError, lower_hex};
pub use crate::egress::{Cidr, CidrError, NameLookup};
pub use crate::error::{At, Error, Operation};
pub use crate::http::plain::{PlainError, PlainFetcher, PlainRequest};
#[cfg(feature = "push")]
pub use crate::http::push::Pusher;
pub use crate::http::{HttpRegistry, RegistryOptions, Timeouts};
pub use crate::image_document::{Child, ImageDocument, ImageDocumentError, is_index_type};
pub use crate::image_id::{ImageId, ImageIdError};
pub use crate::layout::LayoutRegistry;
pub use crate::mirrors::{RegistriesConfig, RegistriesError, TlsFiles};
pub use crate::platform::{ClaimedPlatform, Platform};
pub use crate::proxies::{Proxies, ProxiesError};
pub use crate::reference::{Reference, ReferenceError, Repository};
pub use crate::signature_manifest::{SignatureManifest, SignatureManifestError};

/// What is looked for in a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A tag: it names whatever it names now.
    Tag(String),
    /// A digest: it names one content for ever.
    Digest(Digest),
}

/// A place where images and their signatures are kept.
pub trait Registry: Send + Sync + 'static {
    /// A fingerprint of the credentials that would be used for `repository`: what a registry answered may be shared
    /// between calls for which it is the same, and between no others.
    fn credential_key(&self, repository: &Repository, credentials: &Credentials) -> CredentialKey {
        credentials.key(repository)
    }

    /// The descriptor (media type, digest, size) of an image or index.
    ///
    /// A tag is resolved by reading the manifest and hashing its bytes. A digest is asked for by `HEAD`; only where
    /// that gives no media type or size is the manifest read. [`Error::NotFound`] says that the registry was asked
    /// and does not have it.
    ///
    /// # Errors
    /// Every variant of [`Error`] except [`Error::LimitExceeded`] and [`Error::SignaturesNotMirrored`].
    fn resolve(
        &self,
        repository: &Repository,
        target: &Target,
        credentials: &Credentials,
    ) -> impl Future<Output = Result<Descriptor, Error>> + Send;

    /// Makes the next [`Registry::referrers`] of `subject` look everywhere, like a first one: somebody asked for it.
    fn look_anew(&self, _repository: &Repository, _subject: &Digest) {}

    /// The manifests of type `artifact_type` that refer to `subject`: by the Referrers API, and by the tag schema where
    /// there is no such API or it lists none. A later look may ask only where the first one found something.
    ///
    /// The list is the registry's claim; each manifest is to be checked
    /// ([`SignatureManifest::parse`]). An empty list says that the registry was asked and has none.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] beyond the bounds of pages and descriptors; else every other variant.
    fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        artifact_type: &str,
        credentials: &Credentials,
    ) -> impl Future<Output = Result<Vec<Descriptor>, Error>> + Send;

    /// The bytes of a manifest: exactly `descriptor.size` of them, at most [`limits::MAX_MANIFEST_BYTES`], and of
    /// `descriptor.digest`.
    ///
    /// # Errors
    /// [`Error::TooLarge`] before any request if the declared size is beyond the limit; else every other variant.
    fn manifest(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        credentials: &Credentials,
    ) -> impl Future<Output = Result<Bytes, Error>> + Send;

    /// The bytes of a blob: exactly `descriptor.size` of them, at most [`limits::MAX_BLOB_BYTES`], and of
    /// `descriptor.digest`.
    ///
    /// # Errors
    /// As for [`Registry::manifest`].
    fn blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        credentials: &Credentials,
    ) -> impl Future<Output = Result<Bytes, Error>> + Send;
}
