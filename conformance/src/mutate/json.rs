// SPDX-License-Identifier: Apache-2.0
//! Mutations of JSON, also into what no JSON library writes: members twice, in another case, with other spelling.

use std::fmt::Write as _;

use serde_json::Value;

use crate::random::Random;

/// JSON in which an object may have equal members, in an order.
#[derive(Clone, Debug)]
enum Node {
    /// Anything, as it is written.
    Raw(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

const VALUES: [&str; 22] = [
    "null",
    "true",
    "0",
    "-1",
    "1.0",
    "1e3",
    "18446744073709551616",
    "\"\"",
    "\"x\"",
    "\"*\"",
    "[]",
    "{}",
    "[null]",
    "[[]]",
    "\"1.0\"",
    "\"strict\"",
    "\"log\"",
    "\"2027-01-01T00:00:00Z\"",
    "\"0001-01-01T00:00:00Z\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "nul",
];

/// Changes something in a document and writes it anew; what is no JSON is changed as bytes.
pub(super) fn mutate(random: &mut Random, text: &[u8], more_values: &[&str]) -> Vec<u8> {
    let Ok(value) = serde_json::from_slice::<Value>(text) else {
        let mut bytes = text.to_vec();
        super::bytes::mutate(random, &mut bytes);
        return bytes;
    };
    let mut root = read(&value);
    let mut target = random.below(count(&root));
    change(random, &mut root, &mut target, more_values);
    let mut out = String::new();
    write(&root, random.one_in(8), &mut out);
    match random.below(24) {
        0 => out.push('\n'),
        1 => out.push_str("{}"),
        2 => out.insert(0, '\u{feff}'),
        _ => {}
    }
    out.into_bytes()
}

fn read(value: &Value) -> Node {
    match value {
        Value::Array(items) => Node::Array(items.iter().map(read).collect()),
        Value::Object(members) => {
            Node::Object(members.iter().map(|(name, value)| (name.clone(), read(value))).collect())
        }
        other => Node::Raw(other.to_string()),
    }
}

fn count(node: &Node) -> usize {
    match node {
        Node::Raw(_) => 1,
        Node::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Node::Object(members) => 1 + members.iter().map(|(_, node)| count(node)).sum::<usize>(),
    }
}

fn any(random: &mut Random, more: &[&str]) -> Node {
    let text = if !more.is_empty() && random.one_in(2) { random.pick(more) } else { random.pick(&VALUES) };
    Node::Raw(text.to_owned())
}

fn change(random: &mut Random, node: &mut Node, target: &mut usize, more: &[&str]) {
    if *target == 0 {
        return change_here(random, node, more);
    }
    *target -= 1;
    let children: Vec<&mut Node> = match node {
        Node::Raw(_) => Vec::new(),
        Node::Array(items) => items.iter_mut().collect(),
        Node::Object(members) => members.iter_mut().map(|(_, node)| node).collect(),
    };
    for child in children {
        let below = count(child);
        if *target < below {
            return change(random, child, target, more);
        }
        *target -= below;
    }
}

fn change_here(random: &mut Random, node: &mut Node, more: &[&str]) {
    let replacement = any(random, more);
    match node {
        Node::Raw(text) if random.one_in(2) => change_text(random, text),
        Node::Array(items) if !items.is_empty() => {
            let at = random.below(items.len());
            match random.below(4) {
                0 => drop(items.remove(at)),
                1 => items.push(items[at].clone()),
                2 => items.insert(at, replacement),
                _ => items[at] = replacement,
            }
        }
        Node::Object(members) if !members.is_empty() => change_members(random, members, replacement),
        _ => *node = replacement,
    }
}

fn change_members(random: &mut Random, members: &mut Vec<(String, Node)>, replacement: Node) {
    let at = random.below(members.len());
    match random.below(9) {
        0 => drop(members.remove(at)),
        1 => members.push(members[at].clone()),
        2 => members.insert(at, (members[at].0.clone(), replacement)),
        3 => members.push((members[at].0.clone(), replacement)),
        4 => members[at].0 = members[at].0.to_uppercase(),
        5 => members[at].0 = swap_case(random, &members[at].0),
        6 => members.push((format!("{}x", members[at].0), replacement)),
        7 => {
            let copy = (swap_case(random, &members[at].0), replacement);
            members.insert(random.below(members.len()), copy);
        }
        _ => members[at].1 = replacement,
    }
}

/// One letter in the other case, or the long s, which some compare like an s.
fn swap_case(random: &mut Random, name: &str) -> String {
    let at = random.below(name.chars().count());
    let swap = |(place, c): (usize, char)| match c {
        _ if place != at => c,
        's' if random.clone().one_in(2) => 'ſ',
        'k' => 'K',
        c if c.is_lowercase() => c.to_ascii_uppercase(),
        c => c.to_ascii_lowercase(),
    };
    name.chars().enumerate().map(swap).collect()
}

/// Inside the quotes, or the digits of a number.
fn change_text(random: &mut Random, text: &mut String) {
    const PIECES: [&str; 16] =
        ["x", " ", "*", "\\n", "\\r\\n", "=", "+", "/", ".", ":", ",", "0", "\\u0041", "\\/", "é", "#"];
    let inner = if text.len() >= 2 && text.starts_with('"') { 1..text.len() - 1 } else { 0..text.len() };
    let places: Vec<usize> =
        text.char_indices().map(|(at, _)| at).filter(|at| inner.contains(at)).chain([inner.end]).collect();
    let at = random.pick(&places);
    if random.one_in(3) && inner.contains(&at) {
        text.remove(at);
    } else {
        text.insert_str(at, random.pick(&PIECES));
    }
}

fn write(node: &Node, spaced: bool, out: &mut String) {
    let space = if spaced { " \n" } else { "" };
    match node {
        Node::Raw(text) => out.push_str(text),
        Node::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                out.push_str(space);
                write(item, spaced, out);
            }
            out.push(']');
        }
        Node::Object(members) => {
            out.push('{');
            for (at, (name, value)) in members.iter().enumerate() {
                let _ = write!(out, "{}{space}{}:{space}", if at > 0 { "," } else { "" }, Value::from(name.as_str()));
                write(value, spaced, out);
            }
            out.push('}');
        }
    }
}
