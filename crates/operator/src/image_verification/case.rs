// SPDX-License-Identifier: Apache-2.0
//! One image under one policy, parsed: what was written wrongly is a conclusion here, and no error on the way.

use std::time::{Duration, Instant};

use kube::ResourceExt as _;
use sealwatch_api::{ImageVerification, Reason};
use sealwatch_registry::{Digest, Reference};
use sealwatch_verifier::{self as verifier, Selection, schedule};

use super::memory::{JudgedBy, Looks, Request, seed};
use crate::{
    discover::Found,
    policy::{Policy, requested_at},
    running::RunningDigest,
    status::image::Conclusion,
};

/// One image under one policy.
pub(super) struct Case<'a> {
    /// The object.
    pub(super) image: &'a ImageVerification,
    /// The policy that it names.
    pub(super) policy: &'a Policy,
    /// Where the image runs, if it does.
    pub(super) found: Option<&'a Found>,
    /// Whether the operator made the object.
    pub(super) ours: bool,
}

/// One image under one policy, parsed: what was written wrongly is a conclusion already.
pub struct ParsedCase<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// Where the image runs.
    pub(super) found: Option<&'a Found>,
    /// Where it is looked up, or why it cannot be.
    pub reference: Result<Reference, Box<Conclusion>>,
    /// The digest, where the object names one.
    pub digest: Option<Digest>,
    /// Whether the operator made the object.
    pub ours: bool,
    /// Whether a registry is asked about it at all.
    pub(super) asks: bool,
    /// What asks for a fresh look.
    pub request: Request,
    /// The object's name.
    pub name: String,
}

impl<'a> Case<'a> {
    /// Reads what was written.
    pub(super) fn parse(self) -> ParsedCase<'a> {
        let parsed = self.reference();
        let digest = self.image.spec.digest.as_ref().and_then(|digest| digest.parse().ok());
        let asks = match (&parsed, &self.policy.document) {
            (Ok(reference), Ok(document)) => {
                matches!(verifier::select(document, reference.repository()), Selection::Judge(_))
            }
            _ => false,
        };
        ParsedCase {
            policy: self.policy,
            found: self.found,
            reference: parsed,
            digest,
            ours: self.ours,
            asks,
            request: Request { image: requested_at(self.image), policy: self.policy.requested_at.clone() },
            name: self.image.name_any(),
        }
    }

    fn reference(&self) -> Result<Reference, Box<Conclusion>> {
        let unresolvable = |message: String, stalled: bool| {
            let stalled = stalled.then(|| message.clone());
            Box::new(Conclusion { stalled, ..Conclusion::plain(Reason::DigestUnresolvable, message) })
        };
        let spec = &self.image.spec;
        if let Some(found) = self.found {
            match &found.key.digest {
                RunningDigest::Manifest(_) => {}
                RunningDigest::Config(digest) => {
                    let message = format!(
                        "the node reports only the image configuration {digest}, as for an image that was loaded from a \
                         file; this version does not look for the manifest that it belongs to"
                    );
                    return Err(unresolvable(message, false));
                }
                RunningDigest::Unreadable(text) => {
                    let message = format!("status.containerStatuses[].imageID is {text:?}, which names no digest");
                    return Err(unresolvable(message, false));
                }
            }
        }
        if self.found.is_none() && self.ours && spec.digest.is_none() {
            return Err(unresolvable("the node reported no readable digest for this image".into(), false));
        }
        let reference: Reference = spec
            .image
            .parse()
            .map_err(|error| unresolvable(format!("spec.image {:?}: {error}", spec.image), !self.ours))?;
        match &spec.digest {
            Some(digest) => {
                digest.parse::<Digest>().map_err(|error| unresolvable(format!("spec.digest: {error}"), !self.ours))?;
            }
            None if reference.tag().is_none() && reference.digest().is_none() => {
                return Err(unresolvable(
                    format!("spec.image {:?} names neither tag nor digest", spec.image),
                    !self.ours,
                ));
            }
            None => {}
        }
        Ok(reference)
    }
}

impl ParsedCase<'_> {
    /// How long until the next look, zero if it is due.
    pub(super) fn wait(&self, looks: &Looks) -> Duration {
        let period = schedule::period(self.policy.interval, seed(&self.name));
        looks.wait(&self.request, self.policy.generation, period, Instant::now())
    }

    /// How long until something about revocation is to be asked, zero if it is due; `due` is what memory says.
    pub(super) fn revocation_wait(&self, looks: &Looks, due: Option<Duration>) -> Option<Duration> {
        looks.revocation_wait(due, &self.judged_by(), Instant::now())
    }

    /// What names the policy as it is now.
    pub(super) fn judged_by(&self) -> JudgedBy {
        (self.policy.generation, self.policy.trust_hash.clone())
    }

    /// The pull secrets to try: of the pods, then of the policy.
    pub fn pull_secrets(&self) -> Vec<String> {
        let pods = self.found.into_iter().flat_map(|found| found.running.pull_secrets.iter().cloned());
        let mut secrets: Vec<String> = pods.collect();
        secrets.extend(self.policy.pull_secrets.iter().cloned());
        secrets
    }
}
