// SPDX-License-Identifier: Apache-2.0
//! Why a trust policy document is refused, in the words of notation-go where it has any.

use crate::identity::DistinguishedNameError;
use crate::trust_store::TrustStoreRefError;

/// Why a trust policy document is refused. [`PolicyError::rule`] names the rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // the message of each variant says what its fields are
pub enum PolicyError {
    #[error("malformed trust policy: {size} bytes; at most {max} are allowed")]
    TooLarge { size: usize, max: usize },
    #[error("malformed trust policy: {problem}")]
    Malformed { problem: String },
    #[error("{field} has too many entries; at most {max} are allowed")]
    TooMany { field: &'static str, max: usize },
    #[error("oci trust policy document has empty version, version must be specified")]
    VersionEmpty,
    #[error("oci trust policy document uses unsupported version {version:?}, only \"1.0\" is supported")]
    VersionUnsupported { version: String },
    #[error("oci trust policy document can not have zero trust policy statements")]
    NoStatements,
    #[error("multiple oci trust policy statements use the same name {name:?}, statement names must be unique")]
    NameRepeated { name: String },
    #[error("a trust policy statement is missing a name, every statement requires a name")]
    NameMissing,
    #[error("trust policy statement {statement:?}: signature verification level is empty or missing")]
    LevelMissing { statement: String },
    #[error("trust policy statement {statement:?}: invalid signature verification level {level:?}")]
    LevelInvalid { statement: String, level: String },
    #[error("trust policy statement {statement:?}: level \"skip\" can't be used to customize signature verification")]
    OverrideOfSkip { statement: String },
    #[error("trust policy statement {statement:?}: verification type {check:?} in override is not supported")]
    OverrideCheckUnknown { statement: String, check: String },
    #[error("trust policy statement {statement:?}: verification action {action:?} in override is not supported")]
    OverrideActionUnknown { statement: String, action: String },
    #[error("trust policy statement {statement:?}: \"integrity\" verification can not be overridden")]
    OverrideOfIntegrity { statement: String },
    #[error("trust policy statement {statement:?}: {check:?} verification can not be skipped")]
    OverrideSkips { statement: String, check: String },
    #[error(
        "trust policy statement {statement:?}: verifyTimestamp must be \"always\" or \"afterCertExpiry\", got {value:?}"
    )]
    VerifyTimestampInvalid { statement: String, value: String },
    #[error(
        "trust policy statement {statement:?} is set to skip signature verification but configured with trust stores \
         and/or trusted identities, remove them if signature verification needs to be skipped"
    )]
    SkipWithTrust { statement: String },
    #[error(
        "trust policy statement {statement:?} is either missing trust stores or trusted identities, both must be \
         specified"
    )]
    TrustMissing { statement: String },
    #[error("trust policy statement {statement:?} {}", trust_store(.error))]
    TrustStore { statement: String, error: TrustStoreRefError },
    #[error("trust policy statement {statement:?} has zero registry scopes, it must specify at least one")]
    NoScopes { statement: String },
    #[error(
        "trust policy statement {statement:?} uses wildcard registry scope '*', a wildcard scope cannot be used in \
         conjunction with other scope values within the same statement"
    )]
    WildcardScopeWithOthers { statement: String },
    #[error("trust policy statement {statement:?}: registry scope {scope:?} with wild card(s) is not valid")]
    ScopeWithWildcard { statement: String, scope: String },
    #[error(
        "trust policy statement {statement:?}: registry scope {scope:?} is not valid, it must be a repository \
         host[:port]/path without scheme, tag or digest"
    )]
    ScopeInvalid { statement: String, scope: String },
    #[error(
        "registry scope {scope:?} is present in multiple oci trust policy statements, one registry scope value can \
         only be associated with one statement"
    )]
    ScopeRepeated { scope: String },
    #[error(
        "trust policy statement {statement:?} uses a wildcard trusted identity '*', a wildcard identity cannot be used \
         in conjunction with other values"
    )]
    WildcardIdentityWithOthers { statement: String },
    #[error("trust policy statement {statement:?} has an empty trusted identity")]
    IdentityEmpty { statement: String },
    #[error("trust policy statement {statement:?} has trusted identity {identity:?} missing separator")]
    IdentityWithoutSeparator { statement: String, identity: String },
    #[error("trust policy statement {statement:?} has trusted identity {identity:?} without an identity value")]
    IdentityWithoutValue { statement: String, identity: String },
    #[error("trust policy statement {statement:?} has trusted identity {identity:?}: {error}")]
    IdentityName { statement: String, identity: String, error: DistinguishedNameError },
    #[error(
        "trust policy statement {statement:?} has overlapping x509 trustedIdentities, {first:?} overlaps with {second:?}"
    )]
    IdentitiesOverlap { statement: String, first: String, second: String },
}

impl PolicyError {
    /// The rule that was broken, by its number in this project's list of Notation rules: `TP-…` for the document,
    /// `DN-…` for distinguished names.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } | Self::Malformed { .. } | Self::TooMany { .. } => "TP-1",
            Self::VersionEmpty | Self::VersionUnsupported { .. } => "TP-2",
            Self::NoStatements => "TP-3",
            Self::NameRepeated { .. } => "TP-4",
            Self::NameMissing => "TP-5",
            Self::LevelMissing { .. } | Self::LevelInvalid { .. } => "TP-6",
            Self::OverrideOfSkip { .. } => "TP-7",
            Self::OverrideCheckUnknown { .. }
            | Self::OverrideActionUnknown { .. }
            | Self::OverrideOfIntegrity { .. }
            | Self::OverrideSkips { .. } => "TP-8",
            Self::VerifyTimestampInvalid { .. } => "TP-10",
            Self::SkipWithTrust { .. } => "TP-11",
            Self::TrustMissing { .. } => "TP-12",
            Self::TrustStore { error, .. } => match error {
                TrustStoreRefError::Malformed { .. } => "TP-13",
                TrustStoreRefError::UnsupportedType { .. } => "TP-14",
                TrustStoreRefError::UnsupportedName { .. } => "TP-15",
            },
            Self::NoScopes { .. } => "TP-17",
            Self::WildcardScopeWithOthers { .. } => "TP-18",
            Self::ScopeWithWildcard { .. } => "TP-19",
            Self::ScopeInvalid { .. } => "TP-20",
            Self::ScopeRepeated { .. } => "TP-21",
            Self::WildcardIdentityWithOthers { .. } => "TP-25",
            Self::IdentityEmpty { .. } | Self::IdentityWithoutSeparator { .. } | Self::IdentityWithoutValue { .. } => {
                "TP-26"
            }
            Self::IdentityName { error, .. } => error.rule(),
            Self::IdentitiesOverlap { .. } => "TP-28",
        }
    }
}

/// The predicate that notation-go uses for a wrong trust store value.
fn trust_store(error: &TrustStoreRefError) -> String {
    match error {
        TrustStoreRefError::Malformed { value } => {
            format!("has malformed trust store value {value:?}, the required format is <type>:<name>")
        }
        TrustStoreRefError::UnsupportedType { store_type } => {
            format!("uses an unsupported trust store type {store_type:?}, it must be ca, signingAuthority or tsa")
        }
        TrustStoreRefError::UnsupportedName { name } => {
            format!("uses an unsupported trust store name {name:?}, it must match [a-zA-Z0-9_.-]+")
        }
    }
}
