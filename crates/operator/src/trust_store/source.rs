// SPDX-License-Identifier: Apache-2.0
//! One source of certificates: from what the API server showed to certificates. Pure.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use sealwatch_api::{CertificateSource, KeySelector};
use sealwatch_notation::{Certificate, MAX_CERTIFICATES_PER_STORE, parse_certificates};

use super::bundles::Bundles;
use crate::config_maps::Values;

/// What an object was found to hold: its values by key, `None` where it does not exist; or why it could not be read.
pub type Held = Result<Option<Arc<Values>>, String>;

/// What the sources that a policy names were found to hold.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The `ConfigMap`s, by name.
    pub config_maps: BTreeMap<String, Held>,
    /// The Secrets, by name; only keys that the policy names need be there.
    pub secrets: BTreeMap<String, Held>,
    /// The `ClusterTrustBundle`s.
    pub bundles: Bundles,
}

/// The certificates of one source. An error begins with the field that is at fault.
pub(super) fn certificates(source: &CertificateSource, found: &Found) -> Result<Vec<Certificate>, String> {
    if let Some(wanted) = &source.cluster_trust_bundle {
        return of_bundles(wanted, found);
    }
    let (field, bytes): (&str, Cow<'_, [u8]>) = if let Some(pem) = &source.pem {
        (".pem", pem.as_bytes().into())
    } else if let Some(reference) = &source.config_map_key_ref {
        (".configMapKeyRef", config_map_value(reference, found)?.into())
    } else if let Some(reference) = &source.secret_key_ref {
        (".secretKeyRef", value_of("Secret", ".secretKeyRef", reference, &found.secrets)?.into())
    } else {
        return Err(": names no source".into());
    };
    parse_certificates(&bytes).map_err(|error| format!("{field}{}: {error}", named(source)))
}

fn of_bundles(wanted: &sealwatch_api::ClusterTrustBundleSource, found: &Found) -> Result<Vec<Certificate>, String> {
    const FIELD: &str = ".clusterTrustBundle";
    let mut certificates = Vec::new();
    for (name, bundle) in found.bundles.chosen_by(wanted).map_err(|why| format!("{FIELD}: {why}"))? {
        let read = parse_certificates(bundle.pem.as_bytes());
        certificates.extend(read.map_err(|error| format!("{FIELD}: ClusterTrustBundle {name:?}: {error}"))?);
        if certificates.len() > MAX_CERTIFICATES_PER_STORE {
            return Err(format!("{FIELD}: more than {MAX_CERTIFICATES_PER_STORE} certificates in one source"));
        }
    }
    Ok(certificates)
}

/// Which object and key a source names, for a message about its content.
fn named(source: &CertificateSource) -> String {
    let of = |kind: &str, KeySelector { name, key }: &KeySelector| format!(": {kind} {name:?}, key {key:?}");
    let map = source.config_map_key_ref.as_ref().map(|reference| of("ConfigMap", reference));
    map.or_else(|| source.secret_key_ref.as_ref().map(|reference| of("Secret", reference))).unwrap_or_default()
}

/// The value of a key of a `ConfigMap`.
pub(crate) fn config_map_value<'a>(reference: &KeySelector, found: &'a Found) -> Result<&'a [u8], String> {
    value_of("ConfigMap", ".configMapKeyRef", reference, &found.config_maps)
}

fn value_of<'a>(
    kind: &str,
    field: &str,
    KeySelector { name, key }: &KeySelector,
    objects: &'a BTreeMap<String, Held>,
) -> Result<&'a [u8], String> {
    match objects.get(name) {
        Some(Err(why)) => Err(format!("{field}: {kind} {name:?} could not be read: {why}")),
        None | Some(Ok(None)) => Err(format!("{field}: {kind} {name:?} does not exist in this namespace")),
        Some(Ok(Some(values))) => {
            let value = values.get(key).map(Vec::as_slice);
            value.ok_or_else(|| format!("{field}: {kind} {name:?} has no key {key:?}"))
        }
    }
}
