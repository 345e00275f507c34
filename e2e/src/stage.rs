// SPDX-License-Identifier: Apache-2.0

//! A namespace with an operator of its own: what the operator's tests play on.

mod installed;

use std::path::Path;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::LocalObjectReference;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use sealwatch_api::{ImageVerification, ImageVerificationStatus, TrustPolicy, TrustPolicyStatus};
use serde_json::{Value, json};
use tempfile::TempDir;

pub use self::installed::{established, install};
use crate::scene::{self, Images, Pki, Signed};
use crate::testenv::pki::KeyKind;
use crate::testenv::pods::{self, ContainerSpec};
use crate::testenv::{Cluster, Identity, Notation, OperatorOptions, OperatorProcess, PushedImage, Registry, Result};

/// How long anything may take that the operator is expected to do soon.
const SOON: Duration = Duration::from_secs(30);
/// How often the API server is asked meanwhile.
const POLL: Duration = Duration::from_millis(50);
/// The service account that the operator runs as.
pub const ACCOUNT: (&str, &str) = ("sealwatch-system", "sealwatch");

/// Runs `kubectl` and gives what it prints.
///
/// # Errors
/// It fails; the error holds what it says.
pub async fn run(cluster: &Cluster, args: &[&str]) -> Result<String> {
    finished(&format!("kubectl {}", args.join(" ")), &cluster.kubectl(args).await?)
}

/// What a command printed, or its complaint.
///
/// # Errors
/// It failed.
pub fn finished(what: &str, output: &std::process::Output) -> Result<String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{what}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

/// How an operator is started.
#[derive(Clone, Debug)]
pub struct Launch<'a> {
    /// The namespace that it watches; `None` is all.
    pub watched: Option<&'a str>,
    /// The service account that it runs as: namespace and name.
    pub account: (&'a str, &'a str),
    /// Its registries.yaml.
    pub contents: Value,
    /// The registries whose authorities' certificates lie beside that file.
    pub registries: &'a [&'a Registry],
    /// More arguments.
    pub more: &'a [&'a str],
    /// What it logs (`RUST_LOG`); `None` is what it logs by itself.
    pub log: Option<&'a str>,
}

/// A namespace of its own on the shared control plane.
#[derive(Debug)]
pub struct Stage {
    /// The control plane.
    pub cluster: Cluster,
    /// The namespace.
    pub namespace: String,
    /// A folder that goes with the stage.
    pub folder: TempDir,
}

impl Stage {
    /// Makes a namespace, on a cluster that knows our kinds and grants the operator its rights in it.
    ///
    /// # Errors
    /// The control plane refuses something.
    pub async fn set(cluster: Cluster, prefix: &str) -> Result<Self> {
        install(&cluster).await?;
        let namespace = cluster.namespace(prefix).await?;
        let folder = tempfile::Builder::new().prefix("sealwatch-stage-").tempdir()?;
        Ok(Self { cluster, namespace, folder })
    }

    /// A client with all rights.
    pub fn client(&self) -> Client {
        self.cluster.client()
    }

    /// `notation` with a configuration of its own.
    ///
    /// # Errors
    /// It cannot be built.
    pub async fn notation(&self) -> Result<Notation> {
        Notation::new(&self.folder.path().join("notation")).await
    }

