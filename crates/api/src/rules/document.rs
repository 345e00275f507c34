// SPDX-License-Identifier: Apache-2.0

//! Notation's rules for a trust policy document: what notation-go refuses, as far as CEL can judge it, in words of the
//! same class. `TP-n` and `DN-n` number them as in the conformance documentation.

use schemars::Schema;

use super::{Rule, add, add_to_items, add_to_property, below};

/// Part of TP-20: a registry's host name with an optional port, and a repository of it; no scheme, tag or digest.
/// Source: the OCI distribution specification's repository name, and notation-go's expressions for scopes.
const SCOPE_PATTERN: &str = "^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\\\\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*(:[0-9]+)?\
     (/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)+$";

/// TP-8: the checks that exist.
const CHECKS: &str = "['integrity', 'authenticity', 'authenticTimestamp', 'expiry', 'revocation']";

/// Rules on the document as a whole: TP-2, TP-3, and that every trust store that is named is there.
pub(super) fn document_rules() -> Vec<Rule> {
    // A list of one is CEL's `let` in Kubernetes 1.29: the names are put together once, not once for each comparison.
    let names = "[has(self.trustStores) ? self.trustStores.map(d, d.type + ':' + (has(d.name) ? d.name : '')) : []]";
    vec![
        Rule::new(
            "has(self.version) && self.version != ''",
            "trust policy document has empty version, version must be specified",
        ),
        Rule::new(
            "!has(self.version) || self.version in ['', '1.0']",
            "trust policy document uses unsupported version, the only supported version is '1.0'",
        )
        .naming(
            "\"trust policy document uses unsupported version '\" + self.version + \
             \"', the only supported version is '1.0'\"",
        ),
        Rule::new(
            "has(self.trustPolicies) && size(self.trustPolicies) > 0",
            "trust policy document can not have zero trust policy statements",
        ),
        Rule::new(
            format!(
                "{names}.all(names, !has(self.trustPolicies) || self.trustPolicies.all(p, !has(p.trustStores) || \
                 p.trustStores.all(t, t in names)))"
            ),
            "a trust policy statement names a trust store that is not defined in spec.trustStores",
        )
        .naming(format!(
            "\"a trust policy statement names a trust store that is not defined in spec.trustStores: \" + \
             {names}.map(names, self.trustPolicies.filter(p, has(p.trustStores) && p.trustStores.exists(t, \
             !(t in names)))[0].trustStores.filter(t, !(t in names))[0])[0]"
        )),
    ]
}

/// Rules across statements: TP-4 and TP-21.
pub(super) fn statement_list_rules() -> Vec<Rule> {
    vec![
        Rule::new(
            "self.all(a, !has(a.name) || a.name == '' || self.exists_one(b, has(b.name) && b.name == a.name))",
            "multiple trust policy statements use the same name, statement names must be unique",
        )
        .naming(
            "\"multiple trust policy statements use the same name '\" + self.map(a, has(a.name) ? a.name : '').filter(n, \
             n != '' && !self.exists_one(b, has(b.name) && b.name == n))[0] + \"', statement names must be unique\"",
        ),
        Rule::new(
            // Each pair of statements once: their names, which are unique, have an order. All pairs would be beyond
            // the API server's budget at run time.
            "self.all(a, self.all(b, !has(a.name) || !has(b.name) || a.name >= b.name || !has(a.registryScopes) || \
             !has(b.registryScopes) || !a.registryScopes.exists(s, s in b.registryScopes)))",
            "registry scope is present in multiple trust policy statements, a scope may stand only once in a document",
        )
        .naming(
            "\"registry scope '\" + self.map(a, has(a.name) && has(a.registryScopes), \
             self.map(b, has(b.name) && has(b.registryScopes) && a.name < b.name, \
             a.registryScopes.filter(s, s in b.registryScopes)))\
             .filter(lists, lists.exists(l, size(l) > 0))[0].filter(l, size(l) > 0)[0][0] + \
             \"' is present in multiple trust policy statements, a scope may stand only once in a document\"",
        ),
    ]
}

