// SPDX-License-Identifier: Apache-2.0
//! `sealwatch inspect`: what the signatures of an image say of themselves. Nothing here says whom anybody trusts.

pub(crate) mod report;
mod text;

use std::process::ExitCode;

use futures::{StreamExt as _, stream};
use sealwatch_registry::{
    Credentials, Descriptor, Digest, Error, Reference, Registry, Repository, SignatureManifest, Target,
    limits::MAX_CANDIDATES,
};
use sealwatch_verifier::notation::{ARTIFACT_TYPE, Envelope, EnvelopeDetails};

use self::report::{Broken, ImageReport, Looked};
use crate::{
    args::{InspectArguments, LogFormat},
    log, output,
    source::Source,
    terminal,
    verify::{DEFAULT_TAG, parse},
};

/// How many images are looked at at once.
const IMAGES_AT_ONCE: usize = 8;
/// How many signatures of one image are fetched at once.
const SIGNATURES_AT_ONCE: usize = 4;
/// A signature is broken, or could not be read.
const EXIT_BROKEN: u8 = 1;
/// An image could not be looked up.
const EXIT_UNKNOWN: u8 = 3;

/// The signatures of one image.
pub(crate) struct Inspected {
    pub(crate) image: Descriptor,
    pub(crate) signatures: Vec<Signature>,
    /// How many more there are, beyond those that are looked at.
    pub(crate) more: usize,
}

/// One signature: its manifest, and what is in it.
pub(crate) struct Signature {
    pub(crate) manifest: Descriptor,
    pub(crate) read: Result<Intact, Broken>,
}

/// A signature whose integrity was checked.
pub(crate) struct Intact {
    pub(crate) layer: Descriptor,
    pub(crate) envelope: Envelope,
    pub(crate) details: EnvelopeDetails,
}

pub(crate) async fn run(arguments: InspectArguments) -> ExitCode {
    log::start(LogFormat::Text, "warn");
    let reports = match reports(&arguments).await {
        Ok(reports) => reports,
        Err(why) => return terminal::usage(&why),
    };
    let text = || reports.iter().map(text::draw).collect();
    output::answer(arguments.output, &reports, text, exit_code(&reports))
}

async fn reports(arguments: &InspectArguments) -> Result<Vec<ImageReport>, String> {
    let images: Result<Vec<(String, Reference)>, String> = arguments.images.iter().map(|image| parse(image)).collect();
    let images = images?;
    let source = Source::open(&arguments.source, images.iter().map(|(_, reference)| reference)).await?;
    let report = async |(asked, reference): &(String, Reference)| {
        let looked = look(&source.place, reference, &source.found.credentials).await;
        ImageReport::new(asked, reference, looked, &source.found)
    };
    Ok(stream::iter(&images).map(report).buffered(IMAGES_AT_ONCE).collect().await)
}

/// Looks an image and its signatures up.
pub(crate) async fn look<R: Registry>(
    registry: &R,
    reference: &Reference,
    credentials: &Credentials,
) -> Result<Inspected, Error> {
    let repository = reference.repository();
    let target = match reference.digest() {
        Some(digest) => Target::Digest(digest.clone()),
        None => Target::Tag(reference.tag().unwrap_or(DEFAULT_TAG).to_owned()),
    };
    let image = registry.resolve(repository, &target, credentials).await?;
    let mut listed = registry.referrers(repository, &image.digest, ARTIFACT_TYPE, credentials).await?;
    let more = listed.len().saturating_sub(MAX_CANDIDATES);
    listed.truncate(MAX_CANDIDATES);
    let signature = async |manifest: Descriptor| {
        let read = read(registry, repository, &image, &manifest, credentials).await;
        Signature { manifest, read }
    };
    let signatures = stream::iter(listed).map(signature).buffered(SIGNATURES_AT_ONCE).collect().await;
    Ok(Inspected { image, signatures, more })
}

async fn read<R: Registry>(
    registry: &R,
    repository: &Repository,
    image: &Descriptor,
    manifest: &Descriptor,
    credentials: &Credentials,
) -> Result<Intact, Broken> {
    let bytes = registry.manifest(repository, manifest, credentials).await.map_err(|error| Broken::unread(&error))?;
    let parsed = SignatureManifest::parse(&bytes, image, ARTIFACT_TYPE).map_err(|error| Broken::bad(None, &error))?;
    let layer = parsed.envelope;
    let bytes = registry.blob(repository, &layer, credentials).await.map_err(|error| Broken::unread(&error))?;
    match Envelope::parse_with_details(&layer.media_type, &bytes) {
        Ok((envelope, details)) => Ok(Intact { layer, envelope, details }),
        Err(error) => Err(Broken::bad(Some(layer), &error)),
    }
}

/// Whether a signature is about this image: a registry may list it for another.
pub(crate) fn is_about(intact: &Intact, digest: &Digest) -> bool {
    intact.envelope.target().digest == digest.to_string()
}

/// The worst of 3 (could not be looked up), 1 (a broken signature) and 0.
fn exit_code(reports: &[ImageReport]) -> u8 {
    let any = |is: fn(&Looked) -> bool| reports.iter().any(|report| is(&report.looked));
    if any(|looked| matches!(looked, Looked::Failed { .. })) {
        EXIT_UNKNOWN
    } else if any(Looked::has_broken) {
        EXIT_BROKEN
    } else {
        0
    }
}

#[cfg(test)]
mod tests;
