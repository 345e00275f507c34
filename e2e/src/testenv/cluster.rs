// SPDX-License-Identifier: Apache-2.0

//! A running control plane, as a test sees it.

use std::path::{Path, PathBuf};
use std::process::Output;

use super::Result;

/// Which control plane a test wants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options {
    /// The Kubernetes version to behave as, such as `1.33`; `None` is the version of the binaries.
    pub emulated_version: Option<String>,
}

/// Where the control plane came from, and what it can therefore do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// A cluster that somebody else runs, named by `SEALWATCH_E2E_KUBECONFIG`.
    Existing,
    /// Binaries from the folder that `KUBEBUILDER_ASSETS` names: no controller manager.
    KubebuilderAssets,
    /// The pinned binaries that `e2e/tools/build` made.
    Pinned,
}

impl Flavour {
    /// Whether a controller manager runs: owned objects are collected and namespaces really go.
    pub fn has_controller_manager(self) -> bool {
        !matches!(self, Self::KubebuilderAssets)
    }
}

/// As whom a kubeconfig of [`Cluster::kubeconfig_for`] authenticates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity<'a> {
    /// A service account, by a token that the API server issues for it (`TokenRequest`); it is created if missing.
    ServiceAccount {
        /// The namespace of the service account.
        namespace: &'a str,
        /// The name of the service account.
        name: &'a str,
    },
}

/// A control plane that this process uses. It stays up for as long as any process of this checkout holds one.
#[derive(Debug)]
pub struct Cluster {}

/// The control plane that the test processes of this checkout share, started if none runs.
///
/// # Errors
/// The binaries cannot be had, or the control plane does not become ready.
pub async fn cluster() -> Result<Cluster> {
    cluster_with(Options::default()).await
}

/// As [`cluster`], for a control plane with these options. Control planes of different options are different ones.
///
/// # Errors
/// As [`cluster`].
pub async fn cluster_with(_options: Options) -> Result<Cluster> {
    Err("the control plane is not built yet".into())
}

impl Cluster {
    /// A client with all rights.
    pub fn client(&self) -> kube::Client {
        unreachable!("no cluster can be made yet")
    }

    /// The kubeconfig with all rights.
    pub fn kubeconfig(&self) -> &Path {
        unreachable!("no cluster can be made yet")
    }

    /// The address of the API server, such as `https://127.0.0.1:40001`.
    pub fn api_server_url(&self) -> &str {
        unreachable!("no cluster can be made yet")
    }

    /// Where the control plane came from.
    pub fn flavour(&self) -> Flavour {
        unreachable!("no cluster can be made yet")
    }

    /// Creates a namespace with a unique name that starts with `prefix`, with its default service account. It is
    /// deleted at the end of the process's use of this cluster, as far as possible.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn namespace(&self, _prefix: &str) -> Result<String> {
        unreachable!("no cluster can be made yet")
    }

    /// A kubeconfig file that authenticates as `identity` and has that identity's rights only.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn kubeconfig_for(&self, _identity: Identity<'_>) -> Result<PathBuf> {
        unreachable!("no cluster can be made yet")
    }

    /// Runs `kubectl` with all rights and waits for its end, whatever its exit code.
    ///
    /// # Errors
    /// `kubectl` cannot be started.
    pub async fn kubectl(&self, _args: &[&str]) -> Result<Output> {
        unreachable!("no cluster can be made yet")
    }

    /// As [`Cluster::kubectl`], with `input` as its standard input (`kubectl apply -f -`).
    ///
    /// # Errors
    /// `kubectl` cannot be started.
    pub async fn kubectl_with_input(&self, _args: &[&str], _input: &str) -> Result<Output> {
        unreachable!("no cluster can be made yet")
    }
}
