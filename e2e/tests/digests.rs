// SPDX-License-Identifier: Apache-2.0

//! Which digest runs, and whose signatures count for it: indexes and their manifests, images that a node knows by their
//! configuration, nodes and their platforms, image volumes. The cases are those of docs/running-images.md.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use sealwatch_api::ImageVerificationStatus;
use sealwatch_e2e::cli::Desk;
use sealwatch_e2e::scene::{self, Pki};
use sealwatch_e2e::stage::{ACCOUNT, Seen, Stage, run, verdict_of};
use sealwatch_e2e::testenv::pki::{KeyKind, SigningKey};
use sealwatch_e2e::testenv::pods::{self, ContainerSpec};
use sealwatch_e2e::testenv::{
    self, Cluster, Format, Options, PushedImage, Registry, Result, SignOptions, config_digest, push_index,
};
use serde_json::{Value, json};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// A policy with `digestMatching: FollowIndex`, and one without.
const FOLLOW: &str = "follow";
const EXACT: &str = "exact";

/// A namespace with both policies, a registry, and who signs.
struct Play {
    stage: Stage,
    registry: Registry,
    pki: Pki,
    referrers_api: bool,
}

impl Play {
    async fn begin(cluster: Cluster, registry: Registry, referrers_api: bool) -> Result<Self> {
        let stage = Stage::set(cluster, "digests").await?;
        let pki = Pki::new(KeyKind::EcP256)?;
        stage.apply(&scene::roots(pki.root.certificate_pem())).await?;
        let mut follow = scene::trust_policy(FOLLOW, &scene::seed_document());
        follow["spec"]["digestMatching"] = "FollowIndex".into();
        stage.apply(&follow).await?;
        stage.apply(&scene::trust_policy(EXACT, &scene::seed_document())).await?;
        Ok(Self { stage, registry, pki, referrers_api })
    }

    async fn olareg() -> Result<Self> {
        Self::begin(testenv::cluster().await?, Registry::olareg().await?, true).await
    }

    async fn push(&self, repository: &str, tag: &str) -> Result<PushedImage> {
        self.registry.push_image(repository, tag, &format!("{repository} {tag}")).await
    }

    async fn sign(&self, image: &PushedImage, key: &SigningKey) -> Result<()> {
        sign(&self.stage.notation().await?, image, key, self.referrers_api).await
    }

    /// Reports a pod that runs `image` as `image_id`.
    async fn runs(&self, pod: &str, image: &str, image_id: &str, node: Option<&str>) -> Result<()> {
        let container = ContainerSpec::new("main", image, image_id);
        let bind = |pod: &mut Pod| {
            if let (Some(node), Some(spec)) = (node, pod.spec.as_mut()) {
                spec.node_name = Some(node.to_owned());
            }
        };
        pods::run_as(&self.stage.client(), &self.stage.namespace, pod, &[container], bind).await
    }
}

async fn sign(notation: &testenv::Notation, image: &PushedImage, key: &SigningKey, referrers_api: bool) -> Result<()> {
    let options = SignOptions { format: Format::Cose, referrers_api, ..SignOptions::default() };
    notation.sign(&image.by_digest(), key, &options).await
}

/// The status of the image under a policy whose name begins so; an empty one if there is none.
fn status(seen: &Seen, policy: &str, beginning: &str) -> ImageVerificationStatus {
    let mut images = seen.images.iter().filter(|image| image.spec.trust_policy_ref.name == policy);
    let image = images.find(|image| image.name_any().starts_with(beginning));
    image.and_then(|image| image.status.clone()).unwrap_or_default()
}

/// `reason via digest`, as far as there are such.
fn verdict(seen: &Seen, policy: &str, beginning: &str) -> String {
    verdict_of(status(seen, policy, beginning))
}

fn message(seen: &Seen, policy: &str, beginning: &str) -> String {
    status(seen, policy, beginning).message.unwrap_or_default()
}

