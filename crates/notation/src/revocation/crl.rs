// SPDX-License-Identifier: Apache-2.0
//! Certificate revocation lists (RFC 5280 section 5), read from the bytes received.
//!
//! The head of a list is read once. Its entries, of which there may be a million, stay bytes; an index of them is made
//! when the first certificate is looked for.

mod entries;
mod extensions;

use std::fmt;
use std::sync::{Arc, OnceLock};

use der::asn1::BitStringRef;
use der::{Decode, Tag};
use x509_cert::time::Time;

use super::error::{RevocationError, malformed};
use super::{CLOCK_SKEW, MAX_CRL_BYTES};
use crate::Timestamp;
use crate::asn1::{Elements, context};
use crate::certificate::pem::{self, PemError};
use crate::certificate::{Certificate, DistributionPoint, KeyUsage, Name, text, timestamp};
pub(super) use entries::Entry;
use entries::Index;
use extensions::ListExtensions;

/// A certificate revocation list: parsed, and nothing more. Whether it is authentic depends on whose certificate it is
/// asked about. Cheap to clone; clones share what was found out about the signature, so keep a list that is used again.
#[derive(Clone)]
pub struct RevocationList(Arc<Fields>);

struct Fields {
    der: Vec<u8>,
    issuer: Vec<u8>,
    this_update: Timestamp,
    next_update: Timestamp,
    extensions: ListExtensions,
    /// The issuer of which it is known that it made the list, so that a long one is hashed once.
    made_by: OnceLock<Certificate>,
    /// Where its entries are, or why they say nothing.
    index: OnceLock<Result<Index, RevocationError>>,
}

/// What messages call it.
const WHAT: &str = "revocation list";
/// Most bytes of a list in PEM: base64 makes four of three, and there are line breaks.
const MAX_PEM_BYTES: usize = MAX_CRL_BYTES / 2 * 3;

impl RevocationList {
    /// Reads a list of version 2 in DER. Entries are not looked at yet.
    ///
    /// # Errors
    /// If there are more than [`MAX_CRL_BYTES`], or they are not exactly one list; if it has no `nextUpdate` (RV-17) or
    /// an extension twice, or one that counts and cannot be read.
    pub fn from_der(der: impl Into<Vec<u8>>) -> Result<Self, RevocationError> {
        let der = der.into();
        if der.len() > MAX_CRL_BYTES {
            return Err(RevocationError::TooLarge { what: WHAT, size: der.len(), max: MAX_CRL_BYTES });
        }
        let Signed { tbs, algorithm, .. } = Signed::split(&der)?;
        let head = Head::parse(tbs)?;
        if head.algorithm != algorithm {
            return Err(RevocationError::AlgorithmsDiffer);
        }
        let next_update = head.next_update.ok_or(RevocationError::NextUpdateMissing { what: WHAT })?;
        let extensions = ListExtensions::from_der(head.extensions)?;
        let (issuer, this_update) = (head.issuer.to_vec(), head.this_update);
        let (made_by, index) = (OnceLock::new(), OnceLock::new());
        Ok(Self(Arc::new(Fields { der, issuer, this_update, next_update, extensions, made_by, index })))
    }

    /// Reads one list in DER, or in one PEM block (RFC 7468 section 6), as users bring it.
    ///
    /// # Errors
    /// As [`RevocationList::from_der`]; if PEM holds anything else than one `X509 CRL`.
    pub fn from_der_or_pem(bytes: &[u8]) -> Result<Self, RevocationError> {
        let size = bytes.len();
        if size > MAX_PEM_BYTES {
            return Err(RevocationError::TooLarge { what: WHAT, size, max: MAX_CRL_BYTES });
        }
        if !pem::is_pem(bytes) {
            return Self::from_der(bytes);
        }
        let malformed = |problem: String| RevocationError::Malformed { field: "PEM", problem };
        let blocks = pem::parse(bytes, "X509 CRL", 1).map_err(|error| match error {
            PemError::OtherLabel(label) => malformed(format!("it holds {label}, not X509 CRL")),
            PemError::TooMany { .. } => malformed("it holds more than one revocation list".to_owned()),
            PemError::Block { problem, .. } => malformed(problem.to_owned()),
        })?;
        blocks.into_iter().next().map_or_else(|| Err(malformed("it holds nothing".to_owned())), Self::from_der)
    }

