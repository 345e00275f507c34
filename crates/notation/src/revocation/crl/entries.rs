// SPDX-License-Identifier: Apache-2.0
//! The entries of a revocation list (RFC 5280 section 5.3), and where each of them is.

use const_oid::db::rfc5280;
use der::asn1::AnyRef;
use der::{Decode, Tag, Tagged};
use x509_cert::time::Time;

use super::parse_generalized_time;
use crate::Timestamp;
use crate::asn1::{Elements, dotted, integer};
use crate::certificate::{parse_extension, timestamp};
use crate::revocation::error::{RevocationError, malformed};

/// What messages call one.
const WHAT: &str = "entry of the revocation list";

/// What a list says about one serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::revocation) struct Entry {
    pub(in crate::revocation) revoked: Timestamp,
    /// `CRLReason`, by number.
    pub(in crate::revocation) reason: Option<u8>,
    /// Since when the certificate is thought to have been invalid.
    pub(in crate::revocation) invalid_since: Option<Timestamp>,
}

/// Where in a list the entries of each serial number are, so that a list of a million is walked once and not at every
/// judgement. It takes eight bytes for an entry, which has at least eighteen itself.
pub(super) struct Index {
    /// A hash of the serial number, then where the entry starts; sorted.
    places: Vec<(u32, u32)>,
}

impl Index {
    /// Walks over all entries. A list with one that is malformed, or has a critical extension that is not known, says
    /// nothing about anybody (RFC 5280 section 5.3; stricter than notation-go, which looks at the entries of the
    /// certificate alone).
    pub(super) fn of(entries: &[u8]) -> Result<Self, RevocationError> {
        let mut places = Vec::new();
        let mut rest = entries;
        while !rest.is_empty() {
            let (parsed, after) = split(rest)?;
            check_extensions(parsed.extensions)?;
            // A list has less than 2^32 bytes.
            let start = entries.len().saturating_sub(rest.len());
            places.push((hash(parsed.serial), u32::try_from(start).unwrap_or(u32::MAX)));
            rest = after;
        }
        places.sort_unstable();
        places.shrink_to_fit();
        Ok(Self { places })
    }

    /// Calls `take` with every entry of this serial number, in the order of the list. `entries` are those that it is
    /// the index of.
    pub(super) fn find(
        &self,
        entries: &[u8],
        serial: &[u8],
        take: &mut dyn FnMut(Entry),
    ) -> Result<(), RevocationError> {
        let wanted = hash(serial);
        let first = self.places.partition_point(|(hash, _)| *hash < wanted);
        let places = self.places.iter().skip(first).take_while(|(hash, _)| *hash == wanted);
        for (_, start) in places {
            let start = usize::try_from(*start).unwrap_or(usize::MAX);
            let (parsed, _) = split(entries.get(start..).unwrap_or_default())?;
            if parsed.serial == serial {
                take(parsed.read()?);
            }
        }
        Ok(())
    }
}

/// FNV-1a. Whoever makes lists may make them collide, and gets a walk over what collides.
fn hash(serial: &[u8]) -> u32 {
    serial.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// One entry, of which the extensions are bytes still.
struct Parsed<'a> {
    serial: &'a [u8],
    revoked: Timestamp,
    /// What is inside `crlEntryExtensions`.
    extensions: &'a [u8],
}

/// The first of these entries, and what follows it.
fn split(entries: &[u8]) -> Result<(Parsed<'_>, &[u8]), RevocationError> {
    let parse = || -> der::Result<_> {
        let mut all = Elements::inside(entries)?;
        let entry = all.raw()?;
        let mut fields = Elements::of_sequence(entry)?;
        // In another form a number would not be found.
        let serial = integer(&mut fields)?;
        let revoked = timestamp(fields.decode::<Time>()?);
        let extensions = fields.optional(Tag::Sequence)?.unwrap_or_default();
        fields.finish()?;
        Ok((Parsed { serial, revoked, extensions }, entries.get(entry.len()..).unwrap_or_default()))
    };
    parse().map_err(malformed("revokedCertificates"))
}

