// SPDX-License-Identifier: Apache-2.0
//! The policy that lists are brought to.

use crate::{
    args::{FetchArguments, ListFormat},
    registries::read_bounded,
    verify::policy_file::{POLICY_MOST, Policy, kubernetes_text, manifest::Manifest},
};

/// A policy, all of whose trust stores can be used.
#[derive(Debug)]
pub(super) struct Bringing {
    pub(super) policy: Policy,
    /// The TrustPolicy as it stands in the file; none of a trustpolicy.json.
    pub(super) manifest: Option<Manifest>,
}

/// Reads the policy. What it brings already plays no part, and need not be in the file.
pub(super) fn read(arguments: &FetchArguments) -> Result<Bringing, String> {
    let source = format!("--policy {}", arguments.policy.display());
    let at = |why: String| format!("{source}: {why}");
    let bytes = read_bounded(&arguments.policy, POLICY_MOST).map_err(at)?;
    let manifest = match kubernetes_text(&bytes).map_err(at)? {
        Some(text) => Some(Manifest::parse(text).map_err(at)?),
        None => None,
    };
    if manifest.as_ref().is_some_and(|manifest| manifest.policy.metadata.name.is_none()) {
        return Err(at("TrustPolicy has no metadata.name".to_owned()));
    }
    let policy = match &manifest {
        Some(manifest) => Policy::from_manifest(&manifest.without_revocation(), source.clone()).map_err(at)?,
        None if arguments.output == ListFormat::Configmap => {
            let next = "use -o files, or make a TrustPolicy of it with sealwatch policy import";
            return Err(at(format!("is a trustpolicy.json, and -o configmap fills a TrustPolicy; {next}")));
        }
        None => Policy::from_json(&bytes, source.clone()).map_err(at)?,
    };
    let policy = policy.with_stores_of(arguments.trust_store.as_deref())?;
    for (reference, store) in policy.stores.iter() {
        store.map_err(|why| at(format!("trust store {reference}: {why}")))?;
    }
    Ok(Bringing { policy, manifest })
}
