// SPDX-License-Identifier: Apache-2.0
//! The six signature algorithms of the Notary Project and the keys that imply them.

use crate::outcome::words;
use std::fmt;

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
