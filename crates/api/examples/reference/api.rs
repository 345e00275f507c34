// SPDX-License-Identifier: Apache-2.0

//! `api.md`: every field of both kinds, from the schema that the API server gets.

use std::error::Error;
use std::fmt::Write as _;

use sealwatch_api::crds::crds;
use serde_json::Value;

use crate::markdown::{GENERATED, line, table};

const HEAD: &str = "\
Both kinds belong to the group `sealwatch.dev`, version `v1alpha1`, and to a namespace. `kubectl explain tp.spec` shows
the same texts. What the fields are for is told in [trust-policy.md](trust-policy.md) and [verdicts.md](verdicts.md), and
what the reasons mean in [reasons.md](reasons.md). `[]` stands for each entry of a list, `{}` for each value of a map.

A field that stands here is accepted by the API server. Some of them this version of the operator does not support yet,
and says so instead of ignoring them: `secretKeyRef`, `clusterTrustBundle` and `sha256` of a certificate source (reason `TrustStoreUnavailable`).
";

/// What a definition says of one field.
struct Field {
    path: String,
    kind: String,
    default: String,
    bounds: String,
    description: String,
    rules: Vec<String>,
}

/// The page.
pub(crate) fn page() -> Result<String, Box<dyn Error>> {
    let mut text = format!("# API reference\n\n{GENERATED}\n{HEAD}");
    for crd in crds() {
        text += &chapter(&serde_json::to_value(crd)?)?;
    }
    Ok(text)
}

fn chapter(crd: &Value) -> Result<String, Box<dyn Error>> {
    let names = &crd["spec"]["names"];
    let version = crd["spec"]["versions"].get(0).ok_or("a definition without versions")?;
    let schema = &version["schema"]["openAPIV3Schema"];
    let kind = names["kind"].as_str().ok_or("a definition without kind")?;
    let mut text = format!("\n## {kind}\n{}\n\n", line(schema["description"].as_str().unwrap_or_default()));
    let names = [&names["plural"], &names["singular"]].into_iter().chain(texts(&names["shortNames"]));
    let names: Vec<String> = names.filter_map(Value::as_str).map(|name| format!("`{name}`")).collect();
    // Writing to a String cannot fail, here and below.
    let _ = write!(text, "Names for kubectl: {}.\n\n", names.join(", "));
    let columns: Vec<_> = texts(&version["additionalPrinterColumns"]).map(column).collect();
    text += &table(["Column", "Shown", "Meaning"], &columns);
    for part in ["spec", "status"] {
        let mut fields = Vec::new();
        collect(part, &schema["properties"][part], required(schema, part), &mut fields);
        let _ = write!(text, "\n### {kind}.{part}\n\n");
        let rows: Vec<_> = fields.iter().map(Field::row).collect();
        text += &table(["Field", "Type", "Default", "Bounds", "Meaning"], &rows);
        let rules = fields.iter().flat_map(|field| field.rules.iter().map(|rule| [code(&field.path), line(rule)]));
        let rules: Vec<_> = rules.collect();
        if !rules.is_empty() {
            text += "\nThe API server refuses an object that breaks one of these rules, and names it:\n\n";
            text += &table(["Where", "Rule"], &rules);
        }
    }
    let rules: Vec<String> = rules_of(schema).iter().map(|rule| format!("* {}\n", line(rule))).collect();
    if !rules.is_empty() {
        let _ = write!(text, "\nAbout the object as a whole:\n\n{}", rules.concat());
    }
    Ok(text)
}

fn texts(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn column(column: &Value) -> [String; 3] {
    let text = |key: &str| column[key].as_str().unwrap_or_default();
    let shown = if column["priority"] == 1 { "`-o wide`" } else { "always" };
    [text("name").to_uppercase(), shown.to_owned(), line(text("description"))]
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn required(schema: &Value, name: &str) -> bool {
    texts(&schema["required"]).any(|required| required == name)
}

/// The field itself and everything below it, depth first.
fn collect(path: &str, schema: &Value, is_required: bool, fields: &mut Vec<Field>) {
    fields.push(Field {
        path: path.to_owned(),
        kind: kind(schema),
        default: schema.get("default").map(|default| code(&default.to_string())).unwrap_or_default(),
        bounds: bounds(schema, is_required),
        description: line(schema["description"].as_str().unwrap_or_default()),
        rules: rules_of(schema),
    });
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        collect(&format!("{path}.{name}"), property, required(schema, name), fields);
    }
    for (keyword, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        let below = &schema[keyword];
        // A list of plain texts needs no line of its own unless it says something about them.
        if below.is_object() && (below["properties"].is_object() || !bounds(below, false).is_empty()) {
            collect(&format!("{path}{suffix}"), below, false, fields);
        }
    }
}

fn rules_of(schema: &Value) -> Vec<String> {
    texts(&schema["x-kubernetes-validations"]).filter_map(|rule| rule["message"].as_str()).map(str::to_owned).collect()
}

fn kind(schema: &Value) -> String {
    let of = |below: &Value| kind(below);
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("array"), _) => format!("list of {}", of(&schema["items"])),
        (Some("object"), _) if schema["additionalProperties"].is_object() => {
            format!("map to {}", of(&schema["additionalProperties"]))
        }
        (Some("string"), Some("date-time")) => "time".to_owned(),
        (Some(kind), _) => kind.to_owned(),
        (None, _) => "any".to_owned(),
    }
}

fn bounds(schema: &Value, is_required: bool) -> String {
    let mut bounds = Vec::new();
    if is_required {
        bounds.push("required".to_owned());
    }
    let words: Vec<String> = texts(&schema["enum"]).filter_map(Value::as_str).map(code).collect();
    if !words.is_empty() {
        bounds.push(format!("one of {}", words.join(", ")));
    }
    for (keyword, sign, unit) in [
        ("minLength", "≥", " characters"),
        ("maxLength", "≤", " characters"),
        ("minItems", "≥", " entries"),
        ("maxItems", "≤", " entries"),
        ("maxProperties", "≤", " entries"),
        ("minimum", "≥", ""),
        ("maximum", "≤", ""),
    ] {
        if let Some(number) = schema[keyword].as_f64() {
            bounds.push(format!("{sign} {number}{unit}"));
        }
    }
    bounds.join("; ")
}

impl Field {
    fn row(&self) -> [String; 5] {
        let Self { path, kind, default, bounds, description, .. } = self;
        [code(path), kind.clone(), default.clone(), bounds.clone(), description.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_a_statement_is_on_the_page_with_its_bounds() {
        let page = page().unwrap();
        for line in [
            "| `spec.trustPolicies` | list of object |  | ≤ 16 entries |",
            "| `spec.trustPolicies[].registryScopes` | list of string |  | ≤ 64 entries |",
            "| `spec.interval` | string | `\"1h\"` | ≤ 24 characters |",
            "| `spec.digestMatching` | string | `\"Exact\"` | one of `Exact`, `FollowIndex`; ≤ 64 characters |",
            "| `status.verdict` | string |",
        ] {
            assert!(page.contains(line), "{line}");
        }
    }

    #[test]
    fn every_rule_of_the_definitions_is_on_the_page() {
        let page = page().unwrap();
        let definitions = sealwatch_api::crds::yaml().unwrap();
        assert!(definitions.matches("messageExpression:").count() > 20);
        for message in [
            "metadata.name must have at most 63 characters",
            "trust policy document has empty version",
            "registry scope with wild card(s) is not valid",
            "verification type 'integrity' can not be overridden",
        ] {
            assert!(page.contains(message), "{message}");
        }
    }
}
