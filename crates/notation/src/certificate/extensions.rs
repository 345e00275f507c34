// SPDX-License-Identifier: Apache-2.0
//! The certificate extensions that the Notary Project gives a meaning to, and those that say where the revocation of a
//! certificate can be asked.

use std::collections::BTreeSet;

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5280, rfc5912, rfc6960};
use der::asn1::BitStringRef;
use der::{Decode, Tag};
use x509_cert::ext::pkix::BasicConstraints;

use super::endpoints::{RevocationEndpoints, parse_distribution_points, parse_ocsp_urls};
use super::form;
use crate::asn1::{Elements, check_padding, dotted};

/// An extension's value, and whether it is critical.
#[derive(Clone, Debug)]
pub(crate) struct Marked<T> {
    pub(crate) critical: bool,
    pub(crate) value: T,
}

/// What the extensions of a certificate say. CC-9, D8: in a code-signing chain nothing beside constraints and usages is
/// evaluated, critical or not; it must only be well-formed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extensions {
    pub(crate) basic_constraints: Option<Marked<BasicConstraints>>,
    pub(crate) key_usage: Option<Marked<KeyUsage>>,
    pub(crate) extended_key_usage: Option<Marked<Vec<ExtendedKeyUsage>>>,
    pub(crate) revocation: RevocationEndpoints,
    /// `id-pkix-ocsp-nocheck` (RFC 6960 section 4.2.2.2.1): the issuer vouches for this OCSP responder until it ends.
    pub(crate) ocsp_no_check: bool,
    /// The first extension that a validation of paths by RFC 5280 section 6 would have to process, and that is not
    /// processed here, by its object identifier: every unknown critical one, and name and policy constraints in any
    /// case. It counts for timestamping chains alone.
    pub(crate) unprocessed: Option<String>,
}

/// The nine bits of RFC 5280 section 4.2.1.3.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyUsage(u16);

impl KeyUsage {
    pub(crate) const DIGITAL_SIGNATURE: u16 = 1;
    pub(crate) const KEY_CERT_SIGN: u16 = 1 << 5;
    pub(crate) const CRL_SIGN: u16 = 1 << 6;
    /// What a code-signing leaf must not be for, with names for messages (CC-5).
    pub(crate) const FORBIDDEN_FOR_LEAF: [(u16, &str); 7] = [
        (1 << 2, "keyEncipherment"),
        (1 << 3, "dataEncipherment"),
        (1 << 4, "keyAgreement"),
        (1 << 5, "keyCertSign"),
        (1 << 6, "cRLSign"),
        (1 << 7, "encipherOnly"),
        (1 << 8, "decipherOnly"),
    ];

    pub(crate) fn has(self, bit: u16) -> bool {
        self.0 & bit != 0
    }

    fn from_der(value: &[u8]) -> der::Result<Self> {
        let bits = BitStringRef::from_der(value)?;
        check_padding(&bits)?;
        let set = (0..9_usize).filter(|position| bits.get(*position) == Some(true));
        Ok(Self(set.fold(0, |all, position| all | (1 << position))))
    }
}

/// An extended key usage, as far as it matters for signing artifacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExtendedKeyUsage {
    /// One that a code-signing leaf must not have, by its name in RFC 5280.
    Forbidden(&'static str),
    /// Any other.
    Allowed,
}

impl ExtendedKeyUsage {
    pub(crate) const ANY: Self = Self::Forbidden("anyExtendedKeyUsage");
    pub(crate) const TIME_STAMPING: Self = Self::Forbidden("timeStamping");
    pub(crate) const OCSP_SIGNING: Self = Self::Forbidden("OCSPSigning");

    /// CC-6, D5. Stricter than notation-go, which lets `anyExtendedKeyUsage` pass against the specification (D4).
    fn from_oid(oid: &[u8]) -> Self {
        const FORBIDDEN: [(ObjectIdentifier, &str); 6] = [
            (rfc5912::ANY_EXTENDED_KEY_USAGE, "anyExtendedKeyUsage"),
            (rfc5912::ID_KP_SERVER_AUTH, "serverAuth"),
            (rfc5912::ID_KP_CLIENT_AUTH, "clientAuth"),
            (rfc5912::ID_KP_EMAIL_PROTECTION, "emailProtection"),
            (rfc5912::ID_KP_TIME_STAMPING, "timeStamping"),
            (rfc5912::ID_KP_OCSP_SIGNING, "OCSPSigning"),
        ];
        match FORBIDDEN.iter().find(|(forbidden, _)| forbidden.as_bytes() == oid) {
            Some((_, name)) => Self::Forbidden(name),
            None => Self::Allowed,
        }
    }
}

