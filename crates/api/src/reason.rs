// SPDX-License-Identifier: Apache-2.0

//! The verdicts, and the closed table of reasons that lead to them.

vocabulary! {
    /// What Sealwatch knows about one image under one trust policy.
    ///
    /// "Failed" and "Unknown" are never mixed: the first rests on evidence, the second on its absence.
    pub enum Verdict {
        /// The image carries a signature that satisfies the statement that applies to it.
        Verified = "Verified",
        /// There is evidence that the image does not satisfy the trust policy.
        Failed = "Failed",
        /// It could not be determined whether the image satisfies the trust policy.
        Unknown = "Unknown",
        /// The statement that applies says not to verify.
        Skipped = "Skipped",
    }
}

vocabulary! {
    /// Why an image has its verdict. The names are part of the API and do not change.
    pub enum Reason {
        /// All enforced checks passed and no other check failed.
        SignatureValid = "SignatureValid",
        /// All enforced checks passed, but at least one whose action is `log` did not; the message lists which.
        FailuresLogged = "FailuresLogged",
        /// The level of the statement that applies is `skip`; nothing was verified.
        LevelSkip = "LevelSkip",
        /// The registry has the image and no Notation signature for it. Sign the image, or copy its signatures with it.
        NoSignature = "NoSignature",
        /// No statement of the trust policy covers the image's repository. Add its scope, or `*`.
        NoApplicableTrustPolicy = "NoApplicableTrustPolicy",
        /// The signature envelope is broken, or was changed after it was signed.
        IntegrityFailed = "IntegrityFailed",
        /// The signature is sound but was made for another artifact than this image.
        SubjectMismatch = "SubjectMismatch",
        /// The signer's certificate chain is not valid or does not lead to a certificate of the named trust stores.
        UntrustedChain = "UntrustedChain",
        /// The chain is trusted, but the signer is none of the trusted identities.
        UntrustedIdentity = "UntrustedIdentity",
        /// A certificate of the signer's chain has expired, and no trusted timestamp proves that the signature is older.
        CertificateExpired = "CertificateExpired",
        /// A certificate of the signer's chain is not valid yet.
        CertificateNotYetValid = "CertificateNotYetValid",
        /// The statement needs a timestamp that the signature does not carry; or it carries one that no `tsa` trust
        /// store of the statement lets us use, which the message then says.
        TimestampMissing = "TimestampMissing",
        /// The signature's timestamp is broken, not trusted, or lies outside the validity of the signer's certificates.
        TimestampInvalid = "TimestampInvalid",
        /// The signature carries an expiry, which has passed. Sign the image again.
        SignatureExpired = "SignatureExpired",
        /// A certificate of the signer's or the timestamp authority's chain has been revoked.
        Revoked = "Revoked",
        /// The signature needs a plugin, or carries a critical attribute, that Sealwatch does not support.
        ExtensionUnsupported = "ExtensionUnsupported",
        /// The image has more signatures than are looked at (100), and none of those was sufficient.
        SignatureLimitExceeded = "SignatureLimitExceeded",
        /// Not looked at yet.
        Pending = "Pending",
        /// The registry could not be reached, or did not answer as a registry.
        RegistryUnavailable = "RegistryUnavailable",
        /// The registry refused the credentials, or asks for some and there are none.
        RegistryUnauthorized = "RegistryUnauthorized",
        /// The registry asked to slow down; the next attempt waits as long as it said.
        RegistryThrottled = "RegistryThrottled",
        /// Kubernetes did not let Sealwatch read a pull secret. Check the operator's RBAC.
        CredentialsForbidden = "CredentialsForbidden",
        /// The address is one that Sealwatch does not connect to; the message names the setting that would allow it.
        EgressRefused = "EgressRefused",
        /// The registry does not know the digest that is running.
        ImageNotFound = "ImageNotFound",
        /// The node reports an image by an identifier that leads to no digest in the registry.
        DigestUnresolvable = "DigestUnresolvable",
        /// The image comes from a mirror that has no signatures, and its origin was not asked.
        SignaturesNotMirrored = "SignaturesNotMirrored",
        /// The registry delivered content that does not have the digest asked for; such content is no evidence.
        DigestMismatch = "DigestMismatch",
        /// Revocation checking is enforced, and it could not be learnt whether a certificate is revoked.
        RevocationUnknown = "RevocationUnknown",
        /// The trust policy that the image verification names does not exist.
        TrustPolicyNotFound = "TrustPolicyNotFound",
        /// The trust policy breaks a rule; its `Stalled` condition says which.
        TrustPolicyInvalid = "TrustPolicyInvalid",
        /// A trust store that the statement names could not be loaded; the message says which and why.
        TrustStoreUnavailable = "TrustStoreUnavailable",
        /// The last complete verification is longer ago than the trust policy's `staleAfter`.
        Stale = "Stale",
    }
}

