// SPDX-License-Identifier: Apache-2.0
//! CMS `SignedData` (RFC 5652 section 5), as far as a timestamp token needs it, and who signed it (RFC 5035).

use const_oid::db::{rfc3161, rfc5911};
use der::asn1::UtcTime;
use der::{Decode, Tag, Tagged};
use spki::AlgorithmIdentifierRef;

use super::tst_info::{parse_generalized_time, parse_hash};
use super::{Signer, TimestampError, malformed};
use crate::Timestamp;
use crate::algorithm::Hash;
use crate::asn1::{Elements, context, integer, tlv};
use crate::certificate::Certificate;

/// Most certificates in a token. A limit of ours: real tokens have one to four.
const MAX_CERTIFICATES: usize = 16;
/// Most signers of a token. RFC 3161 section 2.4.2 says one; notation-go tries all there are.
const MAX_SIGNERS: usize = 4;
/// Most signed attributes of a signer. A limit of ours: real tokens have three to five.
const MAX_ATTRIBUTES: usize = 32;

/// A token taken apart, of which nothing may be believed yet.
pub(super) struct SignedData<'a> {
    pub(super) content: &'a [u8],
    pub(super) certificates: Vec<Certificate>,
    pub(super) signers: Vec<SignerInfo<'a>>,
}

impl<'a> SignedData<'a> {
    /// AT-5. Parses a `ContentInfo` in DER.
    pub(super) fn from_der(der: &'a [u8]) -> Result<Self, TimestampError> {
        let mut outer = Elements::of_sequence(der).map_err(malformed("ContentInfo"))?;
        if outer.oid().map_err(malformed("contentType"))? != rfc5911::ID_SIGNED_DATA.as_bytes() {
            return Err(TimestampError::NotSignedData);
        }
        let inside = outer.value(context(0)).map_err(malformed("ContentInfo.content"))?;
        outer.finish().map_err(malformed("ContentInfo"))?;

        let mut fields = Elements::of_sequence(inside).map_err(malformed("SignedData"))?;
        check_version(&mut fields, "SignedData.version", 3)?;
        let digests = fields.value(Tag::Set).map_err(malformed("digestAlgorithms"))?;
        check_algorithms(digests).map_err(malformed("digestAlgorithms"))?;
        let content = parse_content(fields.value(Tag::Sequence).map_err(malformed("encapContentInfo"))?)?;
        let certificates = fields.optional(context(0)).map_err(malformed("certificates"))?;
        let lists = fields.optional(context(1)).map_err(malformed("crls"))?;
        // As in notation-go, whose parser fails on every list there is.
        if lists.is_some_and(|lists| !lists.is_empty()) {
            return Err(TimestampError::RevocationLists);
        }
        let signers = fields.value(Tag::Set).map_err(malformed("signerInfos"))?;
        fields.finish().map_err(malformed("SignedData"))?;
        Ok(Self {
            content,
            certificates: parse_certificates(certificates.unwrap_or_default())?,
            signers: parse_signers(signers)?,
        })
    }
}

fn check_version(fields: &mut Elements<'_>, field: &'static str, required: u8) -> Result<(), TimestampError> {
    match fields.value(Tag::Integer).map_err(malformed(field))? {
        [version] if *version == required => Ok(()),
        _ => Err(TimestampError::Version { field, required }),
    }
}

fn check_algorithms(set: &[u8]) -> der::Result<()> {
    let mut algorithms = Elements::inside(set)?;
    while !algorithms.is_empty() {
        algorithms.decode::<AlgorithmIdentifierRef<'_>>()?;
    }
    Ok(())
}

/// `EncapsulatedContentInfo`.
fn parse_content(value: &[u8]) -> Result<&[u8], TimestampError> {
    let field = "encapContentInfo";
    let mut fields = Elements::inside(value).map_err(malformed(field))?;
    if fields.oid().map_err(malformed("eContentType"))? != rfc3161::ID_CT_TST_INFO.as_bytes() {
        return Err(TimestampError::ContentType { field: "eContentType" });
    }
    let explicit = fields.optional(context(0)).map_err(malformed("eContent"))?.ok_or(TimestampError::NoContent)?;
    fields.finish().map_err(malformed(field))?;
    let mut inside = Elements::inside(explicit).map_err(malformed("eContent"))?;
    let content = inside.value(Tag::OctetString).map_err(malformed("eContent"))?;
    inside.finish().map_err(malformed("eContent"))?;
    Ok(content)
}

