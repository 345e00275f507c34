// SPDX-License-Identifier: Apache-2.0
//! A timestamp authority: RFC 3161 tokens in which any field can be made wrong.

use aws_lc_rs::digest::{self, digest};
use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use coset::cbor::Value;
use sealwatch_notation::{Envelope, MEDIA_TYPE_COSE, MEDIA_TYPE_JWS};

use super::cose::{Cose, encode};
use super::der::{oid, sequence, simple_name, tlv};
use super::jws::Jws;
use super::key::{Kind, key};
use super::pki::{CRL_SIGN, DIGITAL_SIGNATURE, KEY_CERT_SIGN, Template, basic_constraints, extension, key_usage};

pub(crate) const SHA256: &str = "2.16.840.1.101.3.4.2.1";
pub(crate) const SHA384: &str = "2.16.840.1.101.3.4.2.2";
pub(crate) const SHA512: &str = "2.16.840.1.101.3.4.2.3";
pub(crate) const SHA1: &str = "1.3.14.3.2.26";
pub(crate) const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";
const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";
const TST_INFO: &str = "1.2.840.113549.1.9.16.1.4";
pub(crate) const CONTENT_TYPE: &str = "1.2.840.113549.1.9.3";
pub(crate) const MESSAGE_DIGEST: &str = "1.2.840.113549.1.9.4";
pub(crate) const SIGNING_TIME: &str = "1.2.840.113549.1.9.5";
pub(crate) const SIGNING_CERTIFICATE: &str = "1.2.840.113549.1.9.16.2.12";
pub(crate) const SIGNING_CERTIFICATE_V2: &str = "1.2.840.113549.1.9.16.2.47";

const TOKEN: &str = "io.cncf.notary.timestampSignature";

/// The subject of the authority as messages print it.
pub(crate) const AUTHORITY: &str = "CN=Sealwatch Test TSA,O=Microsoft Corporation,C=US";
/// When tokens say that the signature was there, if the test does not say otherwise.
pub(crate) const STAMPED_AT: &str = "2025-01-01T00:00:00Z";

/// The digest of `message` by the hash of this identifier.
pub(crate) fn hash(algorithm: &str, message: &[u8]) -> Vec<u8> {
    let algorithm = match algorithm {
        SHA256 => &digest::SHA256,
        SHA384 => &digest::SHA384,
        SHA512 => &digest::SHA512,
        SHA1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        other => panic!("no hash {other}"),
    };
    digest(algorithm, message).as_ref().to_vec()
}

/// The root of the authority, with a name and key of its own.
pub(crate) fn root() -> Template {
    let name = simple_name("CN=Sealwatch Test TSA Root,O=Microsoft Corporation,C=US");
    Template {
        subject: name.clone(),
        issuer: name,
        key: Kind::Other,
        issuer_key: Kind::Other,
        extensions: vec![basic_constraints(true, None), key_usage(KEY_CERT_SIGN | CRL_SIGN)],
        ..Template::leaf()
    }
}

/// An intermediate below [`root`].
pub(crate) fn intermediate() -> Template {
    Template {
        subject: simple_name("CN=Sealwatch Test TSA CA,O=Microsoft Corporation,C=US"),
        key: Kind::P521,
        extensions: vec![basic_constraints(true, None), key_usage(KEY_CERT_SIGN)],
        serial: vec![0x02],
        issuer: root().subject,
        ..root()
    }
}

/// The certificate that signs tokens, below [`root`].
pub(crate) fn authority() -> Template {
    Template {
        subject: simple_name(AUTHORITY),
        key: Kind::Next,
        extensions: vec![key_usage(DIGITAL_SIGNATURE), usages(true, &[TIME_STAMPING])],
        serial: vec![0x03],
        issuer: root().subject,
        ..root()
    }
}

/// This certificate, issued by [`intermediate`] instead.
pub(crate) fn below_intermediate(template: Template) -> Template {
    Template { issuer: intermediate().subject, issuer_key: Kind::P521, ..template }
}

/// An extended key usage extension.
pub(crate) fn usages(critical: bool, usages: &[&str]) -> Vec<u8> {
    let usages: Vec<u8> = usages.iter().flat_map(|usage| oid(usage)).collect();
    extension("2.5.29.37", critical, &tlv(0x30, &usages))
}

pub(crate) fn algorithm(dotted: &str) -> Vec<u8> {
    sequence(&[&oid(dotted), &[0x05, 0x00]])
}

/// An `Attribute` with these values.
pub(crate) fn attribute(dotted: &str, values: &[&[u8]]) -> Vec<u8> {
    sequence(&[&oid(dotted), &tlv(0x31, &values.concat())])
}

