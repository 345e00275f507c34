// SPDX-License-Identifier: Apache-2.0
//! Revocation lists and OCSP responses in which any field can be made wrong, and certificates that say where they are.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use sealwatch_notation::{Certificate, RevocationAnswers, RevocationList};

use super::der::{bit_string, oid, sequence, tlv};
use super::key::{Kind, key};
use super::pki::{DIGITAL_SIGNATURE, Signer, Template, eku, extension, key_usage};

pub(crate) const OCSP_URL: &str = "http://ocsp.example/";
pub(crate) const CRL_URL: &str = "http://crl.example/root.crl";
pub(crate) const DELTA_URL: &str = "http://crl.example/delta.crl";
pub(crate) const NO_CHECK: &str = "1.3.6.1.5.5.7.48.1.5";
pub(crate) const OCSP_SIGNING: &str = "1.3.6.1.5.5.7.3.9";
const INVALIDITY_DATE: &str = "2.5.29.24";

/// Authority information access with OCSP responders at these URLs.
pub(crate) fn ocsp_at(urls: &[&str]) -> Vec<u8> {
    let entry = |url: &&str| sequence(&[&oid("1.3.6.1.5.5.7.48.1"), &tlv(0x86, url.as_bytes())]);
    extension("1.3.6.1.5.5.7.1.1", false, &tlv(0x30, &urls.iter().flat_map(entry).collect::<Vec<u8>>()))
}

/// CRL distribution points, each with these URLs.
pub(crate) fn crl_at(points: &[&[&str]]) -> Vec<u8> {
    extension("2.5.29.31", false, &points_value(points))
}

/// Where deltas are: in a list, or in a certificate.
pub(crate) fn freshest_at(urls: &[&str]) -> Vec<u8> {
    extension("2.5.29.46", false, &points_value(&[urls]))
}

fn points_value(points: &[&[&str]]) -> Vec<u8> {
    let point = |urls: &&[&str]| sequence(&[&point_name(urls)]);
    tlv(0x30, &points.iter().flat_map(point).collect::<Vec<u8>>())
}

/// `[0]` with a full name of these URLs.
pub(crate) fn point_name(urls: &[&str]) -> Vec<u8> {
    let names: Vec<u8> = urls.iter().flat_map(|url| tlv(0x86, url.as_bytes())).collect();
    tlv(0xa0, &tlv(0xa0, &names))
}

/// A critical `issuingDistributionPoint`.
pub(crate) fn issuing_point(fields: &[&[u8]]) -> Vec<u8> {
    extension("2.5.29.28", true, &sequence(fields))
}

pub(crate) fn crl_number(number: &[u8]) -> Vec<u8> {
    extension("2.5.29.20", false, &tlv(0x02, number))
}

/// What makes a list a delta.
pub(crate) fn delta_of(number: &[u8]) -> Vec<u8> {
    extension("2.5.29.27", true, &tlv(0x02, number))
}

pub(crate) fn reason(code: u8) -> Vec<u8> {
    extension("2.5.29.21", false, &[0x0a, 0x01, code])
}

pub(crate) fn invalid_since(date: &str) -> Vec<u8> {
    extension(INVALIDITY_DATE, false, &tlv(0x18, date.as_bytes()))
}

/// An entry of a list.
pub(crate) fn entry(serial: &[u8], date: &str, extensions: &[Vec<u8>]) -> Vec<u8> {
    let extensions = if extensions.is_empty() { Vec::new() } else { tlv(0x30, &extensions.concat()) };
    sequence(&[&tlv(0x02, serial), &time(date), &extensions])
}

/// A time of either kind, by its length.
fn time(text: &str) -> Vec<u8> {
    tlv(if text.len() == 13 { 0x17 } else { 0x18 }, text.as_bytes())
}

/// Everything that a revocation list says.
#[derive(Clone)]
pub(crate) struct List {
    pub(crate) version: Option<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) key: Kind,
    pub(crate) this_update: &'static str,
    pub(crate) next_update: Option<&'static str>,
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) extensions: Vec<Vec<u8>>,
    pub(crate) inner_algorithm: Option<Vec<u8>>,
    pub(crate) outer_algorithm: Option<Vec<u8>>,
    pub(crate) signature: Option<Vec<u8>>,
}