/// X.509 certificates only: attribute certificates and other forms are refused, as in notation-go.
fn parse_certificates(set: &[u8]) -> Result<Vec<Certificate>, TimestampError> {
    let mut certificates = Vec::new();
    let mut elements = Elements::inside(set).map_err(malformed("certificates"))?;
    while !elements.is_empty() {
        if certificates.len() == MAX_CERTIFICATES {
            return Err(TimestampError::TooMany { what: "certificates", max: MAX_CERTIFICATES });
        }
        let der = elements.raw().map_err(malformed("certificates"))?;
        let index = certificates.len();
        certificates.push(Certificate::from_der(der).map_err(|error| TimestampError::Certificate { index, error })?);
    }
    Ok(certificates)
}

fn parse_signers(set: &[u8]) -> Result<Vec<SignerInfo<'_>>, TimestampError> {
    let mut signers = Vec::new();
    let mut elements = Elements::inside(set).map_err(malformed("signerInfos"))?;
    while !elements.is_empty() {
        if signers.len() == MAX_SIGNERS {
            return Err(TimestampError::TooMany { what: "signers", max: MAX_SIGNERS });
        }
        signers.push(SignerInfo::parse(elements.value(Tag::Sequence).map_err(malformed("SignerInfo"))?)?);
    }
    Ok(signers)
}

/// One signature over the token, not verified.
pub(super) struct SignerInfo<'a> {
    version: &'a [u8],
    /// Issuer and serial number of the signer's certificate; not signed.
    sid: (&'a [u8], &'a [u8]),
    digest_algorithm: &'a [u8],
    attributes: Attributes<'a>,
    signature_algorithm: AlgorithmIdentifierRef<'a>,
    signature: &'a [u8],
}

impl<'a> SignerInfo<'a> {
    fn parse(value: &'a [u8]) -> Result<Self, TimestampError> {
        let mut fields = Elements::inside(value).map_err(malformed("SignerInfo"))?;
        let version = fields.value(Tag::Integer).map_err(malformed("SignerInfo.version"))?;
        let sid = parse_issuer_and_serial(fields.value(Tag::Sequence).map_err(malformed("sid"))?)?;
        let digest_algorithm = fields.value(Tag::Sequence).map_err(malformed("digestAlgorithm"))?;
        let attributes = fields.optional(context(0)).map_err(malformed("signedAttrs"))?;
        let attributes = Attributes::parse(attributes.unwrap_or_default())?;
        let signature_algorithm = fields.decode().map_err(malformed("signatureAlgorithm"))?;
        let signature = fields.value(Tag::OctetString).map_err(malformed("signature"))?;
        let unsigned = fields.optional(context(1)).map_err(malformed("unsignedAttrs"))?;
        Attributes::parse(unsigned.unwrap_or_default())?;
        fields.finish().map_err(malformed("SignerInfo"))?;
        Ok(Self { version, sid, digest_algorithm, attributes, signature_algorithm, signature })
    }

    /// Who of `certificates` made this signature over `content` (AT-6 to AT-9). Whether that one is to be trusted is
    /// another question.
    pub(super) fn verify(&self, content: &[u8], certificates: &[Certificate]) -> Result<Signer, TimestampError> {
        if self.version != [1] {
            return Err(TimestampError::Version { field: "SignerInfo.version", required: 1 });
        }
        let digest = parse_hash("digestAlgorithm", self.digest_algorithm)?;
        let authority = self.find_certificate(certificates)?;
        self.check_content(digest, content)?;
        let Self { signature_algorithm, signature, .. } = self;
        let signed = self.attributes.to_der();
        if !authority.key().verifies_signer_info(digest, signature_algorithm, &signed, signature) {
            return Err(TimestampError::SignatureInvalid);
        }
        Ok(Signer { authority: authority.clone(), signing_time: self.signing_time()? })
    }