/// How a signer signs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// As its key signs certificates: PKCS #1 v1.5 with SHA-256, or ECDSA with the hash of the curve.
    OfCertificates,
    /// The same for an RSA key, with the identifier `rsaEncryption`.
    RsaEncryption,
    /// RSA-PSS with the hash of the key's length.
    Pss,
}

/// One signer of a token.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) version: u8,
    pub(crate) key: Kind,
    pub(crate) sid: Vec<u8>,
    pub(crate) digest: &'static str,
    pub(crate) scheme: Scheme,
    /// Algorithm of the signature, in place of the scheme's own.
    pub(crate) algorithm: Option<Vec<u8>>,
    pub(crate) content_type: &'static str,
    /// `ESSCertIDv2` of the signing certificate and of others.
    pub(crate) certificate_ids: Vec<Vec<u8>>,
    /// Attributes beside the three that must be there.
    pub(crate) more: Vec<Vec<u8>>,
    /// Attributes that are left out.
    pub(crate) without: Vec<&'static str>,
    pub(crate) unsigned: Vec<u8>,
}

/// `IssuerAndSerialNumber`.
pub(crate) fn sid(certificate: &Template) -> Vec<u8> {
    sequence(&[&certificate.issuer, &tlv(0x02, &certificate.serial)])
}

/// `ESSCertIDv2` with SHA-256 and issuer.
pub(crate) fn certificate_id(certificate: &Template) -> Vec<u8> {
    sequence(&[&tlv(0x04, &hash(SHA256, &certificate.issue())), &issuer_serial(certificate)])
}

pub(crate) fn issuer_serial(certificate: &Template) -> Vec<u8> {
    let names = sequence(&[&tlv(0xa4, &certificate.issuer)]);
    sequence(&[&names, &tlv(0x02, &certificate.serial)])
}

impl Signer {
    /// One that signs with this certificate.
    pub(crate) fn new(certificate: &Template) -> Self {
        Self {
            version: 1,
            key: certificate.key,
            sid: sid(certificate),
            digest: SHA256,
            scheme: Scheme::OfCertificates,
            algorithm: None,
            content_type: TST_INFO,
            certificate_ids: vec![certificate_id(certificate)],
            more: vec![],
            without: vec![],
            unsigned: vec![],
        }
    }

    fn sign(&self, content: &[u8]) -> Vec<u8> {
        let certificates = sequence(&[&sequence(&[&self.certificate_ids.concat()])]);
        let known = [
            (CONTENT_TYPE, attribute(CONTENT_TYPE, &[&oid(self.content_type)])),
            (MESSAGE_DIGEST, attribute(MESSAGE_DIGEST, &[&tlv(0x04, &hash(self.digest, content))])),
            (SIGNING_CERTIFICATE_V2, attribute(SIGNING_CERTIFICATE_V2, &[&certificates])),
        ];
        let known = known.into_iter().filter(|(kind, _)| !self.without.contains(kind)).map(|(_, encoded)| encoded);
        let mut attributes: Vec<Vec<u8>> = known.chain(self.more.clone()).collect();
        attributes.sort();
        let signed = tlv(0x31, &attributes.concat());
        // They travel in another order than they are signed in.
        attributes.reverse();
        let sent = if attributes.is_empty() { Vec::new() } else { tlv(0xa0, &attributes.concat()) };
        let key = key(self.key);
        let (own, signature) = match self.scheme {
            Scheme::OfCertificates => (key.certificate_algorithm(), key.sign_certificate(&signed)),
            Scheme::RsaEncryption => (algorithm("1.2.840.113549.1.1.1"), key.sign_certificate(&signed)),
            Scheme::Pss => (pss(self.digest), key.sign(&signed)),
        };
        sequence(&[
            &tlv(0x02, &[self.version]),
            &self.sid,
            &algorithm(self.digest),
            &sent,
            self.algorithm.as_ref().unwrap_or(&own),
            &tlv(0x04, &signature),
            &self.unsigned,
        ])
    }
}

/// `RSASSA-PSS` with all its parameters.
pub(crate) fn pss(hash: &str) -> Vec<u8> {
    let salt = match hash {
        SHA256 => 32,
        SHA384 => 48,
        _ => 64,
    };
    let mask = sequence(&[&oid("1.2.840.113549.1.1.8"), &algorithm(hash)]);
    let parameters = sequence(&[&tlv(0xa0, &algorithm(hash)), &tlv(0xa1, &mask), &tlv(0xa2, &tlv(0x02, &[salt]))]);
    sequence(&[&oid("1.2.840.113549.1.1.10"), &parameters])
}

