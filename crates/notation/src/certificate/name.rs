// SPDX-License-Identifier: Apache-2.0
//! DN-10. Names of certificates, printed as Go's `pkix.Name.String` prints them: the form that notation compares trusted
//! identities with, and that its users know from `notation inspect`.

use std::fmt::Write as _;

use der::{Tag, Tagged};

use crate::asn1::{Elements, dotted};

/// Attribute types that Go has a short name for, with the last byte of their identifier 2.5.4.x, in the order in
/// which Go prints them.
const SHORT_NAMES: [(u8, &str); 9] = [
    (5, "SERIALNUMBER"),
    (3, "CN"),
    (11, "OU"),
    (10, "O"),
    (17, "POSTALCODE"),
    (9, "STREET"),
    (7, "L"),
    (8, "ST"),
    (6, "C"),
];
const COMMON_NAME: u8 = 3;
const SERIAL_NUMBER: u8 = 5;

/// Whether a subject can have an attribute that is printed with this type, as identities write it.
pub(crate) fn is_printed(attribute: &str) -> bool {
    SHORT_NAMES.iter().any(|(_, short_name)| *short_name == attribute)
}

/// A name, printed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_field_names)] // a common name is called that
pub(crate) struct Name {
    /// The printed form.
    pub(crate) printed: String,
    /// The last common name.
    pub(crate) common_name: Option<String>,
    /// The first attribute type with a short name that occurs twice. Go drops all but the last CN and SERIALNUMBER
    /// when it prints, so the printed form alone does not tell.
    pub(crate) repeated: Option<&'static str>,
}

struct Attribute<'a> {
    oid: &'a [u8],
    /// The last byte of an identifier that has a short name.
    short_type: Option<u8>,
    raw_value: &'a [u8],
    value: Option<String>,
}

fn short_type(oid: &[u8]) -> Option<u8> {
    match oid {
        [0x55, 0x04, last] if SHORT_NAMES.iter().any(|(number, _)| number == last) => Some(*last),
        _ => None,
    }
}

impl Name {
    /// Reads the DER of a `Name`.
    pub(crate) fn from_der(der: &[u8]) -> der::Result<Self> {
        let attributes = parse(der)?;
        let values_of = |number: u8| attributes.iter().filter(move |a| a.short_type == Some(number));
        let common_name = values_of(COMMON_NAME).next_back().and_then(|attribute| attribute.value.clone());
        let repeated =
            SHORT_NAMES.iter().find(|(number, _)| values_of(*number).count() > 1).map(|(_, short_name)| *short_name);

        let mut printed = String::with_capacity(der.len());
        for (number, short_name) in SHORT_NAMES {
            let mut separator = ",";
            for attribute in values_of(number) {
                let is_last = || values_of(number).next_back().is_some_and(|last| std::ptr::eq(last, attribute));
                let is_single = matches!(number, COMMON_NAME | SERIAL_NUMBER);
                if is_single && (!is_last() || attribute.value.as_deref() == Some("")) {
                    continue;
                }
                separate(&mut printed, separator);
                separator = "+";
                print(&mut printed, short_name, attribute);
            }
        }
        let others = attributes.iter().filter(|attribute| attribute.short_type.is_none());
        for attribute in others.rev() {
            separate(&mut printed, ",");
            print_encoded(&mut printed, attribute);
        }
        Ok(Self { printed, common_name, repeated })
    }
}

fn parse(der: &[u8]) -> der::Result<Vec<Attribute<'_>>> {
    let mut attributes = Vec::new();
    let mut sequence = Elements::of_sequence(der)?;
    while !sequence.is_empty() {
        let mut set = Elements::inside(sequence.value(Tag::Set)?)?;
        while !set.is_empty() {
            let mut pair = Elements::inside(set.value(Tag::Sequence)?)?;
            let oid = pair.oid()?;
            let raw_value = pair.raw()?;
            pair.finish()?;
            attributes.push(Attribute {
                oid,
                short_type: short_type(oid),
                raw_value,
                value: decode_string(raw_value)?,
            });
        }
    }
    sequence.finish()?;
    Ok(attributes)
}

/// The text of a directory string, or an error if its bytes do not fit its type, as in Go.
///
/// None for a `T61String`, which so is printed in hexadecimal and matches no identity. Off-spec: Go reads it as
/// Latin-1, which is only one of its possible meanings.
fn decode_string(raw: &[u8]) -> der::Result<Option<String>> {
    let element = Elements::inside(raw)?.any()?;
    let value = element.value();
    let ascii_if = |legal: fn(u8) -> bool| value.iter().all(|b| legal(*b));
    let fits = match element.tag() {
        Tag::TeletexString => return Ok(None),
        Tag::BmpString => return decode_bmp(value).ok_or_else(|| Tag::BmpString.value_error().into()).map(Some),
        Tag::Utf8String => true,
        Tag::PrintableString => ascii_if(|b| is_printable(b) || matches!(b, b'*' | b'&')),
        Tag::Ia5String => value.is_ascii(),
        Tag::NumericString => ascii_if(|b| b.is_ascii_digit() || b == b' '),
        _ => false,
    };
    match std::str::from_utf8(value) {
        Ok(text) if fits => Ok(Some(text.to_owned())),
        _ => Err(element.tag().value_error().into()),
    }
}

/// UCS-2: sixteen bits for each character, without surrogates and noncharacters. A zero at the end is dropped, as in
/// Go.
fn decode_bmp(value: &[u8]) -> Option<String> {
    let (units, rest) = value.strip_suffix(&[0, 0]).unwrap_or(value).as_chunks::<2>();
    let units: Vec<u16> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
    let is_character = |unit: &u16| !matches!(unit, 0xd800..=0xdfff | 0xfdd0..=0xfdef | 0xfffe | 0xffff);
    (rest.is_empty() && units.iter().all(is_character)).then(|| String::from_utf16(&units).ok()).flatten()
}

/// X.680 41.4, table 10.
fn is_printable(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&b)
}

fn separate(printed: &mut String, separator: &str) {
    if !printed.is_empty() {
        printed.push_str(separator);
    }
}

fn print(printed: &mut String, short_name: &str, attribute: &Attribute<'_>) {
    let Some(value) = &attribute.value else { return print_encoded(printed, attribute) };
    let last = value.len().saturating_sub(1);
    printed.push_str(short_name);
    printed.push('=');
    for (at, c) in value.char_indices() {
        let escape = match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => true,
            ' ' => at == 0 || at == last,
            '#' => at == 0,
            _ => false,
        };
        if escape {
            printed.push('\\');
        }
        printed.push(c);
    }
}

/// `1.2.3=#<hex of the DER>`; a string is encoded anew, as Go does.
fn print_encoded(printed: &mut String, attribute: &Attribute<'_>) {
    printed.push_str(dotted(attribute.oid).as_deref().unwrap_or("?"));
    printed.push_str("=#");
    let encoded = attribute.value.as_deref().and_then(encode_string);
    for byte in encoded.as_deref().unwrap_or(attribute.raw_value) {
        // Writing to a String does not fail.
        let _ = write!(printed, "{byte:02x}");
    }
}

fn encode_string(value: &str) -> Option<Vec<u8>> {
    let tag = if value.bytes().all(is_printable) { Tag::PrintableString } else { Tag::Utf8String };
    let any = der::asn1::AnyRef::new(tag, value.as_bytes()).ok()?;
    der::Encode::to_der(&any).ok()
}
