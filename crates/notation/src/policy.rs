// SPDX-License-Identifier: Apache-2.0
//! Trust policy documents, valid by construction (trust-store-trust-policy.md, "Trust policy").

mod error;
pub mod raw;
mod scope;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

pub use error::PolicyError;
use scope::{check_scopes, is_repository};

use crate::identity::Identity;
use crate::outcome::{CheckType, words};
use crate::trust_store::TrustStoreRef;

/// Most bytes of a trust policy document. A limit of ours; the largest published one has 2 KiB.
pub const MAX_POLICY_BYTES: usize = 1024 * 1024;
/// Most statements, and most entries of each list of a statement. A limit of ours: identities are compared in pairs.
pub(crate) const MAX_POLICY_ENTRIES: usize = 1000;

/// What a failed check does to the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// The signature fails.
    Enforce,
    /// The failure is reported, and the signature does not fail because of it.
    Log,
    /// The check is not made.
    Skip,
}
words!(Action { Enforce => "enforce", Log => "log", Skip => "skip" });

impl Action {
    fn parse(word: &str) -> Option<Self> {
        [Self::Enforce, Self::Log, Self::Skip].into_iter().find(|action| action.as_str() == word)
    }
}

/// The action for each of the five checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Actions {
    /// For integrity: always `enforce`, but in level skip.
    pub integrity: Action,
    /// For authenticity.
    pub authenticity: Action,
    /// For the authentic timestamp.
    pub authentic_timestamp: Action,
    /// For the signature's expiry.
    pub expiry: Action,
    /// For revocation.
    pub revocation: Action,
}

impl Actions {
    /// The action for one check.
    pub fn of(&self, check: CheckType) -> Action {
        match check {
            CheckType::Integrity => self.integrity,
            CheckType::Authenticity => self.authenticity,
            CheckType::AuthenticTimestamp => self.authentic_timestamp,
            CheckType::Expiry => self.expiry,
            CheckType::Revocation => self.revocation,
        }
    }

    fn set(&mut self, check: CheckType, action: Action) {
        *match check {
            CheckType::Integrity => &mut self.integrity,
            CheckType::Authenticity => &mut self.authenticity,
            CheckType::AuthenticTimestamp => &mut self.authentic_timestamp,
            CheckType::Expiry => &mut self.expiry,
            CheckType::Revocation => &mut self.revocation,
        } = action;
    }
}

/// A signature verification level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Everything is enforced.
    Strict,
    /// Integrity and authenticity are enforced, the rest is logged.
    Permissive,
    /// Integrity is enforced, the rest is logged.
    Audit,
    /// Nothing is checked.
    Skip,
    /// One of the others with overrides (TP-9).
    Custom,
}
words!(Level {
    Strict => "strict", Permissive => "permissive", Audit => "audit", Skip => "skip", Custom => "custom",
});

impl Level {
    fn parse(word: &str) -> Option<Self> {
        // `custom` is what an overridden level is called, nothing that a document may write.
        [Self::Strict, Self::Permissive, Self::Audit, Self::Skip].into_iter().find(|level| level.as_str() == word)
    }

    /// The level table of the specification. `Custom` has no actions of its own; it starts as `strict`.
    fn actions(self) -> Actions {
        use Action::{Enforce, Log, Skip};
        let row = |integrity, authenticity, authentic_timestamp, expiry, revocation| Actions {
            integrity,
            authenticity,
            authentic_timestamp,
            expiry,
            revocation,
        };
        match self {
            Self::Strict | Self::Custom => row(Enforce, Enforce, Enforce, Enforce, Enforce),
            Self::Permissive => row(Enforce, Enforce, Log, Log, Log),
            Self::Audit => row(Enforce, Log, Log, Log, Log),
            Self::Skip => row(Skip, Skip, Skip, Skip, Skip),
        }
    }
}

/// When the timestamps of signatures are looked at, if the statement names a `tsa` store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VerifyTimestamp {
    /// Always: a signature without a timestamp fails, also while its certificates are valid.
    Always,
    /// Only when a certificate of the chain has ended.
    AfterCertExpiry,
}
words!(VerifyTimestamp { Always => "always", AfterCertExpiry => "afterCertExpiry" });

/// One statement of a trust policy document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    name: String,
    registry_scopes: Vec<String>,
    base_level: Level,
    level: Level,
    actions: Actions,
    verify_timestamp: VerifyTimestamp,
    trust_stores: Vec<TrustStoreRef>,
    identities: Vec<Identity>,
}

impl Statement {
    /// The name, unique in the document.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The repositories it is about, or `*` alone.
    pub fn registry_scopes(&self) -> &[String] {
        &self.registry_scopes
    }

