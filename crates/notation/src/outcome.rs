// SPDX-License-Identifier: Apache-2.0
//! What a judgement says: five check results, and the verdict, reason and message that follow from them.

use std::fmt;

use crate::Timestamp;
use crate::certificate::Certificate;
use crate::policy::Action;
use crate::revocation::RevocationEvidence;
use crate::timestamp::VerifiedTimestamp;
use crate::trust_store::TrustStoreRef;

/// Writes `Display` and `as_str` of an enum whose variants have one word each.
macro_rules! words {
    ($type:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $type {
            /// The word that documents, statuses and metrics write.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
pub(crate) use words;

/// What is concluded about one signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Every enforced check passed.
    Verified,
    /// An enforced check failed.
    Failed,
    /// An enforced check could not be decided with what was given.
    Unknown,
}
words!(Verdict { Verified => "Verified", Failed => "Failed", Unknown => "Unknown" });

/// The five validations of the Notary Project (trust-store-trust-policy.md, "Signature verification levels").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckType {
    /// The signature is intact, is about this artifact, and asks for nothing that this verifier does not know.
    Integrity,
    /// The chain holds a certificate of a trust store, and the leaf is a trusted identity.
    Authenticity,
    /// The signature was made while the certificates were valid.
    AuthenticTimestamp,
    /// The signature has not expired.
    Expiry,
    /// No certificate of the chain is revoked.
    Revocation,
}
words!(CheckType {
    Integrity => "integrity",
    Authenticity => "authenticity",
    AuthenticTimestamp => "authenticTimestamp",
    Expiry => "expiry",
    Revocation => "revocation",
});

impl CheckType {
    /// All five, in the order of Notation's level table, which is the order of [`Outcome::checks`].
    pub const ALL: [Self; 5] =
        [Self::Integrity, Self::Authenticity, Self::AuthenticTimestamp, Self::Expiry, Self::Revocation];
}

/// How one check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckResult {
    /// It holds.
    Passed,
    /// It does not hold.
    Failed,
    /// It could not be decided.
    Unknown,
    /// It was not looked at: its action is `skip`, or an enforced check before it did not pass.
    NotEvaluated,
}
words!(CheckResult {
    Passed => "Passed", Failed => "Failed", Unknown => "Unknown", NotEvaluated => "NotEvaluated",
});

/// One check: what the policy does with it, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Which of the five.
    pub check: CheckType,
    /// What the statement does with its failure.
    pub action: Action,
    /// How it ended.
    pub result: CheckResult,
    /// Why it failed or is unknown; none if it passed or was not evaluated.
    pub reason: Option<Reason>,
    /// One sentence for a person, lower case, without full stop; may be empty.
    pub message: String,
}

/// Why an outcome is what it is (LV-7). The words are API: they appear in statuses, metrics and documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Verified: every check that is not skipped passed.
    SignatureValid,
    /// Verified: a check whose action is `log` did not pass; the message lists which.
    FailuresLogged,
    /// Failed: the envelope is broken, or its signature does not fit.
    IntegrityFailed,
    /// Failed: an intact signature over another artifact.
    SubjectMismatch,
    /// Failed: no certificate of the chain is in a trust store of the statement.
    UntrustedChain,
    /// Failed: the chain is trusted, the leaf is none of the trusted identities.
    UntrustedIdentity,
    /// Failed: a certificate of the chain has ended, and no timestamp says that the signature is older.
    CertificateExpired,
    /// Failed: a certificate of the chain is not valid yet.
    CertificateNotYetValid,
    /// Failed: the statement needs a timestamp and the envelope has none.
    TimestampMissing,
    /// Failed: the envelope's timestamp cannot be accepted.
    TimestampInvalid,
    /// Failed: the signature's own expiry has passed.
    SignatureExpired,
    /// Failed: a certificate of the chain is revoked, or one of the timestamp authority's.
    Revoked,
    /// Failed: the signature demands a verification plugin or a critical attribute that is not known here.
    ExtensionUnsupported,
    /// Unknown: revocation could not be learnt.
    RevocationUnknown,
    /// Unknown: a trust store that the statement names is not there or cannot be used.
    TrustStoreUnavailable,
    /// Unknown: the statement's level is `skip`, so there was nothing to judge; callers report a skipped image
    /// without asking [`judge`](crate::judge()).
    LevelSkip,
}
words!(Reason {
    SignatureValid => "SignatureValid",
    FailuresLogged => "FailuresLogged",
    IntegrityFailed => "IntegrityFailed",
    SubjectMismatch => "SubjectMismatch",
    UntrustedChain => "UntrustedChain",
    UntrustedIdentity => "UntrustedIdentity",
    CertificateExpired => "CertificateExpired",
    CertificateNotYetValid => "CertificateNotYetValid",
    TimestampMissing => "TimestampMissing",
    TimestampInvalid => "TimestampInvalid",
    SignatureExpired => "SignatureExpired",
    Revoked => "Revoked",
    ExtensionUnsupported => "ExtensionUnsupported",
    RevocationUnknown => "RevocationUnknown",
    TrustStoreUnavailable => "TrustStoreUnavailable",
    LevelSkip => "LevelSkip",
});

