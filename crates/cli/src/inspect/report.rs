// SPDX-License-Identifier: Apache-2.0
//! The answer for programs. Every text that a registry or a signer supplied is cleaned and bounded, and so is the number
//! of texts.

use jiff::Timestamp;
use sealwatch_api::text::clip;
use sealwatch_registry::{Descriptor, Error, Reference};
use sealwatch_verifier::notation::{ClaimedTimestamp, SignatureAlgorithm};
use serde::Serialize;

use super::{Inspected, Intact, Signature, is_about};
use crate::{
    credentials::Found,
    output::{CertificateReport, IMAGE_MOST, TEXT_MOST},
};

/// How many attributes of a kind are shown.
const ATTRIBUTES_MOST: usize = 64;

/// One image.
#[derive(Serialize)]
pub(crate) struct ImageReport {
    /// As the user named it.
    pub(super) image: String,
    pub(super) repository: String,
    #[serde(flatten)]
    pub(crate) looked: Looked,
}

/// What was found.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Looked {
    #[serde(rename_all = "camelCase")]
    Found {
        digest: String,
        media_type: String,
        size: u64,
        signatures: Vec<SignatureReport>,
        /// Signatures beyond those that are looked at.
        #[serde(skip_serializing_if = "is_zero")]
        not_looked_at: usize,
    },
    Failed {
        /// Why the image could not be looked up.
        error: String,
    },
}

/// One signature.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignatureReport {
    /// Of the manifest.
    pub(super) digest: String,
    #[serde(flatten)]
    pub(super) read: Read,
}

/// An intact signature, or what is wrong with it.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Read {
    Intact(Box<IntactReport>),
    Broken(Broken),
}

