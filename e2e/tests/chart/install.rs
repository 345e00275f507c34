// SPDX-License-Identifier: Apache-2.0

//! The installed chart at work: the operator runs with the pod's own account, arguments and environment, and the API
//! server's audit log tells which of its rights it used.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{LocalObjectReference, Pod};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use sealwatch_e2e::scene::{self, Signed};
use sealwatch_e2e::stage::{Stage, finished};
use sealwatch_e2e::testenv::pods::{self, ContainerSpec};
use sealwatch_e2e::testenv::{
    self, AuditedRequest, Cluster, Flavour, Helm, Identity, LocalContainer, Options, Registry, Result,
};
use serde_json::{Value, json};

use crate::manifests::chart;
use crate::monitoring::assert_all_served;

const POLICY: &str = "microsoft";
const SOON: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

/// A control plane of its own, whose requests are logged; nothing of ours is installed there yet. Nothing, with a loud
/// word, where the control plane cannot do what is needed here.
pub(crate) async fn audited(test: &str) -> Result<Option<Cluster>> {
    let options = Options { name: Some(test.to_owned()), audit: true, ..Options::default() };
    if std::env::var_os("SEALWATCH_E2E_KUBECONFIG").is_some_and(|value| !value.is_empty()) {
        testenv::skipped(
            test,
            "an existing cluster has no audit log that could be read, and may hold the kinds already",
        );
        return Ok(None);
    }
    let cluster = testenv::cluster_with(options).await?;
    if cluster.flavour() == Flavour::KubebuilderAssets {
        testenv::skipped(test, "KUBEBUILDER_ASSETS has no controller manager that would make pods of a Deployment");
        return Ok(None);
    }
    Ok(Some(cluster))
}

/// A namespace for the release that admits nothing but what the restricted Pod Security Standard allows.
pub(crate) async fn restricted(cluster: &Cluster) -> Result<String> {
    let namespace = cluster.namespace("sealwatch-system").await?;
    let label = "pod-security.kubernetes.io/enforce=restricted";
    finished("kubectl label", &cluster.kubectl(&["label", "namespace", &namespace, label]).await?)?;
    Ok(namespace)
}

/// The pods with this label, once there are so many.
async fn pods_of(cluster: &Cluster, namespace: &str, component: &str, many: usize) -> Result<Vec<Pod>> {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    let labels = ListParams::default().labels(&format!("app.kubernetes.io/component={component}"));
    let began = Instant::now();
    loop {
        let mut found = pods.list(&labels).await?.items;
        found.retain(|pod| pod.metadata.deletion_timestamp.is_none());
        if found.len() == many {
            return Ok(found);
        }
        if began.elapsed() > SOON {
            let output =
                cluster.kubectl(&["get", "events,deployments,replicasets", "-n", namespace, "-o", "yaml"]).await?;
            return Err(format!(
                "not {many} pods of {component}; instead there is\n{}",
                finished("kubectl get", &output)?
            )
            .into());
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn report(cluster: &Cluster, pod: &Pod, status: Value) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), &pod.namespace().unwrap_or_default());
    pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(json!({"status": status}))).await?;
    Ok(())
}

/// Runs a pod of the installed Deployment, as a node would: it is ready when its probe says so.
async fn operator(cluster: &Cluster, pod: &Pod) -> Result<LocalContainer> {
    let container = LocalContainer::start(cluster, pod).await?;
    let probe = |probe: &str| {
        let spec = pod.spec.as_ref().and_then(|spec| spec.containers.first());
        let probe =
            spec.and_then(
                |spec| if probe == "liveness" { spec.liveness_probe.clone() } else { spec.readiness_probe.clone() },
            );
        probe.and_then(|probe| probe.http_get).and_then(|get| get.path).ok_or("the container has probes")
    };
    assert_eq!(container.probe(&probe("liveness")?).await?.0, 200);
    let began = Instant::now();
    while container.probe(&probe("readiness")?).await?.0 != 200 {
        assert!(began.elapsed() < SOON, "it does not become ready:\n{}", container.process.log());
        tokio::time::sleep(POLL).await;
    }
    let ready = json!({"type": "Ready", "status": "True"});
    report(cluster, pod, json!({"phase": "Running", "conditions": [ready]})).await?;
    Ok(container)
}

