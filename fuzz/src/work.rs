// SPDX-License-Identifier: Apache-2.0
//! What is measured: the bare work on one input, without what checks it.

use std::hint::black_box;

#[cfg(feature = "manifest")]
use sealwatch_fixtures::worst::Format;
use sealwatch_notation::{
    Envelope, MEDIA_TYPE_COSE, MEDIA_TYPE_JWS, Outcome, RevocationAnswers, RevocationList, RevocationQuestions,
    RevocationRequest, Statement, Timestamp, TrustPolicyDocument, TrustStore, TrustStores, parse_certificates,
    revocation_questions,
};
#[cfg(feature = "manifest")]
use sealwatch_registry::SignatureManifest;

use crate::case::{Kind, TRUST_STORES};
use crate::drive::{drive, stage};
use crate::seeds::Target;
#[cfg(feature = "manifest")]
use crate::targets::subject;
use crate::targets::with_token;

/// What the code under test is handed for an input.
pub fn prepare(target: Target, bytes: &[u8]) -> Vec<u8> {
    stage();
    if target == Target::Token { with_token(bytes) } else { bytes.to_vec() }
}

/// Does the work. Callgrind counts the instructions of this function, by its name.
#[inline(never)]
pub fn measured(target: Target, prepared: &[u8]) {
    match target.format() {
        #[cfg(feature = "manifest")]
        Some(Format::Manifest) => {
            drop(black_box(SignatureManifest::parse(prepared, subject(), sealwatch_notation::ARTIFACT_TYPE)));
        }
        Some(format) => drive(format, black_box(prepared)),
        None => drop(black_box(judge_case(&crate::case::decode(prepared)))),
    }
}

/// A case that was judged, with all that it was judged by.
pub(crate) struct Judged {
    pub(crate) envelope: Envelope,
    pub(crate) statement: Statement,
    pub(crate) stores: TrustStores,
    pub(crate) answers: RevocationAnswers,
    pub(crate) now: Timestamp,
    pub(crate) outcome: Outcome,
}

impl Judged {
    /// The same at another time.
    pub(crate) fn again(&self, now: Timestamp) -> Outcome {
        let Self { envelope, statement, stores, answers, .. } = self;
        sealwatch_notation::judge(envelope, &stage().subject, statement, stores, answers, now)
    }
}

/// Judges a case as the verifier does: reads, asks, asks again, judges. None if it has no envelope that can be judged.
pub(crate) fn judge_case(parts: &[(Kind, Vec<u8>)]) -> Option<Judged> {
    let stage = stage();
    let find = |wanted: Kind| parts.iter().find(|(kind, _)| *kind == wanted).map(|(_, part)| part.as_slice());
    let policy = find(Kind::Policy)
        .map_or_else(|| Some(stage.policy.clone()), |json| TrustPolicyDocument::from_json(json).ok())?;
    let statement = policy.statement_for("registry.example/app")?.clone();
    let mut stores = stage.stores.clone();
    for (kind, name) in TRUST_STORES {
        let Some(file) = find(kind) else { continue };
        let reference: sealwatch_notation::TrustStoreRef = name.parse().expect("a reference");
        let store = parse_certificates(file).map_err(|error| error.to_string());
        match store.and_then(|all| TrustStore::new(reference.clone(), all).map_err(|error| error.to_string())) {
            Ok(store) => stores.insert(store),
            Err(why) => stores.insert_unavailable(reference, why),
        }
    }
    let now = match find(Kind::Time).and_then(|bytes| bytes.try_into().ok()) {
        Some(seconds) => Timestamp::from_second(i64::from_be_bytes(seconds)).ok()?,
        None => stage.now,
    };
    let envelope = match (find(Kind::Jws), find(Kind::Cose)) {
        (Some(bytes), _) => Envelope::parse(MEDIA_TYPE_JWS, bytes).ok()?,
        (None, Some(bytes)) => Envelope::parse(MEDIA_TYPE_COSE, bytes).ok()?,
        (None, None) => stage.envelope.clone(),
    };
    let answers = ask(parts, &revocation_questions(&envelope, &statement, &stores, now), now);
    let outcome = sealwatch_notation::judge(&envelope, &stage.subject, &statement, &stores, &answers, now);
    Some(Judged { envelope, statement, stores, answers, now, outcome })
}

/// Answers the questions, in their order, from the parts.
fn ask(parts: &[(Kind, Vec<u8>)], questions: &RevocationQuestions, now: Timestamp) -> RevocationAnswers {
    let of = |wanted: Kind| parts.iter().filter(move |(kind, _)| *kind == wanted).map(|(_, part)| part.clone());
    let list = |bytes: Vec<u8>| RevocationList::from_der(bytes).map_err(|error| error.to_string());
    let (mut responses, mut lists) = (of(Kind::Ocsp).cycle(), of(Kind::Crl).cycle());
    let mut answers = RevocationAnswers::default();
    for brought in of(Kind::Brought).filter_map(|bytes| list(bytes).ok()) {
        let _ = answers.bring_crl(brought);
    }
    let mut round = questions.clone();
    for _ in 0..3 {
        for question in &round {
            if question.request == RevocationRequest::Crl {
                let answer = lists.next().ok_or_else(|| "nothing came".to_owned()).and_then(list);
                answers.insert_crl(&question.url, answer);
            } else {
                let answer = responses.next().ok_or_else(|| "nothing came".to_owned());
                answers.insert_ocsp(&question.url, &question.certificate, answer);
            }
        }
        round = round.follow_up(&answers, now);
    }
    answers
}