impl Reason {
    /// The one verdict that this reason can stand beside.
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::SignatureValid | Self::FailuresLogged => Verdict::Verified,
            Self::LevelSkip => Verdict::Skipped,
            Self::NoSignature
            | Self::NoApplicableTrustPolicy
            | Self::IntegrityFailed
            | Self::SubjectMismatch
            | Self::UntrustedChain
            | Self::UntrustedIdentity
            | Self::CertificateExpired
            | Self::CertificateNotYetValid
            | Self::TimestampMissing
            | Self::TimestampInvalid
            | Self::SignatureExpired
            | Self::Revoked
            | Self::ExtensionUnsupported
            | Self::SignatureLimitExceeded => Verdict::Failed,
            Self::Pending
            | Self::RegistryUnavailable
            | Self::RegistryUnauthorized
            | Self::RegistryThrottled
            | Self::CredentialsForbidden
            | Self::EgressRefused
            | Self::ImageNotFound
            | Self::DigestUnresolvable
            | Self::SignaturesNotMirrored
            | Self::DigestMismatch
            | Self::RevocationUnknown
            | Self::TrustPolicyNotFound
            | Self::TrustPolicyInvalid
            | Self::TrustStoreUnavailable
            | Self::Stale => Verdict::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn reasons_of(verdict: Verdict) -> Vec<&'static str> {
        Reason::ALL.iter().filter(|reason| reason.verdict() == verdict).map(|reason| reason.as_str()).collect()
    }

    #[test]
    fn every_reason_has_the_verdict_of_the_table() {
        assert_eq!(reasons_of(Verdict::Verified), ["SignatureValid", "FailuresLogged"]);
        assert_eq!(reasons_of(Verdict::Skipped), ["LevelSkip"]);
        assert_eq!(
            reasons_of(Verdict::Failed),
            [
                "NoSignature",
                "NoApplicableTrustPolicy",
                "IntegrityFailed",
                "SubjectMismatch",
                "UntrustedChain",
                "UntrustedIdentity",
                "CertificateExpired",
                "CertificateNotYetValid",
                "TimestampMissing",
                "TimestampInvalid",
                "SignatureExpired",
                "Revoked",
                "ExtensionUnsupported",
                "SignatureLimitExceeded",
            ]
        );
        assert_eq!(
            reasons_of(Verdict::Unknown),
            [
                "Pending",
                "RegistryUnavailable",
                "RegistryUnauthorized",
                "RegistryThrottled",
                "CredentialsForbidden",
                "EgressRefused",
                "ImageNotFound",
                "DigestUnresolvable",
                "SignaturesNotMirrored",
                "DigestMismatch",
                "RevocationUnknown",
                "TrustPolicyNotFound",
                "TrustPolicyInvalid",
                "TrustStoreUnavailable",
                "Stale",
            ]
        );
    }

    #[test]
    fn every_reason_can_be_a_condition_reason() {
        let mut seen = BTreeSet::new();
        for reason in Reason::ALL {
            let text = reason.as_str();
            assert!(text.starts_with(|c: char| c.is_ascii_uppercase()), "{text} is not CamelCase");
            assert!(text.chars().all(|c| c.is_ascii_alphanumeric()), "{text} is not CamelCase");
            assert!(text.len() <= crate::word::WORD_MAX_LENGTH, "{text} is too long");
            assert!(seen.insert(text), "{text} stands twice");
            assert!(!reason.doc().is_empty(), "{text} has no meaning");
        }
    }
}
