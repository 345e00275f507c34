// SPDX-License-Identifier: Apache-2.0
//! The judgement: envelope, policy, trust, revocation answers and time in, outcome out. Nothing here asks anybody
//! anything, so the same arguments give the same outcome, whenever and wherever.

mod authenticity;
mod timestamp;

use crate::Timestamp;
use crate::certificate::{Certificate, text};
use crate::envelope::{Envelope, EnvelopeError};
use crate::outcome::{Anchor, Check, CheckResult, CheckType, Outcome, Reason, Verdict};
use crate::payload::TargetArtifact;
use crate::policy::{Action, Level, Statement};
use crate::revocation::{
    ChainFinding, ChainStatus, RevocationAnswers, RevocationEvidence, RevocationQuestions, judge_chain,
};
use crate::timestamp::VerifiedTimestamp;
use crate::trust_store::TrustStores;

use authenticity::check_authenticity;
use timestamp::{check_authentic_timestamp, find_authority_chain};

/// Judges one signature: whether it says, by this statement and these trust stores, that `subject` is trusted at `now`.
///
/// LV-1. The checks are made in the order integrity (with the match of the artifact and the demands of the signer),
/// authenticity (trust store, then identity), expiry, authentic timestamp, revocation. The first *enforced* check that
/// does not pass decides the outcome, and the checks after it are not evaluated: about a signature that is not from a
/// trusted signer, nothing that it says is worth reporting. A check whose action is `log` never decides; what did not
/// pass stands in the message, with reason [`Reason::FailuresLogged`]. A check whose action is `skip` is not evaluated.
///
/// A statement of level `skip` judges nothing (LV-4). Callers report that without asking; if they do ask, the outcome is
/// [`Verdict::Unknown`] with [`Reason::LevelSkip`] and no check evaluated, never Verified.
pub fn judge(
    envelope: &Envelope,
    subject: &TargetArtifact,
    statement: &Statement,
    stores: &TrustStores,
    revocation: &RevocationAnswers,
    now: Timestamp,
) -> Outcome {
    let mut record = Record::new(statement);
    if statement.level() == Level::Skip {
        return record.skipped();
    }
    let (mut anchor, mut time_proof, mut evidence) = (None, None, None);
    record.run(CheckType::Integrity, || check_integrity(envelope, subject));
    record.run(CheckType::Authenticity, || {
        let (finding, found) = check_authenticity(envelope, statement, stores);
        anchor = found;
        finding
    });
    record.run(CheckType::Expiry, || check_expiry(envelope, now));
    record.run(CheckType::AuthenticTimestamp, || {
        let (finding, found) = check_authentic_timestamp(envelope, statement, stores, revocation, now);
        time_proof = found;
        finding
    });
    record.run(CheckType::Revocation, || {
        let (finding, found) = check_revocation(envelope, revocation, now);
        evidence = found;
        finding
    });
    record.conclude(envelope, anchor, time_proof, evidence)
}

/// What to ask before [`judge`] is asked with the same arguments: about the signing chain, unless the statement skips
/// revocation, and about the chain of the timestamp authority, if a token counts (AT-14).
///
/// Nothing is asked about a chain that is not from a trusted signer, or a token that is not from a trusted authority:
/// strangers must not choose whom this machine talks to (RV-24). notation-go asks all the same if authenticity is only
/// logged; here such a chain stays unknown.
pub fn revocation_questions(
    envelope: &Envelope,
    statement: &Statement,
    stores: &TrustStores,
    now: Timestamp,
) -> RevocationQuestions {
    RevocationQuestions::of(revocation_chains(envelope, statement, stores, now).iter().map(Vec::as_slice))
}

/// The chains that [`revocation_questions`] asks about, each with the leaf first and the root last; for whoever brings
/// their revocation lists to where nobody can be asked (RV-24).
pub fn revocation_chains(
    envelope: &Envelope,
    statement: &Statement,
    stores: &TrustStores,
    now: Timestamp,
) -> Vec<Vec<Certificate>> {
    let is_asked = |check| statement.actions().of(check) != Action::Skip;
    if statement.level() == Level::Skip || check_authenticity(envelope, statement, stores).1.is_none() {
        return Vec::new();
    }
    let authority = if is_asked(CheckType::AuthenticTimestamp) {
        find_authority_chain(envelope, statement, stores, now)
    } else {
        None
    };
    let signing = is_asked(CheckType::Revocation).then(|| envelope.certificate_chain().to_vec());
    signing.into_iter().chain(authority).collect()
}

