// SPDX-License-Identifier: Apache-2.0
//! Rules taken out on purpose: what shows that a test is about its rule.

use std::path::Path;
use std::{fmt, fs};

use crate::rules::Number;

/// One rule taken out of the sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutation {
    /// The rule.
    pub rule: Number,
    /// What happens without it.
    pub what: String,
    /// The file, as a path from the top folder.
    pub file: String,
    /// The package whose test must fail.
    pub package: String,
    /// Its target: `lib`, or the name of an integration test.
    pub target: String,
    /// The test's whole name.
    pub test: String,
    /// What stands in the file, once.
    pub out: String,
    /// What takes its place.
    pub put: String,
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.rule, self.what)
    }
}

impl Mutation {
    /// Reads blocks of a head `[rule] what`, lines `file:`, `package:` (of the notation crate if it is missing) and
    /// `test:`, and the two texts.
    ///
    /// # Errors
    /// What is wrong, with the line.
    pub fn parse_all(committed: &str) -> Result<Vec<Self>, String> {
        let mut mutations = Vec::new();
        let mut lines = committed.lines().enumerate();
        while let Some((at, line)) = lines.next() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |what: &str| format!("line {}: {what}", at + 1);
            let (rule, what) = line
                .strip_prefix('[')
                .and_then(|line| line.split_once("] "))
                .ok_or_else(|| wrong("not [RULE] and what happens without it"))?;
            let rule = rule.parse().map_err(|()| wrong("not the number of a rule"))?;
            let (mut file, mut package, mut test) = (String::new(), "sealwatch-notation".to_owned(), String::new());
            for (_, line) in lines.by_ref().take_while(|(_, line)| *line != "--- out") {
                let (name, value) = line.split_once(": ").ok_or_else(|| wrong("a line that is no field"))?;
                let field = match name {
                    "file" => &mut file,
                    "package" => &mut package,
                    "test" => &mut test,
                    _ => return Err(wrong("an unknown field")),
                };
                value.clone_into(field);
            }
            let mut until = |end: &str| {
                let lines = lines.by_ref().take_while(|(_, line)| *line != end).map(|(_, line)| line);
                lines.collect::<Vec<&str>>().join("\n")
            };
            let (out, put) = (until("--- in"), until("--- end"));
            let (target, test) = test.split_once(' ').ok_or_else(|| wrong("no target and test"))?;
            let (target, test, what) = (target.to_owned(), test.to_owned(), what.to_owned());
            mutations.push(Self { rule, what, file, package, target, test, out, put });
        }
        Ok(mutations)
    }

    /// The file's text without the rule.
    ///
    /// # Errors
    /// If the text to take out does not stand there exactly once, or nothing changes.
    pub fn applied(&self, top: &Path) -> Result<String, String> {
        let text = fs::read_to_string(top.join(&self.file)).map_err(|error| format!("{}: {error}", self.file))?;
        match text.matches(&self.out).count() {
            1 if self.out != self.put => Ok(text.replacen(&self.out, &self.put, 1)),
            1 => Err("changes nothing".to_owned()),
            count => Err(format!("its text stands {count} times in {}", self.file)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::rules::{Role, scan};

    fn committed() -> Vec<Mutation> {
        Mutation::parse_all(include_str!("../mutations.txt")).expect("the committed mutations")
    }

    fn top() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
    }

    #[test]
    fn every_mutation_finds_its_text_exactly_once() {
        let faults: Vec<String> = committed()
            .iter()
            .filter_map(|mutation| mutation.applied(top()).err().map(|error| format!("{mutation}: {error}")))
            .collect();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    #[test]
    fn every_mutation_names_a_test_of_its_rule() {
        let mentions = scan(top()).expect("sources");
        let is_of_rule = |mutation: &Mutation| {
            let name = mutation.test.rsplit("::").next().unwrap_or_default();
            mentions.iter().any(|m| m.number == mutation.rule && m.role == Role::Test && m.item == name)
        };
        let strange: Vec<String> = committed().iter().filter(|m| !is_of_rule(m)).map(ToString::to_string).collect();
        assert!(strange.is_empty(), "the test says nothing of the rule:\n{}", strange.join("\n"));
    }

    #[test]
    fn at_least_forty_rules_are_taken_out() {
        let rules: BTreeSet<Number> = committed().iter().map(|mutation| mutation.rule).collect();
        assert!(rules.len() >= 40, "{}", rules.len());
    }

    #[test]
    fn a_block_that_is_malformed_is_refused_by_its_line() {
        let good = "# note\n\n[EX-1] x\nfile: a\ntest: lib b::c\n--- out\n  1\n\n# 2\n--- in\n--- end\n";
        let parsed = Mutation::parse_all(good).expect("a good block");
        assert_eq!((parsed[0].out.as_str(), parsed[0].put.as_str()), ("  1\n\n# 2", ""));
        assert_eq!((parsed[0].target.as_str(), parsed[0].test.as_str()), ("lib", "b::c"));
        for (bad, why) in [("[EX-1] ", "[EX1] "), ("file: ", "place: "), ("lib b", "lib-b"), ("[EX-1]", "EX-1")] {
            let error = Mutation::parse_all(&good.replace(bad, why)).expect_err(why);
            assert!(error.starts_with("line 3: "), "{error}");
        }
    }
}
