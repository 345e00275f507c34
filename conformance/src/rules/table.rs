// SPDX-License-Identifier: Apache-2.0
//! The table of rules: what each says, and how it stands.

use std::collections::BTreeMap;
use std::fmt;

use super::number::{GROUPS, Number};
use super::scan::{Mention, Role};

/// How many rules each group has in the list that the numbers come from, in the order of the groups.
const COUNTS: [u16; 17] = [31, 12, 14, 19, 13, 12, 3, 5, 8, 15, 1, 24, 7, 5, 3, 1, 26];

/// How a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Applied, as by the reference implementation.
    Done,
    /// Applied, and more strictly than by the reference implementation.
    Stricter,
    /// There is nothing that it could apply to.
    NotApplicable,
    /// It could be applied, and is not meant to.
    OutOfScope,
    /// Something else than this project's code sees to it.
    Elsewhere,
}

impl State {
    const ALL: [Self; 5] = [Self::Done, Self::Stricter, Self::NotApplicable, Self::OutOfScope, Self::Elsewhere];

    /// The words for it, in the table and on the page.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Stricter => "stricter",
            Self::NotApplicable => "not applicable",
            Self::OutOfScope => "out of scope",
            Self::Elsewhere => "elsewhere",
        }
    }

    /// Whether code and tests of this project apply it.
    pub fn is_applied(self) -> bool {
        matches!(self, Self::Done | Self::Stricter)
    }
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its number.
    pub number: Number,
    /// How it stands.
    pub state: State,
    /// What it says, in one sentence.
    pub says: String,
    /// What there is to add; may be empty.
    pub note: String,
}

/// All rules, in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    rules: Vec<Rule>,
}

/// What is wrong with a table, or with what the sources say about it: one line for each fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableError(pub Vec<String>);

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for TableError {}

impl Table {
    /// Reads lines of four fields with tabs between; what begins with `#` is a comment.
    ///
    /// # Errors
    /// If a line is malformed, a rule is missing, there twice or out of order, or a state that needs a note has none.
    pub fn parse(text: &str) -> Result<Self, TableError> {
        let mut faults = Vec::new();
        let mut rules: Vec<Rule> = Vec::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
            match parse_line(line) {
                Ok(rule) => rules.push(rule),
                Err(problem) => faults.push(format!("rules.tsv line {}: {problem}", index + 1)),
            }
        }
        let expected = GROUPS.iter().zip(COUNTS).flat_map(|((letters, _), count)| {
            let separator = if *letters == "D" { "" } else { "-" };
            (1..=count).map(move |at| format!("{letters}{separator}{at}"))
        });
        let (expected, there): (Vec<String>, Vec<String>) =
            (expected.collect(), rules.iter().map(|rule| rule.number.to_string()).collect());
        if expected != there {
            let first = expected.iter().zip(&there).find(|(expected, there)| expected != there);
            faults.push(match first {
                Some((expected, there)) => format!("rules.tsv: {there} stands where {expected} should"),
                None => format!("rules.tsv: {} rules, and {} are expected", there.len(), expected.len()),
            });
        }
        if faults.is_empty() { Ok(Self { rules }) } else { Err(TableError(faults)) }
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// How many rules, decisions apart, are in each state.
    pub fn counts(&self) -> BTreeMap<State, usize> {
        let mut counts = BTreeMap::new();
        for rule in self.rules.iter().filter(|rule| !rule.number.is_decision()) {
            *counts.entry(rule.state).or_default() += 1;
        }
        counts
    }

