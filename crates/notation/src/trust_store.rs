// SPDX-License-Identifier: Apache-2.0
//! Trust stores: the certificates behind each `type:name` of a trust policy
//! (trust-store-trust-policy.md, "Trust store").

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::certificate::{Certificate, text};

/// Most certificates in one trust store. A limit of ours: the largest public root programmes have about 150.
pub const MAX_CERTIFICATES_PER_STORE: usize = 256;

/// The three kinds of trust store. Which one counts is decided by the signing scheme of a signature, never by the
/// policy: mixing them would let a timestamping or signing authority pass for a publisher (signing-scheme.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrustStoreType {
    /// `ca`: anchors for the scheme `notary.x509`.
    Ca,
    /// `signingAuthority`: anchors for the scheme `notary.x509.signingAuthority`.
    SigningAuthority,
    /// `tsa`: roots of RFC 3161 timestamping authorities.
    Tsa,
}

impl TrustStoreType {
    /// The word that a trust policy writes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::SigningAuthority => "signingAuthority",
            Self::Tsa => "tsa",
        }
    }
}

impl fmt::Display for TrustStoreType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TrustStoreType {
    type Err = TrustStoreRefError;

    /// TP-14: exactly one of the three words, in this case.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "ca" => Ok(Self::Ca),
            "signingAuthority" => Ok(Self::SigningAuthority),
            "tsa" => Ok(Self::Tsa),
            _ => Err(TrustStoreRefError::UnsupportedType { store_type: word.to_owned() }),
        }
    }
}

/// The name of a trust store as a policy writes it: `ca:supplychain`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustStoreRef {
    store_type: TrustStoreType,
    name: String,
}

impl TrustStoreRef {
    /// A reference to the store `name` of type `store_type`.
    ///
    /// # Errors
    /// [`TrustStoreRefError::UnsupportedName`] unless the name is one or more of `a-z A-Z 0-9 _ . -` (TP-15). The
    /// names `.` and `..` are legal; whoever makes a path of a name must refuse them.
    pub fn new(store_type: TrustStoreType, name: impl Into<String>) -> Result<Self, TrustStoreRefError> {
        let name = name.into();
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        if name.is_empty() || !name.bytes().all(legal) {
            return Err(TrustStoreRefError::UnsupportedName { name });
        }
        Ok(Self { store_type, name })
    }

    /// The store's type, the part before the colon.
    pub fn store_type(&self) -> TrustStoreType {
        self.store_type
    }

    /// The store's name, the part after the colon.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for TrustStoreRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.store_type, self.name)
    }
}

impl FromStr for TrustStoreRef {
    type Err = TrustStoreRefError;

    /// Splits at the first colon (TP-13), then applies TP-14 and TP-15.
    fn from_str(value: &str) -> Result<Self, Self::Err> {
        let (store_type, name) =
            value.split_once(':').ok_or_else(|| TrustStoreRefError::Malformed { value: value.to_owned() })?;
        Self::new(store_type.parse()?, name)
    }
}

/// Why a `type:name` is not the name of a trust store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustStoreRefError {
    /// There is no colon (TP-13).
    #[error("malformed trust store value {value:?}: the required format is <type>:<name>")]
    Malformed {
        /// The value as written.
        value: String,
    },
    /// The part before the colon is none of the three types (TP-14).
    #[error("unsupported trust store type {store_type:?}: it must be ca, signingAuthority or tsa")]
    UnsupportedType {
        /// The type as written.
        store_type: String,
    },
    /// The part after the colon has a character that is not allowed, or none at all (TP-15).
    #[error("unsupported trust store name {name:?}: it must match [a-zA-Z0-9_.-]+")]
    UnsupportedName {
        /// The name as written.
        name: String,
    },
}

/// A trust store that may be trusted: every rule about its contents held when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustStore {
    reference: TrustStoreRef,
    certificates: Vec<Certificate>,
}

