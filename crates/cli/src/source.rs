// SPDX-License-Identifier: Apache-2.0
//! Where images are looked for: registries over HTTP, or an OCI image layout.

use std::path::Path;

use bytes::Bytes;
use sealwatch_registry::{
    CredentialKey, Credentials, Descriptor, Digest, Error, HttpRegistry, LayoutRegistry, PlainFetcher, Pusher,
    Reference, Registry, RegistryOptions, Repository, Target,
};
use sealwatch_verifier::Revocation;

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
    /// What the flags say, whichever registries are named.
    pub(crate) settings: RegistryOptions,
}

/// How registries are asked by hand: the flags, and the files that they and the environment name, read once.
pub(crate) struct Asking {
    /// What the flags say, whichever registries are named.
    pub(crate) settings: RegistryOptions,
    /// The same for these registries: whoever names one on the command line means it, wherever it is.
    options: RegistryOptions,
    /// What docker's and podman's files have for them.
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
            let settings = settings(&arguments.asking)?;
            return Ok(Self { place: Place::Layout(layout), found: Found::default(), settings });
        }
        let hosts: Vec<String> = images.map(|image| image.repository().registry().to_owned()).collect();
        let asking = Asking::read(&arguments.asking, &hosts).await?;
        Ok(Self { place: Place::Http(asking.registry()?), found: asking.found, settings: asking.settings })
    }
}

impl Asking {
    /// Reads the files, and warns of what is odd in them. Nothing is asked yet, but credential helpers where they are
    /// allowed.
    pub(crate) async fn read(arguments: &AskingArguments, hosts: &[String]) -> Result<Self, String> {
        let settings = settings(arguments)?;
        let mut options = settings.clone();
        for host in hosts {
            if arguments.insecure_registry {
                options.registries.insecure(host).map_err(|error| format!("--insecure-registry: {host}: {error}"))?;
            }
            options.named_hosts.push(host.clone());
        }
        let found = credentials::find(arguments, hosts).await?;
        Ok(Self { settings, options, found })
    }

    /// The same for registries that were found in a cluster: whoever may start a pod there chooses them, so what nobody
    /// named is held to the rules of the egress guard.
    pub(crate) async fn of_found(arguments: &AskingArguments, hosts: &[String]) -> Result<Self, String> {
        let settings = settings(arguments)?;
        let mut options = settings.clone();
        for host in hosts.iter().filter(|_| arguments.insecure_registry) {
            let insecure = options.registries.insecure_as_found(host);
            insecure.map_err(|error| format!("--insecure-registry: {host}: {error}"))?;
        }
        let found = credentials::find(arguments, hosts).await?;
        Ok(Self { settings, options, found })
    }

    /// Who reads from these registries.
    pub(crate) fn registry(&self) -> Result<HttpRegistry, String> {
        HttpRegistry::new(self.options.clone()).map_err(|error| error.to_string())
    }

    /// Who writes to one repository in them.
    pub(crate) fn pusher(&self, repository: &Repository) -> Result<Pusher, String> {
        let pusher = Pusher::new(self.options.clone(), repository, self.found.credentials.clone());
        pusher.map_err(|error| error.to_string())
    }
}

/// Who asks about revocation, where these settings allow it.
pub(crate) fn revocation(settings: &RegistryOptions) -> Result<Revocation, String> {
    PlainFetcher::new(settings).map(Revocation::new).map_err(|error| error.to_string())
}

fn settings(arguments: &AskingArguments) -> Result<RegistryOptions, String> {
    let settings = registries::options(&arguments.registries, registries::Origin::Local)?;
    settings.registries.warnings().iter().for_each(|warning| terminal::warn(warning));
    Ok(settings)
}

/// Opens a layout.
pub(crate) fn layout(folder: &Path) -> Result<LayoutRegistry, String> {
    LayoutRegistry::open(folder).map_err(|error| error.to_string())
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
