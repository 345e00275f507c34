// SPDX-License-Identifier: Apache-2.0
//! X.509 certificates (RFC 5280), read once from the bytes received.

mod endpoints;
mod extensions;
mod form;
mod key;
mod name;
pub(crate) mod pem;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest;
use der::asn1::BitStringRef;
use der::{Reader, SliceReader, Tag};
use x509_cert::time::Time;

pub(crate) use endpoints::{DistributionPoint, MAX_POINTS, parse_distribution_points, parse_point_name};
pub(crate) use extensions::{ExtendedKeyUsage, Extensions, KeyUsage, Marked, parse_extension};
pub(crate) use key::PublicKey;
pub(crate) use name::{Name, is_printed};

use crate::Timestamp;
use crate::asn1::{Elements, check_padding, context, primitive};

/// Most bytes of one certificate. A limit of ours: real ones have 1 to 3 KiB.
pub(crate) const MAX_CERTIFICATE_BYTES: usize = 64 * 1024;
/// Most bytes of a file of certificates. A limit of ours.
pub const MAX_CERTIFICATE_FILE_BYTES: usize = 1024 * 1024;
/// Most certificates in one file. A limit of ours: the largest public root programmes have about 150.
pub(crate) const MAX_CERTIFICATES_PER_FILE: usize = 256;

/// Cuts text from outside to 256 characters, for messages, without control characters and without those that are
/// invisible or turn the direction of what follows.
pub(crate) fn text(from_outside: &str) -> String {
    let is_invisible = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    // Nearly all of it is short and harmless, and is copied as it stands.
    if from_outside.len() <= 256 && from_outside.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return from_outside.to_owned();
    }
    from_outside.chars().filter(|c| !is_invisible(*c)).take(256).collect()
}

/// An X.509 certificate. Cheap to clone; equal if the DER is equal.
#[derive(Clone)]
pub struct Certificate(Arc<Fields>);

struct Fields {
    der: Vec<u8>,
    /// Made when somebody asks.
    sha256: OnceLock<String>,
    tbs: Vec<u8>,
    serial: Vec<u8>,
    signature_algorithm: Vec<u8>,
    signature: Vec<u8>,
    raw_subject: Vec<u8>,
    raw_issuer: Vec<u8>,
    subject: Name,
    issuer: Name,
    not_before: Timestamp,
    not_after: Timestamp,
    key: PublicKey,
    extensions: Extensions,
    /// The key, as the DER of its `SubjectPublicKeyInfo`, of which it is known that it made the signature.
    signed_with: OnceLock<Arc<[u8]>>,
}

