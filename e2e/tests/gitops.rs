// SPDX-License-Identifier: Apache-2.0

//! Flux applies what we ship, waits for verdicts, and never fights with the operator.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use sealwatch_api::TrustPolicy;
use sealwatch_e2e::scene::{self, Images, Pki, Signed};
use sealwatch_e2e::stage::{ACCOUNT, Stage};
use sealwatch_e2e::testenv::flux::{Flux, Standing};
use sealwatch_e2e::testenv::pki::KeyKind;
use sealwatch_e2e::testenv::{self, Kubelet, OperatorProcess, PushedImage, Registry, Result};
use serde_json::{Value, json};

/// The policy of the sample.
const POLICY: &str = "microsoft";
/// The source.
const FLEET: &str = "fleet";
/// What runs, and what judges it: the two Kustomizations of the sample, and the folders that they take.
const APPS: &str = "apps";
const SEALS: &str = "seals";
/// How long Flux may take; it looks at health every five seconds.
const SOON: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);
const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/samples");

fn sample(path: &str) -> Result<String> {
    let path = Path::new(SAMPLES).join(path);
    Ok(std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?)
}

/// The spec of one of the sample's Kustomizations, for a test: with this source, and reconciled when something changes.
fn kustomization(name: &str, source: &str, folder: &str) -> Result<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(&sample("flux/kustomization.yaml")?)?;
    let found = all.into_iter().find(|object| object["metadata"]["name"] == name);
    let mut spec = found.ok_or_else(|| format!("the sample has no Kustomization {name}"))?["spec"].clone();
    spec["sourceRef"]["name"] = json!(source);
    spec["path"] = json!(folder);
    spec["interval"] = json!("1h");
    spec["retryInterval"] = json!("1h");
    spec["timeout"] = json!("40s");
    Ok(spec)
}

/// The sample's trust policy for a namespace and a root of the test, and what else is to be judged with it.
fn seals(namespace: &str, root: &str, more: &[Value]) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for file in ["kustomization.yaml", "namespace.yaml", "microsoft_roots.yaml", "trust_policy.yaml"] {
        files.push((format!("{SEALS}/base/{file}"), sample(&format!("azure-iot-operations/{file}"))?));
    }
    let source = |key: &str| json!([{"configMapKeyRef": {"name": scene::ROOTS.0, "key": key}}]);
    let kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "namespace": namespace,
        "resources": if more.is_empty() { vec!["base"] } else { vec!["base", "more.yaml"] },
        "patches": [
            {"target": {"kind": "Namespace"}, "patch": json!({
                "$patch": "delete", "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "any"},
            }).to_string()},
            {"target": {"kind": "ConfigMap"}, "patch": json!([
                {"op": "replace", "path": "/data", "value": {"supplychain.pem": root, "tsa.pem": root}},
            ]).to_string()},
            {"target": {"kind": "TrustPolicy"}, "patch": json!([
                // The test's signatures have no timestamp.
                {
                    "op": "add", "path": "/spec/trustPolicies/0/signatureVerification/verifyTimestamp",
                    "value": "afterCertExpiry",
                },
                {"op": "replace", "path": "/spec/trustStores/0/certificates", "value": source("supplychain.pem")},
                {"op": "replace", "path": "/spec/trustStores/1/certificates", "value": source("tsa.pem")},
            ]).to_string()},
        ],
    });
    files.push((format!("{SEALS}/kustomization.yaml"), kustomization.to_string()));
    files.push((format!("{SEALS}/more.yaml"), documents(more)));
    Ok(files)
}

fn documents(objects: &[Value]) -> String {
    objects.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n---\n")
}

fn deployment(name: &str, image: &PushedImage, min_ready_seconds: u32) -> Value {
    let labels = json!({"app": name});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": labels}, "minReadySeconds": min_ready_seconds,
            "template": {
                "metadata": {"labels": labels},
                // No kubelet ends the containers, so a deletion must not wait for one.
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{"name": "main", "image": image.reference}],
                },
            },
        },
    })
}

