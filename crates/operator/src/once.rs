// SPDX-License-Identifier: Apache-2.0
//! A cluster read once, by somebody who may see little of it: nothing is watched, written or installed.
//!
//! What runs is what the operator's own index says ([`crate::running`]), and images are judged by the steps of its
//! reconcile ([`crate::image_verification::once`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::Arc,
    time::Duration,
};

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api, Client, Config, Resource, ResourceExt,
    api::{DynamicObject, ListParams},
};
use sealwatch_api::{TrustPolicy, text::clip};
use sealwatch_registry::Credentials;
use serde::de::DeserializeOwned;

use crate::{
    check::QUOTE_MOST,
    config_maps::ConfigMaps,
    image_verification::look::{SECRETS_MOST, credentials_of},
    policy::Policy,
    running::{RunningIndex, node::SlimNode, pod::SlimPod},
    trust_store::{
        Reader,
        bundles::{Bundles, ClusterTrustBundles},
        secrets::{Freshness, Secrets},
    },
    watches::{PAGE, api, bundles},
};

/// How long one question may take: nobody watches a command for longer without a word.
const ANSWER_MOST: Duration = Duration::from_secs(15);
/// How many pages of one list are read: with them a million pods, more than Kubernetes is made for.
const PAGES_MOST: usize = 2000;

/// Why the API server has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// It said nothing in time.
    #[error("it did not answer within {} s", ANSWER_MOST.as_secs())]
    Silent,
    /// It does not know who asks.
    #[error("it does not accept the credentials ({0})")]
    Unauthorized(String),
    /// Who asks may not see that.
    #[error("it refuses ({0})")]
    Forbidden(String),
    /// It has no such object, or no such kind.
    #[error("it has none ({0})")]
    Unknown(String),
    /// Anything else: no connection, TLS, an answer that cannot be read.
    #[error("{0}")]
    Other(String),
}

impl From<kube::Error> for AskError {
    fn from(error: kube::Error) -> Self {
        if let kube::Error::Api(status) = &error {
            let message = clip(&status.message, QUOTE_MOST);
            return match status.code {
                401 => Self::Unauthorized(message),
                403 => Self::Forbidden(message),
                404 => Self::Unknown(message),
                code => Self::Other(format!("it answered {code} ({message})")),
            };
        }
        // The innermost cause says most.
        let mut cause: &dyn std::error::Error = &error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        Self::Other(clip(&cause.to_string(), QUOTE_MOST))
    }
}

/// A way to a cluster that is only read.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    url: String,
}

/// What the pull secrets of an image came to.
#[derive(Clone, Debug, Default)]
pub struct Pulled {
    /// What could be read.
    pub credentials: Credentials,
    /// The secrets that may not be read.
    pub forbidden: BTreeSet<String>,
}

impl Cluster {
    /// A way to the API server; it is not asked yet.
    ///
    /// # Errors
    /// The configuration cannot be used, such as a certificate in it that is none.
    pub fn new(config: Config) -> Result<Self, AskError> {
        let url = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        Ok(Self { client: Client::try_from(config)?, url })
    }

    /// The address of the API server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Which images run in a namespace, or in all. Where nodes may be seen, their platforms are known too.
    ///
    /// # Errors
    /// The pods may not be listed, or the API server does not answer.
    pub async fn running(&self, namespace: Option<&str>) -> Result<RunningIndex, AskError> {
        let mut index = RunningIndex::default();
        pages(&api::<SlimPod>(self.client.clone(), namespace), |pod| drop(index.apply(&pod))).await?;
        let nodes = Api::<SlimNode>::all(self.client.clone());
        match pages(&nodes, |node| drop(index.apply_node(&node.name_any(), node.platform()))).await {
            // Then any platform may be meant, which asks for more signatures and never for fewer.
            Ok(()) | Err(AskError::Forbidden(_)) => Ok(index),
            Err(error) => Err(error),
        }
    }

