// SPDX-License-Identifier: Apache-2.0
//! Microsoft's Deployment Image List: the digests of a release, held against those that run.
//!
//! `deployment-image-list/aio-customer-dil-VERSION.json` of Azure/azure-iot-operations. Its digest is the identity of an
//! image; of one for several platforms it is that of the index. One digest may stand there under several tags, one
//! repository in several versions, and the namespace may be empty. Charts are listed too, and are no images that run.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use jiff::Timestamp;
use sealwatch_api::text::clip;
use sealwatch_operator::running::{ImageKey, RunningDigest, RunningIndex};
use sealwatch_registry::{Digest, Reference, Repository};
use serde::{Deserialize, Serialize};

use super::report::Subject;
use crate::{output::TEXT_MOST, registries::read_bounded};

/// The largest list that is read, in bytes; that of 1.4.112 has 30 KiB.
const FILE_MOST: u64 = 4 * 1024 * 1024;
/// The most images that a list may have; that of 1.4.112 has 70.
const ENTRIES_MOST: usize = 10_000;
/// What to do about a file that is none.
const REMEDY: &str = "take aio-customer-dil-VERSION.json of the release from Azure/azure-iot-operations on GitHub";

/// The list, each digest of a repository once.
#[derive(Debug)]
pub(super) struct ReleaseList {
    file: String,
    entries: Vec<Entry>,
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    repository: Repository,
    digest: Digest,
    tags: BTreeSet<String>,
    namespaces: BTreeSet<String>,
    is_index: bool,
}

/// The part of the file that is read.
#[derive(Deserialize)]
struct File {
    images: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    repo: String,
    digest: String,
    #[serde(default)]
    tag: Option<String>,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    multi_arch: Option<bool>,
}

/// How a running image stands to the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum State {
    /// The list has the repository, and another digest.
    OtherDigest,
    /// The list does not have it.
    NotInList,
    /// The node reports no digest that could be compared.
    Unknown,
    /// The list has its digest.
    AsReleased,
}

/// What came of the comparison.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListReport {
    pub(super) file: String,
    /// Each distinct running image, the worst first.
    pub(super) images: Vec<Compared>,
    /// What of the list does not run.
    pub(super) not_running: Vec<NotRunning>,
}

/// One running image beside the list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Compared {
    #[serde(flatten)]
    pub(super) subject: Subject,
    pub(super) state: State,
    pub(super) message: String,
}

/// One entry of the list that nothing runs.
#[derive(Serialize)]
pub(super) struct NotRunning {
    pub(super) image: String,
    pub(super) digest: String,
    /// Where the list says that it runs; none if it does not say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) namespaces: Vec<String>,
}

impl State {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::OtherDigest => "OtherDigest",
            Self::NotInList => "NotInList",
            Self::Unknown => "Unknown",
            Self::AsReleased => "AsReleased",
        }
    }
}

impl ReleaseList {
    /// Reads a list.
    ///
    /// # Errors
    /// The file cannot be read, or is no such list; a sentence that names the field.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let at = |why: String| format!("--deployment-image-list {}: {why}", path.display());
        let bytes = read_bounded(path, FILE_MOST).map_err(at)?;
        let entries = parse(&bytes);
        let entries = entries.map_err(|why| at(format!("is not a Deployment Image List: {why}; {REMEDY}")))?;
        Ok(Self { file: path.display().to_string(), entries })
    }

    /// Holds what runs in a namespace, or in all, against the list.
    pub(super) fn compare(&self, running: &RunningIndex, namespace: Option<&str>, now: Timestamp) -> ListReport {
        let mut found = BTreeMap::<ImageKey, (BTreeSet<String>, BTreeSet<String>)>::new();
        for place in running.namespaces() {
            for (key, image) in running.images(place, |_| true, now).images {
                let (references, pods) = found.entry(key).or_default();
                references.extend(image.references);
                pods.extend(image.containers.iter().map(|(pod, _)| format!("{place}/{pod}")));
            }
        }
        let compared = found.iter().map(|(key, (references, pods))| {
            let (state, message) = self.state(key);
            Compared { subject: Subject::new(Some(key), references.first(), pods.clone()), state, message }
        });
        let mut images: Vec<Compared> = compared.collect();
        images.sort_by_key(|image| image.state);
        let listed: BTreeSet<&Digest> = self.entries.iter().map(|entry| &entry.digest).collect();
        let is_missing = |entry: &&Entry| !found.keys().any(|key| entry.is_about(key, &listed));
        let not_running = self.expected(namespace).filter(is_missing);
        ListReport { file: self.file.clone(), images, not_running: not_running.map(NotRunning::from).collect() }
    }

    fn state(&self, key: &ImageKey) -> (State, String) {
        let same_path: Vec<&Entry> = self.entries.iter().filter(|entry| entry.has_path_of(&key.repository)).collect();
        if let RunningDigest::Manifest(digest) = &key.digest {
            let same: Vec<&Entry> = self.entries.iter().filter(|entry| entry.digest == *digest).collect();
            let named = same.iter().find(|entry| entry.repository.to_string() == key.repository);
            return match (named.or(same.first()), same_path.as_slice()) {
                (Some(entry), _) => (State::AsReleased, entry.as_released(&key.repository)),
                (None, []) => (State::NotInList, "the list does not have this repository".to_owned()),
                (None, entries) => (State::OtherDigest, other_digest(entries)),
            };
        }
        match (same_path.is_empty(), &key.digest) {
            (true, _) => (State::NotInList, "the list does not have this repository".to_owned()),
            (false, RunningDigest::Config(_)) => (
                State::Unknown,
                "the node reports the digest of the image's configuration, as for an image that was loaded from a file; \
                 the list has that of its manifest"
                    .to_owned(),
            ),
            (false, _) => (State::Unknown, "the node reports no digest".to_owned()),
        }
    }

    /// The entries that shall run in a namespace, or in all. A namespace that the list does not know may be any of its.
    fn expected(&self, namespace: Option<&str>) -> impl Iterator<Item = &Entry> {
        let is_known = |name: &str| self.entries.iter().any(|entry| entry.namespaces.contains(name));
        let only = namespace.filter(|name| is_known(name)).map(str::to_owned);
        self.entries.iter().filter(move |entry| {
            let is_there = |only: &String| entry.namespaces.is_empty() || entry.namespaces.contains(only);
            only.as_ref().is_none_or(is_there)
        })
    }
}

