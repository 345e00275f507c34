// SPDX-License-Identifier: Apache-2.0
//! The findings. A code keeps its meaning for ever; docs/cli.md lists them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sealwatch_api::text::clip;
use sealwatch_verifier::notation::{
    Action, Certificate, CheckType, Identity, Level, Statement, TrustPolicyDocument, TrustStoreRef, TrustStoreType,
    TrustStores, VerifyTimestamp,
};
use serde::Serialize;

/// The longest text from a policy or certificate, in bytes.
const TEXT_MOST: usize = 256;
/// Seconds of a day.
const DAY: i64 = 86_400;
/// Checks that an override can weaken.
const CHECKS: [CheckType; 4] =
    [CheckType::Authenticity, CheckType::AuthenticTimestamp, CheckType::Expiry, CheckType::Revocation];

/// Something legal and unwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Finding {
    pub(super) code: &'static str,
    /// The statement that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) statement: Option<String>,
    /// The trust store that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trust_store: Option<String>,
    pub(super) message: String,
    pub(super) remedy: String,
}

impl Finding {
    fn new(code: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code, statement: None, trust_store: None, message: message.into(), remedy: remedy.into() }
    }

    fn of_statement(mut self, statement: &Statement) -> Self {
        self.statement = Some(clip(statement.name(), TEXT_MOST));
        self
    }

    fn of_store(mut self, store: &TrustStoreRef) -> Self {
        self.trust_store = Some(store.to_string());
        self
    }

    /// For people: what and where, then what to do.
    pub(super) fn draw(&self) -> String {
        let statement = self.statement.as_ref().map(|name| format!("statement {name:?}: "));
        let store = self.trust_store.as_ref().map(|name| format!("trust store {name}: "));
        let place = statement.or(store).unwrap_or_default();
        format!("{} {place}{}\n     {}\n", self.code, self.message, self.remedy)
    }
}

/// The certificates behind a signature of an image at hand.
pub(super) struct InUse {
    pub(super) repository: String,
    pub(super) image: String,
    /// Leaf first.
    pub(super) chain: Vec<Certificate>,
}

/// What is looked at.
pub(super) struct Look<'a> {
    pub(super) document: &'a TrustPolicyDocument,
    pub(super) stores: &'a TrustStores,
    pub(super) in_use: &'a [InUse],
    pub(super) now: Timestamp,
    /// Days before its end from which on a certificate ends soon.
    pub(super) soon: u16,
}

