// SPDX-License-Identifier: Apache-2.0
//! JWS envelopes.

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use serde_json::{Map, Value, json};

use super::key::{Key, Kind, key};
use super::pki::Signer;
use super::{CONTENT_TYPE, payload};

/// A JWS before it is signed; each part may be changed.
#[derive(Clone)]
pub(crate) struct Jws {
    pub(crate) protected: Map<String, Value>,
    /// The protected header as text, in place of `protected`: for what no JSON library writes.
    pub(crate) protected_text: Option<String>,
    pub(crate) payload: Vec<u8>,
    pub(crate) header: Map<String, Value>,
    pub(crate) key: Kind,
}

pub(crate) fn algorithm(kind: Kind) -> &'static str {
    match kind {
        Kind::Rsa2048 => "PS256",
        Kind::Rsa3072 => "PS384",
        Kind::Rsa4096 => "PS512",
        Kind::P384 => "ES384",
        Kind::P521 => "ES512",
        Kind::Ed25519 => "EdDSA",
        _ => "ES256",
    }
}

impl Jws {
    /// Scheme `notary.x509`, signed in 2025, without expiry.
    pub(crate) fn new(signer: &Signer) -> Self {
        let protected = json!({
            "alg": algorithm(signer.key),
            "cty": CONTENT_TYPE,
            "crit": ["io.cncf.notary.signingScheme"],
            "io.cncf.notary.signingScheme": "notary.x509",
            "io.cncf.notary.signingTime": "2025-01-01T00:00:00Z",
        });
        let x5c: Vec<String> = signer.chain.iter().map(|der| Base64::encode_string(der)).collect();
        let header = json!({"x5c": x5c, "io.cncf.notary.signingAgent": "sealwatch-tests/1"});
        Self {
            protected: object(protected),
            protected_text: None,
            payload: payload(),
            header: object(header),
            key: signer.key,
        }
    }

    /// Scheme `notary.x509.signingAuthority`.
    pub(crate) fn signing_authority(signer: &Signer) -> Self {
        let mut jws = Self::new(signer);
        jws.protected.remove("io.cncf.notary.signingTime");
        jws.set("io.cncf.notary.signingScheme", "notary.x509.signingAuthority");
        jws.set("io.cncf.notary.authenticSigningTime", "2025-01-01T00:00:00Z");
        jws.crit(&["io.cncf.notary.signingScheme", "io.cncf.notary.authenticSigningTime"]);
        jws
    }

    /// Adds an expiry, marked critical.
    pub(crate) fn expiring(mut self, expiry: &str) -> Self {
        self.set("io.cncf.notary.expiry", expiry);
        self.protected["crit"].as_array_mut().expect("an array").push("io.cncf.notary.expiry".into());
        self
    }

    /// Sets a protected header.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) -> &mut Self {
        self.protected.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn crit(&mut self, names: &[&str]) -> &mut Self {
        self.set("crit", names)
    }

    /// The envelope.
    pub(crate) fn sign(&self) -> Vec<u8> {
        self.envelope(Key::sign)
    }

    /// The envelope, with another way to sign.
    pub(crate) fn envelope(&self, sign: impl Fn(&Key, &[u8]) -> Vec<u8>) -> Vec<u8> {
        let mut members = self.members(sign);
        members.insert("header".to_owned(), Value::Object(self.header.clone()));
        Value::Object(members).to_string().into_bytes()
    }

    /// `payload`, `protected` and `signature`.
    pub(crate) fn members(&self, sign: impl Fn(&Key, &[u8]) -> Vec<u8>) -> Map<String, Value> {
        let protected =
            self.protected_text.clone().unwrap_or_else(|| Value::Object(self.protected.clone()).to_string());
        let protected = Base64UrlUnpadded::encode_string(protected.as_bytes());
        let payload = Base64UrlUnpadded::encode_string(&self.payload);
        let signature = sign(key(self.key), format!("{protected}.{payload}").as_bytes());
        object(json!({
            "payload": payload,
            "protected": protected,
            "signature": Base64UrlUnpadded::encode_string(&signature),
        }))
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => panic!("not an object"),
    }
}
