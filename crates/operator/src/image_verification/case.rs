// SPDX-License-Identifier: Apache-2.0
//! One image under one policy, parsed: what was written wrongly is a conclusion here, and no error on the way.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::ResourceExt as _;
use sealwatch_api::{ImageVerification, Reason};
use sealwatch_registry::{Digest, Reference};
use sealwatch_verifier::{self as verifier, DigestMatching, Platforms, Runs, Selection, schedule};

use super::memory::{Framing, JudgedBy, Looks, Request};
use crate::{
    discover::{self, Found},
    policy::{Policy, requested_at},
    running::{ImageKey, RunningDigest},
    status::image::Conclusion,
};

/// How soon after a look the next follows at the earliest because the clock was set forward.
const OVERTAKEN_PACE: Duration = Duration::from_secs(10);

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
    /// What runs; `None` where a tag says what to look at.
    pub runs: Option<Runs>,
    /// The references by which the pods name it, or the one of the object.
    pub references: Vec<Reference>,
    /// The platforms of the nodes that run it.
    pub platforms: Platforms,
    /// Whether the operator made the object.
    pub ours: bool,
    /// Whether a registry is asked about it at all.
    pub(super) asks: bool,
    /// What asks for a fresh look.
    pub request: Request,
}

impl<'a> Case<'a> {
    /// Reads what was written.
    pub(super) fn parse(self) -> ParsedCase<'a> {
        let parsed = self.reference();
        let runs = self.runs();
        let references = self.references(&parsed);
        let platforms = self.found.map_or(Platforms::Unknown, |found| found.running.platforms());
        let asks = match (&parsed, &self.policy.document) {
            (Ok(reference), Ok(document)) => {
                // What no longer runs is not looked at: where it ran is forgotten, and its object goes soon.
                (self.found.is_some() || !self.ours)
                    && matches!(verifier::select(document, reference.repository()), Selection::Judge(_))
            }
            _ => false,
        };
        ParsedCase {
            policy: self.policy,
            found: self.found,
            request: Request {
                image: requested_at(self.image),
                policy: self.policy.requested_at.clone(),
                framing: self.framing(runs.as_ref(), &references, &platforms),
            },
            reference: parsed,
            runs,
            references,
            platforms,
            ours: self.ours,
            asks,
        }
    }

    /// The clearest name of what runs.
    fn runs(&self) -> Option<Runs> {
        match self.found.map(|found| &found.key.digest) {
            Some(RunningDigest::Manifest(digest)) => Some(Runs::Digest(digest.clone())),
            Some(RunningDigest::Config(digest)) => Some(Runs::Config(digest.clone())),
            Some(RunningDigest::Tag(_) | RunningDigest::Unreadable(_)) => None,
            None => self.image.spec.digest.as_ref().and_then(|digest| digest.parse().ok()).map(Runs::Digest),
        }
    }

    fn references(&self, own: &Result<Reference, Box<Conclusion>>) -> Vec<Reference> {
        match self.found {
            Some(found) => found.running.references.iter().filter_map(|text| text.parse().ok()).collect(),
            None => own.iter().cloned().collect(),
        }
    }

    /// What else than the digest decides what is looked at; `None` where nothing does.
    fn framing(&self, runs: Option<&Runs>, references: &[Reference], platforms: &Platforms) -> Option<Framing> {
        let matching = self.policy.matching;
        let by_itself = matching == DigestMatching::Exact && !matches!(runs, Some(Runs::Config(_)));
        let framing = || Framing { matching, references: references.to_vec(), platforms: platforms.clone() };
        (!by_itself).then(framing)
    }

    /// Whether the object was made for an image of which no digest is reported.
    fn is_tag(&self) -> bool {
        let reference = self.image.spec.image.parse::<Reference>().ok();
        let tag = reference.as_ref().and_then(|reference| Some((reference, reference.tag()?.to_owned())));
        let key = tag.map(|(reference, tag)| ImageKey {
            repository: reference.repository().to_string(),
            digest: RunningDigest::Tag(tag),
        });
        key.is_some_and(|key| discover::name_of(&self.policy.name, &key) == self.image.name_any())
    }

    fn reference(&self) -> Result<Reference, Box<Conclusion>> {
        let unresolvable = |message: String, stalled: bool| {
            let stalled = stalled.then(|| message.clone());
            Box::new(Conclusion { stalled, ..Conclusion::plain(Reason::DigestUnresolvable, message) })
        };
        let spec = &self.image.spec;
        if let Some(found) = self.found {
            match &found.key.digest {
                RunningDigest::Manifest(_) | RunningDigest::Config(_) | RunningDigest::Tag(_) => {}
                RunningDigest::Unreadable(text) => {
                    let message = format!("status.containerStatuses[].imageID is {text:?}, which names no digest");
                    return Err(unresolvable(message, false));
                }
            }
        }
        if self.found.is_none() && self.ours && spec.digest.is_none() && !self.is_tag() {
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
    /// How long until the next look, zero if it is due: in time for the evidence not to become stale, where the registry
    /// answers.
    pub(super) fn wait(&self, looks: &Looks, now: Timestamp) -> Duration {
        let in_time = self.policy.stale_after / 10 * 9;
        let period = schedule::period(self.policy.interval, looks.seed).min(in_time);
        let wait = looks.wait(&self.request, self.policy.generation, period, Instant::now());
        let pace = looks.ended.map(|ended| OVERTAKEN_PACE.saturating_sub(ended.elapsed()));
        if self.is_overtaken(looks, now) { wait.min(pace.unwrap_or_default()) } else { wait }
    }

    /// Whether the evidence of a registry that answers is stale all the same: the clock was set forward.
    pub(super) fn is_overtaken(&self, looks: &Looks, now: Timestamp) -> bool {
        let gathered_at = looks.findings.as_ref().map(|findings| findings.gathered_at(self.policy.matching));
        let stale_at = gathered_at.and_then(|at| at.checked_add(self.policy.stale_after).ok());
        looks.error.is_none() && stale_at.is_some_and(|stale_at| stale_at <= now)
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
