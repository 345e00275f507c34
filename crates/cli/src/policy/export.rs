// SPDX-License-Identifier: Apache-2.0
//! `sealwatch policy export`: Notation's configuration out of a TrustPolicy and its ConfigMaps.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::ExitCode,
};

use sealwatch_api::TrustPolicySpec;
use sealwatch_operator::document;
use sealwatch_verifier::notation::{Certificate, Statement, TrustStoreRef};
use serde_json::{Value, json};

use super::pem;
use crate::{
    args::ExportArguments,
    output,
    registries::read_bounded,
    terminal,
    verify::policy_file::{POLICY_MOST, Policy, kubernetes_text, manifest::Manifest},
    whole::WholeFolder,
};

pub(super) fn run(arguments: &ExportArguments) -> ExitCode {
    match export(arguments) {
        Ok(warnings) => {
            terminal::warn_of(&warnings);
            terminal::answer(&format!("Wrote {}\n", arguments.to.display()), ExitCode::SUCCESS)
        }
        Err(why) => terminal::usage(&why),
    }
}

/// Writes the folder; what Notation has no place for is told.
fn export(arguments: &ExportArguments) -> Result<Vec<String>, String> {
    let at = |why: String| format!("{}: {why}", arguments.file.display());
    let bytes = read_bounded(&arguments.file, POLICY_MOST).map_err(at)?;
    let text = kubernetes_text(&bytes).map_err(at)?;
    let text = text.ok_or_else(|| at("is a trustpolicy.json already; export takes a TrustPolicy".to_owned()))?;
    let manifest = Manifest::parse(text).map_err(at)?;
    let spec = &manifest.policy.spec;
    let policy = Policy::from_manifest(&manifest, arguments.file.display().to_string()).map_err(at)?;
    let stores = stores(&policy).map_err(at)?;
    let to = |why: String| format!("--to {}: {why}", arguments.to.display());
    let folder = WholeFolder::begin(&arguments.to).map_err(to)?;
    folder.write(Path::new("trustpolicy.json"), output::json(&statements(spec)?)?.as_bytes()).map_err(to)?;
    for (path, certificates) in &stores {
        folder.write(path, pem::encode(std::slice::from_ref(certificates)).as_bytes()).map_err(to)?;
    }
    folder.publish().map_err(to)?;
    Ok(left_out(spec)
        .into_iter()
        .map(|field| at(format!("spec.{field} has no place in Notation and is left out")))
        .collect())
}

/// The two keys of a trust policy document, without what is empty in it.
fn statements(spec: &TrustPolicySpec) -> Result<Value, String> {
    let mut document = serde_json::to_value(document(spec)).map_err(|error| error.to_string())?;
    for statement in document["trustPolicies"].as_array_mut().into_iter().flatten() {
        if let Some(members) = statement.as_object_mut() {
            members.retain(|_, value| value.as_array().is_none_or(|list| !list.is_empty()));
        }
    }
    Ok(json!({"version": document["version"], "trustPolicies": document["trustPolicies"]}))
}

/// A file for each certificate of each store that is defined.
fn stores(policy: &Policy) -> Result<Vec<(PathBuf, Certificate)>, String> {
    let named: BTreeSet<&TrustStoreRef> =
        policy.document.statements().iter().flat_map(Statement::trust_stores).collect();
    for reference in named {
        policy.stores.certificates(reference).map_err(|why| format!("trust store {reference}: {why}"))?;
    }
    let mut files = Vec::new();
    for (reference, store) in policy.stores.iter() {
        let store = store.map_err(|why| format!("trust store {reference}: {why}"))?;
        if matches!(reference.name(), "." | "..") {
            return Err(format!("trust store {reference}: its name cannot be that of a folder"));
        }
        let folder = Path::new("truststore/x509").join(reference.store_type().as_str()).join(reference.name());
        let file = |(place, certificate): (usize, &Certificate)| {
            (folder.join(format!("{:03}.crt", place.saturating_add(1))), certificate.clone())
        };
        files.extend(store.certificates().iter().enumerate().map(file));
    }
    Ok(files)
}

/// The fields that say something which Notation's configuration cannot.
fn left_out(spec: &TrustPolicySpec) -> Vec<&'static str> {
    let fields = [
        ("interval", spec.interval.is_some()),
        ("staleAfter", spec.stale_after.is_some()),
        ("podSelector", spec.pod_selector.is_some()),
        ("digestMatching", spec.digest_matching.is_some()),
        ("imagePullSecrets", !spec.image_pull_secrets.is_empty()),
        ("revocation", spec.revocation.is_some()),
        ("suspend", spec.suspend),
    ];
    fields.into_iter().filter(|(_, is_set)| *is_set).map(|(field, _)| field).collect()
}

#[cfg(test)]
mod tests;