    /// The level that applies: `custom` as soon as there is an override.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The level as written, before any override.
    pub fn base_level(&self) -> Level {
        self.base_level
    }

    /// The action for each check, overrides applied.
    pub fn actions(&self) -> &Actions {
        &self.actions
    }

    /// When timestamps are looked at.
    pub fn verify_timestamp(&self) -> VerifyTimestamp {
        self.verify_timestamp
    }

    /// The trust stores, each once, in the order written. Empty exactly in level skip.
    pub fn trust_stores(&self) -> &[TrustStoreRef] {
        &self.trust_stores
    }

    /// The trusted identities, in the order written. Empty exactly in level skip.
    pub fn identities(&self) -> &[Identity] {
        &self.identities
    }

    fn from_raw(raw: raw::Statement) -> Result<Self, PolicyError> {
        if raw.name.is_empty() {
            return Err(PolicyError::NameMissing);
        }
        let (base_level, level, actions) = check_level(&raw.name, &raw.signature_verification)?;
        let verify_timestamp = check_verify_timestamp(&raw.name, &raw.signature_verification.verify_timestamp)?;
        check_trust_is_complete(&raw, base_level)?;
        let trust_stores = check_trust_stores(&raw.name, &raw.trust_stores)?;
        let identities = check_identities(&raw.name, &raw.trusted_identities)?;
        let (name, registry_scopes) = (raw.name, raw.registry_scopes);
        Ok(Self { name, registry_scopes, base_level, level, actions, verify_timestamp, trust_stores, identities })
    }
}

/// A trust policy document in which every rule holds that can be checked without a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustPolicyDocument {
    statements: Vec<Statement>,
}

impl TrustPolicyDocument {
    /// Reads the JSON of a `trustpolicy.json`.
    ///
    /// # Errors
    /// If it is larger than [`MAX_POLICY_BYTES`], is not one JSON value of the right form (an unknown or repeated
    /// member and anything after the document are errors too), or breaks a rule.
    pub fn from_json(bytes: &[u8]) -> Result<Self, PolicyError> {
        if bytes.len() > MAX_POLICY_BYTES {
            return Err(PolicyError::TooLarge { size: bytes.len(), max: MAX_POLICY_BYTES });
        }
        let raw: raw::Document =
            serde_json::from_slice(bytes).map_err(|error| PolicyError::Malformed { problem: error.to_string() })?;
        raw.try_into()
    }

    /// The statements in the order written; at least one.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// The statement for a repository, given as `host[:port]/path` without tag or digest: the one that names it, else
    /// the one with the scope `*` (TP-24). Names are compared byte by byte and nothing is expanded (TP-22):
    /// `registry` is not `docker.io/library/registry`. None if no statement applies, and so the image is not trusted;
    /// also if the argument is not a repository at all (TP-23).
    pub fn statement_for(&self, repository: &str) -> Option<&Statement> {
        if !is_repository(repository) {
            return None;
        }
        let with_scope =
            |scope: &str| self.statements.iter().find(|s| s.registry_scopes.iter().any(|candidate| candidate == scope));
        with_scope(repository).or_else(|| with_scope("*"))
    }
}

impl TryFrom<raw::Document> for TrustPolicyDocument {
    type Error = PolicyError;

    fn try_from(raw: raw::Document) -> Result<Self, PolicyError> {
        // TP-2 to TP-5.
        match raw.version.as_str() {
            "1.0" => {}
            "" => return Err(PolicyError::VersionEmpty),
            _ => return Err(PolicyError::VersionUnsupported { version: raw.version }),
        }
        if raw.trust_policies.is_empty() {
            return Err(PolicyError::NoStatements);
        }
        check_count("trustPolicies", raw.trust_policies.len())?;
        let mut names = BTreeSet::new();
        let mut statements = Vec::with_capacity(raw.trust_policies.len());
        for statement in raw.trust_policies {
            if !names.insert(statement.name.clone()) {
                return Err(PolicyError::NameRepeated { name: statement.name });
            }
            check_count("registryScopes", statement.registry_scopes.len())?;
            check_count("trustStores", statement.trust_stores.len())?;
            check_count("trustedIdentities", statement.trusted_identities.len())?;
            statements.push(Statement::from_raw(statement)?);
        }
        check_scopes(&statements)?;
        Ok(Self { statements })
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.level)
    }
}

fn check_count(field: &'static str, count: usize) -> Result<(), PolicyError> {
    if count > MAX_POLICY_ENTRIES {
        return Err(PolicyError::TooMany { field, max: MAX_POLICY_ENTRIES });
    }
    Ok(())
}

