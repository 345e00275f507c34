// SPDX-License-Identifier: Apache-2.0
//! Which digests' signatures count for what runs, and how they are found.
//!
//! A node reports one digest; a publisher signs the index, the manifests, or both. Exactly what is reported counts first:
//! **where it has signatures, they alone decide**, good or bad, so that a signature elsewhere never outweighs a revoked or
//! broken one here. Only where it has none, and the policy says so, its manifests or its index are looked at.
//!
//! * An index: every descriptor in it that the nodes may have taken has to pass, because nobody reports which one runs.
//! * A manifest: one of the indexes that the pods' own references name and that list it has to pass.
//!
//! DS-14: without `FollowIndex` none of this is looked at, and what was found earlier does not count.
//!
//! An index in an index is not opened. It is one descriptor, and needs a signature of its own.
//!
//! That one lists the other is a fact of bytes, whose digest is checked; nothing else that a registry says links them.

mod gather;
mod judge;

use std::{collections::BTreeSet, fmt, sync::Arc};

use jiff::Timestamp;
use sealwatch_registry::{Descriptor, Digest, Platform, Reference, Repository};

pub(crate) use self::gather::Documents;
pub use self::judge::{FollowedMatter, FollowedRecall, Judgement};
use crate::evidence::Evidence;

/// How many references of pods to one image are followed. Pods of one namespace seldom have more than two.
pub const REFERENCES_FOLLOWED: usize = 4;

/// Whose signatures count for what runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DigestMatching {
    /// Those of the digest that the node reports.
    #[default]
    Exact,
    /// Where that has none: those of every manifest of the index that the nodes may have taken, or of the index that the
    /// pods name.
    FollowIndex,
}

/// The platforms of the nodes that run an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Platforms {
    /// Not known of every node: anything that can run at all may have been taken.
    #[default]
    Unknown,
    /// Of every node.
    Known(BTreeSet<Platform>),
}

impl Platforms {
    /// Whether whoever looked at what may run on `self` has looked at what may run on `other`.
    pub fn cover(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unknown, _) => true,
            (Self::Known(_), Self::Unknown) => false,
            (Self::Known(known), Self::Known(other)) => known.is_superset(other),
        }
    }

    /// As a list, `None` if they are not known.
    fn list(&self) -> Option<Vec<Platform>> {
        match self {
            Self::Known(platforms) => Some(platforms.iter().cloned().collect()),
            Self::Unknown => None,
        }
    }
}

impl fmt::Display for Platforms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("any platform (those of the nodes are not known)"),
            Self::Known(platforms) => {
                let platforms: Vec<String> = platforms.iter().map(Platform::to_string).collect();
                f.write_str(&platforms.join(", "))
            }
        }
    }
}

/// What a node says is running.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Runs {
    /// The digest of a manifest or an index.
    Digest(Digest),
    /// The digest of an image configuration alone.
    Config(Digest),
}

/// What is asked about one image.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// The repository that the pods name: signatures, indexes and manifests are looked for there and nowhere else.
    pub repository: Repository,
    /// What runs.
    pub runs: Runs,
    /// The references by which the pods name it; others than of `repository` are passed over.
    pub references: Vec<Reference>,
    /// Whose signatures count.
    pub matching: DigestMatching,
    /// Where it runs.
    pub platforms: Platforms,
}

impl Question {
    fn references(&self) -> impl Iterator<Item = &Reference> {
        self.references.iter().filter(|reference| *reference.repository() == self.repository).take(REFERENCES_FOLLOWED)
    }
}

/// How the artifact that a signature was made for relates to what runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// It is the digest that the node reports.
    Exact,
    /// It is a manifest in the index that the node reports, or the manifest of the configuration that it reports.
    PlatformManifest,
    /// It is an index that lists the manifest that the node reports.
    Index,
}

impl Via {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "Exact",
            Self::PlatformManifest => "PlatformManifest",
            Self::Index => "Index",
        }
    }
}

/// Everything that a registry said about what runs, complete enough to be judged.
#[derive(Clone, Debug)]
pub struct Findings {
    /// What runs: the reported digest, or, of a reported configuration, the first manifest that has it.
    own: Arc<Evidence>,
    /// Further manifests with the reported configuration.
    same_config: Vec<Arc<Evidence>>,
    /// How what runs relates to what was reported.
    own_via: Via,
    /// What was found in place of signatures of its own.
    followed: Option<Followed>,
}

/// What counts where what runs has no signature of its own.
#[derive(Clone, Debug)]
struct Followed {
    path: Path,
    /// Of each artifact that was looked at.
    evidence: Vec<Arc<Evidence>>,
}

#[derive(Clone, Debug)]
enum Path {
    /// From an index to the descriptors that may run on `platforms`: all must pass.
    ///
    /// The walk ends at the first without any signature, since nothing after it can make up for that.
    Children {
        platforms: Platforms,
        /// What the index says of each one's platform.
        claimed: Vec<String>,
        /// How many may run.
        count: usize,
    },
    /// From a manifest to the indexes that list it: one must pass.
    Indexes,
    /// To nothing; why.
    Nowhere(String),
}

impl Findings {
    /// What was found about exactly what runs.
    pub fn exact(evidence: Arc<Evidence>) -> Self {
        Self { own: evidence, same_config: Vec::new(), own_via: Via::Exact, followed: None }
    }

    /// What runs, as the registry describes it; of a reported configuration the first manifest that has it.
    pub fn running(&self) -> &Descriptor {
        &self.own.image
    }

    /// Everything that a verdict under `matching` rests on.
    pub fn counting(&self, matching: DigestMatching) -> impl Iterator<Item = &Arc<Evidence>> + use<'_> {
        let followed = self.followed.iter().filter(move |_| matching == DigestMatching::FollowIndex);
        let own = std::iter::once(&self.own).chain(&self.same_config);
        own.chain(followed.flat_map(|followed| &followed.evidence))
    }

    /// When the oldest part of it was obtained.
    pub fn gathered_at(&self, matching: DigestMatching) -> Timestamp {
        self.counting(matching).map(|evidence| evidence.gathered_at).min().unwrap_or(self.own.gathered_at)
    }

    /// Whether a signature could not be fetched for a reason that may pass.
    pub fn is_partial(&self) -> bool {
        self.counting(DigestMatching::FollowIndex).any(|evidence| evidence.is_partial())
    }

    /// Whether everything was looked at that nodes of these platforms may have taken.
    pub fn cover(&self, platforms: &Platforms) -> bool {
        match self.followed.as_ref().map(|followed| &followed.path) {
            Some(Path::Children { platforms: looked_at, .. }) => looked_at.cover(platforms),
            _ => true,
        }
    }
}
