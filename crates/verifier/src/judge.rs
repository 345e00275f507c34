// SPDX-License-Identifier: Apache-2.0
//! From evidence to a verdict, without I/O.

use std::{cmp::Reverse, fmt, sync::Arc};

use jiff::Timestamp;
use sealwatch_notation::{
    self as notation, Actions, Anchor, Check, Envelope, Level, Outcome, RevocationAnswers, RevocationEvidence,
    Statement, TargetArtifact, TrustPolicyDocument, TrustStores, VerifiedTimestamp,
};
use sealwatch_registry::{Descriptor, Digest, Repository};

use crate::{
    evidence::{Candidate, CandidateState, Evidence},
    gather::GatherError,
    reason::Reason,
    revocation::Answers,
};

/// The answer about one image: mixed up never, and never more certain than its evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Signed as the policy wants it.
    Verified,
    /// Known not to be signed as the policy wants it.
    Failed,
    /// Not known.
    Unknown,
    /// The policy says not to look.
    Skipped,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Verified => "Verified",
            Self::Failed => "Failed",
            Self::Unknown => "Unknown",
            Self::Skipped => "Skipped",
        })
    }
}

/// What a trust policy document says of a repository, before anything is asked.
#[derive(Clone, Copy, Debug)]
pub enum Selection<'a> {
    /// No statement covers it.
    NoStatement,
    /// The statement's level is `skip`: nothing is asked (LV-4).
    Skip(&'a Statement),
    /// The statement by which its signatures are judged.
    Judge(&'a Statement),
}

/// Chooses the statement for a repository (checklist TP-24: exact scope before `*`).
pub fn select<'a>(document: &'a TrustPolicyDocument, repository: &Repository) -> Selection<'a> {
    match document.statement_for(&repository.to_string()) {
        None => Selection::NoStatement,
        Some(statement) if matches!(statement.level(), Level::Skip) => Selection::Skip(statement),
        Some(statement) => Selection::Judge(statement),
    }
}

/// Which statement was applied, and with which actions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The statement's name.
    pub statement: String,
    /// Its verification level; `custom` where it overrides.
    pub level: Level,
    /// What it does about each check.
    pub actions: Actions,
}

impl From<&Statement> for Applied {
    fn from(statement: &Statement) -> Self {
        Self { statement: statement.name().to_owned(), level: statement.level(), actions: *statement.actions() }
    }
}

/// The signature that a verdict rests on.
#[derive(Clone, Debug)]
pub struct SignatureEvidence {
    /// The digest of the signature manifest.
    pub digest: Digest,
    /// The envelope.
    pub envelope: Arc<Envelope>,
    /// The certificate of a trust store that the chain ends in; `None` unless authenticity passed.
    pub anchor: Option<Anchor>,
    /// The timestamp that proves when the signature was there; `None` unless the check of the authentic timestamp
    /// passed by one.
    pub timestamp: Option<VerifiedTimestamp>,
    /// How the revocation status of the signing chain was learnt; `None` if it was not, or was not asked for.
    pub revocation: Option<RevocationEvidence>,
    /// When the oldest answer that it was learnt from was fetched; `None` if none was.
    pub revocation_checked_at: Option<Timestamp>,
    /// Until when each answer about revocation can be used that the judgement rests on, of the signing chain and of that
    /// of the timestamp authority.
    pub answers_until: Vec<Timestamp>,
    /// Whether the authenticity check passed: only then is the signer's name a fact and not a claim.
    pub authentic: bool,
}

/// A verdict with everything that explains it.
#[derive(Clone, Debug)]
pub struct Verification {
    /// The verdict.
    pub verdict: Verdict,
    /// Its reason.
    pub reason: Reason,
    /// The reason in a sentence.
    pub message: String,
    /// The statement that was applied, if one covers the image.
    pub applied: Option<Applied>,
    /// Notation's five checks in its order, empty where no signature was judged.
    pub checks: Vec<Check>,
    /// The signature that decided, if one did.
    pub signature: Option<SignatureEvidence>,
    /// The earliest moment at which the clock alone may change this.
    pub next_change: Option<Timestamp>,
    /// How many signatures the image has.
    pub candidates: usize,
}

