// SPDX-License-Identifier: Apache-2.0
//! Names of Kubernetes objects that a command makes, and what such an object may hold.

use std::collections::BTreeSet;

/// The longest name of a ConfigMap.
pub(crate) const OBJECT_NAME_MOST: usize = 253;
/// What a ConfigMap may hold, in bytes, by the API server.
pub(crate) const CONFIG_MAP_MOST: usize = 1024 * 1024;
/// Room for a number that tells names apart.
const NUMBER: usize = 8;

/// A text as part of the name of an object: small letters, digits and `-`, none of them at its end, and short enough.
pub(crate) fn legal_name(text: &str, most: usize) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c.to_ascii_lowercase() } else { '-' };
    let name: String = text.chars().map(legal).take(most.saturating_sub(NUMBER)).collect();
    name.trim_end_matches('-').to_owned()
}

/// A name that nobody has yet: the wish, or the wish and a number.
pub(crate) fn distinct(taken: &mut BTreeSet<String>, wish: &str, separator: &str) -> String {
    let mut name = wish.to_owned();
    let mut number = 1_usize;
    while !taken.insert(name.clone()) {
        number = number.saturating_add(1);
        name = format!("{wish}{separator}{number}");
    }
    name
}
