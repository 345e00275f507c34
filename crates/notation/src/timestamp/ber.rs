// SPDX-License-Identifier: Apache-2.0
//! From BER to DER, as far as authorities need it: timestamp tokens may come with lengths that are longer than
//! necessary (X.690 section 8.1.3).

use super::TimestampError;
use crate::asn1::shortest_length;

/// Deepest nesting. A limit of ours: real tokens have 18 levels, most of them in certificates.
const MAX_DEPTH: u8 = 32;
/// Most elements in all. A limit of ours: a real token with three certificates has about 400.
const MAX_ELEMENTS: u32 = 16 * 1024;

/// Writes every length in its shortest form. The result is never longer than `ber`, and equal to it if that was DER.
///
/// Nothing else is changed: a string in pieces stays one and is refused by whoever reads it, and so is a length left
/// open (the indefinite form) refused here, both as in notation-go.
///
/// # Errors
/// If `ber` is not exactly one element, ends early, is nested deeper than 32 levels or has more than 16384 elements.
pub(super) fn to_der(ber: &[u8]) -> Result<Vec<u8>, TimestampError> {
    let mut normaliser = Normaliser { out: Vec::with_capacity(ber.len()), elements: 0 };
    let rest = normaliser.element(ber, 0).map_err(|problem| TimestampError::Encoding { problem })?;
    if rest.is_empty() { Ok(normaliser.out) } else { Err(TimestampError::Encoding { problem: "has trailing bytes" }) }
}

struct Normaliser {
    out: Vec<u8>,
    elements: u32,
}

impl Normaliser {
    /// Appends the first element of `bytes`, and returns what follows it.
    fn element<'a>(&mut self, bytes: &'a [u8], depth: u8) -> Result<&'a [u8], &'static str> {
        self.elements = self.elements.saturating_add(1);
        if self.elements > MAX_ELEMENTS {
            return Err("has too many elements");
        }
        if depth > MAX_DEPTH {
            return Err("is nested too deeply");
        }
        let (identifier, rest) = split_identifier(bytes)?;
        let (length, rest) = split_length(rest)?;
        let (content, rest) = rest.split_at_checked(length).ok_or(ENDS_EARLY)?;
        self.out.extend_from_slice(identifier);
        let start = self.out.len();
        if identifier.first().is_some_and(|first| first & CONSTRUCTED != 0) {
            let mut inside = content;
            while !inside.is_empty() {
                inside = self.element(inside, depth.saturating_add(1))?;
            }
        } else {
            self.out.extend_from_slice(content);
        }
        let length = self.out.len().saturating_sub(start);
        self.out.splice(start..start, shortest_length(length));
        Ok(rest)
    }
}

const CONSTRUCTED: u8 = 0x20;
const ENDS_EARLY: &str = "ends too early";

/// X.690 section 8.1.2.
fn split_identifier(bytes: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let (first, more) = bytes.split_first().ok_or(ENDS_EARLY)?;
    let length = if first & 0x1f == 0x1f {
        // The high form: bytes with the top bit set, and one without.
        more.iter().position(|byte| byte & 0x80 == 0).ok_or(ENDS_EARLY)?.saturating_add(2)
    } else {
        1
    };
    bytes.split_at_checked(length).ok_or(ENDS_EARLY)
}

