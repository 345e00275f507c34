// SPDX-License-Identifier: Apache-2.0
//! The extensions of a revocation list (RFC 5280 section 5.2).

use std::collections::BTreeSet;

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280;
use der::asn1::UintRef;
use der::{Decode, Tag};

use crate::asn1::{Elements, check_elements, context, dotted, primitive};
use crate::certificate::{
    Certificate, DistributionPoint, MAX_POINTS, parse_distribution_points, parse_extension, parse_point_name,
};
use crate::revocation::error::{RevocationError, malformed};

/// Most extensions of one list. A limit of ours: real ones have two to four.
const MAX_EXTENSIONS: usize = 64;
/// Most bytes of one extension. A limit of ours, as long as a certificate may be.
const MAX_EXTENSION_BYTES: usize = 64 * 1024;

/// What the extensions of a list say.
#[derive(Debug, Default)]
pub(super) struct ListExtensions {
    pub(super) number: Option<Number>,
    /// `BaseCRLNumber` of the delta CRL indicator.
    pub(super) base_number: Option<Number>,
    pub(super) issuing_point: Option<IssuingPoint>,
    /// Where deltas are.
    pub(super) freshest: Option<Vec<DistributionPoint>>,
    /// The first critical one that is not processed.
    unprocessed: Option<String>,
}

/// A CRL number: how many bytes it has, then these, most significant first. So the order of values is the order of
/// numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number(usize, Vec<u8>);

impl Number {
    fn from_der(value: &[u8]) -> der::Result<Self> {
        let number = UintRef::from_der(value)?;
        Ok(Self(number.as_bytes().len(), number.as_bytes().to_vec()))
    }
}

impl ListExtensions {
    /// Reads what is inside `[0]`, if that is there: `Extensions`.
    pub(super) fn from_der(der: Option<&[u8]>) -> Result<Self, RevocationError> {
        let field = malformed("crlExtensions");
        let mut all = Self::default();
        let Some(der) = der else { return Ok(all) };
        let mut seen = BTreeSet::new();
        let mut elements = Elements::of_sequence(der).map_err(&field)?;
        while !elements.is_empty() {
            let (oid, critical, value) = parse_extension(&mut elements).map_err(&field)?;
            if !seen.insert(oid) {
                let oid = dotted(oid).unwrap_or_default();
                return Err(RevocationError::ExtensionRepeated { what: super::WHAT, oid });
            }
            if seen.len() > MAX_EXTENSIONS {
                let what = "extensions of the revocation list";
                return Err(RevocationError::TooMany { what, max: MAX_EXTENSIONS });
            }
            if value.len() > MAX_EXTENSION_BYTES {
                let (what, size) = ("extension of the revocation list", value.len());
                return Err(RevocationError::TooLarge { what, size, max: MAX_EXTENSION_BYTES });
            }
            all.take(oid, critical, value)?;
        }
        Ok(all)
    }

    fn take(&mut self, oid: &[u8], critical: bool, value: &[u8]) -> Result<(), RevocationError> {
        let is = |known: ObjectIdentifier| known.as_bytes() == oid;
        if is(rfc5280::ID_CE_CRL_NUMBER) {
            self.number = Some(Number::from_der(value).map_err(malformed("cRLNumber"))?);
        } else if is(rfc5280::ID_CE_DELTA_CRL_INDICATOR) {
            self.base_number = Some(Number::from_der(value).map_err(malformed("deltaCRLIndicator"))?);
        } else if is(rfc5280::ID_CE_ISSUING_DISTRIBUTION_POINT) {
            self.issuing_point = Some(IssuingPoint::from_der(value).map_err(malformed("issuingDistributionPoint"))?);
        } else if is(rfc5280::ID_CE_FRESHEST_CRL) {
            self.freshest = Some(parse_distribution_points(value).map_err(malformed("freshestCRL"))?);
        } else if is(rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER) {
            // Nobody needs it, but Go reads it.
            check_elements(value).map_err(malformed("authorityKeyIdentifier"))?;
        }
        // RV-18: only these two may be critical.
        let processed = is(rfc5280::ID_CE_DELTA_CRL_INDICATOR) || is(rfc5280::ID_CE_ISSUING_DISTRIBUTION_POINT);
        if critical && !processed && self.unprocessed.is_none() {
            self.unprocessed = Some(dotted(oid).unwrap_or_default());
        }
        Ok(())
    }

    /// RV-18.
    pub(super) fn check_critical(&self) -> Result<(), RevocationError> {
        match &self.unprocessed {
            None => Ok(()),
            Some(oid) => Err(RevocationError::CriticalExtension { what: super::WHAT, oid: oid.clone() }),
        }
    }

    /// RV-20, RFC 5280 section 6.3.3 (b) (2): whether the list is about certificates such as this one. Stricter than
    /// notation-go, which does not look: lists travel without protection, and another one of the same issuer could
    /// take the place of the right one.
    pub(super) fn check_issuing_point(
        &self,
        certificate: &Certificate,
        point: &DistributionPoint,
    ) -> Result<(), RevocationError> {
        let Some(scope) = &self.issuing_point else { return Ok(()) };
        let problem = if scope.is_indirect {
            "says that it is indirect"
        } else if scope.is_for_attributes {
            "limits it to attribute certificates"
        } else if scope.has_some_reasons {
            "limits it to some reasons"
        } else if scope.is_for_users && certificate.is_ca() {
            "limits it to certificates of users, and the certificate is a CA's"
        } else if scope.is_for_cas && !certificate.is_ca() {
            "limits it to certificates of CAs, and the certificate is none"
        } else if scope.names.as_ref().is_some_and(|names| !names.iter().any(|name| point.urls.contains(name))) {
            "names another distribution point than the certificate"
        } else {
            return Ok(());
        };
        Err(RevocationError::Scope { problem })
    }
}

/// `IssuingDistributionPoint` (RFC 5280 section 5.2.5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // it has these fields
pub(super) struct IssuingPoint {
    /// URLs of the full name; empty, and so matching nothing, if there is another kind of name.
    names: Option<Vec<String>>,
    is_for_users: bool,
    is_for_cas: bool,
    has_some_reasons: bool,
    is_indirect: bool,
    is_for_attributes: bool,
}

impl IssuingPoint {
    fn from_der(value: &[u8]) -> der::Result<Self> {
        let mut fields = Elements::of_sequence(value)?;
        let names = match fields.optional(context(0))? {
            None => None,
            Some(name) => Some(parse_point_name(name)?.unwrap_or_default()),
        };
        // Of so many not all are kept, and a delta must have the very ones of its list.
        if names.as_ref().is_some_and(|names| names.len() > MAX_POINTS) {
            return Err(context(0).length_error().into());
        }
        let is_for_users = parse_flag(&mut fields, 1)?;
        let is_for_cas = parse_flag(&mut fields, 2)?;
        let has_some_reasons = fields.optional(primitive(3))?.is_some();
        let is_indirect = parse_flag(&mut fields, 4)?;
        let is_for_attributes = parse_flag(&mut fields, 5)?;
        fields.finish()?;
        Ok(Self { names, is_for_users, is_for_cas, has_some_reasons, is_indirect, is_for_attributes })
    }
}

fn parse_flag(fields: &mut Elements<'_>, number: u32) -> der::Result<bool> {
    match fields.optional(primitive(number))? {
        None | Some([0x00]) => Ok(false),
        Some([0xff]) => Ok(true),
        Some(_) => Err(Tag::Boolean.value_error().into()),
    }
}