/// Plays the node for the pod of `helm test`.
async fn run_check(cluster: &Cluster, namespace: &str) -> Result<String> {
    let pods = pods_of(cluster, namespace, "check", 1).await?;
    let pod = pods.first().ok_or("a pod")?;
    let mut container = LocalContainer::start(cluster, pod).await?;
    let ended = container.process.wait(SOON).await?;
    let phase = if ended.success() { "Succeeded" } else { "Failed" };
    report(cluster, pod, json!({"phase": phase})).await?;
    Ok(container.process.log())
}

/// `verb resource` of each right that a check found: `ok: list, watch pods in all namespaces is allowed`.
fn allowed(log: &str) -> BTreeSet<String> {
    let lines = log.lines().filter_map(|line| line.strip_prefix("ok: ")?.strip_suffix(" is allowed"));
    let rights = lines.filter_map(|line| line.split_once(" in ")?.0.rsplit_once(' '));
    rights.flat_map(|(verbs, what)| verbs.split(", ").map(move |verb| format!("{verb} {what}"))).collect()
}

/// API group, resource (with its subresource), verb.
type Right = (String, String, String);

/// What an installed role grants; where it is a Role, in its namespace.
async fn granted(cluster: &Cluster, role: &str, namespace: Option<&str>) -> Result<BTreeSet<Right>> {
    let args = match namespace {
        Some(namespace) => vec!["get", "role", role, "-n", namespace, "-o", "json"],
        None => vec!["get", "clusterrole", role, "-o", "json"],
    };
    let role: Value = serde_json::from_str(&finished("kubectl get", &cluster.kubectl(&args).await?)?)?;
    let mut rights = BTreeSet::new();
    for rule in role["rules"].as_array().ok_or("a role has rules")? {
        let words = |field: &str| {
            let list = rule[field].as_array().into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
        };
        for group in words("apiGroups") {
            for resource in words("resources") {
                rights.extend(words("verbs").into_iter().map(|verb| (group.clone(), resource.clone(), verb)));
            }
        }
    }
    assert!(!rights.iter().any(|(group, resource, verb)| [group, resource, verb].iter().any(|word| *word == "*")));
    Ok(rights)
}

/// What this account asked for so far.
fn asked(cluster: &Cluster, account: &str) -> Result<Vec<AuditedRequest>> {
    Ok(cluster.audit_log()?.into_iter().filter(|request| request.user.username == account).collect())
}

fn used(requests: &[AuditedRequest]) -> BTreeSet<Right> {
    let objects = requests.iter().filter_map(|request| Some((request.object_ref.as_ref()?, &request.verb)));
    objects
        .map(|(object, verb)| {
            let sub = if object.subresource.is_empty() { String::new() } else { format!("/{}", object.subresource) };
            (object.api_group.clone(), format!("{}{sub}", object.resource), verb.clone())
        })
        .collect()
}

