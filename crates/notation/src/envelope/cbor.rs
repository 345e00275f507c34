// SPDX-License-Identifier: Apache-2.0
//! A scan over CBOR (RFC 8949) before any library builds values of it: only the deterministic forms pass, and the
//! amount of work that the bytes can cause is bounded.

use std::collections::BTreeSet;

/// Deepest nesting. The limit of notation-go's decoder is near it; envelopes need four.
const MAX_DEPTH: u8 = 32;
/// Most items in all. A limit of ours: an envelope with a chain of four has about fifty.
const MAX_ITEMS: u32 = 4096;

/// Where an item stands: what notation-go's library allows there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The envelope, after its own tag: there are no tags.
    Envelope,
    /// The protected headers: times may have their tag.
    Protected,
}

/// Tag of seconds since 1970 (RFC 8949 section 3.4.2).
const TIME: u64 = 1;

/// Checks that `bytes` are exactly one CBOR item of definite lengths, in shortest form, without a map key twice, with
/// UTF-8 where text is, no number beyond 64 bits with sign, no tag but where the `place` has it, no deeper than 32
/// levels and of no more than 4096 items.
///
/// Stricter than notation-go: it accepts longer forms inside, which no encoder writes and which hide equal map keys.
pub(super) fn check(place: Place, bytes: &[u8]) -> Result<(), &'static str> {
    let mut scan = Scan { place, rest: bytes, items: 0 };
    scan.item(0)?;
    if scan.rest.is_empty() { Ok(()) } else { Err("has trailing bytes") }
}

/// The two header maps of a tagged `COSE_Sign1` in which all is well by [`check`]: what is in the protected one's byte
/// string, and the unprotected one. None if it has another shape.
pub(super) fn header_maps(sign1: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut scan = Scan { place: Place::Envelope, rest: sign1, items: 0 };
    // The tag and the array, of one byte each.
    scan.take(2).ok()?;
    let first = *scan.take(1).ok()?.first()?;
    let length = scan.argument(first & 0x1f).ok()?;
    let protected = scan.take_many(length).ok()?;
    (first >> 5 == 2).then_some((protected, scan.rest))
}

/// Whether a map that [`check`] passed in this place has this key, given in shortest form. What follows the map does
/// not matter; a map that cannot be read is taken for one that has it.
pub(super) fn has_key(place: Place, map: &[u8], key: &[u8]) -> bool {
    let mut scan = Scan { place, rest: map, items: 0 };
    let mut find = || -> Result<bool, &'static str> {
        let first = *scan.take(1)?.first().ok_or("ends too early")?;
        let entries = if first >> 5 == 5 { scan.argument(first & 0x1f)? } else { 0 };
        for _ in 0..entries {
            if scan.rest.starts_with(key) {
                return Ok(true);
            }
            scan.item(0)?;
            scan.item(0)?;
        }
        Ok(false)
    };
    find().unwrap_or(true)
}

struct Scan<'a> {
    place: Place,
    rest: &'a [u8],
    items: u32,
}

impl<'a> Scan<'a> {
    fn item(&mut self, depth: u8) -> Result<(), &'static str> {
        self.items = self.items.saturating_add(1);
        if self.items > MAX_ITEMS {
            return Err("has too many items");
        }
        if depth > MAX_DEPTH {
            return Err("is nested too deeply");
        }
        let inner = depth.saturating_add(1);
        let first = *self.take(1)?.first().ok_or("ends too early")?;
        let (major, info) = (first >> 5, first & 0x1f);
        if major == 7 {
            return self.simple(info);
        }
        let argument = self.argument(info)?;
        match major {
            0 | 1 if i64::try_from(argument).is_err() => Err("has a number of more than 64 bits"),
            0 | 1 => Ok(()),
            2 => self.take_many(argument).map(|_| ()),
            3 => std::str::from_utf8(self.take_many(argument)?).map(|_| ()).map_err(|_| "has text that is not UTF-8"),
            4 => (0..argument).try_for_each(|_| self.item(inner)),
            5 => self.map(argument, inner),
            _ => self.tagged(argument, inner),
        }
    }

    /// Stricter than notation-go, which knows more tags inside of headers that nobody knows.
    fn tagged(&mut self, tag: u64, depth: u8) -> Result<(), &'static str> {
        if self.place != Place::Protected || tag != TIME {
            return Err("has a tag that is not allowed");
        }
        match self.rest.first() {
            Some(0x00..=0x3b | 0xf9..=0xfb) => self.item(depth),
            _ => Err("has a time that is not a number"),
        }
    }

    fn map(&mut self, entries: u64, depth: u8) -> Result<(), &'static str> {
        let mut keys = BTreeSet::new();
        for _ in 0..entries {
            let before = self.rest;
            self.item(depth)?;
            let length = before.len().saturating_sub(self.rest.len());
            // In shortest form equal keys are equal bytes.
            if !keys.insert(before.get(..length).ok_or("ends too early")?) {
                return Err("has a map key twice");
            }
            self.item(depth)?;
        }
        Ok(())
    }

    /// The number after the first byte: a value or a length.
    fn argument(&mut self, info: u8) -> Result<u64, &'static str> {
        let (width, least) = match info {
            0..=23 => return Ok(u64::from(info)),
            24 => (1, 24),
            25 => (2, 1 << 8),
            26 => (4, 1 << 16),
            27 => (8, 1 << 32),
            31 => return Err("has an indefinite length"),
            _ => return Err("has a reserved length"),
        };
        let value = self.take(width)?.iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
        if value < least { Err("has a length or number that is not in shortest form") } else { Ok(value) }
    }

    /// Major type 7: booleans, null, floating point.
    fn simple(&mut self, info: u8) -> Result<(), &'static str> {
        match info {
            20..=23 => Ok(()),
            25 => self.take(2).map(|_| ()),
            26 => self.take(4).map(|_| ()),
            27 => self.take(8).map(|_| ()),
            31 => Err("has an indefinite length"),
            _ => Err("has an unassigned simple value"),
        }
    }

    fn take_many(&mut self, length: u64) -> Result<&'a [u8], &'static str> {
        self.take(usize::try_from(length).map_err(|_| "ends too early")?)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or("ends too early")?;
        self.rest = rest;
        Ok(taken)
    }
}
