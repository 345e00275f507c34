// SPDX-License-Identifier: Apache-2.0
//! What every reconcile shares.

use std::{
    collections::HashMap,
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

/// How soon after a pass over a trust policy that an image asked for the next one of that kind follows at the earliest. A
/// pass takes as long as there are images, and the summary is written once a second at most.
const SUMMARY_PACE: Duration = Duration::from_millis(500);

/// Ways to have something looked at again. A trigger that comes while its object is being looked at is not lost.
#[derive(Clone)]
pub struct Triggers {
    trust_policies: UnboundedSender<ObjectRef<TrustPolicy>>,
    images: UnboundedSender<ObjectRef<ImageVerification>>,
    summaries: Arc<Mutex<HashMap<ObjectRef<TrustPolicy>, Summary>>>,
}

/// When an image asked for a summary last, and whether another has asked since.
#[derive(Debug)]
struct Summary {
    asked: Instant,
    again: bool,
}

impl Triggers {
    /// Triggers that end in these channels. Their readers deduplicate at once, so they stay short.
    pub fn new(
        trust_policies: UnboundedSender<ObjectRef<TrustPolicy>>,
        images: UnboundedSender<ObjectRef<ImageVerification>>,
    ) -> Self {
        Self { trust_policies, images, summaries: Arc::default() }
    }

    /// Has a trust policy looked at again because what is known of one of its images has changed: at once, or with what
    /// else changes meanwhile, by [`Triggers::summarise`].
    pub fn summary(&self, policy: ObjectRef<TrustPolicy>, now: Instant) {
        let mut summaries = self.summaries();
        if let Some(summary) = summaries.get_mut(&policy)
            && now.saturating_duration_since(summary.asked) < SUMMARY_PACE
        {
            summary.again = true;
            return;
        }
        summaries.insert(policy.clone(), Summary { asked: now, again: false });
        drop(summaries);
        self.trust_policy(policy);
    }

    /// Has the trust policies looked at again whose images have waited for long enough.
    pub fn summarise(&self, now: Instant) {
        self.summaries().retain(|policy, summary| {
            let waits = now.saturating_duration_since(summary.asked) < SUMMARY_PACE;
            if waits || !summary.again {
                return waits;
            }
            *summary = Summary { asked: now, again: false };
            self.trust_policy(policy.clone());
            true
        });
    }

    fn summaries(&self) -> MutexGuard<'_, HashMap<ObjectRef<TrustPolicy>, Summary>> {
        self.summaries.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    use futures::channel::mpsc::{self, UnboundedReceiver};

    use super::*;

    fn triggered(policies: &mut UnboundedReceiver<ObjectRef<TrustPolicy>>) -> usize {
        std::iter::from_fn(|| policies.try_recv().ok()).count()
    }

    #[test]
    fn a_thousand_images_that_change_at_once_are_summed_up_twice_and_one_alone_at_once() {
        let ((policies, mut triggers), (images, _)) = (mpsc::unbounded(), mpsc::unbounded());
        let ways = Triggers::new(policies, images);
        let policy = |name: &str| ObjectRef::<TrustPolicy>::new(name).within("aio");
        let start = Instant::now();
        ways.summary(policy("alone"), start);
        assert_eq!(triggered(&mut triggers), 1);
        for _ in 0..1_000 {
            ways.summary(policy("many"), start);
        }
        assert_eq!(triggered(&mut triggers), 1, "another policy does not wait");
        ways.summarise(start + SUMMARY_PACE / 2);
        assert_eq!(triggered(&mut triggers), 0);
        ways.summarise(start + SUMMARY_PACE);
        assert_eq!(triggered(&mut triggers), 1, "none that changed meanwhile is left out");
        ways.summary(policy("many"), start + SUMMARY_PACE);
        ways.summarise(start + 2 * SUMMARY_PACE);
        assert_eq!(triggered(&mut triggers), 1);
        ways.summarise(start + 3 * SUMMARY_PACE);
        assert_eq!(triggered(&mut triggers), 0);
        assert!(ways.summaries().is_empty(), "nothing is remembered of whom nothing waits for");
        // Everybody else has it looked at as often as there is a cause.
        ways.trust_policy(policy("many"));
        ways.trust_policy(policy("many"));
        assert_eq!(triggered(&mut triggers), 2);
    }
}
