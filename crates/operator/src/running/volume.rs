// SPDX-License-Identifier: Apache-2.0
//! Images that are mounted as volumes.

use std::collections::BTreeSet;

use sealwatch_registry::Reference;

use super::{
    Container, ContainerKind, ContainerState, ImageKey, REFERENCE_MOST, RunningDigest, TEXT_MOST,
    pod::{SlimPod, SlimVolume},
    repository_of, shortened,
};

/// The image volumes of a pod whose containers run. Two containers of it may have mounted different images of one tag.
pub(super) fn mounted(pod: &SlimPod) -> Vec<Container> {
    pod.spec.volumes.iter().flat_map(|volume| of(pod, volume)).collect()
}

fn of(pod: &SlimPod, volume: &SlimVolume) -> Vec<Container> {
    let reference = volume.image.as_ref().map_or("", |image| image.reference.as_str());
    if reference.is_empty() {
        return Vec::new();
    }
    let mut digests = reported(pod, &volume.name);
    if digests.is_empty() {
        digests.insert(named(reference));
    }
    let mounted = |digest| Container {
        name: volume.name.clone(),
        kind: ContainerKind::Volume,
        reference: shortened(reference, REFERENCE_MOST),
        image: ImageKey { repository: repository_of(reference), digest },
        state: ContainerState::Running,
    };
    digests.into_iter().map(mounted).collect()
}

/// What the kubelet says is mounted.
fn reported(pod: &SlimPod, volume: &str) -> BTreeSet<RunningDigest> {
    let status = &pod.status;
    let kinds = [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses];
    let mounts = kinds.into_iter().flatten().flat_map(|container| &container.volume_mounts);
    let images = mounts.filter(|mount| mount.name == volume).filter_map(|mount| mount.volume_status.image.as_ref());
    images.filter_map(|image| RunningDigest::reported(&image.image_ref)).collect()
}

/// What the author's reference says where the kubelet says nothing.
fn named(reference: &str) -> RunningDigest {
    let parsed = reference.parse::<Reference>().ok();
    let digest = parsed.as_ref().and_then(|reference| reference.digest().cloned()).map(RunningDigest::Manifest);
    let tag = || parsed.as_ref().and_then(|reference| reference.tag().map(str::to_owned)).map(RunningDigest::Tag);
    digest.or_else(tag).unwrap_or_else(|| RunningDigest::Unreadable(shortened(reference, TEXT_MOST)))
}
