// SPDX-License-Identifier: Apache-2.0
//! What the sources say about rules.
//!
//! This reads Rust as rustfmt writes it, line by line and by indentation. It does not parse: a comment block claims its
//! rules for the item that it stands above, or that it stands in.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;

use super::number::Number;

/// Where sources are, below the top folder: every crate that ships, and the tests on real parts.
const FOLDERS: [&str; 2] = ["crates", "e2e"];
/// What makes inputs for tests is neither code that applies rules nor a test.
const LEFT_OUT: [&str; 2] = ["crates/fixtures", "e2e/tools"];

/// What names a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Code that ships.
    Code,
    /// A test.
    Test,
    /// A signature with its verdict, written out below `fixtures`, that a test judges.
    Fixture,
    /// Anything else in a test's file.
    Other,
}

/// That a comment names a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mention {
    /// The rule.
    pub number: Number,
    /// What the comment belongs to.
    pub role: Role,
    /// The file, as a path from the top folder.
    pub file: String,
    /// The item's name, with that of its type; empty if it is the file's module.
    pub item: String,
    /// The comment's first line, counted from one.
    pub line: usize,
}

/// Reads every source file below `top`; the result is sorted and each item names a rule once.
///
/// # Errors
/// If a file or folder cannot be read.
pub fn scan(top: &Path) -> io::Result<Vec<Mention>> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        collect(top, &PathBuf::from(folder), &mut files)?;
    }
    let mut mentions = Vec::new();
    for file in files {
        mentions.extend(scan_text(&file, &fs::read_to_string(top.join(&file))?));
    }
    collect_fixtures(top, &PathBuf::from("fixtures"), &mut mentions)?;
    mentions.sort();
    mentions.dedup_by(|a, b| (a.number, a.role, &a.file, &a.item) == (b.number, b.role, &b.file, &b.item));
    Ok(mentions)
}

fn collect(top: &Path, folder: &Path, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(top.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        let name = path.to_string_lossy().into_owned();
        if LEFT_OUT.contains(&name.as_str()) || entry.file_name() == "target" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(top, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(name);
        }
    }
    Ok(())
}

