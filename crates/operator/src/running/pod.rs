// SPDX-License-Identifier: Apache-2.0
//! The part of a Pod that says which images run: decoded straight from the stream, so that the rest of the Pod
//! never takes memory.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{Resource, api::ObjectMeta};
use serde::{Deserialize, Serialize};

/// A Pod, without what does not concern us.
#[derive(Resource, Clone, Debug, Default, Serialize, Deserialize)]
#[resource(inherit = "Pod")]
#[serde(rename_all = "camelCase", default)]
pub struct SlimPod {
    /// Name, namespace, uid and labels are used.
    pub metadata: ObjectMeta,
    /// What the author wrote.
    pub spec: SlimPodSpec,
    /// What the kubelet reports.
    pub status: SlimPodStatus,
}

/// What the author of a Pod wrote about its images.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SlimPodSpec {
    /// The node that runs the pod.
    pub node_name: Option<String>,
    /// Admission has copied the service account's pull secrets here.
    pub image_pull_secrets: Vec<SlimSecretRef>,
    /// Containers.
    pub containers: Vec<SlimContainer>,
    /// Init containers, and sidecars among them.
    pub init_containers: Vec<SlimContainer>,
    /// Debug containers.
    pub ephemeral_containers: Vec<SlimContainer>,
    /// Volumes; those with images count.
    pub volumes: Vec<SlimVolume>,
}

/// A volume as its author wrote it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SlimVolume {
    /// Unique within the pod.
    pub name: String,
    /// Set if its content is an image.
    pub image: Option<SlimVolumeImage>,
}

/// The image that is a volume's content.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SlimVolumeImage {
    /// The image reference.
    pub reference: String,
}

/// The name of a secret in the pod's namespace.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SlimSecretRef {
    /// The secret's name.
    pub name: String,
}

/// A container as its author wrote it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SlimContainer {
    /// Unique within the pod.
    pub name: String,
    /// The image reference.
    pub image: String,
    /// `Always` on an init container makes it a sidecar.
    pub restart_policy: Option<String>,
}

/// What a kubelet reports of a Pod's images.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SlimPodStatus {
    /// `Succeeded` and `Failed` pods run nothing.
    pub phase: Option<String>,
    /// Of containers.
    pub container_statuses: Vec<SlimContainerStatus>,
    /// Of init containers and sidecars; kept after completion.
    pub init_container_statuses: Vec<SlimContainerStatus>,
    /// Of debug containers; kept after their end, since nobody can remove them.
    pub ephemeral_container_statuses: Vec<SlimContainerStatus>,
}

/// What a kubelet reports of one container.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SlimContainerStatus {
    /// The container's name.
    pub name: String,
    /// The image reference as the container runtime knows it: not always the author's.
    pub image: String,
    /// What runs, in one of many forms (`docs/running-images.md`).
    #[serde(rename = "imageID")]
    pub image_id: String,
    /// Waiting, running or terminated.
    pub state: SlimContainerState,
    /// What is mounted.
    pub volume_mounts: Vec<SlimVolumeMountStatus>,
}

/// What a kubelet reports of one mounted volume.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SlimVolumeMountStatus {
    /// The volume's name.
    pub name: String,
    /// More about it; only with the feature gate `ImageVolumeWithDigest` (KEP-5365).
    pub volume_status: SlimVolumeStatus,
}

/// More about a mounted volume.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SlimVolumeStatus {
    /// Set if its content is an image.
    pub image: Option<SlimVolumeImageStatus>,
}

/// Which image is mounted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SlimVolumeImageStatus {
    /// Its digest, in the forms of `imageID`.
    pub image_ref: String,
}

/// A container's state; only an end matters here.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SlimContainerState {
    /// Set once the container has ended.
    pub terminated: Option<SlimTerminated>,
}

/// The end of a container.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SlimTerminated {
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}