impl Certificate {
    /// Parses one certificate. Only the form is checked, not whether it may sign or be trusted.
    ///
    /// # Errors
    /// If the bytes are more than 64 KiB or not exactly one certificate in DER (RFC 5280 section
    /// 4.1), if an extension is there twice, or if one cannot be read that has a meaning here or
    /// that Go reads.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(CertificateError::TooLarge { size: der.len(), max: MAX_CERTIFICATE_BYTES });
        }
        Fields::from_der(der).map(|fields| Self(Arc::new(fields)))
    }

    /// The bytes it was parsed from.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The subject, printed as Go's `pkix.Name` prints it: `CN=…,O=…,L=…,ST=…,C=…`. It is text from the certificate:
    /// of any length, and with any character.
    pub fn subject(&self) -> &str {
        &self.0.subject.printed
    }

    /// The issuer, printed likewise.
    pub fn issuer(&self) -> &str {
        &self.0.issuer.printed
    }

    /// The common name of the subject; the last if there are several.
    pub fn common_name(&self) -> Option<&str> {
        self.0.subject.common_name.as_deref()
    }

    /// SHA-256 of the DER in lower-case hexadecimal.
    pub fn sha256(&self) -> &str {
        self.0.sha256.get_or_init(|| sha256_hex(&self.0.der))
    }

    /// First instant of its validity.
    pub fn not_before(&self) -> Timestamp {
        self.0.not_before
    }

    /// Last instant of its validity, inclusive. An end beyond what [`Timestamp`] can say, such as the
    /// `99991231235959Z` of RFC 5280 section 4.1.2.5, is its largest value.
    pub fn not_after(&self) -> Timestamp {
        self.0.not_after
    }

    /// An attribute type that the subject has twice.
    pub(crate) fn repeated_subject_attribute(&self) -> Option<&'static str> {
        self.0.subject.repeated
    }

    pub(crate) fn key(&self) -> &PublicKey {
        &self.0.key
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        &self.0.extensions
    }

    /// Whether its basic constraints say that it is a CA.
    pub(crate) fn is_ca(&self) -> bool {
        self.0.extensions.basic_constraints.as_ref().is_some_and(|constraints| constraints.value.ca)
    }

    /// Whether its own key made its signature; the names are not looked at.
    pub(crate) fn is_signed_with_own_key(&self) -> bool {
        self.is_signed_with_key_of(self)
    }

    /// Whether it is self-issued and self-signed. Not by the names alone: a leaf may have its root's name.
    pub(crate) fn is_self_signed(&self) -> bool {
        self.is_issued_by(self)
    }

    /// Whether `issuer` has the name that this certificate gives for its issuer, byte by byte, and made its signature.
    pub fn is_issued_by(&self, issuer: &Self) -> bool {
        self.names_as_issuer(issuer) && self.is_signed_with_key_of(issuer)
    }

    /// TS-7: a CA that issued itself and may sign certificates, if it says what it may do.
    pub(crate) fn is_root_ca(&self) -> bool {
        let usage = self.0.extensions.key_usage.as_ref();
        self.is_ca() && self.is_self_signed() && usage.is_none_or(|usage| usage.value.has(KeyUsage::KEY_CERT_SIGN))
    }

    /// Whether this is its issuer, as the DER of a `Name`, and its serial number, as the DER value of an INTEGER.
    pub(crate) fn is_identified_by(&self, issuer: &[u8], serial: &[u8]) -> bool {
        self.0.raw_issuer == issuer && self.0.serial == serial
    }

    /// The DER value of its serial number: an INTEGER of the shortest form, not negative.
    pub(crate) fn serial(&self) -> &[u8] {
        &self.0.serial
    }

    /// The DER of the subject.
    pub(crate) fn raw_subject(&self) -> &[u8] {
        &self.0.raw_subject
    }

    /// Whether it names `issuer` as its issuer, byte by byte. Says nothing about the signature.
    pub(crate) fn names_as_issuer(&self, issuer: &Self) -> bool {
        self.0.raw_issuer == issuer.0.raw_subject
    }

    /// Whether both are certificates of the same entity: one subject, one key.
    pub(crate) fn is_same_entity(&self, other: &Self) -> bool {
        self.0.raw_subject == other.0.raw_subject && self.0.key.spki() == other.0.key.spki()
    }

    /// What was found out once is kept with the certificate and its clones: neither its bytes nor the key can change.
    fn is_signed_with_key_of(&self, other: &Self) -> bool {
        let Fields { signature_algorithm, tbs, signature, signed_with, .. } = &*self.0;
        let key = &other.0.key;
        if signed_with.get().is_some_and(|known| **known == *key.spki()) {
            return true;
        }
        let is_signed = key.verifies_certificate(signature_algorithm, tbs, signature);
        if is_signed {
            signed_with.get_or_init(|| key.shared_spki());
        }
        is_signed
    }
}

