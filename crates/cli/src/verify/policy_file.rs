// SPDX-License-Identifier: Apache-2.0
//! The policy that a user names: Notation's own files, or a `TrustPolicy` as it would be applied to a cluster.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use k8s_openapi::api::core::v1::ConfigMap;
use sealwatch_api::TrustPolicy;
use sealwatch_operator::{Found, document, load_trust_stores};
use sealwatch_verifier::notation::{TrustPolicyDocument, TrustStore, TrustStoreRef, TrustStores, parse_certificates};
use serde::Deserialize as _;

use super::Policy;
use crate::registries::read_bounded;

/// The largest policy file that is read, in bytes.
const POLICY_MOST: u64 = 1024 * 1024;
/// The largest certificate file that is read, in bytes.
const CERTIFICATES_MOST: u64 = 1024 * 1024;
/// How many files a trust store may have.
const FILES_MOST: usize = 256;

/// Reads a policy and the trust stores that it names.
pub(super) fn read(path: &Path, trust_store: Option<&Path>) -> Result<Policy, String> {
    let at = |why: String| format!("--policy {}: {why}", path.display());
    let bytes = read_bounded(path, POLICY_MOST).map_err(at)?;
    match trust_policy(&bytes).map_err(at)? {
        Some((policy, config_maps)) => {
            let document =
                TrustPolicyDocument::try_from(document(&policy.spec)).map_err(|error| at(error.to_string()))?;
            let stores = match trust_store {
                // Stores in a folder take the place of those in the TrustPolicy.
                Some(folder) => from_folder(folder, &document)?,
                None => load_trust_stores(&policy.spec, &config_maps).stores,
            };
            Ok(Policy { document, stores })
        }
        None => {
            let document = TrustPolicyDocument::from_json(&bytes).map_err(|error| at(error.to_string()))?;
            let Some(folder) = trust_store else {
                return Err(
                    "--trust-store is needed beside a trustpolicy.json: the folder truststore/x509 of notation's \
                            configuration"
                        .to_owned(),
                );
            };
            let stores = from_folder(folder, &document)?;
            Ok(Policy { document, stores })
        }
    }
}

/// The `TrustPolicy` in a file and the `ConfigMaps` beside it; `None` for a trustpolicy.json.
fn trust_policy(bytes: &[u8]) -> Result<Option<(TrustPolicy, Found)>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    if text.trim_start().starts_with('{') && !text.contains("\"kind\"") {
        return Ok(None);
    }
    let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(text).map_err(|error| error.to_string())?;
    let mut policies = Vec::new();
    let mut config_maps = BTreeMap::new();
    for document in documents {
        match document.get("kind").and_then(serde_json::Value::as_str) {
            Some("TrustPolicy") => {
                policies.push(TrustPolicy::deserialize(document).map_err(|error| format!("TrustPolicy: {error}"))?);
            }
            Some("ConfigMap") => {
                let map = ConfigMap::deserialize(document).map_err(|error| format!("ConfigMap: {error}"))?;
                let name = map.metadata.name.clone().unwrap_or_default();
                let text = map.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into_bytes()));
                let binary = map.binary_data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0));
                config_maps.insert(name, Some(Arc::new(text.chain(binary).collect())));
            }
            _ => {}
        }
    }
    let mut policies = policies.into_iter();
    match (policies.next(), policies.next()) {
        (Some(policy), None) => Ok(Some((policy, config_maps))),
        (Some(_), Some(_)) => Err("holds more than one TrustPolicy".to_owned()),
        (None, _) => Err("is neither a trustpolicy.json nor a TrustPolicy".to_owned()),
    }
}

/// The trust stores that the document names, from a folder laid out as Notation's `truststore/x509`. A store that
/// cannot be read is unavailable, which is said where it is needed.
fn from_folder(folder: &Path, document: &TrustPolicyDocument) -> Result<TrustStores, String> {
    if !folder.is_dir() {
        return Err(format!("--trust-store {}: is not a folder", folder.display()));
    }
    let mut stores = TrustStores::new();
    let named = document.statements().iter().flat_map(sealwatch_verifier::notation::Statement::trust_stores);
    for reference in named {
        match store_from_folder(folder, reference) {
            Ok(store) => stores.insert(store),
            Err(why) => stores.insert_unavailable(reference.clone(), why),
        }
    }
    Ok(stores)
}

/// Notation's rules TS-2 to TS-7: a real folder of regular files, each of which must be certificates.
fn store_from_folder(root: &Path, reference: &TrustStoreRef) -> Result<TrustStore, String> {
    if matches!(reference.name(), "." | "..") {
        return Err(format!("trust store {reference} names no folder of its own"));
    }
    let folder = root.join(reference.store_type().to_string()).join(reference.name());
    let at = |why: &str| format!("{}: {why}", folder.display());
    let kind = std::fs::symlink_metadata(&folder).map_err(|error| at(&error.to_string()))?;
    if !kind.is_dir() {
        return Err(at("is not a folder (links are not followed)"));
    }
    let entries: Result<Vec<_>, _> =
        std::fs::read_dir(&folder).map_err(|error| at(&error.to_string()))?.take(FILES_MOST + 1).collect();
    let mut entries = entries.map_err(|error| at(&error.to_string()))?;
    if entries.len() > FILES_MOST {
        return Err(at("has more than 256 files"));
    }
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let mut certificates = Vec::new();
    for entry in entries {
        let path = entry.path();
        let at = |why: &str| format!("{}: {why}", path.display());
        let regular = entry.file_type().is_ok_and(|kind| kind.is_file());
        if !regular {
            return Err(at("is not a regular file (links are not followed)"));
        }
        let bytes = read_bounded(&path, CERTIFICATES_MOST).map_err(|why| at(&why))?;
        certificates.extend(parse_certificates(&bytes).map_err(|error| at(&error.to_string()))?);
    }
    TrustStore::new(reference.clone(), certificates).map_err(|error| at(&error.to_string()))
}
