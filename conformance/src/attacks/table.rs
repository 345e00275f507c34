// SPDX-License-Identifier: Apache-2.0
//! The table of attacks.

use super::tests_of::Test;
use crate::rules::TableError;

/// The groups of attacks by the letters of their numbers, each with its heading, in the order of the page.
pub(super) const GROUPS: [(&str, &str); 5] = [
    ("N", "Published failures of verifiers"),
    ("O", "Published failures of registry clients"),
    ("A", "What a registry serves"),
    ("B", "Envelopes and certificates"),
    ("C", "Network"),
];
/// What begins the last field of an attack that cannot be tried here.
const NOT_APPLICABLE: &str = "not applicable: ";

/// How the outcome of an attack is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// By these tests, `crate::file::test`.
    By(Vec<String>),
    /// There is nothing to attack, and why.
    NotApplicable(String),
}

/// One attack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attack {
    /// Its number: the letter of its group, a number, and where one attack has several outcomes, a part.
    pub number: String,
    /// Under which names it is known elsewhere; may be empty.
    pub known_as: String,
    /// What is done.
    pub attack: String,
    /// What must come of it.
    pub outcome: String,
    /// How that is known.
    pub shown: Shown,
}

/// All attacks, in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attacks(Vec<Attack>);

impl Attacks {
    /// Reads lines of five fields with tabs between; what begins with `#` is a comment.
    ///
    /// # Errors
    /// If a line is malformed, or a number is there twice or out of order.
    pub fn parse(text: &str) -> Result<Self, TableError> {
        let (mut faults, mut attacks) = (Vec::new(), Vec::<Attack>::new());
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
            let attack = parse_line(line).and_then(|attack| {
                let is_in_order = attacks.last().is_none_or(|last| place(&last.number) < place(&attack.number));
                if is_in_order { Ok(attack) } else { Err(format!("{} is out of order", attack.number)) }
            });
            match attack {
                Ok(attack) => attacks.push(attack),
                Err(problem) => faults.push(format!("attacks.tsv line {}: {problem}", index + 1)),
            }
        }
        if faults.is_empty() { Ok(Self(attacks)) } else { Err(TableError(faults)) }
    }

    /// The attacks.
    pub fn all(&self) -> &[Attack] {
        &self.0
    }

    /// How many are shown by tests.
    pub fn count_shown(&self) -> usize {
        self.0.iter().filter(|attack| matches!(attack.shown, Shown::By(_))).count()
    }

    /// The tests that are named, each once.
    pub fn tests(&self) -> Vec<&str> {
        let shown = self.0.iter().filter_map(|attack| match &attack.shown {
            Shown::By(tests) => Some(tests),
            Shown::NotApplicable(_) => None,
        });
        let mut all: Vec<&str> = shown.flatten().map(String::as_str).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Holds the table against the tests that there are.
    ///
    /// # Errors
    /// If a test that is named is not there, or there are two of the name.
    pub fn check(&self, tests: &[Test]) -> Result<(), TableError> {
        let mut faults = Vec::new();
        for name in self.tests() {
            match tests.iter().filter(|test| test.name == name).count() {
                1 => {}
                0 => faults.push(format!("attacks.tsv names {name}, and there is no such test")),
                count => faults.push(format!("attacks.tsv names {name}, and there are {count} of that name")),
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(TableError(faults)) }
    }
}

/// Where a number stands in the order.
pub(super) fn place(number: &str) -> Option<(usize, u16, u16)> {
    let group = GROUPS.iter().position(|(letter, _)| number.starts_with(letter))?;
    let digits = number.get(1..)?;
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    Some((group, whole.parse().ok()?, part.parse().ok()?))
}

fn parse_line(line: &str) -> Result<Attack, String> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [number, known_as, attack, outcome, shown] = fields.as_slice() else {
        return Err(format!("has {} fields, not five", fields.len()));
    };
    if place(number).is_none() {
        return Err(format!("{number:?} is not the number of an attack"));
    }
    if attack.is_empty() || outcome.is_empty() || line.contains('|') {
        return Err("attack and outcome are not empty, and nothing has a |".to_owned());
    }
    let shown = match shown.strip_prefix(NOT_APPLICABLE) {
        Some("") => return Err("what is not applicable needs a reason".to_owned()),
        Some(why) => Shown::NotApplicable(why.to_owned()),
        None => Shown::By(shown.split_whitespace().map(str::to_owned).collect()),
    };
    if shown == Shown::By(Vec::new()) {
        return Err(format!("no test shows {number}"));
    }
    let [number, known_as, attack, outcome] = [number, known_as, attack, outcome].map(|text| (*text).to_owned());
    Ok(Attack { number, known_as, attack, outcome, shown })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::attacks::find_all;

    const COMMITTED: &str = include_str!("../../attacks.tsv");

    #[test]
    fn every_test_that_the_committed_table_names_is_there() {
        let table = Attacks::parse(COMMITTED).unwrap_or_else(|error| panic!("{error}"));
        let tests = find_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).expect("the sources can be read");
        assert!(tests.len() > 800, "{}", tests.len());
        table.check(&tests).unwrap_or_else(|error| panic!("{error}"));
        assert!(table.count_shown() > 90, "{}", table.count_shown());
    }

    #[test]
    fn a_row_that_is_malformed_or_shows_nothing_is_a_fault() {
        let fault = |text: &str| Attacks::parse(text).expect_err("a fault").0.remove(0);
        assert!(fault("A1\t\tx\ty").ends_with("has 4 fields, not five"));
        assert!(fault("Z1\t\tx\ty\ta::b::c").contains("not the number"));
        assert!(fault("A1\t\tx\t\ta::b::c").contains("not empty"));
        assert!(fault("A1\t\tx\ty\t").ends_with("no test shows A1"));
        assert!(fault("A1\t\tx\ty\tnot applicable: ").contains("needs a reason"));
        assert!(fault("A2\t\tx\ty\ta::b::c\nA1\t\tx\ty\ta::b::c").ends_with("A1 is out of order"));
        assert!(fault("A1.2\t\tx\ty\ta::b::c\nA1.2\t\tx\ty\ta::b::c").ends_with("A1.2 is out of order"));
    }

    #[test]
    fn a_test_that_is_not_there_or_there_twice_is_a_fault() {
        let table =
            Attacks::parse("# comment\nA1\t\tx\ty\ta::b::c a::b::d\nA2\t\tx\ty\tnot applicable: no").expect("good");
        let test = |name: &str| Test { name: name.to_owned(), file: "f.rs".to_owned() };
        assert_eq!(table.check(&[test("a::b::c"), test("a::b::d")]), Ok(()));
        let faults = table.check(&[test("a::b::c"), test("a::b::c")]).expect_err("two faults").0;
        assert_eq!(faults.len(), 2, "{faults:?}");
    }
}
