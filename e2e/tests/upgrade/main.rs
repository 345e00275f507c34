// SPDX-License-Identifier: Apache-2.0

//! From an older version to this one: what is stored stays valid, whole and readable, and the operator works with it.
//!
//! `first` holds the definitions of the first commit that had an operator and a command line (8aa4b91), and objects as
//! they were stored then, with every field. `./just release-keep` adds those of each release.

mod compatible;
mod schemas;
mod stored;

use std::fs;
use std::path::PathBuf;

use sealwatch_e2e::testenv::Result;
use serde_json::Value;

/// A file of an older version.
fn file(version: &str, name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/upgrade")).join(version).join(name)
}

/// The objects in such a file.
fn objects(version: &str, name: &str) -> Result<Vec<Value>> {
    let file = file(version, name);
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let documents = serde_saphyr::from_multiple::<Value>(&text)?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// The definitions of an older version.
fn definitions(version: &str) -> Result<Vec<Value>> {
    objects(version, "crds.yaml")
}
