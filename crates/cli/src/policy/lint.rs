// SPDX-License-Identifier: Apache-2.0
//! `sealwatch policy lint`: what is legal in a trust policy, and unwise.

mod rules;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use sealwatch_registry::Reference;
use sealwatch_verifier::notation::{Statement, TrustPolicyDocument, TrustStores};
use serde::Serialize;

use self::rules::{Finding, InUse, Look};
use super::configuration::{Configuration, Files};
use crate::{
    args::{LintArguments, LogFormat},
    inspect::{self, is_about},
    log, output,
    registries::read_bounded,
    source::Source,
    terminal,
    verify::{
        parse,
        policy_file::{POLICY_MOST, Policy, kubernetes_text, manifest::Manifest},
        trust_store::{self, StoreError, stores_in},
    },
};

/// How many images are looked at at once.
const IMAGES_AT_ONCE: usize = 8;
/// There is a finding.
const EXIT_FOUND: u8 = 1;
/// An image could not be looked at.
const EXIT_UNKNOWN: u8 = 3;

/// The answer for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    findings: Vec<Finding>,
    /// Images that could not be looked at, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    not_looked_at: BTreeMap<String, String>,
}

pub(super) async fn run(arguments: LintArguments) -> ExitCode {
    log::start(LogFormat::Text, "warn");
    let answer = match answer(&arguments).await {
        Ok(answer) => answer,
        Err(why) => return terminal::usage(&why),
    };
    answer.not_looked_at.iter().for_each(|(image, why)| terminal::warn(&format!("--image {image}: {why}")));
    let code = match (answer.findings.is_empty(), answer.not_looked_at.is_empty()) {
        (false, _) => EXIT_FOUND,
        (true, false) => EXIT_UNKNOWN,
        (true, true) => 0,
    };
    let text = || match answer.findings.as_slice() {
        [] => "No finding\n".to_owned(),
        findings => findings.iter().map(Finding::draw).collect(),
    };
    output::answer(arguments.output, &answer, text, code)
}

async fn answer(arguments: &LintArguments) -> Result<Answer, String> {
    let images: Result<Vec<(String, Reference)>, String> = arguments.image.iter().map(|image| parse(image)).collect();
    let images = images?;
    let (document, stores) = read(arguments)?;
    let (in_use, not_looked_at) = in_use(arguments, &images).await?;
    let look =
        Look { document: &document, stores: &stores, in_use: &in_use, now: Timestamp::now(), soon: arguments.soon };
    Ok(Answer { findings: look.findings(), not_looked_at })
}

/// The document and every trust store that is defined, whoever names it.
fn read(arguments: &LintArguments) -> Result<(TrustPolicyDocument, TrustStores), String> {
    let files = Files::find(&arguments.path, arguments.trust_store.as_deref())?;
    let name = files.policy.display().to_string();
    let at = |why: String| format!("{name}: {why}");
    let bytes = read_bounded(&files.policy, POLICY_MOST).map_err(at)?;
    if let Some(text) = kubernetes_text(&bytes).map_err(at)? {
        let manifest = Manifest::parse(text).map_err(at)?;
        // A key in the wrong place is more than a finding.
        if let Some((reference, why)) = manifest.private_keys().first() {
            return Err(at(format!("trust store {reference}: {why}")));
        }
        let policy = Policy::from_manifest(&manifest, name.clone()).map_err(at)?;
        let policy = policy.with_stores_of(files.stores.as_deref())?;
        return Ok((policy.document.as_ref().clone(), policy.stores));
    }
    let configuration = Configuration::parse(&bytes, files.stores.clone()).map_err(at)?;
    let mut stores = TrustStores::new();
    let named = configuration.document.statements().iter().flat_map(Statement::trust_stores).cloned();
    let found = configuration.stores.iter().flat_map(|root| stores_in(root));
    for reference in named.chain(found).collect::<BTreeSet<_>>() {
        let Some(root) = &configuration.stores else {
            let needs = "needs --trust-store DIR, the folder truststore/x509 of notation's configuration";
            return Err(at(needs.to_owned()));
        };
        match trust_store::read(root, &reference) {
            Ok(store) => stores.insert(store),
            // A key in the wrong place is more than a finding.
            Err(why @ StoreError::PrivateKey(_)) => return Err(format!("trust store {reference}: {why}")),
            Err(why) => stores.insert_unavailable(reference, why.to_string()),
        }
    }
    Ok((configuration.document, stores))
}

/// The certificates behind the signatures of these images, and the images that could not be looked at.
async fn in_use(
    arguments: &LintArguments,
    images: &[(String, Reference)],
) -> Result<(Vec<InUse>, BTreeMap<String, String>), String> {
    let (mut in_use, mut failed) = (Vec::new(), BTreeMap::new());
    if images.is_empty() {
        return Ok((in_use, failed));
    }
    let source = Source::open(&arguments.source, images.iter().map(|(_, reference)| reference)).await?;
    let look = async |(asked, reference): &(String, Reference)| {
        (asked.clone(), reference.clone(), inspect::look(&source.place, reference, &source.found.credentials).await)
    };
    let looked: Vec<_> = stream::iter(images).map(look).buffered(IMAGES_AT_ONCE).collect().await;
    for (asked, reference, looked) in looked {
        match looked {
            Ok(inspected) => {
                let digest = inspected.image.digest;
                let intact = inspected.signatures.into_iter().filter_map(|signature| signature.read.ok());
                let about = intact.filter(|intact| is_about(intact, &digest));
                in_use.extend(about.map(|intact| InUse {
                    repository: reference.repository().to_string(),
                    image: asked.clone(),
                    chain: intact.envelope.certificate_chain().to_vec(),
                }));
            }
            Err(error) => {
                failed.insert(asked, source.found.failure(&error, reference.repository().registry()));
            }
        }
    }
    Ok((in_use, failed))
}

#[cfg(test)]
mod tests;
