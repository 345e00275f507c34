// SPDX-License-Identifier: Apache-2.0
//! Which images run: a pure index over the pods of the cluster.
//!
//! A pod event goes in, and out comes whether a namespace's images changed. Everything is keyed by pod UID, since a
//! deletion may be missed when a pod of the same name takes its place. Cost grows with pods here, and with distinct
//! images everywhere after.

pub mod node;
pub mod pod;
mod volume;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use sealwatch_registry::{Digest, ImageId, Platform, Reference};
use sealwatch_verifier::Platforms;

use self::pod::{SlimContainer, SlimContainerStatus, SlimPod};

/// How long a terminated debug container still counts: nobody can remove it from its pod.
pub const EPHEMERAL_GRACE: Duration = Duration::from_mins(10);
/// The longest unreadable text that is kept of a pod's status, in characters.
const TEXT_MOST: usize = 256;
/// The longest image reference that is kept, in characters: what `spec.image` of an `ImageVerification` takes.
const REFERENCE_MOST: usize = 1024;

/// One distinct image of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageKey {
    /// The repository that the pods name (`registry/path`), or their own words where those are no reference.
    pub repository: String,
    /// What the kubelet says is running.
    pub digest: RunningDigest,
}

impl fmt::Display for ImageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.repository, self.digest)
    }
}

/// What a kubelet says is running.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RunningDigest {
    /// The digest of a manifest or an index: what signatures are about.
    Manifest(Digest),
    /// The digest of an image configuration alone, as for an image that was loaded from a file.
    Config(Digest),
    /// A tag, where nobody reports a digest: as for the image of a volume.
    Tag(String),
    /// Something else; its beginning.
    Unreadable(String),
}

impl fmt::Display for RunningDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest(digest) | Self::Config(digest) => digest.fmt(f),
            Self::Tag(text) | Self::Unreadable(text) => f.write_str(text),
        }
    }
}

impl RunningDigest {
    /// What an `imageID` says; `None` while it says nothing.
    fn reported(image_id: &str) -> Option<Self> {
        match image_id.parse() {
            Ok(ImageId::Empty) => None,
            Ok(ImageId::RepoDigest { digest, .. }) => Some(Self::Manifest(digest)),
            Ok(ImageId::Digest(digest)) => Some(Self::Config(digest)),
            Err(_) => Some(Self::Unreadable(shortened(image_id, TEXT_MOST))),
        }
    }
}

/// What kind of container runs an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContainerKind {
    /// A container of the pod.
    Container,
    /// An init container.
    Init,
    /// An init container that keeps running beside the others.
    Sidecar,
    /// A debug container.
    Ephemeral,
    /// No container, but a volume whose content is an image.
    Volume,
}

/// Whether a container still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContainerState {
    /// It runs, or is about to again.
    Running,
    /// It has ended.
    Terminated {
        /// When, if the kubelet says so.
        finished_at: Option<Timestamp>,
    },
}

/// A container, or an image volume, and its image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// What kind it is.
    pub kind: ContainerKind,
    /// The image reference as the author wrote it.
    pub reference: String,
    /// What runs.
    pub image: ImageKey,
    /// Whether it still does.
    pub state: ContainerState,
}

impl Container {
    /// The moment at which this container stops to count, if it is a debug container that has ended.
    pub fn counts_until(&self) -> Option<Timestamp> {
        match (self.kind, self.state) {
            (ContainerKind::Ephemeral, ContainerState::Terminated { finished_at: Some(end) }) => {
                end.checked_add(EPHEMERAL_GRACE).ok()
            }
            _ => None,
        }
    }
}

/// One pod, reduced to its images.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    namespace: String,
    name: String,
    /// The node that runs it, if it says so.
    node: Option<String>,
    labels: BTreeMap<String, String>,
    pull_secrets: Vec<String>,
    containers: Vec<Container>,
}

/// Where an image runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunningImage {
    /// How many pods run it.
    pub pods: usize,
    /// How many containers run it.
    pub container_count: usize,
    /// The containers, by pod name and container name.
    pub containers: Vec<(Arc<str>, Container)>,
    /// The distinct references that the pods use for it.
    pub references: BTreeSet<String>,
    /// The pull secrets of the pods that run it.
    pub pull_secrets: BTreeSet<String>,
    /// The platforms of the nodes that run it.
    pub platforms: BTreeSet<Platform>,
    /// Whether a node runs it whose platform is not known.
    pub on_unknown_platform: bool,
}

