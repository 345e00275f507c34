// SPDX-License-Identifier: Apache-2.0
//! What a scan found, in the words of the API's `ImageVerification`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sealwatch_api::{
    Check, ImageVerificationStatus, Reason, Signature, Summary, Verdict, Vocabulary as _, Word, text::clip,
};
use sealwatch_operator::{
    running::{ImageKey, RunningDigest, RunningIndex},
    status::{policy::Expiry, time as whole_second},
};
use sealwatch_registry::Reference;
use serde::Serialize;

use super::{
    change::Change,
    judging::Judged,
    place::Place,
    policies::PolicyFile,
    release::{ListReport, ReleaseList, State},
};
use crate::output::IMAGE_MOST;

/// The longest message, in bytes: the longest of a status, and what may help.
pub(super) const MESSAGE_MOST: usize = 1024;

/// Everything.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// The address of the API server.
    pub(super) server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) context: Option<String>,
    /// What was scanned; all namespaces if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<String>,
    pub(super) time: Timestamp,
    /// The file of `--policy`; the cluster's own policies judged if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) policy: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) warnings: Vec<String>,
    pub(super) summary: Summary,
    /// Each distinct image, the worst first; absent where none was judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) images: Option<Vec<ImageReport>>,
    /// What `--diff` shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) changes: Option<Vec<Change>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deployment_image_list: Option<ListReport>,
}

/// An image and where it runs.
#[derive(Clone, Serialize)]
pub(super) struct Subject {
    /// As the pods write it; the first of its references.
    pub(super) image: String,
    pub(super) repository: String,
    /// What the kubelet reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<String>,
    /// Each as `namespace/name`.
    pub(super) pods: Vec<String>,
}

/// One distinct image under one policy.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageReport {
    #[serde(flatten)]
    pub(super) subject: Subject,
    /// The policy that judged: the file, or `namespace/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) policy: Option<String>,
    pub(super) verdict: Verdict,
    pub(super) reason: String,
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) statement: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) level: Option<String>,
    pub(super) checks: Vec<Check>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) signature: Option<Signature>,
    /// The first thing that the verdict rests on and that ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_expiry: Option<ExpiryReport>,
    /// How many containers run it.
    pub(super) containers: usize,
    /// Every way in which the pods write it.
    pub(super) references: Vec<String>,
    /// Of the nodes, as far as they may be seen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) platforms: Vec<String>,
}

/// Something that ends.
#[derive(Clone, Serialize)]
pub(super) struct ExpiryReport {
    pub(super) time: Timestamp,
    pub(super) kind: &'static str,
    pub(super) subject: String,
}

impl Report {
    /// What is known before anything is judged.
    pub(super) fn begin(place: &Place, running: &RunningIndex, file: Option<&PolicyFile>, now: Timestamp) -> Self {
        let mut summary = Summary::default();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        for namespace in running.namespaces() {
            let images = running.images(namespace, |_| true, now);
            summary.pods = summary.pods.saturating_add(count(images.pods));
            summary.containers = summary.containers.saturating_add(count(images.containers));
        }
        Self {
            server: place.cluster.url().to_owned(),
            context: place.context.as_ref().map(|context| clip(context, 256)),
            namespace: place.namespace.clone(),
            time: whole_second(now).0,
            policy: file.map(|file| file.label.to_string()),
            warnings: Vec::new(),
            summary,
            images: None,
            changes: None,
            deployment_image_list: None,
        }
    }

    /// Takes in what was judged: one entry for each distinct image and policy, unless namespaces differ in the answer.
    pub(super) fn add_images(&mut self, judged: &[Judged]) {
        let mut groups = BTreeMap::<_, Vec<&Judged>>::new();
        for one in judged {
            let policy = one.case.policy.as_ref().map(|named| named.label.to_string());
            let status = &one.answer.status;
            let said = (status.reason.as_ref().map(ToString::to_string), status.message.clone());
            groups.entry((policy, one.case.found.key.clone(), said)).or_default().push(one);
        }
        let mut images: Vec<ImageReport> = groups.values().filter_map(|group| ImageReport::of(group)).collect();
        images.sort_by_cached_key(|image| {
            (rank(image.verdict), image.reason.clone(), image.subject.repository.clone(), image.subject.digest.clone())
        });
        for image in &images {
            self.summary.images = self.summary.images.saturating_add(1);
            let counter = match image.verdict {
                Verdict::Verified => &mut self.summary.verified,
                Verdict::Failed => &mut self.summary.failed,
                Verdict::Unknown => &mut self.summary.unknown,
                Verdict::Skipped => &mut self.summary.skipped,
            };
            *counter = counter.saturating_add(1);
            if image.reason == Reason::FailuresLogged.as_str() {
                self.summary.logged = self.summary.logged.saturating_add(1);
            }
        }
        self.images = Some(images);
    }

    /// Takes in what would change.
    pub(super) fn add_changes(&mut self, changes: Vec<Change>) {
        self.changes = Some(changes);
    }

    /// Compares what runs with a list.
    pub(super) fn compare(&mut self, list: &ReleaseList, running: &RunningIndex, place: &Place, now: Timestamp) {
        self.deployment_image_list = Some(list.compare(running, place.namespace.as_deref(), now));
    }

