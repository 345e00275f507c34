// SPDX-License-Identifier: Apache-2.0
//! Trust stores: from the sources that a `TrustPolicy` names to certificates.
//!
//! One source that cannot be read makes its whole store unavailable (Notation does the same with files): a store
//! with a hole in it would make verdicts depend on what happened to be readable.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kube::Client;
use sealwatch_api::{
    self as api, CertificateSource, CertificateSummary, KeySelector, TrustPolicySpec, TrustStoreStatus, text::clip,
};
use sealwatch_notation::{Certificate, TrustStore, TrustStoreRef, TrustStores, parse_certificates};
use sealwatch_verifier::BroughtLists;

use crate::{
    apply::bounded,
    config_maps::{ConfigMaps, Values},
    revocation_lists,
    status::time,
};

/// The trust stores of one policy.
#[derive(Clone, Debug, Default)]
pub struct Stores {
    /// What images are judged by.
    pub stores: TrustStores,
    /// What the status shows: `notation cert ls`.
    pub listed: Vec<TrustStoreStatus>,
    /// What is wrong, by store; empty when all is well.
    pub problems: Vec<String>,
}

impl PartialEq for Stores {
    fn eq(&self, other: &Self) -> bool {
        // The list shows every certificate's fingerprint and every problem.
        self.listed == other.listed
    }
}

/// The trust stores of one policy, and what they were loaded from.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The stores.
    pub stores: Stores,
    /// The revocation lists that the policy brings.
    pub brought: BroughtLists,
    /// The `ConfigMaps` that it names.
    pub config_maps: BTreeSet<String>,
    /// Whether one of them could not be asked for: then it is worth trying again.
    pub incomplete: bool,
}

/// The `ConfigMaps` that a policy names, as they were found.
pub type Found = BTreeMap<String, Option<Arc<Values>>>;

/// Why a `ConfigMap` could not be asked for, by name.
pub(crate) type Unread = BTreeMap<String, String>;

/// Reads the `ConfigMaps` that a policy names and loads its trust stores. What the API server refuses to show makes a
/// store unavailable, with its words.
pub async fn read(client: &Client, known: &ConfigMaps, namespace: &str, spec: &TrustPolicySpec) -> Loaded {
    let (mut found, mut unread) = (Found::new(), Unread::new());
    let config_maps = config_maps(spec);
    for name in &config_maps {
        match bounded(known.read(client, namespace, name)).await {
            Ok(values) => drop(found.insert(name.clone(), values)),
            Err(error) => drop(unread.insert(name.clone(), error.to_string())),
        }
    }
    let brought = revocation_lists::load_but(spec, &found, &unread);
    Loaded { stores: load_but(spec, &found, &unread), brought, config_maps, incomplete: !unread.is_empty() }
}

/// The names of the `ConfigMaps` that a policy's trust stores and revocation lists name.
fn config_maps(spec: &TrustPolicySpec) -> BTreeSet<String> {
    let sources = spec.trust_stores.iter().flat_map(|store| &store.certificates);
    let sources = sources.filter_map(|source| source.config_map_key_ref.as_ref());
    sources.chain(revocation_lists::sources(spec)).map(|reference| reference.name.clone()).collect()
}

/// Loads every trust store of a policy. Pure.
pub fn load(spec: &TrustPolicySpec, found: &Found) -> Stores {
    load_but(spec, found, &Unread::new())
}

/// Loads every trust store of a policy but those that need something unread.
fn load_but(spec: &TrustPolicySpec, found: &Found, unread: &Unread) -> Stores {
    let mut loaded = Stores::default();
    for store in &spec.trust_stores {
        let name = clip(&store.qualified_name(), 256);
        let reference: TrustStoreRef = match name.parse() {
            Ok(reference) => reference,
            Err(error) => {
                loaded.problems.push(format!("trust store {name:?}: {error}"));
                continue;
            }
        };
        match certificates(store, found, unread).and_then(|read| open(&reference, read)) {
            Ok(store) => {
                let certificates = store.certificates().iter().take(api::trust_policy::status::CERTIFICATES_MAX);
                let certificates = certificates.map(summary).collect();
                loaded.listed.push(TrustStoreStatus { name, certificates, message: None });
                loaded.stores.insert(store);
            }
            Err(why) => {
                let message = clip(&why, api::text::MESSAGE_MAX_BYTES);
                loaded.problems.push(format!("trust store {name}: {message}"));
                loaded.stores.insert_unavailable(reference, message.clone());
                loaded.listed.push(TrustStoreStatus { name, certificates: Vec::new(), message: Some(message) });
            }
        }
    }
    loaded
}

fn open(reference: &TrustStoreRef, certificates: Vec<Certificate>) -> Result<TrustStore, String> {
    TrustStore::new(reference.clone(), certificates).map_err(|error| error.to_string())
}

/// The certificates of one store, each once.
fn certificates(store: &api::TrustStore, found: &Found, unread: &Unread) -> Result<Vec<Certificate>, String> {
    let mut certificates: Vec<Certificate> = Vec::new();
    for (place, source) in store.certificates.iter().enumerate() {
        let field = format!("certificates[{place}]");
        let bytes = bytes_of(source, found, unread).map_err(|why| format!("{field}{why}"))?;
        let read = parse_certificates(&bytes).map_err(|error| format!("{field}: {error}"))?;
        for certificate in read {
            if !certificates.contains(&certificate) {
                certificates.push(certificate);
            }
        }
    }
    Ok(certificates)
}

fn bytes_of<'a>(
    source: &'a CertificateSource,
    found: &'a Found,
    unread: &Unread,
) -> Result<std::borrow::Cow<'a, [u8]>, String> {
    // A pin that is not enforced would be a promise broken in silence.
    if !source.sha256.is_empty() {
        return Err(".sha256: pins are not supported by this version".into());
    }
    if let Some(pem) = &source.pem {
        return Ok(pem.as_bytes().into());
    }
    if let Some(reference) = &source.config_map_key_ref {
        return value_of(reference, found, unread).map(Into::into);
    }
    if source.secret_key_ref.is_some() {
        return Err(".secretKeyRef: not supported by this version; use pem or configMapKeyRef".into());
    }
    if source.cluster_trust_bundle.is_some() {
        return Err(".clusterTrustBundle: not supported by this version; use pem or configMapKeyRef".into());
    }
    Err(": names no source".into())
}

/// The value of a key of a `ConfigMap`.
pub(crate) fn value_of<'a>(reference: &KeySelector, found: &'a Found, unread: &Unread) -> Result<&'a [u8], String> {
    let KeySelector { name, key } = reference;
    if let Some(why) = unread.get(name) {
        return Err(format!(".configMapKeyRef: ConfigMap {name:?} could not be read: {why}"));
    }
    let Some(values) = found.get(name).and_then(Option::as_ref) else {
        return Err(format!(".configMapKeyRef: ConfigMap {name:?} does not exist in this namespace"));
    };
    let value = values.get(key).map(Vec::as_slice);
    value.ok_or_else(|| format!(".configMapKeyRef: ConfigMap {name:?} has no key {key:?}"))
}

fn summary(certificate: &Certificate) -> CertificateSummary {
    CertificateSummary {
        subject: clip(certificate.subject(), api::text::SUPPLIED_TEXT_MAX_BYTES),
        sha256: certificate.sha256().to_owned(),
        not_before: Some(time(certificate.not_before())),
        not_after: Some(time(certificate.not_after())),
    }
}

#[cfg(test)]
mod tests;
