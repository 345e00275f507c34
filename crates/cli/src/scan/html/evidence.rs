// SPDX-License-Identifier: Apache-2.0
//! What a verdict rests on: the checks, and the signature that decided.

use std::fmt::Write as _;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use sealwatch_api::{Check, CheckResult, RevocationMethod, Signature, Word};

use super::{super::report::ImageReport, escaped, put};

/// What can be opened below an image; in print it is open.
pub(super) fn details(body: &mut String, image: &ImageReport) {
    body.push_str("<details><summary>Evidence</summary><div class=\"evidence\">\n<dl>\n");
    fact(body, "Reported as", &image.references.join(", "));
    if let Some(policy) = &image.policy {
        fact(body, "Policy", policy);
    }
    if let Some(statement) = &image.statement {
        let level = image.level.as_deref().unwrap_or_default();
        fact(body, "Statement", &format!("{statement} (level {level})"));
    }
    if !image.platforms.is_empty() {
        fact(body, "Platforms", &image.platforms.join(", "));
    }
    if let Some(signature) = &image.signature {
        of_signature(body, signature);
    }
    if let Some(expiry) = &image.next_expiry {
        fact(body, "First to end", &format!("{} {} ({})", expiry.time, expiry.kind, expiry.subject));
    }
    body.push_str("</dl>\n");
    checks(body, image);
    body.push_str("</div></details>\n");
}

fn checks(body: &mut String, image: &ImageReport) {
    if image.checks.is_empty() {
        return;
    }
    body.push_str("<table class=\"checks\"><tr><th>Check</th><th>Action</th><th>Result</th><th></th></tr>\n");
    for check in &image.checks {
        let word = |word: Option<String>| escaped(&word.unwrap_or_default());
        put!(
            body,
            "<tr><td>{}</td><td>{}</td><td class=\"{}\">{}</td><td>{}</td></tr>\n",
            word(check.type_.as_ref().map(ToString::to_string)),
            word(check.action.as_ref().map(ToString::to_string)),
            class(check),
            word(check.result.as_ref().map(ToString::to_string)),
            escaped(check.message.as_deref().unwrap_or_default())
        );
    }
    body.push_str("</table>\n");
}

/// The class that gives a result its colour.
fn class(check: &Check) -> &'static str {
    match check.result.as_ref().and_then(Word::known) {
        Some(CheckResult::Passed) => "passed",
        Some(CheckResult::Failed | CheckResult::Unknown) => "bad",
        _ => "",
    }
}

fn of_signature(body: &mut String, signature: &Signature) {
    let time = |time: &Time| time.0.to_string();
    if let Some(digest) = &signature.digest {
        fact(body, "Signature", digest);
    }
    if let Some(signer) = &signature.signer {
        fact(body, "Signer", &signer.subject);
        fact(body, "Issuer", &signer.issuer);
        fact(body, "Certificate", &format!("SHA-256 {}", signer.sha256));
        if let (Some(from), Some(until)) = (&signer.not_before, &signer.not_after) {
            fact(body, "Valid", &format!("{} to {}", time(from), time(until)));
        }
    }
    if let Some(claimed) = &signature.claimed_signer {
        fact(body, "Claims to be by", claimed);
    }
    if let Some(anchor) = &signature.anchor {
        fact(body, "Trusted through", &format!("{} in {}", anchor.subject, anchor.store));
    }
    if let Some(signed) = &signature.signing_time {
        fact(body, "Signing time", &time(signed));
    }
    if let Some(stamp) = &signature.timestamp {
        let at = stamp.time.as_ref().map(time).unwrap_or_default();
        fact(body, "Timestamp", &format!("{at} by {}", stamp.authority));
    }
    if let Some(expiry) = &signature.expiry {
        fact(body, "Expires", &time(expiry));
    }
    if let Some(revocation) = &signature.revocation {
        let method = match revocation.method.as_ref() {
            Some(method) if *method == RevocationMethod::None => "no certificate names a source".to_owned(),
            method => method.map(|method| format!("by {method}")).unwrap_or_default(),
        };
        let until = revocation.next_update.as_ref().map(|until| format!(", usable until {}", time(until)));
        fact(body, "Revocation", &format!("{method}{}", until.unwrap_or_default()));
    }
    if let (Some(digest), Some(via)) = (&signature.verified_digest, &signature.via) {
        fact(body, "Made for", &format!("{digest} ({via})"));
    }
}

fn fact(body: &mut String, name: &str, value: &str) {
    put!(body, "<dt>{name}</dt><dd>{}</dd>\n", escaped(value));
}
