// SPDX-License-Identifier: Apache-2.0
//! `sealwatch crl fetch`: revocation lists, from where the network is to where it is not.

mod bring;
mod fetch;
mod needs;
mod write;

use std::{path::Path, process::ExitCode};

use sealwatch_verifier::BroughtLists;

use self::{
    fetch::Fetched,
    needs::{Needs, Scene},
};
use crate::{
    args::{CrlCommand, FetchArguments, ListFormat, LogFormat},
    log, source, terminal,
    verify::parse,
    whole::WholeFolder,
};

/// No certificate names a list.
const EXIT_NONE: u8 = 1;
/// A registry or an authority could not be asked, or what it has is no good.
const EXIT_UNKNOWN: u8 = 3;

/// Why nothing is written.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    Usage(String),
    /// There is nothing to fetch.
    None(String),
    /// Registries or authorities, a sentence for each.
    Places(Vec<String>),
}

pub(crate) async fn run(command: CrlCommand) -> ExitCode {
    let CrlCommand::Fetch(arguments) = command;
    log::start(LogFormat::Text, "warn");
    let done = fetch(&arguments).await;
    let (whys, code) = match done {
        Ok(answer) => return terminal::answer(&answer, ExitCode::SUCCESS),
        Err(Failure::Usage(why)) => return terminal::usage(&why),
        Err(Failure::None(why)) => (vec![why], EXIT_NONE),
        Err(Failure::Places(whys)) => (whys, EXIT_UNKNOWN),
    };
    for why in whys {
        let _ = terminal::usage(&why);
    }
    ExitCode::from(code)
}

/// Writes the lists, and gives what is to be printed. Nothing is asked before all that the user gave is understood, and
/// nothing written before all is there.
async fn fetch(arguments: &FetchArguments) -> Result<String, Failure> {
    if arguments.to.is_some() && arguments.output != ListFormat::Files {
        return Err(Failure::Usage("--to names the folder of -o files; -o configmap prints".to_owned()));
    }
    let images: Result<Vec<_>, _> = arguments.image.iter().map(|image| parse(image)).collect();
    let images = images.map_err(Failure::Usage)?;
    let bringing = bring::read(arguments).map_err(Failure::Usage)?;
    let begin = |folder: &Path| WholeFolder::begin(folder).map_err(|why| format!("--to {}: {why}", folder.display()));
    let folder = arguments.to.as_deref().map(begin).transpose().map_err(Failure::Usage)?;
    terminal::warn_of(&bringing.policy.warnings);
    let opened = source::Source::open(&arguments.source, images.iter().map(|(_, reference)| reference)).await;
    let opened = opened.map_err(Failure::Usage)?;
    let revocation = source::revocation(&opened.settings).map_err(Failure::Usage)?;
    let scenes = Scene::find_all(&images, &bringing.policy, opened).await.map_err(Failure::Places)?;
    let needs = Needs::of(&bringing.policy, &scenes);
    terminal::warn_of(&needs.warnings);
    if needs.places.is_empty() {
        return Err(Failure::None(nothing_to_fetch(&images)));
    }
    let lists = fetch::all(&revocation, &needs.places).await.map_err(Failure::Places)?;
    let brought = BroughtLists { lists: lists.iter().map(|one| one.list.clone()).collect(), unread: Vec::new() };
    let remarks: Vec<String> =
        scenes.iter().filter_map(|scene| scene.judged_by(&bringing.policy, &revocation, &brought)).collect();
    let answer = match (folder.zip(arguments.to.as_deref()), &bringing.manifest) {
        (Some((folder, place)), _) => write::files(folder, place, &lists),
        (None, Some(manifest)) => write::objects(&manifest.policy, &lists),
        (None, None) => Err("-o configmap needs a TrustPolicy".to_owned()),
    };
    let answer = answer.map_err(Failure::Usage)?;
    for one in &lists {
        terminal::note(&one.remark());
    }
    terminal::warn_of(&remarks);
    Ok(answer)
}

fn nothing_to_fetch<T>(images: &[T]) -> String {
    let (whose, next) = match images {
        [] => ("", "; name images with --image, whose signers' certificates say where their lists are"),
        _ => (", and none behind the signatures of these images that count,", ""),
    };
    format!("no certificate of the trust stores{whose} names a revocation list that can be fetched{next}")
}

impl Fetched {
    /// What it is, and when it ends.
    fn remark(&self) -> String {
        let what = if self.is_delta { "delta of the revocation list" } else { "revocation list" };
        let issuer = self.issuer();
        format!("{what} of {issuer:?} from {}: good until {}", self.question.url, self.list.next_update())
    }
}

#[cfg(test)]
mod tests;
