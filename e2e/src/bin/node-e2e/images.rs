// SPDX-License-Identifier: Apache-2.0

//! What the pods run.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use sealwatch_e2e::scene::Pki;
use sealwatch_e2e::testenv::{
    Format, Notation, PushedImage, Registry, Result, SignOptions, SmallImage, node, push_index,
};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// How often a digest may fall on the wrong side; 32 coins that agree are no accident.
const ATTEMPTS: usize = 32;
/// An architecture that is not this machine's.
const OTHER: &str = "s390x";

/// Pushes and signs images that all run one program.
pub(crate) struct Workshop<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) notation: &'a Notation,
    pub(crate) pki: &'a Pki,
    pub(crate) program: &'a [u8],
    pub(crate) names: Names,
}

/// What digests are, for a reader.
#[derive(Default)]
pub(crate) struct Names(Mutex<BTreeMap<String, &'static str>>);

impl Names {
    pub(crate) fn add(&self, digest: &str, name: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(digest.to_owned(), name);
    }

    /// The text with names in place of digests.
    pub(crate) fn in_place(&self, text: &str) -> String {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.iter().fold(text.to_owned(), |text, (digest, name)| text.replace(digest, name))
    }
}

/// An image for two architectures.
pub(crate) struct Multi {
    pub(crate) index: PushedImage,
    /// The manifest for this machine.
    pub(crate) manifest: PushedImage,
}

impl Workshop<'_> {
    /// The image of this name, for this machine.
    pub(crate) fn image(&self, name: &str) -> SmallImage {
        let image = SmallImage::of_program(name, node::architecture(), self.program);
        self.names.add(&image.digest(), "MANIFEST");
        self.names.add(&image.config_digest(), "CONFIGURATION");
        image
    }

    /// An image of one architecture, with the tag `1`.
    pub(crate) async fn single(&self, name: &str) -> Result<PushedImage> {
        self.registry.push(name, "1", &self.image(name)).await
    }

    /// An image of two architectures, with the tag `1`.
    pub(crate) async fn multi(&self, name: &str) -> Result<Multi> {
        self.multi_of(name, name).await
    }

    async fn multi_of(&self, repository: &str, name: &str) -> Result<Multi> {
        let manifest = self.registry.push(repository, "here", &self.image(name)).await?;
        let other = SmallImage::of_program(name, OTHER, b"never runs");
        let other = self.registry.push(repository, "elsewhere", &other).await?;
        let children = [(&other, OTHER), (&manifest, node::architecture())];
        let index = push_index(&manifest.repository, "1", INDEX, &children).await?;
        self.names.add(&index.digest, "INDEX");
        Ok(Multi { index, manifest })
    }

    /// The same, pushed until the digest of the index sorts before that of the manifest, or after it.
    pub(crate) async fn sorted(&self, name: &str, index_first: bool) -> Result<Multi> {
        for attempt in 0..ATTEMPTS {
            let multi = self.multi_of(name, &format!("{name} {attempt}")).await?;
            if (multi.index.digest < multi.manifest.digest) == index_first {
                return Ok(multi);
            }
        }
        Err("hashes are not random".into())
    }

    /// Signs exactly this digest.
    pub(crate) async fn sign(&self, image: &PushedImage) -> Result<()> {
        self.notation.sign(&image.by_digest(), &self.pki.operations, &SignOptions::format(Format::Cose)).await
    }
}
