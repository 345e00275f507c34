// SPDX-License-Identifier: Apache-2.0
//! Which locations of a pull secret apply to a repository: `URLsMatch` of the kubelet's keyring.

use std::net::Ipv6Addr;

use crate::reference::Repository;

/// The location under which `docker login` keeps Docker Hub's credential, normalised.
pub(super) const DOCKER_HUB_LOCATION: &str = "index.docker.io";

/// `host[:port][/path]` of a location as it is written: the scheme goes, and a leading `/v1/` or `/v2/` of the path.
pub(super) fn normalise(location: &str) -> Option<String> {
    let rest = location.strip_prefix("https://").or_else(|| location.strip_prefix("http://")).unwrap_or(location);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = match rest.split_once('/') {
        Some((host, path)) => (host, format!("/{path}")),
        None => (rest, String::new()),
    };
    if host.is_empty() || host.contains('@') || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return None;
    }
    // As for Go's URL parser, a bracket at the start opens an IPv6 address and no character class.
    let is_ipv6 = |rest: &str| rest.split_once(']').is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok());
    if host.strip_prefix('[').is_some_and(|rest| !is_ipv6(rest)) {
        return None;
    }
    let path =
        path.strip_prefix("/v1/").or_else(|| path.strip_prefix("/v2/")).map_or(path.clone(), |p| format!("/{p}"));
    let path = if path == "/" { "" } else { &path };
    Some(format!("{}{path}", host.to_ascii_lowercase()))
}

/// Same port, as many labels, each label matched by its pattern, and the location's path a prefix of the repository's.
///
/// The prefix is one of characters, not of path segments, because it is so for the kubelet: what it would pull with,
/// we ask with.
pub(super) fn is_match(location: &str, repository: &Repository) -> bool {
    let (host, path) = match location.split_once('/') {
        Some((host, path)) => (host, path),
        None => (location, ""),
    };
    let (pattern, pattern_port) = split_port(host);
    let (name, port) = split_port(repository.registry());
    if pattern_port != port || !repository.path().starts_with(path) {
        return false;
    }
    let (patterns, labels): (Vec<&str>, Vec<&str>) = (pattern.split('.').collect(), name.split('.').collect());
    patterns.len() == labels.len() && patterns.iter().zip(labels).all(|(pattern, label)| glob(pattern, label))
}

fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    }
}

/// A piece of a pattern of Go's `path.Match`.
enum Piece {
    Any,
    One,
    Literal(char),
    Class { is_negated: bool, ranges: Vec<(char, char)> },
}

impl Piece {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Any | Self::One => true,
            Self::Literal(literal) => *literal == c,
            Self::Class { is_negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *is_negated
            }
        }
    }
}

/// Go's `filepath.Match` on one label: `*`, `?`, `[…]` and `\`; a malformed pattern matches nothing.
///
/// Time is bounded by the product of both lengths: only the last `*` is ever gone back to.
fn glob(pattern: &str, text: &str) -> bool {
    // An IPv6 host in brackets is no pattern.
    if pattern == text {
        return true;
    }
    let Some(pieces) = pieces(pattern) else { return false };
    let chars: Vec<char> = text.chars().collect();
    let (mut at_piece, mut at_char) = (0_usize, 0_usize);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(&c) = chars.get(at_char) {
        match pieces.get(at_piece) {
            Some(Piece::Any) => {
                at_piece = at_piece.saturating_add(1);
                retry = Some((at_piece, at_char));
            }
            Some(piece) if piece.takes(c) => {
                at_piece = at_piece.saturating_add(1);
                at_char = at_char.saturating_add(1);
            }
            _ => match retry {
                Some((piece, from)) => {
                    at_piece = piece;
                    at_char = from.saturating_add(1);
                    retry = Some((piece, at_char));
                }
                None => return false,
            },
        }
    }
    pieces.iter().skip(at_piece).all(|piece| matches!(piece, Piece::Any))
}

fn pieces(pattern: &str) -> Option<Vec<Piece>> {
    let mut chars = pattern.chars();
    let mut pieces = Vec::new();
    while let Some(c) = chars.next() {
        pieces.push(match c {
            '*' => Piece::Any,
            '?' => Piece::One,
            '\\' => Piece::Literal(chars.next()?),
            '[' => class(&mut chars)?,
            literal => Piece::Literal(literal),
        });
    }
    Some(pieces)
}

fn class(chars: &mut std::str::Chars<'_>) -> Option<Piece> {
    let mut rest = chars.clone();
    let is_negated = rest.next() == Some('^');
    if is_negated {
        chars.next();
    }
    let mut ranges = Vec::new();
    loop {
        let low = match chars.next()? {
            ']' if !ranges.is_empty() => return Some(Piece::Class { is_negated, ranges }),
            ']' | '-' => return None,
            '\\' => chars.next()?,
            low => low,
        };
        let mut ahead = chars.clone();
        let high = if ahead.next() == Some('-') {
            chars.next();
            match chars.next()? {
                ']' | '-' => return None,
                '\\' => chars.next()?,
                high => high,
            }
        } else {
            low
        };
        ranges.push((low, high));
    }
}
