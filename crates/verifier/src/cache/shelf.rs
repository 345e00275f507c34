// SPDX-License-Identifier: Apache-2.0
//! What lies in the folder, how much it is, and what goes first when there is no room. Pure.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use sealwatch_registry::Digest;

use super::files::{ANSWERS, LISTS};

/// The unit in which file systems give out room.
const BLOCK: u64 = 4096;
/// What one signature takes in `index.json`, with room.
const INDEX_ENTRY: u64 = 512;
/// Most signatures in the layout: `index.json` stays below the 4 MiB that readers of layouts take.
pub(super) const SIGNATURES_MOST: usize = 8_192;

/// When room is made, this part of all of it is freed beside what is needed.
const SPARE: u64 = 16;

/// What is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Name {
    /// A list of signatures, by its keyed name.
    List(String),
    /// An answer about revocation, by its keyed name.
    Answer(String),
    /// A signature, by the digest of its manifest.
    Signature(Digest),
}

impl Name {
    /// Where its file is, that of its manifest if it has two.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::List(name) => Path::new(LISTS).join(name),
            Self::Answer(name) => Path::new(ANSWERS).join(name),
            Self::Signature(digest) => super::layout::blob(digest),
        }
    }
}

/// The files of a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    /// The manifest's media type and size.
    pub(super) media_type: String,
    pub(super) size: u64,
    pub(super) envelope: Digest,
    pub(super) envelope_size: u64,
}

#[derive(Debug)]
struct Unit {
    bytes: u64,
    used: u64,
    signature: Option<Signature>,
}

/// The account of a folder.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    units: HashMap<Name, Unit>,
    /// By the time of the last use.
    order: BTreeMap<u64, Name>,
    /// How many signatures have this envelope.
    envelopes: HashMap<Digest, usize>,
    /// How many signatures there are.
    signatures: usize,
    bytes: u64,
    clock: u64,
}

/// The room that a file takes.
pub(super) fn room(size: usize) -> u64 {
    let size = u64::try_from(size).unwrap_or(u64::MAX);
    size.div_ceil(BLOCK).saturating_mul(BLOCK)
}

impl Signature {
    /// The room that it takes.
    pub(super) fn room(&self) -> u64 {
        let files = [self.size, self.envelope_size].map(|size| room(usize::try_from(size).unwrap_or(usize::MAX)));
        files.into_iter().fold(INDEX_ENTRY, u64::saturating_add)
    }
}

impl Shelf {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn has(&self, name: &Name) -> bool {
        self.units.contains_key(name)
    }

    /// Takes in that something lies there and was used just now.
    pub(super) fn put(&mut self, name: Name, bytes: u64, signature: Option<Signature>) {
        self.remove(&name);
        if let Some(signature) = &signature {
            let count = self.envelopes.entry(signature.envelope.clone()).or_default();
            *count = count.saturating_add(1);
            self.signatures = self.signatures.saturating_add(1);
        }
        self.clock = self.clock.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        self.order.insert(self.clock, name.clone());
        self.units.insert(name, Unit { bytes, used: self.clock, signature });
    }

    /// Takes in that something was used. Returns whether it is there.
    pub(super) fn touch(&mut self, name: &Name) -> bool {
        let Some(unit) = self.units.get_mut(name) else { return false };
        self.clock = self.clock.saturating_add(1);
        self.order.remove(&unit.used);
        unit.used = self.clock;
        self.order.insert(self.clock, name.clone());
        true
    }

    /// Takes in that something is gone. Returns the envelope that goes with it, if no other signature has it.
    pub(super) fn remove(&mut self, name: &Name) -> Option<Digest> {
        let unit = self.units.remove(name)?;
        self.order.remove(&unit.used);
        self.bytes = self.bytes.saturating_sub(unit.bytes);
        let envelope = unit.signature?.envelope;
        self.signatures = self.signatures.saturating_sub(1);
        let count = self.envelopes.get_mut(&envelope)?;
        *count = count.saturating_sub(1);
        if *count > 0 {
            return None;
        }
        self.envelopes.remove(&envelope);
        Some(envelope)
    }

    /// What has to go, the longest unused first, so that `more` bytes and one more signature fit within `most`: if
    /// anything, then some more, so that the next ones find room.
    pub(super) fn victims(&self, more: u64, most: u64) -> Vec<Name> {
        let is_crowded = self.signatures >= SIGNATURES_MOST;
        let mut excess = self.bytes.saturating_add(more).saturating_sub(most);
        if excess > 0 {
            excess = excess.saturating_add(most / SPARE);
        }
        let mut crowd = if is_crowded { SIGNATURES_MOST / 8 } else { 0 };
        let mut victims = Vec::new();
        for name in self.order.values() {
            let is_signature = matches!(name, Name::Signature(_));
            if excess == 0 && (crowd == 0 || !is_signature) {
                if crowd == 0 {
                    break;
                }
                continue;
            }
            excess = excess.saturating_sub(self.units.get(name).map_or(0, |unit| unit.bytes));
            crowd = crowd.saturating_sub(usize::from(is_signature));
            victims.push(name.clone());
        }
        victims
    }

    /// The signatures, those that were not used for longest first.
    pub(super) fn signatures(&self) -> impl Iterator<Item = (&Digest, &Signature)> {
        self.order.values().filter_map(|name| match name {
            Name::Signature(digest) => Some((digest, self.units.get(name)?.signature.as_ref()?)),
            Name::List(_) | Name::Answer(_) => None,
        })
    }
}