    /// AT-10: when the signer says that it signed.
    fn signing_time(&self) -> Result<Option<Timestamp>, TimestampError> {
        let attribute = "signingTime";
        let Some(value) = self.attributes.find(attribute, rfc5911::ID_SIGNING_TIME.as_bytes())? else {
            return Ok(None);
        };
        let any = Elements::inside(value).and_then(|mut inside| inside.any()).map_err(malformed(attribute))?;
        let time = match any.tag() {
            Tag::UtcTime => UtcTime::from_der(value)
                .ok()
                .and_then(|time| Timestamp::from_second(i64::try_from(time.to_unix_duration().as_secs()).ok()?).ok()),
            Tag::GeneralizedTime => parse_generalized_time(any.value()),
            _ => None,
        };
        time.map(Some).ok_or(TimestampError::Time { field: attribute })
    }

    /// AT-7.
    fn check_content(&self, digest: Hash, content: &[u8]) -> Result<(), TimestampError> {
        let content_type = self.attributes.require("contentType", rfc5911::ID_CONTENT_TYPE.as_bytes())?;
        let mut inside = Elements::inside(content_type).map_err(malformed("contentType"))?;
        if inside.oid().map_err(malformed("contentType"))? != rfc3161::ID_CT_TST_INFO.as_bytes() {
            return Err(TimestampError::ContentType { field: "contentType" });
        }
        let field = "messageDigest";
        let expected = self.attributes.require(field, rfc5911::ID_MESSAGE_DIGEST.as_bytes())?;
        let mut inside = Elements::inside(expected).map_err(malformed(field))?;
        let expected = inside.value(Tag::OctetString).map_err(malformed(field))?;
        if digest.digest(content).as_ref() == expected { Ok(()) } else { Err(TimestampError::DigestMismatch) }
    }

    /// AT-8: the first `ESSCertIDv2` is about the signer; others only say which certificates may help (RFC 5035
    /// section 3).
    fn find_certificate<'c>(&self, certificates: &'c [Certificate]) -> Result<&'c Certificate, TimestampError> {
        let field = "signingCertificateV2";
        let value = self.attributes.require(field, rfc5911::ID_AA_SIGNING_CERTIFICATE_V_2.as_bytes())?;
        let mut fields = Elements::of_sequence(value).map_err(malformed(field))?;
        let mut ids =
            Elements::inside(fields.value(Tag::Sequence).map_err(malformed(field))?).map_err(malformed(field))?;
        fields.optional(Tag::Sequence).map_err(malformed(field))?; // policies, which only make suggestions
        fields.finish().map_err(malformed(field))?;
        let first = CertificateId::parse(ids.value(Tag::Sequence).map_err(malformed(field))?)?;
        while !ids.is_empty() {
            CertificateId::parse(ids.value(Tag::Sequence).map_err(malformed(field))?)?;
        }
        let hash = first.hash_algorithm.map_or(Ok(Hash::Sha256), |algorithm| parse_hash(field, algorithm))?;
        let (issuer, serial) = first.issuer_and_serial.unwrap_or(self.sid);
        let found = certificates.iter().find(|certificate| certificate.is_identified_by(issuer, serial));
        let certificate = found.ok_or(TimestampError::CertificateNotFound)?;
        if hash.digest(certificate.der()).as_ref() != first.hash {
            return Err(TimestampError::CertificateMismatch);
        }
        Ok(certificate)
    }
}

/// The issuer as the DER of a `Name`, the serial number as the DER value of an INTEGER.
fn parse_issuer_and_serial(value: &[u8]) -> Result<(&[u8], &[u8]), TimestampError> {
    let mut fields = Elements::inside(value).map_err(malformed("sid"))?;
    let issuer = fields.raw().map_err(malformed("sid"))?;
    let serial = integer(&mut fields).map_err(malformed("sid"))?;
    fields.finish().map_err(malformed("sid"))?;
    Ok((issuer, serial))
}

