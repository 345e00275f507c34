// SPDX-License-Identifier: Apache-2.0
//! The `ClusterTrustBundle`s of the cluster: watched once a policy names one, and chosen by name or by signer and labels.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::core::{Selector, SelectorExt as _};
use sealwatch_api::ClusterTrustBundleSource;
use serde::Deserialize;
use tokio::sync::Notify;

/// How long a policy waits for the first list, before it says that there is none.
const FIRST_LIST_MOST: Duration = Duration::from_secs(30);

/// The part of a `ClusterTrustBundle` that matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The signer that it belongs to, if it does to one.
    pub signer: Option<String>,
    /// Certificates in PEM form.
    pub pem: Arc<str>,
}

/// The `spec` of a `ClusterTrustBundle`, the same in every version of the API.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    signer_name: Option<String>,
    trust_bundle: String,
}

impl Bundle {
    /// Reads an object of whichever version; what it lacks is empty, and so no certificate.
    pub fn new(labels: BTreeMap<String, String>, spec: &serde_json::Value) -> Self {
        let Spec { signer_name, trust_bundle } = Spec::deserialize(spec).unwrap_or_default();
        Self { labels, signer: signer_name.filter(|signer| !signer.is_empty()), pem: trust_bundle.into() }
    }
}

/// All of the cluster's, by name.
pub type ByName = BTreeMap<String, Bundle>;

/// What is known of the `ClusterTrustBundle`s of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bundles {
    /// These are there.
    Listed(Arc<ByName>),
    /// They cannot be had; in a sentence why.
    Unavailable(String),
}

impl Default for Bundles {
    fn default() -> Self {
        Self::Unavailable("ClusterTrustBundles were not asked for".into())
    }
}

impl Bundles {
    /// The bundles that a source names, at least one.
    pub(super) fn chosen_by(&self, wanted: &ClusterTrustBundleSource) -> Result<Vec<(&str, &Bundle)>, String> {
        let bundles = match self {
            Self::Listed(bundles) => bundles,
            Self::Unavailable(why) => return Err(why.clone()),
        };
        if let Some(name) = &wanted.name {
            let bundle = bundles.get_key_value(name);
            let bundle = bundle.map(|(name, bundle)| vec![(name.as_str(), bundle)]);
            return bundle.ok_or_else(|| format!("ClusterTrustBundle {name:?} does not exist"));
        }
        let signer = wanted.signer_name.as_deref().unwrap_or_default();
        let selector = Selector::try_from(wanted.label_selector.clone().unwrap_or_default());
        let selector = selector.map_err(|error| format!("labelSelector: {error}"))?;
        let of_signer = || bundles.iter().filter(|(_, bundle)| bundle.signer.as_deref() == Some(signer));
        let chosen: Vec<_> = of_signer().filter(|(_, bundle)| selector.matches(&bundle.labels)).collect();
        if chosen.is_empty() {
            return Err(match of_signer().count() {
                0 => format!("there is no ClusterTrustBundle of signer {signer:?}"),
                count => format!("labelSelector matches none of {count} ClusterTrustBundles of signer {signer:?}"),
            });
        }
        Ok(chosen.into_iter().map(|(name, bundle)| (name.as_str(), bundle)).collect())
    }
}

/// The `ClusterTrustBundle`s, shared by the watch that fills them and the policies that read them.
#[derive(Debug, Default)]
pub struct ClusterTrustBundles {
    /// Why they are never asked for, if they are not.
    never: Option<String>,
    known: Mutex<Option<Bundles>>,
    wanted: Notify,
    changed: Notify,
}

impl ClusterTrustBundles {
    /// Those of an operator that is installed for one namespace: there are none, and nothing is asked.
    pub fn for_namespace(namespace: &str) -> Self {
        let why = format!(
            "needs an operator that is installed cluster-wide, and this one watches the namespace {namespace:?} only; \
             use configMapKeyRef, secretKeyRef or pem"
        );
        Self { never: Some(why), ..Self::default() }
    }

    fn known(&self) -> MutexGuard<'_, Option<Bundles>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known. The first to ask sets the watch off and waits for its first list, for 30 s at most.
    pub async fn read(&self) -> Bundles {
        if let Some(why) = &self.never {
            return Bundles::Unavailable(why.clone());
        }
        self.wanted.notify_one();
        let known = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(known) = self.known().clone() {
                    return known;
                }
                changed.await;
            }
        };
        let waited = tokio::time::timeout(FIRST_LIST_MOST, known).await;
        waited.unwrap_or_else(|_| Bundles::Unavailable("ClusterTrustBundles were not listed within 30 s".into()))
    }

    /// Resolves once a policy has asked for them.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// A list is complete, or one of its objects changed. Returns whether anything is another than before.
    pub fn set(&self, now: Bundles) -> bool {
        let mut known = self.known();
        let news = known.as_ref() != Some(&now);
        *known = Some(now);
        drop(known);
        self.changed.notify_waiters();
        news
    }

    /// They could not be asked for just now: what was listed before stays, else this is what is known.
    pub fn failed(&self, why: String) -> bool {
        if matches!(&*self.known(), Some(Bundles::Listed(_))) {
            return false;
        }
        self.set(Bundles::Unavailable(why))
    }

    /// Changes the list that is there.
    pub fn change(&self, change: impl FnOnce(&mut ByName)) -> bool {
        let Some(Bundles::Listed(mut listed)) = self.known().clone() else { return false };
        change(Arc::make_mut(&mut listed));
        self.set(Bundles::Listed(listed))
    }
}
