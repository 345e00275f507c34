// SPDX-License-Identifier: Apache-2.0
//! Which lists are needed: those of the certificates that are trusted, and of those that signed.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use sealwatch_api::text::clip;
use sealwatch_registry::Reference;
use sealwatch_verifier::{
    BroughtLists, CandidateState, Evidence, Findings, FollowedMatter, GatherError, Reason, Revocation, Selection,
    Verifier,
    notation::{self, Certificate, RevocationQuestion, Statement, TrustStore, TrustStores, revocation_chains},
    select,
};

use super::fetch::Place;
use crate::{
    credentials::{Found, WITHOUT_TLS},
    output::{IMAGE_MOST, TEXT_MOST},
    source::Source,
    verify::{self, policy_file::Policy},
};

/// How many images are looked at at once.
const IMAGES_AT_ONCE: usize = 8;

/// An image and its signatures.
pub(super) struct Scene {
    /// As the user named it.
    asked: String,
    reference: Reference,
    /// None where the policy asks for no signature.
    findings: Option<Findings>,
}

/// What is to be fetched.
pub(super) struct Needs {
    pub(super) places: Vec<Place>,
    /// What is to be said beside it, one sentence each.
    pub(super) warnings: Vec<String>,
}

impl Scene {
    /// Looks all images up.
    ///
    /// # Errors
    /// A sentence for each that could not be looked up, or of which a signature could not be read.
    pub(super) async fn find_all(
        images: &[(String, Reference)],
        policy: &Policy,
        source: Source,
    ) -> Result<Vec<Self>, Vec<String>> {
        let Source { place, found, .. } = source;
        let verifier = Verifier::new(place);
        let find = async |(asked, reference): &(String, Reference)| {
            let at = |error: &GatherError| failure(asked, reference, error, &found);
            let mut findings = None;
            if let Selection::Judge(_) = select(&policy.document, reference.repository()) {
                let (_, looked) = verify::find(&verifier, policy.matching, reference, &found.credentials).await;
                findings = Some(looked.map_err(|error| at(&error))?);
            }
            let scene = Self { asked: clip(asked, IMAGE_MOST), reference: reference.clone(), findings };
            match scene.unfetched(policy) {
                Some(error) => Err(at(error)),
                None => Ok(scene),
            }
        };
        let found: Vec<_> = stream::iter(images).map(find).buffered(IMAGES_AT_ONCE).collect().await;
        let (mut scenes, mut failed) = (Vec::new(), Vec::new());
        for one in found {
            match one {
                Ok(scene) => scenes.push(scene),
                Err(why) => failed.push(why),
            }
        }
        if failed.is_empty() { Ok(scenes) } else { Err(failed) }
    }

    fn evidence<'a>(&'a self, policy: &Policy) -> impl Iterator<Item = &'a Arc<Evidence>> + use<'a> {
        let matching = policy.matching;
        self.findings.iter().flat_map(move |findings| findings.counting(matching))
    }

    /// Why a signature could not be fetched, if one could not.
    fn unfetched(&self, policy: &Policy) -> Option<&GatherError> {
        let mut candidates = self.evidence(policy).flat_map(|evidence| &evidence.candidates);
        candidates.find_map(|candidate| match &candidate.state {
            CandidateState::Unfetched(error) => Some(error),
            CandidateState::Envelope(_) | CandidateState::Broken(_) => None,
        })
    }

    /// The chains of its signatures that anybody would be asked about.
    fn chains(&self, policy: &Policy, statement: &Statement, now: Timestamp) -> Vec<Vec<Certificate>> {
        let candidates = self.evidence(policy).flat_map(|evidence| &evidence.candidates);
        let chains = candidates.filter_map(|candidate| match &candidate.state {
            CandidateState::Envelope(envelope) => Some(revocation_chains(envelope, statement, &policy.stores, now)),
            CandidateState::Broken(_) | CandidateState::Unfetched(_) => None,
        });
        chains.flatten().collect()
    }

    /// What somebody would like to know who relies on these lists alone.
    pub(super) fn judged_by(&self, policy: &Policy, revocation: &Revocation, brought: &BroughtLists) -> Option<String> {
        let (repository, matching) = (self.reference.repository(), policy.matching);
        let Policy { document, stores, .. } = policy;
        let findings = self.findings.as_ref()?;
        let matter = FollowedMatter { repository, findings, matching, document, stores, brought };
        let now = Timestamp::now();
        // Nothing was asked but the lists, so that nothing else is recalled.
        let verification = matter.judge(&matter.recall(revocation, Duration::MAX, now), now).verification;
        let reasons = [notation::Reason::RevocationUnknown, notation::Reason::Revoked].map(Some);
        let open = verification.checks.iter().find(|check| reasons.contains(&check.reason))?;
        let message = clip(&open.message, TEXT_MOST);
        Some(format!("{}: by these lists alone, {message}", self.asked))
    }
}