/// The operator's whole job, once: a pull secret is read, a verdict flips there and back (so that its event is told a
/// second time), and an image goes.
async fn whole_job(stage: &Stage, registry: &Registry) -> Result<()> {
    let which = [Signed::Cose, Signed::Not];
    let (_pki, images) = stage.play(POLICY, registry, true, &which).await?;
    let login = json!({"auths": {"other.example.com": {"username": "u", "password": "p"}}}).to_string();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "acr"}, "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": login},
    });
    stage.apply(&secret).await?;
    let image = images.of(Signed::Cose)?;
    let container = ContainerSpec::new("main", &image.reference, image.by_digest());
    pods::run_as(&stage.client(), &stage.namespace, "private-0", &[container], |pod| {
        if let Some(spec) = &mut pod.spec {
            spec.image_pull_secrets = Some(vec![LocalObjectReference { name: "acr".into() }]);
        }
    })
    .await?;
    let verdicts =
        |seen: &sealwatch_e2e::stage::Seen| which.iter().all(|signed| seen.reason(signed.short()) == signed.expected());
    stage.until("two verdicts", verdicts).await?;
    stage.request(POLICY).await?;
    // A policy that judges nothing, and names a bundle: nobody asks for bundles before.
    let mut bundled = scene::trust_policy("bundled", &scene::seed_document());
    bundled["spec"]["podSelector"] = json!({"matchLabels": {"runs": "nowhere"}});
    bundled["spec"]["trustStores"][0]["certificates"] = json!([{"clusterTrustBundle": {"name": "roots"}}]);
    stage.apply(&bundled).await?;

    let mut stranger = scene::seed_document();
    stranger["trustPolicies"][0]["trustedIdentities"] = json!(["x509.subject: CN=Nobody,O=Nobody,C=US,ST=WA"]);
    for (document, reason) in [
        (&stranger, "UntrustedIdentity"),
        (&scene::seed_document(), "SignatureValid"),
        (&stranger, "UntrustedIdentity"),
        (&scene::seed_document(), "SignatureValid"),
    ] {
        stage.apply(&scene::trust_policy(POLICY, document)).await?;
        stage.until(reason, |seen| seen.reason(Signed::Cose.short()) == reason).await?;
    }
    pods::delete(&stage.client(), &stage.namespace, &format!("{}-0", Signed::Not.short())).await?;
    stage.until("the image to go", |seen| seen.image(Signed::Not.short()).is_none()).await?;
    Ok(())
}

/// Every right that is granted is used within `SOON`, no other one is, and nothing was refused.
async fn assert_least(cluster: &Cluster, account: &str, granted: &BTreeSet<Right>) -> Result<Vec<AuditedRequest>> {
    let began = Instant::now();
    let requests = loop {
        let requests = asked(cluster, account)?;
        if granted.is_subset(&used(&requests)) {
            break requests;
        }
        if began.elapsed() > SOON {
            let unused: Vec<_> = granted.difference(&used(&requests)).cloned().collect();
            return Err(format!("granted, and never used: {unused:?}").into());
        }
        tokio::time::sleep(POLL).await;
    };
    assert_eq!(used(&requests), *granted, "used on the left, granted on the right");
    let refused: Vec<_> = requests.iter().filter(|request| [401, 403].contains(&request.code())).collect();
    assert!(refused.is_empty(), "refused: {refused:#?}");
    Ok(requests)
}

/// Installs a release, and looks at what Helm says and at what the API server makes of it.
async fn install(cluster: &Cluster, helm: &Helm, release: &str, values: &Value) -> Result<()> {
    let file = helm.folder().join("values.yaml");
    fs::write(&file, values.to_string())?;
    let file = file.display().to_string();
    let output = helm.run(&["install", "sealwatch", &chart(), "--namespace", release, "--values", &file]).await?;
    let notes = finished("helm install", &output)?;
    let rollout = format!("kubectl rollout status deployment/sealwatch --namespace {release}");
    assert!(notes.contains(&rollout) && notes.contains("kubectl apply --namespace "), "{notes}");
    let kinds = ["crd/trustpolicies.sealwatch.dev", "crd/imageverifications.sealwatch.dev"];
    let established = ["wait", "--for=condition=Established", "--timeout=30s", kinds[0], kinds[1]];
    finished("kubectl wait", &cluster.kubectl(&established).await?)?;
    Ok(())
}