impl Look<'_> {
    /// All findings: those of the statements in their order, then those of the trust stores in the order of their names.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for statement in self.document.statements() {
            findings.extend(level(statement).map(|finding| finding.of_statement(statement)));
            findings.extend(overrides(statement).map(|finding| finding.of_statement(statement)));
            findings.extend(self.no_tsa(statement).map(|finding| finding.of_statement(statement)));
            findings
                .extend(statement.identities().iter().filter_map(identity).map(|found| found.of_statement(statement)));
            findings.extend(undefined(self.stores, statement).into_iter().map(|found| found.of_statement(statement)));
        }
        for (reference, store) in self.stores.iter() {
            findings.extend(self.unnamed(reference).map(|finding| finding.of_store(reference)));
            match store {
                Ok(store) => {
                    let ends = store.certificates().iter().filter_map(|certificate| self.ends(certificate));
                    findings.extend(ends.map(|finding| finding.of_store(reference)));
                }
                Err(why) => findings.push(unusable(why).of_store(reference)),
            }
        }
        findings.extend(self.mixed());
        findings
    }

    /// Whole days from now until then; negative if it is past.
    fn days_until(&self, then: Timestamp) -> i64 {
        then.as_second().saturating_sub(self.now.as_second()).div_euclid(DAY)
    }

    fn when(&self, end: Timestamp) -> String {
        let date = end.strftime("%Y-%m-%d");
        match self.days_until(end) {
            0 => format!("within a day, on {date}"),
            days if days < 0 => format!("ended on {date}, {} days ago", days.saturating_abs()),
            days => format!("in {days} days, on {date}"),
        }
    }

    /// L006, L013: what becomes of signatures when their certificates end.
    fn no_tsa(&self, statement: &Statement) -> Option<Finding> {
        if statement.level() == Level::Skip {
            return None;
        }
        let of = |kind| statement.trust_stores().iter().filter(move |store| store.store_type() == kind);
        if of(TrustStoreType::Tsa).next().is_some() || of(TrustStoreType::Ca).next().is_none() {
            let is_vain = statement.verify_timestamp() == VerifyTimestamp::AfterCertExpiry
                && of(TrustStoreType::Tsa).next().is_none();
            return is_vain.then(vain_timestamp);
        }
        if statement.verify_timestamp() == VerifyTimestamp::AfterCertExpiry {
            return Some(vain_timestamp());
        }
        Some(Finding::new(
            "L006",
            format!(
                "names no trust store of type tsa, so a signature fails as soon as a certificate of its signer ends{}",
                self.first_end(statement)
            ),
            "add a tsa trust store with the root of the timestamp authority, and have images signed with a timestamp",
        ))
    }

    /// The first end that is known: of certificates in use, else of anchors.
    fn first_end(&self, statement: &Statement) -> String {
        let applies = |used: &&InUse| {
            self.document.statement_for(&used.repository).is_some_and(|found| found.name() == statement.name())
        };
        let used = self.in_use.iter().filter(applies);
        let used = used.flat_map(|used| used.chain.iter().map(move |certificate| (certificate, Some(&used.image))));
        let anchors = statement.trust_stores().iter().filter(|store| store.store_type() == TrustStoreType::Ca);
        let anchors = anchors.filter_map(|store| self.stores.certificates(store).ok()).flatten();
        let first = used.min_by_key(|(certificate, _)| certificate.not_after());
        let first = first.or_else(|| anchors.map(|anchor| (anchor, None)).min_by_key(|(anchor, _)| anchor.not_after()));
        let Some((certificate, image)) = first else { return String::new() };
        let subject = clip(certificate.subject(), TEXT_MOST);
        let behind = image.map_or_else(
            || " (of its anchors, the first to end is".to_owned(),
            |image| format!(" (behind {}, the first to end is", clip(image, TEXT_MOST)),
        );
        format!("{behind} {subject:?}: {})", self.when(certificate.not_after()))
    }

    /// L008.
    fn unnamed(&self, reference: &TrustStoreRef) -> Option<Finding> {
        let is_named = self.document.statements().iter().any(|statement| statement.trust_stores().contains(reference));
        (!is_named).then(|| {
            Finding::new(
                "L008",
                "no statement names it",
                "name it in a statement, or take it away: what nobody uses, nobody watches",
            )
        })
    }

    /// L010.
    fn ends(&self, certificate: &Certificate) -> Option<Finding> {
        let subject = clip(certificate.subject(), TEXT_MOST);
        let remedy = "add the authority's next certificate beside it now, and take this one out when nothing is signed \
                      under it any more";
        if certificate.not_before() > self.now {
            let begins = certificate.not_before().strftime("%Y-%m-%d");
            let message = format!("the certificate {subject:?} is valid only from {begins} on");
            return Some(Finding::new("L010", message, "check the clock, or wait with it until then"));
        }
        (self.days_until(certificate.not_after()) < i64::from(self.soon)).then(|| {
            let when = self.when(certificate.not_after());
            let verb = if certificate.not_after() < self.now { "has" } else { "ends" };
            Finding::new("L010", format!("the certificate {subject:?} {verb} {when}"), remedy)
        })
    }

    /// L012: a certificate that vouches for times and for signers.
    fn mixed(&self) -> Vec<Finding> {
        let of = |is: fn(TrustStoreType) -> bool| {
            let stores = self.stores.iter().filter(move |(reference, _)| is(reference.store_type()));
            let stores = stores.filter_map(|(reference, store)| Some((reference, store.ok()?)));
            stores.flat_map(|(reference, store)| store.certificates().iter().map(move |found| (reference, found)))
        };
        let signers: Vec<_> = of(|kind| kind != TrustStoreType::Tsa).collect();
        let both = of(|kind| kind == TrustStoreType::Tsa).filter_map(|(reference, certificate)| {
            let (other, _) = signers.iter().find(|(_, other)| *other == certificate)?;
            let subject = clip(certificate.subject(), TEXT_MOST);
            let message = format!("the certificate {subject:?} stands in {other} too");
            let remedy = "take it out of one: who may say when a signature was made should not be who may sign";
            Some(Finding::new("L012", message, remedy).of_store(reference))
        });
        both.collect()
    }
}

