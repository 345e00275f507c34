// SPDX-License-Identifier: Apache-2.0
//! The answer on standard output, and nothing else there.

use std::io::{self, Write as _};

use sealwatch_api::text::clip;
use sealwatch_verifier::{Verdict, notation};
use serde::Serialize;

use super::Answer;
use crate::args::OutputFormat;

/// The longest text from a registry or certificate on one line, in bytes.
const TEXT_MOST: usize = 512;

/// Says something beside the answer.
#[expect(clippy::print_stderr, reason = "warnings are not the answer")]
pub(super) fn warn(message: &str) {
    eprintln!("warning: {}", clip(message, TEXT_MOST));
}

/// Prints the answers.
pub(super) fn print(answers: &[Answer], format: OutputFormat) {
    let text = match format {
        OutputFormat::Text => sentences(answers),
        OutputFormat::Table => table(answers),
        OutputFormat::Json => serde_json::to_string_pretty(&reports(answers)).unwrap_or_default() + "\n",
        OutputFormat::Yaml => serde_saphyr::to_string(&reports(answers)).unwrap_or_default(),
    };
    // A reader that went away is no reason to complain.
    let _ = io::stdout().write_all(text.as_bytes());
}

fn sentences(answers: &[Answer]) -> String {
    answers.iter().map(sentence).collect()
}

fn sentence(answer: &Answer) -> String {
    let verification = &answer.verification;
    let message = clip(&verification.message, TEXT_MOST);
    match verification.verdict {
        Verdict::Verified => {
            let logged = verification
                .checks
                .iter()
                .filter(|check| check.action == notation::Action::Log && check.result != notation::CheckResult::Passed);
            for check in logged {
                warn(&format!("{} was set to \"log\" and did not pass: {}", check.check, check.message));
            }
            format!("Successfully verified signature for {}\n", answer.image)
        }
        Verdict::Skipped => format!("Trust policy is configured to skip signature verification for {}\n", answer.image),
        verdict => format!("{verdict}: {}: {}: {message}\n", answer.image, verification.reason),
    }
}

fn table(answers: &[Answer]) -> String {
    let head = ["IMAGE", "VERDICT", "REASON", "SIGNER", "MESSAGE"].map(str::to_owned);
    let rows = answers.iter().map(|answer| {
        let verification = &answer.verification;
        let signer = verification.signature.as_ref().filter(|signature| signature.authentic);
        let signer = signer.and_then(|signature| signature.envelope.leaf().common_name()).unwrap_or("");
        [
            clip(&answer.image, TEXT_MOST),
            verification.verdict.to_string(),
            verification.reason.to_string(),
            clip(signer, TEXT_MOST),
            clip(&verification.message, TEXT_MOST),
        ]
    });
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths = [width(0), width(1), width(2), width(3), 0];
    let line = |row: &[String; 5]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// Everything about one image, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    image: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    verdict: String,
    reason: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<String>,
    checks: Vec<CheckReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<SignatureReport>,
}

#[derive(Serialize)]
struct CheckReport {
    #[serde(rename = "type")]
    kind: String,
    action: String,
    result: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignatureReport {
    digest: String,
    media_type: String,
    scheme: String,
    signing_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<CertificateReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_signer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    anchor: Option<AnchorReport>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CertificateReport {
    subject: String,
    issuer: String,
    sha256: String,
    not_before: String,
    not_after: String,
}

#[derive(Serialize)]
struct AnchorReport {
    store: String,
    subject: String,
    sha256: String,
}

fn reports(answers: &[Answer]) -> Vec<Report> {
    answers.iter().map(report).collect()
}

fn report(answer: &Answer) -> Report {
    let verification = &answer.verification;
    let check = |check: &notation::Check| CheckReport {
        kind: check.check.to_string(),
        action: check.action.to_string(),
        result: check.result.to_string(),
        message: clip(&check.message, TEXT_MOST),
    };
    Report {
        image: answer.asked.clone(),
        digest: answer.digest.clone(),
        verdict: verification.verdict.to_string(),
        reason: verification.reason.to_string(),
        message: clip(&verification.message, TEXT_MOST),
        statement: verification.applied.as_ref().map(|applied| applied.statement.clone()),
        level: verification.applied.as_ref().map(|applied| applied.level.to_string()),
        checks: verification.checks.iter().map(check).collect(),
        signature: verification.signature.as_ref().map(signature),
    }
}

fn signature(evidence: &sealwatch_verifier::SignatureEvidence) -> SignatureReport {
    let envelope = &evidence.envelope;
    let leaf = envelope.leaf();
    let signer = CertificateReport {
        subject: clip(leaf.subject(), TEXT_MOST),
        issuer: clip(leaf.issuer(), TEXT_MOST),
        sha256: leaf.sha256().to_owned(),
        not_before: leaf.not_before().to_string(),
        not_after: leaf.not_after().to_string(),
    };
    SignatureReport {
        digest: evidence.digest.to_string(),
        media_type: envelope.media_type().to_owned(),
        scheme: envelope.signing_scheme().to_string(),
        signing_time: envelope.signing_time().to_string(),
        expiry: envelope.expiry().map(|expiry| expiry.to_string()),
        claimed_signer: (!evidence.authentic).then(|| signer.subject.clone()),
        signer: evidence.authentic.then_some(signer),
        anchor: evidence.anchor.as_ref().map(|anchor| AnchorReport {
            store: anchor.store.to_string(),
            subject: clip(anchor.certificate.subject(), TEXT_MOST),
            sha256: anchor.certificate.sha256().to_owned(),
        }),
    }
}
