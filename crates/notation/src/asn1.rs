// SPDX-License-Identifier: Apache-2.0
//! A walk over DER that hands out the bytes as received.
//!
//! Signatures are verified over the very bytes that came in, so nothing is decoded into a structure and encoded
//! again. Object identifiers stay bytes too, and are compared as such.

use std::fmt::Write as _;

use der::asn1::{AnyRef, BitStringRef};
use der::{Decode, Header, Reader, SliceReader, Tag, TagNumber, Tagged};

/// The tag `[number]` of a constructed value.
pub(crate) const fn context(number: u32) -> Tag {
    Tag::ContextSpecific { number: TagNumber(number), constructed: true }
}

/// The tag `[number]` of a primitive value.
pub(crate) const fn primitive(number: u32) -> Tag {
    Tag::ContextSpecific { number: TagNumber(number), constructed: false }
}

/// The elements inside a constructed value, read one after the other.
pub(crate) struct Elements<'a> {
    reader: SliceReader<'a>,
}

impl<'a> Elements<'a> {
    /// The elements of a SEQUENCE; `bytes` must be exactly that one.
    pub(crate) fn of_sequence(bytes: &'a [u8]) -> der::Result<Self> {
        let sequence = AnyRef::from_der(bytes)?;
        sequence.tag().assert_eq(Tag::Sequence)?;
        Self::inside(sequence.value())
    }

    /// The elements of a value whose tag and length are gone already.
    pub(crate) fn inside(value: &'a [u8]) -> der::Result<Self> {
        Ok(Self { reader: SliceReader::new(value)? })
    }

    /// The next element with tag and length.
    pub(crate) fn raw(&mut self) -> der::Result<&'a [u8]> {
        self.reader.tlv_bytes()
    }

    /// The next element.
    pub(crate) fn any(&mut self) -> der::Result<AnyRef<'a>> {
        AnyRef::decode(&mut self.reader)
    }

    /// The value of the next element, which must have this tag.
    pub(crate) fn value(&mut self, tag: Tag) -> der::Result<&'a [u8]> {
        let element = self.any()?;
        element.tag().assert_eq(tag)?;
        Ok(element.value())
    }

    /// The value of the next element if it has this tag; else none, and nothing is read.
    pub(crate) fn optional(&mut self, tag: Tag) -> der::Result<Option<&'a [u8]>> {
        if self.is_empty() || Header::peek(&self.reader)?.tag() != tag {
            return Ok(None);
        }
        self.value(tag).map(Some)
    }

    /// The value of the next element, which must be an object identifier.
    pub(crate) fn oid(&mut self) -> der::Result<&'a [u8]> {
        let value = self.value(Tag::ObjectIdentifier)?;
        match walk_arcs(value, |_| ()) {
            Some(()) => Ok(value),
            None => Err(Tag::ObjectIdentifier.value_error().into()),
        }
    }

    /// The next element, decoded as a structure.
    pub(crate) fn decode<T: Decode<'a, Error = der::Error>>(&mut self) -> der::Result<T> {
        self.reader.decode()
    }

    /// The tag of the next element; none at the end, and of what is no element.
    pub(crate) fn peek(&self) -> Option<Tag> {
        if self.is_empty() { None } else { Header::peek(&self.reader).ok().map(|header| header.tag()) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.reader.is_finished()
    }

    /// Errs if anything is left.
    pub(crate) fn finish(self) -> der::Result<()> {
        self.reader.finish()
    }
}

/// The value of the next element, which must be an INTEGER in shortest form (X.690 section 8.3.2). In another form a
/// number would be another to whoever compares bytes; Go refuses it.
pub(crate) fn integer<'a>(elements: &mut Elements<'a>) -> der::Result<&'a [u8]> {
    let value = elements.value(Tag::Integer)?;
    if is_shortest(value) { Ok(value) } else { Err(Tag::Integer.value_error().into()) }
}

/// Whether this is the value of an INTEGER in shortest form.
pub(crate) fn is_shortest(value: &[u8]) -> bool {
    !matches!(value, [] | [0x00, 0x00..=0x7f, ..] | [0xff, 0x80..=0xff, ..])
}

/// Errs unless the bytes are one SEQUENCE, of whatever elements.
pub(crate) fn check_elements(bytes: &[u8]) -> der::Result<()> {
    let mut elements = Elements::of_sequence(bytes)?;
    while !elements.is_empty() {
        elements.any()?;
    }
    Ok(())
}

/// Errs unless the bits of the last byte that are not used are zero (X.690 section 11.2.1).
pub(crate) fn check_padding(bits: &BitStringRef<'_>) -> der::Result<()> {
    let unused = 0xff_u8.checked_shr(8_u32.saturating_sub(u32::from(bits.unused_bits()))).unwrap_or(0);
    match bits.raw_bytes().last() {
        Some(last) if last & unused != 0 => Err(Tag::BitString.value_error().into()),
        _ => Ok(()),
    }
}

/// An object identifier in dotted form, from its DER value (X.690 section 8.19). None if it is not one, or an arc has
/// more than 31 bits, as in Go.
pub(crate) fn dotted(value: &[u8]) -> Option<String> {
    let mut text = String::new();
    walk_arcs(value, |arc| {
        // Writing to a String does not fail.
        let _ = if text.is_empty() {
            // The first two arcs share one number.
            let top = (arc / 40).min(2);
            write!(text, "{top}.{}", arc.saturating_sub(top.saturating_mul(40)))
        } else {
            write!(text, ".{arc}")
        };
    })?;
    Some(text)
}

/// Calls `take` with each number of an object identifier: work and memory in proportion to its bytes, of which there
/// may be as many as a certificate or a revocation list has. None if it is not one.
fn walk_arcs(value: &[u8], mut take: impl FnMut(i32)) -> Option<()> {
    let mut arc: u32 = 0;
    let mut is_first_byte = true;
    for byte in value {
        if is_first_byte && *byte == 0x80 {
            return None;
        }
        arc = arc.checked_mul(128)?.checked_add(u32::from(byte & 0x7f))?;
        is_first_byte = byte & 0x80 == 0;
        if is_first_byte {
            take(i32::try_from(arc).ok()?);
            arc = 0;
        }
    }
    (is_first_byte && !value.is_empty()).then_some(())
}

/// An element in DER, of a tag of one byte.
pub(crate) fn tlv(identifier: u8, content: &[u8]) -> Vec<u8> {
    [&[identifier], shortest_length(content.len()).as_slice(), content].concat()
}

/// X.690 section 10.1.
pub(crate) fn shortest_length(length: usize) -> Vec<u8> {
    if let Ok(short @ 0..=0x7f) = u8::try_from(length) {
        return vec![short];
    }
    let bytes: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    let first = u8::try_from(bytes.len()).map_or(u8::MAX, |count| 0x80 | count);
    [vec![first], bytes].concat()
}
