// SPDX-License-Identifier: Apache-2.0
//! Lists as they are carried: ConfigMaps with the TrustPolicy that names them, or files. Pure but for the files.

use std::{collections::BTreeSet, path::Path};

use base64ct::{Base64, Encoding as _};
use kube::ResourceExt as _;
use sealwatch_api::{KeySelector, Revocation, RevocationListSource, TrustPolicy};
use sealwatch_registry::{Algorithm, Digest};
use serde_json::{Value, json};

use super::fetch::Fetched;
use crate::{
    naming::{CONFIG_MAP_MOST, OBJECT_NAME_MOST, distinct, legal_name},
    output,
    whole::WholeFolder,
};

/// How many lists a TrustPolicy takes, by its definition.
const LISTS_MOST: usize = 32;
/// The key of a list in its ConfigMap.
const KEY: &str = "fetched.crl";
/// The longest part of a name that comes from a certificate.
const WORDS_MOST: usize = 40;
/// How many digits tell lists of one issuer apart.
const DIGITS: usize = 8;
/// What kubectl writes down of what it applied; it is of no use in a file.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Writes a file for each list into a folder that was begun, and says so.
pub(super) fn files(whole: WholeFolder, folder: &Path, lists: &[Fetched]) -> Result<String, String> {
    let to = |why: String| format!("--to {}: {why}", folder.display());
    let mut taken = BTreeSet::new();
    for one in lists {
        let name = distinct(&mut taken, &name(one), "-");
        whole.write(Path::new(&format!("{name}.crl")), one.list.der()).map_err(to)?;
    }
    whole.publish().map_err(to)?;
    let noun = if lists.len() == 1 { "revocation list" } else { "revocation lists" };
    Ok(format!("Wrote {} {noun} to {}\n", lists.len(), folder.display()))
}

/// The ConfigMaps and the TrustPolicy as YAML, in the order in which they are applied.
pub(super) fn objects(policy: &TrustPolicy, lists: &[Fetched]) -> Result<String, String> {
    let prefix = format!("{}-crl-", policy.name_any());
    let is_ours = |source: &RevocationListSource| {
        let reference = source.config_map_key_ref.as_ref();
        reference.is_some_and(|reference| reference.key == KEY && reference.name.starts_with(&prefix))
    };
    let known = policy.spec.revocation.iter().flat_map(|revocation| &revocation.crls);
    let mut crls: Vec<RevocationListSource> = known.filter(|source| !is_ours(source)).cloned().collect();
    let count = crls.len().saturating_add(lists.len());
    if count > LISTS_MOST {
        let next = "divide its statements among several, or use -o files and verify --crl";
        return Err(format!(
            "there are {count} revocation lists, and a TrustPolicy takes at most {LISTS_MOST}; {next}"
        ));
    }
    let (mut objects, mut taken) = (Vec::new(), BTreeSet::new());
    for one in lists {
        let name = distinct(&mut taken, &legal_name(&format!("{prefix}{}", name(one)), OBJECT_NAME_MOST), "-");
        objects.push(config_map(&name, policy.namespace().as_deref(), one)?);
        let reference = KeySelector { name, key: KEY.to_owned() };
        crls.push(RevocationListSource { config_map_key_ref: Some(reference) });
    }
    objects.push(filled(policy, crls)?);
    let texts: Result<Vec<String>, String> = objects.iter().map(output::yaml).collect();
    Ok(texts?.join("---\n"))
}

fn config_map(name: &str, namespace: Option<&str>, one: &Fetched) -> Result<Value, String> {
    let der = one.list.der();
    let size = der.len().saturating_add(KEY.len());
    if size > CONFIG_MAP_MOST {
        let next = "use -o files and verify --crl, or let the operator fetch it (--allow-egress)";
        return Err(format!(
            "the revocation list of {:?} from {} takes {size} bytes, and a ConfigMap holds at most {CONFIG_MAP_MOST}; \
             {next}",
            one.issuer(),
            one.question.url,
        ));
    }
    let mut metadata = json!({"name": name});
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.into();
    }
    let data = json!({KEY: Base64::encode_string(der)});
    Ok(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "binaryData": data}))
}

/// The TrustPolicy with these lists, without what a cluster wrote into it.
fn filled(policy: &TrustPolicy, crls: Vec<RevocationListSource>) -> Result<Value, String> {
    let mut spec = policy.spec.clone();
    spec.revocation = Some(Revocation { crls });
    let mut metadata = serde_json::Map::new();
    metadata.insert("name".to_owned(), policy.name_any().into());
    metadata.extend(policy.namespace().map(|namespace| ("namespace".to_owned(), namespace.into())));
    let mut annotations = policy.annotations().clone();
    annotations.remove(LAST_APPLIED);
    for (field, texts) in [("labels", policy.labels()), ("annotations", &annotations)] {
        if !texts.is_empty() {
            metadata.insert(field.to_owned(), json!(texts));
        }
    }
    let spec = serde_json::to_value(spec).map_err(|error| error.to_string())?;
    let version = format!("{}/{}", sealwatch_api::GROUP, sealwatch_api::VERSION);
    Ok(json!({"apiVersion": version, "kind": "TrustPolicy", "metadata": metadata, "spec": spec}))
}

/// A name that stays the same as long as the list is at the same URL: who made it, and a hash of where it is.
fn name(one: &Fetched) -> String {
    let issuer = one.question.issuer.common_name().unwrap_or("list");
    let place = Digest::of_bytes(Algorithm::Sha256, one.question.url.as_bytes());
    let digits: String = place.hex().chars().take(DIGITS).collect();
    let words = legal_name(issuer, WORDS_MOST);
    format!("{}-{digits}", words.trim_start_matches('-'))
}
