// SPDX-License-Identifier: Apache-2.0

//! What must hold everywhere in the published definitions.

use std::path::Path;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

/// Calls `visit` with the path and schema of every property, list item and map value of every definition.
fn walk(mut visit: impl FnMut(&str, &Value)) {
    for crd in sealwatch_api::crds::crds() {
        let crd = serde_json::to_value(crd).unwrap();
        let name = crd["spec"]["names"]["kind"].as_str().unwrap();
        walk_below(name, &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &mut visit);
    }
}

fn walk_below(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        visit(&path, property);
        walk_below(&path, property, visit);
    }
    for (keyword, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(below) = schema.get(keyword).filter(|below| below.is_object()) {
            let path = format!("{path}{suffix}");
            visit(&path, below);
            walk_below(&path, below, visit);
        }
    }
}

/// The paths for which `is_wrong` holds; panics if it was asked about too few to be true.
fn wrong(is_wrong: impl Fn(&str, &Value) -> bool) -> Vec<String> {
    let (mut seen, mut wrong) = (0, Vec::new());
    walk(|path, schema| {
        seen += 1;
        if is_wrong(path, schema) {
            wrong.push(path.to_owned());
        }
    });
    assert!(seen > 100, "walked over {seen} schemas only");
    wrong
}

fn is_status(path: &str) -> bool {
    path.matches('.').count() == 1 && path.ends_with(".status")
}

#[test]
fn every_field_explains_itself() {
    let is_member = |path: &str| path.ends_with("[]") || path.ends_with("{}");
    let silent = wrong(|path, schema| {
        !is_member(path) && schema["description"].as_str().is_none_or(|text| text.len() < 15 || text.contains("Auto-"))
    });
    assert_eq!(silent, [""; 0]);
}

#[test]
fn every_length_is_bounded() {
    // The schema of a condition is that of meta/v1, which has no bounds; no rule touches it, and the operator writes it.
    let unbounded = wrong(|path, schema| {
        let bound = match schema["type"].as_str() {
            Some("string") if schema["enum"].is_array() || schema["format"] == "date-time" => return false,
            Some("string") => "maxLength",
            Some("array") => "maxItems",
            Some("object") if schema["additionalProperties"].is_object() => "maxProperties",
            _ => return false,
        };
        !path.contains(".conditions[]") && schema[bound].is_null()
    });
    assert_eq!(unbounded, [""; 0]);
}

#[test]
fn null_and_absence_are_the_same() {
    let required = |path: &str| {
        let mut required = Vec::new();
        walk(|parent, schema| {
            for name in schema["required"].as_array().into_iter().flatten() {
                required.push(format!("{parent}.{}", name.as_str().unwrap()));
            }
        });
        required.iter().any(|name| name == path)
    };
    let refusing = wrong(|path, schema| {
        let property = !path.ends_with("[]") && !path.ends_with("{}") && path.matches('.').count() > 1;
        property && schema["nullable"] != true && schema["default"].is_null() && !required(path)
    });
    assert_eq!(refusing, [""; 0]);
}

#[test]
fn no_two_peoples_lists_are_merged() {
    assert_eq!(wrong(|_, schema| schema["type"] == "array" && schema["x-kubernetes-list-type"] != "atomic"), [""; 0]);
    assert_eq!(wrong(|path, schema| is_status(path) && schema["x-kubernetes-map-type"] != "atomic"), [""; 0]);
}

#[test]
fn every_format_is_one_that_kubernetes_knows() {
    let known = ["int32", "int64", "date-time"];
    assert_eq!(wrong(|_, schema| schema["format"].as_str().is_some_and(|format| !known.contains(&format))), [""; 0]);
}

#[test]
fn every_rule_says_what_is_wrong() {
    let mut rules = 0;
    walk(|path, schema| {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            rules += 1;
            let message = rule["message"].as_str().unwrap_or_default();
            assert!(message.len() > 15 && !message.ends_with('.') && !message.contains('\n'), "{path}: {rule}");
        }
    });
    assert!(rules > 40, "{rules} rules only");
}

#[test]
fn the_committed_definitions_are_those_of_the_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/crd");
    for (name, text) in sealwatch_api::crds::files().unwrap() {
        let committed = std::fs::read_to_string(folder.join(&name)).unwrap_or_default();
        assert!(committed == text, "config/crd/{name} is not up to date: run `just generate`");
    }
}

#[test]
fn the_yaml_reads_back_as_the_definitions() {
    for ((_, text), crd) in sealwatch_api::crds::files().unwrap().iter().zip(sealwatch_api::crds::crds()) {
        let read: CustomResourceDefinition = serde_saphyr::from_str(text).unwrap();
        assert_eq!(read, crd);
    }
    let whole = sealwatch_api::crds::yaml().unwrap();
    assert_eq!(whole.matches("\n---\n").count(), sealwatch_api::crds::crds().len());
}

#[test]
fn the_tables_of_kubectl_have_the_documented_columns() {
    let columns = |wide: bool| -> Vec<Vec<String>> {
        sealwatch_api::crds::crds()
            .into_iter()
            .map(|crd| {
                let columns = crd.spec.versions.into_iter().next().unwrap().additional_printer_columns.unwrap();
                let of_width = columns.into_iter().filter(|column| (column.priority == Some(1)) == wide);
                of_width.map(|column| column.name).collect()
            })
            .collect()
    };
    assert_eq!(
        columns(false),
        [
            vec!["Images", "Verified", "Failed", "Unknown", "Ready", "Last Scan", "Age"],
            vec!["Image", "Verdict", "Reason", "Signer", "Pods", "Since"],
        ]
    );
    assert_eq!(columns(true), [vec![], vec!["Policy", "Digest", "Last Verified", "Signer Expires"]]);
}

/// Whoever writes an object must not choose whom the operator connects to beside registries, how it does that, or reach
/// into another namespace (CVE-2026-22039, CVE-2026-41068 and their kin).
#[test]
fn no_field_of_a_spec_is_a_url_weakens_tls_or_names_a_namespace() {
    let words =
        ["url", "uri", "endpoint", "proxy", "server", "realm", "insecure", "tls", "namespace", "credential", "http"];
    let reaching = wrong(|path, schema| {
        let name = path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        let is_spec = path.split('.').nth(1).is_some_and(|part| part == "spec");
        is_spec && (words.iter().any(|word| name.contains(word)) || schema["format"] == "uri")
    });
    assert_eq!(reaching, [""; 0]);
}