impl List {
    /// An empty list of [`Template::root`], good for the time of the tests.
    pub(crate) fn new() -> Self {
        Self {
            version: Some(1),
            issuer: Template::root().subject,
            key: Kind::Root,
            this_update: "20261101000000Z",
            next_update: Some("261201000000Z"),
            entries: Vec::new(),
            extensions: vec![crl_number(&[5])],
            inner_algorithm: None,
            outer_algorithm: None,
            signature: None,
        }
    }

    /// With the tests' leaf in it, for this reason.
    pub(crate) fn revoking(reasons: &[Vec<u8>]) -> Self {
        Self { entries: vec![entry(&[0x01], "260601000000Z", reasons)], ..Self::new() }
    }

    pub(crate) fn with_extension(mut self, extension: Vec<u8>) -> Self {
        self.extensions.push(extension);
        self
    }

    pub(crate) fn issue(&self) -> Vec<u8> {
        let own = key(self.key).certificate_algorithm();
        let entries = if self.entries.is_empty() { Vec::new() } else { tlv(0x30, &self.entries.concat()) };
        let extensions = match self.extensions.as_slice() {
            [] => Vec::new(),
            extensions => tlv(0xa0, &tlv(0x30, &extensions.concat())),
        };
        let tbs = sequence(&[
            &self.version.map(|version| tlv(0x02, &[version])).unwrap_or_default(),
            self.inner_algorithm.as_ref().unwrap_or(&own),
            &self.issuer,
            &time(self.this_update),
            &self.next_update.map(time).unwrap_or_default(),
            &entries,
            &extensions,
        ]);
        let signature = self.signature.clone().unwrap_or_else(|| bit_string(0, &key(self.key).sign_certificate(&tbs)));
        sequence(&[&tbs, self.outer_algorithm.as_ref().unwrap_or(&own), &signature])
    }

    pub(crate) fn parsed(&self) -> RevocationList {
        RevocationList::from_der(self.issue()).expect("a list of the test")
    }
}

pub(crate) fn sha1(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec()
}

/// What is inside the BIT STRING of a key of the tests.
pub(crate) fn key_bits(kind: Kind) -> Vec<u8> {
    // The keys are of P-256: an uncompressed point stands at the end.
    let spki = key(kind).spki();
    spki[spki.len() - 65..].to_vec()
}

pub(crate) const GOOD: [u8; 2] = [0x80, 0x00];
pub(crate) const UNKNOWN: [u8; 2] = [0x82, 0x00];

/// `revoked`, for this reason.
pub(crate) fn revoked(code: Option<u8>) -> Vec<u8> {
    let reason = code.map(|code| tlv(0xa0, &[0x0a, 0x01, code])).unwrap_or_default();
    tlv(0xa1, &[tlv(0x18, b"20260601000000Z"), reason].concat())
}

/// One answer of an OCSP response.
#[derive(Clone)]
pub(crate) struct Single {
    pub(crate) hash: &'static str,
    pub(crate) issuer_name: Vec<u8>,
    pub(crate) issuer_key: Vec<u8>,
    pub(crate) serial: Vec<u8>,
    pub(crate) status: Vec<u8>,
    pub(crate) this_update: &'static str,
    pub(crate) next_update: Option<&'static str>,
    pub(crate) extensions: Vec<Vec<u8>>,
}

impl Single {
    /// About the tests' leaf below the root.
    pub(crate) fn new(status: &[u8]) -> Self {
        Self {
            hash: "1.3.14.3.2.26",
            issuer_name: sha1(&Template::root().subject),
            issuer_key: sha1(&key_bits(Kind::Root)),
            serial: vec![0x01],
            status: status.to_vec(),
            this_update: "20261120000000Z",
            next_update: Some("20261127000000Z"),
            extensions: Vec::new(),
        }
    }

    fn encode(&self) -> Vec<u8> {
        let id = sequence(&[
            &sequence(&[&oid(self.hash), &[0x05, 0x00]]),
            &tlv(0x04, &self.issuer_name),
            &tlv(0x04, &self.issuer_key),
            &tlv(0x02, &self.serial),
        ]);
        let next_update = self.next_update.map(|time| tlv(0xa0, &tlv(0x18, time.as_bytes()))).unwrap_or_default();
        let this_update = tlv(0x18, self.this_update.as_bytes());
        sequence(&[&id, &self.status, &this_update, &next_update, &extensions(0xa1, &self.extensions)])
    }
}

fn extensions(tag: u8, extensions: &[Vec<u8>]) -> Vec<u8> {
    if extensions.is_empty() { Vec::new() } else { tlv(tag, &tlv(0x30, &extensions.concat())) }
}