impl Fields {
    fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let in_field = |field: &'static str| {
            move |error: der::Error| CertificateError::Malformed { field, problem: error.to_string() }
        };
        let mut outer = Elements::of_sequence(der).map_err(in_field("certificate"))?;
        let tbs = outer.raw().map_err(in_field("tbsCertificate"))?;
        let signature_algorithm = outer.raw().map_err(in_field("signatureAlgorithm"))?;
        check_algorithm(signature_algorithm).map_err(in_field("signatureAlgorithm"))?;
        let signature: BitStringRef<'_> = outer.decode().map_err(in_field("signatureValue"))?;
        outer.finish().map_err(in_field("certificate"))?;
        check_padding(&signature).map_err(in_field("signatureValue"))?;
        let signature = signature.as_bytes().unwrap_or_default().to_vec();

        let mut inner = Elements::of_sequence(tbs).map_err(in_field("tbsCertificate"))?;
        let version = inner.optional(context(0)).map_err(in_field("version"))?;
        let version = parse_version(version)?;
        let serial = inner.value(Tag::Integer).map_err(in_field("serialNumber"))?;
        check_serial(serial)?;
        if inner.raw().map_err(in_field("signature"))? != signature_algorithm {
            return Err(CertificateError::AlgorithmsDiffer);
        }
        let raw_issuer = inner.raw().map_err(in_field("issuer"))?;
        let validity = inner.raw().map_err(in_field("validity"))?;
        let (not_before, not_after) = parse_validity(validity).map_err(in_field("validity"))?;
        let raw_subject = inner.raw().map_err(in_field("subject"))?;
        let key = inner.raw().map_err(in_field("subjectPublicKeyInfo"))?;
        let extensions = parse_rest(inner, version)?;

        Ok(Self {
            sha256: OnceLock::new(),
            signed_with: OnceLock::new(),
            subject: Name::from_der(raw_subject).map_err(in_field("subject"))?,
            issuer: Name::from_der(raw_issuer).map_err(in_field("issuer"))?,
            key: PublicKey::from_der(key).map_err(in_field("subjectPublicKeyInfo"))?,
            der: der.to_vec(),
            tbs: tbs.to_vec(),
            serial: serial.to_vec(),
            signature_algorithm: signature_algorithm.to_vec(),
            raw_subject: raw_subject.to_vec(),
            raw_issuer: raw_issuer.to_vec(),
            signature,
            not_before,
            not_after,
            extensions,
        })
    }
}

/// An `AlgorithmIdentifier` that Go can read, whatever it identifies.
fn check_algorithm(der: &[u8]) -> der::Result<()> {
    let mut fields = Elements::of_sequence(der)?;
    fields.oid()?;
    if fields.is_empty() { Ok(()) } else { fields.any().map(|_| ()) }
}

/// The version as the standard counts: 1 to 3.
fn parse_version(explicit: Option<&[u8]>) -> Result<u8, CertificateError> {
    match explicit {
        None => Ok(1),
        // INTEGER 0, 1 or 2.
        Some([0x02, 0x01, version @ 0..=2]) => Ok(version.saturating_add(1)),
        Some(_) => Err(CertificateError::Malformed { field: "version", problem: "is not 1, 2 or 3".to_owned() }),
    }
}

/// Any length is accepted, as in Go (RFC 5280 has 20 octets), a negative number is not.
fn check_serial(value: &[u8]) -> Result<(), CertificateError> {
    match value {
        [] | [0x00, 0x00..=0x7f, ..] | [0x80..=0xff, ..] => Err(CertificateError::Malformed {
            field: "serialNumber",
            problem: "is not a non-negative integer in DER".to_owned(),
        }),
        _ => Ok(()),
    }
}

fn parse_validity(validity: &[u8]) -> der::Result<(Timestamp, Timestamp)> {
    let mut elements = Elements::of_sequence(validity)?;
    let (not_before, not_after): (Time, Time) = (elements.decode()?, elements.decode()?);
    elements.finish()?;
    Ok((timestamp(not_before), timestamp(not_after)))
}

