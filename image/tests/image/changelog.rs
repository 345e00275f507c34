// SPDX-License-Identifier: Apache-2.0

//! CHANGELOG.md has the form of Keep a Changelog 1.1.0, which people and `dev/release-notes` rely on.

use sealwatch_image::Result;

use crate::text;

const KINDS: [&str; 6] = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];

/// What is wrong with a changelog, by line.
fn complaints(text: &str) -> Vec<String> {
    let (mut found, mut versions, mut kinds) = (Vec::new(), Vec::new(), Vec::new());
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            kinds.clear();
            let version = heading.strip_prefix('[').and_then(|rest| rest.split_once(']'));
            match version {
                Some(("Unreleased", "")) if versions.is_empty() => {}
                Some((version, date)) if is_date(date) && !versions.is_empty() => {
                    if !text.contains(&format!("\n[{version}]: https://")) {
                        found.push(format!("{line}: no link [{version}] at the end"));
                    }
                }
                _ => found.push(format!("{line}: expected [Unreleased] first, then [VERSION] - YEAR-MONTH-DAY")),
            }
            versions.push(heading);
        } else if let Some(kind) = line.strip_prefix("### ") {
            if !KINDS.contains(&kind) {
                found.push(format!("{line}: expected one of {}", KINDS.join(", ")));
            } else if kinds.contains(&kind) {
                found.push(format!("{line}: stands twice in {}", versions.last().unwrap_or(&"nothing")));
            }
            kinds.push(kind);
        } else if line.starts_with("- ") && kinds.is_empty() {
            found.push(format!("{line}: under no heading such as ### Added"));
        }
    }
    if versions.is_empty() {
        found.push("no section [Unreleased]".to_owned());
    }
    found
}

/// Whether this is ` - YEAR-MONTH-DAY`.
fn is_date(text: &str) -> bool {
    text.strip_prefix(" - ").is_some_and(|date| date.parse::<jiff::civil::Date>().is_ok() && date.len() == 10)
}

#[test]
fn the_changelog_has_the_form_of_keep_a_changelog() -> Result<()> {
    assert_eq!(complaints(&text("CHANGELOG.md")?), Vec::<String>::new());
    Ok(())
}

#[test]
fn another_form_is_noticed() {
    let good =
        "# Changes\n\n## [Unreleased]\n\n## [1.0.0] - 2026-01-31\n### Added\n- a\n\n[1.0.0]: https://example.com\n";
    assert_eq!(complaints(good), Vec::<String>::new());
    for (from, to, complaint) in [
        ("## [Unreleased]", "## Unreleased", "## Unreleased: expected [Unreleased] first"),
        ("2026-01-31", "2026-02-30", "## [1.0.0] - 2026-02-30: expected"),
        ("2026-01-31", "31 January", "## [1.0.0] - 31 January: expected"),
        ("### Added", "### New", "### New: expected one of Added"),
        ("### Added", "### Added\n### Added", "### Added: stands twice in [1.0.0] - 2026-01-31"),
        ("### Added\n", "", "- a: under no heading"),
        ("[1.0.0]: https://example.com", "", "## [1.0.0] - 2026-01-31: no link [1.0.0]"),
    ] {
        let found = complaints(&good.replace(from, to));
        assert!(found.len() == 1 && found[0].starts_with(complaint), "{from} → {to}: {found:?}");
    }
    assert_eq!(complaints(""), ["no section [Unreleased]"]);
}
