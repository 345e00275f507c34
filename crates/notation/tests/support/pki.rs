// SPDX-License-Identifier: Apache-2.0
//! Certificates and chains.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::SIGNER;
use super::der::{bit_string, oid, sequence, simple_name, tlv};
use super::key::{Kind, key};

pub(crate) const DIGITAL_SIGNATURE: u16 = 1 << 15;
pub(crate) const NON_REPUDIATION: u16 = 1 << 14;
pub(crate) const KEY_ENCIPHERMENT: u16 = 1 << 13;
pub(crate) const DATA_ENCIPHERMENT: u16 = 1 << 12;
pub(crate) const KEY_AGREEMENT: u16 = 1 << 11;
pub(crate) const KEY_CERT_SIGN: u16 = 1 << 10;
pub(crate) const CRL_SIGN: u16 = 1 << 9;
pub(crate) const ENCIPHER_ONLY: u16 = 1 << 8;
pub(crate) const DECIPHER_ONLY: u16 = 1 << 7;

/// Certificates by issuer's key, signed part and outer algorithm.
type Issued = BTreeMap<(u8, Vec<u8>, Option<Vec<u8>>), Vec<u8>>;
static ISSUED: Mutex<Issued> = Mutex::new(BTreeMap::new());

/// Everything that a certificate says; each field may be changed before it is issued.
#[derive(Clone)]
pub(crate) struct Template {
    pub(crate) version: Option<u8>,
    pub(crate) serial: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) not_before: &'static str,
    pub(crate) not_after: &'static str,
    pub(crate) key: Kind,
    pub(crate) spki: Option<Vec<u8>>,
    pub(crate) issuer_key: Kind,
    pub(crate) extensions: Vec<Vec<u8>>,
    /// Algorithm identifier, in place of the issuer key's own: in the signed part, and outside.
    pub(crate) inner_algorithm: Option<Vec<u8>>,
    pub(crate) outer_algorithm: Option<Vec<u8>>,
}

impl Template {
    /// A root with its own key.
    pub(crate) fn root() -> Self {
        let name = simple_name("CN=Sealwatch Test Root,O=Microsoft Corporation,C=US");
        Self {
            subject: name.clone(),
            issuer: name,
            key: Kind::Root,
            extensions: vec![basic_constraints(true, None), key_usage(KEY_CERT_SIGN | CRL_SIGN)],
            ..Self::leaf()
        }
    }

    /// An intermediate below [`Template::root`].
    pub(crate) fn intermediate() -> Self {
        Self {
            subject: simple_name("CN=Sealwatch Test CA,O=Microsoft Corporation,C=US"),
            key: Kind::Next,
            extensions: vec![basic_constraints(true, None), key_usage(KEY_CERT_SIGN)],
            ..Self::leaf()
        }
    }

    /// A code-signing leaf below [`Template::root`].
    pub(crate) fn leaf() -> Self {
        Self {
            version: Some(2),
            serial: vec![0x01],
            subject: simple_name(SIGNER),
            issuer: simple_name("CN=Sealwatch Test Root,O=Microsoft Corporation,C=US"),
            not_before: "20200101000000Z",
            not_after: "20391231235959Z",
            key: Kind::P256,
            spki: None,
            issuer_key: Kind::Root,
            extensions: vec![key_usage(DIGITAL_SIGNATURE), eku(&["1.3.6.1.5.5.7.3.3"])],
            inner_algorithm: None,
            outer_algorithm: None,
        }
    }

    /// The same below [`Template::intermediate`].
    pub(crate) fn below_intermediate(self) -> Self {
        Self { issuer: Self::intermediate().subject, issuer_key: Kind::Next, ..self }
    }

    /// A leaf that issued itself.
    pub(crate) fn self_signed() -> Self {
        let leaf = Self::leaf();
        Self { issuer: leaf.subject.clone(), issuer_key: leaf.key, ..leaf }
    }

    pub(crate) fn with_extension(mut self, extension: Vec<u8>) -> Self {
        self.extensions.push(extension);
        self
    }