/// `ESSCertIDv2` (RFC 5035 section 4).
struct CertificateId<'a> {
    /// SHA-256 if there is none.
    hash_algorithm: Option<&'a [u8]>,
    hash: &'a [u8],
    issuer_and_serial: Option<(&'a [u8], &'a [u8])>,
}

impl<'a> CertificateId<'a> {
    fn parse(value: &'a [u8]) -> Result<Self, TimestampError> {
        let of_id = malformed("ESSCertIDv2");
        let mut fields = Elements::inside(value).map_err(&of_id)?;
        let hash_algorithm = fields.optional(Tag::Sequence).map_err(&of_id)?;
        let hash = fields.value(Tag::OctetString).map_err(&of_id)?;
        let issuer_serial = fields.optional(Tag::Sequence).map_err(&of_id)?;
        fields.finish().map_err(&of_id)?;
        let issuer_and_serial = issuer_serial.map(parse_issuer_serial).transpose().map_err(&of_id)?;
        Ok(Self { hash_algorithm, hash, issuer_and_serial })
    }
}

/// `IssuerSerial`: for a certificate the issuer is one `directoryName` (RFC 5035 section 4).
fn parse_issuer_serial(value: &[u8]) -> der::Result<(&[u8], &[u8])> {
    let mut fields = Elements::inside(value)?;
    let mut names = Elements::inside(fields.value(Tag::Sequence)?)?;
    let name = names.value(context(4))?;
    names.finish()?;
    let serial = integer(&mut fields)?;
    fields.finish()?;
    Ok((name, serial))
}

/// A SET OF `Attribute`.
struct Attributes<'a> {
    raw: Vec<&'a [u8]>,
}

impl<'a> Attributes<'a> {
    fn parse(value: &'a [u8]) -> Result<Self, TimestampError> {
        let mut raw = Vec::new();
        let mut elements = Elements::inside(value).map_err(malformed("attributes"))?;
        while !elements.is_empty() {
            if raw.len() == MAX_ATTRIBUTES {
                return Err(TimestampError::TooMany { what: "attributes", max: MAX_ATTRIBUTES });
            }
            let attribute = elements.raw().map_err(malformed("attributes"))?;
            parse_attribute(attribute).map_err(malformed("attributes"))?;
            raw.push(attribute);
        }
        Ok(Self { raw })
    }

    /// The one value of the attribute of this type, if it is there. Twice, or with several values, is forbidden
    /// (RFC 5652 section 11); notation-go takes the first.
    fn find(&self, attribute: &'static str, oid: &[u8]) -> Result<Option<&'a [u8]>, TimestampError> {
        let mut found = None;
        for raw in &self.raw {
            let (other, values) = parse_attribute(raw).map_err(malformed(attribute))?;
            if other != oid {
                continue;
            }
            let mut values = Elements::inside(values).map_err(malformed(attribute))?;
            let value = values.raw().map_err(malformed(attribute))?;
            if !values.is_empty() || found.replace(value).is_some() {
                return Err(TimestampError::AttributeRepeated { attribute });
            }
        }
        Ok(found)
    }

    fn require(&self, attribute: &'static str, oid: &[u8]) -> Result<&'a [u8], TimestampError> {
        self.find(attribute, oid)?.ok_or(TimestampError::AttributeMissing { attribute })
    }

    /// AT-9, RFC 5652 section 5.4: what is signed is the DER of the SET OF, so sorted (X.690 section 11.6), whatever
    /// order and tag it came with.
    fn to_der(&self) -> Vec<u8> {
        let mut sorted = self.raw.clone();
        sorted.sort_unstable();
        tlv(SET, &sorted.concat())
    }
}

/// The identifier octet of a SET.
const SET: u8 = 0x31;

/// The type of an attribute, and what is inside its SET of values.
fn parse_attribute(raw: &[u8]) -> der::Result<(&[u8], &[u8])> {
    let mut fields = Elements::of_sequence(raw)?;
    let oid = fields.oid()?;
    let values = fields.value(Tag::Set)?;
    fields.finish()?;
    Ok((oid, values))
}
