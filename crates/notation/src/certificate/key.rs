// SPDX-License-Identifier: Apache-2.0
//! Public keys of certificates, and the signatures that they verify.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use aws_lc_rs::signature::{
    self as lc, ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1,
    ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED, ECDSA_P384_SHA512_ASN1,
    ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ECDSA_P521_SHA512_FIXED, ED25519,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, VerificationAlgorithm,
};
use const_oid::db::{rfc5912, rfc8410};
use der::asn1::{AnyRef, BitStringRef, UintRef};
use der::{Decode, Sequence, Tag, Tagged};
use spki::AlgorithmIdentifierRef;

use crate::algorithm::{Hash, SignatureAlgorithm};
use crate::asn1::Elements;

/// An uncompressed point of the curve P-224.
const P224_POINT_BYTES: usize = 57;

/// A public key: what kind, and the DER of its `SubjectPublicKeyInfo` as received.
#[derive(Clone, Debug)]
pub(crate) struct PublicKey {
    kind: KeyKind,
    spki: Arc<[u8]>,
}

/// The kinds of key that may occur in a chain. All others verify nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyKind {
    /// RSA, with the length of the modulus in bits.
    Rsa(usize),
    P256,
    P384,
    P521,
    Ed25519,
    Other,
}

impl PublicKey {
    /// Reads a `SubjectPublicKeyInfo`. A key of an unknown kind is no error; a malformed one of a kind that Go knows is,
    /// because there the whole certificate is.
    pub(crate) fn from_der(spki: &[u8]) -> der::Result<Self> {
        let mut elements = Elements::of_sequence(spki)?;
        let algorithm = elements.raw()?;
        // Go reads fewer object identifiers than the library does.
        Elements::of_sequence(algorithm)?.oid()?;
        let algorithm = AlgorithmIdentifierRef::from_der(algorithm)?;
        let key = elements.decode::<BitStringRef<'_>>()?;
        elements.finish()?;
        let key = key.as_bytes().ok_or_else(|| Tag::BitString.value_error())?;
        let kind = match algorithm.oid {
            rfc5912::RSA_ENCRYPTION => rsa_kind(algorithm.parameters, key)?,
            rfc5912::ID_EC_PUBLIC_KEY => ec_kind(algorithm.parameters, key)?,
            rfc8410::ID_ED_25519 => {
                check_edwards_key(algorithm.parameters, key)?;
                KeyKind::Ed25519
            }
            rfc8410::ID_X_25519 => {
                check_edwards_key(algorithm.parameters, key)?;
                KeyKind::Other
            }
            rfc5912::ID_DSA => {
                check_dsa_key(algorithm.parameters, key)?;
                KeyKind::Other
            }
            _ => KeyKind::Other,
        };
        Ok(Self { kind, spki: Arc::from(spki) })
    }

    /// The DER of its `SubjectPublicKeyInfo`, as received.
    pub(crate) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The same, to be kept elsewhere.
    pub(crate) fn shared_spki(&self) -> Arc<[u8]> {
        Arc::clone(&self.spki)
    }

    /// What is inside its BIT STRING: what OCSP calls the value of the key (RFC 6960 section 4.1.1).
    pub(crate) fn bits(&self) -> &[u8] {
        let bits = |spki| {
            let mut elements = Elements::of_sequence(spki)?;
            elements.raw()?;
            elements.decode::<BitStringRef<'_>>()
        };
        // It was read once, so it can be read again.
        bits(&self.spki).ok().and_then(|bits| bits.as_bytes()).unwrap_or_default()
    }

    /// The one algorithm that signatures with this key have (signature-specification.md, "Algorithm selection").
    /// None if the key is of another kind or length, and so may not sign artifacts (CC-7).
    pub(crate) fn algorithm(&self) -> Option<SignatureAlgorithm> {
        match self.kind {
            KeyKind::Rsa(2048) => Some(SignatureAlgorithm::Ps256),
            KeyKind::Rsa(3072) => Some(SignatureAlgorithm::Ps384),
            KeyKind::Rsa(4096) => Some(SignatureAlgorithm::Ps512),
            KeyKind::P256 => Some(SignatureAlgorithm::Es256),
            KeyKind::P384 => Some(SignatureAlgorithm::Es384),
            KeyKind::P521 => Some(SignatureAlgorithm::Es512),
            KeyKind::Rsa(_) | KeyKind::Ed25519 | KeyKind::Other => None,
        }
    }