fn parse(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    // Some editors begin a file with a mark of its byte order.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let file: File =
        serde_path_to_error::deserialize(&mut json).map_err(|error| clip(&error.to_string(), TEXT_MOST))?;
    json.end().map_err(|error| error.to_string())?;
    if file.images.is_empty() || file.images.len() > ENTRIES_MOST {
        return Err(format!("images has {} entries, and it has from 1 to {ENTRIES_MOST}", file.images.len()));
    }
    let mut entries = BTreeMap::<(Repository, Digest), Entry>::new();
    for (place, listed) in file.images.into_iter().enumerate() {
        let at = |field: &str, why: &dyn std::fmt::Display| format!("images[{place}].{field}: {why}");
        let reference: Reference = listed.repo.parse().map_err(|error| at("repo", &error))?;
        let digest: Digest = listed.digest.parse().map_err(|error| at("digest", &error))?;
        let repository = reference.repository().clone();
        let key = (repository.clone(), digest.clone());
        let entry = entries.entry(key).or_insert_with(|| Entry {
            repository,
            digest,
            tags: BTreeSet::new(),
            namespaces: BTreeSet::new(),
            is_index: false,
        });
        entry.tags.extend(listed.tag.map(|tag| clip(&tag, 128)));
        entry.namespaces.extend(listed.namespace.filter(|namespace| !namespace.is_empty()));
        entry.is_index |= listed.multi_arch == Some(true);
    }
    Ok(entries.into_values().collect())
}

impl Entry {
    /// Whether a repository has this path, there or at a mirror, below another folder perhaps.
    fn has_path_of(&self, repository: &str) -> bool {
        let Ok(repository) = repository.parse::<Repository>() else { return false };
        let (theirs, ours) = (repository.path(), self.repository.path());
        theirs == ours || theirs.strip_suffix(ours).is_some_and(|rest| rest.ends_with('/'))
    }

    /// Whether that is this entry, or something that is not in the list and takes its place: then it is not missing.
    fn is_about(&self, key: &ImageKey, listed: &BTreeSet<&Digest>) -> bool {
        match &key.digest {
            RunningDigest::Manifest(digest) if *digest == self.digest => true,
            RunningDigest::Manifest(digest) if listed.contains(digest) => false,
            _ => self.has_path_of(&key.repository),
        }
    }

    fn tags(&self) -> String {
        let tags: Vec<&str> = self.tags.iter().map(String::as_str).take(5).collect();
        tags.join(", ")
    }

    fn as_released(&self, repository: &str) -> String {
        if self.repository.to_string() == repository {
            return format!("tag {}", self.tags());
        }
        format!("as {}, tag {}", self.repository, self.tags())
    }
}

fn other_digest(entries: &[&Entry]) -> String {
    let named = entries.iter().take(5).map(|entry| format!("{} (tag {})", entry.digest, entry.tags()));
    let mut message = format!("the list has {}", named.collect::<Vec<_>>().join(", "));
    if entries.iter().any(|entry| entry.is_index) {
        message.push_str(
            "; that is the digest of an index, and a node that pulled one of its manifests by digest reports another",
        );
    }
    message
}

impl From<&Entry> for NotRunning {
    fn from(entry: &Entry) -> Self {
        let tag = entry.tags.first().map(|tag| format!(":{tag}")).unwrap_or_default();
        Self {
            image: format!("{}{tag}", entry.repository),
            digest: entry.digest.to_string(),
            namespaces: entry.namespaces.iter().cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests;
