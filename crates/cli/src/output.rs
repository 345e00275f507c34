// SPDX-License-Identifier: Apache-2.0
//! Answers for programs.

use serde::Serialize;

/// Pretty JSON, with the end of its last line.
///
/// # Errors
/// If it cannot be written, which only a defect of this program can cause.
pub(crate) fn json(answer: &impl Serialize) -> Result<String, String> {
    serde_json::to_string_pretty(answer).map(|text| text + "\n").map_err(|error| format!("JSON: {error}"))
}

/// YAML, likewise.
///
/// # Errors
/// As [`json`].
pub(crate) fn yaml(answer: &impl Serialize) -> Result<String, String> {
    serde_saphyr::to_string(answer).map_err(|error| format!("YAML: {error}"))
}