    /// The bytes it was parsed from.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// Who issued it, by its own word: a distinguished name as certificates show it, or empty if it is none.
    pub fn issuer(&self) -> String {
        Name::from_der(&self.0.issuer).map(|name| name.printed).unwrap_or_default()
    }

    /// When it was issued, by its own word.
    pub fn this_update(&self) -> Timestamp {
        self.0.this_update
    }

    /// Until when it can be used, inclusive, by its own word.
    pub fn next_update(&self) -> Timestamp {
        self.0.next_update
    }

    /// Where deltas of it are, by its own word; of any scheme.
    pub(super) fn delta_urls(&self) -> Option<impl Iterator<Item = &str>> {
        let points = self.0.extensions.freshest.as_ref()?;
        Some(points.iter().flat_map(|point| &point.urls).map(String::as_str))
    }

    /// RV-16: `issuer` made this list, and may make lists. Stricter than notation-go, the names are compared.
    pub(super) fn authenticate(&self, issuer: &Certificate) -> Result<(), RevocationError> {
        if !self.names_as_issuer(issuer) {
            return Err(RevocationError::OtherIssuer);
        }
        let usage = issuer.extensions().key_usage.as_ref();
        if usage.is_some_and(|usage| !usage.value.has(KeyUsage::CRL_SIGN)) {
            return Err(RevocationError::IssuerLacksCrlSign { issuer: text(issuer.subject()) });
        }
        if self.0.made_by.get() == Some(issuer) {
            return Ok(());
        }
        let Signed { tbs, algorithm, signature } = Signed::split(&self.0.der)?;
        if !issuer.key().verifies_certificate(algorithm, tbs, signature) {
            return Err(RevocationError::SignatureInvalid { what: WHAT });
        }
        self.0.made_by.get_or_init(|| issuer.clone());
        Ok(())
    }

    /// Whether it says of itself that it is a delta.
    pub(super) fn is_delta(&self) -> bool {
        self.0.extensions.base_number.is_some()
    }

    pub(super) fn names_as_issuer(&self, issuer: &Certificate) -> bool {
        self.0.issuer == issuer.raw_subject()
    }

    /// RV-18, RV-20, RV-21: this is a complete list, of which all that is critical is understood, and `certificate`
    /// would be in it. `point` is the distribution point that it came from.
    pub(super) fn check_scope(
        &self,
        certificate: &Certificate,
        point: &DistributionPoint,
    ) -> Result<(), RevocationError> {
        let extensions = &self.0.extensions;
        extensions.check_critical()?;
        if self.is_delta() {
            return Err(RevocationError::DeltaAsBase);
        }
        extensions.check_issuing_point(certificate, point)
    }

    /// RV-21: this is a delta that continues `base`. Says nothing about who made it.
    ///
    /// # Errors
    /// Why it is none, or is not understood.
    pub fn check_delta_of(&self, base: &Self) -> Result<(), RevocationError> {
        let (extensions, of_base) = (&self.0.extensions, &base.0.extensions);
        let unfit = |problem| Err(RevocationError::DeltaUnfit { problem });
        extensions.check_critical()?;
        let (Some(starts), Some(number), Some(base_number)) =
            (&extensions.base_number, &extensions.number, &of_base.number)
        else {
            return unfit("or the list itself has no number, or the delta is none");
        };
        if number <= base_number {
            return unfit("is not newer than the list");
        }
        if starts > base_number {
            return unfit("starts from a newer list");
        }
        // RFC 5280 section 5.2.4: both have the same scope.
        if extensions.issuing_point != of_base.issuing_point {
            return unfit("has another issuingDistributionPoint");
        }
        Ok(())
    }

