// SPDX-License-Identifier: Apache-2.0
//! What is known about revocation of one image, from memory alone; and what would have to be asked.

use std::time::Duration;

use jiff::Timestamp;
use sealwatch_notation::{
    self as notation, Envelope, Outcome, RevocationAnswers, RevocationList, RevocationQuestion, RevocationQuestions,
    RevocationRequest, Statement, TargetArtifact, TrustPolicyDocument, TrustStores,
};
use sealwatch_registry::Repository;

use super::{Freshness, Revocation, cache::Key};
use crate::{
    evidence::{CandidateState, Evidence},
    judge::{Selection, select, target_of},
};

/// For how many signatures of one image somebody is asked. Signatures of trusted signers only count.
const SIGNATURES: usize = 8;
/// What an answer may lead to, and that to more (RV-13, RV-21).
const FOLLOW_UPS: usize = 2;

/// The revocation lists that a user brought.
#[derive(Clone, Debug, Default)]
pub struct BroughtLists {
    /// Those that can be read.
    pub lists: Vec<RevocationList>,
    /// Why the others cannot: one sentence each, which names the source.
    pub unread: Vec<String>,
}

impl BroughtLists {
    fn answers(&self) -> RevocationAnswers {
        let mut answers = RevocationAnswers::default();
        for list in &self.lists {
            if let Err(error) = answers.bring_crl(list.clone()) {
                answers.bring_unread(&error.to_string());
            }
        }
        self.unread.iter().for_each(|why| answers.bring_unread(why));
        answers
    }
}

/// An image, and by what it is judged.
#[derive(Clone, Copy, Debug)]
pub struct Matter<'a> {
    /// Its repository, which chooses the statement.
    pub repository: &'a Repository,
    /// What is known of it.
    pub evidence: &'a Evidence,
    /// The trust policy document.
    pub document: &'a TrustPolicyDocument,
    /// The trust stores.
    pub stores: &'a TrustStores,
    /// The revocation lists that the user brought.
    pub brought: &'a BroughtLists,
}

/// What each signature of an image is judged by.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// For a signature about which nobody was asked.
    plain: RevocationAnswers,
    /// By the signature's place.
    by_place: Vec<(usize, RevocationAnswers, Option<Timestamp>)>,
}

impl Answers {
    /// What the signature at this place is judged by.
    pub(crate) fn at(&self, place: usize) -> &RevocationAnswers {
        let found = self.by_place.iter().find(|(known, ..)| *known == place);
        found.map_or(&self.plain, |(_, answers, _)| answers)
    }

    /// When the oldest answer for it was fetched.
    pub(crate) fn checked_at(&self, place: usize) -> Option<Timestamp> {
        self.by_place.iter().find(|(known, ..)| *known == place).and_then(|(.., checked_at)| *checked_at)
    }
}

/// That answers are used which could not be refreshed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Why not, in a sentence.
    pub message: String,
    /// When the oldest of them was fetched.
    pub fetched: Timestamp,
}

/// What is known about revocation of an image.
#[derive(Clone, Debug, Default)]
pub struct Recalled {
    /// What to judge by.
    pub answers: Answers,
    /// Whether that includes answers that could not be refreshed.
    pub kept: Option<Kept>,
    /// How long until something is to be asked, zero if it is now; none if there is nothing to ask.
    pub due: Option<Duration>,
    /// Whether something has never been asked.
    pub is_unasked: bool,
}

/// One signature that may be asked about.
pub(super) struct Signature<'a> {
    place: usize,
    envelope: &'a Envelope,
    target: TargetArtifact,
    statement: &'a Statement,
    stores: &'a TrustStores,
    plain: RevocationAnswers,
    /// What it comes to when nobody has been asked.
    outcome: Outcome,
}

impl Signature<'_> {
    fn judge(&self, answers: &RevocationAnswers, now: Timestamp) -> Outcome {
        notation::judge(self.envelope, &self.target, self.statement, self.stores, answers, now)
    }
}