    /// Whether this is the signature of an envelope. RSA-PSS has a salt as long as the hash (JW-8, RFC 7518 3.5, RFC
    /// 8230 2), ECDSA is `r‖s` of fixed length (JW-9, RFC 7518 3.4, RFC 9053 2.1).
    ///
    /// Off-spec: in JWS notation-go accepts a salt of any length.
    pub(crate) fn verifies_envelope(&self, algorithm: SignatureAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        let verification: &'static dyn VerificationAlgorithm = match algorithm {
            SignatureAlgorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
            SignatureAlgorithm::Ps384 => &RSA_PSS_2048_8192_SHA384,
            SignatureAlgorithm::Ps512 => &RSA_PSS_2048_8192_SHA512,
            SignatureAlgorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
            SignatureAlgorithm::Es384 => &ECDSA_P384_SHA384_FIXED,
            SignatureAlgorithm::Es512 => &ECDSA_P521_SHA512_FIXED,
        };
        self.algorithm() == Some(algorithm) && self.verify(verification, message, signature)
    }

    /// Whether this is the signature of a certificate, by the `AlgorithmIdentifier` that the certificate names.
    /// SHA-1, MD5 and whatever else is unknown verify nothing (CC-8).
    pub(crate) fn verifies_certificate(&self, algorithm: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let Ok(algorithm) = AlgorithmIdentifierRef::from_der(algorithm) else { return false };
        match verification_of_certificate(&algorithm, self.kind) {
            Some(verification) => self.verify(verification, message, signature),
            None => false,
        }
    }

    /// Whether this is the signature of a CMS `SignerInfo` (RFC 5652 section 5.4) with these digest and signature
    /// algorithms (AT-9). `rsaEncryption` alone names no hash, so there the digest algorithm does (RFC 3370 3.2); with
    /// RSA-PSS both must name the same. Ed25519 is none of the algorithms of notation-go here.
    pub(crate) fn verifies_signer_info(
        &self,
        digest: Hash,
        algorithm: &AlgorithmIdentifierRef<'_>,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let verification = match algorithm.oid {
            rfc5912::RSA_ENCRYPTION if matches!(self.kind, KeyKind::Rsa(_)) => Some(pkcs1(digest)),
            rfc5912::ID_RSASSA_PSS if algorithm.parameters.and_then(pss_hash) != Some(digest) => None,
            rfc8410::ID_ED_25519 => None,
            _ => verification_of_certificate(algorithm, self.kind),
        };
        verification.is_some_and(|verification| self.verify(verification, message, signature))
    }

    fn verify(&self, verification: &'static dyn VerificationAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        lc::UnparsedPublicKey::new(verification, &self.spki).verify(message, signature).is_ok()
    }
}

fn rsa_kind(parameters: Option<AnyRef<'_>>, key: &[u8]) -> der::Result<KeyKind> {
    // RFC 3279 2.3.1: the parameters are NULL.
    expect(parameters.is_some_and(AnyRef::is_null))?;
    let mut elements = Elements::of_sequence(key)?;
    let modulus: UintRef<'_> = elements.decode()?;
    let exponent: UintRef<'_> = elements.decode()?;
    elements.finish()?;
    expect(is_positive(modulus) && is_positive(exponent) && is_int64(exponent))?;
    // Go's limits for a key that verifies anything: an odd exponent from 3 to 2^31 - 1.
    let exponent_value = exponent
        .as_bytes()
        .iter()
        .try_fold(0_u32, |value, byte| value.checked_mul(256).and_then(|value| value.checked_add(u32::from(*byte))));
    let in_range = exponent_value.is_some_and(|e| (3..=0x7fff_ffff).contains(&e) && e % 2 == 1);
    let bytes = modulus.as_bytes();
    let leading = bytes.first().map_or(8, |first| first.leading_zeros() as usize);
    let bits = bytes.len().saturating_mul(8).saturating_sub(leading);
    Ok(if in_range { KeyKind::Rsa(bits) } else { KeyKind::Other })
}

/// Only named curves, and only uncompressed points (SEC 1 2.3.3) that are on the curve, as Go reads them.
fn ec_kind(parameters: Option<AnyRef<'_>>, key: &[u8]) -> der::Result<KeyKind> {
    let parameters = parameters.ok_or_else(|| Tag::ObjectIdentifier.value_error())?;
    let (kind, verification): (_, &'static dyn VerificationAlgorithm) = match parameters.decode_as()? {
        rfc5912::SECP_256_R_1 => (KeyKind::P256, &ECDSA_P256_SHA256_ASN1),
        rfc5912::SECP_384_R_1 => (KeyKind::P384, &ECDSA_P384_SHA384_ASN1),
        rfc5912::SECP_521_R_1 => (KeyKind::P521, &ECDSA_P521_SHA512_ASN1),
        // It verifies nothing here, so where its point is does not matter.
        rfc5912::SECP_224_R_1 => {
            expect(key.first() == Some(&0x04) && key.len() == P224_POINT_BYTES)?;
            return Ok(KeyKind::Other);
        }
        _ => return Err(Tag::ObjectIdentifier.value_error().into()),
    };
    let is_on_curve = || lc::ParsedPublicKey::new(verification, key).is_ok();
    expect(key.first() == Some(&0x04) && is_on_curve())?;
    Ok(kind)
}

/// RFC 8410 section 3: without parameters, 32 bytes.
fn check_edwards_key(parameters: Option<AnyRef<'_>>, key: &[u8]) -> der::Result<()> {
    expect(parameters.is_none() && key.len() == 32)
}

/// RFC 3279 section 2.3.2. Such keys verify nothing.
fn check_dsa_key(parameters: Option<AnyRef<'_>>, key: &[u8]) -> der::Result<()> {
    let parameters = parameters.ok_or_else(|| Tag::Sequence.value_error())?;
    parameters.tag().assert_eq(Tag::Sequence)?;
    let mut numbers = Elements::inside(parameters.value())?;
    for _ in 0..3 {
        expect(is_positive(numbers.decode()?))?;
    }
    expect(is_positive(UintRef::from_der(key)?))
}

