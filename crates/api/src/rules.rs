// SPDX-License-Identifier: Apache-2.0

//! The rules that the API server enforces, in CEL (`x-kubernetes-validations`).
//!
//! A rule learns only through `has` that a field is absent, `null` being the same (see [`schema::tidy`]). Only functions
//! of Kubernetes 1.29 are used. Everything that a rule walks over is bounded in the schema, because the API server
//! refuses a definition whose rules it estimates to be too expensive.

mod document;
mod trust_store;

use schemars::Schema;
use serde_json::{Map, Value, json};

use crate::{duration, schema};

pub(crate) use document::statement;
pub(crate) use trust_store::{certificate_source, cluster_trust_bundle, revocation_list_source, trust_store};

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
    add(spec, document::document_rules());
    add(spec, vec![stale_after_is_not_below_interval()]);
    add_to_property(spec, "trustPolicies", document::statement_list_rules());
    add_to_property(spec, "trustStores", vec![trust_store::trust_stores_are_unique()]);
    add_to_property(spec, "interval", vec![is_duration("interval"), interval_is_at_least_a_minute()]);
    add_to_property(spec, "staleAfter", vec![is_duration("staleAfter")]);
    add_to_property(spec, "podSelector", label_selector_rules());
    schema::tidy(schema);
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