/// A namespace with Flux, an operator and somebody who runs its pods.
struct Scene {
    stage: Stage,
    flux: Flux,
    kubelet: Kubelet,
    registry: Registry,
    pki: Pki,
    images: Images,
    _operator: OperatorProcess,
}

impl Scene {
    async fn set(which: &[Signed]) -> Result<Self> {
        let stage = Stage::set(testenv::cluster().await?, "gitops").await?;
        let registry = Registry::olareg().await?;
        let pki = Pki::new(KeyKind::EcP256)?;
        let images = Images::push(&registry, &stage.notation().await?, &pki, which, true).await?;
        let kubelet = Kubelet::start(stage.client(), &stage.namespace);
        images.iter().for_each(|(_, image)| kubelet.knows(image));
        let flux = Flux::start(&stage.cluster, &stage.namespace).await?;
        let operator = stage.operator(&[&registry], &[]).await?;
        Ok(Self { stage, flux, kubelet, registry, pki, images, _operator: operator })
    }

    /// Publishes a revision in which these deployments run, and these objects stand beside the policy.
    async fn publish(&self, revision: &str, apps: &[(&str, Signed)], beside: &[Value]) -> Result<()> {
        let mut files = seals(&self.stage.namespace, self.pki.root.certificate_pem(), beside)?;
        let apps: Result<Vec<Value>> =
            apps.iter().map(|(name, signed)| Ok(deployment(name, self.images.of(*signed)?, 0))).collect();
        let kustomization = json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
            "namespace": self.stage.namespace, "resources": ["all.yaml"],
        });
        files.push((format!("{APPS}/kustomization.yaml"), kustomization.to_string()));
        files.push((format!("{APPS}/all.yaml"), documents(&apps?)));
        self.flux.publish(FLEET, revision, &files).await
    }

    /// Both Kustomizations, as the sample has them.
    async fn roll_out(&self) -> Result<()> {
        for name in [APPS, SEALS] {
            self.flux.kustomization(name, &kustomization(name, FLEET, name)?).await?;
        }
        Ok(())
    }

    /// Waits until a Kustomization stands as it shall.
    async fn until(&self, name: &str, what: &str, done: impl Fn(&Standing) -> bool) -> Result<Standing> {
        let standing = self.flux.standing(name, &done).await?;
        if done(&standing) {
            return Ok(standing);
        }
        let got = self.stage.kubectl(&["get", "tp,iv,deploy,pods", "-o", "wide"]).await?;
        let log = self.flux.log();
        let log: Vec<&str> = log.lines().rev().filter(|line| line.contains("revision")).take(4).collect();
        Err(format!("waited for {what}; instead {standing:?}\n{got}\n{}", log.join("\n")).into())
    }
}

#[tokio::test]
async fn a_rollout_is_ready_when_all_is_verified_red_with_our_object_s_name_and_ready_again_when_the_image_goes()
-> Result<()> {
    let scene = Scene::set(&[Signed::Cose, Signed::Not]).await?;
    scene.publish("1", &[("good", Signed::Cose)], &[]).await?;
    scene.roll_out().await?;
    scene.until(SEALS, "the signed image to pass", |standing| standing.passed("1")).await?;
    assert_eq!(scene.stage.seen().await?.policy_condition(POLICY, "Verified"), "True/Succeeded");

    scene.publish("2", &[("good", Signed::Cose), ("bad", Signed::Not)], &[]).await?;
    let red = scene.until(SEALS, "the unsigned image to be refused", |standing| standing.failed("2")).await?;
    assert!(red.message.contains(&format!("TrustPolicy/{}/{POLICY}", scene.stage.namespace)), "{red:?}");
    assert!(red.applied.ends_with('1'), "{red:?}");

    scene.publish("3", &[("good", Signed::Cose)], &[]).await?;
    scene.until(SEALS, "the image to be gone", |standing| standing.passed("3")).await?;

    // Pruning takes the policy, and Kubernetes what belongs to it.
    scene.flux.kustomizations().delete(SEALS, &DeleteParams::default()).await?;
    scene.stage.until("everything to be gone", |seen| seen.policies.is_empty() && seen.images.is_empty()).await?;
    Ok(())
}

