// SPDX-License-Identifier: Apache-2.0
//! Where images are looked for: registries over HTTP, or an OCI image layout.

use std::path::Path;

use bytes::Bytes;
use sealwatch_registry::{
    CredentialKey, Credentials, Descriptor, Digest, Error, HttpRegistry, LayoutRegistry, Reference, Registry,
    RegistryOptions, Repository, Target,
};

use crate::{
    args::{AskingArguments, SourceArguments},
    credentials::{self, Found},
    registries, terminal,
};

/// One of the two, with what opens the registries.
pub(crate) struct Source {
    pub(crate) place: Place,
    /// What docker's and podman's files have for the registries of these images.
    pub(crate) found: Found,
}

/// Where images are.
pub(crate) enum Place {
    Http(HttpRegistry),
    Layout(LayoutRegistry),
}

impl Source {
    /// What the flags name. Nothing is asked yet, but credential helpers where they are allowed.
    pub(crate) async fn open(
        arguments: &SourceArguments,
        images: impl Iterator<Item = &Reference>,
    ) -> Result<Self, String> {
        if let Some(folder) = &arguments.oci_layout {
            let layout = layout(folder).map_err(|error| format!("--oci-layout: {error}"))?;
            return Ok(Self { place: Place::Layout(layout), found: Found::default() });
        }
        let hosts: Vec<String> = images.map(|image| image.repository().registry().to_owned()).collect();
        Self::of_registries(&arguments.asking, &hosts).await
    }

    /// These registries, with the credentials that docker and podman have for them.
    pub(crate) async fn of_registries(asking: &AskingArguments, hosts: &[String]) -> Result<Self, String> {
        let options = options(asking, hosts)?;
        let found = credentials::find(asking, hosts).await?;
        let registry = HttpRegistry::new(options).map_err(|error| error.to_string())?;
        Ok(Self { place: Place::Http(registry), found })
    }
}

/// Opens a layout.
pub(crate) fn layout(folder: &Path) -> Result<LayoutRegistry, String> {
    LayoutRegistry::open(folder).map_err(|error| error.to_string())
}

/// The options under which these registries are asked: whoever names one on the command line means it, wherever it is.
pub(crate) fn options(arguments: &AskingArguments, hosts: &[String]) -> Result<RegistryOptions, String> {
    let mut options = registries::options(&arguments.registries, registries::Origin::Local)?;
    options.registries.warnings().iter().for_each(|warning| terminal::warn(warning));
    for host in hosts {
        if arguments.insecure_registry {
            options.registries.insecure(host).map_err(|error| format!("--insecure-registry: {host}: {error}"))?;
        }
        options.named_hosts.push(host.clone());
    }
    Ok(options)
}

impl Registry for Place {
    fn credential_key(&self, repository: &Repository, credentials: &Credentials) -> CredentialKey {
        match self {
            Self::Http(registry) => registry.credential_key(repository, credentials),
            Self::Layout(layout) => layout.credential_key(repository, credentials),
        }
    }

    fn look_anew(&self, repository: &Repository, subject: &Digest) {
        match self {
            Self::Http(registry) => registry.look_anew(repository, subject),
            Self::Layout(layout) => layout.look_anew(repository, subject),
        }
    }

    async fn resolve(
        &self,
        repository: &Repository,
        target: &Target,
        credentials: &Credentials,
    ) -> Result<Descriptor, Error> {
        match self {
            Self::Http(registry) => registry.resolve(repository, target, credentials).await,
            Self::Layout(layout) => layout.resolve(repository, target, credentials).await,
        }
    }

    async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        artifact_type: &str,
        credentials: &Credentials,
    ) -> Result<Vec<Descriptor>, Error> {
        match self {
            Self::Http(registry) => registry.referrers(repository, subject, artifact_type, credentials).await,
            Self::Layout(layout) => layout.referrers(repository, subject, artifact_type, credentials).await,
        }
    }

    async fn manifest(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        credentials: &Credentials,
    ) -> Result<Bytes, Error> {
        match self {
            Self::Http(registry) => registry.manifest(repository, descriptor, credentials).await,
            Self::Layout(layout) => layout.manifest(repository, descriptor, credentials).await,
        }
    }

    async fn blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        credentials: &Credentials,
    ) -> Result<Bytes, Error> {
        match self {
            Self::Http(registry) => registry.blob(repository, descriptor, credentials).await,
            Self::Layout(layout) => layout.blob(repository, descriptor, credentials).await,
        }
    }
}