    /// Whether there is a namespace of that name; `None` where that may not be asked.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn has_namespace(&self, name: &str) -> Result<Option<bool>, AskError> {
        match within(Api::<Namespace>::all(self.client.clone()).get_metadata(name)).await {
            Ok(_) => Ok(Some(true)),
            Err(AskError::Unknown(_)) => Ok(Some(false)),
            Err(AskError::Forbidden(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The trust policies of a namespace, or of all.
    ///
    /// # Errors
    /// [`AskError::Unknown`] where the kind is not installed; they may not be listed, or the API server does not answer.
    pub async fn trust_policies(&self, namespace: Option<&str>) -> Result<Vec<TrustPolicy>, AskError> {
        let mut found = Vec::new();
        pages(&api::<TrustPolicy>(self.client.clone(), namespace), |policy| found.push(policy)).await?;
        Ok(found)
    }

    /// A trust policy with what its trust stores and revocation lists name. What cannot be read makes its trust store
    /// unavailable, as in the operator.
    pub async fn load(&self, policy: &TrustPolicy) -> Policy {
        let sources = || policy.spec.trust_stores.iter().flat_map(|store| &store.certificates);
        let bundles = ClusterTrustBundles::default();
        if sources().any(|source| source.cluster_trust_bundle.is_some()) {
            bundles.set(self.bundles().await);
        }
        let config_maps = ConfigMaps::default();
        let reader = Reader { client: &self.client, config_maps: &config_maps, blind: None, bundles: &bundles };
        let once = Freshness { period: Duration::MAX, stale_after: Duration::MAX, request: None };
        let namespace = policy.namespace().unwrap_or_default();
        let loaded = reader.read(&namespace, &policy.spec, &mut Secrets::default(), &once).await;
        Policy::new(policy, loaded)
    }

    async fn bundles(&self) -> Bundles {
        let resource = match bundles::served(&self.client).await {
            Ok(Some(resource)) => resource,
            Ok(None) => return Bundles::Unavailable(bundles::NOT_SERVED.to_owned()),
            Err(error) => return Bundles::Unavailable(format!("ClusterTrustBundles cannot be asked for: {error}")),
        };
        let mut found = BTreeMap::new();
        let all = Api::<DynamicObject>::all_with(self.client.clone(), &resource);
        let listed = pages(&all, |bundle| drop(found.insert(bundle.name_any(), bundles::read(&bundle))));
        match listed.await {
            Ok(()) => Bundles::Listed(Arc::new(found)),
            Err(error) => Bundles::Unavailable(format!("ClusterTrustBundles cannot be listed: {error}")),
        }
    }

    /// The credentials of these pull secrets, of at most 16. One that does not exist or is none is passed over, as the
    /// kubelet does.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn pull_secrets(&self, namespace: &str, names: &[String]) -> Result<Pulled, AskError> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let mut pulled = Pulled::default();
        for name in names.iter().take(SECRETS_MOST) {
            match within(secrets.get_opt(name)).await {
                Ok(secret) => secret.iter().for_each(|secret| pulled.credentials.merge(credentials_of(secret))),
                Err(AskError::Forbidden(_)) => drop(pulled.forbidden.insert(name.clone())),
                Err(error) => return Err(error),
            }
        }
        Ok(pulled)
    }
}

/// Reads a list page by page.
async fn pages<K>(api: &Api<K>, mut take: impl FnMut(K)) -> Result<(), AskError>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let mut params = ListParams::default().limit(PAGE);
    for _ in 0..PAGES_MOST {
        let page = within(api.list(&params)).await?;
        page.items.into_iter().for_each(&mut take);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(()),
        }
    }
    Err(AskError::Other(format!("its list does not end after {PAGES_MOST} pages")))
}

async fn within<T>(question: impl Future<Output = kube::Result<T>>) -> Result<T, AskError> {
    match tokio::time::timeout(ANSWER_MOST, question).await {
        Ok(answer) => answer.map_err(AskError::from),
        Err(_) => Err(AskError::Silent),
    }
}

#[cfg(test)]
mod tests;
