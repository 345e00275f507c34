// SPDX-License-Identifier: Apache-2.0

//! A two-tier test PKI: a root, and leaves that sign.

use std::time::Duration;

use super::Result;

/// One attribute of a distinguished name, in the order in which it is encoded.
pub type NameAttribute<'a> = (&'a str, &'a str);

/// The kind of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256
    #[default]
    EcP256,
    /// ECDSA on P-384
    EcP384,
    /// RSA with 2048 bits; making one takes up to a second
    Rsa2048,
    /// RSA with 3072 bits; making one takes some seconds in a debug build
    Rsa3072,
}

/// From when until when a certificate is valid, relative to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Valid since so long ago.
    pub since: Duration,
    /// Seconds from now until the end; negative for a certificate that has expired.
    pub ends_in_seconds: i64,
}

impl Default for Validity {
    /// Since an hour ago, for a year.
    fn default() -> Self {
        Self { since: Duration::from_secs(3600), ends_in_seconds: 365 * 24 * 3600 }
    }
}

/// A root certificate with its key.
#[derive(Debug)]
pub struct Root {}

/// A key that signs, with its certificate chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// A name for it, unique in the process; fit for a file name.
    pub name: String,
    /// The private key, PKCS #8 in PEM.
    pub key_pem: String,
    /// Leaf first, root last, in PEM.
    pub chain_pem: String,
}

impl Root {
    /// A self-signed root of this subject, for example `[("CN", "Test Root"), ("O", "Test"), ("C", "US")]`.
    ///
    /// # Errors
    /// An attribute is not one of CN, O, OU, L, ST, C.
    pub fn new(_subject: &[NameAttribute<'_>], _kind: KeyKind) -> Result<Self> {
        Err("the PKI is not built yet".into())
    }

    /// The certificate in PEM, as it goes into a trust store.
    pub fn certificate_pem(&self) -> &str {
        unreachable!("no root can be made yet")
    }

    /// Issues a leaf for code signing.
    ///
    /// # Errors
    /// As [`Root::new`].
    pub fn issue(&self, _subject: &[NameAttribute<'_>], _kind: KeyKind, _validity: Validity) -> Result<SigningKey> {
        unreachable!("no root can be made yet")
    }
}