/// X.690 section 8.1.3.
fn split_length(bytes: &[u8]) -> Result<(usize, &[u8]), &'static str> {
    let (first, rest) = bytes.split_first().ok_or(ENDS_EARLY)?;
    match first {
        0..=0x7f => Ok((usize::from(*first), rest)),
        0x80 => Err("has an indefinite length"),
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f)).ok_or(ENDS_EARLY)?;
            let length = length.iter().fold(0_u32, |length, byte| (length << 8) | u32::from(*byte));
            // Go's reader stumbles over it where nothing follows.
            if length == 0 {
                return Err("has nothing in it, in the long form of the length");
            }
            Ok((usize::try_from(length).map_err(|_| ENDS_EARLY)?, rest))
        }
        _ => Err("has a length of more than four bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(ber: &[u8]) -> &'static str {
        match to_der(ber) {
            Err(TimestampError::Encoding { problem }) => problem,
            other => panic!("expected a problem of the encoding, got {other:?}"),
        }
    }

    #[test]
    fn der_stays_as_it_is() {
        let long = [&[0x04, 0x82, 0x01, 0x00][..], &[7; 256]].concat();
        let high_tag = [0xbf, 0x81, 0x01, 0x02, 0x05, 0x00];
        for der in [&[0x05, 0x00][..], &[0x30, 0x00], &[0x30, 0x03, 0x02, 0x01, 0x00], &long, &high_tag] {
            assert_eq!(to_der(der).expect("DER"), der);
        }
    }

    #[test]
    fn long_lengths_become_short_at_every_level() {
        let ber = [0x30, 0x84, 0, 0, 0, 8, 0xa0, 0x81, 5, 0x04, 0x82, 0, 1, 0xff];
        assert_eq!(to_der(&ber).expect("BER"), [0x30, 5, 0xa0, 3, 0x04, 1, 0xff]);
        let ber = [&[0x30, 0x83, 0, 0, 0x84, 0x04, 0x82, 0, 0x80][..], &[1; 128]].concat();
        assert_eq!(to_der(&ber).expect("BER"), [&[0x30, 0x81, 0x83, 0x04, 0x81, 0x80][..], &[1; 128]].concat());
    }

    /// AT-5.
    #[test]
    fn an_indefinite_length_is_refused_outside_and_inside() {
        assert_eq!(problem(&[0x30, 0x80, 0x00, 0x00]), "has an indefinite length");
        assert_eq!(problem(&[0x30, 0x04, 0x24, 0x80, 0x00, 0x00]), "has an indefinite length");
    }

    /// AT-5.
    #[test]
    fn trailing_bytes_are_refused() {
        assert_eq!(problem(&[0x05, 0x00, 0x00]), "has trailing bytes");
        assert_eq!(problem(&[0x30, 0x00, 0x30, 0x00]), "has trailing bytes");
    }

    #[test]
    fn what_ends_early_is_refused() {
        for bytes in [&[][..], &[0x30], &[0x1f, 0x80], &[0x30, 0x82, 0x01], &[0x30, 0x02, 0x05], &[0x30, 0x01, 0x05]] {
            assert_eq!(problem(bytes), ENDS_EARLY, "{bytes:x?}");
        }
        // An element may not reach beyond the one around it, whatever follows.
        assert_eq!(problem(&[0x30, 0x03, 0x04, 0x02, 0x00, 0x00]), ENDS_EARLY);
        assert_eq!(problem(&[0x04, 0x84, 0xff, 0xff, 0xff, 0xff]), ENDS_EARLY);
        assert_eq!(problem(&[0x04, 0x85, 0, 0, 0, 0, 0]), "has a length of more than four bytes");
        assert_eq!(problem(&[0x05, 0x81, 0]), "has nothing in it, in the long form of the length");
    }

    #[test]
    fn depth_and_number_of_elements_are_bounded() {
        let nested = |levels: usize| {
            (0..levels).fold(vec![0x05, 0x00], |inside, _| [vec![0x30], shortest_length(inside.len()), inside].concat())
        };
        assert!(to_der(&nested(usize::from(MAX_DEPTH))).is_ok());
        assert_eq!(problem(&nested(usize::from(MAX_DEPTH) + 1)), "is nested too deeply");
        let many = |count: usize| [vec![0x30], shortest_length(2 * count), [0x05, 0x00].repeat(count)].concat();
        let most = MAX_ELEMENTS as usize - 1;
        assert!(to_der(&many(most)).is_ok());
        assert_eq!(problem(&many(most + 1)), "has too many elements");
    }
}
