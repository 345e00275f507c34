// SPDX-License-Identifier: Apache-2.0

//! Pods as a kubelet reports them: bound to a node, running, with the digests that run.
//!
//! No node exists: the test is the kubelet. (On a cluster with a pod garbage collector such pods are removed after a
//! while; the control plane of [`super::cluster`] runs none.)

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::Result;

/// The name of the node that all pods are bound to.
pub const NODE: &str = "testenv-node";

/// When every container started; a fixed time, so that a report that changes nothing changes nothing.
const STARTED_AT: &str = "2026-01-01T00:00:00Z";

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
    /// `imageID` as the kubelet reports it, for example `repository@sha256:…`; empty while the image is pulled, which
    /// is reported as waiting.
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
/// The API server refuses it; a pod needs at least one main container.
pub async fn run(client: &Client, namespace: &str, name: &str, containers: &[ContainerSpec]) -> Result<()> {
    run_as(client, namespace, name, containers, |_| ()).await
}

/// As [`run`], for a pod that `change` may alter before it is created (labels, pull secrets, service account).
///
/// # Errors
/// As [`run`].
pub async fn run_as(
    client: &Client,
    namespace: &str,
    name: &str,
    containers: &[ContainerSpec],
    change: impl FnOnce(&mut Pod),
) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let mut pod = pod(name, containers)?;
    change(&mut pod);
    pods.create(&PostParams::default(), &pod).await?;
    let ephemeral: Vec<Value> = of_place(containers, &[Place::Ephemeral]).map(specified).collect();
    if !ephemeral.is_empty() {
        let patch = Patch::Strategic(json!({ "spec": { "ephemeralContainers": ephemeral } }));
        pods.patch_ephemeral_containers(name, &PatchParams::default(), &patch).await?;
    }
    report(client, namespace, name, containers).await
}

/// Reports these containers for a pod that exists, as after a restart with another image. What is not named is
/// reported no more.
///
/// # Errors
/// The API server refuses it.
pub async fn report(client: &Client, namespace: &str, name: &str, containers: &[ContainerSpec]) -> Result<()> {
    let statuses = |places: &[Place]| of_place(containers, places).map(reported).collect::<Vec<_>>();
    let pulling = of_place(containers, &[Place::Main]).any(|container| container.image_id.is_empty());
    let status = json!({
        "phase": if pulling { "Pending" } else { "Running" },
        "startTime": STARTED_AT,
        "containerStatuses": statuses(&[Place::Main]),
        "initContainerStatuses": statuses(&[Place::Init, Place::Sidecar]),
        "ephemeralContainerStatuses": statuses(&[Place::Ephemeral]),
    });
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    pods.patch_status(name, &PatchParams::default(), &Patch::Merge(json!({ "status": status }))).await?;
    Ok(())
}

/// Deletes a pod at once, without grace.
///
/// # Errors
/// The API server refuses it.
pub async fn delete(client: &Client, namespace: &str, name: &str) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    pods.delete(name, &DeleteParams::default().grace_period(0)).await?;
    Ok(())
}

fn pod(name: &str, containers: &[ContainerSpec]) -> Result<Pod> {
    let specified = |places: &[Place]| of_place(containers, places).map(specified).collect::<Vec<_>>();
    Ok(serde_json::from_value(json!({
        "metadata": { "name": name },
        "spec": {
            "nodeName": NODE,
            "containers": specified(&[Place::Main]),
            "initContainers": specified(&[Place::Init, Place::Sidecar]),
            // No kubelet ends the containers, so a deletion must not wait for one (that of the namespace, too).
            "terminationGracePeriodSeconds": 0,
        },
    }))?)
}

fn of_place<'a>(containers: &'a [ContainerSpec], places: &'a [Place]) -> impl Iterator<Item = &'a ContainerSpec> {
    containers.iter().filter(move |container| places.contains(&container.place))
}

fn specified(container: &ContainerSpec) -> Value {
    let ContainerSpec { name, image, place, .. } = container;
    let restart_policy = (*place == Place::Sidecar).then_some("Always");
    let mut value = json!({ "name": name, "image": image });
    if let Some(policy) = restart_policy {
        value["restartPolicy"] = policy.into();
    }
    value
}

fn reported(container: &ContainerSpec) -> Value {
    let ContainerSpec { name, image, image_id, place } = container;
    if image_id.is_empty() {
        let state = json!({ "waiting": { "reason": "ContainerCreating" } });
        return json!({ "name": name, "image": image, "imageID": "", "ready": false, "restartCount": 0, "state": state });
    }
    let container_id = format!("containerd://{name}");
    let completed = json!({
        "exitCode": 0, "reason": "Completed", "startedAt": STARTED_AT, "finishedAt": STARTED_AT,
        "containerID": container_id,
    });
    let state = match place {
        Place::Init => json!({ "terminated": completed }),
        Place::Main | Place::Sidecar | Place::Ephemeral => json!({ "running": { "startedAt": STARTED_AT } }),
    };
    json!({
        "name": name, "image": image, "imageID": image_id, "containerID": container_id,
        "ready": true, "restartCount": 0, "started": *place != Place::Init, "state": state,
    })
}
