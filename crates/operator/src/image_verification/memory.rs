// SPDX-License-Identifier: Apache-2.0
//! What this process knows of each `ImageVerification`: the evidence, how the last look went, what was written.

use std::{
    collections::{BTreeMap, HashMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use kube::runtime::reflector::ObjectRef;
use sealwatch_api::{ImageVerification, ImageVerificationStatus, Reason};
use sealwatch_registry::Reference;
use sealwatch_verifier::{DigestMatching, Findings, Platforms, schedule};

use crate::{config_maps::Key, status::policy::ImageResult};

/// How soon the same is asked about revocation again at the earliest, whatever is due: memory is bounded, and what
/// does not fit in must not be asked for without end.
const REVOCATION_PACE: Duration = Duration::from_secs(10);

/// What names a policy as it is at one time: its generation, and the hash of what it trusts.
pub type JudgedBy = (i64, String);

/// How a look failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookError {
    /// The reason.
    pub reason: Reason,
    /// What happened, in a sentence.
    pub message: String,
    /// How long the registry asks us to wait.
    pub retry_after: Option<Duration>,
}

/// What decides, beside the digest that runs, what is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Framing {
    /// Whose signatures count.
    pub matching: DigestMatching,
    /// How the pods name the image.
    pub references: Vec<Reference>,
    /// Where it runs.
    pub platforms: Platforms,
}

/// What asks for a look: the annotation of the image, that of its policy, and that something else is to be looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The annotation of the `ImageVerification`.
    pub image: Option<String>,
    /// The annotation of the `TrustPolicy`.
    pub policy: Option<String>,
    /// What is looked at, where not the digest that runs alone.
    pub framing: Option<Framing>,
}

impl Request {
    /// Whether somebody asks for more than what is known, beside what `handled` answered.
    pub fn asks_afresh(&self, handled: &Self) -> bool {
        let annotations = |request: &Self| (request.image.clone(), request.policy.clone());
        annotations(self) != annotations(handled) && annotations(self) != (None, None)
    }
}

/// The looks at one image: when, how they went, and what they brought.
#[derive(Clone, Debug, Default)]
pub struct Looks {
    /// A number that belongs to the image, for its place within the jitter.
    pub seed: u64,
    /// Whether one is under way.
    pub in_flight: bool,
    /// What the last one found that succeeded.
    pub findings: Option<Arc<Findings>>,
    /// How the last one failed, if it did.
    pub error: Option<LookError>,
    /// How many failed in a row.
    pub failures: u32,
    /// When the last one ended.
    pub ended: Option<Instant>,
    /// The pause before the next, if the last one was not wholly a success.
    pub pause: Option<Duration>,
    /// The generation of the policy at the last one.
    pub generation: i64,
    /// The request that the last one answered.
    pub handled: Request,
    /// When revocation was asked about last, and for which policy.
    pub learnt: Option<(Instant, JudgedBy)>,
}

impl Looks {
    /// How long until the next look, zero if it is due: the period after one that succeeded, the pause after one that
    /// failed. A request that was not answered yet is due at once, and so is an image that could not be looked at
    /// before its policy was edited: the edit may be the remedy.
    pub fn wait(&self, wanted: &Request, generation: i64, period: Duration, now: Instant) -> Duration {
        let edited = self.error.is_some() && self.generation != generation;
        let Some(ended) = self.ended.filter(|_| self.handled == *wanted && !edited) else { return Duration::ZERO };
        let pause = self.pause.unwrap_or(period);
        pause.saturating_sub(now.saturating_duration_since(ended))
    }

    /// How long until something about revocation is to be asked: what is due, at a pace. A policy that was edited has
    /// questions of its own.
    pub fn revocation_wait(&self, due: Option<Duration>, policy: &JudgedBy, now: Instant) -> Option<Duration> {
        let learnt = self.learnt.as_ref().filter(|(_, learnt_for)| learnt_for == policy);
        let pace =
            learnt.map_or(Duration::ZERO, |(at, _)| REVOCATION_PACE.saturating_sub(now.saturating_duration_since(*at)));
        due.map(|due| due.max(pace))
    }

    /// Takes in that a look asked about revocation alone.
    pub fn learnt(&mut self, policy: JudgedBy, now: Instant) {
        self.in_flight = false;
        self.learnt = Some((now, policy));
    }

    fn spread(&self, pause: Duration) -> Duration {
        schedule::spread(pause, self.failures, self.seed)
    }

