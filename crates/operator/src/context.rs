// SPDX-License-Identifier: Apache-2.0
//! What every reconcile shares.

use std::{
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

use crate::{
    config_maps::ConfigMaps,
    image_verification::memory::{Discoveries, Images},
    metrics::Metrics,
    policy::Policies,
    running::RunningIndex,
    sight::Sight,
    trust_policy::Memories,
    trust_store::bundles::ClusterTrustBundles,
};

/// After a restart, a status that an earlier process wrote stands for this long while there is no answer of our own.
pub const STARTUP_GRACE: Duration = Duration::from_mins(2);

/// What the user chose for this process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The one namespace to watch; `None` for all.
    pub namespace: Option<String>,
    /// How long an `ImageVerification` stays after the last pod that ran its image is gone.
    pub collect_after: Duration,
    /// How long one watch request may last.
    pub watch_timeout: Duration,
    /// Whether each running image has a series in the metrics.
    pub metrics_per_image: bool,
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
    /// The `ClusterTrustBundle`s that trust stores name.
    pub bundles: ClusterTrustBundles,
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
    /// What is seen of the cluster.
    pub sight: Sight,
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

    /// Has every image looked at again.
    pub fn trigger_images(&self) {
        for image in self.image_verifications.state() {
            self.triggers.image(ObjectRef::from_obj(&*image));
        }
    }

    /// Has every trust policy looked at again whose trust stores name `ClusterTrustBundle`s.
    pub fn trigger_with_bundles(&self) {
        for (namespace, name) in self.policies.with_bundles() {
            self.triggers.trust_policy(ObjectRef::new(&name).within(&namespace));
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