/// Case 1, in an operator that may not read nodes.
#[tokio::test]
async fn the_manifests_of_a_running_index_count_if_all_that_can_run_are_signed_and_the_policy_follows() -> Result<()> {
    let play = Play::olareg().await?;
    let (mut signed, mut expected) = (Vec::new(), Vec::new());
    for (name, media_type, architectures) in
        [("whole", INDEX, ["amd64", "arm64"]), ("list", LIST, ["amd64", "arm64"]), ("half", INDEX, ["amd64", ""])]
    {
        let (first, second) = (play.push(name, "a").await?, play.push(name, "b").await?);
        let index = push_index(&first.repository, "1", media_type, &[(&first, "amd64"), (&second, "arm64")]).await?;
        play.sign(&first, &play.pki.operations).await?;
        if architectures.contains(&"arm64") {
            play.sign(&second, &play.pki.products).await?;
            expected.push((name, format!("SignatureValid PlatformManifest {}", first.digest)));
        } else {
            expected.push((name, "NoSignature".to_owned()));
        }
        play.runs(name, &index.reference, &index.by_digest(), None).await?;
        signed.push((index, second));
    }
    play.registry.clear_access_log();
    let _operator = play.stage.operator(&[&play.registry], &[]).await?;
    let seen = play
        .stage
        .until("verdicts under both policies", |seen| {
            expected.iter().all(|(name, under_follow)| {
                verdict(seen, FOLLOW, name) == *under_follow && verdict(seen, EXACT, name) == "NoSignature"
            })
        })
        .await?;
    assert!(message(&seen, FOLLOW, "whole").contains("platform"), "{}", message(&seen, FOLLOW, "whole"));
    let half = message(&seen, FOLLOW, "half");
    assert!(half.contains(&signed[2].1.digest) && half.contains("linux/arm64"), "{half}");
    assert_eq!(status(&seen, FOLLOW, "whole").running.ok_or("where it runs")?.platforms, [""; 0]);

    // An index with a signature of its own is judged by that alone, good or bad.
    play.sign(&signed[2].0, &play.pki.operations).await?;
    play.sign(&signed[0].0, &play.pki.stranger).await?;
    play.stage.request(FOLLOW).await?;
    let (half, whole) = (&signed[2].0.digest, &signed[0].0.digest);
    play.stage
        .until("the indexes' own signatures", |seen| {
            verdict(seen, FOLLOW, "half") == format!("SignatureValid Exact {half}")
                && verdict(seen, FOLLOW, "whole") == format!("UntrustedIdentity Exact {whole}")
        })
        .await?;
    Ok(())
}

/// Case 2, in a registry without Referrers API.
#[tokio::test]
async fn the_index_that_the_pod_names_counts_for_a_manifest_in_it_if_the_policy_follows() -> Result<()> {
    let play = Play::begin(testenv::cluster().await?, Registry::distribution().await?, false).await?;
    let image = play.push("app", "a").await?;
    let index = push_index(&image.repository, "1", INDEX, &[(&image, "amd64")]).await?;
    play.sign(&index, &play.pki.operations).await?;
    play.runs("app", &index.reference, &image.by_digest(), None).await?;
    let _operator = play.stage.operator(&[&play.registry], &[]).await?;
    let by_index = format!("SignatureValid Index {}", index.digest);
    play.stage
        .until("verdicts under both policies", |seen| {
            verdict(seen, FOLLOW, "app") == by_index && verdict(seen, EXACT, "app") == "NoSignature"
        })
        .await?;
    play.registry.clear_access_log();
    play.stage.request(FOLLOW).await?;
    let asked: Vec<String> = play.registry.access_log().into_iter().map(|request| request.path).collect();
    // The lists of the manifest (none: 404) and of the index, and what the tag names.
    assert_eq!(asked.len(), 3, "{asked:?}");

    // The tag moves on, to a signed index that does not list what runs.
    let other = play.push("app", "b").await?;
    let moved = push_index(&image.repository, "1", INDEX, &[(&other, "amd64")]).await?;
    play.sign(&moved, &play.pki.operations).await?;
    play.stage.request(FOLLOW).await?;
    let seen = play.stage.until("the tag's new meaning", |seen| verdict(seen, FOLLOW, "app") == "NoSignature").await?;
    assert!(message(&seen, FOLLOW, "app").contains("does not list it"), "{}", message(&seen, FOLLOW, "app"));
    Ok(())
}