impl Outcome {
    /// The outcome of a signature that could not even be parsed: integrity failed, which every level but `skip`
    /// enforces. (For level `skip` it is what [`judge`] says there.)
    pub fn broken(statement: &Statement, error: &EnvelopeError) -> Outcome {
        let mut record = Record::new(statement);
        if statement.level() == Level::Skip {
            return record.skipped();
        }
        let message = error.to_string();
        record.run(CheckType::Integrity, || Finding::failed(Reason::IntegrityFailed, message.clone()));
        Outcome {
            verdict: Verdict::Failed,
            reason: Reason::IntegrityFailed,
            message,
            checks: record.checks,
            anchor: None,
            timestamp: None,
            revocation: None,
            next_change: None,
            answers_until: Vec::new(),
        }
    }
}

/// How one check ended, and when time may end it differently.
struct Finding {
    result: CheckResult,
    reason: Option<Reason>,
    message: String,
    until: Option<Timestamp>,
    /// Until when each answer about revocation can be used that it rests on.
    answers_until: Vec<Timestamp>,
}

impl Finding {
    fn of(result: CheckResult, reason: Option<Reason>, message: String) -> Self {
        Self { result, reason, message, until: None, answers_until: Vec::new() }
    }

    fn passed(message: impl Into<String>) -> Self {
        Self::of(CheckResult::Passed, None, message.into())
    }

    fn failed(reason: Reason, message: impl Into<String>) -> Self {
        Self::of(CheckResult::Failed, Some(reason), message.into())
    }

    fn unknown(reason: Reason, message: impl Into<String>) -> Self {
        Self::of(CheckResult::Unknown, Some(reason), message.into())
    }

    fn until(self, instant: Option<Timestamp>) -> Self {
        Self { until: instant, ..self }
    }

    fn resting_on(self, answers_until: Vec<Timestamp>) -> Self {
        Self { answers_until, ..self }
    }
}

/// The checks as they are made.
struct Record {
    checks: [Check; 5],
    decided: Option<(Verdict, Reason, String)>,
    next_change: Option<Timestamp>,
    answers_until: Vec<Timestamp>,
}

impl Record {
    fn new(statement: &Statement) -> Self {
        let checks = CheckType::ALL.map(|check| {
            let action = statement.actions().of(check);
            let message = if action == Action::Skip { "the policy skips this check" } else { "" };
            Check { check, action, result: CheckResult::NotEvaluated, reason: None, message: message.to_owned() }
        });
        Self { checks, decided: None, next_change: None, answers_until: Vec::new() }
    }

    fn run(&mut self, check_type: CheckType, evaluate: impl FnOnce() -> Finding) {
        let Some(check) = self.checks.iter_mut().find(|check| check.check == check_type) else { return };
        if self.decided.is_some() || check.action == Action::Skip {
            return;
        }
        let Finding { result, reason, message, until, answers_until } = evaluate();
        self.next_change = self.next_change.into_iter().chain(until).min();
        self.answers_until.extend(answers_until);
        if check.action == Action::Enforce
            && let Some(reason) = reason
        {
            let verdict = if result == CheckResult::Unknown { Verdict::Unknown } else { Verdict::Failed };
            self.decided = Some((verdict, reason, message.clone()));
        }
        (check.result, check.reason, check.message) = (result, reason, message);
    }

    fn skipped(self) -> Outcome {
        Outcome {
            verdict: Verdict::Unknown,
            reason: Reason::LevelSkip,
            message: "nothing was judged: the level of the statement is skip".to_owned(),
            checks: self.checks,
            anchor: None,
            timestamp: None,
            revocation: None,
            next_change: None,
            answers_until: Vec::new(),
        }
    }

    fn conclude(
        self,
        envelope: &Envelope,
        anchor: Option<Anchor>,
        timestamp: Option<VerifiedTimestamp>,
        revocation: Option<RevocationEvidence>,
    ) -> Outcome {
        let signer = signer(envelope, anchor.as_ref(), timestamp.as_ref());
        // LV-2.
        let logged: Vec<String> = self
            .checks
            .iter()
            .filter(|check| check.reason.is_some())
            .map(|check| format!("{} {}: {}", check.check, check.result.as_str().to_lowercase(), check.message))
            .collect();
        let (verdict, reason, message) = match self.decided {
            Some((verdict, reason, message)) => (verdict, reason, format!("{message}; {signer}")),
            None if logged.is_empty() => (Verdict::Verified, Reason::SignatureValid, signer),
            None => {
                let message = format!("{signer}; not enforced: {}", logged.join("; "));
                (Verdict::Verified, Reason::FailuresLogged, message)
            }
        };
        Outcome {
            verdict,
            reason,
            message,
            checks: self.checks,
            anchor,
            timestamp,
            revocation,
            next_change: self.next_change,
            answers_until: self.answers_until,
        }
    }
}