    /// Takes in how a look went.
    pub fn ended(&mut self, outcome: Result<Arc<Findings>, LookError>, asked: Request, generation: i64, now: Instant) {
        self.in_flight = false;
        self.handled = asked;
        self.generation = generation;
        self.ended = Some(now);
        self.pause = match outcome {
            Ok(findings) => {
                let partial = findings.is_partial();
                self.findings = Some(findings);
                self.error = None;
                self.failures = if partial { self.failures.saturating_add(1) } else { 0 };
                partial.then(|| self.spread(schedule::retry(self.failures, None)))
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                if error.reason == Reason::ImageNotFound {
                    // The registry has answered: what was known of the image there no longer holds.
                    self.findings = None;
                }
                let pause = self.spread(schedule::retry(self.failures, error.retry_after));
                self.error = Some(error);
                Some(pause)
            }
        };
    }
}

/// What this process knows of one `ImageVerification`.
#[derive(Debug, Default)]
pub struct Memory {
    /// Its identity: another object of the same name is another one.
    pub uid: String,
    /// The looks at it.
    pub looks: Looks,
    /// The status that was written last.
    pub written: Option<ImageVerificationStatus>,
    /// The resourceVersion that the last write was judged by: as long as we see that one, our view is old.
    pub judged_version: Option<String>,
    /// What its policy's summary counts.
    pub result: Option<ImageResult>,
}

/// One image's memory, shared between its reconcile and its look.
pub type Shared = Arc<Mutex<Memory>>;

/// Locks a memory. A panic of another holder leaves complete values behind.
pub fn lock(memory: &Shared) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The memories of all images.
#[derive(Debug, Default)]
pub struct Images {
    memories: Mutex<HashMap<ObjectRef<ImageVerification>, Shared>>,
}

impl Images {
    fn memories(&self) -> MutexGuard<'_, HashMap<ObjectRef<ImageVerification>, Shared>> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The memory of an object, a new one if it is another object than before.
    pub fn of(&self, image: &ObjectRef<ImageVerification>, uid: &str) -> Shared {
        let mut memories = self.memories();
        let known = memories.get(image).filter(|memory| lock(memory).uid == uid).cloned();
        known.unwrap_or_else(|| {
            let looks = Looks { seed: seed(&image.name), ..Looks::default() };
            let memory = Shared::new(Mutex::new(Memory { uid: uid.to_owned(), looks, ..Memory::default() }));
            // Its uid and everything else in the key is what identifies it; only the name part is compared.
            memories.insert(bare(image), Arc::clone(&memory));
            memory
        })
    }

    /// The results of these images of a namespace, by name; `None` where this process has none.
    pub fn results<'a>(
        &self,
        namespace: &str,
        names: impl Iterator<Item = &'a str>,
    ) -> BTreeMap<&'a str, Option<ImageResult>> {
        let memories = self.memories();
        names
            .map(|name| {
                let memory = memories.get(&ObjectRef::new(name).within(namespace));
                (name, memory.and_then(|memory| lock(memory).result.clone()))
            })
            .collect()
    }

    /// Forgets an object that is gone.
    pub fn remove(&self, image: &ObjectRef<ImageVerification>) {
        self.memories().remove(&bare(image));
    }

    /// Forgets the objects that are not to be kept.
    pub fn retain(&self, kept: impl Fn(&ObjectRef<ImageVerification>) -> bool) {
        self.memories().retain(|image, _| kept(image));
    }
}

/// A reference by namespace and name alone.
fn bare(image: &ObjectRef<ImageVerification>) -> ObjectRef<ImageVerification> {
    let bare = ObjectRef::new(&image.name);
    match &image.namespace {
        Some(namespace) => bare.within(namespace),
        None => bare,
    }
}

/// A number that belongs to a name, for its place within the jitter.
pub fn seed(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

/// What runs, by policy: the images found at its last reconcile, by the name of their `ImageVerification`.
pub type Discovered = BTreeMap<String, crate::discover::Found>;

/// The discoveries of all policies.
#[derive(Debug, Default)]
pub struct Discoveries {
    table: Mutex<HashMap<Key, Arc<Discovered>>>,
}

impl Discoveries {
    fn table(&self) -> MutexGuard<'_, HashMap<Key, Arc<Discovered>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What runs for a policy.
    pub fn of(&self, namespace: &str, policy: &str) -> Arc<Discovered> {
        self.table().get(&(namespace.to_owned(), policy.to_owned())).cloned().unwrap_or_default()
    }

    /// Takes in what was found. Returns the names of images about which something changed.
    pub fn replace(&self, namespace: &str, policy: &str, found: &Arc<Discovered>) -> Vec<String> {
        let key = (namespace.to_owned(), policy.to_owned());
        let old = self.table().insert(key, Arc::clone(found)).unwrap_or_default();
        let names = old.keys().chain(found.keys().filter(|name| !old.contains_key(*name)));
        names.filter(|name| old.get(*name) != found.get(*name)).cloned().collect()
    }

    /// Forgets a policy that is gone.
    pub fn remove(&self, namespace: &str, policy: &str) {
        self.table().remove(&(namespace.to_owned(), policy.to_owned()));
    }
}

#[cfg(test)]
mod tests;
