// SPDX-License-Identifier: Apache-2.0
//! Reading what the trust stores and revocation lists of a policy are made of.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use kube::Client;
use sealwatch_api::TrustPolicySpec;
use sealwatch_verifier::BroughtLists;

use super::{
    Found, Stores,
    bundles::ClusterTrustBundles,
    load,
    secrets::{self, Freshness, Secrets},
};
use crate::{apply::bounded, config_maps::ConfigMaps, revocation_lists};

/// The trust stores of one policy, and what they were loaded from.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The stores.
    pub stores: Stores,
    /// The revocation lists that the policy brings.
    pub brought: BroughtLists,
    /// The `ConfigMaps` that it names.
    pub config_maps: BTreeSet<String>,
    /// Whether it names `ClusterTrustBundle`s.
    pub bundles: bool,
    /// Whether one of the `ConfigMaps` could not be asked for: then it is worth trying again.
    pub incomplete: bool,
    /// When a Secret is to be read again.
    pub next: Option<Duration>,
}

/// What is read with.
pub struct Reader<'a> {
    /// The API server.
    pub client: &'a Client,
    /// The `ConfigMap`s that were read.
    pub config_maps: &'a ConfigMaps,
    /// Why changes of `ConfigMap`s cannot be seen, while they cannot: then none of them can be relied on.
    pub blind: Option<String>,
    /// The `ClusterTrustBundle`s.
    pub bundles: &'a ClusterTrustBundles,
}

impl Reader<'_> {
    /// Reads what a policy names and loads its trust stores. What the API server refuses to show makes a store
    /// unavailable, with its words.
    pub async fn read(
        &self,
        namespace: &str,
        spec: &TrustPolicySpec,
        secrets: &mut Secrets,
        freshness: &Freshness,
    ) -> Loaded {
        let mut found = Found::default();
        let config_maps = config_maps(spec);
        for name in &config_maps {
            let held = match &self.blind {
                Some(why) => Err(why.clone()),
                None => {
                    bounded(self.config_maps.read(self.client, namespace, name)).await.map_err(|error| error.sentence())
                }
            };
            found.config_maps.insert(name.clone(), held);
        }
        let incomplete = found.config_maps.values().any(Result::is_err);
        secrets.refresh(self.client, namespace, &secrets::wanted(spec), freshness).await;
        found.secrets = secrets.held();
        let bundles = names_bundles(spec);
        if bundles {
            found.bundles = self.bundles.read().await;
        }
        Loaded {
            stores: load(spec, &found),
            brought: revocation_lists::load(spec, &found),
            config_maps,
            bundles,
            incomplete,
            next: secrets.next(freshness, Instant::now()),
        }
    }
}

/// The names of the `ConfigMap`s that a policy's trust stores and revocation lists name.
fn config_maps(spec: &TrustPolicySpec) -> BTreeSet<String> {
    let sources = spec.trust_stores.iter().flat_map(|store| &store.certificates);
    let sources = sources.filter_map(|source| source.config_map_key_ref.as_ref());
    sources.chain(revocation_lists::sources(spec)).map(|reference| reference.name.clone()).collect()
}

fn names_bundles(spec: &TrustPolicySpec) -> bool {
    let mut sources = spec.trust_stores.iter().flat_map(|store| &store.certificates);
    sources.any(|source| source.cluster_trust_bundle.is_some())
}