/// Cases 6, 7 and 9.
#[tokio::test]
async fn an_image_that_the_node_knows_by_its_configuration_is_found_in_the_registry_or_said_not_to_be() -> Result<()> {
    let play = Play::olareg().await?;
    let (single, other, child) =
        (play.push("single", "1").await?, play.push("multi", "a").await?, play.push("multi", "b").await?);
    let index = push_index(&child.repository, "1", INDEX, &[(&other, "arm64"), (&child, "amd64")]).await?;
    for image in [&single, &child] {
        play.sign(image, &play.pki.operations).await?;
    }
    play.runs("single", &single.reference, &config_digest(&single).await?, None).await?;
    // As CRI-O writes it.
    let bare = config_digest(&child).await?.replace("sha256:", "");
    play.runs("multi", &index.reference, &bare, None).await?;
    // The image of this configuration is signed, but in another repository.
    let elsewhere = play.push("elsewhere", "1").await?;
    play.runs("elsewhere", &elsewhere.reference, &config_digest(&single).await?, None).await?;
    // Loaded from a docker archive: a digest that no registry has.
    let unknown = format!("{}@sha256:{}", single.repository, "9".repeat(64));
    play.runs("archive", &single.reference, &unknown, None).await?;
    let _operator = play.stage.operator(&[&play.registry], &[]).await?;
    let found = |image: &PushedImage| format!("SignatureValid PlatformManifest {}", image.digest);
    let seen = play
        .stage
        .until("four verdicts", |seen| {
            verdict(seen, EXACT, "multi") == found(&child)
                && verdict(seen, EXACT, "elsewhere") == "DigestUnresolvable"
                && verdict(seen, EXACT, "single-999999999999") == "ImageNotFound"
                && seen.images.iter().any(|image| {
                    let status = image.status.clone().unwrap_or_default();
                    status.signature.unwrap_or_default().verified_digest.as_deref() == Some(single.digest.as_str())
                })
        })
        .await?;
    let unresolvable = message(&seen, EXACT, "elsewhere");
    assert!(unresolvable.contains("another image") && unresolvable.contains("push the image"), "{unresolvable}");
    let missing = message(&seen, EXACT, "single-999999999999");
    assert!(missing.contains("loaded from a file") && missing.contains("mirror"), "{missing}");

    // The tag moves on. What was known of what runs is kept, and it is said that it could not be found again.
    let moved = play.registry.push_image("multi", "1", "another").await?;
    play.stage.request(EXACT).await?;
    let seen = play
        .stage
        .until("the kept verdict", |seen| {
            let conditions = status(seen, EXACT, "multi").conditions;
            let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
            ready.is_some_and(|ready| ready.status == "False" && ready.reason == "DigestUnresolvable")
        })
        .await?;
    assert_eq!(verdict(&seen, EXACT, "multi"), found(&child), "not judged by {}", moved.digest);
    Ok(())
}

/// Cases 3, 4 and 12.
#[tokio::test]
async fn what_runs_is_judged_in_the_repository_that_the_pod_names_whatever_it_pins() -> Result<()> {
    let play = Play::olareg().await?;
    let (pinned, running) = (play.push("app", "1").await?, play.push("app", "2").await?);
    play.sign(&pinned, &play.pki.operations).await?;
    // The pod pins a signed image; another one runs, which the node knows under the name of another registry.
    let elsewhere = format!("docker.io/library/app@{}", running.digest);
    play.runs("drifted", &pinned.by_digest(), &elsewhere, None).await?;
    play.runs("as-pinned", &pinned.by_digest(), &pinned.by_digest(), None).await?;
    let _operator = play.stage.operator(&[&play.registry], &[]).await?;
    let of = |image: &PushedImage| format!("app-{}", &image.digest["sha256:".len()..][..12]);
    let signed = format!("SignatureValid Exact {}", pinned.digest);
    let seen = play
        .stage
        .until("two images of one reference", |seen| {
            verdict(seen, EXACT, &of(&running)) == "NoSignature" && verdict(seen, EXACT, &of(&pinned)) == signed
        })
        .await?;
    let drifted = message(&seen, EXACT, &of(&running));
    let note = format!("the pod pins {}, and the node reports {}", pinned.digest, running.digest);
    assert!(drifted.contains(&note), "{drifted}");
    assert!(!message(&seen, EXACT, &of(&pinned)).contains("pins"));
    Ok(())
}