/// Everything that an OCSP response says.
#[derive(Clone)]
pub(crate) struct Ocsp {
    pub(crate) status: u8,
    pub(crate) kind: &'static str,
    pub(crate) version: Vec<u8>,
    pub(crate) responder: Vec<u8>,
    pub(crate) singles: Vec<Single>,
    pub(crate) extensions: Vec<Vec<u8>>,
    pub(crate) key: Kind,
    pub(crate) algorithm: Option<Vec<u8>>,
    pub(crate) signature: Option<Vec<u8>>,
    pub(crate) certificates: Vec<Vec<u8>>,
}

impl Ocsp {
    /// What [`Template::root`] says about the tests' leaf.
    pub(crate) fn new(status: &[u8]) -> Self {
        Self {
            status: 0,
            kind: "1.3.6.1.5.5.7.48.1.1",
            version: Vec::new(),
            responder: by_key(Kind::Root),
            singles: vec![Single::new(status)],
            extensions: Vec::new(),
            key: Kind::Root,
            algorithm: None,
            signature: None,
            certificates: Vec::new(),
        }
    }

    /// What a responder with this certificate says.
    pub(crate) fn by(responder: &Template, status: &[u8]) -> Self {
        Self {
            responder: by_key(responder.key),
            key: responder.key,
            certificates: vec![responder.issue()],
            ..Self::new(status)
        }
    }

    pub(crate) fn issue(&self) -> Vec<u8> {
        if self.status != 0 {
            return sequence(&[&tlv(0x0a, &[self.status])]);
        }
        let singles: Vec<u8> = self.singles.iter().flat_map(Single::encode).collect();
        let produced = tlv(0x18, b"20261120000000Z");
        let extensions = extensions(0xa1, &self.extensions);
        let tbs = sequence(&[&self.version, &self.responder, &produced, &tlv(0x30, &singles), &extensions]);
        let signature = self.signature.clone().unwrap_or_else(|| bit_string(0, &key(self.key).sign_certificate(&tbs)));
        let algorithm = self.algorithm.clone().unwrap_or_else(|| key(self.key).certificate_algorithm());
        let certificates = match self.certificates.as_slice() {
            [] => Vec::new(),
            certificates => tlv(0xa0, &tlv(0x30, &certificates.concat())),
        };
        let basic = sequence(&[&tbs, &algorithm, &signature, &certificates]);
        let bytes = sequence(&[&oid(self.kind), &tlv(0x04, &basic)]);
        sequence(&[&tlv(0x0a, &[0]), &tlv(0xa0, &bytes)])
    }
}

/// `responderID` by the hash of a key.
pub(crate) fn by_key(kind: Kind) -> Vec<u8> {
    tlv(0xa2, &tlv(0x04, &sha1(&key_bits(kind))))
}

/// `responderID` by a name.
pub(crate) fn by_name(name: &[u8]) -> Vec<u8> {
    tlv(0xa1, name)
}

/// A responder that the root appointed for good.
pub(crate) fn responder() -> Template {
    Template {
        subject: super::der::simple_name("CN=Sealwatch Test OCSP,O=Microsoft Corporation,C=US"),
        serial: vec![0x07],
        key: Kind::Next,
        extensions: vec![key_usage(DIGITAL_SIGNATURE), eku(&[OCSP_SIGNING]), extension(NO_CHECK, false, &[0x05, 0x00])],
        ..Template::leaf()
    }
}

/// The tests' leaf with OCSP, with a revocation list, or with both.
pub(crate) fn leaf_with(extensions: &[Vec<u8>]) -> Template {
    extensions.iter().fold(Template::leaf(), |leaf, extension| leaf.with_extension(extension.clone()))
}

/// The leaf's certificate, as answers are kept for it.
pub(crate) fn certificate(signer: &Signer) -> Certificate {
    Certificate::from_der(&signer.chain[0]).expect("a certificate of the test")
}

/// Answers: of responders by URL, and of lists by URL.
pub(crate) fn answers(signer: &Signer, ocsp: &[(&str, Vec<u8>)], lists: &[(&str, &List)]) -> RevocationAnswers {
    let mut answers = RevocationAnswers::default();
    for (url, response) in ocsp {
        answers.insert_ocsp(url, &certificate(signer), Ok(response.clone()));
    }
    for (url, list) in lists {
        answers.insert_crl(url, RevocationList::from_der(list.issue()).map_err(|error| error.to_string()));
    }
    answers
}