    /// RV-17. `nextUpdate` is inclusive, as in notation-go.
    pub(super) fn check_currency(&self, now: Timestamp) -> Result<(), RevocationError> {
        super::check_currency(WHAT, self.0.this_update, self.0.next_update, now)
    }

    /// Calls `take` with every entry of this serial number. The form of all others is looked at too, once.
    pub(super) fn scan(&self, serial: &[u8], take: &mut dyn FnMut(Entry)) -> Result<(), RevocationError> {
        let Signed { tbs, .. } = Signed::split(&self.0.der)?;
        let entries = Head::parse(tbs)?.entries;
        let index = self.0.index.get_or_init(|| Index::of(entries));
        index.as_ref().map_err(RevocationError::clone)?.find(entries, serial, take)
    }

    /// When the clock makes another answer of this one.
    pub(super) fn changes(&self) -> [Option<Timestamp>; 2] {
        [self.0.this_update.checked_sub(CLOCK_SKEW).ok(), super::just_after(self.0.next_update)]
    }
}

impl fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationList")
            .field("bytes", &self.0.der.len())
            .field("this_update", &self.0.this_update)
            .field("next_update", &self.0.next_update)
            .finish_non_exhaustive()
    }
}

impl PartialEq for RevocationList {
    fn eq(&self, other: &Self) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for RevocationList {}

/// `CertificateList`.
struct Signed<'a> {
    tbs: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Signed<'a> {
    fn split(der: &'a [u8]) -> Result<Self, RevocationError> {
        let parse = || -> der::Result<Self> {
            let mut fields = Elements::of_sequence(der)?;
            let (tbs, algorithm) = (fields.raw()?, fields.raw()?);
            let signature: BitStringRef<'a> = fields.decode()?;
            fields.finish()?;
            // An empty one is no signature, and none of an odd number of bits is.
            Ok(Self { tbs, algorithm, signature: signature.as_bytes().unwrap_or_default() })
        };
        parse().map_err(malformed("revocation list"))
    }
}

/// `TBSCertList`.
struct Head<'a> {
    algorithm: &'a [u8],
    issuer: &'a [u8],
    this_update: Timestamp,
    next_update: Option<Timestamp>,
    /// What is inside `revokedCertificates`.
    entries: &'a [u8],
    /// What is inside `[0]`.
    extensions: Option<&'a [u8]>,
}

impl<'a> Head<'a> {
    fn parse(tbs: &'a [u8]) -> Result<Self, RevocationError> {
        let parse = || -> der::Result<Self> {
            let mut fields = Elements::of_sequence(tbs)?;
            // Version 2, as in Go: the first version has no extensions that could say what the list is about.
            if fields.value(Tag::Integer)? != [1] {
                return Err(Tag::Integer.value_error().into());
            }
            let algorithm = fields.raw()?;
            let issuer = fields.raw()?;
            let this_update = timestamp(fields.decode::<Time>()?);
            let has_next = matches!(fields.peek(), Some(Tag::UtcTime | Tag::GeneralizedTime));
            let next_update = if has_next { Some(timestamp(fields.decode::<Time>()?)) } else { None };
            let entries = fields.optional(Tag::Sequence)?.unwrap_or_default();
            let extensions = fields.optional(context(0))?;
            fields.finish()?;
            Ok(Self { algorithm, issuer, this_update, next_update, entries, extensions })
        };
        parse().map_err(malformed("tbsCertList"))
    }
}

/// The one time of a `GeneralizedTime` with tag and length, as RFC 5280 writes it.
pub(super) fn parse_generalized_time(der: &[u8]) -> der::Result<Timestamp> {
    der::asn1::GeneralizedTime::from_der(der).map(|time| timestamp(Time::GeneralTime(time)))
}