/// The whole life of a release that watches all namespaces, or one, with so many operators.
async fn a_release_works(test: &str, namespaced: bool, replicas: usize) -> Result<()> {
    let Some(cluster) = audited(test).await? else { return Ok(()) };
    let helm = Helm::on(&cluster).await?;
    let release = restricted(&cluster).await?;
    let namespace = cluster.namespace("watched").await?;
    let folder = tempfile::Builder::new().prefix("sealwatch-stage-").tempdir()?;
    let stage = Stage { cluster: cluster.clone(), namespace, folder };
    let registry = Registry::olareg().await?;
    let watched = namespaced.then_some(stage.namespace.as_str());

    let plain = format!("http://{}", registry.host());
    let values = json!({
        "image": {"repository": "registry.example.com/sealwatch"},
        "watchNamespace": watched.unwrap_or_default(),
        "replicas": replicas,
        "collectAfter": "1s",
        "registries": {"config": {"mirrors": {registry.host(): {"endpoint": [plain]}}}},
    });
    install(&cluster, &helm, &release, &values).await?;
    let mut operators = Vec::new();
    for pod in &pods_of(&cluster, &release, "operator", replicas).await? {
        operators.push(operator(&cluster, pod).await?);
    }
    let status = ["rollout", "status", "deployment/sealwatch", "--namespace", &release, "--timeout=30s"];
    finished("kubectl rollout status", &cluster.kubectl(&status).await?)?;
    whole_job(&stage, &registry).await?;

    let of_the_job = granted(&cluster, "sealwatch", watched).await?;
    let mut rights = of_the_job.clone();
    if replicas > 1 {
        rights.extend(granted(&cluster, "sealwatch-lease", Some(&release)).await?);
    }
    let account = format!("system:serviceaccount:{release}:sealwatch");
    let requests = assert_least(&cluster, &account, &rights).await?;
    if let Some(namespace) = watched {
        let elsewhere =
            |request: &&AuditedRequest| request.object_ref.as_ref().is_none_or(|object| object.namespace != namespace);
        assert_eq!(requests.iter().find(elsewhere), None, "something was asked outside {namespace}");
    }
    let mut working = 0;
    for operator in &mut operators {
        if operator.probe("/readyz").await?.1 == "ok\n" {
            assert_all_served(&operator.probe("/metrics").await?.1)?;
            assert!(fs::read_dir(operator.volume("cache"))?.next().is_some(), "no evidence is kept on the volume");
            working += 1;
        }
    }
    assert_eq!(working, 1);
    for mut operator in operators {
        let ended = operator.process.terminate(Duration::from_secs(20)).await?;
        assert!(ended.success(), "{ended}: {}", operator.process.log());
    }

    let test = ["test", "sealwatch", "--namespace", &release, "--timeout", "60s"];
    let (tested, log) = tokio::join!(helm.run(&test), run_check(&cluster, &release));
    let log = log?;
    assert!(log.contains("ok: the API server answers") && !log.contains("missing:"), "{log}");
    let of_the_job = of_the_job.into_iter().map(|(_, resource, verb)| format!("{verb} {resource}"));
    assert_eq!(allowed(&log), of_the_job.collect(), "asked for by the check on the left, granted on the right");
    finished("helm test", &tested?)?;
    Ok(())
}

#[tokio::test]
async fn a_release_for_all_namespaces_uses_every_right_that_it_has_and_is_refused_none() -> Result<()> {
    a_release_works("chart-all-namespaces", false, 1).await
}

#[tokio::test]
async fn a_release_for_one_namespace_uses_every_right_that_it_has_there_and_is_refused_none() -> Result<()> {
    a_release_works("chart-one-namespace", true, 1).await
}

#[tokio::test]
async fn a_release_of_two_operators_uses_every_right_on_its_lease_and_one_of_the_two_works() -> Result<()> {
    a_release_works("chart-two-operators", false, 2).await
}

