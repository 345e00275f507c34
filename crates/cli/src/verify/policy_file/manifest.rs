// SPDX-License-Identifier: Apache-2.0
//! A file as `kubectl apply` takes it: one `TrustPolicy`, and the `ConfigMap`s, Secrets and `ClusterTrustBundle`s that
//! its trust stores name.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    CustomResourceExt as _, ResourceExt as _,
    api::{DynamicObject, ObjectMeta},
};
use sealwatch_api::{CertificateSource, KeySelector, TrustPolicy};
use sealwatch_operator::{
    Found,
    config_maps::Values,
    trust_store::{
        Held,
        bundles::{Bundle, Bundles, ByName},
    },
    values_of,
};
use sealwatch_verifier::notation::TrustStoreRef;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::verify::trust_store::{StoreError, is_private_key};

/// The one version of the kind.
const API_VERSION: &str = "sealwatch.dev/v1alpha1";

/// What stands in the file.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) policy: TrustPolicy,
    pub(crate) found: Found,
}

impl Manifest {
    /// Reads YAML (or JSON) of one or several documents; lists, as `kubectl get -o yaml` prints them, are taken apart.
    /// Objects of other kinds are passed over.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| place_and_fault(&error))?;
        let mut policies = Vec::new();
        let (mut config_maps, mut secrets, mut bundles) = (Vec::new(), Vec::new(), ByName::new());
        for document in documents.into_iter().flat_map(items) {
            match (kind(&document), document.get("apiVersion").and_then(Value::as_str)) {
                ("TrustPolicy", Some(API_VERSION)) => policies.push(policy(document)?),
                ("TrustPolicy", version) => {
                    let version = version.unwrap_or_default();
                    return Err(format!("TrustPolicy has apiVersion {version:?}; it must be {API_VERSION:?}"));
                }
                ("ConfigMap", _) => {
                    let map = decode::<ConfigMap>("ConfigMap", document)?;
                    config_maps.push((map.metadata.clone(), values_of(map)));
                }
                ("Secret", _) => {
                    let secret = decode::<Secret>("Secret", document)?;
                    secrets.push((secret.metadata.clone(), values_of_secret(secret)));
                }
                ("ClusterTrustBundle", _) => {
                    let object = decode::<DynamicObject>("ClusterTrustBundle", document)?;
                    let spec = object.data.get("spec").unwrap_or(&Value::Null);
                    let bundle = Bundle::new(object.labels().clone(), spec);
                    if bundles.insert(object.name_any(), bundle).is_some() {
                        return Err(format!("holds the ClusterTrustBundle {:?} twice", object.name_any()));
                    }
                }
                _ => {}
            }
        }
        let mut policies = policies.into_iter();
        match (policies.next(), policies.next()) {
            (Some(policy), None) => {
                let found = Found {
                    config_maps: of_namespace(&policy, "ConfigMap", config_maps)?,
                    secrets: of_namespace(&policy, "Secret", secrets)?,
                    bundles: Bundles::Listed(Arc::new(bundles)),
                };
                Ok(Self { policy, found })
            }
            (Some(_), Some(_)) => Err("holds more than one TrustPolicy".to_owned()),
            (None, _) => {
                Err("is neither a trustpolicy.json (a JSON object) nor has it an object of kind TrustPolicy".to_owned())
            }
        }
    }
}

impl Manifest {
    /// The same without `spec.revocation`.
    pub(crate) fn without_revocation(&self) -> Self {
        let mut policy = self.policy.clone();
        policy.spec.revocation = None;
        Self { policy, found: self.found.clone() }
    }

    /// The trust stores with a source that is a private key, and where it is, in a sentence.
    pub(crate) fn private_keys(&self) -> Vec<(TrustStoreRef, String)> {
        let mut found = Vec::new();
        for store in &self.policy.spec.trust_stores {
            let Ok(reference) = store.qualified_name().parse::<TrustStoreRef>() else { continue };
            for (place, source) in store.certificates.iter().enumerate() {
                if let Some((what, bytes)) = self.value_of(source)
                    && is_private_key(bytes)
                {
                    let why = StoreError::PrivateKey(format!("certificates[{place}].{what}"));
                    found.push((reference.clone(), why.to_string()));
                }
            }
        }
        found
    }

