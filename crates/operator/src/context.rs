// SPDX-License-Identifier: Apache-2.0
//! What every reconcile shares.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::channel::mpsc::UnboundedSender;
use kube::{
    Client,
    runtime::{
        events::{Recorder, Reporter},
        reflector::{ObjectRef, Store},
    },
};
use sealwatch_api::{ImageVerification, TrustPolicy};
use sealwatch_registry::HttpRegistry;
use sealwatch_verifier::{Revocation, Verifier};
use tokio::sync::Notify;

use crate::{
    config_maps::ConfigMaps,
    image_verification::memory::{Discoveries, Images},
    metrics::Metrics,
    policy::Policies,
    running::RunningIndex,
    trust_policy::Memories,
};

/// After a restart, a status that an earlier process wrote stands for this long while there is no answer of our own.
pub const STARTUP_GRACE: Duration = Duration::from_mins(2);

/// The kinds whose first complete list must be in before anything is decided.
///
/// Nodes that are not shown to us are as good as listed: images are judged without their platforms then.
pub const WATCHED: [&str; 5] = ["Pod", "TrustPolicy", "ImageVerification", "ConfigMap", "Node"];

/// What the user chose for this process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The one namespace to watch; `None` for all.
    pub namespace: Option<String>,
    /// How long an `ImageVerification` stays after the last pod that ran its image is gone.
    pub collect_after: Duration,
}

/// What every reconcile shares.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// The engine; it remembers evidence.
    pub verifier: Arc<Verifier<HttpRegistry>>,
    /// What was heard about revocation.
    pub revocation: Arc<Revocation>,
    /// Which images run.
    pub running: Mutex<RunningIndex>,
    /// The trust policies as they were last loaded.
    pub policies: Policies,
    /// What runs, by policy.
    pub discoveries: Discoveries,
    /// What this process remembers of each policy.
    pub memories: Memories,
    /// What this process knows of each `ImageVerification`.
    pub images: Images,
    /// The `ConfigMaps` that trust stores name.
    pub config_maps: ConfigMaps,
    /// Every `TrustPolicy` of the watch.
    pub trust_policies: Store<TrustPolicy>,
    /// Every `ImageVerification` of the watch.
    pub image_verifications: Store<ImageVerification>,
    /// Ways to have something looked at again.
    pub triggers: Triggers,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where events go.
    pub recorder: Recorder,
    /// Which first lists are in.
    pub synced: Synced,
    /// When this process began.
    pub started: Instant,
    /// What the user chose.
    pub settings: Settings,
}

impl Context {
    /// The index of running images.
    pub fn running(&self) -> MutexGuard<'_, RunningIndex> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an earlier process's statuses may still stand in for answers of our own.
    pub fn in_startup_grace(&self) -> bool {
        self.started.elapsed() < STARTUP_GRACE
    }

    /// The images of a trust policy, its own and those that people wrote for it.
    pub fn images_of(&self, namespace: &str, policy: &str) -> Vec<Arc<ImageVerification>> {
        let mut images = self.image_verifications.state();
        images.retain(|image| {
            image.metadata.namespace.as_deref() == Some(namespace) && image.spec.trust_policy_ref.name == policy
        });
        images
    }

    /// Has every image of a trust policy looked at again.
    pub fn trigger_images_of(&self, namespace: &str, policy: &str) {
        for image in self.images_of(namespace, policy) {
            self.triggers.image(ObjectRef::from_obj(&*image));
        }
    }

    /// Has every trust policy looked at again.
    pub fn trigger_all(&self) {
        for policy in self.trust_policies.state() {
            self.triggers.trust_policy(ObjectRef::from_obj(&*policy));
        }
    }

    /// Has every trust policy of a namespace looked at again.
    pub fn trigger_namespace(&self, namespace: &str) {
        for policy in self.trust_policies.state() {
            if policy.metadata.namespace.as_deref() == Some(namespace) {
                self.triggers.trust_policy(ObjectRef::from_obj(&*policy));
            }
        }
    }
}

/// The recorder of events in the operator's name.
pub fn recorder(client: Client) -> Recorder {
    let instance = std::env::var("HOSTNAME").ok();
    Recorder::new(client, Reporter { controller: "sealwatch.dev/operator".into(), instance })
}

