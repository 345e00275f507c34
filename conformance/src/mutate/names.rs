// SPDX-License-Identifier: Apache-2.0
//! Distinguished names from a grammar: as policies write them, and as certificates have them.

use sealwatch_fixtures::der;

use crate::random::Random;

const TYPES: [&str; 18] = [
    "C",
    "ST",
    "S",
    "O",
    "OU",
    "CN",
    "L",
    "STREET",
    "SERIALNUMBER",
    "POSTALCODE",
    "c",
    "st",
    "2.5.4.6",
    "OID.2.5.4.3",
    "DC",
    "",
    "UID",
    "E",
];
const VALUES: [&str; 24] = [
    "US", "WA", "Acme", "two", "a b", "", "\\20a", "a\\20", "\\41cme", "a\\,b", "a\\+b", "#41", "\\#41", "a=b",
    "a\\=b", "\"Acme\"", "Zürich", "\\c3\\bc", "\\ff", "a\\", "a\\zb", "<a>", "a\\;b", "=#",
];
const SEPARATORS: [&str; 8] = [", ", ",", ";", "; ", "+", " ,  ", ",,", ",\n"];

/// An identity of the type `x509.subject`; often one that `C=US, ST=WA, O=Acme` matches.
pub(super) fn identity(random: &mut Random) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (kind, value) in [("C", "US"), ("ST", "WA"), ("O", "Acme")] {
        if !random.one_in(16) {
            parts.push(format!("{kind}={value}"));
        }
    }
    for _ in 0..random.below(4) {
        let part = format!("{}={}", random.pick(&TYPES), random.pick(&VALUES));
        parts.insert(random.below(parts.len() + 1), part);
    }
    if random.one_in(8) {
        let at = random.below(parts.len().max(1));
        if let Some(part) = parts.get_mut(at) {
            *part = part.replace('=', random.pick(&[" = ", "", "==", "=\\ ", "= #"]));
        }
    }
    let mut text = String::from(random.pick(&["x509.subject:", "x509.subject: ", "x509.subject:  "]));
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            text.push_str(if random.one_in(4) { random.pick(&SEPARATORS) } else { ", " });
        }
        text.push_str(part);
    }
    if random.one_in(16) {
        text.push_str(random.pick(&[",", " ", "\\ ", "\\", "+", ";"]));
    }
    text
}

/// A subject, encoded; often one with `C=US, ST=WA, O=Acme` in it.
pub(super) fn subject(random: &mut Random) -> Vec<u8> {
    const KINDS: [&str; 12] = [
        "2.5.4.6",
        "2.5.4.8",
        "2.5.4.10",
        "2.5.4.11",
        "2.5.4.3",
        "2.5.4.7",
        "2.5.4.5",
        "2.5.4.9",
        "2.5.4.17",
        "1.2.840.113549.1.9.1",
        "0.9.2342.19200300.100.1.25",
        "2.5.4.12",
    ];
    const CONTENTS: [&[u8]; 16] = [
        b"US",
        b"WA",
        b"Acme",
        b"two",
        b" a",
        b"a ",
        b"",
        b"#41",
        b"a=b",
        b"a,b+c;d",
        b"a\"b\\c<d>",
        "Zürich".as_bytes(),
        b"\x00a",
        b"=#",
        b"a=#b",
        b"\xff",
    ];
    const TAGS: [u8; 6] = [der::UTF8, der::PRINTABLE, 0x16, 0x14, 0x1e, 0x12];
    let mut attributes: Vec<(&str, u8, &[u8])> = Vec::new();
    for (kind, value) in [("2.5.4.6", &b"US"[..]), ("2.5.4.8", b"WA"), ("2.5.4.10", b"Acme")] {
        if !random.one_in(24) {
            attributes.push((kind, der::UTF8, value));
        }
    }
    for _ in 0..random.below(3) {
        let tag = if random.one_in(2) { random.pick(&TAGS) } else { der::UTF8 };
        let attribute = (random.pick(&KINDS), tag, random.pick(&CONTENTS));
        attributes.insert(random.below(attributes.len() + 1), attribute);
    }
    let mut name = der::name(&attributes);
    if random.one_in(8) {
        super::der::mutate(random, &mut name);
    }
    name
}
