// SPDX-License-Identifier: Apache-2.0
//! X.509 certificates, read once from the bytes received.

use std::fmt;
use std::sync::Arc;

use crate::Timestamp;

/// Cuts text from outside to 256 characters and drops its control characters, for messages.
pub(crate) fn text(from_outside: &str) -> String {
    from_outside.chars().filter(|c| !c.is_control()).take(256).collect()
}

/// An X.509 certificate. Cheap to clone; equal if the DER is equal.
#[derive(Clone)]
pub struct Certificate(Arc<Fields>);

struct Fields {
    der: Vec<u8>,
    subject: String,
    issuer: String,
    common_name: Option<String>,
    sha256: String,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Certificate {
    /// Parses one certificate.
    ///
    /// # Errors
    /// If the bytes are not exactly one X.509 certificate in DER.
    pub fn from_der(_der: &[u8]) -> Result<Self, CertificateError> {
        Err(CertificateError::None)
    }

    /// The bytes it was parsed from.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The subject as Go's `pkix.Name` prints it, which is what trusted identities are compared with.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// The issuer, printed likewise.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// The (last) common name of the subject.
    pub fn common_name(&self) -> Option<&str> {
        self.0.common_name.as_deref()
    }

    /// SHA-256 of the DER in lower-case hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.0.sha256
    }

    /// First second of its validity.
    pub fn not_before(&self) -> Timestamp {
        self.0.not_before
    }

    /// Last second of its validity.
    pub fn not_after(&self) -> Timestamp {
        self.0.not_after
    }

    pub(crate) fn is_ca(&self) -> bool {
        false
    }

    pub(crate) fn is_signed_with_own_key(&self) -> bool {
        false
    }

    pub(crate) fn is_root_ca(&self) -> bool {
        false
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der() == other.der()
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("subject", &self.subject()).field("sha256", &self.sha256()).finish()
    }
}

/// Parses certificates in PEM (every block a CERTIFICATE) or concatenated DER.
///
/// # Errors
/// If there is none, or anything else is among them.
pub fn parse_certificates(_bytes: &[u8]) -> Result<Vec<Certificate>, CertificateError> {
    Err(CertificateError::None)
}

/// Why bytes are not certificates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// There is no certificate.
    #[error("there is no certificate")]
    None,
}