#[tokio::test]
async fn the_sample_works_as_it_is_and_trusts_the_pinned_roots_of_microsoft_alone() -> Result<()> {
    const NAMESPACE: &str = "azure-iot-operations";
    const ROOTS: [&str; 2] = [
        "23ffe2b8bdb9a1711515d4cffda04bc7f793d513c76c243f1020507d8669b7db",
        "df545bf919a2439c36983b54cdfc903dfa4f37d3996d8d84b4c31eec6f3c163e",
    ];
    let stage = Stage::set(testenv::cluster().await?, "gitops").await?;
    let flux = Flux::start(&stage.cluster, &stage.namespace).await?;
    let _operator = stage.operator_for(Some(NAMESPACE), ACCOUNT, &[], &[]).await?;
    let mut files = Vec::new();
    for file in ["kustomization.yaml", "namespace.yaml", "microsoft_roots.yaml", "trust_policy.yaml"] {
        files.push((format!("{SEALS}/{file}"), sample(&format!("azure-iot-operations/{file}"))?));
    }
    flux.publish(FLEET, "1", &files).await?;
    let mut spec = kustomization(SEALS, FLEET, SEALS)?;
    spec["dependsOn"] = json!([]);
    spec["healthCheckExprs"] = serde_saphyr::from_str(&sample("flux/health_without_images.yaml")?)?;
    flux.kustomization(SEALS, &spec).await?;
    let standing = flux.standing(SEALS, |standing| standing.passed("1")).await?;
    let policies: Api<TrustPolicy> = Api::namespaced(stage.client(), NAMESPACE);
    let policy = policies.get(POLICY).await?;
    flux.kustomizations().delete(SEALS, &DeleteParams::default()).await?;
    assert!(standing.passed("1"), "{standing:?}");
    let stores = policy.status.map(|status| status.trust_stores).unwrap_or_default();
    let trusted: Vec<_> = stores.iter().flat_map(|store| &store.certificates).map(|one| one.sha256.as_str()).collect();
    assert_eq!(trusted, ROOTS);
    Ok(())
}

#[tokio::test]
async fn flux_owns_the_spec_and_the_operator_the_status_and_neither_takes_the_other_s() -> Result<()> {
    let scene = Scene::set(&[Signed::Cose]).await?;
    scene.publish("1", &[("good", Signed::Cose)], &[]).await?;
    scene.roll_out().await?;
    scene.until(SEALS, "the signed image to pass", |standing| standing.passed("1")).await?;
    let before = scene.stage.policies().get(POLICY).await?;
    let expected = [("kustomize-controller", "", "f:spec"), ("sealwatch", "status", "f:status")];
    let expected = expected.map(|(manager, part, field)| (manager.to_owned(), part.to_owned(), field.to_owned()));
    assert_eq!(owners(&before), expected);
    // Reconciled again by Flux and looked at again by the operator: neither changes what the other wrote.
    for round in ["one", "two", "three"] {
        scene.stage.request(POLICY).await?;
        let at = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": round}}});
        let api = scene.flux.kustomizations();
        api.patch(SEALS, &PatchParams::default(), &Patch::Merge(&at)).await?;
        let began = Instant::now();
        while api.get(SEALS).await?.data["status"]["lastHandledReconcileAt"] != round {
            assert!(began.elapsed() < SOON, "Flux did not reconcile again");
            tokio::time::sleep(POLL).await;
        }
    }
    scene.until(SEALS, "it to pass again", |standing| standing.passed("1")).await?;
    let after = scene.stage.policies().get(POLICY).await?;
    assert_eq!(after.metadata.generation, before.metadata.generation);
    assert_eq!(owners(&after), expected);
    assert_eq!(scene.stage.seen().await?.policy_condition(POLICY, "Verified"), "True/Succeeded");
    Ok(())
}

