// SPDX-License-Identifier: Apache-2.0
//! The disagreements that are meant: `conformance/exceptions.toml`.

use serde::{Deserialize, Deserializer};

use crate::compare::{Disagreement, PASSES};

/// One class of disagreement, and why it is right.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// A name, unique in the file.
    pub id: String,
    /// Where the verifiers part: `policy`, `statement`, a check by its name in trust policies, or `panic`; `*` for several.
    pub check: String,
    /// What notation-go says, as a pattern in which `*` stands for any text; `passes` if it raises no objection.
    pub expected: String,
    /// What Sealwatch says, likewise; one of several patterns.
    #[serde(deserialize_with = "one_or_more")]
    pub actual: Vec<String>,
    /// Why the disagreement is right.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    exception: Vec<Exception>,
}

impl Exception {
    /// Whether a disagreement is of this class.
    pub fn covers(&self, disagreement: &Disagreement) -> bool {
        matches(&self.check, &disagreement.check)
            && matches(&self.expected, &disagreement.expected)
            && self.actual.iter().any(|pattern| matches(pattern, &disagreement.actual))
    }

    /// Whether Sealwatch accepts here what notation-go refuses.
    pub fn is_laxer(&self) -> bool {
        self.actual.iter().any(|pattern| pattern == PASSES)
    }
}

/// All rows of the file, in its order.
///
/// # Panics
/// If the file is no list of exceptions. It is compiled in, so a test tells.
pub fn exceptions() -> Vec<Exception> {
    toml::from_str::<File>(include_str!("../exceptions.toml")).expect("conformance/exceptions.toml").exception
}

fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Patterns {
        One(String),
        More(Vec<String>),
    }
    Ok(match Patterns::deserialize(deserializer)? {
        Patterns::One(pattern) => vec![pattern],
        Patterns::More(patterns) => patterns,
    })
}

/// Whether `text` is `pattern`, in which each `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((prefix, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(prefix) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let suffix = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(suffix)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_star_stands_for_any_text_and_nothing_else_does() {
        assert!(matches("a", "a") && !matches("a", "ab") && !matches("a", "ba"));
        assert!(matches("a*", "a") && matches("a*", "abc") && !matches("a*", "ba"));
        assert!(matches("*c", "abc") && !matches("*c", "abcd"));
        assert!(matches("a*b*c", "a-b-c") && !matches("a*b*c", "a-c") && !matches("ab*bc", "abc"));
    }

    #[test]
    fn each_row_has_a_name_of_its_own_a_reason_and_two_sides_that_differ() {
        let rows = exceptions();
        let names: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(names.len(), rows.len());
        for row in &rows {
            assert!(row.reason.len() > 20, "{}: {}", row.id, row.reason);
            assert_ne!(row.expected == PASSES, row.is_laxer(), "{}", row.id);
        }
    }
}