impl RunningImage {
    /// The platforms of all nodes that run it, if they are known.
    pub fn platforms(&self) -> Platforms {
        if self.on_unknown_platform { Platforms::Unknown } else { Platforms::Known(self.platforms.clone()) }
    }
}

/// The images of one namespace that a selector chooses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceImages {
    /// Each distinct image.
    pub images: BTreeMap<ImageKey, RunningImage>,
    /// How many pods run something.
    pub pods: usize,
    /// How many containers run something.
    pub containers: usize,
    /// The next moment at which the clock alone changes this.
    pub next_change: Option<Timestamp>,
}

/// The index.
#[derive(Debug, Default)]
pub struct RunningIndex {
    pods: HashMap<String, Entry>,
    namespaces: HashMap<String, HashSet<String>>,
    names: HashMap<(String, String), String>,
    nodes: node::Nodes,
    /// While a list is coming in: the pods seen so far.
    listing: Option<HashSet<String>>,
}

impl RunningIndex {
    /// A new list of all pods begins.
    pub fn list_begins(&mut self) {
        self.listing = Some(HashSet::new());
    }

    /// The list is complete: what it did not name is gone. Returns the namespaces whose images changed.
    pub fn list_ends(&mut self) -> BTreeSet<String> {
        let Some(seen) = self.listing.take() else { return BTreeSet::new() };
        let gone: Vec<String> = self.pods.keys().filter(|uid| !seen.contains(*uid)).cloned().collect();
        gone.iter().filter_map(|uid| self.remove(uid)).collect()
    }

    /// A pod appeared or changed. Returns its namespace if the images that run there changed.
    pub fn apply(&mut self, pod: &SlimPod) -> Option<String> {
        let uid = pod.metadata.uid.clone()?;
        if let Some(listing) = &mut self.listing {
            listing.insert(uid.clone());
        }
        let Some(entry) = Entry::of(pod) else { return self.remove(&uid) };
        let name = (entry.namespace.clone(), entry.name.clone());
        let replaced = self.names.get(&name).filter(|known| **known != uid).cloned();
        let replaced = replaced.and_then(|old| self.remove(&old));
        if self.pods.get(&uid) == Some(&entry) {
            return replaced;
        }
        let namespace = entry.namespace.clone();
        self.names.insert(name, uid.clone());
        self.namespaces.entry(namespace.clone()).or_default().insert(uid.clone());
        self.pods.insert(uid, entry);
        Some(namespace)
    }

    /// A pod is gone. Returns its namespace if the images that run there changed.
    pub fn delete(&mut self, pod: &SlimPod) -> Option<String> {
        self.remove(pod.metadata.uid.as_deref()?)
    }

    fn remove(&mut self, uid: &str) -> Option<String> {
        let entry = self.pods.remove(uid)?;
        let name = (entry.namespace.clone(), entry.name);
        if self.names.get(&name).is_some_and(|known| known == uid) {
            self.names.remove(&name);
        }
        if let Some(uids) = self.namespaces.get_mut(&entry.namespace) {
            uids.remove(uid);
            if uids.is_empty() {
                self.namespaces.remove(&entry.namespace);
            }
        }
        Some(entry.namespace)
    }

    /// How many pods run something, over all namespaces.
    pub fn pod_count(&self) -> usize {
        self.pods.len()
    }

    /// The namespaces in which something runs.
    pub fn namespaces(&self) -> BTreeSet<&str> {
        self.namespaces.keys().map(String::as_str).collect()
    }

    /// The images of a namespace that run at `now` in pods whose labels `selects` accepts.
    pub fn images(
        &self,
        namespace: &str,
        selects: impl Fn(&BTreeMap<String, String>) -> bool,
        now: Timestamp,
    ) -> NamespaceImages {
        let mut found = NamespaceImages::default();
        for entry in self.selected(namespace, selects) {
            let counting: Vec<&Container> = entry
                .containers
                .iter()
                .filter(|container| container.counts_until().is_none_or(|end| now < end))
                .collect();
            found.pods += usize::from(!counting.is_empty());
            found.containers += counting.iter().filter(|container| container.kind != ContainerKind::Volume).count();
            let ends = counting.iter().filter_map(|container| container.counts_until());
            found.next_change = ends.chain(found.next_change).min();
            found.count(entry, &counting, entry.node.as_deref().and_then(|node| self.nodes.platform(node)));
        }
        for image in found.images.values_mut() {
            image
                .containers
                .sort_by(|(pod, container), (other_pod, other)| (pod, &container.name).cmp(&(other_pod, &other.name)));
        }
        found
    }

