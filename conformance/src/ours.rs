// SPDX-License-Identifier: Apache-2.0
//! What Sealwatch says about a case: the steps that the engine makes, with the answers of the case in place of a network.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sealwatch_notation::{
    Certificate, CheckResult, Envelope, Level, Outcome, RevocationAnswers, RevocationList, RevocationQuestions,
    RevocationRequest, Statement, Timestamp, TrustPolicyDocument, TrustStore, TrustStoreRef, TrustStores, Verdict,
    judge, parse_certificates, revocation_questions,
};

use crate::case::{Answer, Case, CheckOpinion, End, Opinion, Store};

/// Sealwatch's opinion. A panic is one too, and always wrong.
pub fn opinion(case: &Case) -> Opinion {
    catch_unwind(AssertUnwindSafe(|| decide(case)))
        .unwrap_or_else(|_| Opinion { panic: true, ..ended(case, End::Failed, "panicked".to_owned()) })
}

fn ended(case: &Case, end: End, error: String) -> Opinion {
    Opinion { id: case.id, end, error, panic: false, checks: Vec::new() }
}

fn decide(case: &Case) -> Opinion {
    let document = match TrustPolicyDocument::from_json(&case.policy.0) {
        Ok(document) => document,
        Err(error) => return ended(case, End::Policy, error.to_string()),
    };
    let Some(statement) = document.statement_for(&case.repository) else {
        return ended(case, End::Statement, "no statement is about the image".to_owned());
    };
    if statement.level() == Level::Skip {
        return ended(case, End::Skipped, String::new());
    }
    of_outcome(case, &outcome(case, statement))
}

fn outcome(case: &Case, statement: &Statement) -> Outcome {
    let now: Timestamp = case.now.parse().expect("a case has a time");
    let stores = stores(&case.stores);
    match Envelope::parse(&case.media_type, &case.envelope.0) {
        Ok(envelope) => {
            let answers = ask(case, revocation_questions(&envelope, statement, &stores, now), now);
            judge(&envelope, &case.target(), statement, &stores, &answers, now)
        }
        Err(error) => Outcome::broken(statement, &error),
    }
}

fn of_outcome(case: &Case, outcome: &Outcome) -> Opinion {
    let checks = outcome.checks().iter().filter(|check| check.result != CheckResult::NotEvaluated);
    let checks = checks.map(|check| CheckOpinion {
        r#type: check.check.to_string(),
        action: check.action.as_str().to_owned(),
        error: check.reason.map(|reason| format!("{reason}: {}", check.message)).unwrap_or_default(),
    });
    let end = if outcome.verdict() == Verdict::Verified { End::Verified } else { End::Failed };
    let error = if end == End::Failed { outcome.message().to_owned() } else { String::new() };
    Opinion { checks: checks.collect(), ..ended(case, end, error) }
}

/// The stores as the operator and the command line tool make them: one bad file spoils its store.
fn stores(stores: &[Store]) -> TrustStores {
    let mut all = TrustStores::new();
    for store in stores {
        let Ok(reference) = format!("{}:{}", store.r#type, store.name).parse::<TrustStoreRef>() else { continue };
        match read(store, reference.clone()) {
            Ok(store) => all.insert(store),
            Err(why) => all.insert_unavailable(reference, why),
        }
    }
    all
}

fn read(store: &Store, reference: TrustStoreRef) -> Result<TrustStore, String> {
    let mut certificates: Vec<Certificate> = Vec::new();
    for file in &store.files {
        certificates.extend(parse_certificates(&file.0).map_err(|error| error.to_string())?);
    }
    TrustStore::new(reference, certificates).map_err(|error| error.to_string())
}

/// Asks what the engine asks, in three rounds at most.
fn ask(case: &Case, mut questions: RevocationQuestions, now: Timestamp) -> RevocationAnswers {
    let mut answers = RevocationAnswers::default();
    for round in 0..3 {
        if round > 0 {
            questions = questions.follow_up(&answers, now);
        }
        for question in &questions {
            let url = &question.url;
            if question.request == RevocationRequest::Crl {
                let list = find(&case.crl, url);
                answers.insert_crl(url, list.and_then(|der| RevocationList::from_der(der).map_err(|e| e.to_string())));
            } else {
                answers.insert_ocsp(url, &question.certificate, find(&case.ocsp, url));
            }
        }
    }
    answers
}

fn find(answers: &[Answer], url: &str) -> Result<Vec<u8>, String> {
    // A scheme has no case.
    let plain = |url: &str| url.split_once("://").map(|(scheme, rest)| (scheme.to_lowercase(), rest.to_owned()));
    let found = answers.iter().find(|answer| answer.url == url || plain(&answer.url) == plain(url));
    found.map(|answer| answer.body.0.clone()).ok_or_else(|| "status 404".to_owned())
}