/// A node that reports this platform, and nothing else.
async fn node(stage: &Stage, architecture: &str) -> Result<String> {
    let nodes: Api<Node> = Api::all(stage.client());
    let name = format!("{}-{architecture}", stage.namespace);
    let node: Node = serde_json::from_value(json!({"metadata": {"name": name}}))?;
    nodes.create(&PostParams::default(), &node).await?;
    let info = json!({
        "operatingSystem": "linux", "architecture": architecture, "machineID": "", "systemUUID": "", "bootID": "",
        "kernelVersion": "", "osImage": "", "containerRuntimeVersion": "", "kubeletVersion": "", "kubeProxyVersion": "",
    });
    let patch = Patch::Merge(json!({"status": {"nodeInfo": info}}));
    nodes.patch_status(&name, &PatchParams::default(), &patch).await?;
    Ok(name)
}

/// A service account of the namespace that has all the operator's rights but the one to read nodes.
async fn account_without_nodes(stage: &Stage) -> Result<String> {
    let role = run(&stage.cluster, &["get", "clusterrole", "sealwatch", "-o", "json"]).await?;
    let role: Value = serde_json::from_str(&role)?;
    let rules = role["rules"].as_array().ok_or("rules")?.iter();
    let rules: Vec<&Value> = rules.filter(|rule| rule["resources"] != json!(["nodes"])).collect();
    let name = format!("{}-without-nodes", stage.namespace);
    let api = "rbac.authorization.k8s.io";
    stage
        .apply(&json!({"apiVersion": format!("{api}/v1"), "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}))
        .await?;
    stage.apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "half-blind"}})).await?;
    stage
        .apply(&json!({
            "apiVersion": format!("{api}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": "half-blind", "namespace": stage.namespace}],
        }))
        .await?;
    Ok("half-blind".to_owned())
}

#[tokio::test]
async fn the_platforms_of_nodes_decide_what_has_to_be_signed_where_they_may_be_read() -> Result<()> {
    let cluster = testenv::cluster_with(Options { name: Some("nodes".into()), ..Options::default() }).await?;
    let play = Play::begin(cluster, Registry::olareg().await?, true).await?;
    let (good, bad) = (play.push("half", "a").await?, play.push("half", "b").await?);
    let index = push_index(&good.repository, "1", INDEX, &[(&good, "amd64"), (&bad, "arm64")]).await?;
    play.sign(&good, &play.pki.operations).await?;
    let amd64 = node(&play.stage, "amd64").await?;
    play.runs("first", &index.reference, &index.by_digest(), Some(&amd64)).await?;

    let account = account_without_nodes(&play.stage).await?;
    let account = (play.stage.namespace.as_str(), account.as_str());
    let mut operator = play.stage.operator_for(None, account, &[&play.registry], &[]).await?;
    let seen =
        play.stage.until("a verdict without platforms", |seen| verdict(seen, FOLLOW, "half") == "NoSignature").await?;
    assert!(message(&seen, FOLLOW, "half").contains(&bad.digest), "{}", message(&seen, FOLLOW, "half"));
    operator.wait_for_log("nodes cannot be read", Duration::from_secs(5)).await?;
    operator.terminate(Duration::from_secs(20)).await?;

    let _operator = play.stage.operator_for(None, ACCOUNT, &[&play.registry], &[]).await?;
    let verified = format!("SignatureValid PlatformManifest {}", good.digest);
    let seen =
        play.stage.until("the verdict for linux/amd64", |seen| verdict(seen, FOLLOW, "half") == verified).await?;
    assert_eq!(status(&seen, FOLLOW, "half").running.ok_or("where it runs")?.platforms, ["linux/amd64"]);
    assert!(message(&seen, FOLLOW, "half").contains("linux/amd64"));

    // A pod on a node of another platform has taken the other manifest.
    let arm64 = node(&play.stage, "arm64").await?;
    play.runs("second", &index.reference, &index.by_digest(), Some(&arm64)).await?;
    let seen = play.stage.until("the verdict for both", |seen| verdict(seen, FOLLOW, "half") == "NoSignature").await?;
    assert_eq!(status(&seen, FOLLOW, "half").running.ok_or("where it runs")?.platforms, ["linux/amd64", "linux/arm64"]);
    pods::delete(&play.stage.client(), &play.stage.namespace, "second").await?;
    play.stage.until("the first verdict again", |seen| verdict(seen, FOLLOW, "half") == verified).await?;
    let nodes: Api<Node> = Api::all(play.stage.client());
    for name in [amd64, arm64] {
        nodes.delete(&name, &DeleteParams::default()).await?;
    }
    Ok(())
}

