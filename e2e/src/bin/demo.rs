// SPDX-License-Identifier: Apache-2.0

//! `./just demo`: Sealwatch at work on real parts, in about a minute.
#![expect(clippy::print_stdout, reason = "the demo is there to be read")]

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client, ResourceExt};
use sealwatch_api::{ImageVerification, TrustPolicy};
use sealwatch_e2e::scene::{self, Images, PRODUCTS, Pki, Signed};
use sealwatch_e2e::stage::{self, finished};
use sealwatch_e2e::testenv::pki::KeyKind;
use sealwatch_e2e::testenv::pods::{self, ContainerSpec};
use sealwatch_e2e::testenv::{
    self, Cluster, Format, Identity, Notation, OperatorOptions, OperatorProcess, Options, Registry, Request, Result,
    SignOptions,
};
use serde_json::{Value, json};

/// Where the demo plays.
const NAMESPACE: &str = "azure-iot-operations";
/// The trust policy's name.
const POLICY: &str = "microsoft";
/// How long each step may take.
const STEP: Duration = Duration::from_secs(30);
/// How often the API server is asked whether a step is done.
const POLL: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() -> ExitCode {
    match demo().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nThe demo failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn demo() -> Result<()> {
    let began = Instant::now();
    let folder = tempfile::Builder::new().prefix("sealwatch-demo-").tempdir()?;
    let caption = |text: &str| println!("\n\x1b[1m{:>5.1}s  {text}\x1b[0m", began.elapsed().as_secs_f64());

    caption("A control plane (etcd, kube-apiserver, kube-controller-manager) and a registry start");
    // One of its own: this operator watches every namespace, those of tests too.
    let name = std::env::var_os("SEALWATCH_E2E_KUBECONFIG").is_none().then(|| "demo".to_owned());
    let cluster = testenv::cluster_with(Options { name, ..Options::default() }).await?;
    let registry = Registry::olareg().await?;
    let notation = Notation::new(&folder.path().join("notation")).await?;
    println!("       API server {}, registry {}", cluster.api_server_url(), registry.host());

    caption("Eight images are pushed and signed with `notation`");
    let pki = Pki::new(KeyKind::Rsa2048)?;
    let images = Images::push(&registry, &notation, &pki, &Signed::ALL, true).await?;
    for signed in Signed::ALL {
        println!("       {:<40} {}", signed.repository(), signed.caption());
    }

    caption("The CRDs and the operator's RBAC are applied, and the operator starts under them");
    let stage = Stage::set(cluster).await?;
    let mut operator = stage.operator(folder.path(), &registry).await?;
    let outcome = stage.play(&registry, &notation, &pki, &images, &operator, &caption).await;
    if outcome.is_err() {
        let log = operator.log();
        let last = log.lines().count().saturating_sub(40);
        println!("\nThe end of the operator's log:");
        log.lines().skip(last).for_each(|line| println!("{line}"));
    }
    let ended = operator.terminate(Duration::from_secs(20)).await;
    stage.clear().await?;
    outcome?;
    caption(&format!("The operator ended on SIGTERM with {}; nothing is left running", ended?));
    Ok(())
}

/// The cluster, prepared.
struct Stage {
    cluster: Cluster,
    client: Client,
}

impl Stage {
    async fn set(cluster: Cluster) -> Result<Self> {
        let client = cluster.client();
        let stage = Self { cluster, client };
        stage::install(&stage.cluster).await?;
        Ok(stage)
    }

    async fn kubectl(&self, args: &[&str]) -> Result<String> {
        stage::run(&self.cluster, args).await
    }

    async fn apply(&self, object: &Value) -> Result<()> {
        let args = ["apply", "-n", NAMESPACE, "-f", "-"];
        let output = self.cluster.kubectl_with_input(&args, &object.to_string()).await?;
        print!("       {}", finished("kubectl apply", &output)?);
        Ok(())
    }

    async fn operator(&self, folder: &Path, registry: &Registry) -> Result<OperatorProcess> {
        let (namespace, name) = stage::ACCOUNT;
        let account = Identity::ServiceAccount { namespace, name };
        let kubeconfig = self.cluster.kubeconfig_for(account).await?;
        let registries = scene::registries_yaml(folder, &[registry])?;
        let args = ["operator", "--log-format", "text", "--listen", "127.0.0.1:0", "--kubeconfig"];
        let mut args: Vec<String> = args.map(str::to_owned).into();
        args.extend([kubeconfig.display().to_string(), "--registries".into(), registries.display().to_string()]);
        OperatorProcess::start(&OperatorOptions { args, ..OperatorOptions::default() })
    }

    async fn play(
        &self,
        registry: &Registry,
        notation: &Notation,
        pki: &Pki,
        images: &Images,
        operator: &OperatorProcess,
        caption: &impl Fn(&str),
    ) -> Result<()> {
        registry.clear_access_log();
        caption(&format!("Namespace {NAMESPACE} with a pod for each image (statuses as a kubelet writes them)"));
        self.create_namespace().await?;
        for (signed, image) in images.iter() {
            let container = ContainerSpec::new("main", &image.reference, image.by_digest());
            pods::run(&self.client, NAMESPACE, &format!("{}-0", signed.short()), &[container]).await?;
        }

        caption("The seed's trust policy is applied, with its root certificate in a ConfigMap");
        self.apply(&scene::roots(pki.root.certificate_pem())).await?;
        self.apply(&scene::trust_policy(POLICY, &scene::seed_document())).await?;
        self.wait("a verdict for every image", |policy, images| {
            settled(policy, images)
                && Signed::ALL.iter().all(|signed| reason(images, *signed) == Some(signed.expected()))
        })
        .await?;
        self.show("kubectl get tp,iv").await?;
        self.why().await?;
        tell_requests("first verification", &registry.access_log());

        registry.clear_access_log();
        caption("The second identity is removed from the policy: every image is judged again");
        let mut document = scene::seed_document();
        let identities = &mut document["trustPolicies"][0]["trustedIdentities"];
        *identities = json!([format!("x509.subject: {}", scene::OPERATIONS)]);
        self.apply(&scene::trust_policy(POLICY, &document)).await?;
        let second = Signed::BySecondIdentity;
        self.wait("the verdict on the second identity", |policy, images| {
            settled(policy, images) && reason(images, second) == Some("UntrustedIdentity")
        })
        .await?;
        self.show("kubectl get tp,iv").await?;
        println!("       {PRODUCTS} is trusted no more");
        tell_requests("judging again", &registry.access_log());

        caption("The unsigned image is signed, and sealwatch.dev/requestedAt asks for a fresh look");
        let unsigned = images.of(Signed::Not)?;
        notation.sign(&unsigned.by_digest(), &pki.operations, &SignOptions::format(Format::Cose)).await?;
        registry.clear_access_log();
        let request = format!("sealwatch.dev/requestedAt={}", jiff::Timestamp::now());
        self.kubectl(&["annotate", "-n", NAMESPACE, "tp", POLICY, &request, "--overwrite"]).await?;
        self.wait("the verdict on the image that is signed now", |policy, images| {
            let handled = policy.status.as_ref().and_then(|status| status.last_handled_requested_at.as_deref());
            settled(policy, images)
                && request.ends_with(handled.unwrap_or("never"))
                && reason(images, Signed::Not) == Some("SignatureValid")
        })
        .await?;
        self.show("kubectl get tp,iv").await?;
        tell_requests("a pass that was asked for", &registry.access_log());
        let mebibytes = operator.resident_bytes()? / 1024 / 1024;
        let build = if std::env::var_os("SEALWATCH_BIN").is_some() { "" } else { " (debug build)" };
        println!("       the operator's resident memory is {mebibytes} MiB{build}");
        Ok(())
    }

    async fn create_namespace(&self) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}}))?;
        namespaces.create(&PostParams::default(), &namespace).await?;
        // Pods are refused before their service account is there.
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
        let args = ["apply", "-n", NAMESPACE, "-f", "-"];
        finished("kubectl apply", &self.cluster.kubectl_with_input(&args, &account.to_string()).await?)?;
        Ok(())
    }

    /// Waits until what the API server has is as it shall be.
    async fn wait(&self, what: &str, done: impl Fn(&TrustPolicy, &[ImageVerification]) -> bool) -> Result<()> {
        let policies: Api<TrustPolicy> = Api::namespaced(self.client.clone(), NAMESPACE);
        let images: Api<ImageVerification> = Api::namespaced(self.client.clone(), NAMESPACE);
        let began = Instant::now();
        while began.elapsed() < STEP {
            let listed = images.list(&kube::api::ListParams::default()).await?.items;
            if done(&policies.get(POLICY).await?, &listed) {
                println!("       {what}: {:.2} s", began.elapsed().as_secs_f64());
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        self.show("kubectl get tp,iv").await?;
        Err(format!("{what} did not come within {} s", STEP.as_secs()).into())
    }

    async fn show(&self, title: &str) -> Result<()> {
        println!("\n$ {title} -n {NAMESPACE}");
        print!("{}", self.kubectl(&["get", "tp,iv", "-n", NAMESPACE]).await?);
        println!();
        Ok(())
    }

    /// Each verdict in a sentence.
    async fn why(&self) -> Result<()> {
        let columns = "custom-columns=REASON:.status.reason,MESSAGE:.status.message";
        println!("$ kubectl get iv -n {NAMESPACE} -o {columns}");
        println!("{}", self.kubectl(&["get", "iv", "-n", NAMESPACE, "-o", columns]).await?);
        Ok(())
    }

    /// Takes everything away again, for the case that the cluster is one that stays.
    async fn clear(&self) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        if let Err(error) = namespaces.delete(NAMESPACE, &DeleteParams::default()).await {
            println!("       namespace {NAMESPACE} could not be deleted: {error}");
        }
        Ok(())
    }
}