/// The rules that each `case.json` is about.
fn collect_fixtures(top: &Path, folder: &Path, mentions: &mut Vec<Mention>) -> io::Result<()> {
    for entry in fs::read_dir(top.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect_fixtures(top, &path, mentions)?;
        } else if entry.file_name() == "case.json" {
            let case: Case = serde_json::from_slice(&fs::read(top.join(&path))?)?;
            let file = path.to_string_lossy();
            mentions.extend(case.rules.iter().flat_map(|rule| Number::find_all(rule)).map(|number| Mention {
                number,
                role: Role::Fixture,
                file: file.clone().into_owned(),
                item: case.name.clone(),
                line: 1,
            }));
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Case {
    name: String,
    rules: Vec<String>,
}

/// An item, or a part of one, that may stand around what follows it.
struct Item {
    indent: usize,
    name: String,
    /// `impl`, `mod`, `fn` and so on.
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Type,
    TestModule,
    Function,
    Other,
}

/// What the comments of one file name.
pub fn scan_text(file: &str, text: &str) -> Vec<Mention> {
    let lines: Vec<&str> = text.lines().collect();
    let is_test_file = file.contains("/tests/") || file.ends_with("/tests.rs");
    let mut mentions = Vec::new();
    let mut around: Vec<Item> = Vec::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let Some(comment) = comment_of(line) else {
            enter(&mut around, line);
            at += 1;
            continue;
        };
        // Lines of one block are read together: a range may be broken between them.
        let first = at;
        let kind = marker(line);
        let mut block = comment.to_owned();
        at += 1;
        while kind.is_some() && lines.get(at).is_some_and(|next| marker(next) == kind) {
            block.push(' ');
            block.push_str(lines[at].trim_start().trim_start_matches('/').trim_start_matches('!'));
            at += 1;
        }
        let numbers = Number::find_all(&block);
        if kind.is_none() {
            enter(&mut around, line);
        }
        if numbers.is_empty() {
            continue;
        }
        let (item, is_test) = match kind {
            // What a whole crate says of rules is prose about them.
            Some("//!") if file.ends_with("/lib.rs") => continue,
            Some("//!") => (String::new(), false),
            Some("///") => below(&around, &lines, at),
            _ => (enclosing(&around, indent(line) + usize::from(kind.is_none())), false),
        };
        let in_tests = is_test_file || around.iter().any(|i| i.kind == Kind::TestModule && i.indent < indent(line));
        let role = match (is_test, in_tests) {
            (true, _) => Role::Test,
            (false, true) => Role::Other,
            (false, false) => Role::Code,
        };
        let file = file.to_owned();
        mentions.extend(numbers.into_iter().map(|number| Mention {
            number,
            role,
            file: file.clone(),
            item: item.clone(),
            line: first + 1,
        }));
    }
    mentions
}

/// The comment on a line, also one that stands behind code.
fn comment_of(line: &str) -> Option<&str> {
    if marker(line).is_some() { Some(line.trim_start()) } else { line.split_once("; // ").map(|(_, comment)| comment) }
}

/// What kind of comment fills a line.
fn marker(line: &str) -> Option<&'static str> {
    ["//!", "///", "//"].into_iter().find(|marker| line.trim_start().starts_with(marker))
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Takes note of the item that begins on this line, and of those that have ended.
fn enter(around: &mut Vec<Item>, line: &str) {
    if let Some((name, kind)) = item_on(line) {
        let indent = indent(line);
        around.retain(|item| item.indent < indent);
        around.push(Item { indent, name, kind });
    }
}

/// The item that a doc comment above line `at` belongs to, and whether it is a test.
fn below(around: &[Item], lines: &[&str], at: usize) -> (String, bool) {
    let (mut is_test, mut depth) = (false, 0_usize);
    for line in lines.get(at..).unwrap_or_default() {
        let text = line.trim_start();
        let in_attribute = depth > 0 || text.starts_with("#[");
        if in_attribute {
            depth = (depth + text.matches('[').count()).saturating_sub(text.matches(']').count());
            is_test |= text.starts_with("#[test]") || text.contains("::test]") || text.contains("::test(");
            continue;
        }
        if marker(line).is_some() {
            continue;
        }
        let inside = enclosing(around, indent(line));
        return match item_on(line).map(|(name, _)| name).or_else(|| part_on(text)) {
            Some(name) => (join(&owner(around, indent(line)), &name), is_test),
            None => (inside, is_test),
        };
    }
    (String::new(), false)
}

/// The innermost function, or else item, around this indentation, with its type's name.
fn enclosing(around: &[Item], indent: usize) -> String {
    let inside = |item: &&Item| item.indent < indent;
    let function = around.iter().filter(inside).find(|item| item.kind == Kind::Function);
    match function.or_else(|| around.iter().rfind(inside)) {
        Some(item) => join(&owner(around, item.indent), &item.name),
        None => String::new(),
    }
}

/// The type whose parts stand at this indentation.
fn owner(around: &[Item], indent: usize) -> String {
    let owner = around.iter().rfind(|item| item.indent < indent && item.kind == Kind::Type);
    owner.map_or_else(String::new, |item| item.name.clone())
}

fn join(owner: &str, name: &str) -> String {
    if owner.is_empty() || owner == name { name.to_owned() } else { format!("{owner}::{name}") }
}

/// The item that begins on a line.
fn item_on(line: &str) -> Option<(String, Kind)> {
    let mut text = line.trim_start();
    if let Some(rest) = text.strip_prefix("pub") {
        let rest = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(rest, |(_, rest)| rest);
        text = rest.strip_prefix(' ')?;
    }
    for word in ["const fn ", "async fn ", "fn "] {
        if let Some(rest) = text.strip_prefix(word) {
            return Some((identifier(rest), Kind::Function));
        }
    }
    if let Some(rest) = text.strip_prefix("impl") {
        let rest = if rest.starts_with('<') { rest.split_once("> ")?.1 } else { rest.strip_prefix(' ')? };
        let of = rest.split_once(" for ").map_or(rest, |(_, of)| of);
        return Some((identifier(of), Kind::Type));
    }
    if let Some(rest) = text.strip_prefix("mod ") {
        let name = identifier(rest);
        let kind = if name == "tests" && rest.ends_with('{') { Kind::TestModule } else { Kind::Other };
        return Some((name, kind));
    }
    for word in ["struct ", "enum ", "trait "] {
        if let Some(rest) = text.strip_prefix(word) {
            return Some((identifier(rest), Kind::Type));
        }
    }
    for word in ["const ", "static ", "type "] {
        if let Some(rest) = text.strip_prefix(word) {
            return Some((identifier(rest), Kind::Other));
        }
    }
    None
}

/// The variant or field that begins with this text.
fn part_on(text: &str) -> Option<String> {
    let text = text.strip_prefix("pub(super) ").or_else(|| text.strip_prefix("pub(crate) ")).unwrap_or(text);
    let text = text.strip_prefix("pub ").unwrap_or(text);
    let name = identifier(text);
    let follows = text.get(name.len()..)?;
    let is_part = !name.is_empty() && [":", ",", " {", "("].iter().any(|end| follows.starts_with(end));
    is_part.then_some(name)
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(file: &str, text: &str) -> Vec<String> {
        let of = |mention: &Mention| format!("{} {:?} {} {}", mention.number, mention.role, mention.item, mention.line);
        scan_text(file, text).iter().map(of).collect()
    }

    #[test]
    fn a_doc_comment_belongs_to_the_item_below_and_a_comment_to_the_function_around() {
        let source = r"//! TP-1.

/// TP-2 to
/// TP-3.
#[derive(Debug)]
pub(crate) struct Thing {
    /// TP-4.
    pub(super) field: u8,
}

impl fmt::Debug for Thing {
    /// TP-5.
    #[allow(
        dead_code
    )]
    pub fn method(&self) {
        if true {
            // TP-6
            let x = 1; // TP-7
        }
    }
}

/// TP-8.
fn free<'a>() {
    struct Inner;
}

