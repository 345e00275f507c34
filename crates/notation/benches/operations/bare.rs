// SPDX-License-Identifier: Apache-2.0
//! The signature checks that an envelope contains, without anything around them: key, message and signature lie ready.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED,
    ECDSA_P521_SHA512_ASN1, ECDSA_P521_SHA512_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use coset::{CoseSign1, TaggedCborSerializable};
use der::asn1::{AnyRef, BitStringRef};
use der::{Decode, Reader, SliceReader};

use super::Operation;
use crate::support::key::{Kind, key};

type Algorithm = &'static dyn VerificationAlgorithm;

/// A signature with what it takes to check it.
struct Signed {
    algorithm: Algorithm,
    spki: Vec<u8>,
    message: Vec<u8>,
    signature: Vec<u8>,
}

impl Signed {
    fn verify(&self) {
        let key = UnparsedPublicKey::new(self.algorithm, &self.spki);
        key.verify(&self.message, &self.signature).expect("a good signature");
    }
}

fn algorithms(kind: Kind) -> (Algorithm, Algorithm) {
    match kind {
        Kind::Rsa2048 => (&RSA_PSS_2048_8192_SHA256, &RSA_PKCS1_2048_8192_SHA256),
        Kind::Rsa3072 => (&RSA_PSS_2048_8192_SHA384, &RSA_PKCS1_2048_8192_SHA256),
        Kind::Rsa4096 => (&RSA_PSS_2048_8192_SHA512, &RSA_PKCS1_2048_8192_SHA256),
        Kind::P384 => (&ECDSA_P384_SHA384_FIXED, &ECDSA_P384_SHA384_ASN1),
        Kind::P521 => (&ECDSA_P521_SHA512_FIXED, &ECDSA_P521_SHA512_ASN1),
        _ => (&ECDSA_P256_SHA256_FIXED, &ECDSA_P256_SHA256_ASN1),
    }
}

/// The checks of a COSE envelope whose chain has keys of one kind: of its own signature, of every certificate's, the
/// root's own too, and of `more` that a timestamp adds.
pub(super) fn checks(name: String, kind: Kind, envelope: &[u8], chain: &[Vec<u8>], more: usize) -> Operation {
    let (of_envelopes, of_certificates) = algorithms(kind);
    let spki = key(kind).spki();
    let sign1 = CoseSign1::from_tagged_slice(envelope).expect("an envelope");
    let (message, signature) = (sign1.tbs_data(&[]), sign1.signature);
    let mut all = vec![Signed { algorithm: of_envelopes, spki: spki.clone(), message, signature }];
    for der in chain {
        let (message, signature) = split(der);
        all.push(Signed { algorithm: of_certificates, spki: spki.clone(), message, signature });
    }
    for number in 0..more {
        let message = vec![u8::try_from(number).expect("few"); 800];
        let signature = key(kind).sign_certificate(&message);
        all.push(Signed { algorithm: of_certificates, spki: spki.clone(), message, signature });
    }
    Operation::new(name, move || all.iter().for_each(Signed::verify))
}

/// The signed part of a certificate as it stands, and its signature.
fn split(certificate: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let outer = AnyRef::from_der(certificate).expect("a certificate");
    let mut fields = SliceReader::new(outer.value()).expect("its fields");
    let signed = fields.tlv_bytes().expect("the signed part").to_vec();
    fields.tlv_bytes().expect("the algorithm");
    let signature: BitStringRef<'_> = fields.decode().expect("the signature");
    (signed, signature.as_bytes().expect("bytes").to_vec())
}
