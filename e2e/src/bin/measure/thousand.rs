// SPDX-License-Identifier: Apache-2.0

//! A namespace with 1,000 images: from the start of the operator to the last verdict, and from an edit to the last.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use kube::ResourceExt as _;
use sealwatch_api::Summary;
use sealwatch_e2e::scene;
use sealwatch_e2e::stage::{ACCOUNT, Stage};
use sealwatch_e2e::testenv::pods::{self, ContainerSpec};
use sealwatch_e2e::testenv::{Cluster, OperatorProcess, PushedImage, Registry, Result};
use sealwatch_fixtures::pki::{Signer, pem};
use serde_json::json;

use crate::report::mebibytes;
use crate::{POLICY, asked};

const IMAGES: u32 = 1_000;
const CONTAINERS: usize = 40;
/// How often the policy is looked at; everything else would be most of the work.
const POLL: Duration = Duration::from_millis(50);
/// How long all verdicts may take.
const MOST: Duration = Duration::from_mins(5);

/// Measures it, and gives its part of the page.
pub(crate) async fn measure(cluster: Cluster) -> Result<String> {
    let stage = Stage::set(cluster, "thousand").await?;
    let (registry, signer) = (Registry::olareg().await?, Signer::new());
    let images = scene::crowd(&registry, &signer, usize::try_from(IMAGES)?).await?;
    stage.apply(&scene::roots(&pem(signer.root()))).await?;
    stage.apply(&scene::trust_policy(POLICY, &scene::seed_document())).await?;
    run(&stage, &images).await?;
    let before = asked(&stage, &registry)?;
    let began = Instant::now();
    let mut operator = stage.operator_for(Some(&stage.namespace), ACCOUNT, &[&registry], &[]).await?;
    wait(&stage, &operator, |summary| summary.verified == IMAGES).await?;
    let first = began.elapsed();
    let after = asked(&stage, &registry)?;
    let taken = operator.consumption()?;
    let edited = edit(&stage, &operator).await?;
    let again = asked(&stage, &registry)?.since(&after);
    let (policy, image) = sizes(&stage).await?;
    let _ = operator.terminate(Duration::from_secs(20)).await?;
    let asked = after.since(&before);
    let mut page = format!(
        "\n## {IMAGES} images in a namespace\n{} pods run them, {CONTAINERS} containers each; every image has a signature of \
         its own (ECDSA).\n\n| | |\n| --- | ---: |\n",
        images.len().div_ceil(CONTAINERS)
    );
    let mut row = |what: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| {what} | {value} |");
    };
    row("from the start of the operator to the last verdict", format!("{:.1} s", first.as_secs_f64()));
    row("time of processors until then", format!("{:.2} s", taken.cpu.as_secs_f64()));
    row(
        "resident memory then, and the most so far",
        format!("{}, {}", mebibytes(taken.resident), mebibytes(taken.peak)),
    );
    row("requests to the registry until then", asked.registry.to_string());
    row("requests to the API server until then", asked.of_the_api_server().to_string());
    row("from an edit of the TrustPolicy to its last verdict", format!("{:.1} s", edited.as_secs_f64()));
    row("requests to the registry meanwhile", again.registry.to_string());
    row("the TrustPolicy, as it is stored", format!("{policy} bytes"));
    row("the largest ImageVerification, likewise", format!("{image} bytes"));
    Ok(page)
}

async fn run(stage: &Stage, images: &[PushedImage]) -> Result<()> {
    for (pod, images) in images.chunks(CONTAINERS).enumerate() {
        let container = |(place, image): (usize, &PushedImage)| {
            ContainerSpec::new(format!("c{place}"), &image.reference, image.by_digest())
        };
        let containers: Vec<_> = images.iter().enumerate().map(container).collect();
        pods::run(&stage.client(), &stage.namespace, &format!("pod-{pod}"), &containers).await?;
    }
    Ok(())
}

async fn wait(stage: &Stage, operator: &OperatorProcess, done: impl Fn(&Summary) -> bool) -> Result<()> {
    let began = Instant::now();
    loop {
        let status = stage.policies().get_status(POLICY).await?.status.unwrap_or_default();
        if status.summary.as_ref().is_some_and(&done) {
            return Ok(());
        }
        if began.elapsed() > MOST {
            return Err(format!("after {} s there is {:?}: {}", MOST.as_secs(), status.summary, operator.log()).into());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Removes the signer's identity, until every image has failed.
async fn edit(stage: &Stage, operator: &OperatorProcess) -> Result<Duration> {
    let mut document = scene::seed_document();
    document["trustPolicies"][0]["trustedIdentities"] = json!([format!("x509.subject: {}", scene::PRODUCTS)]);
    stage.apply(&scene::trust_policy(POLICY, &document)).await?;
    let began = Instant::now();
    wait(stage, operator, |summary| summary.failed == IMAGES).await?;
    Ok(began.elapsed())
}

/// How large the TrustPolicy and the largest `ImageVerification` are, in bytes, with managedFields.
async fn sizes(stage: &Stage) -> Result<(usize, usize)> {
    let seen = stage.seen().await?;
    let policy = seen.policies.iter().find(|policy| policy.name_any() == POLICY).ok_or("the policy is gone")?;
    let mut largest = 0;
    for image in &seen.images {
        largest = largest.max(serde_json::to_vec(image)?.len());
    }
    Ok((serde_json::to_vec(policy)?.len(), largest))
}
