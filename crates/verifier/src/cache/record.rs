// SPDX-License-Identifier: Apache-2.0
//! A list of signatures as it is written down, and evidence made of it again.
//!
//! Nothing of a signature stands in a list but its digest: its manifest and envelope are read, hashed and parsed anew,
//! so that another version of this program makes of them what it would make of them at the registry's hand.

use std::{collections::BTreeMap, time::Instant};

use jiff::Timestamp;
use sealwatch_registry::{CredentialKey, Descriptor, Digest, limits::MAX_CANDIDATES};
use serde::{Deserialize, Serialize};

use crate::{
    evidence::{Candidate, CandidateState, Evidence, ListKey},
    gather::GatherError,
    reason::Reason,
};

/// What is said of a signature that the list names and the folder does not have.
const NOT_KEPT: &str = "the signature is not in the evidence cache, and the registry could not be asked for it";

/// A list, with the proof that the image exists.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Record {
    image: Image,
    candidates: Vec<Listed>,
    omitted: usize,
    gathered_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Image {
    media_type: String,
    digest: Digest,
    size: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Listed {
    digest: Digest,
    state: State,
}

/// What became of it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum State {
    /// Its files say.
    Fetched,
    /// It is broken for good, and there are no files to say so.
    Broken(String),
    /// It could not be fetched.
    Unfetched { reason: String, message: String },
}

/// What the name of a list is made of.
pub(crate) fn about<R>((subject, credentials): &ListKey, then: impl FnOnce(&[&[u8]]) -> R) -> R {
    let digest = subject.digest.to_string();
    let repository = &subject.repository;
    let fields: [&[u8]; 4] = [
        repository.registry().as_bytes(),
        repository.path().as_bytes(),
        digest.as_bytes(),
        CredentialKey::expose(credentials),
    ];
    then(&fields)
}

impl Record {
    /// `has_files` says of which signatures manifest and envelope are there to be kept.
    pub(crate) fn of(evidence: &Evidence, has_files: impl Fn(&Digest) -> bool) -> Self {
        let Descriptor { media_type, digest, size, .. } = evidence.image.clone();
        let listed = |candidate: &Candidate| {
            let state = match &candidate.state {
                CandidateState::Envelope(_) | CandidateState::Broken(_) if has_files(&candidate.digest) => {
                    State::Fetched
                }
                CandidateState::Envelope(_) => not_kept(),
                CandidateState::Broken(why) => State::Broken(why.as_ref().to_owned()),
                CandidateState::Unfetched(error) => {
                    State::Unfetched { reason: error.reason.as_str().to_owned(), message: error.message.clone() }
                }
            };
            Listed { digest: candidate.digest.clone(), state }
        };
        Self {
            image: Image { media_type, digest, size },
            candidates: evidence.candidates.iter().map(listed).collect(),
            omitted: evidence.omitted,
            gathered_at: evidence.gathered_at,
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Nothing in it can fail to be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a list of the image with this digest, and when it was obtained.
    pub(crate) fn parse(bytes: &[u8], subject: &Digest) -> Option<(Self, Timestamp)> {
        let record: Self = serde_json::from_slice(bytes).ok()?;
        let gathered_at = record.gathered_at;
        (record.image.digest == *subject && record.candidates.len() <= MAX_CANDIDATES).then_some((record, gathered_at))
    }

    /// The evidence. `state` says what the files of a signature come to; none if there are none.
    pub(crate) fn restore(self, state: impl Fn(&Digest, &Descriptor) -> Option<CandidateState>) -> Evidence {
        let Image { media_type, digest, size } = self.image;
        let image = Descriptor { media_type, digest, size, artifact_type: None, annotations: BTreeMap::new() };
        let candidate = |listed: Listed| {
            let state = match listed.state {
                State::Fetched => state(&listed.digest, &image).unwrap_or_else(|| unfetched(None, NOT_KEPT.to_owned())),
                State::Broken(why) => CandidateState::Broken(why.into()),
                State::Unfetched { reason, message } => unfetched(Reason::of_gathering(&reason), message),
            };
            Candidate { digest: listed.digest, state }
        };
        let candidates = self.candidates.into_iter().map(candidate).collect();
        Evidence { image, candidates, omitted: self.omitted, gathered_at: self.gathered_at, gathered: Instant::now() }
    }
}

fn not_kept() -> State {
    State::Unfetched { reason: Reason::RegistryUnavailable.as_str().to_owned(), message: NOT_KEPT.to_owned() }
}

fn unfetched(reason: Option<Reason>, message: String) -> CandidateState {
    let reason = reason.unwrap_or(Reason::RegistryUnavailable);
    CandidateState::Unfetched(GatherError { reason, message, retry_after: None })
}