/// TP-6 to TP-9. Each override is checked in notation-go's order: check, action, integrity, skip.
fn check_level(
    statement: &str,
    verification: &raw::SignatureVerification,
) -> Result<(Level, Level, Actions), PolicyError> {
    let statement = || statement.to_owned();
    if verification.level.is_empty() {
        return Err(PolicyError::LevelMissing { statement: statement() });
    }
    let base = Level::parse(&verification.level)
        .ok_or_else(|| PolicyError::LevelInvalid { statement: statement(), level: verification.level.clone() })?;
    let mut actions = base.actions();
    if verification.r#override.is_empty() {
        return Ok((base, base, actions));
    }
    if base == Level::Skip {
        return Err(PolicyError::OverrideOfSkip { statement: statement() });
    }
    for (key, value) in &verification.r#override {
        let check = CheckType::ALL.into_iter().find(|check| check.as_str() == key);
        let check =
            check.ok_or_else(|| PolicyError::OverrideCheckUnknown { statement: statement(), check: key.clone() })?;
        let action = Action::parse(value)
            .ok_or_else(|| PolicyError::OverrideActionUnknown { statement: statement(), action: value.clone() })?;
        if check == CheckType::Integrity {
            return Err(PolicyError::OverrideOfIntegrity { statement: statement() });
        }
        if action == Action::Skip && check != CheckType::Revocation {
            return Err(PolicyError::OverrideSkips { statement: statement(), check: key.clone() });
        }
        actions.set(check, action);
    }
    Ok((base, Level::Custom, actions))
}

/// TP-10; checked in level skip too.
fn check_verify_timestamp(statement: &str, value: &str) -> Result<VerifyTimestamp, PolicyError> {
    match value {
        "" | "always" => Ok(VerifyTimestamp::Always),
        "afterCertExpiry" => Ok(VerifyTimestamp::AfterCertExpiry),
        _ => Err(PolicyError::VerifyTimestampInvalid { statement: statement.to_owned(), value: value.to_owned() }),
    }
}

/// TP-11 and TP-12.
fn check_trust_is_complete(raw: &raw::Statement, level: Level) -> Result<(), PolicyError> {
    let (stores, identities) = (!raw.trust_stores.is_empty(), !raw.trusted_identities.is_empty());
    if level == Level::Skip {
        return if stores || identities {
            Err(PolicyError::SkipWithTrust { statement: raw.name.clone() })
        } else {
            Ok(())
        };
    }
    if stores && identities { Ok(()) } else { Err(PolicyError::TrustMissing { statement: raw.name.clone() }) }
}

/// TP-13 to TP-16: a store that is named twice counts once.
fn check_trust_stores(statement: &str, values: &[String]) -> Result<Vec<TrustStoreRef>, PolicyError> {
    let mut seen = BTreeSet::new();
    let mut references = Vec::with_capacity(values.len());
    for value in values {
        let reference: TrustStoreRef =
            value.parse().map_err(|error| PolicyError::TrustStore { statement: statement.to_owned(), error })?;
        if seen.insert(reference.clone()) {
            references.push(reference);
        }
    }
    Ok(references)
}

/// TP-25 to TP-28.
fn check_identities(statement: &str, values: &[String]) -> Result<Vec<Identity>, PolicyError> {
    if values.len() > 1 && values.iter().any(|value| value == "*") {
        return Err(PolicyError::WildcardIdentityWithOthers { statement: statement.to_owned() });
    }
    let identities =
        values.iter().map(|value| check_identity(statement, value)).collect::<Result<Vec<_>, PolicyError>>()?;
    for (index, first) in identities.iter().enumerate() {
        for (other, second) in identities.iter().enumerate() {
            if index != other && first.covers(second) {
                return Err(PolicyError::IdentitiesOverlap {
                    statement: statement.to_owned(),
                    first: first.to_string(),
                    second: second.to_string(),
                });
            }
        }
    }
    Ok(identities)
}

fn check_identity(statement: &str, value: &str) -> Result<Identity, PolicyError> {
    let (statement, identity) = (statement.to_owned(), value.to_owned());
    match value.split_once(':') {
        _ if value == "*" => Ok(Identity::any()),
        _ if value.is_empty() => Err(PolicyError::IdentityEmpty { statement }),
        None => Err(PolicyError::IdentityWithoutSeparator { statement, identity }),
        Some((_, "")) => Err(PolicyError::IdentityWithoutValue { statement, identity }),
        Some(("x509.subject", name)) => {
            Identity::subject(value, name).map_err(|error| PolicyError::IdentityName { statement, identity, error })
        }
        // TP-27: identities of other kinds are for plugins; here they match nobody.
        Some(_) => Ok(Identity::foreign(value)),
    }
}
