// SPDX-License-Identifier: Apache-2.0
//! The platforms of nodes: what they tell is decoded alone, as pods are.

use std::collections::{BTreeSet, HashMap};

use k8s_openapi::api::core::v1::Node;
use kube::{Resource, api::ObjectMeta};
use sealwatch_registry::Platform;
use serde::{Deserialize, Serialize};

use super::{Entry, RunningIndex};

/// A Node, without what does not concern us.
#[derive(Resource, Clone, Debug, Default, Serialize, Deserialize)]
#[resource(inherit = "Node")]
#[serde(default)]
pub struct SlimNode {
    /// The name is used.
    pub metadata: ObjectMeta,
    /// What the kubelet reports.
    pub status: SlimNodeStatus,
}

/// What a kubelet reports of its node.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SlimNodeStatus {
    /// What the node is.
    pub node_info: SlimNodeInfo,
}

/// What a node is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SlimNodeInfo {
    /// `GOOS` of the kubelet.
    pub operating_system: String,
    /// `GOARCH` of the kubelet.
    pub architecture: String,
}

impl SlimNode {
    /// Its platform; `None` while it tells none.
    pub fn platform(&self) -> Option<Platform> {
        let info = &self.status.node_info;
        Platform::new(&info.operating_system, &info.architecture)
    }
}

/// The platforms of the nodes that are known.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    platforms: HashMap<String, Platform>,
    /// While a list is coming in: the nodes seen so far.
    listing: Option<BTreeSet<String>>,
}

impl Nodes {
    pub(super) fn platform(&self, node: &str) -> Option<&Platform> {
        self.platforms.get(node)
    }

    /// Returns whether that is news.
    pub(super) fn apply(&mut self, name: &str, platform: Option<Platform>) -> bool {
        if let Some(listing) = &mut self.listing {
            listing.insert(name.to_owned());
        }
        match platform {
            Some(platform) => self.platforms.insert(name.to_owned(), platform.clone()) != Some(platform),
            None => self.platforms.remove(name).is_some(),
        }
    }

    pub(super) fn list_begins(&mut self) {
        self.listing = Some(BTreeSet::new());
    }

    /// Returns the nodes that are gone.
    pub(super) fn list_ends(&mut self) -> BTreeSet<String> {
        let Some(seen) = self.listing.take() else { return BTreeSet::new() };
        let gone: BTreeSet<String> = self.platforms.keys().filter(|name| !seen.contains(*name)).cloned().collect();
        self.platforms.retain(|name, _| !gone.contains(name));
        gone
    }
}

impl RunningIndex {
    /// The platform of a node is known now, or no longer. Returns the namespaces of the pods that it runs, if that is
    /// news.
    pub fn apply_node(&mut self, name: &str, platform: Option<Platform>) -> BTreeSet<String> {
        let changed = self.nodes.apply(name, platform);
        self.namespaces_on(&BTreeSet::from_iter(changed.then(|| name.to_owned())))
    }

    /// A new list of all nodes begins.
    pub fn node_list_begins(&mut self) {
        self.nodes.list_begins();
    }

    /// The list of nodes is complete: what it did not name is gone. Returns as [`RunningIndex::apply_node`].
    pub fn node_list_ends(&mut self) -> BTreeSet<String> {
        let gone = self.nodes.list_ends();
        self.namespaces_on(&gone)
    }

    fn namespaces_on(&self, nodes: &BTreeSet<String>) -> BTreeSet<String> {
        if nodes.is_empty() {
            return BTreeSet::new();
        }
        let runs_there = |entry: &&Entry| entry.node.as_ref().is_some_and(|node| nodes.contains(node));
        self.pods.values().filter(runs_there).map(|entry| entry.namespace.clone()).collect()
    }
}
