// SPDX-License-Identifier: Apache-2.0

//! What Kubernetes wants to see in a schema and Rust types do not say.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

/// Most entries of a list of conditions: the four types, and room for those of a newer version.
const CONDITIONS_MAX: usize = 8;

/// Makes the schema of a status: tidy, and an atomic map, so that a server-side apply of the operator replaces it whole
/// and no field of somebody else's survives in it.
pub(crate) fn status(schema: &mut Schema) {
    tidy(schema);
    schema.insert("x-kubernetes-map-type".to_owned(), json!("atomic"));
}

/// Adapts the schema that is derived from a Rust type to Kubernetes, everywhere below `schema`:
///
/// * An optional field may be `null`, which is the same as its absence: a rule's `has` says no (seen on 1.33 and 1.36),
///   and a default is filled in. Trust policy documents with `null` lists are good documents to Notation.
/// * A list is atomic: server-side apply replaces it whole and never merges two people's documents.
/// * Unsigned numbers have a format that Kubernetes knows.
/// * The lines of a description are joined to paragraphs, which `kubectl explain` breaks as the terminal needs.
pub(crate) fn tidy(schema: &mut Schema) {
    if let Some(object) = schema.as_object_mut() {
        tidy_object(object);
    }
}

fn tidy_object(object: &mut Map<String, Value>) {
    drop_null(object);
    if let Some(Value::String(description)) = object.get_mut("description") {
        *description = join_lines(description);
    }
    if object.get("format").and_then(Value::as_str) == Some("uint32") {
        object.insert("format".to_owned(), json!("int64"));
        object.insert("maximum".to_owned(), json!(u32::MAX));
    }
    if object.get("type").and_then(Value::as_str) == Some("array") {
        object.entry("x-kubernetes-list-type").or_insert_with(|| json!("atomic"));
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(below) = object.get_mut(keyword).and_then(Value::as_object_mut) {
            tidy_object(below);
        }
    }
    let required: Vec<Value> = object.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (name, property) in properties {
        let Some(property) = property.as_object_mut() else { continue };
        tidy_object(property);
        // Where there is a default, the API server replaces a null that is not allowed by it.
        if !required.contains(&json!(name)) && !property.contains_key("default") {
            property.insert("nullable".to_owned(), json!(true));
        }
    }
}

/// Replaces line breaks by blanks, except between paragraphs.
fn join_lines(text: &str) -> String {
    let paragraphs: Vec<String> = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect();
    paragraphs.join("\n\n")
}

/// Takes the alternative `null` out of a schema, in the two forms in which it is derived from an `Option`.
fn drop_null(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    let Some(Value::Array(alternatives)) = object.get_mut("anyOf") else { return };
    alternatives.retain(|alternative| alternative != &json!({ "type": "null" }));
    if let [Value::Object(only)] = alternatives.as_slice() {
        let only = only.clone();
        object.remove("anyOf");
        for (keyword, value) in only {
            // What the field says of itself, such as its description, is closer than what its type says.
            object.entry(keyword).or_insert(value);
        }
    }
}

/// Bounds the values of the map that an override is, so that the API server can bound the cost of its rules.
pub(crate) fn bound_map_values(schema: &mut Schema) {
    if let Some(values) = schema.get_mut("additionalProperties").and_then(Value::as_object_mut) {
        values.insert("maxLength".to_owned(), json!(32));
    }
}

/// The schema of a list of `meta/v1` Conditions.
pub(crate) fn conditions(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = generator.subschema_for::<Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>>();
    schema.insert("maxItems".to_owned(), json!(CONDITIONS_MAX));
    schema
}

/// The schema of a label selector: that of `meta/v1`, with bounds, so that rules on it have a bounded cost.
pub(crate) fn label_selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "description": "Labels that must have exactly these values, at most 32.",
                "type": "object",
                "maxProperties": 32,
                "additionalProperties": { "type": "string", "maxLength": 63 },
            },
            "matchExpressions": {
                "description": "Further requirements, all of which must hold, at most 16.",
                "type": "array",
                "maxItems": 16,
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {
                            "description": "The label that the requirement is about, at most 317 characters.",
                            "type": "string",
                            "maxLength": 317,
                        },
                        "operator": {
                            "description": "How the label's value relates to `values`: `In` or `NotIn`; or whether the \
                                            label is there: `Exists` or `DoesNotExist`.",
                            "type": "string",
                            "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "description": "The values, at most 32; some for `In` and `NotIn`, none for the others.",
                            "type": "array",
                            "maxItems": 32,
                            "items": { "type": "string", "maxLength": 63 },
                        },
                    },
                },
            },
        },
    })
}