impl Needs {
    /// What these trust stores and images need.
    pub(super) fn of(policy: &Policy, scenes: &[Scene]) -> Self {
        let mut needs = Self { places: Vec::new(), warnings: Vec::new() };
        let (now, mut signed) = (Timestamp::now(), Vec::new());
        for scene in scenes {
            let repository = scene.reference.repository();
            let Selection::Judge(statement) = select(&policy.document, repository) else {
                needs.warn(format!("{}: no signature is asked for by the policy, so no list is", scene.asked));
                continue;
            };
            let chains = scene.chains(policy, statement, now);
            if chains.is_empty() {
                let why = "has no signature of a trusted signer whose revocation counts, so it leads to no list";
                needs.warn(format!("{}: {why}", scene.asked));
            }
            for chain in &chains {
                chain.iter().zip(chain.iter().skip(1)).for_each(|(one, issuer)| needs.add(one, issuer));
            }
            signed.extend(chains.into_iter().flatten());
        }
        needs.add_trusted(&policy.stores, &signed);
        needs
    }

    /// The certificates of the trust stores. About roots nothing is asked (RV-2); who issued another must be known to
    /// check its list, and is so of those in the chains of signatures.
    fn add_trusted(&mut self, stores: &TrustStores, signed: &[Certificate]) {
        let certificates = trusted(stores);
        for certificate in certificates.iter().filter(|one| !one.is_issued_by(one)) {
            let issuers: Vec<_> = certificates.iter().filter(|issuer| certificate.is_issued_by(issuer)).collect();
            for issuer in &issuers {
                self.add(certificate, issuer);
            }
            let names_lists = !RevocationQuestion::of_lists(certificate, certificate).is_empty();
            if issuers.is_empty() && names_lists && !signed.contains(certificate) {
                let subject = clip(certificate.subject(), TEXT_MOST);
                let why = "names a list, and who issued it is in no trust store; name an image that is signed under it";
                self.warn(format!("the certificate {subject:?} {why} with --image"));
            }
        }
    }

    fn warn(&mut self, message: String) {
        if !self.warnings.contains(&message) {
            self.warnings.push(message);
        }
    }

    fn add(&mut self, certificate: &Certificate, issuer: &Certificate) {
        for questions in RevocationQuestion::of_lists(certificate, issuer) {
            if questions.is_empty() {
                let subject = clip(certificate.subject(), TEXT_MOST);
                let next = "ask its authority for the list, and bring it beside these";
                self.warn(format!("the certificate {subject:?} names a list at no http URL; {next}"));
                continue;
            }
            let place = Place::of(questions);
            if !self.places.iter().any(|known| known.is_same(&place)) {
                self.places.push(place);
            }
        }
    }
}

/// The certificates of all trust stores, each once.
fn trusted(stores: &TrustStores) -> Vec<&Certificate> {
    let mut all = Vec::new();
    for certificate in stores.iter().filter_map(|(_, store)| store.ok()).flat_map(TrustStore::certificates) {
        if !all.contains(&certificate) {
            all.push(certificate);
        }
    }
    all
}

fn failure(asked: &str, reference: &Reference, error: &GatherError, found: &Found) -> String {
    let advice = match error.reason {
        Reason::RegistryUnauthorized => found.advice(reference.repository().registry()),
        Reason::RegistryUnavailable if found.is_by_tls => WITHOUT_TLS.to_owned(),
        _ => String::new(),
    };
    clip(&format!("--image {asked}: {}{advice}", error.message), IMAGE_MOST)
}
