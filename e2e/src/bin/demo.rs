// SPDX-License-Identifier: Apache-2.0

//! `./just demo`: Sealwatch at work on real parts, in about a minute.
#![expect(clippy::print_stdout, reason = "the demo is there to be read")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use sealwatch_api::ImageVerification;
use sealwatch_e2e::scene::{self, Images, PRODUCTS, Pki, Signed};
use sealwatch_e2e::stage::{self, ACCOUNT, Seen, Stage};
use sealwatch_e2e::testenv::pki::KeyKind;
use sealwatch_e2e::testenv::{
    self, Format, Notation, OperatorProcess, Options, Registry, Request, Result, SignOptions,
};
use serde_json::{Value, json};

/// Where the demo plays.
const NAMESPACE: &str = "azure-iot-operations";
/// The trust policy's name.
const POLICY: &str = "microsoft";
/// How long the operator has for its end.
const PATIENCE: Duration = Duration::from_secs(20);

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
    let mut demo = Demo::set().await?;
    caption(demo.began, "The CRDs and the operator's RBAC are applied, and the operator starts under them");
    let mut operator = demo.operator().await?;
    let mut outcome = demo.play(&operator).await;
    let mut ended = operator.terminate(PATIENCE).await;
    if outcome.is_ok() && ended.is_ok() {
        demo.registry.stop();
        let text = "The registry goes, the verdicts are deleted; the operator starts again, with its evidence on disk";
        caption(demo.began, text);
        demo.stage.kubectl(&["delete", "iv", "--all"]).await?;
        operator = demo.operator().await?;
        outcome = demo.play_without_registry().await;
        ended = operator.terminate(PATIENCE).await;
    }
    if outcome.is_err() {
        let log = operator.log();
        let last = log.lines().count().saturating_sub(40);
        println!("\nThe end of the operator's log:");
        log.lines().skip(last).for_each(|line| println!("{line}"));
    }
    demo.clear().await?;
    outcome?;
    caption(demo.began, &format!("The operator ended on SIGTERM with {}; nothing is left running", ended?));
    Ok(())
}

fn caption(began: Instant, text: &str) {
    println!("\n\x1b[1m{:>5.1}s  {text}\x1b[0m", began.elapsed().as_secs_f64());
}

/// The demo on its stage.
struct Demo {
    began: Instant,
    stage: Stage,
    registry: Registry,
    notation: Notation,
    pki: Pki,
    images: Images,
}

impl Demo {
    async fn set() -> Result<Self> {
        let began = Instant::now();
        let folder = tempfile::Builder::new().prefix("sealwatch-demo-").tempdir()?;
        caption(began, "A control plane (etcd, kube-apiserver, kube-controller-manager) and a registry start");
        // One of its own: this operator watches every namespace, those of tests too.
        let name = std::env::var_os("SEALWATCH_E2E_KUBECONFIG").is_none().then(|| "demo".to_owned());
        let cluster = testenv::cluster_with(Options { name, ..Options::default() }).await?;
        let registry = Registry::olareg().await?;
        println!("       API server {}, registry {}", cluster.api_server_url(), registry.host());

        caption(began, "Eight images are pushed and signed with `notation`");
        let notation = Notation::new(&folder.path().join("notation")).await?;
        let pki = Pki::new(KeyKind::Rsa2048)?;
        let images = Images::push(&registry, &notation, &pki, &Signed::ALL, true).await?;
        for signed in Signed::ALL {
            println!("       {:<40} {}", signed.repository(), signed.caption());
        }
        stage::install(&cluster).await?;
        let stage = Stage { cluster, namespace: NAMESPACE.to_owned(), folder };
        Ok(Self { began, stage, registry, notation, pki, images })
    }

    async fn operator(&self) -> Result<OperatorProcess> {
        let cache = self.stage.folder.path().join("cache").display().to_string();
        self.stage.operator_for(None, ACCOUNT, &[&self.registry], &["--cache-dir", &cache]).await
    }

    async fn apply(&self, object: &Value) -> Result<()> {
        print!("       {}", self.stage.apply(object).await?);
        Ok(())
    }

    async fn play(&self, operator: &OperatorProcess) -> Result<()> {
        self.first_look().await?;
        self.edit_the_policy().await?;
        self.ask_for_a_fresh_look().await?;
        let mebibytes = operator.consumption()?.resident / 1024 / 1024;
        let build = if std::env::var_os("SEALWATCH_BIN").is_some() { "" } else { " (debug build)" };
        println!("       the operator's resident memory is {mebibytes} MiB{build}");
        Ok(())
    }

    async fn first_look(&self) -> Result<()> {
        self.registry.clear_access_log();
        let text = format!("Namespace {NAMESPACE} with a pod for each image (statuses as a kubelet writes them)");
        caption(self.began, &text);
        self.create_namespace().await?;
        for (signed, image) in self.images.iter() {
            self.stage.run_pod(&format!("{}-0", signed.short()), image).await?;
        }

        caption(
            self.began,
            "The trust policy of Microsoft's page is applied, with its root certificate in a ConfigMap",
        );
        self.apply(&scene::roots(self.pki.root.certificate_pem())).await?;
        self.apply(&scene::trust_policy(POLICY, &scene::seed_document())).await?;
        self.wait("a verdict for every image", |seen| {
            settled(seen) && Signed::ALL.iter().all(|signed| seen.reason(signed.short()) == signed.expected())
        })
        .await?;
        self.show("kubectl get tp,iv").await?;
        self.why().await?;
        tell_requests("first verification", &self.registry.access_log());
        Ok(())
    }

