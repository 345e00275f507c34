// SPDX-License-Identifier: Apache-2.0
//! `TSTInfo`, what an authority signs (RFC 3161 section 2.4.2).

use std::time::Duration;

use der::{Reader, SliceReader, Tag};
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::{TimestampError, malformed};
use crate::Timestamp;
use crate::algorithm::Hash;
use crate::asn1::{Elements, context, dotted, integer, primitive};
use crate::certificate::parse_extension;

/// The baseline policy of ETSI EN 319 421, 0.4.0.2023.1.1, by which a time is accurate to a second.
const BASELINE_POLICY: [u8; 6] = [0x04, 0x00, 0x8f, 0x67, 0x01, 0x01];

/// What counts of it: which message, and when.
pub(super) struct TstInfo<'a> {
    imprint_hash: Hash,
    imprint: &'a [u8],
    pub(super) time: Timestamp,
    /// How far off the time may be, in either direction (AT-13).
    pub(super) accuracy: Duration,
}

impl<'a> TstInfo<'a> {
    /// Parses DER. Of policy, serial number, nonce and name of the authority only the form is checked, as in
    /// notation-go.
    ///
    /// Stricter than that: nothing may follow, no extension may be critical (none is known), a time is in UTC, and an
    /// accuracy is what RFC 3161 allows, or zero.
    pub(super) fn from_der(content: &'a [u8]) -> Result<Self, TimestampError> {
        let mut reader = SliceReader::new(content).map_err(malformed("TSTInfo"))?;
        let whole = reader.tlv_bytes().map_err(malformed("TSTInfo"))?;
        reader.finish().map_err(malformed("TSTInfo"))?;
        let mut fields = Elements::of_sequence(whole).map_err(malformed("TSTInfo"))?;
        match fields.value(Tag::Integer).map_err(malformed("TSTInfo.version"))? {
            [1] => {}
            _ => return Err(TimestampError::Version { field: "TSTInfo.version", required: 1 }),
        }
        let policy = fields.oid().map_err(malformed("policy"))?;
        let imprint = fields.value(Tag::Sequence).map_err(malformed("messageImprint"))?;
        let (imprint_hash, imprint) = parse_imprint(imprint)?;
        integer(&mut fields).map_err(malformed("TSTInfo.serialNumber"))?;
        let time = fields.value(Tag::GeneralizedTime).map_err(malformed("genTime"))?;
        let time = parse_generalized_time(time).ok_or(TimestampError::Time { field: "genTime" })?;
        let accuracy = fields.optional(Tag::Sequence).map_err(malformed("accuracy"))?;
        let accuracy = accuracy.map(parse_accuracy).transpose()?.filter(|accuracy| !accuracy.is_zero());
        check_rest(fields)?;
        let default = if policy == BASELINE_POLICY { Duration::from_secs(1) } else { Duration::ZERO };
        Ok(Self { imprint_hash, imprint, time, accuracy: accuracy.unwrap_or(default) })
    }

    /// AT-11: whether this is about `message`.
    pub(super) fn is_about(&self, message: &[u8]) -> bool {
        self.imprint_hash.digest(message).as_ref() == self.imprint
    }
}

fn parse_imprint(value: &[u8]) -> Result<(Hash, &[u8]), TimestampError> {
    let field = "messageImprint";
    let mut fields = Elements::inside(value).map_err(malformed(field))?;
    let algorithm = fields.value(Tag::Sequence).map_err(malformed(field))?;
    let imprint = fields.value(Tag::OctetString).map_err(malformed(field))?;
    fields.finish().map_err(malformed(field))?;
    Ok((parse_hash(field, algorithm)?, imprint))
}