/// What memory says about one signature.
pub(super) struct Consulted {
    /// What to ask now.
    pub(super) asks: Vec<RevocationQuestion>,
    /// What was heard at the last attempt.
    fresh: RevocationAnswers,
    /// The same with older answers where the last attempt failed.
    held: RevocationAnswers,
    outcome: Outcome,
    /// Whether the older answers were needed.
    is_kept: bool,
    is_unasked: bool,
    due: Option<Duration>,
    /// When the oldest answer was fetched, and the oldest of those that could not be refreshed, with the reason.
    oldest: Option<Timestamp>,
    unrefreshed: Option<(Timestamp, String)>,
}

impl Consulted {
    /// Whether no other signature needs to be asked about.
    pub(super) fn is_enough(&self) -> bool {
        self.outcome.reason() == notation::Reason::SignatureValid
    }
}

impl Revocation {
    /// What is known, from memory alone. It is judged by what was heard at the last attempts; answers that could not be
    /// refreshed since count only where that leaves something open, and then until their own end.
    pub fn recall(&self, matter: &Matter<'_>, interval: Duration, now: Timestamp) -> Recalled {
        let mut recalled = Recalled::default();
        recalled.answers.plain = matter.brought.answers();
        let freshness = Freshness { interval, since: None };
        for signature in signatures(matter, now) {
            let consulted = self.consult(&signature, freshness, now);
            recalled.is_unasked |= consulted.is_unasked;
            recalled.due = recalled.due.into_iter().chain(consulted.due).min();
            let is_enough = consulted.is_enough();
            if let Some((fetched, message)) = consulted.unrefreshed.filter(|_| consulted.is_kept) {
                recalled.kept.get_or_insert(Kept { message, fetched });
            }
            let answers = if consulted.is_kept { consulted.held } else { consulted.fresh };
            recalled.answers.by_place.push((signature.place, answers, consulted.oldest));
            if is_enough {
                break;
            }
        }
        recalled
    }

    /// Looks up what one signature needs: responders first, and lists where those say nothing (RV-3).
    pub(super) fn consult(&self, signature: &Signature<'_>, freshness: Freshness, now: Timestamp) -> Consulted {
        let questions = notation::revocation_questions(signature.envelope, signature.statement, signature.stores, now);
        let mut consulted = Consulted {
            asks: Vec::new(),
            fresh: signature.plain.clone(),
            held: signature.plain.clone(),
            outcome: signature.outcome.clone(),
            is_kept: false,
            is_unasked: false,
            due: None,
            oldest: None,
            unrefreshed: None,
        };
        let is_fallback = |question: &RevocationQuestion| {
            question.request == RevocationRequest::Crl
                && questions
                    .iter()
                    .any(|other| other.request != RevocationRequest::Crl && other.certificate == question.certificate)
        };
        if questions.iter().next().is_none() {
            return consulted;
        }
        self.look_up(&mut consulted, &questions, &|question| !is_fallback(question), freshness, now);
        consulted.outcome = signature.judge(&consulted.fresh, now);
        if !consulted.is_unasked && is_open(&consulted.outcome) && questions.iter().any(is_fallback) {
            self.look_up(&mut consulted, &questions, &is_fallback, freshness, now);
            consulted.outcome = signature.judge(&consulted.fresh, now);
        }
        if consulted.unrefreshed.is_some() {
            let outcome = signature.judge(&consulted.held, now);
            // Where both leave it open, the reasons of the last attempts say more. Whom an answer that still stands
            // revokes is not made good by keeping its successor from us.
            consulted.is_kept = is_open(&consulted.outcome) && !is_open(&outcome)
                || !is_revoked(&consulted.outcome) && is_revoked(&outcome);
            if consulted.is_kept {
                consulted.outcome = outcome;
            }
        }
        consulted
    }