impl Reason {
    /// How much this reason says about an image, for choosing among several signatures: see [`Outcome::rank`].
    fn rank(self) -> u8 {
        match self {
            Self::SignatureValid => 15,
            Self::FailuresLogged => 14,
            Self::RevocationUnknown => 13,
            Self::TrustStoreUnavailable => 12,
            Self::LevelSkip => 11,
            Self::Revoked => 10,
            Self::CertificateExpired => 9,
            Self::CertificateNotYetValid => 8,
            Self::SignatureExpired => 7,
            Self::TimestampInvalid => 6,
            Self::TimestampMissing => 5,
            Self::UntrustedIdentity => 4,
            Self::UntrustedChain => 3,
            Self::ExtensionUnsupported => 2,
            Self::SubjectMismatch => 1,
            Self::IntegrityFailed => 0,
        }
    }
}

/// The certificate that made a chain trusted, and the store it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The trust store.
    pub store: TrustStoreRef,
    /// The certificate that is both in the store and in the envelope's chain.
    pub certificate: Certificate,
}

/// The judgement on one signature. Only [`judge`](crate::judge()) and [`Outcome::broken`] make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub(crate) verdict: Verdict,
    pub(crate) reason: Reason,
    pub(crate) message: String,
    pub(crate) checks: [Check; 5],
    pub(crate) anchor: Option<Anchor>,
    pub(crate) timestamp: Option<VerifiedTimestamp>,
    pub(crate) revocation: Option<RevocationEvidence>,
    pub(crate) next_change: Option<Timestamp>,
    pub(crate) answers_until: Vec<Timestamp>,
}

impl Outcome {
    /// The conclusion.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Why; the reason of the check that decided.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// One sentence for a person. It says who *signed* only if authenticity passed, else who the signature *claims*
    /// to be from. Text from certificates in it is cut to 256 characters and has no control characters.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The five checks, in the order of [`CheckType::ALL`].
    pub fn checks(&self) -> &[Check; 5] {
        &self.checks
    }

    /// What made the chain trusted; present exactly if the check of authenticity passed.
    pub fn anchor(&self) -> Option<&Anchor> {
        self.anchor.as_ref()
    }

    /// The timestamp by which the check of the authentic timestamp passed; none if that check did not pass, or passed
    /// without a timestamp.
    pub fn timestamp(&self) -> Option<&VerifiedTimestamp> {
        self.timestamp.as_ref()
    }

    /// How the revocation status of the signing chain was learnt; none if the check was not evaluated or is unknown.
    pub fn revocation(&self) -> Option<&RevocationEvidence> {
        self.revocation.as_ref()
    }

    /// The earliest instant after `now` at which the clock alone may change this outcome: the start or end of a
    /// certificate where the current time counts, the signature's expiry, or the end of an OCSP response or a
    /// revocation list. It may be one at which nothing changes. None if time changes nothing.
    pub fn next_change(&self) -> Option<Timestamp> {
        self.next_change
    }

    /// Until when, inclusive, each answer about revocation can be used that this outcome rests on: one for each
    /// certificate with a source, of the signing chain and of that of the timestamp authority. Where several lists
    /// speak about one certificate, the last end counts.
    pub fn answers_until(&self) -> &[Timestamp] {
        &self.answers_until
    }

    /// How telling this outcome is; of several signatures of an image the one of the highest rank speaks for it.
    ///
    /// Verified ranks above Unknown, because one good signature is enough. Unknown ranks above Failed, because the
    /// undecided signature may yet turn out good, and the image is not failed before that is known. Among failures,
    /// what concerns a trusted signer (revoked, expired) says more than that a stranger signed too.
    pub fn rank(&self) -> u8 {
        self.reason.rank()
    }
}
