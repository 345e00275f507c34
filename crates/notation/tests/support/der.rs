// SPDX-License-Identifier: Apache-2.0
//! DER, written by hand: well-formed and ill-formed alike.

pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
pub(crate) const UTF8: u8 = 0x0c;
pub(crate) const PRINTABLE: u8 = 0x13;

pub(crate) fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len();
    let mut out = vec![tag];
    match length {
        0..=0x7f => out.push(u8::try_from(length).expect("short")),
        0x80..=0xff => out.extend([0x81, u8::try_from(length).expect("one byte")]),
        0x100..=0xffff => {
            out.push(0x82);
            out.extend(u16::try_from(length).expect("two bytes").to_be_bytes());
        }
        _ => {
            out.push(0x84);
            out.extend(u32::try_from(length).expect("four bytes").to_be_bytes());
            // The shortest form, which DER demands.
            if length <= 0x00ff_ffff {
                out[1] = 0x83;
                out.remove(2);
            }
        }
    }
    out.extend(value);
    out
}

pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, &parts.concat())
}

/// An object identifier from its dotted form.
pub(crate) fn oid(dotted: &str) -> Vec<u8> {
    let arcs: Vec<u128> = dotted.split('.').map(|arc| arc.parse().expect("an arc")).collect();
    let mut value = Vec::new();
    for (index, arc) in arcs.iter().enumerate().skip(1) {
        let mut arc = if index == 1 { arcs[0] * 40 + arc } else { *arc };
        let mut bytes = vec![u8::try_from(arc % 128).expect("seven bits")];
        while arc >= 128 {
            arc /= 128;
            bytes.push(0x80 | u8::try_from(arc % 128).expect("seven bits"));
        }
        bytes.reverse();
        value.extend(bytes);
    }
    tlv(0x06, &value)
}

pub(crate) fn bit_string(unused: u8, bytes: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[unused], bytes].concat())
}

/// A `Name` of one attribute per relative name: (type, tag of the string, value).
pub(crate) fn name(attributes: &[(&str, u8, &[u8])]) -> Vec<u8> {
    let rdn = |(kind, tag, value): &(&str, u8, &[u8])| tlv(SET, &sequence(&[&oid(kind), &tlv(*tag, value)]));
    tlv(SEQUENCE, &attributes.iter().flat_map(rdn).collect::<Vec<u8>>())
}

/// A `Name` in UTF-8 from `CN=…,O=…` without escapes, written most general first as certificates have it.
pub(crate) fn simple_name(text: &str) -> Vec<u8> {
    let attribute = |part: &str| {
        let (kind, value) = part.split_once('=').expect("type=value");
        let kind = match kind {
            "CN" => "2.5.4.3",
            "C" => "2.5.4.6",
            "L" => "2.5.4.7",
            "ST" => "2.5.4.8",
            "O" => "2.5.4.10",
            "OU" => "2.5.4.11",
            dotted => dotted,
        };
        tlv(SET, &sequence(&[&oid(kind), &tlv(UTF8, value.as_bytes())]))
    };
    tlv(SEQUENCE, &text.split(',').rev().flat_map(attribute).collect::<Vec<u8>>())
}
