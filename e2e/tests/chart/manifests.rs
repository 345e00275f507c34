// SPDX-License-Identifier: Apache-2.0

//! What Helm and kustomize print, as objects.

use std::path::PathBuf;

use sealwatch_e2e::stage::finished;
use sealwatch_e2e::testenv::{Helm, Result};
use serde_json::Value;

/// The repository that tests give to the operator's image; it is never pulled from there.
pub(crate) const IMAGE: &str = "image.repository=registry.example.com/sealwatch";

/// A path below the repository's root.
pub(crate) fn in_repository(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)
}

/// The chart's folder.
pub(crate) fn chart() -> String {
    in_repository("charts/sealwatch").display().to_string()
}

/// The objects in a text of several YAML documents.
pub(crate) fn parse(text: &str) -> Result<Vec<Value>> {
    let documents = serde_saphyr::from_multiple::<Value>(text)?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// What a release `sealwatch` in `sealwatch-system` would install, hooks among it.
pub(crate) async fn template(helm: &Helm, more: &[&str]) -> Result<Vec<Value>> {
    let chart = chart();
    let args: Vec<&str> = ["template", "sealwatch", &chart, "--namespace", "sealwatch-system", "--set", IMAGE]
        .into_iter()
        .chain(more.iter().copied())
        .collect();
    parse(&finished("helm template", &helm.run(&args).await?)?)
}

/// `Kind namespace/name`
pub(crate) fn key(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &object["metadata"];
    format!("{} {}/{}", text(&object["kind"]), text(&metadata["namespace"]), text(&metadata["name"]))
}