/// Who owns which of the two parts of a policy: manager, subresource, field.
fn owners(policy: &TrustPolicy) -> Vec<(String, String, String)> {
    let mut owners = Vec::new();
    for entry in policy.managed_fields() {
        let fields = entry.fields_v1.as_ref().map(|fields| fields.0.clone()).unwrap_or_default();
        for field in ["f:spec", "f:status"] {
            if fields.get(field).is_some() {
                let manager = entry.manager.clone().unwrap_or_default();
                owners.push((manager, entry.subresource.clone().unwrap_or_default(), field.to_owned()));
            }
        }
    }
    owners.sort();
    owners
}

#[tokio::test]
async fn the_expressions_come_in_two_kinds_one_waits_for_images_and_one_does_not() -> Result<()> {
    let scene = Scene::set(&[]).await?;
    scene.publish("1", &[], &[]).await?;
    let waits = kustomization(SEALS, FLEET, SEALS)?;
    let mut passes = waits.clone();
    passes["healthCheckExprs"] = serde_saphyr::from_str(&sample("flux/health_without_images.yaml")?)?;
    scene.flux.kustomization(APPS, &kustomization(APPS, FLEET, APPS)?).await?;
    scene.flux.kustomization(SEALS, &passes).await?;
    scene.until(SEALS, "a namespace without images to pass", |standing| standing.passed("1")).await?;
    assert_eq!(scene.stage.seen().await?.policy_condition(POLICY, "Verified"), "Unknown/NoImages");
    scene.flux.kustomization(SEALS, &waits).await?;
    let waited = |standing: &Standing| standing.failed("1") && standing.message.contains("status: 'InProgress'");
    scene.until(SEALS, "the other kind to wait in vain", waited).await?;
    Ok(())
}

#[tokio::test]
async fn an_image_verification_beside_the_policy_is_waited_for_and_named_when_it_fails() -> Result<()> {
    let scene = Scene::set(&[Signed::Cose, Signed::Not]).await?;
    let ask = |name: &str, signed: Signed| -> Result<Value> {
        let image = scene.images.of(signed)?;
        Ok(Stage::handwritten(name, &image.reference, Some(&image.digest), POLICY))
    };
    let good = [("good", Signed::Cose)];
    scene.publish("1", &good, &[ask("next-release", Signed::Cose)?]).await?;
    scene.roll_out().await?;
    scene.until(SEALS, "the image that does not run yet to pass", |standing| standing.passed("1")).await?;
    scene.publish("2", &good, &[ask("unsigned-release", Signed::Not)?]).await?;
    let red = scene.until(SEALS, "the unsigned one to be refused", |standing| standing.failed("2")).await?;
    assert!(red.message.contains(&format!("ImageVerification/{}/unsigned-release", scene.stage.namespace)), "{red:?}");
    Ok(())
}

#[tokio::test]
async fn a_suspended_policy_says_so_and_its_verdicts_stay() -> Result<()> {
    let scene = Scene::set(&[Signed::Cose]).await?;
    scene.publish("1", &[("good", Signed::Cose)], &[]).await?;
    scene.roll_out().await?;
    scene.until(SEALS, "the signed image to pass", |standing| standing.passed("1")).await?;
    let mut spec = kustomization(SEALS, FLEET, SEALS)?;
    let suspend = json!([{"op": "add", "path": "/spec/suspend", "value": true}]).to_string();
    spec["patches"] = json!([{"target": {"kind": "TrustPolicy"}, "patch": suspend}]);
    scene.flux.kustomization(SEALS, &spec).await?;
    let seen = scene
        .stage
        .until("the policy to be suspended", |seen| seen.policy_condition(POLICY, "Ready").ends_with("/Suspended"))
        .await?;
    assert_eq!(seen.policy_condition(POLICY, "Verified"), "True/Succeeded");
    scene.until(SEALS, "a suspended policy to pass by its verdicts", |standing| standing.passed("1")).await?;
    Ok(())
}

/// How many apps are rolled out at once, and how often.
const AT_ONCE: usize = 25;
const ROUNDS: usize = 2;