    /// What a source holds, and how a message calls it.
    fn value_of<'a>(&'a self, source: &'a CertificateSource) -> Option<(String, &'a [u8])> {
        let held =
            |field: &str, kind: &str, KeySelector { name, key }: &KeySelector, objects: &'a BTreeMap<_, Held>| {
                let values = objects.get(name)?.as_ref().ok()?.as_ref()?;
                Some((format!("{field}: {kind} {name:?}, key {key:?}"), values.get(key)?.as_slice()))
            };
        let Found { config_maps, secrets, .. } = &self.found;
        let map = source.config_map_key_ref.as_ref();
        let map = map.and_then(|reference| held("configMapKeyRef", "ConfigMap", reference, config_maps));
        let secret = source.secret_key_ref.as_ref();
        let secret = secret.and_then(|reference| held("secretKeyRef", "Secret", reference, secrets));
        map.or(secret).or_else(|| Some(("pem".to_owned(), source.pem.as_ref()?.as_bytes())))
    }
}

/// The first line of the parser's message; the others draw the place.
fn place_and_fault(error: &serde_saphyr::Error) -> String {
    let message = error.to_string();
    let line = message.lines().next().unwrap_or_default();
    format!("is not YAML: {}", line.strip_prefix("error: ").unwrap_or(line))
}

fn kind(document: &Value) -> &str {
    document.get("kind").and_then(Value::as_str).unwrap_or_default()
}

fn items(document: Value) -> Vec<Value> {
    match document {
        Value::Object(mut list) if list.get("kind").is_some_and(|kind| kind == "List") => match list.remove("items") {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        },
        other => vec![other],
    }
}

/// A misspelt field is refused, as `kubectl apply` does: it might have been the one that makes the policy stricter.
fn policy(document: Value) -> Result<TrustPolicy, String> {
    let definition = serde_json::to_value(TrustPolicy::crd()).map_err(|error| error.to_string())?;
    let schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec");
    if let (Some(schema), Some(spec)) = (schema, document.get("spec"))
        && let Some(field) = unknown_field(schema, spec, "spec")
    {
        return Err(format!("TrustPolicy: unknown field {field:?}"));
    }
    decode("TrustPolicy", document)
}

/// The first field of `value` that the schema does not know.
fn unknown_field(schema: &Value, value: &Value, path: &str) -> Option<String> {
    match value {
        Value::Array(items) => {
            let schema = schema.get("items")?;
            items.iter().enumerate().find_map(|(place, item)| unknown_field(schema, item, &format!("{path}[{place}]")))
        }
        // A map with keys of the user's own has no properties.
        Value::Object(fields) => {
            let known = schema.get("properties")?;
            fields.iter().find_map(|(name, value)| {
                let path = format!("{path}.{name}");
                match known.get(name) {
                    Some(schema) => unknown_field(schema, value, &path),
                    None => Some(path),
                }
            })
        }
        _ => None,
    }
}

fn decode<T: DeserializeOwned>(kind: &str, document: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(document).map_err(|error| format!("{kind}: {error}"))
}

/// The objects of the policy's namespace, by name. Where one of the two names none, it is the namespace that both will be
/// applied to.
fn of_namespace(
    policy: &TrustPolicy,
    kind: &str,
    objects: Vec<(ObjectMeta, Values)>,
) -> Result<BTreeMap<String, Held>, String> {
    let mut found = BTreeMap::new();
    for (metadata, values) in objects {
        let name = metadata.name.unwrap_or_default();
        if policy.namespace().is_some_and(|ours| metadata.namespace.is_some_and(|theirs| theirs != ours)) {
            continue;
        }
        if found.insert(name.clone(), Ok(Some(Arc::new(values)))).is_some() {
            return Err(format!("holds the {kind} {name:?} twice"));
        }
    }
    Ok(found)
}

/// The values of a Secret, as it is and as people write it.
fn values_of_secret(secret: Secret) -> Values {
    let data = secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0));
    let text = secret.string_data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into_bytes()));
    // What is written as text takes the place of the other, as the API server has it.
    data.chain(text).collect()
}
