// SPDX-License-Identifier: Apache-2.0
//! `sealwatch policy import`: a TrustPolicy and its ConfigMaps out of Notation's configuration.
//!
//! Certificates are written anew from what was parsed, so that nothing else of a file gets into a cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::ExitCode,
};

use sealwatch_api::{self as api, TrustPolicySpec};
use sealwatch_verifier::notation::{Certificate, Statement, TrustStore, TrustStoreRef, raw};
use serde_json::{Value, json};

use super::{configuration::Configuration, pem};
use crate::{
    args::ImportArguments,
    naming::{CONFIG_MAP_MOST, OBJECT_NAME_MOST, distinct, legal_name},
    output, terminal,
    verify::trust_store::{read_files, stores_in},
};

/// The longest name of a TrustPolicy, which becomes the value of a label.
const NAME_MOST: usize = 63;
/// The longest key of a ConfigMap.
const KEY_MOST: usize = 253;
/// Bounds of a TrustPolicy, by its definition: statements, trust stores, sources of a trust store.
const STATEMENTS_MOST: usize = 16;
const STORES_MOST: usize = 32;
const SOURCES_MOST: usize = 16;

/// A trust store and the files that it comes from.
type Store = (TrustStoreRef, Vec<(String, Vec<Certificate>)>);

pub(super) fn run(arguments: &ImportArguments) -> ExitCode {
    match objects(arguments) {
        Ok((objects, warnings)) => {
            terminal::warn_of(&warnings);
            let texts: Result<Vec<String>, String> = objects.iter().map(output::yaml).collect();
            match texts {
                Ok(texts) => terminal::answer(&texts.join("---\n"), ExitCode::SUCCESS),
                Err(why) => terminal::usage(&why),
            }
        }
        Err(why) => terminal::usage(&why),
    }
}

/// The objects in the order in which they are applied, and what is to be said beside them.
fn objects(arguments: &ImportArguments) -> Result<(Vec<Value>, Vec<String>), String> {
    check_name("--name", &arguments.name, NAME_MOST)?;
    if let Some(namespace) = &arguments.namespace {
        check_name("--namespace", namespace, NAME_MOST)?;
    }
    let configuration = Configuration::read(&arguments.path, arguments.trust_store.as_deref())?;
    let named = named_stores(&configuration);
    let stores: Vec<Store> = match &configuration.stores {
        Some(root) => named.iter().map(|reference| store(root, reference)).collect::<Result<_, _>>()?,
        None if named.is_empty() => Vec::new(),
        None => {
            let what = "the folder truststore/x509 of notation's configuration";
            return Err(format!("{}: needs --trust-store DIR, {what}", arguments.path.display()));
        }
    };
    let unnamed = configuration.stores.iter().flat_map(|root| stores_in(root)).filter(|store| !named.contains(store));
    let warnings = unnamed.map(|store| format!("trust store {store} is left out: no statement names it")).collect();
    Ok((build(&configuration.raw, &stores, &arguments.name, arguments.namespace.as_deref())?, warnings))
}

fn named_stores(configuration: &Configuration) -> Vec<TrustStoreRef> {
    let mut seen = BTreeSet::new();
    let all = configuration.document.statements().iter().flat_map(Statement::trust_stores);
    all.filter(|store| seen.insert((*store).clone())).cloned().collect()
}

/// One store, all of whose rules hold.
fn store(root: &Path, reference: &TrustStoreRef) -> Result<Store, String> {
    let at = |why: String| format!("trust store {reference}: {why}");
    let files = read_files(root, reference).map_err(|why| at(why.to_string()))?;
    let all = files.iter().flat_map(|(_, certificates)| certificates.clone()).collect();
    TrustStore::new(reference.clone(), all).map_err(|error| at(error.to_string()))?;
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok((reference.clone(), files.into_iter().map(|(path, certificates)| (name(&path), certificates)).collect()))
}

