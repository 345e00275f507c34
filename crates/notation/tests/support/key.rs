// SPDX-License-Identifier: Apache-2.0
//! Keys of the tests. RSA keys take long to make, so each is made once per test binary.

use std::sync::OnceLock;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
    ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaEncoding, RsaKeyPair,
};

use super::der::{oid, sequence};

/// What a key is; `Root`, `Other` and `Next` are P-256 keys of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Root,
    Other,
    Next,
    Rsa2048,
    Rsa3072,
    Rsa4096,
    P256,
    P384,
    P521,
    Ed25519,
}

pub(crate) enum Key {
    Rsa(&'static dyn RsaEncoding, RsaKeyPair),
    Ec { fixed: EcdsaKeyPair, asn1: EcdsaKeyPair, certificate_algorithm: &'static str },
    Ed25519(Ed25519KeyPair),
}

/// The key of this kind.
pub(crate) fn key(kind: Kind) -> &'static Key {
    static KEYS: [OnceLock<Key>; 10] = [const { OnceLock::new() }; 10];
    KEYS[kind as usize].get_or_init(|| generate(kind))
}

fn generate(kind: Kind) -> Key {
    let rsa = |encoding, size| Key::Rsa(encoding, RsaKeyPair::generate(size).expect("an RSA key"));
    match kind {
        Kind::Rsa2048 => rsa(&RSA_PSS_SHA256, KeySize::Rsa2048),
        Kind::Rsa3072 => rsa(&RSA_PSS_SHA384, KeySize::Rsa3072),
        Kind::Rsa4096 => rsa(&RSA_PSS_SHA512, KeySize::Rsa4096),
        Kind::Root | Kind::Other | Kind::Next | Kind::P256 => {
            ec(&ECDSA_P256_SHA256_FIXED_SIGNING, &ECDSA_P256_SHA256_ASN1_SIGNING, "1.2.840.10045.4.3.2")
        }
        Kind::P384 => ec(&ECDSA_P384_SHA384_FIXED_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING, "1.2.840.10045.4.3.3"),
        Kind::P521 => ec(&ECDSA_P521_SHA512_FIXED_SIGNING, &ECDSA_P521_SHA512_ASN1_SIGNING, "1.2.840.10045.4.3.4"),
        Kind::Ed25519 => Key::Ed25519(Ed25519KeyPair::generate().expect("an Ed25519 key")),
    }
}

fn ec(
    fixed: &'static EcdsaSigningAlgorithm,
    asn1: &'static EcdsaSigningAlgorithm,
    certificate_algorithm: &'static str,
) -> Key {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(fixed, &SystemRandom::new()).expect("an EC key");
    let read = |algorithm| EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref()).expect("an EC key");
    Key::Ec { fixed: read(fixed), asn1: read(asn1), certificate_algorithm }
}

impl Key {
    /// `SubjectPublicKeyInfo`.
    pub(crate) fn spki(&self) -> Vec<u8> {
        match self {
            Self::Rsa(_, pair) => pair.public_key().as_der().expect("DER").as_ref().to_vec(),
            Self::Ec { fixed, .. } => fixed.public_key().as_der().expect("DER").as_ref().to_vec(),
            Self::Ed25519(pair) => pair.public_key().as_der().expect("DER").as_ref().to_vec(),
        }
    }

    /// Signs as envelopes are signed: RSA-PSS, or ECDSA of fixed length.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(encoding, pair) => sign_rsa(pair, *encoding, message),
            Self::Ec { fixed, .. } => fixed.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// Signs as envelopes must not be signed: ECDSA in DER.
    pub(crate) fn sign_asn1(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ec { asn1, .. } => asn1.sign(&SystemRandom::new(), message).expect("a signature").as_ref().to_vec(),
            _ => panic!("only for EC keys"),
        }
    }

    /// Signs as certificates are signed. RSA keys sign with PKCS #1 v1.5 and SHA-256.
    pub(crate) fn sign_certificate(&self, tbs: &[u8]) -> Vec<u8> {
        match self {
            Self::Rsa(_, pair) => sign_rsa(pair, &RSA_PKCS1_SHA256, tbs),
            Self::Ec { .. } => self.sign_asn1(tbs),
            Self::Ed25519(pair) => pair.sign(tbs).as_ref().to_vec(),
        }
    }

    /// The `AlgorithmIdentifier` of such a signature.
    pub(crate) fn certificate_algorithm(&self) -> Vec<u8> {
        match self {
            Self::Rsa(..) => sequence(&[&oid("1.2.840.113549.1.1.11"), &[0x05, 0x00]]),
            Self::Ec { certificate_algorithm, .. } => sequence(&[&oid(certificate_algorithm)]),
            Self::Ed25519(_) => sequence(&[&oid("1.3.101.112")]),
        }
    }
}

fn sign_rsa(pair: &RsaKeyPair, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), message, &mut signature).expect("a signature");
    signature
}