/// L001 to L004.
fn level(statement: &Statement) -> Option<Finding> {
    let is_for_all = statement.registry_scopes().iter().any(|scope| scope == "*");
    let finding = match statement.base_level() {
        Level::Skip if is_for_all => Finding::new(
            "L001",
            "skips all images that no other statement names, so whatever is not named runs unverified",
            "skip the repositories that cannot be verified by name, and let scope * be strict",
        ),
        Level::Skip => Finding::new(
            "L002",
            format!("skips {}: nothing is verified there", scopes(statement)),
            "verify with level audit instead: it fails only signatures that are not intact, and logs the rest",
        ),
        Level::Permissive => Finding::new(
            "L003",
            "level permissive only logs a signature that is expired, revoked or without a valid timestamp",
            "set the level to strict; make exceptions with override, each for its reason",
        ),
        Level::Audit => Finding::new(
            "L004",
            "level audit only logs a signature of somebody who is not trusted",
            "set the level to strict once the log shows nothing unexpected",
        ),
        Level::Strict | Level::Custom => return None,
    };
    Some(finding)
}

fn scopes(statement: &Statement) -> String {
    match statement.registry_scopes() {
        [one] => clip(one, TEXT_MOST),
        many => format!("{} repositories", many.len()),
    }
}

/// L005: what a level of its own weakens beyond the level that it starts from.
fn overrides(statement: &Statement) -> Option<Finding> {
    if statement.level() != Level::Custom {
        return None;
    }
    let is_weak = |check: &CheckType| match (statement.base_level(), check) {
        // What the level logs anyway is said of the level, but revocation can be skipped on top of it.
        (Level::Strict, _) | (Level::Permissive, CheckType::Authenticity) => {
            statement.actions().of(*check) != Action::Enforce
        }
        _ => statement.actions().of(*check) == Action::Skip,
    };
    let weak: Vec<String> = CHECKS
        .into_iter()
        .filter(is_weak)
        .map(|check| {
            format!(
                "{check} is {}",
                if statement.actions().of(check) == Action::Skip { "skipped" } else { "only logged" }
            )
        })
        .collect();
    (!weak.is_empty()).then(|| {
        Finding::new(
            "L005",
            format!("override weakens the level: {}", weak.join(", ")),
            "take the override out, or write down beside the policy why it is there and until when",
        )
    })
}

/// L007, L011.
fn identity(identity: &Identity) -> Option<Finding> {
    let text = clip(&identity.to_string(), TEXT_MOST);
    if identity.is_any() {
        return Some(Finding::new(
            "L011",
            "trusts every signer whom the trust stores vouch for",
            "name the signers with x509.subject: a certificate authority serves more than one",
        ));
    }
    let Some(name) = identity.distinguished_name() else {
        return Some(Finding::new(
            "L007",
            format!(
                "the identity {text:?} can never match: only x509.subject is compared, other kinds are for plugins"
            ),
            "write it as x509.subject: with the subject of the signer's certificate",
        ));
    };
    let never: BTreeSet<&str> = name.never_written().collect();
    (!never.is_empty()).then(|| {
        let types = never.into_iter().map(|attribute| clip(attribute, TEXT_MOST)).collect::<Vec<_>>().join(", ");
        Finding::new(
            "L007",
            format!("the identity {text:?} can never match: no subject is written with {types}"),
            "use CN, OU, O, L, ST, C, STREET, POSTALCODE or SERIALNUMBER, in capitals, and leave out what is none of them",
        )
    })
}

/// L009: of stores that nobody defined.
fn undefined(stores: &TrustStores, statement: &Statement) -> Vec<Finding> {
    let is_defined = |reference: &TrustStoreRef| stores.iter().any(|(known, _)| known == reference);
    let missing = statement.trust_stores().iter().filter(|reference| !is_defined(reference));
    let finding = |reference: &TrustStoreRef| {
        let message = format!("names the trust store {reference}, which is not defined");
        Finding::new("L009", message, "define it, or take it out of the statement").of_store(reference)
    };
    missing.map(finding).collect()
}

/// L009.
fn unusable(why: &str) -> Finding {
    Finding::new(
        "L009",
        format!("cannot be used: {}", clip(why, TEXT_MOST)),
        "put its certificates right: until then, images that need it are Unknown",
    )
}

/// L013.
fn vain_timestamp() -> Finding {
    Finding::new(
        "L013",
        "verifyTimestamp is afterCertExpiry, and no trust store of type tsa is named, so no timestamp is ever looked at",
        "add a tsa trust store with the root of the timestamp authority, or take verifyTimestamp out",
    )
}