/// Why extensions cannot be read: which, and what about it.
pub(crate) struct ExtensionError {
    pub(crate) extension: String,
    pub(crate) problem: String,
}

impl Extensions {
    /// Reads `Extensions`, the SEQUENCE inside `[3]`.
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, ExtensionError> {
        let whole = |error: der::Error| ExtensionError { extension: "list".to_owned(), problem: error.to_string() };
        let mut extensions = Self::default();
        let mut seen = BTreeSet::new();
        let mut elements = Elements::of_sequence(der).map_err(whole)?;
        while !elements.is_empty() {
            let (oid, critical, value) = parse_extension(&mut elements).map_err(whole)?;
            let name = || dotted(oid).unwrap_or_else(|| "of unknown name".to_owned());
            if !seen.insert(oid) {
                return Err(ExtensionError { extension: name(), problem: "is there twice".to_owned() });
            }
            form::check(oid, critical, value)
                .map_err(|problem| ExtensionError { extension: name(), problem: problem.to_owned() })?;
            extensions
                .take(oid, critical, value)
                .map_err(|error| ExtensionError { extension: name(), problem: error.to_string() })?;
        }
        Ok(extensions)
    }

    fn take(&mut self, oid: &[u8], critical: bool, value: &[u8]) -> der::Result<()> {
        let is = |known: ObjectIdentifier| known.as_bytes() == oid;
        if is(rfc5280::ID_CE_BASIC_CONSTRAINTS) {
            self.basic_constraints = Some(Marked { critical, value: BasicConstraints::from_der(value)? });
        } else if is(rfc5280::ID_CE_KEY_USAGE) {
            self.key_usage = Some(Marked { critical, value: KeyUsage::from_der(value)? });
        } else if is(rfc5280::ID_CE_EXT_KEY_USAGE) {
            self.extended_key_usage = Some(Marked { critical, value: parse_extended_key_usage(value)? });
        } else if is(rfc5280::ID_PE_AUTHORITY_INFO_ACCESS) {
            self.revocation.ocsp = parse_ocsp_urls(value)?;
        } else if is(rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS) {
            self.revocation.distribution_points = Some(parse_distribution_points(value)?);
        } else if is(rfc5280::ID_CE_FRESHEST_CRL) {
            self.revocation.names_freshest_crl = true;
        } else if is(rfc6960::ID_PKIX_OCSP_NOCHECK) {
            self.ocsp_no_check = true;
        }
        if self.unprocessed.is_none() && must_be_processed(oid, critical) {
            self.unprocessed = dotted(oid);
        }
        Ok(())
    }
}

/// Whether this extension may change which paths are valid without being looked at here. Certificate policies do not:
/// no policy is asked for. Stricter than Go, which processes more of them.
fn must_be_processed(oid: &[u8], critical: bool) -> bool {
    const CONSTRAINTS: [ObjectIdentifier; 2] = [rfc5280::ID_CE_NAME_CONSTRAINTS, rfc5280::ID_CE_POLICY_CONSTRAINTS];
    const PROCESSED: [ObjectIdentifier; 5] = [
        rfc5280::ID_CE_BASIC_CONSTRAINTS,
        rfc5280::ID_CE_KEY_USAGE,
        rfc5280::ID_CE_EXT_KEY_USAGE,
        rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS,
        rfc5280::ID_CE_CERTIFICATE_POLICIES,
    ];
    let is_one_of = |known: &[ObjectIdentifier]| known.iter().any(|known| known.as_bytes() == oid);
    is_one_of(&CONSTRAINTS) || (critical && !is_one_of(&PROCESSED))
}

/// One `Extension`: object identifier, criticality, value.
pub(crate) fn parse_extension<'a>(elements: &mut Elements<'a>) -> der::Result<(&'a [u8], bool, &'a [u8])> {
    let mut fields = Elements::inside(elements.value(Tag::Sequence)?)?;
    let oid = fields.oid()?;
    let critical = match fields.optional(Tag::Boolean)? {
        None | Some([0x00]) => false,
        Some([0xff]) => true,
        Some(_) => return Err(Tag::Boolean.value_error().into()),
    };
    let value = fields.value(Tag::OctetString)?;
    fields.finish()?;
    Ok((oid, critical, value))
}

fn parse_extended_key_usage(value: &[u8]) -> der::Result<Vec<ExtendedKeyUsage>> {
    let mut usages = Vec::new();
    let mut elements = Elements::of_sequence(value)?;
    while !elements.is_empty() {
        usages.push(ExtendedKeyUsage::from_oid(elements.oid()?));
    }
    Ok(usages)
}
