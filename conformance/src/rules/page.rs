// SPDX-License-Identifier: Apache-2.0
//! The page `docs/conformance.md`: a text that people write, with tables in it that nobody does.

use std::fmt::Write as _;

use crate::exceptions::Exception;

use super::number::GROUPS;
use super::scan::{Mention, Role};
use super::table::{Rule, Table};

/// Puts the tables into the text, in place of `{{counts}}`, `{{rules}}`, `{{decisions}}` and `{{exceptions}}`.
pub fn render(text: &str, table: &Table, mentions: &[Mention], exceptions: &[Exception]) -> String {
    text.replace("{{counts}}", &counts(table))
        .replace("{{rules}}", rules(table, mentions).trim_end())
        .replace("{{decisions}}", group("D", table, mentions).trim_end())
        .replace("{{exceptions}}", disagreements(exceptions).trim_end())
}

/// The disagreements that are meant; those in which Sealwatch accepts more come first.
fn disagreements(exceptions: &[Exception]) -> String {
    let mut lines = "| about | notation-go | Sealwatch | why |\n| --- | --- | --- | --- |\n".to_owned();
    let (laxer, stricter): (Vec<_>, Vec<_>) = exceptions.iter().partition(|exception| exception.is_laxer());
    for exception in laxer.into_iter().chain(stricter) {
        let actual: Vec<String> = exception.actual.iter().map(|text| code(text)).collect();
        let [about, why] = [&exception.id, &exception.reason].map(|text| cell(text));
        let _ = writeln!(lines, "| {about} | {} | {} | {why} |", code(&exception.expected), actual.join(" or "));
    }
    lines
}

/// Text that stays within its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn code(text: &str) -> String {
    format!("`{}`", cell(&text.replace('`', "'")))
}

fn counts(table: &Table) -> String {
    let counts = table.counts();
    let listed: Vec<String> = counts.iter().map(|(state, count)| format!("{count} {}", state.as_str())).collect();
    format!("{} rules: {}", counts.values().sum::<usize>(), listed.join(", "))
}

/// Every group but the decisions, with its heading.
fn rules(table: &Table, mentions: &[Mention]) -> String {
    let groups = GROUPS.iter().filter(|(letters, _)| *letters != "D");
    groups.fold(String::new(), |mut page, (letters, heading)| {
        // Writing to a String does not fail.
        let _ = write!(page, "### {heading}\n\n{}\n", group(letters, table, mentions));
        page
    })
}

fn group(letters: &str, table: &Table, mentions: &[Mention]) -> String {
    let mut lines = "| rule | what it says | state | code | tests |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for rule in table.rules().iter().filter(|rule| rule.number.group() == letters) {
        let (code, tests) = (places(rule, mentions, Role::Code), places(rule, mentions, Role::Test));
        let note = if rule.note.is_empty() { String::new() } else { format!(": {}", rule.note) };
        let state = rule.state.as_str();
        let fixtures = fixtures(rule, mentions);
        let _ = writeln!(lines, "| {} | {} | {state}{note} | {code} | {tests}{fixtures} |", rule.number, rule.says);
    }
    lines
}

/// The items of one role that name a rule, each a link to its file.
fn places(rule: &Rule, mentions: &[Mention], kind: Role) -> String {
    let of_rule = mentions.iter().filter(|mention| mention.number == rule.number && mention.role == kind);
    let links = of_rule.map(|mention: &Mention| {
        let shown = if mention.item.is_empty() { module(&mention.file) } else { &mention.item };
        format!("[`{shown}`](../{})", mention.file)
    });
    links.collect::<Vec<String>>().join(", ")
}

/// How many signatures that are written out are about a rule.
fn fixtures(rule: &Rule, mentions: &[Mention]) -> String {
    let is_about = |mention: &&Mention| mention.number == rule.number && mention.role == Role::Fixture;
    match mentions.iter().filter(is_about).count() {
        0 => String::new(),
        1 => "; 1 [fixture](../fixtures/README.md)".to_owned(),
        count => format!("; {count} [fixtures](../fixtures/README.md)"),
    }
}

fn module(file: &str) -> &str {
    file.rsplit_once('/').map_or(file, |(_, name)| name)
}
