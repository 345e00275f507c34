// SPDX-License-Identifier: Apache-2.0
//! A differential run: cases to both verifiers, and what came of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::case::{Case, End, Opinion};
use crate::compare::{Disagreement, disagreements};
use crate::exceptions::{Exception, exceptions};
use crate::oracle::Oracle;
use crate::ours;

/// Cases that are asked about at once.
const BATCH: usize = 512;
/// Cases that are kept of each class of unexplained disagreements.
const MAX_KEPT: usize = 3;

/// What came of a run.
pub struct Report {
    exceptions: Vec<Exception>,
    /// Cases by how both verifiers ended: notation-go, Sealwatch.
    ends: BTreeMap<(String, String), usize>,
    /// Cases by exception.
    explained: BTreeMap<String, usize>,
    /// By class, the laxer ones first.
    unexplained: BTreeMap<(bool, String), Class>,
    cases: usize,
}

/// Disagreements that differ in names and numbers only.
#[derive(Default)]
struct Class {
    count: usize,
    examples: Vec<(Case, Disagreement)>,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            exceptions: exceptions(),
            ends: BTreeMap::new(),
            explained: BTreeMap::new(),
            unexplained: BTreeMap::new(),
            cases: 0,
        }
    }
}

impl Report {
    /// Asks both verifiers about all cases.
    ///
    /// # Errors
    /// If the oracle cannot be asked; that says nothing about the cases.
    pub fn run(&mut self, oracle: &mut Oracle, cases: impl IntoIterator<Item = Case>) -> Result<(), String> {
        let mut cases = (1..).zip(cases).map(|(id, case)| Case { id, ..case });
        let mut batch: Vec<Case> = cases.by_ref().take(BATCH).collect();
        while !batch.is_empty() {
            // The next batch is made while the oracle works on this one.
            let (expected, (actual, next)) = oracle.ask(&batch, || {
                let actual: Vec<Opinion> = batch.iter().map(ours::opinion).collect();
                (actual, cases.by_ref().take(BATCH).collect::<Vec<Case>>())
            })?;
            for ((case, expected), actual) in batch.into_iter().zip(&expected).zip(&actual) {
                self.note(&case, expected, actual);
            }
            batch = next;
        }
        Ok(())
    }

    fn note(&mut self, case: &Case, expected: &Opinion, actual: &Opinion) {
        self.cases += 1;
        *self.ends.entry((end(expected), end(actual))).or_default() += 1;
        for disagreement in disagreements(expected, actual) {
            let row = self.exceptions.iter().find(|row| row.covers(&disagreement));
            if let Some(row) = row {
                *self.explained.entry(row.id.clone()).or_default() += 1;
                continue;
            }
            let key = (!disagreement.is_laxer(), plain(&disagreement.to_string()));
            let class = self.unexplained.entry(key).or_default();
            class.count += 1;
            if class.examples.len() < MAX_KEPT {
                class.examples.push((case.clone(), disagreement));
            }
        }
    }

    /// How many cases both verifiers were asked about.
    pub fn cases(&self) -> usize {
        self.cases
    }

    /// How many disagreements no exception covers.
    pub fn unexplained(&self) -> usize {
        self.unexplained.values().map(|class| class.count).sum()
    }

    /// The exceptions that no case needed: unexpected agreement.
    pub fn unused(&self) -> Vec<&Exception> {
        self.exceptions.iter().filter(|row| !self.explained.contains_key(&row.id)).collect()
    }

    /// How many cases ended this way with (notation-go, Sealwatch).
    pub fn ends(&self) -> &BTreeMap<(String, String), usize> {
        &self.ends
    }

    /// Keeps the cases of unexplained disagreements as JSON in a folder, and says for each where, and what it is.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn keep(&self, folder: &Path) -> Result<String, std::io::Error> {
        let mut text = String::new();
        for ((stricter, _), class) in &self.unexplained {
            let word = if *stricter { "stricter" } else { "LAXER" };
            for (place, (case, disagreement)) in class.examples.iter().enumerate() {
                std::fs::create_dir_all(folder)?;
                let path = path_of(case, folder);
                std::fs::write(&path, serde_json::to_vec(case)?)?;
                if place == 0 {
                    let _ = writeln!(text, "{word}, {} times: {disagreement}", class.count);
                }
                let _ = writeln!(text, "    {} ({})", case.name, path.display());
            }
        }
        if !self.unexplained.is_empty() {
            let _ = writeln!(text, "{} disagreements that no exception covers", self.unexplained());
        }
        Ok(text)
    }

    /// Counts, for people.
    pub fn summary(&self) -> String {
        let mut text = format!("{} cases; notation-go → sealwatch:\n", self.cases);
        for ((expected, actual), count) in &self.ends {
            let _ = writeln!(text, "  {count:>7}  {expected} → {actual}");
        }
        let _ = writeln!(text, "exceptions met:");
        for row in self.exceptions.iter().filter(|row| self.explained.contains_key(&row.id)) {
            let _ = writeln!(text, "  {:>7}  {}", self.explained[&row.id], row.id);
        }
        text
    }
}

fn path_of(case: &Case, folder: &Path) -> PathBuf {
    let name: String = case.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    folder.join(format!("{}-{}.json", name.get(..80).unwrap_or(&name), case.id))
}

/// Without what is quoted, without numbers and names.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut quote = None;
    for word in text.split_inclusive(' ') {
        for c in word.chars() {
            match quote {
                Some(end) if c == end => quote = None,
                Some(_) => {}
                None if matches!(c, '"' | '`') => quote = Some(c),
                None if c.is_ascii_digit() || !c.is_ascii() => {}
                None => out.push(c),
            }
        }
    }
    out
}

fn end(opinion: &Opinion) -> String {
    let word = match opinion.end {
        End::Policy => "policy refused",
        End::Statement => "no statement",
        End::Skipped => "skipped",
        End::Failed => "failed",
        End::Verified => "verified",
    };
    if opinion.panic { format!("{word} by panic") } else { word.to_owned() }
}
