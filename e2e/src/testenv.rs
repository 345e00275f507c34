// SPDX-License-Identifier: Apache-2.0

//! The parts a test stands on, started on demand and gone with the test.
//!
//! * [`cluster`]: a control plane (etcd, kube-apiserver, kube-controller-manager), shared by all test processes of
//!   this checkout;
//! * [`Registry`]: a registry with the Referrers API or one without it, behind TLS, a password or a token server if
//!   wanted, each with an access log;
//! * [`Notation`]: the `notation` command, signing with keys of [`pki`];
//! * [`TimestampAuthority`]: an RFC 3161 timestamp authority that `notation sign` asks;
//! * [`Authority`]: the server that certificates name for revocation lists;
//! * [`pods`]: pods as a kubelet reports them; [`Kubelet`]: the same for pods that a controller makes;
//! * [`SilentProxy`]: a way to the API server that can fall silent;
//! * [`OperatorProcess`]: the built `sealwatch` binary;
//! * [`SetClock`]: a clock of the operator's own, which a test sets;
//! * [`Consumption`]: what a process takes of its machine;
//! * [`LocalContainer`]: a pod's container as a process of this machine;
//! * [`Helm`]: the `helm` command; [`flux`]: Flux's kustomize-controller;
//! * [`node`]: a real node (containerd, kubelet, kube-scheduler) in namespaces of its own; root only;
//! * [`Prometheus`]: a Prometheus that scrapes operators, and [`promtool`].

mod authority;
mod clock;
mod cluster;
mod consumption;
mod container;
mod control_plane;
pub mod flux;
mod helm;
mod kubeconfig;
mod kubelet;
mod lease;
pub mod node;
mod notation;
mod operator;
pub mod pki;
pub mod pods;
mod process;
mod prometheus;
mod registry;
mod server;
mod silence;
pub mod supervisor;
mod timestamping;
mod tools;

pub use authority::Authority;
pub use clock::SetClock;
pub use cluster::{AuditedRequest, Cluster, Flavour, Identity, Options, cluster, cluster_with, kustomize};
pub use consumption::Consumption;
pub use container::LocalContainer;
pub use helm::{Helm, copy_folder};
pub use kubeconfig::write_stranger_kubeconfig;
pub use kubelet::Kubelet;
pub use notation::{Format, Notation, SignOptions};
pub use operator::{OperatorOptions, OperatorProcess};
pub use prometheus::{Prometheus, RATE, Series, promtool};
pub use registry::{
    ACCOUNT, Door, IDENTITY_TOKEN, PushedImage, Registry, Request, SmallImage, Software, config_digest, digest_of,
    push_index,
};
pub use silence::SilentProxy;
pub use timestamping::TimestampAuthority;

use std::io::Write;
use std::path::PathBuf;

/// What went wrong, in words for whoever reads the test's output.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Says that a test did not run, and why, where nobody can overlook it: on standard error, past the capture of the
/// test's output. `./just test` counts these lines.
pub fn skipped(test: &str, reason: &str) {
    // On a line of its own: the test runner may have begun one. If standard error is closed, nobody is there to be told.
    let _ = writeln!(std::io::stderr(), "\nSKIPPED: {test}: {reason}");
}

/// A program of a pinned tool (`kubectl` of `kube`), for those who run it themselves; built if it is not there yet.
///
/// # Errors
/// It cannot be built.
pub async fn program(tool: &'static str, name: &str) -> Result<PathBuf> {
    Ok(tools::folder(tool).await?.join(name))
}

/// Makes aws-lc-rs the process's provider of TLS cryptography; doing it again changes nothing.
///
/// Everything in this module that opens a TLS connection calls it. A test that builds a client of its own calls it
/// first.
pub fn install_crypto_provider() {
    // An error means that a provider is there already, which is all that is asked for.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