pub(crate) fn statement(schema: &mut Schema) {
    let Some(statement) = schema.as_object_mut() else { return };
    add(statement, vec![has_a_name()]);
    add(statement, level_rules());
    add(statement, presence_rules());
    add(statement, wildcard_rules());
    add_to_items(statement, "registryScopes", scope_rules());
    add_to_property(statement, "registryScopes", vec![scopes_are_unique()]);
    add_to_items(statement, "trustStores", named_store_rules());
    add_to_items(statement, "trustedIdentities", identity_rules());
    add_to_property(statement, "trustedIdentities", vec![identities_are_unique()]);
    if let Some(verification) = below(statement, &["properties", "signatureVerification"]) {
        add_to_property(verification, "override", override_rules());
    }
}

/// TP-5.
fn has_a_name() -> Rule {
    Rule::new(
        "has(self.name) && self.name != ''",
        "a trust policy statement is missing a name, every statement requires a name",
    )
}

/// TP-6, the first half of TP-7, and TP-10.
fn level_rules() -> Vec<Rule> {
    let level = "self.signatureVerification.level";
    let timestamp = "self.signatureVerification.verifyTimestamp";
    vec![
        Rule::on_statement(
            format!("has({level}) && {level} != ''"),
            ": signature verification level is empty or missing, it must be one of strict, permissive, audit and skip",
        ),
        Rule::on_statement(
            format!("!has({level}) || {level} in ['', 'strict', 'permissive', 'audit', 'skip']"),
            ": invalid signature verification level, it must be one of strict, permissive, audit and skip",
        ),
        Rule::on_statement(
            format!(
                "!has({level}) || {level} != 'skip' || !has(self.signatureVerification.override) || \
                 size(self.signatureVerification.override) == 0"
            ),
            ": signature verification level 'skip' can't be used to customize signature verification, remove override",
        ),
        Rule::on_statement(
            format!("!has({timestamp}) || {timestamp} in ['', 'always', 'afterCertExpiry']"),
            ": verifyTimestamp must be 'always' or 'afterCertExpiry'",
        ),
    ]
}

/// TP-11, TP-12 and TP-17.
fn presence_rules() -> Vec<Rule> {
    let skips = "has(self.signatureVerification.level) && self.signatureVerification.level == 'skip'";
    let stores = "(has(self.trustStores) && size(self.trustStores) > 0)";
    let identities = "(has(self.trustedIdentities) && size(self.trustedIdentities) > 0)";
    vec![
        Rule::on_statement(
            format!("!({skips}) || (!{stores} && !{identities})"),
            " is set to skip signature verification but configured with trust stores and/or trusted identities, \
             remove them",
        ),
        Rule::on_statement(
            format!("({skips}) || ({stores} && {identities})"),
            " is either missing trust stores or trusted identities, both must be specified",
        ),
        Rule::on_statement(
            "has(self.registryScopes) && size(self.registryScopes) > 0",
            " has zero registry scopes, it must specify at least one",
        ),
    ]
}

/// TP-18 and TP-25.
fn wildcard_rules() -> Vec<Rule> {
    vec![
        Rule::on_statement(
            "!has(self.registryScopes) || size(self.registryScopes) < 2 || !('*' in self.registryScopes)",
            " uses wildcard registry scope '*', which cannot be used in conjunction with other scopes",
        ),
        Rule::on_statement(
            "!has(self.trustedIdentities) || size(self.trustedIdentities) < 2 || !('*' in self.trustedIdentities)",
            " uses a wildcard trusted identity '*', which cannot be used in conjunction with other identities",
        ),
    ]
}

/// TP-19 and TP-20, on one scope.
fn scope_rules() -> Vec<Rule> {
    vec![
        Rule::new("self == '*' || !self.contains('*')", "registry scope with wild card(s) is not valid")
            .naming("\"registry scope '\" + self + \"' with wild card(s) is not valid, only '*' alone is\""),
        Rule::new(
            format!("self.contains('*') || self.matches('{SCOPE_PATTERN}')"),
            "registry scope is not valid, it must be a registry and a repository without scheme, tag or digest",
        )
        .naming(
            "\"registry scope '\" + self + \"' is not valid, it must be a registry and a repository \
             without scheme, tag or digest\"",
        ),
    ]
}