    /// Looks up these questions, and what their answers lead to.
    fn look_up(
        &self,
        consulted: &mut Consulted,
        questions: &RevocationQuestions,
        wanted: &dyn Fn(&RevocationQuestion) -> bool,
        freshness: Freshness,
        now: Timestamp,
    ) {
        questions
            .iter()
            .filter(|question| wanted(question))
            .for_each(|one| self.look_at(consulted, one, freshness, now));
        let mut questions = questions.clone();
        for _ in 0..FOLLOW_UPS {
            // What was held leads on too: it may be needed.
            questions = questions.follow_up(&consulted.held, now);
            questions.iter().for_each(|question| self.look_at(consulted, question, freshness, now));
        }
    }

    fn look_at(&self, consulted: &mut Consulted, question: &RevocationQuestion, freshness: Freshness, now: Timestamp) {
        let entry = self.cache.fetch(&Key::from(question));
        let due = entry.as_ref().map_or(Duration::ZERO, |entry| entry.due(freshness, now));
        consulted.due = consulted.due.into_iter().chain([due]).min();
        if due.is_zero() {
            consulted.asks.push(question.clone());
        }
        let Some(entry) = entry else {
            consulted.is_unasked = true;
            return;
        };
        let why = entry.failure.as_ref().map(|failure| failure.why.as_str());
        let Some(held) = &entry.held else {
            let why = why.unwrap_or("there was no answer");
            refuse(question, why, &mut consulted.fresh);
            refuse(question, why, &mut consulted.held);
            return;
        };
        consulted.oldest = consulted.oldest.into_iter().chain([held.fetched]).min();
        held.answer.insert(question, &mut consulted.held);
        match why {
            // An answer that answers nothing says best why; one that did, and does no more, is no longer fresh.
            Some(why) if held.times.is_some() => {
                refuse(question, why, &mut consulted.fresh);
                if held.is_current(now) || question.request == RevocationRequest::Crl {
                    let message = format!("{} could not be asked: {why}", question.url);
                    let older = consulted.unrefreshed.take().filter(|(fetched, _)| *fetched <= held.fetched);
                    consulted.unrefreshed = older.or(Some((held.fetched, message)));
                }
            }
            _ => held.answer.insert(question, &mut consulted.fresh),
        }
    }
}

/// The signatures about which somebody may be asked: parsed ones, under a statement that judges.
pub(super) fn signatures<'a>(matter: &Matter<'a>, now: Timestamp) -> Vec<Signature<'a>> {
    let Selection::Judge(statement) = select(matter.document, matter.repository) else { return Vec::new() };
    let plain = matter.brought.answers();
    let signature = |(place, candidate): (usize, &'a crate::Candidate)| match &candidate.state {
        CandidateState::Envelope(envelope) => {
            let target = target_of(&matter.evidence.image);
            let outcome = notation::judge(envelope, &target, statement, matter.stores, &plain, now);
            // What fails whatever the answers are is not worth a question.
            let (stores, plain) = (matter.stores, plain.clone());
            is_open(&outcome).then_some(Signature { place, envelope, target, statement, stores, plain, outcome })
        }
        CandidateState::Broken(_) | CandidateState::Unfetched(_) => None,
    };
    matter.evidence.candidates.iter().enumerate().filter_map(signature).take(SIGNATURES).collect()
}

fn refuse(question: &RevocationQuestion, why: &str, answers: &mut RevocationAnswers) {
    match question.request {
        RevocationRequest::Crl => answers.insert_crl(&question.url, Err(why.to_owned())),
        _ => answers.insert_ocsp(&question.url, &question.certificate, Err(why.to_owned())),
    }
}

/// Whether answers about revocation would say more.
fn is_open(outcome: &Outcome) -> bool {
    has(outcome, notation::Reason::RevocationUnknown)
}

fn is_revoked(outcome: &Outcome) -> bool {
    has(outcome, notation::Reason::Revoked)
}

fn has(outcome: &Outcome, reason: notation::Reason) -> bool {
    outcome.checks().iter().any(|check| check.reason == Some(reason))
}
