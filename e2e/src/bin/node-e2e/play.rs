// SPDX-License-Identifier: Apache-2.0

//! What is played on the node.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use sealwatch_e2e::scene::{self, Pki};
use sealwatch_e2e::stage::{Seen, Stage, run};
use sealwatch_e2e::testenv::node::{self, Node};
use sealwatch_e2e::testenv::pki::KeyKind;
use sealwatch_e2e::testenv::{self, Cluster, Options, PushedImage, Registry, Result};
use serde_json::json;

use crate::cases;
use crate::images::{Names, Workshop};
use crate::operator::{self, Operator};
use crate::pods::{self, Case, Place};
use crate::report::{self, Row};
use crate::{FOLLOW, POLICY};

/// The repository of our own image.
const OURS: &str = "sealwatch/sealwatch";
const SOON: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);

/// Everything; `logs` is for those of the node.
pub(crate) async fn play(layout: &Path, logs: &Path) -> Result<()> {
    let began = Instant::now();
    let say = |text: &str| println!("{:>5.1} s  {text}", began.elapsed().as_secs_f64());
    let folder = tempfile::Builder::new().prefix("sealwatch-node-").tempdir()?;
    let program = node::program(folder.path()).await?;
    let cluster =
        testenv::cluster_with(Options { name: Some("node".into()), node: true, ..Options::default() }).await?;
    let mut registry = Registry::olareg_at(node::ADDRESS).await?;
    say("the control plane and the registry are up");
    let node = Node::start(&cluster, &registry, &program, logs).await?;
    say(&format!("the node is ready ({})", described(&cluster).await?));
    let stage = Stage { namespace: cluster.namespace("pods").await?, cluster: cluster.clone(), folder };
    let (notation, pki) = (stage.notation().await?, Pki::new(KeyKind::EcP256)?);
    let outcome = {
        let workshop = Workshop {
            registry: &registry,
            notation: &notation,
            pki: &pki,
            program: &program,
            names: Names::default(),
        };
        on_node(&stage, &workshop, &node, (layout, logs), &say).await
    };
    let outcome = match outcome {
        Ok((operator, cases)) => restarted(&stage, &mut registry, &node, &operator, &cases, &say).await,
        Err(error) => Err(error),
    };
    if outcome.is_err() {
        for args in [&["get", "pods", "-A", "-o", "wide"][..], &["get", "events", "-A"], &["get", "tp,iv", "-A"]] {
            println!("{}", run(&cluster, args).await.unwrap_or_else(|error| error.to_string()));
        }
    }
    outcome
}

/// What the node says that it runs.
async fn described(cluster: &Cluster) -> Result<String> {
    let column = |field: &str| format!("{{.status.nodeInfo.{field}}}");
    let fields = ["kubeletVersion", "containerRuntimeVersion", "operatingSystem", "architecture"].map(column).join(" ");
    run(cluster, &["get", "node", node::NAME, "-o", &format!("jsonpath={fields}")]).await
}

/// Installs the operator from its image, and lets it judge what the kubelet reports.
async fn on_node(
    stage: &Stage,
    workshop: &Workshop<'_>,
    node: &Node,
    (layout, logs): (&Path, &Path),
    say: &impl Fn(&str),
) -> Result<(Operator, Vec<Case>)> {
    let ours = workshop.registry.push_layout(OURS, layout).await?;
    workshop.names.add(&ours.digest, "INDEX");
    workshop.sign(&ours).await?;
    let operator = Operator::install(&stage.cluster, workshop.registry, &ours).await?;
    say("ok: helm install --wait: the operator's pod is ready, under the restricted Pod Security Standard");
    let checked = operator.test().await?;
    if !checked.contains("ok: the API server answers") || checked.contains("missing:") {
        return Err(format!("helm test: {checked}").into());
    }
    say("ok: helm test");
    let system = Stage {
        cluster: stage.cluster.clone(),
        namespace: operator::NAMESPACE.to_owned(),
        folder: tempfile::Builder::new().prefix("sealwatch-node-").tempdir()?,
    };
    for stage in [stage, &system] {
        stage.apply(&scene::roots(workshop.pki.root.certificate_pem())).await?;
        stage.apply(&scene::trust_policy(POLICY, &scene::seed_document())).await?;
    }
    let mut follow = scene::trust_policy(FOLLOW, &scene::seed_document());
    follow["spec"]["digestMatching"] = "FollowIndex".into();
    follow["spec"]["podSelector"] = json!({"matchLabels": {pods::JUDGED_BY: FOLLOW}});
    stage.apply(&follow).await?;
    let cases = cases::run(stage, workshop, node).await?;
    let mut rows = Vec::new();
    for case in &cases {
        rows.push(judged(stage, case, say).await?);
    }
    if let Some(image) = stage.seen().await?.images.iter().find(|image| image.spec.image.contains("missing")) {
        return Err(format!("an image that runs nowhere was judged: {image:?}").into());
    }
    let own = own_image(&operator, &ours);
    rows.push(judged(&system, &own, say).await?);
    report::print(&rows);
    report::compare(&rows, workshop, logs)?;
    say("ok: docs/running-images.md shows the same table");
    Ok((operator, cases))
}