impl Verification {
    fn plain(verdict: Verdict, reason: Reason, message: impl Into<String>, statement: Option<&Statement>) -> Self {
        Self {
            verdict,
            reason,
            message: message.into(),
            applied: statement.map(Applied::from),
            checks: Vec::new(),
            signature: None,
            next_change: None,
            candidates: 0,
        }
    }

    /// No statement of the document covers the repository: the image is untrusted.
    pub fn no_statement(repository: &Repository) -> Self {
        let message = format!("no statement of the trust policy has a registry scope that covers {repository}");
        Self::plain(Verdict::Failed, Reason::NoApplicableTrustPolicy, message, None)
    }

    /// The statement says not to verify.
    pub fn skipped(statement: &Statement) -> Self {
        let message = format!("statement {:?} has level skip: signatures are not verified", statement.name());
        Self::plain(Verdict::Skipped, notation::Reason::LevelSkip.into(), message, Some(statement))
    }

    /// There is no evidence to judge.
    pub fn without_evidence(error: &GatherError, statement: Option<&Statement>) -> Self {
        // More signatures than may be tried is a finding about the image (notation's limit, checklist DS-9), not
        // an outage: it fails.
        let verdict = if error.reason == Reason::SignatureLimitExceeded { Verdict::Failed } else { Verdict::Unknown };
        Self::plain(verdict, error.reason, error.message.clone(), statement)
    }
}

/// Judges an image by its evidence.
///
/// The first signature that passes decides. Where none does, one that could not be fetched leaves the image
/// [`Verdict::Unknown`], since it might have been the good one; else the most telling failure is kept. One broken
/// signature never hides a good one (DS-12, D25). Annotations are not looked at (D16).
pub fn judge(
    repository: &Repository,
    evidence: &Evidence,
    document: &TrustPolicyDocument,
    stores: &TrustStores,
    revocation: &Answers,
    now: Timestamp,
) -> Verification {
    match select(document, repository) {
        Selection::NoStatement => Verification::no_statement(repository),
        Selection::Skip(statement) => Verification::skipped(statement),
        Selection::Judge(statement) => {
            let mut verification = judge_candidates(evidence, statement, stores, revocation, now);
            verification.candidates = evidence.candidates.len();
            verification
        }
    }
}

fn judge_candidates(
    evidence: &Evidence,
    statement: &Statement,
    stores: &TrustStores,
    revocation: &Answers,
    now: Timestamp,
) -> Verification {
    // DS-14: the one manifest that was resolved, and none above or below it.
    let subject = target_of(&evidence.image);
    let judge = |(place, candidate)| Judged::of(candidate, &subject, statement, stores, revocation.at(place), now);
    let judged: Vec<Judged<'_>> = evidence.candidates.iter().enumerate().map(judge).collect();
    // The clock may make a signature good that is not yet valid, so every candidate's next moment counts.
    let next_change = judged.iter().filter_map(Judged::next_change).min();
    let best = judged.iter().enumerate().min_by_key(|(_, judged)| judged.order());
    let mut verification = match best {
        Some((place, best)) => best.verification(statement, revocation.checked_at(place)),
        // DS-10, LV-6, D26.
        None => Verification::plain(
            Verdict::Failed,
            Reason::NoSignature,
            "the image exists in the registry and has no Notary Project signature",
            Some(statement),
        ),
    };
    if evidence.omitted > 0 && verification.verdict == Verdict::Failed {
        // Notation's limit (checklist DS-9): a success within it is a success, and beyond it nothing is looked at.
        let (tried, all) = (evidence.candidates.len(), evidence.candidates.len().saturating_add(evidence.omitted));
        let message = format!("the image has {all} signatures, of which {tried} were tried; none of them passed");
        verification = Verification::plain(Verdict::Failed, Reason::SignatureLimitExceeded, message, Some(statement));
    }
    verification.next_change = next_change;
    verification
}

