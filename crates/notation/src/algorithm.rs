// SPDX-License-Identifier: Apache-2.0
//! The six signature algorithms of the Notary Project and the keys that imply them.

use std::fmt;

use aws_lc_rs::digest::{self, Digest};
use const_oid::db::rfc5912;

use crate::outcome::words;

/// A signature algorithm. It follows from the leaf's key and is never a free choice of the envelope
/// (signature-specification.md, "Algorithm selection").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignatureAlgorithm {
    /// RSASSA-PSS with SHA-256, RSA key of 2048 bits.
    Ps256,
    /// RSASSA-PSS with SHA-384, RSA key of 3072 bits.
    Ps384,
    /// RSASSA-PSS with SHA-512, RSA key of 4096 bits.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
}
words!(SignatureAlgorithm {
    Ps256 => "PS256", Ps384 => "PS384", Ps512 => "PS512", Es256 => "ES256", Es384 => "ES384", Es512 => "ES512",
});

impl SignatureAlgorithm {
    /// All six.
    pub const ALL: [Self; 6] = [Self::Ps256, Self::Ps384, Self::Ps512, Self::Es256, Self::Es384, Self::Es512];
}

/// The hashes of the SHA-2 family that signatures, certificates and timestamps may use. SHA-1 is none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// The hash of this object identifier, given as its DER value.
    pub(crate) fn from_oid(oid: &[u8]) -> Option<Self> {
        let known = [
            (rfc5912::ID_SHA_256, Self::Sha256),
            (rfc5912::ID_SHA_384, Self::Sha384),
            (rfc5912::ID_SHA_512, Self::Sha512),
        ];
        known.into_iter().find(|(known, _)| known.as_bytes() == oid).map(|(_, hash)| hash)
    }

    /// Bytes of a digest.
    pub(crate) fn length(self) -> u8 {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    pub(crate) fn digest(self, message: &[u8]) -> Digest {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, message)
    }
}