/// TP-9.
pub enum Which {
    /// TP-10.
    One { a: u8 },
    /// TP-11.
    Two,
}

/// TP-12.
pub(crate) const MAX: usize = 1;
";
        let expected = [
            "TP-1 Code  1",
            "TP-2 Code Thing 3",
            "TP-3 Code Thing 3",
            "TP-4 Code Thing::field 7",
            "TP-5 Code Thing::method 12",
            "TP-6 Code Thing::method 18",
            "TP-7 Code Thing::method 19",
            "TP-8 Code free 24",
            "TP-9 Code Which 29",
            "TP-10 Code Which::One 31",
            "TP-11 Code Which::Two 33",
            "TP-12 Code MAX 37",
        ];
        assert_eq!(scanned("crates/a/src/b.rs", source), expected);
        assert!(!scanned("crates/a/src/lib.rs", source).contains(&expected[0].to_owned()));
    }

    #[test]
    fn a_test_is_told_from_what_stands_beside_it() {
        let source = "/// TP-1.\n#[tokio::test]\nasync fn claim() {\n    // TP-2\n}\n\n/// TP-3.\nfn helper() {}\n";
        assert_eq!(
            scanned("crates/a/tests/b.rs", source),
            ["TP-1 Test claim 1", "TP-2 Other claim 4", "TP-3 Other helper 7"]
        );
        let inside =
            "/// TP-1.\nfn f() {}\n\nmod tests {\n    /// TP-2.\n    #[test]\n    fn claim() {}\n\n    // TP-3\n}\n";
        assert_eq!(scanned("crates/a/src/b.rs", inside), ["TP-1 Code f 1", "TP-2 Test claim 5", "TP-3 Other tests 9"]);
    }
}
