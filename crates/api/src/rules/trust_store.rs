// SPDX-License-Identifier: Apache-2.0

//! Our own rules for trust stores and for where their certificates come from.

use schemars::Schema;

use super::{Rule, add, add_to_items, add_to_property, label_selector_rules};

/// TP-15: the names that a trust store can have.
const STORE_NAME_PATTERN: &str = "^[a-zA-Z0-9_.-]+$";

pub(crate) fn trust_store(schema: &mut Schema) {
    let Some(store) = schema.as_object_mut() else { return };
    add(
        store,
        vec![
            Rule::new(
                format!("has(self.name) && self.name.matches('{STORE_NAME_PATTERN}')"),
                "unsupported trust store name, it must be of letters, digits, _, . and -",
            ),
            Rule::new(
                "has(self.certificates) && size(self.certificates) > 0",
                "trust store has no certificates, it must specify at least one source",
            )
            .naming(
                "\"trust store '\" + self.type + ':' + (has(self.name) ? self.name : '') + \
                 \"' has no certificates, it must specify at least one source\"",
            ),
        ],
    );
}

pub(super) fn trust_stores_are_unique() -> Rule {
    Rule::new(
        "self.all(a, self.exists_one(b, b.type == a.type && has(a.name) == has(b.name) && \
         (!has(a.name) || b.name == a.name)))",
        "multiple trust stores have the same type and name, each combination of them must be unique",
    )
    .naming(
        "\"multiple trust stores are called '\" + self.map(a, a.type + ':' + (has(a.name) ? a.name : '')).filter(n, \
         !self.exists_one(b, b.type + ':' + (has(b.name) ? b.name : '') == n))[0] + \
         \"', each combination of type and name must be unique\"",
    )
}

pub(crate) fn certificate_source(schema: &mut Schema) {
    let Some(source) = schema.as_object_mut() else { return };
    add(
        source,
        vec![
            Rule::new(
                "[has(self.configMapKeyRef), has(self.pem), has(self.secretKeyRef), has(self.clusterTrustBundle)]\
                 .filter(given, given).size() == 1",
                "a source of certificates must be exactly one of configMapKeyRef, pem, secretKeyRef and \
                 clusterTrustBundle",
            ),
            Rule::new("!has(self.pem) || self.pem != ''", "pem of a source of certificates is empty"),
        ],
    );
    add_to_items(
        source,
        "sha256",
        vec![Rule::new(
            "self.matches('^[0-9a-fA-F]{64}$')",
            "a pin must be the SHA-256 fingerprint of a certificate as 64 hexadecimal digits",
        )],
    );
}

pub(crate) fn cluster_trust_bundle(schema: &mut Schema) {
    let Some(source) = schema.as_object_mut() else { return };
    add(
        source,
        vec![
            Rule::new(
                "has(self.name) != has(self.signerName)",
                "clusterTrustBundle must have exactly one of name and signerName",
            ),
            Rule::new(
                "has(self.signerName) == has(self.labelSelector)",
                "clusterTrustBundle must have signerName and labelSelector together, an empty labelSelector is all",
            ),
        ],
    );
    add_to_property(source, "labelSelector", label_selector_rules());
}

pub(crate) fn revocation_list_source(schema: &mut Schema) {
    let Some(source) = schema.as_object_mut() else { return };
    add(source, vec![Rule::new("has(self.configMapKeyRef)", "a source of revocation lists must have configMapKeyRef")]);
}
