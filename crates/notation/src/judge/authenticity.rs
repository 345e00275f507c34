// SPDX-License-Identifier: Apache-2.0
//! Authenticity: a certificate of the chain is in a trust store of the scheme's type, and the leaf is a trusted
//! identity (trust-store-trust-policy.md, "Trusted identities").

use super::Finding;
use crate::certificate::{Certificate, text};
use crate::envelope::{Envelope, SigningScheme};
use crate::identity::DistinguishedName;
use crate::outcome::{Anchor, Reason};
use crate::policy::Statement;
use crate::trust_store::{TrustStoreRef, TrustStoreType, TrustStores};

/// Trust stores that a message lists at most.
const LISTED_STORES: usize = 5;

/// The finding, and the anchor exactly if it passed.
pub(super) fn check_authenticity(
    envelope: &Envelope,
    statement: &Statement,
    stores: &TrustStores,
) -> (Finding, Option<Anchor>) {
    let anchor = match find_anchor(envelope, statement, stores) {
        Ok(anchor) => anchor,
        Err(finding) => return (finding, None),
    };
    match check_identity(envelope.leaf(), statement) {
        Ok(message) => (Finding::passed(format!("{message}, in {}", anchor.store)), Some(anchor)),
        Err(problem) => {
            let message = format!("the chain is trusted by {}, but {problem}", anchor.store);
            (Finding::failed(Reason::UntrustedIdentity, message), None)
        }
    }
}

/// AU-1 to AU-3.
fn find_anchor(envelope: &Envelope, statement: &Statement, stores: &TrustStores) -> Result<Anchor, Finding> {
    let store_type = match envelope.signing_scheme() {
        SigningScheme::X509 => TrustStoreType::Ca,
        SigningScheme::SigningAuthority => TrustStoreType::SigningAuthority,
    };
    let mut loaded: Vec<(&TrustStoreRef, &[Certificate])> = Vec::new();
    for reference in statement.trust_stores().iter().filter(|reference| reference.store_type() == store_type) {
        // One store that cannot be used leaves the question open, even if another has the anchor: a policy is applied
        // whole or not at all.
        let certificates = stores.certificates(reference).map_err(|why| {
            let message = format!("trust store {reference} is unavailable: {}", text(why));
            Finding::unknown(Reason::TrustStoreUnavailable, message)
        })?;
        loaded.push((reference, certificates));
    }
    if loaded.is_empty() {
        let message = format!(
            "the statement names no trust store of type {store_type}, which the signing scheme {} needs",
            envelope.signing_scheme()
        );
        return Err(Finding::failed(Reason::UntrustedChain, message));
    }
    // AU-2, AU-5: any certificate of the chain may be the anchor; byte by byte, no path is built, no date looked at.
    for certificate in envelope.certificate_chain() {
        if let Some((store, _)) = loaded.iter().find(|(_, trusted)| trusted.contains(certificate)) {
            return Ok(Anchor { store: (*store).clone(), certificate: certificate.clone() });
        }
    }
    let root = envelope.certificate_chain().last().map_or("", Certificate::subject);
    let message = format!("no certificate of the chain up to {} is in {}", text(root), list(&loaded));
    Err(Finding::failed(Reason::UntrustedChain, message))
}

fn list(stores: &[(&TrustStoreRef, &[Certificate])]) -> String {
    let named: Vec<String> =
        stores.iter().take(LISTED_STORES).map(|(reference, _)| text(&reference.to_string())).collect();
    match stores.len().saturating_sub(LISTED_STORES) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// AU-4, DN-9: the leaf against the identities. Errs with what to say after "but".
fn check_identity(leaf: &Certificate, statement: &Statement) -> Result<String, String> {
    let identities = statement.identities();
    let subject = text(leaf.subject());
    if identities.iter().any(crate::identity::Identity::is_any) {
        return Ok("any identity is trusted".to_owned());
    }
    // TP-27.
    if !identities.iter().any(|identity| identity.distinguished_name().is_some()) {
        return Err("the statement has no x509.subject identity".to_owned());
    }
    // DN-11. Stricter than notation-go, which of several CN or SERIALNUMBER compares the last.
    if let Some(attribute) = leaf.repeated_subject_attribute() {
        return Err(format!("the subject {subject} has the attribute {attribute} twice and so matches no identity"));
    }
    // DN-10, DN-12.
    let name = DistinguishedName::parse(leaf.subject())
        .map_err(|error| format!("the subject {subject} matches no x509.subject identity: {error}"))?;
    let matching = identities
        .iter()
        .find(|identity| identity.distinguished_name().is_some_and(|trusted| trusted.is_subset_of(&name)));
    match matching {
        Some(identity) => Ok(format!("the identity {} is trusted", text(&identity.to_string()))),
        None => Err(format!("the subject {subject} is none of the trusted identities")),
    }
}
