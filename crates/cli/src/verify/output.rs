// SPDX-License-Identifier: Apache-2.0
//! The answer as text. Whatever a registry or a certificate supplied in it is bounded and cannot steer a terminal.

mod report;

use sealwatch_api::text::clip;
use sealwatch_verifier::Verdict;

use self::report::Report;
use super::Answer;
use crate::{
    args::OutputFormat,
    output::{IMAGE_MOST, TEXT_MOST, json, yaml},
    table,
};

/// The answers in one of the formats.
///
/// # Errors
/// If they cannot be written as JSON or YAML, which only a defect of this program can cause.
pub(super) fn render(answers: &[Answer], format: OutputFormat) -> Result<String, String> {
    let reports = || answers.iter().map(Report::from).collect::<Vec<_>>();
    match format {
        OutputFormat::Text => Ok(answers.iter().map(sentence).collect()),
        OutputFormat::Table => Ok(table(answers)),
        OutputFormat::Json => json(&reports()),
        OutputFormat::Yaml => yaml(&reports()),
    }
}

/// What `notation` says, where it says it; else the verdict, the reason and its message.
fn sentence(answer: &Answer) -> String {
    let verification = &answer.verification;
    let image = clip(&answer.image(), IMAGE_MOST);
    match verification.verdict {
        Verdict::Verified => format!("Successfully verified signature for {image}\n"),
        Verdict::Skipped => format!("Trust policy is configured to skip signature verification for {image}\n"),
        verdict => {
            format!("{verdict}: {image}: {}: {}\n", verification.reason, clip(&verification.message, TEXT_MOST))
        }
    }
}

fn table(answers: &[Answer]) -> String {
    table::draw(["IMAGE", "VERDICT", "REASON", "SIGNER", "MESSAGE"], answers.iter().map(row).collect())
}

fn row(answer: &Answer) -> [String; 5] {
    let verification = &answer.verification;
    // A name is shown only where it is a fact: who a signature claims to be from stands in the message.
    let signer = verification.signature.as_ref().filter(|signature| signature.authentic);
    let signer = signer.and_then(|signature| signature.envelope.leaf().common_name()).unwrap_or("-");
    [
        clip(&answer.image(), IMAGE_MOST),
        verification.verdict.to_string(),
        verification.reason.to_string(),
        clip(signer, TEXT_MOST),
        clip(&verification.message, TEXT_MOST),
    ]
}

#[cfg(test)]
mod tests;