/// The objects. Pure.
fn build(raw: &raw::Document, stores: &[Store], name: &str, namespace: Option<&str>) -> Result<Vec<Value>, String> {
    let bound = |what: &str, count: usize, most: usize| {
        if count > most {
            Err(format!("there are {count} {what}, and a TrustPolicy takes at most {most}"))
        } else {
            Ok(())
        }
    };
    bound("statements", raw.trust_policies.len(), STATEMENTS_MOST)?;
    bound("trust stores", stores.len(), STORES_MOST)?;
    let metadata = |name: &str| match namespace {
        Some(namespace) => json!({"name": name, "namespace": namespace}),
        None => json!({"name": name}),
    };
    let (mut objects, mut spec_stores, mut taken) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (reference, files) in stores {
        bound(&format!("files in trust store {reference}"), files.len(), SOURCES_MOST)?;
        let map = distinct(&mut taken, &map_name(name, reference), "-");
        let data = data(files);
        let size: usize = data.iter().map(|(key, value)| key.len().saturating_add(value.len())).sum();
        bound(&format!("bytes in trust store {reference}"), size, CONFIG_MAP_MOST)?;
        let sources: Vec<Value> =
            data.keys().map(|key| json!({"configMapKeyRef": {"name": map, "key": key}})).collect();
        let kind = reference.store_type().as_str();
        spec_stores.push(json!({"type": kind, "name": reference.name(), "certificates": sources}));
        objects.push(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(&map), "data": data}));
    }
    let mut spec = json!({"version": raw.version, "trustPolicies": statements(raw)?});
    if !spec_stores.is_empty() {
        spec["trustStores"] = spec_stores.into();
    }
    // What is printed is what the operator reads.
    serde_json::from_value::<TrustPolicySpec>(spec.clone()).map_err(|error| error.to_string())?;
    objects.push(json!({
        "apiVersion": "sealwatch.dev/v1alpha1", "kind": "TrustPolicy", "metadata": metadata(name), "spec": spec,
    }));
    Ok(objects)
}

/// The statements without what is empty in them.
fn statements(raw: &raw::Document) -> Result<Vec<Value>, String> {
    let one = |statement: &raw::Statement| {
        let statement = serde_json::to_value(statement)?;
        serde_json::to_value(serde_json::from_value::<api::Statement>(statement)?)
    };
    raw.trust_policies.iter().map(one).collect::<Result<_, serde_json::Error>>().map_err(|error| error.to_string())
}

/// Certificates in PEM by key: the file's name as far as a key can have it.
fn data(files: &[(String, Vec<Certificate>)]) -> BTreeMap<String, String> {
    let mut taken = BTreeSet::new();
    let mut key = |file: &str| {
        let legal = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
        let key: String = file.chars().map(legal).take(KEY_MOST.saturating_sub(8)).collect();
        // Keys of dots alone are none.
        let key = if key.bytes().all(|byte| byte == b'.') { format!("certificate{key}") } else { key };
        distinct(&mut taken, &key, "_")
    };
    files.iter().map(|(file, certificates)| (key(file), pem::encode(certificates))).collect()
}

/// `NAME-TYPE-STORE` as the name of an object: small letters, digits, `-` and `.`, an alphanumeric at either end.
fn map_name(policy: &str, reference: &TrustStoreRef) -> String {
    legal_name(&format!("{policy}-{}-{}", reference.store_type(), reference.name()), OBJECT_NAME_MOST)
}

/// A name of an object, or of a namespace: RFC 1123.
fn check_name(flag: &str, name: &str, most: usize) -> Result<(), String> {
    let is_edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.len() <= most && name.chars().all(is_inner) && is_edge(name.chars().next()) && is_edge(name.chars().last())
    {
        return Ok(());
    }
    Err(format!("{flag} {name:?}: must have at most {most} of a-z, 0-9 and '-', and begin and end with none of '-'"))
}

#[cfg(test)]
mod tests;