/// Ways to have something looked at again. A trigger that comes while its object is being looked at is not lost.
#[derive(Clone)]
pub struct Triggers {
    trust_policies: UnboundedSender<ObjectRef<TrustPolicy>>,
    images: UnboundedSender<ObjectRef<ImageVerification>>,
}

impl Triggers {
    /// Triggers that end in these channels. Their readers deduplicate at once, so they stay short.
    pub fn new(
        trust_policies: UnboundedSender<ObjectRef<TrustPolicy>>,
        images: UnboundedSender<ObjectRef<ImageVerification>>,
    ) -> Self {
        Self { trust_policies, images }
    }

    /// Has a trust policy looked at again.
    pub fn trust_policy(&self, policy: ObjectRef<TrustPolicy>) {
        // A closed channel means that the process is ending.
        let _ = self.trust_policies.unbounded_send(policy);
    }

    /// Has an image looked at again.
    pub fn image(&self, image: ObjectRef<ImageVerification>) {
        let _ = self.images.unbounded_send(image);
    }
}

/// Which first lists are in.
#[derive(Clone, Default)]
pub struct Synced {
    inner: Arc<SyncedInner>,
}

#[derive(Default)]
struct SyncedInner {
    kinds: Mutex<BTreeSet<&'static str>>,
    /// Why the API server does not show us pods, while it does not.
    pods_forbidden: Mutex<Option<String>>,
    changed: Notify,
}

impl Synced {
    /// The first complete list of `kind` is in.
    pub fn done(&self, kind: &'static str) {
        self.inner.kinds.lock().unwrap_or_else(PoisonError::into_inner).insert(kind);
        self.inner.changed.notify_waiters();
    }

    /// The kinds whose first list is not in.
    pub fn missing(&self) -> Vec<&'static str> {
        let kinds = self.inner.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        WATCHED.into_iter().filter(|kind| !kinds.contains(kind)).collect()
    }

    /// The API server shows us pods, or says why it does not. Returns whether that is news.
    pub fn pods_forbidden(&self, why: Option<String>) -> bool {
        let mut known = self.inner.pods_forbidden.lock().unwrap_or_else(PoisonError::into_inner);
        let news = known.is_some() != why.is_some();
        *known = why;
        drop(known);
        self.inner.changed.notify_waiters();
        news
    }

    /// Why the API server does not show us pods, while it does not.
    pub fn why_no_pods(&self) -> Option<String> {
        self.inner.pods_forbidden.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until every first list is in.
    pub async fn wait(&self) {
        self.until(|| self.missing().is_empty()).await;
    }

    /// Waits until every first list is in, or all but that of pods, which are not shown to us.
    pub async fn wait_or_forbidden(&self) {
        self.until(|| {
            let missing = self.missing();
            missing.is_empty() || missing == ["Pod"] && self.why_no_pods().is_some()
        })
        .await;
    }

    async fn until(&self, done: impl Fn() -> bool) {
        loop {
            let changed = self.inner.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that a change in between is not missed.
            changed.as_mut().enable();
            if done() {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_ends_only_when_every_first_list_is_in() {
        let synced = Synced::default();
        for kind in WATCHED {
            let waiting = tokio::time::timeout(Duration::from_millis(5), synced.wait()).await;
            assert!(waiting.is_err(), "did not wait for {kind}");
            synced.done(kind);
        }
        synced.wait().await;
        assert!(synced.missing().is_empty());
    }

    #[tokio::test]
    async fn pods_that_are_not_shown_do_not_keep_a_policy_from_saying_so() {
        let synced = Synced::default();
        for kind in WATCHED.into_iter().filter(|kind| *kind != "Pod") {
            synced.done(kind);
        }
        let waiting = tokio::time::timeout(Duration::from_millis(5), synced.wait_or_forbidden()).await;
        assert!(waiting.is_err(), "pods may still come");
        assert!(synced.pods_forbidden(Some("forbidden".into())));
        assert!(!synced.pods_forbidden(Some("still".into())), "no news");
        synced.wait_or_forbidden().await;
        assert!(tokio::time::timeout(Duration::from_millis(5), synced.wait()).await.is_err());
        assert!(synced.pods_forbidden(None));
        assert_eq!(synced.why_no_pods(), None);
    }
}
