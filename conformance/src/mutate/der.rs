// SPDX-License-Identifier: Apache-2.0
//! Mutations of DER that leave the lengths around right, so that parsers get as far as the change.

use crate::random::Random;

/// One element; an octet string that holds elements counts as constructed.
#[derive(Clone, Debug)]
struct Node {
    tag: u8,
    /// Whether the length is written longer than it need be.
    long: bool,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    Primitive(Vec<u8>),
    Constructed(Vec<Node>),
}

const TAGS: [u8; 18] =
    [0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0a, 0x0c, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1e, 0x30, 0x31, 0x80, 0xa0];

/// Values that parsers like to read differently.
const VALUES: [&[u8]; 16] = [
    b"",
    b"\x00",
    b"\x01",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\x00\x00",
    b"\x00\x80",
    b"\xff\xff",
    b"\x00\xff\xff\xff\xff\xff\xff\xff\xff",
    b"20261122120000Z",
    b"261122120000Z",
    b"2611221200Z",
    b"20261122120000+0100",
    b"99991231235959Z",
    b"20261122120000.5Z",
];

/// Changes one element somewhere in these bytes; bytes that are not DER are changed as bytes.
pub(super) fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    let Some(mut nodes) = parse(bytes) else { return super::bytes::mutate(random, bytes) };
    let target = random.below(count(&nodes));
    let donor = nth(&nodes, &mut random.below(count(&nodes))).cloned();
    change(random, &mut nodes, &mut { target }, donor);
    *bytes = encode(&nodes);
}

fn change(random: &mut Random, nodes: &mut Vec<Node>, target: &mut usize, donor: Option<Node>) {
    let mut at = 0;
    while at < nodes.len() {
        if *target == 0 {
            return change_at(random, nodes, at, donor);
        }
        *target -= 1;
        if let Body::Constructed(inner) = &mut nodes[at].body {
            let below = count(inner);
            if *target < below {
                return change(random, inner, target, donor);
            }
            *target -= below;
        }
        at += 1;
    }
}

fn change_at(random: &mut Random, nodes: &mut Vec<Node>, at: usize, donor: Option<Node>) {
    match random.below(12) {
        0 => drop(nodes.remove(at)),
        1 => nodes.insert(at, nodes[at].clone()),
        2 if at + 1 < nodes.len() => nodes.swap(at, at + 1),
        3 => nodes[at].tag = random.pick(&TAGS),
        4 => nodes[at].tag ^= 1 << random.below(8),
        5 => nodes[at].long = true,
        6 => nodes[at] = donor.unwrap_or_else(|| nodes[at].clone()),
        7 => {
            let null =
                Node { tag: random.pick(&TAGS), long: false, body: Body::Primitive(random.pick(&VALUES).to_vec()) };
            nodes.insert(at + random.below(2), null);
        }
        8 => nodes[at].body = Body::Primitive(random.pick(&VALUES).to_vec()),
        _ => match &mut nodes[at].body {
            Body::Primitive(value) => super::bytes::mutate(random, value),
            Body::Constructed(inner) => {
                let mut value = encode(inner);
                super::bytes::mutate(random, &mut value);
                nodes[at].body = Body::Primitive(value);
            }
        },
    }
}

fn count(nodes: &[Node]) -> usize {
    let below = |node: &Node| match &node.body {
        Body::Primitive(_) => 0,
        Body::Constructed(inner) => count(inner),
    };
    nodes.iter().map(|node| 1 + below(node)).sum()
}

fn nth<'a>(nodes: &'a [Node], place: &mut usize) -> Option<&'a Node> {
    for node in nodes {
        if *place == 0 {
            return Some(node);
        }
        *place -= 1;
        if let Body::Constructed(inner) = &node.body
            && let Some(found) = nth(inner, place)
        {
            return Some(found);
        }
    }
    None
}

/// The elements of these bytes, if they are nothing but elements with one-byte tags and definite lengths.
fn parse(mut bytes: &[u8]) -> Option<Vec<Node>> {
    let mut nodes = Vec::new();
    while let [tag, rest @ ..] = bytes {
        let (length, rest) = read_length(rest)?;
        let (value, rest) = rest.split_at_checked(length)?;
        let inner = match tag & 0x20 != 0 {
            true => Some(parse(value)?),
            false if *tag == 0x04 && value.len() > 1 && matches!(value[0], 0x30 | 0x31 | 0x03 | 0x04) => parse(value),
            false => None,
        };
        let body = inner.map_or_else(|| Body::Primitive(value.to_vec()), Body::Constructed);
        nodes.push(Node { tag: *tag, long: false, body });
        bytes = rest;
    }
    Some(nodes)
}

fn read_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let count = match first {
        0..=0x7f => return Some((usize::from(*first), rest)),
        0x81..=0x83 => usize::from(first & 0x7f),
        _ => return None,
    };
    let (length, rest) = rest.split_at_checked(count)?;
    Some((length.iter().fold(0, |all, byte| all << 8 | usize::from(*byte)), rest))
}

fn encode(nodes: &[Node]) -> Vec<u8> {
    let mut out = Vec::new();
    for node in nodes {
        let value = match &node.body {
            Body::Primitive(value) => value.clone(),
            Body::Constructed(inner) => encode(inner),
        };
        let tlv = sealwatch_fixtures::der::tlv(node.tag, &value);
        if node.long {
            let length = u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes();
            out.extend([&[node.tag, 0x84], &length[..], &value].concat());
        } else {
            out.extend(tlv);
        }
    }
    out
}