/// Whether every image has a verdict that belongs to the policy as it is now.
fn settled(policy: &TrustPolicy, images: &[ImageVerification]) -> bool {
    let generation = policy.metadata.generation;
    let status = policy.status.as_ref();
    let summary = status.and_then(|status| status.summary).unwrap_or_default();
    let counted = summary.verified + summary.failed + summary.skipped;
    let judged = |image: &ImageVerification| {
        image.status.as_ref().and_then(|status| status.policy.as_ref()).map(|policy| policy.generation) == generation
    };
    status.is_some_and(|status| status.observed_generation == generation)
        && usize::try_from(counted).is_ok_and(|counted| counted == Signed::ALL.len())
        && images.iter().all(judged)
}

/// The reason that an image's verdict has.
fn reason(images: &[ImageVerification], signed: Signed) -> Option<&str> {
    let image = images.iter().find(|image| image.name_any().starts_with(signed.short()))?;
    Some(image.status.as_ref()?.reason.as_ref()?.as_str())
}

fn tell_requests(when: &str, log: &[Request]) {
    let ours: Vec<_> = log.iter().filter(|request| request.user_agent.starts_with("sealwatch/")).collect();
    let each = ours.len() / Signed::ALL.len();
    println!("       requests to the registry, {when}: {} ({each} an image)", ours.len());
}