/// RV-19, for entries of whichever certificate: what is critical is understood, and a reason is one, as Go reads it.
fn check_extensions(value: &[u8]) -> Result<(), RevocationError> {
    let field = malformed("crlEntryExtensions");
    let mut extensions = Elements::inside(value).map_err(&field)?;
    while !extensions.is_empty() {
        let (oid, critical, value) = parse_extension(&mut extensions).map_err(&field)?;
        if critical && oid != rfc5280::ID_CE_INVALIDITY_DATE.as_bytes() {
            return Err(RevocationError::CriticalExtension { what: WHAT, oid: dotted(oid).unwrap_or_default() });
        }
        if oid == rfc5280::ID_CE_CRL_REASONS.as_bytes() {
            parse_reason(value).map_err(malformed("reasonCode"))?;
        }
    }
    Ok(())
}

impl Parsed<'_> {
    /// RV-19: the values count, because it is the certificate's own entry.
    fn read(&self) -> Result<Entry, RevocationError> {
        let field = malformed("crlEntryExtensions");
        let mut entry = Entry { revoked: self.revoked, reason: None, invalid_since: None };
        let mut extensions = Elements::inside(self.extensions).map_err(&field)?;
        while !extensions.is_empty() {
            let (oid, _, value) = parse_extension(&mut extensions).map_err(&field)?;
            let is_twice = if oid == rfc5280::ID_CE_INVALIDITY_DATE.as_bytes() {
                let date = parse_generalized_time(value).map_err(malformed("invalidityDate"))?;
                entry.invalid_since.replace(date).is_some()
            } else if oid == rfc5280::ID_CE_CRL_REASONS.as_bytes() {
                let reason = parse_reason(value).map_err(malformed("reasonCode"))?;
                entry.reason.replace(reason).is_some()
            } else {
                false
            };
            if is_twice {
                return Err(RevocationError::ExtensionRepeated { what: WHAT, oid: dotted(oid).unwrap_or_default() });
            }
        }
        Ok(entry)
    }
}

fn parse_reason(value: &[u8]) -> der::Result<u8> {
    let any = AnyRef::from_der(value)?;
    any.tag().assert_eq(Tag::Enumerated)?;
    match any.value() {
        [reason @ 0..=0x7f] => Ok(*reason),
        _ => Err(Tag::Enumerated.value_error().into()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sealwatch_fixtures::revocation::entry;

    use super::*;

    fn dates(entries: &[u8], serial: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        let index = Index::of(entries).expect("sound entries");
        index.find(entries, serial, &mut |entry| found.push(entry.revoked.to_string())).expect("sound entries");
        found
    }

    /// RV-22: of several entries the first counts, so they must come in their order.
    #[test]
    fn all_entries_of_a_serial_number_are_found_in_the_order_of_the_list() {
        let list: Vec<u8> = [(7, "260603000000Z"), (5, "260602000000Z"), (7, "260601000000Z"), (9, "260604000000Z")]
            .iter()
            .flat_map(|(serial, date)| entry(&[*serial], date, &[]))
            .collect();
        assert_eq!(dates(&list, &[7]), ["2026-06-03T00:00:00Z", "2026-06-01T00:00:00Z"]);
        assert_eq!(dates(&list, &[5]), ["2026-06-02T00:00:00Z"]);
        assert_eq!(dates(&list, &[9]), ["2026-06-04T00:00:00Z"]);
        assert_eq!(dates(&list, &[8]), [""; 0]);
        assert_eq!(dates(&[], &[7]), [""; 0]);
    }

    #[test]
    fn serial_numbers_of_the_same_hash_are_told_apart() {
        // About 2^16 numbers at random have two of one hash of 32 bits among them.
        let at_random = |number: u32| {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &number.to_be_bytes());
            [&[1], &digest.as_ref()[..8]].concat()
        };
        let mut seen = BTreeMap::new();
        let collision = (0..1_000_000).map(at_random).find_map(|serial| {
            let earlier = seen.insert(hash(&serial), serial.clone());
            earlier.map(|earlier| (earlier, serial))
        });
        let (one, other) = collision.expect("two of them");
        let entries = [entry(&one, "260601000000Z", &[]), entry(&other, "260602000000Z", &[])];
        assert_eq!(dates(&entries.concat(), &other), ["2026-06-02T00:00:00Z"]);
        assert_eq!(dates(&entries[0], &other), [""; 0], "only the other one is revoked");
    }
}