    /// Starts an operator for this namespace only, as its service account.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn operator(&self, registries: &[&Registry], more: &[&str]) -> Result<OperatorProcess> {
        self.operator_for(Some(&self.namespace), ACCOUNT, registries, more).await
    }

    /// Starts an operator for this namespace that reaches the API server as this kubeconfig says.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn operator_by(&self, kubeconfig: &Path, registries: &[&Registry], more: &[&str]) -> Result<OperatorProcess> {
        let (watched, account, contents) = (Some(self.namespace.as_str()), ACCOUNT, scene::registries(registries));
        self.start(kubeconfig, &Launch { watched, account, contents, registries, more, log: None }, &[])
    }

    /// Starts an operator for one namespace or all, as this service account (namespace and name).
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn operator_for(
        &self,
        watched: Option<&str>,
        account: (&str, &str),
        registries: &[&Registry],
        more: &[&str],
    ) -> Result<OperatorProcess> {
        let contents = scene::registries(registries);
        self.launch(&Launch { watched, account, contents, registries, more, log: None }).await
    }

    /// Starts an operator for this namespace only, with a registries.yaml of the test's own.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn operator_with(&self, contents: Value, registries: &[&Registry]) -> Result<OperatorProcess> {
        let (watched, account) = (Some(self.namespace.as_str()), ACCOUNT);
        self.launch(&Launch { watched, account, contents, registries, more: &[], log: None }).await
    }

    /// Starts an operator.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn launch(&self, launch: &Launch<'_>) -> Result<OperatorProcess> {
        self.launch_with(launch, &[]).await
    }

    /// The same with more variables.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn launch_with(&self, launch: &Launch<'_>, more: &[(String, String)]) -> Result<OperatorProcess> {
        let (namespace, name) = launch.account;
        let account = Identity::ServiceAccount { namespace, name };
        let kubeconfig = self.cluster.kubeconfig_for(account).await?;
        self.start(&kubeconfig, launch, more)
    }

    fn start(&self, kubeconfig: &Path, launch: &Launch<'_>, more: &[(String, String)]) -> Result<OperatorProcess> {
        let kubeconfig = kubeconfig.display().to_string();
        let registries = scene::write_registries(self.folder.path(), &launch.contents, launch.registries)?;
        let registries = registries.display().to_string();
        let args = ["operator", "--log-format", "text", "--listen", "127.0.0.1:0", "--kubeconfig", &kubeconfig];
        let args = args.into_iter().chain(["--registries", &registries]);
        let args = args.chain(launch.watched.into_iter().flat_map(|namespace| ["--watch-namespace", namespace]));
        let args = args.chain(launch.more.iter().copied()).map(str::to_owned).collect();
        let filter = launch.log.iter().map(|filter| ("RUST_LOG".to_owned(), (*filter).to_owned()));
        let env = filter.chain(more.iter().cloned()).collect();
        OperatorProcess::start(&OperatorOptions { args, env, ..OperatorOptions::default() })
    }

    /// Gives a service account of this namespace (made with its first kubeconfig) the operator's rights in it, but for
    /// some resources; what it had before is taken away.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn grant_all_but(&self, account: &str, resources: &[&str]) -> Result<()> {
        self.grant("", account, account, resources).await
    }

    /// As [`Stage::grant_all_but`], in all namespaces.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn grant_cluster_all_but(&self, account: &str, resources: &[&str]) -> Result<()> {
        self.grant("Cluster", &format!("{}-{account}", self.namespace), account, resources).await
    }

    async fn grant(&self, scope: &str, name: &str, account: &str, resources: &[&str]) -> Result<()> {
        let role = self.kubectl(&["get", "clusterrole", "sealwatch", "-o", "json"]).await?;
        let role: Value = serde_json::from_str(&role)?;
        let rules = role["rules"].as_array().into_iter().flatten();
        let of = |rule: &Value, resource: &&str| {
            rule["resources"].as_array().is_some_and(|of| of.contains(&json!(resource)))
        };
        let taken = |rule: &Value| resources.iter().any(|resource| of(rule, resource));
        let rules: Vec<_> = rules.filter(|rule| !taken(rule)).collect();
        let group = "rbac.authorization.k8s.io";
        let (role, binding) = (format!("{scope}Role"), format!("{scope}RoleBinding"));
        let object =
            |kind: &str| json!({"apiVersion": format!("{group}/v1"), "kind": kind, "metadata": {"name": name}});
        let (mut granted, mut bound) = (object(&role), object(&binding));
        granted["rules"] = json!(rules);
        bound["roleRef"] = json!({"apiGroup": group, "kind": role, "name": name});
        bound["subjects"] = json!([{"kind": "ServiceAccount", "name": account, "namespace": self.namespace}]);
        self.apply(&json!({"apiVersion": "v1", "kind": "List", "items": [granted, bound]})).await?;
        Ok(())
    }

    /// Pushes and signs images, trusts their root under the seed's policy, and runs each in a pod of its name.
    ///
    /// # Errors
    /// A part refuses something.
    pub async fn play(
        &self,
        policy: &str,
        registry: &Registry,
        referrers_api: bool,
        which: &[Signed],
    ) -> Result<(Pki, Images)> {
        let pki = Pki::new(KeyKind::EcP256)?;
        let images = Images::push(registry, &self.notation().await?, &pki, which, referrers_api).await?;
        self.apply(&scene::roots(pki.root.certificate_pem())).await?;
        self.apply(&scene::trust_policy(policy, &scene::seed_document())).await?;
        for (signed, image) in images.iter() {
            self.run_pod(&format!("{}-0", signed.short()), image).await?;
        }
        Ok((pki, images))
    }

    /// Applies an object in the namespace with `kubectl`.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn apply(&self, object: &Value) -> Result<String> {
        let args = ["apply", "-n", &self.namespace, "-f", "-"];
        finished("kubectl apply", &self.cluster.kubectl_with_input(&args, &object.to_string()).await?)
    }

    /// Runs `kubectl` in the namespace.
    ///
    /// # Errors
    /// It fails.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        let all: Vec<&str> = ["-n", &self.namespace].into_iter().chain(args.iter().copied()).collect();
        run(&self.cluster, &all).await
    }

    /// Runs a pod with one container of this image, as a kubelet reports it.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn run_pod(&self, name: &str, image: &PushedImage) -> Result<()> {
        let container = ContainerSpec::new("main", &image.reference, image.by_digest());
        pods::run(&self.client(), &self.namespace, name, &[container]).await
    }

    /// The same, in a pod with these pull secrets.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn run_pod_with(&self, name: &str, image: &PushedImage, secrets: &[&str]) -> Result<()> {
        let container = ContainerSpec::new("main", &image.reference, image.by_digest());
        let secrets = secrets.iter().map(|name| LocalObjectReference { name: (*name).to_owned() }).collect();
        pods::run_as(&self.client(), &self.namespace, name, &[container], |pod| {
            pod.spec.get_or_insert_default().image_pull_secrets = Some(secrets);
        })
        .await
    }

    /// Makes a pull secret (`kubernetes.io/dockerconfigjson`) with these entries, by registry.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn pull_secret(&self, name: &str, auths: &Value) -> Result<()> {
        let config = json!({"auths": auths}).to_string();
        self.secret(name, "kubernetes.io/dockerconfigjson", ".dockerconfigjson", &config).await
    }

    /// Makes a Secret of this type with one key.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn secret(&self, name: &str, kind: &str, key: &str, value: &str) -> Result<()> {
        let (metadata, data) = (json!({"name": name}), json!({key: value}));
        self.apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "stringData": data,
        }))
        .await?;
        Ok(())
    }

    /// The trust policies of the namespace.
    pub fn policies(&self) -> Api<TrustPolicy> {
        Api::namespaced(self.client(), &self.namespace)
    }

    /// The image verifications of the namespace.
    pub fn images(&self) -> Api<ImageVerification> {
        Api::namespaced(self.client(), &self.namespace)
    }

    /// Asks for a fresh look at everything that a policy covers, and waits until it is done.
    ///
    /// # Errors
    /// It does not come soon.
    pub async fn request(&self, policy: &str) -> Result<()> {
        let at = jiff::Timestamp::now().to_string();
        let annotation = format!("sealwatch.dev/requestedAt={at}");
        self.kubectl(&["annotate", "tp", policy, &annotation, "--overwrite"]).await?;
        self.until("the request to be handled", |seen| {
            seen.policy(policy).last_handled_requested_at.as_deref() == Some(at.as_str())
        })
        .await?;
        Ok(())
    }

    /// What is there now.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn seen(&self) -> Result<Seen> {
        let policies = self.policies().list(&ListParams::default()).await?.items;
        let images = self.images().list(&ListParams::default()).await?.items;
        Ok(Seen { policies, images })
    }

    /// Waits until what is there is as it shall be, and gives it.
    ///
    /// # Errors
    /// It does not come soon; the error shows what is there instead.
    pub async fn until(&self, what: &str, done: impl Fn(&Seen) -> bool) -> Result<Seen> {
        self.until_within(SOON, what, done).await
    }

    /// As [`Stage::until`], for what takes its time.
    ///
    /// # Errors
    /// It does not come within `time`.
    pub async fn until_within(&self, time: Duration, what: &str, done: impl Fn(&Seen) -> bool) -> Result<Seen> {
        let began = Instant::now();
        loop {
            let seen = self.seen().await?;
            if done(&seen) {
                return Ok(seen);
            }
            if began.elapsed() > time {
                let got = self.kubectl(&["get", "tp,iv", "-o", "yaml"]).await?;
                return Err(format!("waited {} s for {what}; instead there is\n{got}", time.as_secs()).into());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Looks for a while, and fails as soon as what is there is not as it shall stay.
    ///
    /// # Errors
    /// It changes.
    pub async fn stays(&self, what: &str, time: Duration, holds: impl Fn(&Seen) -> bool) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < time {
            if !holds(&self.seen().await?) {
                let got = self.kubectl(&["get", "tp,iv", "-o", "yaml"]).await?;
                return Err(format!("{what} did not stay; now there is\n{got}").into());
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// A hand-written image verification.
    pub fn handwritten(name: &str, image: &str, digest: Option<&str>, policy: &str) -> Value {
        let mut spec = json!({"image": image, "trustPolicyRef": {"name": policy}});
        if let Some(digest) = digest {
            spec["digest"] = digest.into();
        }
        json!({"apiVersion": "sealwatch.dev/v1alpha1", "kind": "ImageVerification", "metadata": {"name": name}, "spec": spec})
    }
}

/// What a namespace holds at one moment.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The trust policies.
    pub policies: Vec<TrustPolicy>,
    /// The image verifications.
    pub images: Vec<ImageVerification>,
}

/// `reason via digest`, as far as there are such.
pub fn verdict_of(status: ImageVerificationStatus) -> String {
    let signature = status.signature.unwrap_or_default();
    let words = [
        status.reason.map(|reason| reason.to_string()),
        signature.via.map(|via| via.to_string()),
        signature.verified_digest,
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

impl Seen {
    /// The status of a policy; an empty one if there is none.
    pub fn policy(&self, name: &str) -> TrustPolicyStatus {
        let policy = self.policies.iter().find(|policy| policy.name_any() == name);
        policy.and_then(|policy| policy.status.clone()).unwrap_or_default()
    }

    /// The image verification whose name begins so.
    pub fn image(&self, beginning: &str) -> Option<&ImageVerification> {
        self.images.iter().find(|image| image.name_any().starts_with(beginning))
    }

    /// The status of the image verification whose name begins so; an empty one if there is none.
    pub fn status(&self, beginning: &str) -> ImageVerificationStatus {
        self.image(beginning).and_then(|image| image.status.clone()).unwrap_or_default()
    }

    /// The reason of the verdict on the image whose name begins so.
    pub fn reason(&self, beginning: &str) -> String {
        self.status(beginning).reason.map(|reason| reason.to_string()).unwrap_or_default()
    }

    /// `status/reason` of a condition of the image whose name begins so.
    pub fn image_condition(&self, beginning: &str, kind: &str) -> String {
        condition(&self.status(beginning).conditions, kind)
    }

    /// `status/reason` of a condition of a policy.
    pub fn policy_condition(&self, name: &str, kind: &str) -> String {
        condition(&self.policy(name).conditions, kind)
    }
}

fn condition(conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition], kind: &str) -> String {
    let found = conditions.iter().find(|condition| condition.type_ == kind);
    found.map(|condition| format!("{}/{}", condition.status, condition.reason)).unwrap_or_default()
}
