// SPDX-License-Identifier: Apache-2.0
//! The judgement: envelope, policy, trust, revocation answers and time in, outcome out.

use crate::Timestamp;
use crate::envelope::{Envelope, EnvelopeError};
use crate::outcome::{Check, CheckResult, CheckType, Outcome, Reason, Verdict};
use crate::payload::TargetArtifact;
use crate::policy::Statement;
use crate::trust_store::TrustStores;

/// What OCSP responders and revocation lists said. Empty in this version: nothing is asked yet, and `judge` answers
/// `RevocationUnknown` for every chain that names an endpoint.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RevocationAnswers {}

/// Judges one signature.
pub fn judge(
    _envelope: &Envelope,
    _subject: &TargetArtifact,
    statement: &Statement,
    _stores: &TrustStores,
    _revocation: &RevocationAnswers,
    _now: Timestamp,
) -> Outcome {
    not_evaluated(statement)
}

impl Outcome {
    /// The outcome of a signature that could not even be parsed: integrity failed, at every level but `skip`.
    pub fn broken(statement: &Statement, error: &EnvelopeError) -> Outcome {
        let mut outcome = not_evaluated(statement);
        outcome.verdict = Verdict::Failed;
        outcome.reason = Reason::IntegrityFailed;
        outcome.message = error.to_string();
        outcome
    }
}

fn not_evaluated(statement: &Statement) -> Outcome {
    let checks = CheckType::ALL.map(|check| Check {
        check,
        action: statement.actions().of(check),
        result: CheckResult::NotEvaluated,
        reason: None,
        message: String::new(),
    });
    Outcome {
        verdict: Verdict::Unknown,
        reason: Reason::LevelSkip,
        message: "nothing was judged".to_owned(),
        checks,
        anchor: None,
        next_change: None,
    }
}
