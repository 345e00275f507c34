// SPDX-License-Identifier: Apache-2.0
//! `sealwatch mirror`: copies the signatures of an image to where they are missing, each under its own digest.

mod layout;
mod place;
mod signature;

use std::process::ExitCode;

use sealwatch_api::text::clip;
use sealwatch_registry::{Descriptor, Digest};
use serde::Serialize;

use self::{
    place::{From, Names, To},
    signature::Signature,
};
use crate::{
    args::{LogFormat, MirrorArguments},
    log, output,
    progress::Progress,
    terminal,
};

/// The source has no signature of the image.
const EXIT_NONE: u8 = 1;
/// One of the two could not be asked, or refused.
const EXIT_UNKNOWN: u8 = 3;
/// The longest text in a message, in bytes.
const TEXT_MOST: usize = 1024;

/// The answer for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    source: String,
    target: String,
    /// The image's.
    digest: String,
    dry_run: bool,
    signatures: Vec<Copied>,
}

#[derive(Serialize)]
struct Copied {
    /// Of the signature's manifest.
    digest: String,
    state: State,
}

/// What became of a signature.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
enum State {
    Copied,
    /// It was there already.
    Present,
    /// It is missing, and nothing was sent.
    WouldBeCopied,
}

/// Why it did not come to an answer.
enum Failure {
    Usage(String),
    /// A registry or layout, in one sentence.
    Place(String),
}

pub(crate) async fn run(arguments: MirrorArguments) -> ExitCode {
    log::start(LogFormat::Text, "warn");
    let answer = match answer(&arguments).await {
        Ok(answer) => answer,
        Err(Failure::Usage(why)) => return terminal::usage(&why),
        Err(Failure::Place(why)) => {
            let _ = terminal::usage(&why);
            return ExitCode::from(EXIT_UNKNOWN);
        }
    };
    let code = if answer.signatures.is_empty() { EXIT_NONE } else { 0 };
    output::answer(arguments.output, &answer, || answer.draw(), code)
}

async fn answer(arguments: &MirrorArguments) -> Result<Answer, Failure> {
    let names = Names::parse(&arguments.source, &arguments.target).map_err(Failure::Usage)?;
    let (from, to) = place::open(&names, &arguments.asking).await.map_err(Failure::Usage)?;
    let listed = from.referrers(&names.digest).await.map_err(Failure::Place)?;
    let mut answer = Answer {
        source: clip(&arguments.source, TEXT_MOST),
        target: clip(&arguments.target, TEXT_MOST),
        digest: names.digest.to_string(),
        dry_run: arguments.dry_run,
        signatures: Vec::new(),
    };
    if listed.is_empty() {
        return Ok(answer);
    }
    let known = to.referrers(&names.digest).await.map_err(Failure::Place)?;
    let missing: Vec<&Descriptor> = listed.iter().filter(|one| !known.contains(&one.digest)).collect();
    if !missing.is_empty() && !to.has_image(&names.digest).await.map_err(Failure::Place)? {
        let what = "does not have the image itself, only its signatures will be there";
        terminal::warn(&format!("{} {what}", arguments.target));
    }
    if !arguments.dry_run && !missing.is_empty() {
        copy(&from, to, &names.digest, &missing).await?;
    }
    let state = |one: &Descriptor| match (known.contains(&one.digest), arguments.dry_run) {
        (true, _) => State::Present,
        (false, true) => State::WouldBeCopied,
        (false, false) => State::Copied,
    };
    answer.signatures = listed.iter().map(|one| Copied { digest: one.digest.to_string(), state: state(one) }).collect();
    Ok(answer)
}

/// Copies each signature whole, blobs before their manifest, and at last says where they are to be found.
async fn copy(from: &From, mut to: To, image: &Digest, missing: &[&Descriptor]) -> Result<(), Failure> {
    let mut progress = Progress::start("copying signature", missing.len());
    let mut unlisted = Vec::new();
    for manifest in missing {
        progress.next();
        let signature = Signature::fetch(from, image, manifest).await.map_err(Failure::Place)?;
        for blob in &signature.blobs {
            to.blob(from, blob).await.map_err(Failure::Place)?;
        }
        if !to.manifest(&signature).await.map_err(Failure::Place)? {
            unlisted.push(signature.descriptor);
        }
    }
    progress.end();
    to.list(image, &unlisted).await.map_err(Failure::Place)
}

impl Answer {
    fn draw(&self) -> String {
        let count = |state: State| self.signatures.iter().filter(|one| one.state == state).count();
        let image = if self.source.contains('@') { self.source.clone() } else { self.digest.clone() };
        if self.signatures.is_empty() {
            return format!("{image} has no signature\n");
        }
        let (copied, verb) =
            if self.dry_run { (count(State::WouldBeCopied), "Would copy") } else { (count(State::Copied), "Copied") };
        let target = &self.target;
        let noun = |count: usize| if count == 1 { "signature" } else { "signatures" };
        match (copied, count(State::Present)) {
            (0, all) => format!("{target} has the {}{} of {image} already\n", several(all), noun(all)),
            (some, 0) => format!("{verb} {some} {} of {image} to {target}\n", noun(some)),
            (some, rest) => format!("{verb} {some} {} of {image} to {target}, which has {rest} already\n", noun(some)),
        }
    }
}

fn several(count: usize) -> String {
    if count == 1 { String::new() } else { format!("{count} ") }
}

#[cfg(test)]
mod tests;