/// A token before it is signed; each part may be changed.
#[derive(Clone)]
pub(crate) struct Token {
    /// The `TSTInfo`, in place of the fields below.
    pub(crate) info: Option<Vec<u8>>,
    pub(crate) info_version: u8,
    pub(crate) policy: &'static str,
    pub(crate) imprint_hash: &'static str,
    /// What the token is about.
    pub(crate) message: Vec<u8>,
    pub(crate) time: String,
    /// What follows the time, in DER: accuracy, ordering, nonce, name, extensions.
    pub(crate) rest: Vec<u8>,
    /// What follows the `TSTInfo` in the content.
    pub(crate) after_info: Vec<u8>,
    pub(crate) outer_type: &'static str,
    pub(crate) version: u8,
    pub(crate) content_type: &'static str,
    /// The content with its explicit tag, in place of the `TSTInfo`.
    pub(crate) content: Option<Vec<u8>>,
    pub(crate) certificates: Vec<Vec<u8>>,
    /// `crls` with their tag.
    pub(crate) lists: Vec<u8>,
    pub(crate) signers: Vec<Signer>,
    /// What follows the signers in `SignedData`.
    pub(crate) after_signers: Vec<u8>,
}

impl Token {
    /// A good token about `message`, by [`authority`].
    pub(crate) fn new(message: &[u8]) -> Self {
        Self::by(&authority(), message)
    }

    /// The same by another authority.
    pub(crate) fn by(certificate: &Template, message: &[u8]) -> Self {
        Self {
            info: None,
            info_version: 1,
            policy: "1.3.6.1.4.1.99999.1",
            imprint_hash: SHA256,
            message: message.to_vec(),
            time: "20250101000000Z".to_owned(),
            rest: vec![],
            after_info: vec![],
            outer_type: SIGNED_DATA,
            version: 3,
            content_type: TST_INFO,
            content: None,
            certificates: vec![certificate.issue()],
            lists: vec![],
            signers: vec![Signer::new(certificate)],
            after_signers: vec![],
        }
    }

    /// The first signer.
    pub(crate) fn signer(&mut self) -> &mut Signer {
        &mut self.signers[0]
    }

    /// What the fields make of it.
    pub(crate) fn info(&self) -> Vec<u8> {
        let imprint = tlv(0x04, &hash(self.imprint_hash, &self.message));
        sequence(&[
            &tlv(0x02, &[self.info_version]),
            &oid(self.policy),
            &sequence(&[&algorithm(self.imprint_hash), &imprint]),
            &tlv(0x02, &[0x2a]),
            &tlv(0x18, self.time.as_bytes()),
            &self.rest,
        ])
    }

    /// The token.
    pub(crate) fn issue(&self) -> Vec<u8> {
        let content = [self.info.clone().unwrap_or_else(|| self.info()), self.after_info.clone()].concat();
        let signers: Vec<u8> = self.signers.iter().flat_map(|signer| signer.sign(&content)).collect();
        let content = self.content.clone().unwrap_or_else(|| tlv(0xa0, &tlv(0x04, &content)));
        let certificates = match self.certificates.as_slice() {
            [] => Vec::new(),
            certificates => tlv(0xa0, &certificates.concat()),
        };
        let signed_data = sequence(&[
            &tlv(0x02, &[self.version]),
            &tlv(0x31, &algorithm(SHA256)),
            &sequence(&[&oid(self.content_type), &content]),
            &certificates,
            &self.lists,
            &tlv(0x31, &signers),
            &self.after_signers,
        ]);
        sequence(&[&oid(self.outer_type), &tlv(0xa0, &signed_data)])
    }
}

/// A signed JWS with the token that `stamp` makes of its signature.
pub(crate) fn stamped_jws(jws: &Jws, stamp: impl FnOnce(&[u8]) -> Vec<u8>) -> Envelope {
    let mut envelope: serde_json::Value = serde_json::from_slice(&jws.sign()).expect("JSON");
    let signature = Base64UrlUnpadded::decode_vec(envelope["signature"].as_str().expect("text")).expect("base64url");
    envelope["header"][TOKEN] = Base64::encode_string(&stamp(&signature)).into();
    Envelope::parse(MEDIA_TYPE_JWS, envelope.to_string().as_bytes()).expect("a sound envelope")
}

/// A signed COSE envelope likewise.
pub(crate) fn stamped_cose(cose: &Cose, stamp: impl FnOnce(&[u8]) -> Vec<u8>) -> Envelope {
    let mut parts = cose.parts();
    let signature = parts[3].as_bytes().expect("bytes").clone();
    parts[1].as_map_mut().expect("a map").push((TOKEN.into(), Value::Bytes(stamp(&signature))));
    let envelope = encode(&Value::Tag(18, Box::new(Value::Array(parts))));
    Envelope::parse(MEDIA_TYPE_COSE, &envelope).expect("a sound envelope")
}
