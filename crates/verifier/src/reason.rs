// SPDX-License-Identifier: Apache-2.0
//! Why a verdict is what it is: the reasons of the Notation rules, and those of gathering.

use std::fmt;

use sealwatch_notation as notation;

/// A stable reason of the API's closed table. Its name is [`Reason::as_str`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A reason that the Notation rules give.
    Rule(notation::Reason),
    /// The image exists in its registry and nothing there is a Notation signature of it.
    NoSignature,
    /// No statement of the trust policy document covers the repository.
    NoApplicableTrustPolicy,
    /// More signatures than one image may have.
    SignatureLimitExceeded,
    /// The registry did not answer, or with an error of its own.
    RegistryUnavailable,
    /// The registry refused the credentials, or their absence.
    RegistryUnauthorized,
    /// The registry asked for patience.
    RegistryThrottled,
    /// The egress guard refused the address.
    EgressRefused,
    /// The registry does not know the digest or the tag.
    ImageNotFound,
    /// No manifest has the configuration that the node reports.
    DigestUnresolvable,
    /// A mirror has the image without signatures, and the origin could not be asked.
    SignaturesNotMirrored,
    /// The registry served bytes that do not hash to the digest asked for.
    DigestMismatch,
}

impl Reason {
    /// The name of the reason in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rule(rule) => rule.as_str(),
            Self::NoSignature => "NoSignature",
            Self::NoApplicableTrustPolicy => "NoApplicableTrustPolicy",
            Self::SignatureLimitExceeded => "SignatureLimitExceeded",
            Self::RegistryUnavailable => "RegistryUnavailable",
            Self::RegistryUnauthorized => "RegistryUnauthorized",
            Self::RegistryThrottled => "RegistryThrottled",
            Self::EgressRefused => "EgressRefused",
            Self::ImageNotFound => "ImageNotFound",
            Self::DigestUnresolvable => "DigestUnresolvable",
            Self::SignaturesNotMirrored => "SignaturesNotMirrored",
            Self::DigestMismatch => "DigestMismatch",
        }
    }

    /// The reason of this name among those for which a signature could not be fetched.
    pub(crate) fn of_gathering(name: &str) -> Option<Self> {
        let all = [
            Self::SignatureLimitExceeded,
            Self::RegistryUnavailable,
            Self::RegistryUnauthorized,
            Self::RegistryThrottled,
            Self::EgressRefused,
            Self::ImageNotFound,
            Self::SignaturesNotMirrored,
            Self::DigestMismatch,
        ];
        all.into_iter().find(|reason| reason.as_str() == name)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<notation::Reason> for Reason {
    fn from(rule: notation::Reason) -> Self {
        Self::Rule(rule)
    }
}