fn is_positive(number: UintRef<'_>) -> bool {
    number.as_bytes().iter().any(|byte| *byte != 0)
}

fn is_int64(number: UintRef<'_>) -> bool {
    match number.as_bytes() {
        [first, rest @ ..] if rest.len() == 7 => *first < 0x80,
        bytes => bytes.len() < 8,
    }
}

fn expect(holds: bool) -> der::Result<()> {
    if holds { Ok(()) } else { Err(Tag::BitString.value_error().into()) }
}

fn pkcs1(hash: Hash) -> &'static dyn VerificationAlgorithm {
    match hash {
        Hash::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
        Hash::Sha384 => &RSA_PKCS1_2048_8192_SHA384,
        Hash::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
    }
}

fn verification_of_certificate(
    algorithm: &AlgorithmIdentifierRef<'_>,
    key: KeyKind,
) -> Option<&'static dyn VerificationAlgorithm> {
    use Hash::{Sha256, Sha384, Sha512};
    use KeyKind::{Ed25519, P256, P384, P521, Rsa};

    let hash = match algorithm.oid {
        rfc5912::SHA_256_WITH_RSA_ENCRYPTION | rfc5912::ECDSA_WITH_SHA_256 => Some(Sha256),
        rfc5912::SHA_384_WITH_RSA_ENCRYPTION | rfc5912::ECDSA_WITH_SHA_384 => Some(Sha384),
        rfc5912::SHA_512_WITH_RSA_ENCRYPTION | rfc5912::ECDSA_WITH_SHA_512 => Some(Sha512),
        _ => None,
    };
    let is_ecdsa = matches!(
        algorithm.oid,
        rfc5912::ECDSA_WITH_SHA_256 | rfc5912::ECDSA_WITH_SHA_384 | rfc5912::ECDSA_WITH_SHA_512
    );
    let verification: &'static dyn VerificationAlgorithm = match (key, hash) {
        (Rsa(_), None) if algorithm.oid == rfc5912::ID_RSASSA_PSS => match pss_hash(algorithm.parameters?)? {
            Sha256 => &RSA_PSS_2048_8192_SHA256,
            Sha384 => &RSA_PSS_2048_8192_SHA384,
            Sha512 => &RSA_PSS_2048_8192_SHA512,
        },
        (Rsa(_), Some(hash)) if !is_ecdsa => pkcs1(hash),
        (P256, Some(Sha256)) if is_ecdsa => &ECDSA_P256_SHA256_ASN1,
        (P256, Some(Sha384)) if is_ecdsa => &ECDSA_P256_SHA384_ASN1,
        (P256, Some(Sha512)) if is_ecdsa => &ECDSA_P256_SHA512_ASN1,
        (P384, Some(Sha256)) if is_ecdsa => &ECDSA_P384_SHA256_ASN1,
        (P384, Some(Sha384)) if is_ecdsa => &ECDSA_P384_SHA384_ASN1,
        (P384, Some(Sha512)) if is_ecdsa => &ECDSA_P384_SHA512_ASN1,
        (P521, Some(Sha256)) if is_ecdsa => &ECDSA_P521_SHA256_ASN1,
        (P521, Some(Sha384)) if is_ecdsa => &ECDSA_P521_SHA384_ASN1,
        (P521, Some(Sha512)) if is_ecdsa => &ECDSA_P521_SHA512_ASN1,
        (Ed25519, None) if algorithm.oid == rfc8410::ID_ED_25519 && algorithm.parameters.is_none() => &ED25519,
        _ => return None,
    };
    Some(verification)
}

/// `RSASSA-PSS-params` of RFC 4055 section 3.1, without the SHA-1 defaults.
#[derive(Sequence)]
struct PssParameters<'a> {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    hash: AlgorithmIdentifierRef<'a>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT")]
    mask: AlgorithmIdentifierRef<'a>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT")]
    salt_length: u8,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    trailer: Option<u8>,
}

/// The hash of an RSA-PSS signature; none unless MGF1 has the same hash and the salt is as long, as Go demands.
fn pss_hash(parameters: AnyRef<'_>) -> Option<Hash> {
    let parameters: PssParameters<'_> = parameters.decode_as().ok()?;
    let plain = |algorithm: &AlgorithmIdentifierRef<'_>| algorithm.parameters.is_none_or(AnyRef::is_null);
    let mask_hash: AlgorithmIdentifierRef<'_> = parameters.mask.parameters?.decode_as().ok()?;
    let hash = Hash::from_oid(parameters.hash.oid.as_bytes())?;
    let fits = parameters.mask.oid == rfc5912::ID_MGF_1
        && mask_hash.oid == parameters.hash.oid
        && plain(&parameters.hash)
        && plain(&mask_hash)
        && parameters.salt_length == hash.length()
        && parameters.trailer.is_none_or(|trailer| trailer == 1);
    fits.then_some(hash)
}