/// The operator's own pod.
fn own_image(operator: &Operator, ours: &PushedImage) -> Case {
    Case {
        what: "the operator itself, installed by the chart",
        policy: POLICY,
        pod: operator.pod(),
        container: "operator",
        place: Place::Main,
        image: ours.reference.clone(),
        image_ids: vec![ours.by_digest()],
        verdict: format!("SignatureValid Exact {}", ours.digest),
    }
}

/// Waits for the kubelet's word on a container, compares it, and waits for ours.
async fn judged(stage: &Stage, case: &Case, say: &impl Fn(&str)) -> Result<Row> {
    let status = pods::reported(stage, case).await?;
    let as_expected =
        case.image_ids.contains(&status.image_id) || case.image_ids.is_empty() && status.image_id.is_empty();
    if !as_expected {
        return Err(format!("{}: reported as {status:#?}, expected is {:?}", case.what, case.image_ids).into());
    }
    let digest = status.image_id.rsplit_once('@').map_or("", |(_, digest)| digest);
    let expected = case.verdict.replace("{digest}", digest);
    let what = format!("{}: '{expected}'", case.what);
    stage.until_within(SOON, &what, |seen| pods::verdict(seen, case) == expected).await?;
    say(&format!("ok: {}", case.what));
    Ok(Row {
        what: case.what,
        image: case.image.clone(),
        reported_image: status.image,
        image_id: status.image_id,
        verdict: expected,
    })
}

/// Without a registry and after a kill, verdicts are what they were and as old as they were.
async fn restarted(
    stage: &Stage,
    registry: &mut Registry,
    node: &Node,
    operator: &Operator,
    cases: &[Case],
    say: &impl Fn(&str),
) -> Result<()> {
    // What was followed to is not kept: docs/evidence-cache.md.
    let is_kept = |case: &&Case| case.verdict == cases::EXACT || case.verdict == "NoSignature";
    let kept: Vec<&Case> = cases.iter().filter(is_kept).collect();
    let words = |seen: &Seen| kept.iter().map(|case| pods::verdict(seen, case)).collect::<Vec<_>>();
    let times = |seen: &Seen| kept.iter().map(|case| pods::ready(seen, case).1).collect::<Vec<_>>();
    let before = stage.seen().await?;
    let images: BTreeSet<_> = kept.iter().filter_map(|case| pods::image(&before, case)).collect();
    // Beside the list of each there are those of what was found by following and by configuration, and of our own image.
    let others =
        cases.iter().filter(|case| case.verdict.contains(" PlatformManifest ") || case.verdict.contains(" Index "));
    until_kept(operator, images.len() + others.count() + 1).await?;
    registry.stop();
    operator.kill(node).await?;
    say("ok: the operator was killed, and the kubelet has started it again in the same pod; the registry is gone");
    let outage = "False/RegistryUnavailable";
    let what = "the same verdicts, with the outage said";
    let is_said = |seen: &Seen| kept.iter().all(|case| pods::ready(seen, case).0 == outage);
    let after = stage.until_within(SOON, what, |seen| is_said(seen) && words(seen) == words(&before)).await?;
    if times(&after) != times(&before) {
        return Err(format!("a kept verdict was made fresh: {:?}, {:?}", times(&before), times(&after)).into());
    }
    say(&format!("ok: {} verdicts came back from the emptyDir, as old as they were, with {outage}", kept.len()));
    Ok(())
}

/// Waits until so many lists of signatures are on the volume.
async fn until_kept(operator: &Operator, many: usize) -> Result<()> {
    let (folder, began) = (operator.cache()?, Instant::now());
    while fs::read_dir(&folder).map_or(0, Iterator::count) < many {
        if began.elapsed() > SOON {
            return Err(format!("there are not {many} lists in {}", folder.display()).into());
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}