/// The hash of an `AlgorithmIdentifier` without tag and length. Parameters say nothing for a hash (RFC 5754 section 2).
pub(super) fn parse_hash(field: &'static str, algorithm: &[u8]) -> Result<Hash, TimestampError> {
    let mut fields = Elements::inside(algorithm).map_err(malformed(field))?;
    let oid = fields.oid().map_err(malformed(field))?;
    if !fields.is_empty() {
        fields.any().map_err(malformed(field))?;
    }
    fields.finish().map_err(malformed(field))?;
    Hash::from_oid(oid).ok_or_else(|| TimestampError::HashUnsupported { field, oid: dotted(oid).unwrap_or_default() })
}

/// A `GeneralizedTime` as RFC 3161 writes it: `YYYYMMDDhhmmss[.s...]Z`, without zeros at the end of the fraction. Go
/// accepts nine digits there at most, and so does this.
pub(super) fn parse_generalized_time(value: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(value).ok()?.strip_suffix('Z')?;
    let (digits, fraction) = match text.split_once('.') {
        None => (text, 0),
        Some((digits, fraction)) => (digits, parse_nanoseconds(fraction)?),
    };
    if digits.len() != 14 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let year: i16 = digits.get(..4)?.parse().ok()?;
    let two = |at: usize| digits.get(at..at.checked_add(2)?)?.parse::<i8>().ok();
    let local = DateTime::new(year, two(4)?, two(6)?, two(8)?, two(10)?, two(12)?, fraction).ok()?;
    Offset::UTC.to_timestamp(local).ok()
}

fn parse_nanoseconds(fraction: &str) -> Option<i32> {
    let is_shortest = !fraction.is_empty() && fraction.len() <= 9 && !fraction.ends_with('0');
    if !is_shortest || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    format!("{fraction:0<9}").parse().ok()
}

/// AT-13: seconds of at most 31 bits, and up to 999 milli- and microseconds.
fn parse_accuracy(value: &[u8]) -> Result<Duration, TimestampError> {
    let mut fields = Elements::inside(value).map_err(malformed("accuracy"))?;
    let mut part = |tag: Tag, max: u32| match fields.optional(tag).map_err(malformed("accuracy"))? {
        None => Ok(0),
        Some(value) => parse_unsigned(value).filter(|number| *number <= max).ok_or(TimestampError::Accuracy),
    };
    let seconds = part(Tag::Integer, u32::MAX >> 1)?;
    let millis = part(primitive(0), 999)?;
    let micros = part(primitive(1), 999)?;
    fields.finish().map_err(malformed("accuracy"))?;
    let nanos = millis.saturating_mul(1_000_000).saturating_add(micros.saturating_mul(1_000));
    Ok(Duration::new(u64::from(seconds), nanos))
}

/// The value of a DER INTEGER that is not negative.
fn parse_unsigned(value: &[u8]) -> Option<u32> {
    match value {
        [] | [0x80..=0xff, ..] | [0x00, 0x00..=0x7f, ..] => None,
        _ => value.iter().try_fold(0_u32, |number, byte| number.checked_mul(256)?.checked_add(u32::from(*byte))),
    }
}

/// Ordering, nonce, name of the authority, extensions.
fn check_rest(mut fields: Elements<'_>) -> Result<(), TimestampError> {
    let ordering = fields.optional(Tag::Boolean).map_err(malformed("ordering"))?;
    if !matches!(ordering, None | Some([0x00 | 0xff])) {
        return Err(malformed("ordering")(Tag::Boolean.value_error().into()));
    }
    if fields.peek() == Some(Tag::Integer) {
        integer(&mut fields).map_err(malformed("nonce"))?;
    }
    fields.optional(context(0)).map_err(malformed("tsa"))?;
    let field = "TSTInfo.extensions";
    let extensions = fields.optional(context(1)).map_err(malformed(field))?;
    let mut extensions = Elements::inside(extensions.unwrap_or_default()).map_err(malformed(field))?;
    while !extensions.is_empty() {
        let (oid, critical, _) = parse_extension(&mut extensions).map_err(malformed(field))?;
        if critical {
            return Err(TimestampError::CriticalExtension { oid: dotted(oid).unwrap_or_default() });
        }
    }
    fields.finish().map_err(malformed("TSTInfo"))
}