    async fn edit_the_policy(&self) -> Result<()> {
        self.registry.clear_access_log();
        caption(self.began, "The second identity is removed from the policy: every image is judged again");
        let mut document = scene::seed_document();
        let identities = &mut document["trustPolicies"][0]["trustedIdentities"];
        *identities = json!([format!("x509.subject: {}", scene::OPERATIONS)]);
        self.apply(&scene::trust_policy(POLICY, &document)).await?;
        let second = Signed::BySecondIdentity;
        self.wait("the verdict on the second identity", |seen| {
            settled(seen) && seen.reason(second.short()) == "UntrustedIdentity"
        })
        .await?;
        self.show("kubectl get tp,iv").await?;
        println!("       {PRODUCTS} is trusted no more");
        tell_requests("judging again", &self.registry.access_log());
        Ok(())
    }

    async fn ask_for_a_fresh_look(&self) -> Result<()> {
        caption(self.began, "The unsigned image is signed, and sealwatch.dev/requestedAt asks for a fresh look");
        let unsigned = self.images.of(Signed::Not)?;
        let options = SignOptions::format(Format::Cose);
        self.notation.sign(&unsigned.by_digest(), &self.pki.operations, &options).await?;
        self.registry.clear_access_log();
        let request = format!("sealwatch.dev/requestedAt={}", jiff::Timestamp::now());
        self.stage.kubectl(&["annotate", "tp", POLICY, &request, "--overwrite"]).await?;
        self.wait("the verdict on the image that is signed now", |seen| {
            let handled = seen.policy(POLICY).last_handled_requested_at;
            settled(seen)
                && request.ends_with(handled.as_deref().unwrap_or("never"))
                && seen.reason(Signed::Not.short()) == "SignatureValid"
        })
        .await?;
        self.show("kubectl get tp,iv").await?;
        tell_requests("a pass that was asked for", &self.registry.access_log());
        Ok(())
    }

    /// Every verdict stands, by evidence and not by what a status said: there is none left.
    async fn play_without_registry(&self) -> Result<()> {
        let mut expected: Vec<_> = Signed::ALL.iter().map(|signed| (signed.short(), signed.expected())).collect();
        for (short, reason) in &mut expected {
            if *short == Signed::Not.short() {
                *reason = "SignatureValid";
            } else if *short == Signed::BySecondIdentity.short() {
                *reason = "UntrustedIdentity";
            }
        }
        self.wait("the same verdicts, each said to be kept", |seen| {
            let is_kept = |(short, reason): &(&str, &str)| {
                seen.reason(short) == *reason && seen.image_condition(short, "Ready") == "False/RegistryUnavailable"
            };
            settled(seen) && expected.iter().all(is_kept)
        })
        .await?;
        self.show("kubectl get tp,iv").await
    }

    async fn create_namespace(&self) -> Result<()> {
        let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}}))?;
        self.namespaces().create(&PostParams::default(), &namespace).await?;
        // Pods are refused before their service account is there.
        self.stage
            .apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}))
            .await?;
        Ok(())
    }

    fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.stage.client())
    }

    /// Waits until what the API server has is as it shall be.
    async fn wait(&self, what: &str, done: impl Fn(&Seen) -> bool) -> Result<()> {
        let began = Instant::now();
        self.stage.until(what, done).await?;
        println!("       {what}: {:.2} s", began.elapsed().as_secs_f64());
        Ok(())
    }

    async fn show(&self, title: &str) -> Result<()> {
        println!("\n$ {title} -n {NAMESPACE}");
        print!("{}", self.stage.kubectl(&["get", "tp,iv"]).await?);
        println!();
        Ok(())
    }

    /// Each verdict in a sentence.
    async fn why(&self) -> Result<()> {
        let columns = "custom-columns=REASON:.status.reason,MESSAGE:.status.message";
        println!("$ kubectl get iv -n {NAMESPACE} -o {columns}");
        println!("{}", self.stage.kubectl(&["get", "iv", "-o", columns]).await?);
        Ok(())
    }

    /// Takes everything away again, for the case that the cluster is one that stays.
    async fn clear(&self) -> Result<()> {
        if let Err(error) = self.namespaces().delete(NAMESPACE, &DeleteParams::default()).await {
            println!("       namespace {NAMESPACE} could not be deleted: {error}");
        }
        Ok(())
    }
}

/// Whether every image has a verdict that belongs to the policy as it is now.
fn settled(seen: &Seen) -> bool {
    let generation = seen.policies.first().and_then(|policy| policy.metadata.generation);
    let status = seen.policy(POLICY);
    let summary = status.summary.unwrap_or_default();
    let counted = summary.verified + summary.failed + summary.skipped;
    let judged = |image: &ImageVerification| {
        image.status.as_ref().and_then(|status| status.policy.as_ref()).map(|policy| policy.generation) == generation
    };
    status.observed_generation == generation
        && usize::try_from(counted).is_ok_and(|counted| counted == Signed::ALL.len())
        && seen.images.iter().all(judged)
}

fn tell_requests(when: &str, log: &[Request]) {
    let ours: Vec<_> = log.iter().filter(|request| request.user_agent.starts_with("sealwatch/")).collect();
    let each = ours.len() / Signed::ALL.len();
    println!("       requests to the registry, {when}: {} ({each} an image)", ours.len());
}
