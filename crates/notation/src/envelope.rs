// SPDX-License-Identifier: Apache-2.0
//! Signature envelopes: bytes in, integrity checked, facts out.

mod cbor;
mod cose;
mod details;
mod error;
mod headers;
mod jws;
mod plugin;

use std::fmt;

pub use details::{EnvelopeDetails, ExtendedAttribute};
pub use error::EnvelopeError;
use headers::RawHeaders;
pub use plugin::VerificationPlugin;

use crate::Timestamp;
use crate::algorithm::SignatureAlgorithm;
use crate::certificate::{Certificate, text};
use crate::chain::{MAX_CHAIN_LENGTH, check_chain};
use crate::outcome::words;
use crate::payload::TargetArtifact;
use crate::timestamp::{ClaimedTimestamp, FoundToken, MAX_TOKEN_BYTES, TimestampError, Token};

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
    timestamp_token: Option<FoundToken>,
    signature: Vec<u8>,
    signing_agent: Option<String>,
    verification_plugin: Option<VerificationPlugin>,
    unknown_critical: Vec<String>,
}

impl Envelope {
    /// Parses an envelope and verifies its integrity. `media_type` is that of the layer in the signature manifest, and
    /// is compared exactly (DS-3).
    ///
    /// # Errors
    /// Whatever makes the envelope unusable at every level: its size (at most [`MAX_ENVELOPE_BYTES`], ten certificates
    /// of 64 KiB), form, headers, payload, a signature that the leaf's key did not make, a chain that breaks a rule.
    pub fn parse(media_type: &str, bytes: &[u8]) -> Result<Self, EnvelopeError> {
        take_apart(media_type, bytes)?.verify()
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
        self.timestamp_token.as_ref().map(FoundToken::ber)
    }

    /// The token, opened; none if there is none (AT-11: it is about the bytes of the signature, not of the envelope).
    pub(crate) fn open_timestamp(&self) -> Option<Result<&Token, TimestampError>> {
        self.timestamp_token.as_ref().map(|token| token.open(&self.signature))
    }

    /// What the timestamp token says; none if there is none.
    ///
    /// # Errors
    /// What keeps it from being a sound token about this signature. A sound one may be of an authority that nobody trusts.
    pub fn claimed_timestamp(&self) -> Option<Result<ClaimedTimestamp, String>> {
        let token = self.open_timestamp()?;
        Some(token.map(ClaimedTimestamp::from).map_err(|error| error.to_string()))
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

/// An envelope taken apart, of which nothing may be believed yet.
struct Unverified {
    media_type: &'static str,
    signing_input: Vec<u8>,
    signature: Vec<u8>,
    algorithm: SignatureAlgorithm,
    certificates: Vec<Vec<u8>>,
    timestamp_token: Option<Vec<u8>>,
    signing_agent: Option<String>,
    /// What the protected headers say, or why they cannot be understood. That is an error only after the signature
    /// was verified: of a forged envelope it is the forgery that is worth reporting.
    headers: Result<RawHeaders, EnvelopeError>,
    payload: Vec<u8>,
}

/// The parts of an envelope, which has at most [`MAX_ENVELOPE_BYTES`].
fn take_apart(media_type: &str, bytes: &[u8]) -> Result<Unverified, EnvelopeError> {
    if bytes.len() > MAX_ENVELOPE_BYTES {
        return Err(EnvelopeError::TooLarge { size: bytes.len(), max: MAX_ENVELOPE_BYTES });
    }
    match media_type {
        MEDIA_TYPE_JWS => jws::parse(bytes),
        MEDIA_TYPE_COSE => cose::parse(bytes),
        _ => Err(EnvelopeError::UnsupportedMediaType { media_type: text(media_type) }),
    }
}

impl Unverified {
    fn verify(self) -> Result<Envelope, EnvelopeError> {
        let certificate_chain = parse_chain(&self.certificates)?;
        let leaf = certificate_chain.first().ok_or(EnvelopeError::ChainMissing)?.clone();
        // JW-6, CO-3: the algorithm follows from the leaf's key; the envelope only repeats it.
        let algorithm = check_chain(&certificate_chain)?;
        if algorithm != self.algorithm {
            return Err(EnvelopeError::AlgorithmUnsupported { found: self.algorithm.to_string() });
        }
        if self.signature.is_empty() {
            return Err(EnvelopeError::SignatureMissing);
        }
        if !leaf.key().verifies_envelope(algorithm, &self.signing_input, &self.signature) {
            return Err(EnvelopeError::SignatureInvalid);
        }
        let headers = self.headers?.check()?;
        Ok(Envelope {
            media_type: self.media_type,
            signing_scheme: headers.scheme,
            algorithm,
            signing_time: headers.signing_time,
            expiry: headers.expiry,
            target: TargetArtifact::from_payload(&self.payload)?,
            certificate_chain,
            leaf,
            timestamp_token: self.timestamp_token.map(FoundToken::new),
            signature: self.signature,
            signing_agent: self.signing_agent,
            verification_plugin: headers.verification_plugin,
            unknown_critical: headers.unknown_critical,
        })
    }
}

/// JW-3, CO-10.
fn parse_chain(certificates: &[Vec<u8>]) -> Result<Vec<Certificate>, EnvelopeError> {
    if certificates.len() > MAX_CHAIN_LENGTH {
        return Err(EnvelopeError::ChainTooLong { max: MAX_CHAIN_LENGTH });
    }
    let parse = |(index, der): (usize, &Vec<u8>)| {
        Certificate::from_der(der).map_err(|error| EnvelopeError::Certificate { index, error })
    };
    certificates.iter().enumerate().map(parse).collect()
}
