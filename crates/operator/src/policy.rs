// SPDX-License-Identifier: Apache-2.0
//! A `TrustPolicy`, parsed: after this, nothing that a user wrote can fail any more.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use kube::{ResourceExt, core::Selector};
use sealwatch_api::{ANNOTATION_REQUESTED_AT, DigestMatching, TrustPolicy, TrustPolicySpec, Word};
use sealwatch_notation::{TrustPolicyDocument, raw};
use sealwatch_registry::{Algorithm, Digest, Repository};
use sealwatch_verifier::{self as verifier, BroughtLists, Findings, FollowedMatter};

use crate::{
    config_maps::Key,
    trust_store::{Loaded, Stores},
};

/// The longest request token that is kept, in characters.
const REQUEST_MOST: usize = 256;

/// A trust policy as it was last loaded: what every image under it is judged by.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its identity: a policy of the same name made anew is another one.
    pub uid: String,
    /// The generation of the spec that was loaded.
    pub generation: i64,
    /// The document, or the rule that it breaks.
    pub document: Result<Arc<TrustPolicyDocument>, String>,
    /// The trust stores that could be loaded, and those that could not.
    pub stores: Arc<Stores>,
    /// The revocation lists that it brings.
    pub brought: Arc<BroughtLists>,
    /// Names the document and the trust material together: equal hashes judge alike.
    pub trust_hash: String,
    /// How often to look.
    pub interval: Duration,
    /// How long a verdict outlives its evidence.
    pub stale_after: Duration,
    /// Whose signatures count for a running digest.
    pub matching: verifier::DigestMatching,
    /// Whether no request may be made.
    pub suspend: bool,
    /// Which pods count.
    pub selector: Selector,
    /// Pull secrets to be tried after the pods' own.
    pub pull_secrets: Vec<String>,
    /// The `ConfigMaps` that its trust stores name.
    pub config_maps: BTreeSet<String>,
    /// Whether its trust stores name `ClusterTrustBundle`s.
    pub bundles: bool,
    /// Whether a `ConfigMap` could not be asked for.
    pub incomplete: bool,
    /// When a Secret of its trust stores is to be read again.
    pub reads_again: Option<Duration>,
    /// The value of the annotation that asks for a fresh look.
    pub requested_at: Option<String>,
    /// When this process first saw that value: who asked before that did not ask afresh.
    pub requested_seen: Instant,
}

impl Policy {
    /// Joins what the user wrote with the trust stores loaded for it.
    pub fn new(policy: &TrustPolicy, loaded: Loaded) -> Self {
        let spec = &policy.spec;
        let document = parse(spec).map(Arc::new);
        let trust_hash = trust_hash(spec, &loaded);
        Self {
            namespace: policy.namespace().unwrap_or_default(),
            name: policy.name_any(),
            uid: policy.uid().unwrap_or_default(),
            generation: policy.metadata.generation.unwrap_or_default(),
            document,
            trust_hash,
            stores: Arc::new(loaded.stores),
            brought: Arc::new(loaded.brought),
            interval: spec.interval().unwrap_or(sealwatch_api::trust_policy::DEFAULT_INTERVAL),
            stale_after: spec.stale_after().unwrap_or(sealwatch_api::trust_policy::DEFAULT_STALE_AFTER),
            matching: matching(spec).unwrap_or_default(),
            suspend: spec.suspend,
            selector: selector(spec).unwrap_or_default(),
            pull_secrets: spec.image_pull_secrets.iter().map(|secret| secret.name.clone()).collect(),
            config_maps: loaded.config_maps,
            bundles: loaded.bundles,
            incomplete: loaded.incomplete,
            reads_again: loaded.next,
            requested_at: requested_at(policy),
            requested_seen: Instant::now(),
        }
    }

    /// The same, whose request is as old as that of the policy before it, if it is the same, and whose revocation lists
    /// are that one's if they are the same: those know already what was verified and looked up in them.
    #[must_use]
    pub fn after(mut self, before: Option<&Self>) -> Self {
        let Some(before) = before.filter(|before| before.uid == self.uid) else { return self };
        if before.requested_at == self.requested_at {
            self.requested_seen = before.requested_seen;
        }
        if before.trust_hash == self.trust_hash {
            self.brought = Arc::clone(&before.brought);
        }
        self
    }

