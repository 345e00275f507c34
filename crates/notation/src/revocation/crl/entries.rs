// SPDX-License-Identifier: Apache-2.0
//! The entries of a revocation list (RFC 5280 section 5.3), one after the other, none of them kept.

use const_oid::db::rfc5280;
use der::asn1::AnyRef;
use der::{Decode, Tag, Tagged};
use x509_cert::time::Time;

use super::parse_generalized_time;
use crate::Timestamp;
use crate::asn1::{Elements, dotted};
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

/// Calls `take` with every entry of this serial number. All entries are parsed: a list with one that is malformed, or
/// has a critical extension that is not known, says nothing about anybody (RFC 5280 section 5.3; stricter than
/// notation-go, which looks at the entries of the certificate alone).
pub(super) fn scan(entries: &[u8], serial: &[u8], take: &mut dyn FnMut(Entry)) -> Result<(), RevocationError> {
    let of_entry = malformed("revokedCertificates");
    let mut entries = Elements::inside(entries).map_err(&of_entry)?;
    while !entries.is_empty() {
        let mut fields = entries.value(Tag::Sequence).and_then(Elements::inside).map_err(&of_entry)?;
        let number = fields.value(Tag::Integer).map_err(&of_entry)?;
        if !is_shortest(number) {
            return Err(of_entry(Tag::Integer.value_error().into()));
        }
        let revoked = timestamp(fields.decode::<Time>().map_err(&of_entry)?);
        let extensions = fields.optional(Tag::Sequence).map_err(&of_entry)?.unwrap_or_default();
        fields.finish().map_err(&of_entry)?;
        let is_wanted = number == serial;
        let mut entry = Entry { revoked, reason: None, invalid_since: None };
        read_extensions(extensions, is_wanted, &mut entry)?;
        if is_wanted {
            take(entry);
        }
    }
    Ok(())
}

/// X.690 section 8.3.2. In another form a number would not be found.
fn is_shortest(number: &[u8]) -> bool {
    !matches!(number, [] | [0x00, 0x00..=0x7f, ..] | [0xff, 0x80..=0xff, ..])
}

/// RV-19. The values count only if the entry `is_wanted`.
fn read_extensions(value: &[u8], is_wanted: bool, entry: &mut Entry) -> Result<(), RevocationError> {
    let field = malformed("crlEntryExtensions");
    let mut extensions = Elements::inside(value).map_err(&field)?;
    while !extensions.is_empty() {
        let (oid, critical, value) = parse_extension(&mut extensions).map_err(&field)?;
        let is_invalidity_date = oid == rfc5280::ID_CE_INVALIDITY_DATE.as_bytes();
        if critical && !is_invalidity_date {
            return Err(RevocationError::CriticalExtension { what: WHAT, oid: dotted(oid).unwrap_or_default() });
        }
        let is_twice = if is_wanted && is_invalidity_date {
            let date = parse_generalized_time(value).map_err(malformed("invalidityDate"))?;
            entry.invalid_since.replace(date).is_some()
        } else if is_wanted && oid == rfc5280::ID_CE_CRL_REASONS.as_bytes() {
            let reason = parse_reason(value).map_err(malformed("reasonCode"))?;
            entry.reason.replace(reason).is_some()
        } else {
            false
        };
        if is_twice {
            return Err(RevocationError::ExtensionRepeated { what: WHAT, oid: dotted(oid).unwrap_or_default() });
        }
    }
    Ok(())
}

fn parse_reason(value: &[u8]) -> der::Result<u8> {
    let any = AnyRef::from_der(value)?;
    any.tag().assert_eq(Tag::Enumerated)?;
    match any.value() {
        [reason @ 0..=0x7f] => Ok(*reason),
        _ => Err(Tag::Enumerated.value_error().into()),
    }
}
