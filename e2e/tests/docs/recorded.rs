// SPDX-License-Identifier: Apache-2.0

//! Outputs that a page shows, beside those of today.

use std::path::Path;
use std::sync::LazyLock;
use std::{fs, iter};

use regex::Regex;
use sealwatch_e2e::testenv::Result;

use crate::markdown::Block;

/// A line of this stands for any number of lines.
const ANYTHING: &str = "…";

/// What differs from run to run, and a word for it. The order matters.
static VARYING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let rules = [
        // Colours.
        ("\u{1b}\\[[0-9;]*m", ""),
        ("[0-9a-f]{64}", "DIGEST"),
        // The name of an ImageVerification: twelve digits of the digest, and a hash with the policy's name in it.
        ("-[0-9a-f]{12}-[a-z0-9]{5}\\b", "-NAME"),
        ("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})", "TIME"),
        ("[0-9]{4}-[0-9]{2}-[0-9]{2}", "DATE"),
        // "Thu Nov 26 15:06:34 2026", "Tue Dec  1 15:06:34 2026"
        ("\\b[A-Z][a-z]{2} [A-Z][a-z]{2} +[0-9]{1,2} [0-9]{2}:[0-9]{2}:[0-9]{2} [0-9]{4}\\b", "TIME"),
        ("\\b[0-9]+ days?\\b", "DAYS"),
        ("\\b[0-9]+[.][0-9]+ ?s\\b", "AGE"),
        // Ages: "3s", "2m11s", "364d".
        ("\\b([0-9]+(ms|d|h|m|s))+\\b", "AGE"),
        ("\\b[0-9]+ MiB\\b", "SIZE"),
        ("127[.]0[.]0[.]1:[0-9]+", "ADDRESS"),
    ];
    rules.into_iter().filter_map(|(pattern, word)| Some((Regex::new(pattern).ok()?, word))).collect()
});

/// The lines without what varies, without colours, and with one space between columns.
fn normal(text: &str) -> Vec<String> {
    let normal = |line: &str| {
        let line = VARYING
            .iter()
            .fold(line.to_owned(), |line, (pattern, word)| pattern.replace_all(&line, *word).into_owned());
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    text.trim_end().lines().map(normal).collect()
}

/// Whether a page's output is that of today, but for what varies.
pub(crate) fn agrees(shown: &str, printed: &str) -> bool {
    fn agree(shown: &[String], printed: &[String]) -> bool {
        match shown.split_first() {
            None => printed.is_empty(),
            Some((line, rest)) if line == ANYTHING => {
                (0..=printed.len()).any(|skipped| printed.get(skipped..).is_some_and(|printed| agree(rest, printed)))
            }
            Some((line, rest)) => printed.split_first().is_some_and(|(first, more)| first == line && agree(rest, more)),
        }
    }
    agree(&normal(shown), &normal(printed))
}

/// Whether the page leaves lines out, so that no program can write it anew.
pub(crate) fn is_abridged(shown: &str) -> bool {
    shown.lines().any(|line| line.trim() == ANYTHING)
}

/// Puts what was printed into the blocks of a page.
pub(crate) fn write(path: &Path, blocks: &[(&Block, String)]) -> Result<()> {
    if blocks.is_empty() {
        return Ok(());
    }
    let mut lines: Vec<String> = fs::read_to_string(path)?.lines().map(str::to_owned).collect();
    // From the end, so that the numbers of the lines before stay right.
    for (block, printed) in blocks.iter().rev() {
        let inside = block.line..block.line + block.text.lines().count();
        let printed = printed.trim_end().lines().map(|line| line.trim_end().to_owned());
        lines.splice(inside, printed);
    }
    Ok(fs::write(path, lines.into_iter().chain(iter::once(String::new())).collect::<Vec<_>>().join("\n"))?)
}

#[test]
fn only_what_varies_may_differ() {
    let digests = ["a", "b"].map(|digit| format!("sha256:{}", digit.repeat(64)));
    let shown = format!("NAME   AGE\nweb-0123456789ab-x7k2p   3s\nx@{} 2026-01-02T03:04:05Z", digests[0]);
    let printed = format!("NAME AGE\nweb-ba9876543210-aaaaa 2m11s\nx@{} 2027-11-12T13:14:15+01:00\n", digests[1]);
    assert!(agrees(&shown, &printed));
    // Helm fills the day up with a space.
    assert!(agrees("LAST: Thu Nov 26 16:34:32 2026", "LAST: Tue Dec  1 01:02:03 2026"));
    for other in ["NAME AGE\n", "NAME AGE\nweb-ba9876543210-aaaaa Failed\nx"] {
        assert!(!agrees(&shown, other), "{other}");
    }
    assert!(!agrees("Verified", "Failed") && !agrees("images: 3", "images: 4"));
}

#[test]
fn a_line_with_dots_stands_for_any_lines() {
    for printed in ["a\nb", "a\nx\nb", "a\nx\ny\nb"] {
        assert!(agrees("a\n…\nb", printed), "{printed}");
    }
    for printed in ["a", "b", "a\nb\nc", ""] {
        assert!(!agrees("a\n…\nb", printed), "{printed}");
    }
    assert!(is_abridged("a\n…\n") && !is_abridged("a…\n"));
}

#[test]
fn blocks_are_written_anew_and_nothing_else() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("page.md");
    let text = "a\n```text recorded\n1\n2\n```\nb\n```text recorded\n```\nc\n";
    fs::write(&path, text)?;
    let page = crate::markdown::Page::parse(text);
    write(&path, &[(&page.blocks[0], "3\n".into()), (&page.blocks[1], "4 \n5\n".into())])?;
    assert_eq!(fs::read_to_string(&path)?, "a\n```text recorded\n3\n```\nb\n```text recorded\n4\n5\n```\nc\n");
    Ok(())
}
