// SPDX-License-Identifier: Apache-2.0
//! The tests that there are, by the names under which the table knows them.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Where tests are, below the top folder.
const FOLDERS: [&str; 3] = ["crates", "e2e", "conformance"];
/// Names of files that say nothing of what is in them; the folder's name does.
const PLAIN_NAMES: [&str; 4] = ["tests", "main", "mod", "lib"];

/// A test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// `crate::file::test`, the crate and the file without what all of them have in common.
    pub name: String,
    /// The file, as a path from the top folder.
    pub file: String,
}

/// Every test below `top`.
///
/// # Errors
/// If a file or folder cannot be read.
pub fn find_all(top: &Path) -> io::Result<Vec<Test>> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        walk(top, &PathBuf::from(folder), &mut found)?;
    }
    Ok(found)
}

fn walk(top: &Path, folder: &Path, found: &mut Vec<Test>) -> io::Result<()> {
    for entry in fs::read_dir(top.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            if entry.file_name() != "target" {
                walk(top, &path, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.extend(find_in(&path.to_string_lossy(), &fs::read_to_string(top.join(&path))?));
        }
    }
    Ok(())
}

/// The tests of one file: every function below an attribute that makes it one.
pub fn find_in(file: &str, text: &str) -> Vec<Test> {
    let place = place(file);
    let mut found = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.contains("::test]") || line.contains("::test(");
            continue;
        }
        let words = line.strip_prefix("async ").unwrap_or(line);
        if let (Some(rest), true) = (words.strip_prefix("fn "), is_test) {
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            found.push(Test { name: format!("{place}::{name}"), file: file.to_owned() });
        }
        is_test &= line.is_empty() || line.starts_with("//");
    }
    found
}

/// `crate::file`.
fn place(file: &str) -> String {
    let path = file.strip_prefix("crates/").unwrap_or(file);
    let parts: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    let first = parts.first().copied().unwrap_or_default();
    let last = parts.iter().rev().find(|part| !PLAIN_NAMES.contains(part)).copied().unwrap_or(first);
    format!("{first}::{last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_named_by_crate_and_file() {
        let text = "#[test]\nfn one() {}\n\nfn helper() {}\n\n    /// DS-1.\n    #[tokio::test(flavor = \"x\")]\n    \
                    async fn two() {\n    }\n#[test]\n#[allow(x)]\nfn three(a: u8) {}\n#[derive(Debug)]\nfn none() {}\n";
        for (file, place) in [
            ("crates/registry/tests/registry/floods.rs", "registry::floods"),
            ("crates/operator/src/running/tests.rs", "operator::running"),
            ("crates/registry/tests/memory.rs", "registry::memory"),
            ("e2e/tests/docs/main.rs", "e2e::docs"),
        ] {
            let names: Vec<String> = find_in(file, text).into_iter().map(|test| test.name).collect();
            assert_eq!(names, ["one", "two", "three"].map(|name| format!("{place}::{name}")));
        }
    }
}