    /// The certificate in DER: the same bytes each time, although ECDSA signs at random.
    pub(crate) fn issue(&self) -> Vec<u8> {
        let issuer_key = key(self.issuer_key);
        let own = issuer_key.certificate_algorithm();
        let version = self.version.map(|version| tlv(0xa0, &[0x02, 0x01, version])).unwrap_or_default();
        let validity = sequence(&[&tlv(0x18, self.not_before.as_bytes()), &tlv(0x18, self.not_after.as_bytes())]);
        let extensions = match self.extensions.as_slice() {
            [] => Vec::new(),
            extensions => tlv(0xa3, &tlv(0x30, &extensions.concat())),
        };
        let tbs = sequence(&[
            &version,
            &tlv(0x02, &self.serial),
            self.inner_algorithm.as_ref().unwrap_or(&own),
            &self.issuer,
            &validity,
            &self.subject,
            &self.spki.clone().unwrap_or_else(|| key(self.key).spki()),
            &extensions,
        ]);
        let mut issued = ISSUED.lock().expect("no test panics while it issues");
        let sign = || {
            let signature = issuer_key.sign_certificate(&tbs);
            sequence(&[&tbs, self.outer_algorithm.as_ref().unwrap_or(&own), &bit_string(0, &signature)])
        };
        issued.entry((self.issuer_key as u8, tbs.clone(), self.outer_algorithm.clone())).or_insert_with(sign).clone()
    }
}

/// An extension with its DER value.
pub(crate) fn extension(dotted: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[0x01, 0x01, 0xff] } else { &[] };
    sequence(&[&oid(dotted), critical, &tlv(0x04, value)])
}

pub(crate) fn basic_constraints(ca: bool, path_length: Option<u8>) -> Vec<u8> {
    extension("2.5.29.19", true, &basic_constraints_value(ca, path_length))
}

pub(crate) fn basic_constraints_value(ca: bool, path_length: Option<u8>) -> Vec<u8> {
    let ca: &[u8] = if ca { &[0x01, 0x01, 0xff] } else { &[] };
    let path_length = path_length.map(|length| tlv(0x02, &[length])).unwrap_or_default();
    sequence(&[ca, &path_length])
}

pub(crate) fn key_usage(bits: u16) -> Vec<u8> {
    extension("2.5.29.15", true, &key_usage_value(bits))
}

pub(crate) fn key_usage_value(bits: u16) -> Vec<u8> {
    let [first, second] = bits.to_be_bytes();
    match second {
        0 => bit_string(u8::try_from(first.trailing_zeros().min(7)).expect("a bit"), &[first]),
        _ => bit_string(7, &[first, second]),
    }
}

pub(crate) fn eku(usages: &[&str]) -> Vec<u8> {
    let usages: Vec<u8> = usages.iter().flat_map(|usage| oid(usage)).collect();
    extension("2.5.29.37", false, &tlv(0x30, &usages))
}

/// Authority information access with an entry of this method: OCSP is `1.3.6.1.5.5.7.48.1`.
pub(crate) fn authority_information(method: &str) -> Vec<u8> {
    let description = sequence(&[&oid(method), &tlv(0x86, b"http://pki.example/x")]);
    extension("1.3.6.1.5.5.7.1.1", false, &sequence(&[&description]))
}

pub(crate) fn distribution_points(extension_oid: &str) -> Vec<u8> {
    let point = sequence(&[&tlv(0xa0, &tlv(0xa0, &tlv(0x86, b"http://pki.example/crl")))]);
    extension(extension_oid, false, &sequence(&[&point]))
}

/// A chain and the key of its leaf.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) key: Kind,
}

impl Signer {
    /// The default: a P-256 leaf below the root.
    pub(crate) fn new() -> Self {
        Self::with_leaf(&Template::leaf())
    }

    /// This leaf below the root.
    pub(crate) fn with_leaf(leaf: &Template) -> Self {
        Self { chain: vec![leaf.issue(), Template::root().issue()], key: leaf.key }
    }

    /// Leaf, intermediate, root, as given.
    pub(crate) fn with_chain(chain: &[&Template]) -> Self {
        Self { chain: chain.iter().map(|template| template.issue()).collect(), key: chain[0].key }
    }

    pub(crate) fn root(&self) -> &[u8] {
        self.chain.last().expect("a chain")
    }
}