    fn selected(
        &self,
        namespace: &str,
        selects: impl Fn(&BTreeMap<String, String>) -> bool,
    ) -> impl Iterator<Item = &Entry> {
        let uids = self.namespaces.get(namespace).into_iter().flatten();
        uids.filter_map(|uid| self.pods.get(uid)).filter(move |entry| selects(&entry.labels))
    }
}

impl NamespaceImages {
    fn count(&mut self, entry: &Entry, containers: &[&Container], platform: Option<&Platform>) {
        let pod: Arc<str> = entry.name.as_str().into();
        let mut images = BTreeSet::new();
        for container in containers {
            let image = self.images.entry(container.image.clone()).or_default();
            image.pods += usize::from(images.insert(&container.image));
            image.container_count += 1;
            image.containers.push((Arc::clone(&pod), (*container).clone()));
            image.references.insert(container.reference.clone());
            image.pull_secrets.extend(entry.pull_secrets.iter().cloned());
            image.platforms.extend(platform.cloned());
            image.on_unknown_platform |= platform.is_none();
        }
    }
}

impl Entry {
    /// `None` for a pod that runs nothing: one that has ended, or whose images are not known yet.
    fn of(pod: &SlimPod) -> Option<Self> {
        if matches!(pod.status.phase.as_deref(), Some("Succeeded" | "Failed")) {
            return None;
        }
        let (spec, status) = (&pod.spec, &pod.status);
        let kinds = [
            (&spec.init_containers, &status.init_container_statuses, ContainerKind::Init),
            (&spec.containers, &status.container_statuses, ContainerKind::Container),
            (&spec.ephemeral_containers, &status.ephemeral_container_statuses, ContainerKind::Ephemeral),
        ];
        let mut containers: Vec<Container> = kinds
            .into_iter()
            .flat_map(|(written, reported, kind)| {
                reported.iter().filter_map(move |status| Container::of(written, status, kind))
            })
            .collect();
        if containers.is_empty() {
            return None;
        }
        containers.extend(volume::mounted(pod));
        let mut pull_secrets: Vec<String> =
            spec.image_pull_secrets.iter().map(|secret| secret.name.clone()).filter(|name| !name.is_empty()).collect();
        pull_secrets.sort();
        pull_secrets.dedup();
        Some(Self {
            namespace: pod.metadata.namespace.clone()?,
            name: pod.metadata.name.clone()?,
            node: spec.node_name.clone(),
            labels: pod.metadata.labels.clone().unwrap_or_default(),
            pull_secrets,
            containers,
        })
    }
}

impl Container {
    /// `None` while the kubelet does not say which image it took: nothing runs yet.
    fn of(written: &[SlimContainer], status: &SlimContainerStatus, kind: ContainerKind) -> Option<Self> {
        let author = written.iter().find(|container| container.name == status.name);
        // Without the author's words (a status that came before its container), the runtime's are all there is.
        let reference = author.map_or_else(|| runtimes_words(status), |container| container.image.as_str());
        let digest = RunningDigest::reported(&status.image_id)?;
        // The author's repository chooses the policy and the place to look: the one in imageID is whichever the
        // node knew first (several repositories can share one image).
        let repository = repository_of(reference);
        let sidecar = author.and_then(|container| container.restart_policy.as_deref()) == Some("Always");
        let kind = if kind == ContainerKind::Init && sidecar { ContainerKind::Sidecar } else { kind };
        let state = match &status.state.terminated {
            Some(end) => ContainerState::Terminated { finished_at: end.finished_at },
            None => ContainerState::Running,
        };
        let image = ImageKey { repository, digest };
        Some(Self { name: status.name.clone(), kind, reference: shortened(reference, REFERENCE_MOST), image, state })
    }
}

/// What the runtime calls an image. One that was pulled by digest has that of its configuration as `image`, which is no
/// name at all; its repository stands in `imageID`.
fn runtimes_words(status: &SlimContainerStatus) -> &str {
    if matches!(status.image.parse(), Ok(ImageId::Digest(_))) { &status.image_id } else { &status.image }
}

/// The repository that an author names, or the words where those are no reference.
fn repository_of(reference: &str) -> String {
    match reference.parse::<Reference>() {
        Ok(reference) => reference.repository().to_string(),
        Err(_) => shortened(reference, TEXT_MOST),
    }
}

/// The beginning of a text from a pod, without control characters.
fn shortened(text: &str, most: usize) -> String {
    text.chars().filter(|character| !character.is_control()).take(most).collect()
}

#[cfg(test)]
mod tests;
