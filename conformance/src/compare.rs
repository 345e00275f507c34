// SPDX-License-Identifier: Apache-2.0
//! Where two opinions about one case part.

use std::fmt;

use crate::case::{CheckOpinion, End, Opinion};

/// What is said of a check that raised no objection.
pub const PASSES: &str = "passes";

/// In the order in which both verifiers make them.
const CHECKS: [&str; 5] = ["integrity", "authenticity", "expiry", "authenticTimestamp", "revocation"];

/// One place where the verifiers say different things: one of the two says [`PASSES`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// `policy`, `statement`, or the check.
    pub check: String,
    /// What notation-go says.
    pub expected: String,
    /// What Sealwatch says.
    pub actual: String,
}

impl Disagreement {
    /// Whether Sealwatch accepts what notation-go refuses.
    pub fn is_laxer(&self) -> bool {
        self.actual == PASSES
    }
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: notation-go: {}; sealwatch: {}", self.check, self.expected, self.actual)
    }
}

/// All disagreements about a case, up to the check that decides. None if the verifiers agree.
///
/// That the outcomes differ is always one of them, even if no check says why.
pub fn disagreements(expected: &Opinion, actual: &Opinion) -> Vec<Disagreement> {
    if actual.panic {
        return vec![parted("panic", PASSES, &actual.error)];
    }
    if expected.panic {
        // It refuses, whatever for; so does a check that is only logged.
        let is_refused = actual.end == End::Failed || actual.checks.iter().any(|check| !check.error.is_empty());
        return if is_refused { Vec::new() } else { vec![parted("panic", &expected.error, PASSES)] };
    }
    for (place, end) in [("policy", End::Policy), ("statement", End::Statement)] {
        let (theirs, ours) = (refusal(expected, end), refusal(actual, end));
        if theirs != PASSES && ours != PASSES {
            return Vec::new();
        }
        if theirs != ours {
            return vec![parted(place, theirs, ours)];
        }
    }
    let mut found = of_checks(expected, actual);
    let accepts = |opinion: &Opinion| opinion.end != End::Failed;
    if found.is_empty() && accepts(expected) != accepts(actual) {
        let say = |opinion: &Opinion| if accepts(opinion) { PASSES.to_owned() } else { opinion.error.clone() };
        found.push(parted("verdict", &say(expected), &say(actual)));
    }
    found
}

fn of_checks(expected: &Opinion, actual: &Opinion) -> Vec<Disagreement> {
    let mut found = Vec::new();
    for check in CHECKS {
        let (theirs, ours) = (result(expected, check), result(actual, check));
        if check == "integrity" && ours != PASSES && theirs == PASSES && is_late(ours) && expected.end == End::Failed {
            // notation-go looks at these last, and came not so far.
            break;
        }
        if (theirs == PASSES) != (ours == PASSES) {
            found.push(parted(check, theirs, ours));
        }
        if (theirs != PASSES || ours != PASSES) && is_enforced(actual, check) {
            break;
        }
    }
    found
}

/// What notation-go compares after all other checks, and Sealwatch with integrity: the payload and the artifact in it.
fn is_late(ours: &str) -> bool {
    ours.starts_with("SubjectMismatch: ") || ours.starts_with("IntegrityFailed: payload")
}

fn parted(check: &str, expected: &str, actual: &str) -> Disagreement {
    Disagreement { check: check.to_owned(), expected: expected.to_owned(), actual: actual.to_owned() }
}

fn refusal(opinion: &Opinion, end: End) -> &str {
    if opinion.end == end { &opinion.error } else { PASSES }
}

fn find<'a>(opinion: &'a Opinion, check: &str) -> Option<&'a CheckOpinion> {
    opinion.checks.iter().find(|candidate| candidate.r#type == check)
}

/// What is objected; what was not evaluated raises no objection.
fn result<'a>(opinion: &'a Opinion, check: &str) -> &'a str {
    let fails = |check: &CheckOpinion| !check.error.is_empty();
    if let Some(check) = find(opinion, check)
        && fails(check)
    {
        return &check.error;
    }
    // notation-go fails without a failed check for what is integrity here: plugins, payload, artifact.
    let decided = opinion.checks.iter().any(|check| fails(check) && check.action == "enforce");
    if check == "integrity" && opinion.end == End::Failed && !decided { &opinion.error } else { PASSES }
}

fn is_enforced(opinion: &Opinion, check: &str) -> bool {
    check == "integrity" || find(opinion, check).is_some_and(|check| check.action == "enforce")
}