    /// 1 where something is wrong, 3 where of something it could not be told, else 0.
    pub(super) fn exit_code(&self) -> u8 {
        let images = self.images.iter().flatten().map(|image| image.verdict);
        let verdicts: BTreeSet<u8> =
            images.chain(self.changes.iter().flatten().map(|change| change.to.verdict)).map(rank).collect();
        let states = self.deployment_image_list.iter().flat_map(|list| &list.images).map(|image| image.state);
        let (mut is_wrong, mut is_open) =
            (verdicts.contains(&rank(Verdict::Failed)), verdicts.contains(&rank(Verdict::Unknown)));
        for state in states {
            is_wrong |= matches!(state, State::OtherDigest | State::NotInList);
            is_open |= state == State::Unknown;
        }
        match (is_wrong, is_open) {
            (true, _) => 1,
            (false, true) => 3,
            (false, false) => 0,
        }
    }
}

impl Subject {
    /// An image that runs in several namespaces, or in one.
    pub(super) fn of<'a>(judged: impl Iterator<Item = &'a Judged> + Clone) -> Self {
        let running = judged.clone().map(|one| (one.case.namespace.as_str(), &one.case.found.running));
        let key = judged.map(|one| &one.case.found.key).next();
        let pods = running.clone().flat_map(|(namespace, running)| {
            running.containers.iter().map(move |(pod, _)| format!("{namespace}/{pod}"))
        });
        let reference = running.flat_map(|(_, running)| &running.references).next();
        Self::new(key, reference, pods.collect())
    }

    /// An image by its key and one of its references.
    pub(super) fn new(key: Option<&ImageKey>, reference: Option<&String>, pods: BTreeSet<String>) -> Self {
        let repository = key.map(|key| key.repository.clone()).unwrap_or_default();
        let digest = key.and_then(|key| match &key.digest {
            RunningDigest::Manifest(digest) | RunningDigest::Config(digest) => Some(digest.to_string()),
            RunningDigest::Tag(_) | RunningDigest::Unreadable(_) => None,
        });
        Self {
            image: clip(reference.unwrap_or(&repository), IMAGE_MOST),
            repository: clip(&repository, IMAGE_MOST),
            digest,
            pods: pods.into_iter().collect(),
        }
    }

    /// The image for people: its repository and tag.
    pub(super) fn name(&self) -> String {
        let tag = self.image.parse::<Reference>().ok().and_then(|reference| reference.tag().map(str::to_owned));
        clip(&tag.map_or_else(|| self.repository.clone(), |tag| format!("{}:{tag}", self.repository)), IMAGE_MOST)
    }

    /// The first digits of the digest.
    pub(super) fn short_digest(&self) -> String {
        let hex = self.digest.as_deref().and_then(|digest| digest.split_once(':')).map(|(_, hex)| hex);
        hex.map_or_else(|| "-".to_owned(), |hex| hex.chars().take(12).collect())
    }
}

impl ImageReport {
    /// The same answer about one image in several namespaces.
    fn of(group: &[&Judged]) -> Option<Self> {
        let first = group.first()?;
        let status = &first.answer.status;
        let running = || group.iter().map(|one| &one.case.found.running);
        let references: BTreeSet<&String> = running().flat_map(|running| &running.references).collect();
        let platforms: BTreeSet<String> =
            running().flat_map(|running| &running.platforms).map(ToString::to_string).collect();
        let applied = status.policy.as_ref();
        Some(Self {
            subject: Subject::of(group.iter().copied()),
            policy: first.case.policy.as_ref().map(|named| named.label.to_string()),
            verdict: verdict_of(status),
            reason: status.reason.as_ref().map(ToString::to_string).unwrap_or_default(),
            message: status.message.clone().unwrap_or_default(),
            statement: applied.and_then(|applied| applied.statement.clone()),
            level: applied.and_then(|applied| applied.level.clone()),
            checks: status.checks.clone(),
            signature: status.signature.clone(),
            next_expiry: first.answer.expiry.as_ref().map(ExpiryReport::from),
            containers: running().map(|running| running.container_count).sum(),
            references: references.into_iter().map(|reference| clip(reference, IMAGE_MOST)).collect(),
            platforms: platforms.into_iter().collect(),
        })
    }

    /// Who signed, where that is a fact and no claim.
    pub(super) fn signer(&self) -> Option<&str> {
        let signer = self.signature.as_ref()?.signer.as_ref()?;
        Some(signer.common_name.as_deref().unwrap_or(&signer.subject))
    }

    /// What ends, or has ended where that is why the image failed.
    pub(super) fn ends(&self) -> Option<Timestamp> {
        let signature = self.signature.as_ref();
        let of_signature = || signature.and_then(|signature| signature.expiry.as_ref());
        let of_signer = || signature.and_then(|signature| signature.signer.as_ref()?.not_after.as_ref());
        let ended = match Reason::parse(&self.reason) {
            Some(Reason::SignatureExpired) => of_signature(),
            Some(Reason::CertificateExpired) => of_signer(),
            _ => None,
        };
        self.next_expiry.as_ref().map(|expiry| expiry.time).or(ended.map(|time| time.0))
    }
}

impl From<&Expiry> for ExpiryReport {
    fn from(expiry: &Expiry) -> Self {
        Self { time: expiry.time, kind: expiry.kind.as_str(), subject: clip(&expiry.subject, 256) }
    }
}

/// The verdict of a status that the engine made.
pub(super) fn verdict_of(status: &ImageVerificationStatus) -> Verdict {
    status.verdict.as_ref().and_then(Word::known).unwrap_or(Verdict::Unknown)
}

/// The order in which verdicts are shown, the worst first.
pub(super) fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Failed => 0,
        Verdict::Unknown => 1,
        Verdict::Skipped => 2,
        Verdict::Verified => 3,
    }
}