/// TP-21 within one statement.
fn scopes_are_unique() -> Rule {
    Rule::new(
        "self.all(s, self.exists_one(t, t == s))",
        "registry scope is present in multiple places of a trust policy statement, it may stand only once",
    )
    .naming(
        "\"registry scope '\" + self.filter(s, !self.exists_one(t, t == s))[0] + \
         \"' is present in multiple places of a trust policy statement, it may stand only once\"",
    )
}

/// TP-13 to TP-15, on one entry of a statement's trust stores.
fn named_store_rules() -> Vec<Rule> {
    vec![
        Rule::new("self.contains(':')", "malformed trust store value, it must be type:name").naming(
            "\"trust policy statement has malformed trust store value '\" + self + \"', it must be type:name\"",
        ),
        Rule::new(
            "!self.contains(':') || self.matches('^(ca|signingAuthority|tsa):')",
            "trust policy statement uses an unsupported trust store type, it must be ca, signingAuthority or tsa",
        )
        .naming(
            "\"trust policy statement uses an unsupported trust store type in '\" + self + \
             \"', it must be ca, signingAuthority or tsa\"",
        ),
        Rule::new(
            "!self.contains(':') || self.matches('^[^:]*:[a-zA-Z0-9_.-]+$')",
            "trust policy statement uses an unsupported trust store name, it must be of letters, digits, _, . and -",
        )
        .naming(
            "\"trust policy statement uses an unsupported trust store name in '\" + self + \
             \"', it must be of letters, digits, _, . and -\"",
        ),
    ]
}

/// TP-26, and what DN-1 refuses in every distinguished name, on one trusted identity.
fn identity_rules() -> Vec<Rule> {
    vec![
        Rule::new("self != ''", "trust policy statement has an empty trusted identity"),
        Rule::new(
            "self == '' || self == '*' || self.contains(':')",
            "trusted identity is missing separator ':' between its prefix and its value",
        )
        .naming(
            "\"trust policy statement has trusted identity '\" + self + \
             \"' missing separator ':' between its prefix and its value\"",
        ),
        Rule::new(
            "self != 'x509.subject:'",
            "trust policy statement has trusted identity 'x509.subject:' without an identity value",
        ),
        Rule::new(
            "!self.startsWith('x509.subject:') || !self.contains('=#')",
            "trusted identity is not valid: a distinguished name must not contain '=#'",
        ),
    ]
}

/// What TP-28 refuses of distinguished names that are written alike; the other overlaps need them parsed.
fn identities_are_unique() -> Rule {
    Rule::new(
        "self.all(a, !a.startsWith('x509.subject:') || self.exists_one(b, b == a))",
        "trust policy statement has overlapping x509 trustedIdentities, the same identity stands twice",
    )
}

/// TP-8, in Notation's order.
fn override_rules() -> Vec<Rule> {
    vec![
        Rule::new(format!("self.all(k, k in {CHECKS})"), "verification type in override is not supported").naming(
            format!(
                "\"verification type '\" + self.filter(k, !(k in {CHECKS}))[0] + \
                 \"' in override is not supported, it must be one of authenticity, authenticTimestamp, expiry and \
                 revocation\""
            ),
        ),
        Rule::new(
            "self.all(k, self[k] in ['enforce', 'log', 'skip'])",
            "verification action in override is not supported, it must be one of enforce, log and skip",
        )
        .naming(
            "\"verification action '\" + self[self.filter(k, !(self[k] in ['enforce', 'log', 'skip']))[0]] + \
             \"' in override is not supported, it must be one of enforce, log and skip\"",
        ),
        Rule::new("!('integrity' in self)", "verification type 'integrity' can not be overridden"),
        Rule::new(
            "self.all(k, k == 'revocation' || self[k] != 'skip')",
            "verification type in override can not be skipped, only revocation can",
        )
        .naming(
            "\"verification type '\" + self.filter(k, k != 'revocation' && self[k] == 'skip')[0] + \
             \"' in override can not be skipped, only revocation can\"",
        ),
    ]
}
