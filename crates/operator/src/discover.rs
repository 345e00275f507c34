// SPDX-License-Identifier: Apache-2.0
//! Which `ImageVerification`s there shall be. Pure.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt, api::ObjectMeta};
use sealwatch_api::{
    ImageVerification, ImageVerificationSpec, LABEL_MANAGED_BY, LABEL_TRUST_POLICY, MANAGED_BY, TrustPolicy,
    TrustPolicyReference,
};
use sha2::{Digest as _, Sha256};

use crate::{
    image_verification::memory::Discovered,
    policy::Policy,
    running::{ImageKey, NamespaceImages, RunningDigest, RunningImage},
};

/// The longest part of a name that comes from the repository.
const STEM_MOST: usize = 40;
/// How many digits of the digest stand in a name.
const DIGEST_DIGITS: usize = 12;
/// How many characters of the hash stand in a name.
const HASH_CHARACTERS: usize = 5;
/// What a hash is written with: no vowels, so that no words appear.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// A running image that a policy selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub key: ImageKey,
    /// Where it runs.
    pub running: RunningImage,
}

/// The images that a policy selects, by the name of their `ImageVerification`.
pub fn discovered(policy: &str, images: &NamespaceImages) -> Arc<Discovered> {
    let found = images.images.iter();
    Arc::new(
        found
            .map(|(key, running)| (name_of(policy, key), Found { key: key.clone(), running: running.clone() }))
            .collect(),
    )
}

/// The name of an image's `ImageVerification`: last path segment, 12 hex digits of the digest, 5 characters of a hash
/// over policy, repository and digest.
pub fn name_of(policy: &str, image: &ImageKey) -> String {
    let hash = Sha256::digest(format!("{policy}\0{}\0{}", image.repository, image.digest));
    let suffix: String = hash
        .iter()
        .take(HASH_CHARACTERS)
        .filter_map(|byte| ALPHABET.get(usize::from(*byte) % ALPHABET.len()))
        .map(|letter| char::from(*letter))
        .collect();
    let digest = match &image.digest {
        RunningDigest::Manifest(digest) | RunningDigest::Config(digest) => {
            digest.hex().chars().take(DIGEST_DIGITS).collect()
        }
        RunningDigest::Tag(_) => "tag".to_owned(),
        RunningDigest::Unreadable(_) => "unreadable".to_owned(),
    };
    let last = image.repository.rsplit('/').next().unwrap_or_default();
    let stem: String = last
        .to_ascii_lowercase()
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() { character } else { '-' })
        .take(STEM_MOST)
        .collect();
    let stem = stem.trim_matches('-');
    let stem = if stem.is_empty() { "image" } else { stem };
    format!("{stem}-{digest}-{suffix}")
}

/// What there is to do about the `ImageVerification`s of one policy.
#[derive(Debug, Default)]
pub struct Plan {
    /// To be created.
    pub create: Vec<ImageVerification>,
    /// To be deleted, by name.
    pub delete: Vec<String>,
    /// When something becomes due for deletion.
    pub next: Option<Duration>,
}

/// Compares what shall be with what is. `absent` remembers since when an image has not been running.
pub fn plan(
    owner: &TrustPolicy,
    discovered: &Discovered,
    existing: &[Arc<ImageVerification>],
    absent: &mut BTreeMap<String, Instant>,
    collect_after: Duration,
    now: Instant,
) -> Plan {
    let mut plan = Plan::default();
    let mine = existing.iter().filter(|image| is_owned_by(image, &owner.uid().unwrap_or_default()));
    let names: Vec<String> = mine.map(|image| image.name_any()).collect();
    absent.retain(|name, _| names.contains(name) && !discovered.contains_key(name));
    for name in names.iter().filter(|name| !discovered.contains_key(*name)) {
        let since = *absent.entry(name.clone()).or_insert(now);
        let left = collect_after.saturating_sub(now.saturating_duration_since(since));
        if left.is_zero() {
            plan.delete.push(name.clone());
        } else {
            plan.next = Some(plan.next.map_or(left, |next| next.min(left)));
        }
    }
    // A name that is taken by another owner's object is not ours to replace: it goes with its owner.
    let taken = |name: &String| existing.iter().any(|image| image.name_any() == *name);
    let missing = discovered.iter().filter(|(name, _)| !taken(name));
    plan.create = missing.map(|(name, found)| manifest(owner, name, found)).collect();
    plan
}

/// Whether the operator made this object for the policy of that uid.
pub fn is_owned_by(image: &ImageVerification, uid: &str) -> bool {
    controller(image).is_some_and(|owner| owner.uid == uid)
}

/// The trust policy that an object was made for, `None` for one that a person wrote.
pub fn controller(image: &ImageVerification) -> Option<&OwnerReference> {
    image.owner_references().iter().find(|owner| owner.controller == Some(true) && owner.kind == TrustPolicy::kind(&()))
}

fn manifest(owner: &TrustPolicy, name: &str, found: &Found) -> ImageVerification {
    let policy = owner.name_any();
    let labels = [(LABEL_TRUST_POLICY, policy.as_str()), (LABEL_MANAGED_BY, MANAGED_BY)];
    ImageVerification {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: owner.namespace(),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
            owner_references: owner.controller_owner_ref(&()).map(|owner| {
                // Deleting the policy must never wait for us.
                vec![OwnerReference { block_owner_deletion: None, ..owner }]
            }),
            ..ObjectMeta::default()
        },
        spec: spec(&policy, found),
        status: None,
    }
}

/// What the `ImageVerification` of an image under the policy of that name asks for.
pub fn spec(policy: &str, found: &Found) -> ImageVerificationSpec {
    let reference = found.running.references.first().cloned().unwrap_or_else(|| found.key.repository.clone());
    ImageVerificationSpec {
        image: reference,
        digest: match &found.key.digest {
            RunningDigest::Manifest(digest) | RunningDigest::Config(digest) => Some(digest.to_string()),
            RunningDigest::Tag(_) | RunningDigest::Unreadable(_) => None,
        },
        trust_policy_ref: TrustPolicyReference { name: policy.to_owned() },
    }
}

/// The images that the policy selects now.
pub fn images(running: &crate::running::RunningIndex, policy: &Policy, now: jiff::Timestamp) -> NamespaceImages {
    use kube::core::SelectorExt as _;
    running.images(&policy.namespace, |labels| policy.selector.matches(labels), now)
}

#[cfg(test)]
mod tests;
