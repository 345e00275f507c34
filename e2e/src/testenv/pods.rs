// SPDX-License-Identifier: Apache-2.0

//! Pods as a kubelet reports them: bound to a node, running, with the digests that run.

use super::Result;

/// Where in a pod a container stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// `spec.containers`
    #[default]
    Main,
    /// `spec.initContainers`; reported as completed
    Init,
    /// `spec.initContainers` with `restartPolicy: Always`; reported as running
    Sidecar,
    /// `spec.ephemeralContainers`, added after the pod's creation as `kubectl debug` does
    Ephemeral,
}

/// One container and the image that it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerSpec {
    /// The name of the container.
    pub name: String,
    /// The image as the pod's author wrote it.
    pub image: String,
    /// `imageID` as the kubelet reports it, for example `repository@sha256:…`.
    pub image_id: String,
    /// Where in the pod it stands.
    pub place: Place,
}

impl ContainerSpec {
    /// A main container.
    pub fn new(name: impl Into<String>, image: impl Into<String>, image_id: impl Into<String>) -> Self {
        Self { name: name.into(), image: image.into(), image_id: image_id.into(), place: Place::Main }
    }

    /// The same, elsewhere in the pod.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }
}

/// Creates a pod and reports it as running, with every container's image.
///
/// # Errors
/// The API server refuses it.
pub async fn run(_client: &kube::Client, _namespace: &str, _name: &str, _containers: &[ContainerSpec]) -> Result<()> {
    Err("pods are not built yet".into())
}

/// Reports these containers for a pod that exists, as after a restart with another image.
///
/// # Errors
/// The API server refuses it.
pub async fn report(
    _client: &kube::Client,
    _namespace: &str,
    _name: &str,
    _containers: &[ContainerSpec],
) -> Result<()> {
    Err("pods are not built yet".into())
}

/// Deletes a pod at once, without grace.
///
/// # Errors
/// The API server refuses it.
pub async fn delete(_client: &kube::Client, _namespace: &str, _name: &str) -> Result<()> {
    Err("pods are not built yet".into())
}