    /// Holds the table against what the sources mention.
    ///
    /// # Errors
    /// If a rule that is applied has no code or no test, or a comment names a rule that there is none of.
    pub fn check(&self, mentions: &[Mention]) -> Result<(), TableError> {
        let mut faults = Vec::new();
        for mention in mentions {
            if !self.rules.iter().any(|rule| rule.number == mention.number) {
                faults.push(format!("{}:{} names {}, which is no rule", mention.file, mention.line, mention.number));
            }
        }
        for rule in self.rules.iter().filter(|rule| rule.state.is_applied()) {
            let has = |role| mentions.iter().any(|mention| mention.number == rule.number && mention.role == role);
            for (role, word) in [(Role::Code, "code"), (Role::Test, "test")] {
                if !has(role) {
                    faults.push(format!("{} is {}, and no {word} names it", rule.number, rule.state.as_str()));
                }
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(TableError(faults)) }
    }
}

fn parse_line(line: &str) -> Result<Rule, String> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [number, state, says, note] = fields.as_slice() else {
        return Err(format!("has {} fields, not four", fields.len()));
    };
    let rule = Rule {
        number: number.parse().map_err(|()| format!("{number:?} is not the number of a rule"))?,
        state: State::ALL
            .into_iter()
            .find(|known| known.as_str() == *state)
            .ok_or_else(|| format!("{state:?} is not a state"))?,
        says: (*says).to_owned(),
        note: (*note).to_owned(),
    };
    if !rule.says.ends_with('.') || rule.note.ends_with('.') || line.contains('|') {
        return Err(
            "the second text is a sentence with its full stop, the note has none, and neither has a |".to_owned()
        );
    }
    if rule.note.is_empty() && !matches!(rule.state, State::Done | State::Stricter) {
        return Err(format!("{state:?} needs a note"));
    }
    Ok(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMITTED: &str = include_str!("../../rules.tsv");

    fn faults(text: &str) -> Vec<String> {
        Table::parse(text).expect_err("a fault").0
    }

    #[test]
    fn the_committed_table_has_every_rule() {
        let table = Table::parse(COMMITTED).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(table.rules().len(), 199);
        assert_eq!(table.counts().values().sum::<usize>(), 173);
    }

    #[test]
    fn a_rule_that_is_missing_repeated_or_malformed_is_a_fault() {
        let without = COMMITTED.replace("EX-1\t", "# EX-1\t");
        assert_eq!(faults(&without), ["rules.tsv: RV-1 stands where EX-1 should"]);
        let twice = COMMITTED.replace("TP-2\t", "TP-1\t");
        assert_eq!(faults(&twice), ["rules.tsv: TP-1 stands where TP-2 should"]);
        let state = COMMITTED.replace("EX-1\tdone", "EX-1\tfinished");
        assert!(faults(&state)[0].ends_with("\"finished\" is not a state"));
        let short = COMMITTED.replace("EX-1\tdone\t", "EX-1\tdone ");
        assert!(faults(&short)[0].ends_with("has 3 fields, not four"));
        let without_note = COMMITTED.replace("of interest to signers", "");
        assert!(faults(&without_note)[0].ends_with("needs a note"));
    }

    #[test]
    fn an_applied_rule_needs_code_and_a_test_and_no_comment_names_a_stranger() {
        let table = Table::parse(COMMITTED).expect("the committed table");
        let mention = |number: &str, role| Mention {
            number: number.parse().expect("a number"),
            role,
            file: "a.rs".to_owned(),
            line: 7,
            item: "f".to_owned(),
        };
        let all = |role| {
            table.rules().iter().map(move |rule| mention(&rule.number.to_string(), role)).collect::<Vec<Mention>>()
        };
        let mut mentions = [all(Role::Code), all(Role::Test)].concat();
        assert_eq!(table.check(&mentions), Ok(()));
        mentions.push(mention("TP-32", Role::Other));
        mentions.retain(|mention| mention.number.to_string() != "EX-1" || mention.role != Role::Test);
        mentions.retain(|mention| mention.number.to_string() != "UM-1");
        let faults = table.check(&mentions).expect_err("two faults").0;
        assert_eq!(faults, ["a.rs:7 names TP-32, which is no rule", "EX-1 is done, and no test names it"]);
    }
}