/// Case 15. That a kubelet reports the digest of a volume (`ImageVolumeWithDigest`) is tested without an API server: it
/// drops the field while that gate is off.
#[tokio::test]
async fn image_volumes_are_verified_by_the_digest_that_is_pinned_or_that_the_tag_names() -> Result<()> {
    let play = Play::olareg().await?;
    let (app, pinned, tagged) =
        (play.push("app", "1").await?, play.push("pinned", "1").await?, play.push("tagged", "1").await?);
    for image in [&pinned, &tagged] {
        play.sign(image, &play.pki.operations).await?;
    }
    let volume = |name: &str, reference: &str| json!({"name": name, "image": {"reference": reference}});
    let volumes = json!([volume("pinned", &pinned.by_digest()), volume("tagged", &tagged.reference)]);
    let container = ContainerSpec::new("main", &app.reference, app.by_digest());
    let mount = |pod: &mut Pod| {
        if let Some(spec) = pod.spec.as_mut() {
            spec.volumes = serde_json::from_value(volumes).ok();
        }
    };
    pods::run_as(&play.stage.client(), &play.stage.namespace, "app", &[container], mount).await?;
    let _operator = play.stage.operator(&[&play.registry], &[]).await?;
    let found = |image: &PushedImage| format!("SignatureValid Exact {}", image.digest);
    let seen = play
        .stage
        .until("three verdicts", |seen| {
            verdict(seen, EXACT, "app") == "NoSignature"
                && verdict(seen, EXACT, "pinned") == found(&pinned)
                && verdict(seen, EXACT, "tagged") == found(&tagged)
        })
        .await?;
    assert!(message(&seen, EXACT, "tagged").contains("tag-resolved"), "{}", message(&seen, EXACT, "tagged"));
    assert!(!message(&seen, EXACT, "pinned").contains("tag-resolved"));
    let running = status(&seen, EXACT, "tagged").running.ok_or("where it is mounted")?;
    let kind = running.containers.first().and_then(|mounted| mounted.type_.as_ref()).map(ToString::to_string);
    assert_eq!(kind.as_deref(), Some("ImageVolume"));
    play.stage
        .until("a summary with volumes as images and not as containers", |seen| {
            let summary = seen.policy(EXACT).summary;
            summary.is_some_and(|summary| (summary.images, summary.containers, summary.verified) == (3, 1, 2))
        })
        .await?;

    // The tag is resolved again at each look.
    let moved = play.registry.push_image("tagged", "1", "another").await?;
    play.stage.request(EXACT).await?;
    let seen =
        play.stage.until("what the tag names now", |seen| verdict(seen, EXACT, "tagged") == "NoSignature").await?;
    assert!(message(&seen, EXACT, "tagged").contains(&moved.digest));
    Ok(())
}

#[tokio::test]
async fn the_command_line_follows_indexes_too() -> Result<()> {
    let registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[]).await?;
    let (first, second) =
        (registry.push_image("app", "a", "first").await?, registry.push_image("app", "b", "second").await?);
    let index = push_index(&first.repository, "1", INDEX, &[(&first, "amd64"), (&second, "arm64")]).await?;
    sign(&desk.notation, &first, &desk.pki.operations, true).await?;
    let follow = ["--digest-matching", "FollowIndex"];
    let unsigned = desk.verify(&[&[index.reference.as_str()], &follow[..]].concat()).await?;
    assert_eq!(unsigned.code, Some(1), "{unsigned:?}");
    assert!(unsigned.stdout.contains(&second.digest), "{unsigned:?}");
    sign(&desk.notation, &second, &desk.pki.operations, true).await?;
    assert_eq!(desk.verify(&[&index.reference]).await?.code, Some(1), "Exact is the default");
    let verified = desk.verify(&[&[index.reference.as_str(), "-o", "json"], &follow[..]].concat()).await?;
    assert_eq!(verified.code, Some(0), "{verified:?}");
    let report: Value = serde_json::from_str(&verified.stdout)?;
    let about = (&report[0]["digest"], &report[0]["signature"]["via"], &report[0]["signature"]["verifiedDigest"]);
    assert_eq!(about, (&json!(index.digest), &json!("PlatformManifest"), &json!(first.digest)));
    Ok(())
}
