// SPDX-License-Identifier: Apache-2.0

//! Whether a definition accepts every object that an older one accepted, and keeps all of it: a comparison of schemas.
//!
//! What is not known here counts as a problem where it differs, so that a keyword which Kubernetes may get later is not
//! overlooked.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Keywords that say nothing about what is accepted.
const FOR_READERS: [&str; 4] = ["description", "title", "example", "externalDocs"];
/// Upper bounds: lower is narrower. Absent is none.
const AT_MOST: [&str; 4] = ["maximum", "maxLength", "maxItems", "maxProperties"];
/// Lower bounds: higher is narrower.
const AT_LEAST: [&str; 4] = ["minimum", "minLength", "minItems", "minProperties"];
const RULES: &str = "x-kubernetes-validations";
const KEEPS_ALL: &str = "x-kubernetes-preserve-unknown-fields";

/// Everything by which `new` refuses or drops what `old` accepted, each as a sentence that begins with the place; none
/// if an upgrade from `old` to `new` is safe. Both are `CustomResourceDefinition`s of one name.
pub(crate) fn problems(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for place in ["/spec/group", "/spec/scope", "/spec/names/plural", "/spec/names/kind", "/spec/names/singular"] {
        if old.pointer(place) != new.pointer(place) {
            found.push(format!("{place}: changed"));
        }
    }
    for name in missing(old.pointer("/spec/names/shortNames"), new.pointer("/spec/names/shortNames")) {
        found.push(format!("/spec/names/shortNames: {name} is gone"));
    }
    let versions = |definition: &Value| definition["spec"]["versions"].as_array().cloned().unwrap_or_default();
    let newer = versions(new);
    for version in versions(old) {
        let name = version["name"].as_str().unwrap_or_default();
        let Some(other) = newer.iter().find(|other| other["name"] == name) else {
            found.push(format!("{name}: the version is gone, and objects may be stored in it"));
            continue;
        };
        if version["served"] == true && other["served"] != true {
            found.push(format!("{name}: is not served any more"));
        }
        if version["subresources"] != other["subresources"] {
            found.push(format!("{name}: subresources changed"));
        }
        let schema = |version: &Value| version["schema"]["openAPIV3Schema"].clone();
        node(name, &schema(&version), &schema(other), &mut found);
    }
    found
}

/// What of the first list is not in the second, as text.
fn missing(old: Option<&Value>, new: Option<&Value>) -> Vec<String> {
    let entries = |list: Option<&Value>| -> Vec<Value> { list.and_then(Value::as_array).cloned().unwrap_or_default() };
    let new = entries(new);
    entries(old).iter().filter(|entry| !new.contains(entry)).map(ToString::to_string).collect()
}

fn node(place: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    let nothing = Map::new();
    let (older, newer) = (old.as_object().unwrap_or(&nothing), new.as_object().unwrap_or(&nothing));
    let keywords: BTreeSet<&String> = older.keys().chain(newer.keys()).collect();
    for keyword in keywords {
        let (was, is) = (older.get(keyword), newer.get(keyword));
        if was == is || FOR_READERS.contains(&keyword.as_str()) {
            continue;
        }
        match keyword.as_str() {
            "properties" => properties(place, old, new, found),
            "items" => child(&format!("{place}[]"), was, is, found),
            "additionalProperties" => child(&format!("{place}{{}}"), was, is, found),
            "required" => {
                found.extend(missing(is, was).iter().map(|name| format!("{place}: {name} is required now")));
            }
            "enum" if was.is_some() => {
                let gone = missing(was, is.or(was));
                found.extend(gone.iter().map(|word| format!("{place}: the value {word} is gone")));
            }
            "nullable" | KEEPS_ALL if was != Some(&Value::Bool(true)) => {}
            RULES => rules(place, was, is, found),
            bound if AT_MOST.contains(&bound) || AT_LEAST.contains(&bound) => {
                if narrower(bound, was, is) {
                    found.push(format!("{place}: {bound} is {} and was {}", text(is), text(was)));
                }
            }
            other => found.push(format!("{place}: {other} is {} and was {}", text(is), text(was))),
        }
    }
}

fn text(value: Option<&Value>) -> String {
    value.map_or_else(|| "absent".to_owned(), ToString::to_string)
}

fn narrower(bound: &str, was: Option<&Value>, is: Option<&Value>) -> bool {
    let (Some(is), was) = (is.and_then(Value::as_f64), was.and_then(Value::as_f64)) else { return is.is_some() };
    was.is_none_or(|was| if AT_MOST.contains(&bound) { is < was } else { is > was })
}

fn child(place: &str, was: Option<&Value>, is: Option<&Value>, found: &mut Vec<String>) {
    match (was, is) {
        (Some(was), Some(is)) if was.is_object() && is.is_object() => node(place, was, is, found),
        (was, is) => found.push(format!("{place}: is {} and was {}", text(is), text(was))),
    }
}

fn properties(place: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    for (name, was) in old["properties"].as_object().into_iter().flatten() {
        let below = format!("{place}.{name}");
        match new["properties"].get(name) {
            Some(is) => node(&below, was, is, found),
            // Then it is dropped from what is stored, as soon as that is written again.
            None if new[KEEPS_ALL] != true => found.push(format!("{below}: the field is gone")),
            None => {}
        }
    }
}

fn rules(place: &str, was: Option<&Value>, is: Option<&Value>, found: &mut Vec<String>) {
    let texts = |list: Option<&Value>| -> Vec<String> {
        let rules = list.and_then(Value::as_array).into_iter().flatten();
        rules.filter_map(|rule| rule["rule"].as_str()).map(str::to_owned).collect()
    };
    let older = texts(was);
    for rule in texts(is).iter().filter(|rule| !older.contains(rule)) {
        found.push(format!("{place}: there is a new rule {rule}"));
    }
}
