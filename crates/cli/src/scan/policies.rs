// SPDX-License-Identifier: Apache-2.0
//! What images are judged by: a policy from a file, or the cluster's own.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kube::ResourceExt as _;
use sealwatch_api::{TrustPolicy, TrustPolicySpec};
use sealwatch_operator::{
    Stores,
    once::AskError,
    policy::Policy,
    trust_store::{Loaded, bundles::Bundles},
};
use sealwatch_registry::Repository;
use sealwatch_verifier::{DigestMatching, Selection, select};

use super::place::Place;
use crate::{
    args::{self, ScanArguments},
    verify::policy_file::{self, manifest::Manifest},
};

/// A policy and how it is called in the answer.
#[derive(Clone)]
pub(super) struct Named {
    pub(super) label: Arc<str>,
    pub(super) policy: Arc<Policy>,
}

/// Policies by the namespace whose images they judge.
pub(super) type ByNamespace = BTreeMap<String, Vec<Named>>;

/// The policy of `--policy`.
pub(super) struct PolicyFile {
    pub(super) label: Arc<str>,
    file: policy_file::Policy,
    /// The name of the `TrustPolicy`, if it is one.
    pub(super) name: Option<String>,
    /// The `TrustPolicy`, if its trust stores name objects that do not stand in the file: those are the cluster's.
    rests_on_cluster: Option<TrustPolicy>,
}

impl PolicyFile {
    /// Reads what the flags name; `None` without `--policy`.
    pub(super) fn read(arguments: &ScanArguments) -> Result<Option<Self>, String> {
        let Some(path) = &arguments.policy else { return Ok(None) };
        let mut file = policy_file::Policy::read(path, arguments.trust_store.as_deref())?;
        file.bring(&arguments.crl)?;
        match arguments.digest_matching {
            Some(args::DigestMatching::Exact) => file.matching = DigestMatching::Exact,
            Some(args::DigestMatching::FollowIndex) => file.matching = DigestMatching::FollowIndex,
            None => {}
        }
        let manifest = file.manifest.as_ref();
        let name = manifest.and_then(|manifest| manifest.policy.metadata.name.clone());
        let alone = manifest.filter(|manifest| arguments.trust_store.is_none() && leaves_out(manifest));
        let rests_on_cluster = alone.map(|manifest| manifest.policy.clone());
        Ok(Some(Self { label: path.display().to_string().into(), file, name, rests_on_cluster }))
    }

    /// The policy for each of these namespaces, with what it names there and does not bring.
    pub(super) async fn for_namespaces(&self, place: &Place, namespaces: BTreeSet<&str>) -> ByNamespace {
        let mut policies = self.alone(namespaces.into_iter());
        if let Some(object) = &self.rests_on_cluster {
            for (namespace, named) in &mut policies {
                let mut object = object.clone();
                object.metadata.namespace = Some(namespace.clone());
                let own = place.cluster.load(&object).await;
                for named in named {
                    let stores = Arc::clone(&own.stores);
                    named.policy = Arc::new(Policy { stores, ..Policy::clone(&named.policy) });
                }
            }
        }
        policies
    }

    fn alone<'a>(&self, namespaces: impl Iterator<Item = &'a str>) -> ByNamespace {
        let file = &self.file;
        let plain = || TrustPolicy::new("policy", TrustPolicySpec::default());
        let object = file.manifest.as_ref().map_or_else(plain, |manifest| manifest.policy.clone());
        let stores = Stores { stores: file.stores.clone(), ..Stores::default() };
        let loaded = Loaded { stores, brought: file.brought.clone(), ..Loaded::default() };
        let mut policy = Policy::new(&object, loaded);
        policy.document = Ok(Arc::clone(&file.document));
        policy.matching = file.matching;
        policy.suspend = false;
        let of = |namespace: &str| {
            let policy = Arc::new(Policy { namespace: namespace.to_owned(), ..policy.clone() });
            (namespace.to_owned(), vec![Named { label: Arc::clone(&self.label), policy }])
        };
        namespaces.map(of).collect()
    }

    /// Whether every image of these repositories can be judged at all.
    ///
    /// # Errors
    /// The first trust store that is missing or bad.
    pub(super) fn check_stores<'a>(&self, repositories: impl Iterator<Item = &'a str>) -> Result<(), String> {
        if self.rests_on_cluster.is_some() {
            // What a namespace does not have is said of its images.
            return Ok(());
        }
        for repository in repositories.filter_map(|text| text.parse::<Repository>().ok()) {
            if let Selection::Judge(statement) = select(&self.file.document, &repository) {
                self.file.check_stores(statement)?;
            }
        }
        Ok(())
    }
}

/// Whether the trust stores of a policy name objects that do not stand in its file.
fn leaves_out(Manifest { policy, found }: &Manifest) -> bool {
    let mut sources = policy.spec.trust_stores.iter().flat_map(|store| &store.certificates);
    sources.any(|source| {
        let map = source.config_map_key_ref.as_ref().is_some_and(|of| !found.config_maps.contains_key(&of.name));
        let secret = source.secret_key_ref.as_ref().is_some_and(|of| !found.secrets.contains_key(&of.name));
        let has_bundles = matches!(&found.bundles, Bundles::Listed(bundles) if !bundles.is_empty());
        map || secret || source.cluster_trust_bundle.is_some() && !has_bundles
    })
}

/// The cluster's own policies, loaded; and what is worth saying of them.
pub(super) async fn of_cluster(place: &Place) -> Result<(ByNamespace, Vec<String>), String> {
    let found = place.cluster.trust_policies(place.namespace.as_deref()).await.map_err(|error| match error {
        AskError::Unknown(_) => format!(
            "the cluster at {} does not know the kind TrustPolicy; name a policy with --policy FILE, or apply the \
             definitions that `sealwatch crds` prints",
            place.cluster.url()
        ),
        error => {
            let remedy = "name a policy with --policy FILE, or ask for the right to list trustpolicies.sealwatch.dev";
            place.sentence("the TrustPolicies", &error, remedy)
        }
    })?;
    if found.is_empty() {
        return Err(format!("there is no TrustPolicy {}; name a policy with --policy FILE", place.of()));
    }
    let (mut policies, mut warnings) = (ByNamespace::new(), Vec::new());
    for object in found {
        let namespace = object.namespace().unwrap_or_default();
        let label = format!("{namespace}/{}", object.name_any());
        let mut policy = place.cluster.load(&object).await;
        if policy.suspend {
            warnings.push(format!("TrustPolicy {label} is suspended; its images are looked at all the same"));
            policy.suspend = false;
        }
        warnings.extend(policy.stores.problems.iter().map(|problem| format!("TrustPolicy {label}: {problem}")));
        warnings.extend(policy.brought.unread.iter().map(|problem| format!("TrustPolicy {label}: {problem}")));
        policies.entry(namespace).or_default().push(Named { label: label.into(), policy: Arc::new(policy) });
    }
    Ok((policies, warnings))
}
