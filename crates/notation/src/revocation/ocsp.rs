// SPDX-License-Identifier: Apache-2.0
//! OCSP (RFC 6960): the question about one certificate, and what a response says about it.

mod responder;
mod response;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use const_oid::db::rfc5912;
use der::Tag;

pub(super) use responder::Responder;
pub(super) use response::{CertStatus, Response};

use crate::asn1::{Elements, tlv};
use crate::certificate::Certificate;

/// DER of NULL.
const NULL: [u8; 2] = [0x05, 0x00];
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// SHA-1, which the protocol uses as a name and nothing is trusted for (RV-14).
pub(super) fn sha1(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec()
}

/// `CertID`: which certificate a question or an answer is about, by hashes of its issuer's name and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CertId {
    hash: Vec<u8>,
    issuer_name: Vec<u8>,
    issuer_key: Vec<u8>,
    serial: Vec<u8>,
}

impl CertId {
    /// RV-9: with SHA-1, the one hash that every responder knows.
    pub(super) fn of(certificate: &Certificate, issuer: &Certificate) -> Self {
        Self {
            hash: rfc5912::ID_SHA_1.as_bytes().to_vec(),
            issuer_name: sha1(issuer.raw_subject()),
            issuer_key: sha1(issuer.key().bits()),
            serial: certificate.serial().to_vec(),
        }
    }

    /// An `OCSPRequest` for this alone, without nonce and signature (RV-9).
    pub(super) fn to_request(&self) -> Vec<u8> {
        let algorithm = tlv(SEQUENCE, &[tlv(OBJECT_IDENTIFIER, &self.hash), NULL.to_vec()].concat());
        let hashes = [tlv(OCTET_STRING, &self.issuer_name), tlv(OCTET_STRING, &self.issuer_key)].concat();
        let id = [algorithm, hashes, tlv(INTEGER, &self.serial)].concat();
        // OCSPRequest, TBSRequest, the list, Request, CertID.
        (0..5).fold(id, |inside, _| tlv(SEQUENCE, &inside))
    }

    /// Reads the value of a `CertID`. Parameters say nothing for a hash, but are one element at most.
    fn from_der(value: &[u8]) -> der::Result<Self> {
        let mut fields = Elements::inside(value)?;
        let mut algorithm = Elements::inside(fields.value(Tag::Sequence)?)?;
        let hash = algorithm.oid()?.to_vec();
        if !algorithm.is_empty() {
            algorithm.any()?;
        }
        algorithm.finish()?;
        let issuer_name = fields.value(Tag::OctetString)?.to_vec();
        let issuer_key = fields.value(Tag::OctetString)?.to_vec();
        let serial = fields.value(Tag::Integer)?.to_vec();
        fields.finish()?;
        Ok(Self { hash, issuer_name, issuer_key, serial })
    }
}
