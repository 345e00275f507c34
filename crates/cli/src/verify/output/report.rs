// SPDX-License-Identifier: Apache-2.0
//! The answer for programs, in the words of the API's `ImageVerification`.

use sealwatch_api::text::clip;
use sealwatch_verifier::{SignatureEvidence, notation};
use serde::Serialize;

use crate::{
    output::{CertificateReport, IMAGE_MOST, TEXT_MOST},
    verify::Answer,
};

/// Everything about one image.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// As the user named it.
    image: String,
    repository: String,
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
    /// What it was made for, and how that relates to the image's digest; only where its integrity passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<&'static str>,
    media_type: String,
    scheme: String,
    signing_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<TimestampReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<CertificateReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_signer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    anchor: Option<AnchorReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation: Option<RevocationReport>,
}

/// How it was learnt that no certificate of the signing chain is revoked, or that one is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RevocationReport {
    method: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_update: Option<String>,
}

/// The RFC 3161 timestamp that was verified.
#[derive(Serialize)]
struct TimestampReport {
    time: String,
    authority: String,
}

#[derive(Serialize)]
struct AnchorReport {
    store: String,
    subject: String,
    sha256: String,
}

impl From<&Answer> for Report {
    fn from(answer: &Answer) -> Self {
        let verification = &answer.verification;
        let applied = verification.applied.as_ref();
        Self {
            image: clip(&answer.asked, IMAGE_MOST),
            repository: answer.reference.repository().to_string(),
            digest: answer.digest.as_ref().map(ToString::to_string),
            verdict: verification.verdict.to_string(),
            reason: verification.reason.to_string(),
            message: clip(&verification.message, TEXT_MOST),
            statement: applied.map(|applied| clip(&applied.statement, TEXT_MOST)),
            level: applied.map(|applied| applied.level.to_string()),
            checks: verification.checks.iter().map(CheckReport::from).collect(),
            signature: verification.signature.as_ref().map(|evidence| SignatureReport::of(evidence, answer)),
        }
    }
}

impl From<&notation::Check> for CheckReport {
    fn from(check: &notation::Check) -> Self {
        Self {
            kind: check.check.to_string(),
            action: check.action.to_string(),
            result: check.result.to_string(),
            message: clip(&check.message, TEXT_MOST),
        }
    }
}

impl SignatureReport {
    fn of(evidence: &SignatureEvidence, answer: &Answer) -> Self {
        let is_intact = |check: &notation::Check| {
            check.check == notation::CheckType::Integrity && check.result == notation::CheckResult::Passed
        };
        let about = answer.about.as_ref().filter(|_| answer.verification.checks.iter().any(is_intact));
        let envelope = &evidence.envelope;
        let signer = CertificateReport::from(envelope.leaf());
        Self {
            digest: evidence.digest.to_string(),
            verified_digest: about.map(|(digest, _)| digest.to_string()),
            via: about.map(|(_, via)| via.as_str()),
            media_type: clip(envelope.media_type(), TEXT_MOST),
            scheme: envelope.signing_scheme().to_string(),
            signing_time: envelope.signing_time().to_string(),
            timestamp: evidence.timestamp.as_ref().map(|timestamp| TimestampReport {
                time: timestamp.time.to_string(),
                authority: clip(timestamp.authority.subject(), TEXT_MOST),
            }),
            expiry: envelope.expiry().map(|expiry| expiry.to_string()),
            claimed_signer: (!evidence.authentic).then(|| signer.subject.clone()),
            signer: evidence.authentic.then_some(signer),
            anchor: evidence.anchor.as_ref().map(|anchor| AnchorReport {
                store: anchor.store.to_string(),
                subject: clip(anchor.certificate.subject(), TEXT_MOST),
                sha256: anchor.certificate.sha256().to_owned(),
            }),
            revocation: evidence.revocation.as_ref().map(|revocation| RevocationReport {
                method: revocation.method.to_string(),
                checked_at: evidence.revocation_checked_at.map(|at| at.to_string()),
                next_update: revocation.next_update.map(|until| until.to_string()),
            }),
        }
    }
}
