// SPDX-License-Identifier: Apache-2.0
//! Trust stores: from the sources that a `TrustPolicy` names to certificates.
//!
//! One source that cannot be read makes its whole store unavailable (Notation does the same with files): a store
//! with a hole in it would make verdicts depend on what happened to be readable.

pub mod bundles;
pub mod pins;
pub mod read;
pub mod secrets;
pub mod source;

use sealwatch_api::{
    self as api, CertificateSummary, TrustPolicySpec, TrustStoreStatus,
    text::clip,
    trust_policy::status::{CERTIFICATES_LISTED_MAX, CERTIFICATES_MAX},
};
use sealwatch_notation::{Certificate, MAX_CERTIFICATES_PER_STORE, TrustStore, TrustStoreRef, TrustStores};

pub use self::{
    read::{Loaded, Reader},
    source::{Found, Held},
};
use crate::status::time;

/// The trust stores of one policy.
#[derive(Clone, Debug, Default)]
pub struct Stores {
    /// What images are judged by.
    pub stores: TrustStores,
    /// What the status shows: `notation cert ls`.
    pub listed: Vec<TrustStoreStatus>,
    /// What is wrong, by store; empty when all is well.
    pub problems: Vec<String>,
    /// What of stores that can be used is worth knowing: certificates that no pin lists, and pins that match none.
    pub notes: Vec<String>,
}

impl PartialEq for Stores {
    fn eq(&self, other: &Self) -> bool {
        // The list shows every problem; what it has no room for of the certificates, the stores themselves tell.
        self.listed == other.listed && fingerprints(&self.stores).eq(fingerprints(&other.stores))
    }
}

fn fingerprints(stores: &TrustStores) -> impl Iterator<Item = &str> {
    let stores = stores.iter().filter_map(|(_, store)| store.ok());
    stores.flat_map(|store| store.certificates().iter().map(Certificate::sha256))
}

/// Loads every trust store of a policy. Pure.
pub fn load(spec: &TrustPolicySpec, found: &Found) -> Stores {
    let mut loaded = Stores::default();
    let mut room = CERTIFICATES_LISTED_MAX;
    for store in &spec.trust_stores {
        let name = clip(&store.qualified_name(), 256);
        let reference: TrustStoreRef = match name.parse() {
            Ok(reference) => reference,
            Err(error) => {
                loaded.problems.push(format!("trust store {name:?}: {error}"));
                continue;
            }
        };
        match open(&reference, store, found) {
            Ok((store, notes)) => {
                let listed = list(&store, name.clone(), &notes, room);
                room = room.saturating_sub(listed.certificates.len());
                loaded.listed.push(listed);
                loaded.notes.extend(notes.into_iter().map(|note| format!("trust store {name}: {note}")));
                loaded.stores.insert(store);
            }
            Err(why) => {
                let message = clip(&why, api::text::MESSAGE_MAX_BYTES);
                loaded.problems.push(format!("trust store {name}: {message}"));
                loaded.stores.insert_unavailable(reference, message.clone());
                loaded.listed.push(TrustStoreStatus { name, certificates: Vec::new(), message: Some(message) });
            }
        }
    }
    loaded
}

fn open(
    reference: &TrustStoreRef,
    store: &api::TrustStore,
    found: &Found,
) -> Result<(TrustStore, Vec<String>), String> {
    let (certificates, notes) = certificates(store, found)?;
    let store = TrustStore::new(reference.clone(), certificates).map_err(|error| error.to_string())?;
    Ok((store, notes))
}

/// The certificates of one store, each once, and what is worth knowing of its pins.
fn certificates(store: &api::TrustStore, found: &Found) -> Result<(Vec<Certificate>, Vec<String>), String> {
    let (mut certificates, mut notes) = (Vec::new(), Vec::new());
    for (place, source) in store.certificates.iter().enumerate() {
        let field = format!("certificates[{place}]");
        let read = source::certificates(source, found).map_err(|why| format!("{field}{why}"))?;
        let pinned = pins::apply(&source.sha256, read).map_err(|why| format!("{field}{why}"))?;
        notes.extend(pinned.notes.into_iter().map(|note| format!("{field}{note}")));
        for certificate in pinned.trusted {
            if !certificates.contains(&certificate) {
                certificates.push(certificate);
            }
        }
        if certificates.len() > MAX_CERTIFICATES_PER_STORE {
            return Err(format!("{field}: more than {MAX_CERTIFICATES_PER_STORE} certificates in one trust store"));
        }
    }
    Ok((certificates, notes))
}

/// How the status shows a store that can be used, with at most `room` certificates.
fn list(store: &TrustStore, name: String, notes: &[String], room: usize) -> TrustStoreStatus {
    let all = store.certificates();
    let certificates: Vec<_> = all.iter().take(room.min(CERTIFICATES_MAX)).map(summary).collect();
    let hidden = all.len().saturating_sub(certificates.len());
    let hidden = (hidden > 0).then(|| format!("{hidden} more certificates are trusted and not listed here"));
    let said: Vec<&str> = notes.iter().chain(&hidden).map(String::as_str).collect();
    let message = (!said.is_empty()).then(|| clip(&said.join("; "), api::text::MESSAGE_MAX_BYTES));
    TrustStoreStatus { name, certificates, message }
}

fn summary(certificate: &Certificate) -> CertificateSummary {
    CertificateSummary {
        subject: clip(certificate.subject(), api::text::SUPPLIED_TEXT_MAX_BYTES),
        sha256: certificate.sha256().to_owned(),
        not_before: Some(time(certificate.not_before())),
        not_after: Some(time(certificate.not_after())),
    }
}

#[cfg(test)]
mod tests;