/// A signature of which nothing can be told.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Broken {
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    /// Why.
    pub(super) error: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IntactReport {
    /// Of the envelope.
    pub(super) media_type: String,
    pub(super) envelope_digest: String,
    pub(super) size: u64,
    pub(super) signature_algorithm: &'static str,
    pub(super) signed_attributes: SignedAttributes,
    /// Annotations of the signed artifact.
    pub(super) user_defined_attributes: Vec<Attribute>,
    pub(super) unsigned_attributes: UnsignedAttributes,
    pub(super) certificates: Vec<CertificateReport>,
    pub(super) signed_artifact: ArtifactReport,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SignedAttributes {
    pub(super) signing_scheme: String,
    pub(super) signing_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expiry: Option<String>,
    /// Beyond the specification.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) extended: Vec<Attribute>,
}

#[derive(Serialize)]
pub(super) struct Attribute {
    pub(super) name: String,
    /// None of a value that is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) critical: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UnsignedAttributes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) signing_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timestamp: Option<TimestampReport>,
}

/// An RFC 3161 token, or what is wrong with it.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum TimestampReport {
    #[serde(rename_all = "camelCase")]
    Sound {
        time: String,
        accuracy_seconds: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        authority: Option<String>,
        certificates: Vec<CertificateReport>,
    },
    Unsound {
        error: String,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ArtifactReport {
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    /// Whether it is the image that was asked about.
    pub(super) is_image: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn text(supplied: &str) -> String {
    clip(supplied, TEXT_MOST)
}

impl ImageReport {
    pub(super) fn new(asked: &str, reference: &Reference, looked: Result<Inspected, Error>, found: &Found) -> Self {
        let looked = match looked {
            Ok(inspected) => Looked::from(&inspected),
            Err(error) => Looked::Failed { error: found.failure(&error, reference.repository().registry()) },
        };
        Self { image: clip(asked, IMAGE_MOST), repository: reference.repository().to_string(), looked }
    }
}

impl From<&Inspected> for Looked {
    fn from(inspected: &Inspected) -> Self {
        let Inspected { image, signatures, more } = inspected;
        Self::Found {
            digest: image.digest.to_string(),
            media_type: text(&image.media_type),
            size: image.size,
            signatures: signatures.iter().map(|signature| SignatureReport::new(signature, image)).collect(),
            not_looked_at: *more,
        }
    }
}

impl Looked {
    pub(super) fn has_broken(&self) -> bool {
        match self {
            Self::Found { signatures, .. } => signatures.iter().any(|one| matches!(one.read, Read::Broken(_))),
            Self::Failed { .. } => false,
        }
    }
}

impl SignatureReport {
    fn new(signature: &Signature, image: &Descriptor) -> Self {
        let read = match &signature.read {
            Ok(intact) => Read::Intact(Box::new(IntactReport::new(intact, image))),
            Err(Broken { media_type, error }) => {
                Read::Broken(Broken { media_type: media_type.clone(), error: error.clone() })
            }
        };
        Self { digest: signature.manifest.digest.to_string(), read }
    }
}

impl Broken {
    /// It could not be fetched.
    pub(super) fn unread(error: &Error) -> Self {
        Self { media_type: None, error: text(&error.to_string()) }
    }

    /// It is not what it should be.
    pub(super) fn bad(layer: Option<Descriptor>, error: &dyn std::fmt::Display) -> Self {
        Self { media_type: layer.map(|layer| text(&layer.media_type)), error: text(&error.to_string()) }
    }
}

impl IntactReport {
    fn new(intact: &Intact, image: &Descriptor) -> Self {
        let Intact { layer, envelope, details } = intact;
        let target = envelope.target();
        let user_defined = details.user_defined.iter().take(ATTRIBUTES_MOST).map(|(name, value)| Attribute {
            name: text(name),
            value: Some(text(value)),
            critical: false,
        });
        let extended = details.extended.iter().take(ATTRIBUTES_MOST).map(|attribute| Attribute {
            name: text(&attribute.name),
            value: attribute.value.as_deref().map(text),
            critical: attribute.critical,
        });
        Self {
            media_type: text(envelope.media_type()),
            envelope_digest: layer.digest.to_string(),
            size: layer.size,
            signature_algorithm: algorithm(envelope.algorithm()),
            signed_attributes: SignedAttributes {
                signing_scheme: envelope.signing_scheme().to_string(),
                signing_time: envelope.signing_time().to_string(),
                expiry: envelope.expiry().as_ref().map(Timestamp::to_string),
                extended: extended.collect(),
            },
            user_defined_attributes: user_defined.collect(),
            unsigned_attributes: UnsignedAttributes {
                signing_agent: envelope.signing_agent().map(text),
                timestamp: envelope.claimed_timestamp().map(TimestampReport::from),
            },
            certificates: envelope.certificate_chain().iter().map(CertificateReport::from).collect(),
            signed_artifact: ArtifactReport {
                media_type: text(&target.media_type),
                digest: text(&target.digest),
                size: target.size,
                is_image: is_about(intact, &image.digest),
            },
        }
    }
}

/// The names that `notation` prints.
fn algorithm(algorithm: SignatureAlgorithm) -> &'static str {
    match algorithm {
        SignatureAlgorithm::Ps256 => "RSASSA-PSS-SHA-256",
        SignatureAlgorithm::Ps384 => "RSASSA-PSS-SHA-384",
        SignatureAlgorithm::Ps512 => "RSASSA-PSS-SHA-512",
        SignatureAlgorithm::Es256 => "ECDSA-SHA-256",
        SignatureAlgorithm::Es384 => "ECDSA-SHA-384",
        SignatureAlgorithm::Es512 => "ECDSA-SHA-512",
    }
}

impl From<Result<ClaimedTimestamp, String>> for TimestampReport {
    fn from(claimed: Result<ClaimedTimestamp, String>) -> Self {
        match claimed {
            Ok(claimed) => Self::Sound {
                time: claimed.time.to_string(),
                accuracy_seconds: claimed.accuracy.as_secs_f64(),
                authority: claimed.authority.as_ref().map(|certificate| text(certificate.subject())),
                certificates: claimed.certificates.iter().map(CertificateReport::from).collect(),
            },
            Err(why) => Self::Unsound { error: text(&why) },
        }
    }
}