#[tokio::test]
async fn a_check_without_rights_names_each_one_that_is_missing_and_fails_the_helm_test() -> Result<()> {
    let Some(cluster) = audited("chart-check").await? else { return Ok(()) };
    let helm = Helm::on(&cluster).await?;
    let release = restricted(&cluster).await?;
    let set = "image.repository=registry.example.com/sealwatch,rbac.create=false";
    let output = helm.run(&["install", "sealwatch", &chart(), "--namespace", &release, "--set", set]).await?;
    finished("helm install", &output)?;
    let test = ["test", "sealwatch", "--namespace", &release, "--timeout", "60s"];
    let (tested, log) = tokio::join!(helm.run(&test), run_check(&cluster, &release));
    let log = log?;
    for forbidden in ["list, watch pods", "get secrets", "list, watch, create, delete imageverifications"] {
        let sentence = format!("missing: {forbidden} in all namespaces is forbidden: grant it to");
        assert!(log.contains(&sentence), "{sentence} in\n{log}");
    }
    assert!(!tested?.status.success(), "helm test passes");

    // As somebody who has the rights, where the kinds are not installed.
    finished("kubectl delete", &cluster.kubectl(&["delete", "crd", "trustpolicies.sealwatch.dev"]).await?)?;
    let (code, said) = check(&cluster.kubeconfig().display().to_string()).await?;
    assert_eq!(code, Some(1), "{said}");
    let wanted =
        "missing: the kind TrustPolicy is not installed: apply config/crd, or install the chart with crds.install=true";
    assert!(said.lines().any(|line| line == wanted), "{said}");
    assert_eq!(said.matches("missing:").count(), 1, "{said}");
    Ok(())
}

#[tokio::test]
async fn a_check_of_a_server_that_is_not_there_says_so_and_one_without_kubeconfig_is_wrong_usage() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("kubeconfig");
    testenv::write_stranger_kubeconfig(&file, "https://127.0.0.1:1")?;
    let (code, text) = check(&file.display().to_string()).await?;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("missing: the API server at https://127.0.0.1:1 does not answer: "), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");

    let (code, text) = check("/nonexistent/kubeconfig").await?;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("--kubeconfig /nonexistent/kubeconfig"), "{text}");
    Ok(())
}

/// `sealwatch check` with this kubeconfig: its exit code and all that it prints.
async fn check(kubeconfig: &str) -> Result<(Option<i32>, String)> {
    let binary = testenv::OperatorProcess::binary()?;
    let output = tokio::process::Command::new(binary).args(["check", "--kubeconfig", kubeconfig]).output().await?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8(said)?))
}

/// The account that a release's pod runs as can do nothing else.
#[tokio::test]
async fn the_account_of_a_release_for_one_namespace_sees_nothing_elsewhere() -> Result<()> {
    let Some(cluster) = audited("chart-check").await? else { return Ok(()) };
    let helm = Helm::on(&cluster).await?;
    let (release, watched) = (restricted(&cluster).await?, cluster.namespace("watched").await?);
    let set = format!("image.repository=registry.example.com/sealwatch,crds.install=false,watchNamespace={watched}");
    let output = helm.run(&["install", "sealwatch", &chart(), "--namespace", &release, "--set", &set]).await?;
    let notes = finished("helm install", &output)?;
    assert!(notes.contains("crds.install is false"), "{notes}");
    let client = cluster.client_for(Identity::ServiceAccount { namespace: &release, name: "sealwatch" }).await?;
    let list = |namespace: String| {
        let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
        async move { pods.list(&ListParams::default()).await }
    };
    list(watched).await?;
    for elsewhere in ["default", &release] {
        let refused = list(elsewhere.to_owned()).await;
        assert!(matches!(&refused, Err(kube::Error::Api(status)) if status.is_forbidden()), "{elsewhere}: {refused:?}");
    }
    let everywhere = Api::<Pod>::all(client).list(&ListParams::default()).await;
    assert!(matches!(&everywhere, Err(kube::Error::Api(status)) if status.is_forbidden()), "{everywhere:?}");
    Ok(())
}
