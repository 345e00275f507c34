// SPDX-License-Identifier: Apache-2.0
//! Answers for programs.

use std::process::ExitCode;

use sealwatch_api::text::clip;
use sealwatch_verifier::notation::Certificate;
use serde::Serialize;

use crate::{args::TextFormat, terminal};

/// The longest text from a registry, signer or certificate on one line, in bytes.
pub(crate) const TEXT_MOST: usize = 512;
/// The longest name of an image: any legal one fits.
pub(crate) const IMAGE_MOST: usize = 1024;

/// A certificate in an answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CertificateReport {
    pub(crate) subject: String,
    pub(crate) issuer: String,
    /// The thumbprint, in small hexadecimal digits.
    pub(crate) sha256: String,
    pub(crate) not_before: String,
    pub(crate) not_after: String,
}

impl From<&Certificate> for CertificateReport {
    fn from(certificate: &Certificate) -> Self {
        Self {
            subject: clip(certificate.subject(), TEXT_MOST),
            issuer: clip(certificate.issuer(), TEXT_MOST),
            sha256: certificate.sha256().to_owned(),
            not_before: certificate.not_before().to_string(),
            not_after: certificate.not_after().to_string(),
        }
    }
}

/// Prints an answer, as text or for programs, and gives the exit code.
pub(crate) fn answer(format: TextFormat, answer: &impl Serialize, text: impl FnOnce() -> String, code: u8) -> ExitCode {
    let written = match format {
        TextFormat::Text => Ok(text()),
        TextFormat::Json => json(answer),
        TextFormat::Yaml => yaml(answer),
    };
    match written {
        Ok(written) => terminal::answer(&written, ExitCode::from(code)),
        Err(why) => terminal::usage(&why),
    }
}

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
