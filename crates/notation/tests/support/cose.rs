// SPDX-License-Identifier: Apache-2.0
//! COSE envelopes.

use coset::cbor::{Value, cbor, into_writer};

use super::key::{Key, Kind, key};
use super::pki::Signer;
use super::{CONTENT_TYPE, payload};

pub(crate) const SCHEME: &str = "io.cncf.notary.signingScheme";
pub(crate) const SIGNING_TIME: &str = "io.cncf.notary.signingTime";
pub(crate) const AUTHENTIC: &str = "io.cncf.notary.authenticSigningTime";
pub(crate) const EXPIRY: &str = "io.cncf.notary.expiry";
/// 2025-01-01T00:00:00Z
pub(crate) const SIGNED_AT: i64 = 1_735_689_600;

/// A `COSE_Sign1` before it is signed; each part may be changed.
#[derive(Clone)]
pub(crate) struct Cose {
    pub(crate) protected: Vec<(Value, Value)>,
    /// The protected header as bytes, in place of `protected`.
    pub(crate) protected_bytes: Option<Vec<u8>>,
    pub(crate) unprotected: Vec<(Value, Value)>,
    pub(crate) payload: Vec<u8>,
    pub(crate) key: Kind,
}

/// COSE's number for the algorithm of a key.
pub(crate) fn algorithm(kind: Kind) -> i64 {
    match kind {
        Kind::Rsa2048 => -37,
        Kind::Rsa3072 => -38,
        Kind::Rsa4096 => -39,
        Kind::P384 => -35,
        Kind::P521 => -36,
        Kind::Ed25519 => -8,
        _ => -7,
    }
}

/// A time as COSE envelopes have it: seconds in tag 1.
pub(crate) fn epoch(seconds: impl Into<Value>) -> Value {
    Value::Tag(1, Box::new(seconds.into()))
}

pub(crate) fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    into_writer(value, &mut bytes).expect("CBOR");
    bytes
}

impl Cose {
    /// Scheme `notary.x509`, signed in 2025, without expiry.
    pub(crate) fn new(signer: &Signer) -> Self {
        let protected = vec![
            (1.into(), algorithm(signer.key).into()),
            (2.into(), Value::Array(vec![SCHEME.into()])),
            (3.into(), CONTENT_TYPE.into()),
            (SCHEME.into(), "notary.x509".into()),
            (SIGNING_TIME.into(), epoch(SIGNED_AT)),
        ];
        let chain = Value::Array(signer.chain.iter().map(|der| Value::Bytes(der.clone())).collect());
        let unprotected = vec![(33.into(), chain), ("io.cncf.notary.signingAgent".into(), "sealwatch-tests/1".into())];
        Self { protected, protected_bytes: None, unprotected, payload: payload(), key: signer.key }
    }

    /// Scheme `notary.x509.signingAuthority`.
    pub(crate) fn signing_authority(signer: &Signer) -> Self {
        let mut cose = Self::new(signer);
        cose.remove(SIGNING_TIME);
        cose.set(SCHEME, "notary.x509.signingAuthority");
        cose.set(AUTHENTIC, epoch(SIGNED_AT));
        cose.crit(&[SCHEME, AUTHENTIC]);
        cose
    }

    /// Adds an expiry in seconds since 1970, marked critical.
    pub(crate) fn expiring(mut self, seconds: i64) -> Self {
        self.set(EXPIRY, epoch(seconds));
        self.crit(&[SCHEME, EXPIRY]);
        self
    }

    /// Sets a protected header.
    pub(crate) fn set(&mut self, label: impl Into<Value>, value: impl Into<Value>) -> &mut Self {
        let label = label.into();
        self.remove(label.clone());
        self.protected.push((label, value.into()));
        self
    }

    pub(crate) fn remove(&mut self, label: impl Into<Value>) -> &mut Self {
        let label = label.into();
        self.protected.retain(|(other, _)| *other != label);
        self
    }

    pub(crate) fn crit(&mut self, labels: &[&str]) -> &mut Self {
        self.set(2, Value::Array(labels.iter().map(|label| (*label).into()).collect()))
    }

    /// Sets an unprotected header.
    pub(crate) fn set_unprotected(&mut self, label: impl Into<Value>, value: impl Into<Value>) -> &mut Self {
        let label = label.into();
        self.unprotected.retain(|(other, _)| *other != label);
        self.unprotected.push((label, value.into()));
        self
    }

    /// The envelope.
    pub(crate) fn sign(&self) -> Vec<u8> {
        encode(&Value::Tag(18, Box::new(Value::Array(self.parts()))))
    }

    /// Protected, unprotected, payload, signature.
    pub(crate) fn parts(&self) -> Vec<Value> {
        let protected = self.protected_bytes.clone().unwrap_or_else(|| encode(&Value::Map(self.protected.clone())));
        let (protected, payload) = (Value::Bytes(protected), Value::Bytes(self.payload.clone()));
        let signed = cbor!(["Signature1", protected, Value::Bytes(Vec::new()), payload]).expect("CBOR");
        let signature = Key::sign(key(self.key), &encode(&signed));
        vec![protected, Value::Map(self.unprotected.clone()), payload, Value::Bytes(signature)]
    }
}