#[tokio::test]
async fn fifty_rollouts_of_an_unsigned_image_are_all_refused() -> Result<()> {
    let scene = Scene::set(&[Signed::Cose]).await?;
    scene.stage.apply(&scene::roots(scene.pki.root.certificate_pem())).await?;
    let signed = scene.images.of(Signed::Cose)?;
    let app = |number: usize| format!("app-{number}");
    let seal = |number: usize| format!("seal-{number}");
    let files = |number: usize, image: &PushedImage| {
        let mut policy = scene::trust_policy(&app(number), &scene::seed_document());
        policy["spec"]["podSelector"] = json!({"matchLabels": {"app": app(number)}});
        policy["metadata"]["namespace"] = json!(scene.stage.namespace);
        let mut deployment = deployment(&app(number), image, 0);
        deployment["metadata"]["namespace"] = json!(scene.stage.namespace);
        [(format!("{APPS}/all.yaml"), deployment.to_string()), (format!("{SEALS}/all.yaml"), policy.to_string())]
    };
    let mut windows = Vec::new();
    for round in 0..ROUNDS {
        let (before, after) = (format!("{round}-signed"), format!("{round}-unsigned"));
        for number in 0..AT_ONCE {
            scene.flux.publish(&app(number), &before, &files(number, signed)).await?;
            scene.flux.kustomization(&app(number), &kustomization(APPS, &app(number), APPS)?).await?;
            let mut spec = kustomization(SEALS, &app(number), SEALS)?;
            spec["dependsOn"] = json!([{"name": app(number)}]);
            scene.flux.kustomization(&seal(number), &spec).await?;
        }
        for number in 0..AT_ONCE {
            scene.until(&seal(number), "the signed image to pass", |standing| standing.passed(&before)).await?;
        }
        let mut unsigned = Vec::new();
        for number in 0..AT_ONCE {
            let image = scene.registry.push_image(&app(number), &after, &format!("{} {after}", app(number))).await?;
            scene.kubelet.knows(&image);
            scene.flux.publish(&app(number), &after, &files(number, &image)).await?;
            unsigned.push(image);
        }
        windows.extend(watch(&scene, &unsigned).await?);
        for number in 0..AT_ONCE {
            let end = |standing: &Standing| standing.passed(&after) || standing.failed(&after);
            let is_dependent = |standing: &Standing| standing.ready == "False/DependencyNotReady";
            let end = |standing: &Standing| end(standing) && !is_dependent(standing);
            let standing = scene.until(&seal(number), "the unsigned image to be judged", end).await?;
            assert!(standing.failed(&after), "rollout {after} of {} passed: {standing:?}", app(number));
            assert!(standing.message.contains(&format!("/{} status: 'Failed'", app(number))), "{standing:?}");
        }
    }
    assert_eq!(windows.len(), AT_ONCE * ROUNDS);
    windows.sort();
    let (median, most) = (windows[windows.len() / 2], windows[windows.len() - 1]);
    let count = windows.len();
    // A figure to be looked at (docs/gitops.md quotes it), with `--nocapture`.
    writeln!(std::io::stdout(), "from a pod's status to its policy's: median {median:?}, most {most:?}, of {count}")?;
    Ok(())
}

/// How long after the kubelet's report each app's policy stopped to say Verified.
async fn watch(scene: &Scene, unsigned: &[PushedImage]) -> Result<Vec<Duration>> {
    let mut windows = vec![None; unsigned.len()];
    let began = Instant::now();
    while windows.iter().any(Option::is_none) {
        let policies = scene.stage.policies().list(&ListParams::default()).await?.items;
        let now = Instant::now();
        for (number, image) in unsigned.iter().enumerate() {
            let name = format!("app-{number}");
            let policy = policies.iter().find(|policy| policy.name_any() == name);
            let conditions = policy.and_then(|policy| policy.status.as_ref()).map(|status| &status.conditions);
            let is_open = conditions.is_some_and(|conditions| {
                conditions.iter().any(|condition| condition.type_ == "Verified" && condition.status != "True")
            });
            if let (None, true, Some(started)) = (windows[number], is_open, scene.kubelet.started(image)) {
                windows[number] = Some(now.saturating_duration_since(started));
            }
        }
        if began.elapsed() > SOON {
            return Err(format!("not every policy saw its pod: {windows:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(windows.into_iter().flatten().collect())
}