    /// What is judged about an image of this policy; none without a document to judge by.
    pub fn matter<'a>(&'a self, repository: &'a Repository, findings: &'a Findings) -> Option<FollowedMatter<'a>> {
        let document = self.document.as_ref().ok()?;
        let (stores, brought) = (&self.stores.stores, &*self.brought);
        Some(FollowedMatter { repository, findings, matching: self.matching, document, stores, brought })
    }

    /// Whether images must be judged again because this took the place of `other`.
    fn judges_like(&self, other: &Self) -> bool {
        self.uid == other.uid
            && self.generation == other.generation
            && self.trust_hash == other.trust_hash
            && self.requested_at == other.requested_at
            && self.stores == other.stores
    }
}

/// The annotation that asks for a fresh look, on either kind.
pub fn requested_at(object: &impl ResourceExt) -> Option<String> {
    object.annotations().get(ANNOTATION_REQUESTED_AT).map(|value| value.chars().take(REQUEST_MOST).collect())
}

/// Everything that this version cannot do as the user means it is an error, never ignored.
fn parse(spec: &TrustPolicySpec) -> Result<TrustPolicyDocument, String> {
    spec.interval().map_err(|error| format!("spec.interval: {error}"))?;
    spec.stale_after().map_err(|error| format!("spec.staleAfter: {error}"))?;
    selector(spec).map_err(|error| format!("spec.podSelector: {error}"))?;
    matching(spec)?;
    TrustPolicyDocument::try_from(document(spec)).map_err(|error| error.to_string())
}

fn matching(spec: &TrustPolicySpec) -> Result<verifier::DigestMatching, String> {
    match spec.digest_matching.as_ref().map(Word::known) {
        None | Some(Some(DigestMatching::Exact)) => Ok(verifier::DigestMatching::Exact),
        Some(Some(DigestMatching::FollowIndex)) => Ok(verifier::DigestMatching::FollowIndex),
        Some(None) => Err("spec.digestMatching: only Exact and FollowIndex are supported by this version".into()),
    }
}

fn selector(spec: &TrustPolicySpec) -> Result<Selector, String> {
    let selector = spec.pod_selector.clone().unwrap_or_default();
    Selector::try_from(selector).map_err(|error| error.to_string())
}

/// The trust policy document that stands in the spec.
pub fn document(spec: &TrustPolicySpec) -> raw::Document {
    let statements = spec.trust_policies.iter().map(|statement| raw::Statement {
        name: statement.name.clone(),
        registry_scopes: statement.registry_scopes.clone(),
        signature_verification: raw::SignatureVerification {
            level: statement.signature_verification.level.clone(),
            r#override: statement.signature_verification.overrides.clone(),
            verify_timestamp: statement.signature_verification.verify_timestamp.clone(),
        },
        trust_stores: statement.trust_stores.clone(),
        trusted_identities: statement.trusted_identities.clone(),
    });
    raw::Document { version: spec.version.clone(), trust_policies: statements.collect() }
}

/// SHA-256 over the document, the fingerprints of the certificates that were loaded, and the revocation lists.
fn trust_hash(spec: &TrustPolicySpec, loaded: &Loaded) -> String {
    let mut parts = vec![serde_json::to_string(&document(spec)).unwrap_or_default()];
    for (reference, store) in loaded.stores.stores.iter() {
        parts.push(reference.to_string());
        match store {
            Ok(store) => parts.extend(store.certificates().iter().map(|found| found.sha256().to_owned())),
            Err(why) => parts.push(why.to_owned()),
        }
    }
    let lists = loaded.brought.lists.iter();
    parts.extend(lists.map(|list| Digest::of_bytes(Algorithm::Sha256, list.der()).to_string()));
    parts.extend(loaded.brought.unread.iter().cloned());
    // As JSON, so that no part can run into the next.
    let text = serde_json::to_vec(&parts).unwrap_or_default();
    Digest::of_bytes(Algorithm::Sha256, &text).to_string()
}

