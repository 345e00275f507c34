// SPDX-License-Identifier: Apache-2.0
//! The numbers of rules, and how comments name them.

use std::fmt;
use std::str::FromStr;

/// The groups of rules, each with its heading, in the order of the page. `D` are the decisions where the specification
/// and the reference implementation disagree.
pub(super) const GROUPS: [(&str, &str); 17] = [
    ("TP", "Trust policy document"),
    ("DN", "Distinguished names"),
    ("DS", "Discovery and storage"),
    ("JW", "JWS envelopes"),
    ("CO", "COSE envelopes"),
    ("CC", "Certificate chains of signatures"),
    ("TC", "Certificate chains of timestamp authorities"),
    ("AU", "Authenticity"),
    ("TS", "Trust stores"),
    ("AT", "Authentic timestamps"),
    ("EX", "Expiry"),
    ("RV", "Revocation"),
    ("LV", "Levels and outcomes"),
    ("PL", "Plugins and critical attributes"),
    ("UM", "User metadata"),
    ("BL", "Blobs"),
    ("D", "Decisions"),
];

/// The number of a rule, such as `TP-17` or `D6`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number {
    group: usize,
    at: u16,
}

impl Number {
    /// The letters before the number.
    pub fn group(self) -> &'static str {
        GROUPS.get(self.group).map_or("", |(letters, _)| letters)
    }

    /// The number alone.
    pub fn at(self) -> u16 {
        self.at
    }

    /// Whether this is a decision and no rule.
    pub fn is_decision(self) -> bool {
        self.group() == "D"
    }

    /// Every number that a comment names; `A-1 to A-3` names three.
    pub fn find_all(comment: &str) -> Vec<Self> {
        let mut found = Vec::new();
        let words = comment.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').filter(|word| !word.is_empty());
        let mut start: Option<Self> = None;
        let mut previous = "";
        for word in words {
            if let Ok(number) = word.parse::<Self>() {
                let range_start = start.filter(|start| previous == "to" && start.group == number.group);
                let first = range_start.map_or(number.at, |start| start.at.saturating_add(1));
                found.extend((first..=number.at).map(|at| Self { at, ..number }));
                start = Some(number);
            }
            previous = word;
        }
        found
    }
}

impl FromStr for Number {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        let digits = word.trim_start_matches(|c: char| c.is_ascii_uppercase());
        let letters = word.get(..word.len() - digits.len()).ok_or(())?;
        let group = GROUPS.iter().position(|(known, _)| *known == letters).ok_or(())?;
        let digits = if letters == "D" { Some(digits) } else { digits.strip_prefix('-') }.ok_or(())?;
        let is_number = (1..=2).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        let at = digits.parse().ok().filter(|at| is_number && *at > 0).ok_or(())?;
        Ok(Self { group, at })
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.group(), if self.is_decision() { "" } else { "-" }, self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(comment: &str) -> Vec<String> {
        Number::find_all(comment).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn numbers_are_found_alone_in_lists_and_as_ranges() {
        assert_eq!(found("TP-17, D6 (RV-3), `CC-4`."), ["TP-17", "D6", "RV-3", "CC-4"]);
        assert_eq!(found("RV-1 to RV-3 and AT-2"), ["RV-1", "RV-2", "RV-3", "AT-2"]);
        assert_eq!(found("AT-1 to TC-2"), ["AT-1", "TC-2"], "of two groups there is no range");
        assert_eq!(found("TP-3 to TP-1"), ["TP-3"]);
    }

    #[test]
    fn what_only_looks_like_a_number_is_none() {
        assert_eq!(found("SHA-256, P-384, RFC-5280, TP-, TP-0, TP-100, XTP-1, D, DER, CAD6, tp-1, 0xD2"), [""; 0]);
    }
}
