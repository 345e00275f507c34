// SPDX-License-Identifier: Apache-2.0
//! Revocation lists that a `TrustPolicy` brings, for sites without a way to the certificate authorities.
//!
//! One that cannot be read is said in the policy's `Ready` condition, and leaves open what no other source speaks about;
//! it never counts as a list without entries.

use sealwatch_api::{KeySelector, TrustPolicySpec, text::clip};
use sealwatch_notation::RevocationList;
use sealwatch_verifier::BroughtLists;

use crate::trust_store::{Found, source::config_map_value};

/// The `ConfigMap` keys that a policy's revocation lists are in.
pub(crate) fn sources(spec: &TrustPolicySpec) -> impl Iterator<Item = &KeySelector> {
    let crls = spec.revocation.iter().flat_map(|revocation| &revocation.crls);
    crls.filter_map(|source| source.config_map_key_ref.as_ref())
}

/// Loads every revocation list that a policy brings. Pure.
pub fn load(spec: &TrustPolicySpec, found: &Found) -> BroughtLists {
    let mut brought = BroughtLists::default();
    let crls = spec.revocation.iter().flat_map(|revocation| &revocation.crls);
    for (place, source) in crls.enumerate() {
        let reference = source.config_map_key_ref.as_ref().ok_or_else(|| ": names no source".to_owned());
        let bytes = reference.and_then(|reference| config_map_value(reference, found));
        let list = bytes.and_then(|bytes| {
            let read = RevocationList::from_der_or_pem(bytes);
            read.map_err(|error| format!(": {error}"))
        });
        match list {
            Ok(list) => brought.lists.push(list),
            Err(why) => {
                let message = format!("spec.revocation.crls[{place}]{why}");
                brought.unread.push(clip(&message, sealwatch_api::text::MESSAGE_MAX_BYTES));
            }
        }
    }
    brought
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use sealwatch_api::trust_policy::{Revocation, RevocationListSource};
    use sealwatch_fixtures::revocation::List;

    use super::*;

    fn spec(keys: &[&str]) -> TrustPolicySpec {
        let source = |key: &&str| RevocationListSource {
            config_map_key_ref: Some(KeySelector { name: "lists".into(), key: (*key).into() }),
        };
        let crls = keys.iter().map(source).collect();
        TrustPolicySpec { revocation: Some(Revocation { crls }), ..TrustPolicySpec::default() }
    }

    #[test]
    fn a_list_that_cannot_be_read_is_named_and_the_others_count() {
        let values = BTreeMap::from([("good".to_owned(), List::new().issue()), ("bad".to_owned(), b"<html>".to_vec())]);
        let config_maps = [("lists".to_owned(), Ok(Some(Arc::new(values))))].into();
        let found = Found { config_maps, ..Found::default() };
        let brought = load(&spec(&["bad", "good", "absent"]), &found);
        assert_eq!(brought.lists.len(), 1);
        let [bad, absent] = brought.unread.as_slice() else { panic!("{:?}", brought.unread) };
        assert!(bad.starts_with("spec.revocation.crls[0]: malformed revocation list"), "{bad}");
        assert_eq!(absent, "spec.revocation.crls[2].configMapKeyRef: ConfigMap \"lists\" has no key \"absent\"");
        let missing = load(&spec(&["good"]), &Found::default());
        assert!(missing.lists.is_empty());
        assert!(missing.unread[0].contains("ConfigMap \"lists\" does not exist"), "{:?}", missing.unread);
        let no_source = load(
            &TrustPolicySpec {
                revocation: Some(Revocation { crls: vec![RevocationListSource::default()] }),
                ..TrustPolicySpec::default()
            },
            &found,
        );
        assert_eq!(no_source.unread, ["spec.revocation.crls[0]: names no source"]);
        assert!(load(&TrustPolicySpec::default(), &found).unread.is_empty());
    }
}