/// The trust policies as they were last loaded.
#[derive(Debug, Default)]
pub struct Policies {
    table: Mutex<HashMap<Key, Arc<Policy>>>,
}

impl Policies {
    fn table(&self) -> MutexGuard<'_, HashMap<Key, Arc<Policy>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The policy of that name.
    pub fn find(&self, namespace: &str, name: &str) -> Option<Arc<Policy>> {
        self.table().get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// Takes in a freshly loaded policy. Returns whether its images must be judged again.
    pub fn replace(&self, policy: &Arc<Policy>) -> bool {
        let key = (policy.namespace.clone(), policy.name.clone());
        let replaced = self.table().insert(key, Arc::clone(policy));
        replaced.is_none_or(|replaced| !replaced.judges_like(policy))
    }

    /// Forgets a policy that is gone.
    pub fn remove(&self, namespace: &str, name: &str) {
        self.table().remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// Every policy that was loaded.
    pub fn keys(&self) -> Vec<Key> {
        self.table().keys().cloned().collect()
    }

    /// Whether any policy names this `ConfigMap`.
    pub fn names_config_map(&self, key: &Key) -> bool {
        !self.that_name(key).is_empty()
    }

    /// The policies whose trust stores name `ClusterTrustBundle`s.
    pub fn with_bundles(&self) -> Vec<Key> {
        let table = self.table();
        table.iter().filter(|(_, policy)| policy.bundles).map(|(key, _)| key.clone()).collect()
    }

    /// The names of the policies whose trust stores name this `ConfigMap`.
    pub fn that_name(&self, (namespace, name): &Key) -> Vec<String> {
        let table = self.table();
        let of_namespace = table.values().filter(|policy| policy.namespace == *namespace);
        of_namespace.filter(|policy| policy.config_maps.contains(name)).map(|policy| policy.name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn policy(more: &Value) -> Policy {
        let mut spec = json!({
            "version": "1.0",
            "trustPolicies": [{
                "name": "all", "registryScopes": ["*"], "signatureVerification": {"level": "strict"},
                "trustStores": ["ca:roots"], "trustedIdentities": ["*"],
            }],
        });
        for (field, value) in more.as_object().into_iter().flatten() {
            spec[field] = value.clone();
        }
        let policy: TrustPolicy = serde_json::from_value(json!({
            "apiVersion": "sealwatch.dev/v1alpha1", "kind": "TrustPolicy",
            "metadata": {"name": "p", "namespace": "n", "uid": "u", "generation": 1}, "spec": spec,
        }))
        .expect("a policy");
        let stores = crate::trust_store::load(&policy.spec, &crate::trust_store::Found::default());
        Policy::new(&policy, Loaded { stores, ..Loaded::default() })
    }

    /// F30: a definition newer than this operator may admit more than it knows.
    #[test]
    fn what_a_newer_version_may_mean_is_refused_with_the_field_named_and_never_guessed() {
        for (more, named) in [
            (json!({"digestMatching": "FollowTheMoon"}), "spec.digestMatching: "),
            (json!({"interval": "1d"}), "spec.interval: "),
            (json!({"staleAfter": "P7D"}), "spec.staleAfter: "),
            (
                json!({"podSelector": {"matchExpressions": [{"key": "a", "operator": "Resembles", "values": ["b"]}]}}),
                "spec.podSelector: ",
            ),
            (json!({"version": "2.0"}), "version"),
        ] {
            let policy = policy(&more);
            let why = policy.document.expect_err("it is not known");
            assert!(why.contains(named), "{more}: {why}");
        }
        let level = json!({"trustPolicies": [{
            "name": "all", "registryScopes": ["*"], "signatureVerification": {"level": "relaxed"},
            "trustStores": ["ca:roots"], "trustedIdentities": ["*"],
        }]});
        assert!(policy(&level).document.is_err_and(|why| why.contains("relaxed")));
        let store = json!({"trustStores": [{"type": "oracle", "name": "roots", "certificates": [{"pem": "x"}]}]});
        let problems = policy(&store).stores.problems.clone();
        assert!(problems.first().is_some_and(|problem| problem.contains("oracle:roots")), "{problems:?}");
    }
}
