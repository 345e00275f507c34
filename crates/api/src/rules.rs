// SPDX-License-Identifier: Apache-2.0

//! The rules that the API server enforces, in CEL (`x-kubernetes-validations`).
//!
//! They are what notation-go refuses in a trust policy document, as far as CEL can judge it, in words of the same
//! class; and what our own fields need. `TP-n` and `DN-n` number Notation's rules as in the conformance documentation.
//!
//! A rule learns only through `has` that a field is absent, `null` being the same (see [`schema::tidy`]). Only functions
//! of Kubernetes 1.29 are used. Everything that a rule walks over is bounded in the schema, because the API server
//! refuses a definition whose rules it estimates to be too expensive.

use schemars::Schema;
use serde_json::{Map, Value, json};

use crate::{duration, schema};

/// Part of TP-20: a registry's host name with an optional port, and a repository of it; no scheme, tag or digest.
/// Source: the OCI distribution specification's repository name, and notation-go's expressions for scopes.
const SCOPE_PATTERN: &str = "^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\\\\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*(:[0-9]+)?\
     (/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)+$";

/// TP-15: the names that a trust store can have.
const STORE_NAME_PATTERN: &str = "^[a-zA-Z0-9_.-]+$";

/// TP-8: the checks that exist.
const CHECKS: &str = "['integrity', 'authenticity', 'authenticTimestamp', 'expiry', 'revocation']";

/// One rule, and what the user reads if it is broken.
struct Rule {
    /// A CEL expression over `self` that must be true.
    condition: String,
    /// The sentence if no expression makes one, or if that fails (for example because a name contains a line break).
    message: String,
    /// A CEL expression that makes the sentence with the offending value in it.
    message_expression: Option<String>,
}

impl Rule {
    fn new(condition: impl Into<String>, message: impl Into<String>) -> Self {
        Self { condition: condition.into(), message: message.into(), message_expression: None }
    }

    /// Adds the expression that names the offending value; it may presume that the rule is broken.
    fn naming(self, message_expression: impl Into<String>) -> Self {
        Self { message_expression: Some(message_expression.into()), ..self }
    }

    /// A rule on a statement, whose name stands in front of `complaint`.
    fn on_statement(condition: impl Into<String>, complaint: &str) -> Self {
        Self::new(condition, format!("trust policy statement{complaint}"))
            .naming(format!("\"trust policy statement '\" + (has(self.name) ? self.name : '') + \"'{complaint}\""))
    }

    fn into_value(self) -> Value {
        let mut value = json!({ "rule": self.condition, "message": self.message });
        if let Some(expression) = self.message_expression {
            value["messageExpression"] = json!(expression);
        }
        value
    }
}

pub(crate) fn trust_policy_spec(schema: &mut Schema) {
    let Some(spec) = schema.as_object_mut() else { return };
    add(spec, document_rules());
    add(spec, vec![stale_after_is_not_below_interval()]);
    add_to_property(spec, "trustPolicies", statement_list_rules());
    add_to_property(spec, "trustStores", vec![trust_stores_are_unique()]);
    add_to_property(spec, "interval", vec![is_duration("interval"), interval_is_at_least_a_minute()]);
    add_to_property(spec, "staleAfter", vec![is_duration("staleAfter")]);
    add_to_property(spec, "podSelector", label_selector_rules());
    schema::tidy(schema);
}

/// Rules on the document as a whole: TP-2, TP-3, and that every trust store that is named is there.
fn document_rules() -> Vec<Rule> {
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
fn statement_list_rules() -> Vec<Rule> {
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

fn trust_stores_are_unique() -> Rule {
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

/// What the API server requires of a label selector and its own schema does not say.
fn label_selector_rules() -> Vec<Rule> {
    vec![Rule::new(
        "!has(self.matchExpressions) || self.matchExpressions.all(e, \
         (e.operator in ['In', 'NotIn']) == (has(e.values) && size(e.values) > 0))",
        "matchExpressions must have values with the operators In and NotIn, and none with Exists and DoesNotExist",
    )]
}

fn is_duration(field: &str) -> Rule {
    Rule::new(
        format!("self != '' && self.matches('{}')", duration::PATTERN),
        format!("{field} must be a duration in hours, minutes and seconds, such as 1h30m"),
    )
}

fn interval_is_at_least_a_minute() -> Rule {
    let pattern = duration::PATTERN;
    Rule::new(
        format!("self == '' || !self.matches('{pattern}') || duration(self) >= duration('1m')"),
        "interval must be at least 1m",
    )
}

fn stale_after_is_not_below_interval() -> Rule {
    let pattern = duration::PATTERN;
    let well_formed = |field: &str| format!("has({field}) && {field} != '' && {field}.matches('{pattern}')");
    Rule::new(
        format!(
            "!({} && {}) || duration(self.staleAfter) >= duration(self.interval)",
            well_formed("self.staleAfter"),
            well_formed("self.interval")
        ),
        "staleAfter must be at least interval",
    )
    .naming("'staleAfter must be at least interval, but ' + self.staleAfter + ' is shorter than ' + self.interval")
}

pub(crate) fn image_verification_spec(schema: &mut Schema) {
    let Some(spec) = schema.as_object_mut() else { return };
    add(
        spec,
        vec![Rule::new("self == oldSelf", "spec is immutable, create another ImageVerification and delete this one")],
    );
    add_to_property(
        spec,
        "image",
        vec![
            Rule::new("self != ''", "image is required, it must be an image reference"),
            Rule::new(
                "!self.contains('://') && !self.matches('[^!-~]')",
                "image must be an image reference without scheme and blanks, such as registry.example.com/team/app:1.2",
            ),
        ],
    );
    add_to_property(
        spec,
        "digest",
        vec![Rule::new(
            "self.matches('^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$')",
            "digest must be sha256: and 64, or sha512: and 128, lower-case hexadecimal digits",
        )],
    );
    schema::tidy(schema);
}

/// Appends rules to those of a schema.
fn add(schema: &mut Map<String, Value>, rules: Vec<Rule>) {
    let existing = schema.entry("x-kubernetes-validations").or_insert_with(|| json!([]));
    if let Some(existing) = existing.as_array_mut() {
        existing.extend(rules.into_iter().map(Rule::into_value));
    }
}

/// Appends rules to those of a property.
fn add_to_property(schema: &mut Map<String, Value>, property: &str, rules: Vec<Rule>) {
    if let Some(below) = below(schema, &["properties", property]) {
        add(below, rules);
    }
}

/// Appends rules to those of every item of a property that is a list.
fn add_to_items(schema: &mut Map<String, Value>, property: &str, rules: Vec<Rule>) {
    if let Some(below) = below(schema, &["properties", property, "items"]) {
        add(below, rules);
    }
}

fn below<'a>(schema: &'a mut Map<String, Value>, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    path.iter().try_fold(schema, |schema, step| schema.get_mut(*step)?.as_object_mut())
}
