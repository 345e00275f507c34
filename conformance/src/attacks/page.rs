// SPDX-License-Identifier: Apache-2.0
//! The page `docs/attacks.md`: a text that people write, with tables in it that nobody does.

use std::fmt::Write as _;

use super::table::{Attack, Attacks, GROUPS, Shown};
use super::tests_of::Test;

/// Puts the tables into the text, in place of `{{counts}}` and `{{attacks}}`.
pub fn render(text: &str, table: &Attacks, tests: &[Test]) -> String {
    text.replace("{{counts}}", &counts(table)).replace("{{attacks}}", groups(table, tests).trim_end())
}

fn counts(table: &Attacks) -> String {
    let (all, shown) = (table.all().len(), table.count_shown());
    format!("{all} attacks: {shown} shown by {} tests, {} not applicable", table.tests().len(), all - shown)
}

fn groups(table: &Attacks, tests: &[Test]) -> String {
    GROUPS.iter().fold(String::new(), |mut page, (letter, heading)| {
        // Writing to a String does not fail.
        let _ = write!(page, "### {heading}\n\n");
        page.push_str("| | known as | attack | what comes of it | shown by |\n| --- | --- | --- | --- | --- |\n");
        for attack in table.all().iter().filter(|attack| attack.number.starts_with(letter)) {
            let Attack { number, known_as, attack, outcome, shown } = attack;
            let _ = writeln!(page, "| {number} | {known_as} | {attack} | {outcome} | {} |", shown_by(shown, tests));
        }
        page.push('\n');
        page
    })
}

fn shown_by(shown: &Shown, tests: &[Test]) -> String {
    let link = |name: &String| {
        let short = name.rsplit("::").next().unwrap_or(name);
        let file = tests.iter().find(|test| test.name == *name).map_or("", |test| &test.file);
        format!("[`{short}`](../{file})")
    };
    match shown {
        Shown::By(names) => names.iter().map(link).collect::<Vec<String>>().join(", "),
        Shown::NotApplicable(why) => format!("not applicable: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_every_attack_with_links_to_its_tests() {
        let table = Attacks::parse("A1\tCVE-1\tx\ty\ta::b::c\nC2\t\tz\tw\tnot applicable: no").expect("a good table");
        let tests = [Test { name: "a::b::c".to_owned(), file: "crates/a/b.rs".to_owned() }];
        let page = render("{{counts}}.\n\n{{attacks}}\n", &table, &tests);
        assert!(page.starts_with("2 attacks: 1 shown by 1 tests, 1 not applicable.\n"), "{page}");
        assert!(page.contains("| A1 | CVE-1 | x | y | [`c`](../crates/a/b.rs) |\n"), "{page}");
        assert!(page.contains("| C2 |  | z | w | not applicable: no |\n"), "{page}");
    }
}