/// An end beyond what [`Timestamp`] can say is its largest value.
pub(crate) fn timestamp(time: Time) -> Timestamp {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

/// What follows the key: two unique identifiers that nobody uses, and the extensions.
fn parse_rest(mut inner: Elements<'_>, version: u8) -> Result<Extensions, CertificateError> {
    let malformed =
        |error: der::Error| CertificateError::Malformed { field: "tbsCertificate", problem: error.to_string() };
    for number in [1, 2] {
        inner.optional(primitive(number)).map_err(malformed)?;
    }
    let extensions = inner.optional(context(3)).map_err(malformed)?;
    inner.finish().map_err(malformed)?;
    match extensions {
        None => Ok(Extensions::default()),
        Some(_) if version != 3 => Err(CertificateError::Malformed {
            field: "extensions",
            problem: format!("are not allowed in version {version}"),
        }),
        Some(extensions) => Extensions::from_der(extensions)
            .map_err(|error| CertificateError::Extension { extension: error.extension, problem: error.problem }),
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    let digits = digest.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
    digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der() == other.der()
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("subject", &self.subject()).field("sha256", &self.sha256()).finish()
    }
}

/// Parses a file of certificates: PEM, in which text outside of the blocks is ignored, or concatenated DER.
///
/// # Errors
/// If there is no certificate, or more than 256, or more than
/// [`MAX_CERTIFICATE_FILE_BYTES`] in all; if a PEM block is anything but a `CERTIFICATE`, most of all a private key,
/// which has no business in a trust store; if a certificate cannot be parsed.
pub fn parse_certificates(bytes: &[u8]) -> Result<Vec<Certificate>, CertificateError> {
    if bytes.len() > MAX_CERTIFICATE_FILE_BYTES {
        return Err(CertificateError::TooLarge { size: bytes.len(), max: MAX_CERTIFICATE_FILE_BYTES });
    }
    let blocks = if pem::is_pem(bytes) {
        pem::parse(bytes, "CERTIFICATE", MAX_CERTIFICATES_PER_FILE)?
    } else {
        split_der(bytes)?
    };
    if blocks.is_empty() {
        return Err(CertificateError::None);
    }
    blocks.iter().map(|der| Certificate::from_der(der)).collect()
}

fn split_der(bytes: &[u8]) -> Result<Vec<Vec<u8>>, CertificateError> {
    let malformed =
        |error: der::Error| CertificateError::Malformed { field: "certificate", problem: error.to_string() };
    let mut certificates = Vec::new();
    let mut reader = SliceReader::new(bytes).map_err(malformed)?;
    while !reader.is_finished() {
        if certificates.len() == MAX_CERTIFICATES_PER_FILE {
            return Err(CertificateError::TooMany { max: MAX_CERTIFICATES_PER_FILE });
        }
        certificates.push(reader.tlv_bytes().map_err(malformed)?.to_vec());
    }
    Ok(certificates)
}

/// Why bytes are not certificates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// There is no certificate.
    #[error("there is no certificate")]
    None,
    /// More bytes than allowed.
    #[error("{size} bytes are too many for certificates; at most {max} are allowed")]
    TooLarge {
        /// How many bytes there are.
        size: usize,
        /// How many are allowed.
        max: usize,
    },
    /// More certificates than one file may hold.
    #[error("there are more than {max} certificates")]
    TooMany {
        /// How many are allowed.
        max: usize,
    },
    /// A field is not what RFC 5280 says.
    #[error("certificate field {field}: {problem}")]
    Malformed {
        /// The field's name in RFC 5280.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// An extension cannot be read.
    #[error("certificate extension {extension}: {problem}")]
    Extension {
        /// Its object identifier.
        extension: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The two algorithm identifiers of the certificate differ (RFC 5280 section 4.1.1.2).
    #[error("certificate field signatureAlgorithm differs from the one that is signed")]
    AlgorithmsDiffer,
    /// A PEM block that is not a certificate.
    #[error("PEM block {label:?} is not a CERTIFICATE")]
    NotACertificate {
        /// The label of the block, cut to 256 characters.
        label: String,
    },
    /// A PEM block without an end, or with something else than base64 in it.
    #[error("PEM block {number}: {problem}")]
    Pem {
        /// Which block, from 1.
        number: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
}