/// Who signed and when, as a fact only if authenticity passed, which is when there is an anchor.
fn signer(envelope: &Envelope, anchor: Option<&Anchor>, timestamp: Option<&VerifiedTimestamp>) -> String {
    let subject = text(envelope.leaf().subject());
    let Some(anchor) = anchor else { return format!("the signature claims to be from {subject}") };
    let timestamped = timestamp.map_or_else(String::new, |timestamp| format!(", timestamped {}", timestamp.time));
    let expires = envelope.expiry().map_or_else(String::new, |expiry| format!(", expires {expiry}"));
    format!("signed by {subject} ({}){timestamped}{expires}", anchor.store)
}

/// The envelope was parsed, so its signature fits. What is left is whether it is about this artifact (DS-13, WF:
/// "content descriptor mismatch"), and whether the signer asks for what is not known here. LV-3: no level softens
/// either.
fn check_integrity(envelope: &Envelope, subject: &TargetArtifact) -> Finding {
    let target = envelope.target();
    if target != subject {
        let message = format!(
            "the signature is about {} {} of {} bytes, not about {} {} of {} bytes",
            text(&target.media_type),
            text(&target.digest),
            target.size,
            text(&subject.media_type),
            text(&subject.digest),
            subject.size
        );
        return Finding::failed(Reason::SubjectMismatch, message);
    }
    // PL-3, PL-5: no plugins run here, so a signature that needs one cannot be judged by what it says.
    if let Some(plugin) = envelope.verification_plugin() {
        let name = plugin.name.as_deref().map_or_else(|| "without a name".to_owned(), text);
        let version = plugin.minimum_version.as_deref().map_or_else(String::new, |v| format!(" {} or later", text(v)));
        // PL-1.
        let problem = plugin.problem.map_or_else(String::new, |problem| format!(", and {problem}"));
        let message =
            format!("the signature requires the verification plugin {name}{version}; plugins are not run{problem}");
        return Finding::failed(Reason::ExtensionUnsupported, message);
    }
    // PL-4, SIG: "critical". Off-spec: notation-go ignores them if no plugin is asked for (D3).
    if let Some(attribute) = envelope.unknown_critical_attributes().first() {
        let message = format!("the signature has the critical attribute {:?}, which is not known", text(attribute));
        return Finding::failed(Reason::ExtensionUnsupported, message);
    }
    Finding::passed(format!("{} signature over this artifact", envelope.algorithm()))
}

/// EX-1: expired from the very instant on (D9), whatever the certificates say.
fn check_expiry(envelope: &Envelope, now: Timestamp) -> Finding {
    match envelope.expiry() {
        None => Finding::passed("the signature does not expire"),
        Some(expiry) if now >= expiry => {
            Finding::failed(Reason::SignatureExpired, format!("the signature expired at {expiry}"))
        }
        Some(expiry) => Finding::passed(format!("the signature expires at {expiry}")).until(Some(expiry)),
    }
}

/// RV-1 to RV-7: no certificate of the chain is revoked. The evidence is there unless that is unknown.
fn check_revocation(
    envelope: &Envelope,
    answers: &RevocationAnswers,
    now: Timestamp,
) -> (Finding, Option<RevocationEvidence>) {
    let signing_time = envelope.authentic_signing_time();
    let status = judge_chain(envelope.certificate_chain(), answers, signing_time, now);
    let ChainStatus { finding, message, until, answers_until } = status;
    let (finding, evidence) = match finding {
        ChainFinding::Good(evidence) => (Finding::passed(message), Some(evidence)),
        ChainFinding::Revoked(evidence) => (Finding::failed(Reason::Revoked, message), Some(evidence)),
        ChainFinding::Unknown => (Finding::unknown(Reason::RevocationUnknown, message), None),
    };
    (finding.until(until).resting_on(answers_until), evidence)
}
