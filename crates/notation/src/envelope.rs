// SPDX-License-Identifier: Apache-2.0
//! Signature envelopes: bytes in, integrity checked, facts out.

use std::fmt;

use crate::Timestamp;
use crate::algorithm::SignatureAlgorithm;
use crate::certificate::Certificate;
use crate::outcome::words;
use crate::payload::TargetArtifact;

/// Media type of JWS envelopes (RFC 7515, flattened JSON).
pub const MEDIA_TYPE_JWS: &str = "application/jose+json";
/// Media type of COSE envelopes (RFC 9052, `COSE_Sign1_Tagged`).
pub const MEDIA_TYPE_COSE: &str = "application/cose";
/// Artifact type of signature manifests.
pub const ARTIFACT_TYPE: &str = "application/vnd.cncf.notary.signature";
/// Most bytes of an envelope, the limit of notation-go.
pub const MAX_ENVELOPE_BYTES: usize = 32 * 1024 * 1024;

/// How a signature came to be, and so which trust store and which time count (signing-scheme.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SigningScheme {
    /// `notary.x509`: the publisher signs with a certificate of its own.
    X509,
    /// `notary.x509.signingAuthority`: an authority signs for the publisher and vouches for the time.
    SigningAuthority,
}
words!(SigningScheme { X509 => "notary.x509", SigningAuthority => "notary.x509.signingAuthority" });

/// A verification plugin that a signature asks for. This verifier runs none, so such a signature fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerificationPlugin {
    /// The plugin's name; none if the attribute is there but is not a name.
    pub name: Option<String>,
    /// The least version asked for.
    pub minimum_version: Option<String>,
}

/// A signature envelope that was parsed, whose signature was verified with the leaf's key, and whose chain has the
/// shape that the specification demands. It is immutable, and holds no judgement that time or trust could change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    media_type: &'static str,
    signing_scheme: SigningScheme,
    algorithm: SignatureAlgorithm,
    signing_time: Timestamp,
    expiry: Option<Timestamp>,
    target: TargetArtifact,
    certificate_chain: Vec<Certificate>,
    leaf: Certificate,
    timestamp_token: Option<Vec<u8>>,
    signature: Vec<u8>,
    signing_agent: Option<String>,
    verification_plugin: Option<VerificationPlugin>,
    unknown_critical: Vec<String>,
}

impl Envelope {
    /// Parses an envelope and verifies its integrity.
    ///
    /// # Errors
    /// Whatever makes the envelope unusable at every level: its size, form, headers, signature or chain.
    pub fn parse(media_type: &str, _bytes: &[u8]) -> Result<Self, EnvelopeError> {
        Err(EnvelopeError::UnsupportedMediaType { media_type: media_type.to_owned() })
    }

    /// [`MEDIA_TYPE_JWS`] or [`MEDIA_TYPE_COSE`].
    pub fn media_type(&self) -> &str {
        self.media_type
    }

    /// The signing scheme.
    pub fn signing_scheme(&self) -> SigningScheme {
        self.signing_scheme
    }

    /// The algorithm of the signature, which is the one that the leaf's key implies.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// When the signature was made: in scheme `notary.x509` a mere claim of the signer.
    pub fn signing_time(&self) -> Timestamp {
        self.signing_time
    }

    /// When the signing authority says that the signature was made; only in its scheme.
    pub fn authentic_signing_time(&self) -> Option<Timestamp> {
        (self.signing_scheme == SigningScheme::SigningAuthority).then_some(self.signing_time)
    }

    /// From when on the signature is expired, if ever.
    pub fn expiry(&self) -> Option<Timestamp> {
        self.expiry
    }

    /// The artifact that is signed.
    pub fn target(&self) -> &TargetArtifact {
        &self.target
    }

    /// The certificates, leaf first, root last; at least one.
    pub fn certificate_chain(&self) -> &[Certificate] {
        &self.certificate_chain
    }

    /// The certificate that signed: the first of the chain.
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// The RFC 3161 timestamp token as found, not looked into.
    pub fn timestamp_token(&self) -> Option<&[u8]> {
        self.timestamp_token.as_deref()
    }

    /// The bytes of the signature: what a timestamp token is about.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The program that signed, by its own unverified account.
    pub fn signing_agent(&self) -> Option<&str> {
        self.signing_agent.as_deref()
    }

    /// The verification plugin that the signer asks for.
    pub fn verification_plugin(&self) -> Option<&VerificationPlugin> {
        self.verification_plugin.as_ref()
    }

    /// Names of critical attributes that this verifier does not know.
    pub fn unknown_critical_attributes(&self) -> &[String] {
        &self.unknown_critical
    }
}

/// Why bytes are not a sound signature envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The media type is neither JWS nor COSE.
    #[error("signature envelope format {media_type:?} is not supported")]
    UnsupportedMediaType {
        /// The media type asked for.
        media_type: String,
    },
}
