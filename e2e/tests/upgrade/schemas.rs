// SPDX-License-Identifier: Apache-2.0

//! The definitions of now beside those of every version that somebody may have.

use std::fs;
use std::path::PathBuf;

use sealwatch_e2e::testenv::Result;
use serde_json::{Value, json};

use crate::compatible::problems;
use crate::definitions;

/// Changes that refuse or drop what an older version accepted and were wanted all the same: the version, the problem
/// word for word, and the decision that says what becomes of stored objects.
const DECIDED: [(&str, &str, &str); 0] = [];

fn in_repository(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)
}

fn versions() -> Result<Vec<String>> {
    let mut versions = Vec::new();
    for entry in fs::read_dir(in_repository("e2e/tests/upgrade"))? {
        let entry = entry?;
        if entry.path().join("crds.yaml").is_file() {
            versions.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    versions.sort();
    Ok(versions)
}

fn of_now() -> Result<Vec<Value>> {
    let mut found = Vec::new();
    for kind in ["imageverifications", "trustpolicies"] {
        let file = in_repository(&format!("config/crd/{kind}.sealwatch.dev.yaml"));
        found.push(serde_saphyr::from_str(&fs::read_to_string(file)?)?);
    }
    Ok(found)
}

#[test]
fn the_definitions_of_now_accept_and_keep_all_that_every_older_version_accepted() -> Result<()> {
    let mut surprises = Vec::new();
    let versions = versions()?;
    assert!(versions.contains(&"first".to_owned()), "{versions:?}");
    for version in versions {
        let older = definitions(&version)?;
        assert_eq!(older.len(), 2, "{version}");
        let newer = of_now()?;
        for old in older {
            let name = &old["metadata"]["name"];
            let Some(new) = newer.iter().find(|new| new["metadata"]["name"] == *name) else {
                surprises.push(format!("{version}: {name} is gone"));
                continue;
            };
            let found = problems(&old, new).into_iter();
            surprises.extend(found.map(|problem| format!("{version}: {name}: {problem}")));
        }
    }
    let decided: Vec<String> = DECIDED.iter().map(|(version, problem, _)| format!("{version}: {problem}")).collect();
    let stale: Vec<&String> = decided.iter().filter(|decided| !surprises.contains(decided)).collect();
    assert!(stale.is_empty(), "decided, and not so: {stale:#?}");
    for (_, _, decision) in DECIDED {
        assert!(in_repository(decision).is_file(), "there is no {decision}");
    }
    surprises.retain(|surprise| !decided.contains(surprise));
    assert!(
        surprises.is_empty(),
        "objects of users would be refused or lose fields; take it back, or decide it in docs/adr:\n{}",
        surprises.join("\n")
    );
    Ok(())
}

/// Changes the `TrustPolicy`'s schema at a place, and gives what is said of it.
fn said_of(change: impl FnOnce(&mut Value) -> Option<()>) -> Result<Vec<String>> {
    let old = of_now()?.pop().ok_or("a definition")?;
    let mut new = old.clone();
    change(&mut new).ok_or("the place that is changed is not there; take another one")?;
    assert_ne!(old, new);
    Ok(problems(&old, &new))
}

const SPEC: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";

fn set(place: &str, value: Value) -> Result<Vec<String>> {
    let (parent, key) = place.rsplit_once('/').ok_or("a place")?;
    said_of(|new| {
        let object = new.pointer_mut(parent)?.as_object_mut()?;
        if value.is_null() {
            object.remove(key)?;
        } else {
            object.insert(key.to_owned(), value);
        }
        Some(())
    })
}

#[test]
fn each_way_to_refuse_or_drop_what_is_stored_is_noticed() -> Result<()> {
    let spec = |place: &str| format!("{SPEC}/properties/{place}");
    let expected = [
        (spec("suspend"), Value::Null, "v1alpha1.spec.suspend: the field is gone"),
        (spec("suspend/type"), json!("string"), "v1alpha1.spec.suspend: type is \"string\" and was \"boolean\""),
        (
            spec("imagePullSecrets/nullable"),
            Value::Null,
            "v1alpha1.spec.imagePullSecrets: nullable is absent and was true",
        ),
        (spec("suspend/default"), json!(true), "v1alpha1.spec.suspend: default is true and was false"),
        (spec("interval/maxLength"), json!(23), "v1alpha1.spec.interval: maxLength is 23 and was 24"),
        (spec("interval/minLength"), json!(3), "v1alpha1.spec.interval: minLength is 3 and was absent"),
        (spec("interval/pattern"), json!("^1h$"), "v1alpha1.spec.interval: pattern is \"^1h$\" and was absent"),
        (
            spec("digestMatching/enum"),
            json!(["Exact"]),
            "v1alpha1.spec.digestMatching: the value \"FollowIndex\" is gone",
        ),
        (spec("interval/enum"), json!(["1h"]), "v1alpha1.spec.interval: enum is [\"1h\"] and was absent"),
        (format!("{SPEC}/required"), json!(["interval"]), "v1alpha1.spec: \"interval\" is required now"),
        (
            spec("imagePullSecrets/items/properties/name/maxLength"),
            json!(63),
            "v1alpha1.spec.imagePullSecrets[].name: maxLength is 63 and was 253",
        ),
        (
            spec("podSelector/properties/matchLabels/additionalProperties/maxLength"),
            json!(5),
            "v1alpha1.spec.podSelector.matchLabels{}: maxLength is 5 and was 63",
        ),
        (
            spec("podSelector/x-kubernetes-validations"),
            json!([{"rule": "false"}]),
            "v1alpha1.spec.podSelector: there is a new rule false",
        ),
        (
            spec("trustStores/x-kubernetes-list-type"),
            json!("set"),
            "v1alpha1.spec.trustStores: x-kubernetes-list-type is \"set\" and was \"atomic\"",
        ),
        (
            "/spec/versions/0/name".to_owned(),
            json!("v1"),
            "v1alpha1: the version is gone, and objects may be stored in it",
        ),
        ("/spec/versions/0/served".to_owned(), json!(false), "v1alpha1: is not served any more"),
        ("/spec/versions/0/subresources".to_owned(), Value::Null, "v1alpha1: subresources changed"),
        ("/spec/scope".to_owned(), json!("Cluster"), "/spec/scope: changed"),
        ("/spec/names/shortNames".to_owned(), json!(["policy"]), "/spec/names/shortNames: \"tp\" is gone"),
    ];
    for (place, value, expected) in expected {
        assert_eq!(set(&place, value).map_err(|error| format!("{place}: {error}"))?, [expected], "{place}");
    }
    Ok(())
}

#[test]
fn what_only_adds_or_allows_more_is_no_problem() -> Result<()> {
    let spec = |place: &str| format!("{SPEC}/properties/{place}");
    let another = json!({"type": "string", "nullable": true});
    for (place, value) in [
        (spec("another"), another),
        (spec("interval/maxLength"), json!(64)),
        (spec("interval/maxLength"), Value::Null),
        (spec("interval/x-kubernetes-validations"), Value::Null),
        (spec("digestMatching/enum"), json!(["Exact", "FollowIndex", "Other"])),
        (spec("digestMatching/enum"), Value::Null),
        (spec("suspend/description"), json!("other words")),
        (spec("imagePullSecrets/items/required"), Value::Null),
        (format!("{SPEC}/nullable"), json!(true)),
        ("/spec/versions/0/additionalPrinterColumns".to_owned(), Value::Null),
        ("/spec/names/shortNames".to_owned(), json!(["tp", "trust"])),
    ] {
        assert_eq!(set(&place, value)?, Vec::<String>::new(), "{place}");
    }
    Ok(())
}