impl TrustStore {
    /// Makes a trust store of these certificates.
    ///
    /// # Errors
    /// * no certificate (TS-6, D11), or more than [`MAX_CERTIFICATES_PER_STORE`];
    /// * one that is neither a CA certificate nor signed with its own key (TS-5);
    /// * in a store of type `tsa`, one that is not a self-signed root CA (TS-7).
    ///
    /// One unsuitable certificate spoils the store: leaving it out silently would trust less than was configured,
    /// and nobody would know.
    pub fn new(reference: TrustStoreRef, certificates: Vec<Certificate>) -> Result<Self, TrustStoreError> {
        if certificates.is_empty() {
            return Err(TrustStoreError::Empty);
        }
        if certificates.len() > MAX_CERTIFICATES_PER_STORE {
            return Err(TrustStoreError::TooMany { count: certificates.len(), max: MAX_CERTIFICATES_PER_STORE });
        }
        for certificate in &certificates {
            check_anchor(reference.store_type, certificate)?;
        }
        Ok(Self { reference, certificates })
    }

    /// The name that policies call it by.
    pub fn reference(&self) -> &TrustStoreRef {
        &self.reference
    }

    /// Its certificates, in the order given; at least one.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }
}

fn check_anchor(store_type: TrustStoreType, certificate: &Certificate) -> Result<(), TrustStoreError> {
    let subject = || text(certificate.subject());
    if store_type == TrustStoreType::Tsa {
        return if certificate.is_root_ca() { Ok(()) } else { Err(TrustStoreError::NotRootCa { subject: subject() }) };
    }
    if certificate.is_ca() || certificate.is_signed_with_own_key() {
        return Ok(());
    }
    Err(TrustStoreError::NotAnAnchor { subject: subject() })
}

/// Why certificates do not make a trust store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustStoreError {
    /// No certificate at all (TS-6).
    #[error("the trust store has no certificate")]
    Empty,
    /// More certificates than one store may hold.
    #[error("the trust store has {count} certificates; at most {max} are allowed")]
    TooMany {
        /// How many there are.
        count: usize,
        /// How many are allowed.
        max: usize,
    },
    /// Neither a CA nor self-signed (TS-5).
    #[error("the certificate with subject {subject:?} is not a CA certificate or self-signed signing certificate")]
    NotAnAnchor {
        /// Its subject, cut to 256 characters.
        subject: String,
    },
    /// Not a self-signed root, which a `tsa` store needs (TS-7).
    #[error("the certificate with subject {subject:?} is not a root CA certificate, as a tsa trust store needs")]
    NotRootCa {
        /// Its subject, cut to 256 characters.
        subject: String,
    },
}

/// All trust stores of one policy, with those that could not be loaded.
#[derive(Clone, Debug, Default)]
pub struct TrustStores {
    stores: BTreeMap<TrustStoreRef, Result<TrustStore, String>>,
}

impl TrustStores {
    /// No stores: every statement that names one is then judged `TrustStoreUnavailable`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a store, in place of any of the same name.
    pub fn insert(&mut self, store: TrustStore) {
        self.stores.insert(store.reference.clone(), Ok(store));
    }

    /// Notes that a store is defined but cannot be used now, and why (lower case, no full stop). In place of any of
    /// the same name.
    pub fn insert_unavailable(&mut self, reference: TrustStoreRef, why: impl Into<String>) {
        self.stores.insert(reference, Err(why.into()));
    }

    /// The certificates of a store.
    ///
    /// # Errors
    /// Why there are none: the store is unavailable, or nobody defined it.
    pub fn certificates(&self, reference: &TrustStoreRef) -> Result<&[Certificate], &str> {
        match self.stores.get(reference) {
            Some(Ok(store)) => Ok(store.certificates()),
            Some(Err(why)) => Err(why),
            None => Err("no such trust store is defined"),
        }
    }

    /// Every store in the order of type and name, or why it is unavailable.
    pub fn iter(&self) -> impl Iterator<Item = (&TrustStoreRef, Result<&TrustStore, &str>)> {
        self.stores.iter().map(|(reference, store)| (reference, store.as_ref().map_err(String::as_str)))
    }
}