pub(crate) fn target_of(image: &Descriptor) -> TargetArtifact {
    TargetArtifact { media_type: image.media_type.clone(), digest: image.digest.to_string(), size: image.size }
}

/// One candidate, judged.
enum Judged<'a> {
    Outcome(&'a Candidate, &'a Arc<Envelope>, Box<Outcome>),
    Broken(&'a str),
    Unfetched(&'a GatherError),
}

impl<'a> Judged<'a> {
    fn of(
        candidate: &'a Candidate,
        subject: &TargetArtifact,
        statement: &Statement,
        stores: &TrustStores,
        answers: &RevocationAnswers,
        now: Timestamp,
    ) -> Self {
        match &candidate.state {
            CandidateState::Envelope(envelope) => {
                let outcome = notation::judge(envelope, subject, statement, stores, answers, now);
                Self::Outcome(candidate, envelope, Box::new(outcome))
            }
            CandidateState::Broken(message) => Self::Broken(message),
            CandidateState::Unfetched(error) => Self::Unfetched(error),
        }
    }

    /// Smallest first: one that passed, then what is not known, then failures, the most telling first.
    fn order(&self) -> (u8, Reverse<u8>) {
        match self {
            Self::Outcome(_, _, outcome) => match outcome.verdict() {
                // A plain pass says more than one with logged failures.
                notation::Verdict::Verified if outcome.reason() == notation::Reason::SignatureValid => (0, Reverse(0)),
                notation::Verdict::Verified => (1, Reverse(0)),
                notation::Verdict::Unknown => (3, Reverse(outcome.rank())),
                notation::Verdict::Failed => (4, Reverse(outcome.rank())),
            },
            Self::Unfetched(_) => (2, Reverse(0)),
            Self::Broken(_) => (5, Reverse(0)),
        }
    }

    fn next_change(&self) -> Option<Timestamp> {
        match self {
            Self::Outcome(_, _, outcome) => outcome.next_change(),
            Self::Broken(_) | Self::Unfetched(_) => None,
        }
    }

    fn verification(&self, statement: &Statement, checked_at: Option<Timestamp>) -> Verification {
        match self {
            Self::Outcome(candidate, envelope, outcome) => {
                of_outcome(candidate, envelope, outcome, statement, checked_at)
            }
            Self::Broken(message) => Verification::plain(
                Verdict::Failed,
                notation::Reason::IntegrityFailed.into(),
                format!("the image's signature is broken: {message}"),
                Some(statement),
            ),
            Self::Unfetched(error) => Verification::plain(
                Verdict::Unknown,
                error.reason,
                format!("a signature could not be fetched: {}", error.message),
                Some(statement),
            ),
        }
    }
}

fn of_outcome(
    candidate: &Candidate,
    envelope: &Arc<Envelope>,
    outcome: &Outcome,
    statement: &Statement,
    checked_at: Option<Timestamp>,
) -> Verification {
    let verdict = match outcome.verdict() {
        notation::Verdict::Verified => Verdict::Verified,
        notation::Verdict::Failed => Verdict::Failed,
        notation::Verdict::Unknown => Verdict::Unknown,
    };
    let authentic = outcome
        .checks()
        .iter()
        .any(|check| check.check == notation::CheckType::Authenticity && check.result == notation::CheckResult::Passed);
    Verification {
        verdict,
        reason: outcome.reason().into(),
        message: outcome.message().to_owned(),
        applied: Some(Applied::from(statement)),
        checks: outcome.checks().to_vec(),
        signature: Some(SignatureEvidence {
            digest: candidate.digest.clone(),
            envelope: Arc::clone(envelope),
            anchor: outcome.anchor().cloned(),
            timestamp: outcome.timestamp().cloned(),
            revocation: outcome.revocation().cloned(),
            revocation_checked_at: checked_at.filter(|_| outcome.revocation().is_some()),
            answers_until: outcome.answers_until().to_vec(),
            authentic,
        }),
        next_change: None,
        candidates: 0,
    }
}
