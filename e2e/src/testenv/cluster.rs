// SPDX-License-Identifier: Apache-2.0

//! A running control plane, as a test sees it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{DeleteParams, PostParams};
use kube::config::Kubeconfig;
use kube::{Api, Client, ResourceExt};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::kubeconfig::{self, Credential};
use super::lease::{Lease, Order};
use super::{Result, tools};

/// How long a token for a service account is valid: longer than any test.
const TOKEN_SECONDS: i64 = 6 * 3600;

/// How long the deletion of this process's namespaces may hold up its end.
const CLEAN_UP_TIMEOUT: Duration = Duration::from_secs(5);

/// Which control plane a test wants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Options {
    /// The Kubernetes version to behave as, such as `1.33`; `None` is the version of the binaries.
    pub emulated_version: Option<String>,
    /// A control plane of this name, shared only with those who give the same name; for tests that other tests'
    /// objects would disturb.
    pub name: Option<String>,
    /// Leaves `ClusterTrustBundle`s off, as Kubernetes does unless told otherwise.
    pub without_cluster_trust_bundles: bool,
    /// Whether every request is written to an audit log: [`Cluster::audit_log`].
    pub audit: bool,
    /// Whether a real node joins: [`super::node`]. The API server then stands where pods look for it, which takes a
    /// network namespace of its own.
    pub node: bool,
}

/// Where the control plane came from, and what it can therefore do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Flavour {
    /// A cluster that somebody else runs, named by `SEALWATCH_E2E_KUBECONFIG`.
    Existing,
    /// Binaries from the folder that `KUBEBUILDER_ASSETS` names: no controller manager.
    KubebuilderAssets,
    /// The pinned binaries that `e2e/tools/build` made.
    Pinned,
}

impl Flavour {
    /// Whether a controller manager runs: owned objects are collected and namespaces really go.
    pub fn has_controller_manager(self) -> bool {
        !matches!(self, Self::KubebuilderAssets)
    }
}

/// One request in the audit log: an event of `audit.k8s.io/v1`, in part.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditedRequest {
    /// Who asked.
    pub user: AuditedUser,
    /// The verb, as RBAC has it.
    pub verb: String,
    /// The path and query.
    #[serde(rename = "requestURI")]
    pub uri: String,
    /// What was asked for, unless the path is no resource's.
    pub object_ref: Option<AuditedObject>,
    /// How it was answered.
    pub response_status: Option<AuditedStatus>,
}

impl AuditedRequest {
    /// The status code of the answer; 0 if there is none.
    pub fn code(&self) -> u16 {
        self.response_status.as_ref().map_or(0, |status| status.code)
    }
}

/// Who asked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AuditedUser {
    /// Such as `system:serviceaccount:NAMESPACE:NAME`.
    pub username: String,
}

/// What was asked for; what does not apply is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuditedObject {
    /// The API group.
    pub api_group: String,
    /// The resource, in plural.
    pub resource: String,
    /// The subresource.
    pub subresource: String,
    /// The namespace.
    pub namespace: String,
}

/// How a request was answered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AuditedStatus {
    /// The status code.
    #[serde(default)]
    pub code: u16,
}

/// As whom a kubeconfig of [`Cluster::kubeconfig_for`] authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity<'a> {
    /// A service account, by a token that the API server issues for it (`TokenRequest`); it is created if missing.
    ServiceAccount {
        /// The namespace of the service account.
        namespace: &'a str,
        /// The name of the service account.
        name: &'a str,
    },
}

/// A control plane that this process uses. It stays up for as long as any process of this checkout holds one.
///
/// When the last clone of this value is dropped, the namespaces that it made are deleted.
#[derive(Clone, Debug)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    client: Client,
    url: String,
    kubeconfig: PathBuf,
    flavour: Flavour,
    kubectl: PathBuf,
    /// Kubeconfigs for other identities.
    files: TempDir,
    namespaces: Mutex<Vec<String>>,
    /// Dropped last: the namespaces are deleted while the control plane is still ours.
    lease: Option<Lease>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { url, flavour, lease, .. } = self;
        f.debug_struct("Cluster")
            .field("url", url)
            .field("flavour", flavour)
            .field("lease", lease)
            .finish_non_exhaustive()
    }
}

/// The control plane that the test processes of this checkout share, started if none runs.
///
/// # Errors
/// The binaries cannot be had, or the control plane does not become ready.
pub async fn cluster() -> Result<Cluster> {
    cluster_with(Options::default()).await
}

/// As [`cluster`], for a control plane with these options. Control planes of different options are different ones.
///
/// # Errors
/// As [`cluster`]; also if options are asked of a cluster that somebody else runs.
pub async fn cluster_with(options: Options) -> Result<Cluster> {
    if let Some(given) = env::var_os("SEALWATCH_E2E_KUBECONFIG").filter(|value| !value.is_empty()) {
        if options != Options::default() {
            return Err(
                format!("a control plane with {options:?} is not to be had from SEALWATCH_E2E_KUBECONFIG").into()
            );
        }
        say("control plane: the cluster that SEALWATCH_E2E_KUBECONFIG names");
        let kubectl = kubectl_of(None).await?;
        return Cluster::connect(PathBuf::from(given), Flavour::Existing, kubectl, None).await;
    }
    let (binaries, flavour) = match env::var_os("KUBEBUILDER_ASSETS").filter(|value| !value.is_empty()) {
        Some(given) => (PathBuf::from(given), Flavour::KubebuilderAssets),
        None => (tools::folder("kube").await?, Flavour::Pinned),
    };
    say(&format!("control plane: {flavour:?}, {}", binaries.display()));
    let kubectl = kubectl_of(Some(&binaries)).await?;
    let order = Order { binaries, flavour, options };
    let lease = tokio::task::spawn_blocking(move || Lease::take(&order)).await??;
    Cluster::connect(lease.ready.kubeconfig.clone(), flavour, kubectl, Some(lease)).await
}

/// What `kubectl kustomize` makes of a folder, as YAML; no cluster is needed.
///
/// # Errors
/// It fails; the error holds what it says.
pub async fn kustomize(folder: &Path) -> Result<String> {
    let given = env::var_os("KUBEBUILDER_ASSETS").filter(|value| !value.is_empty()).map(PathBuf::from);
    let binaries = match given {
        Some(given) => given,
        None => tools::folder("kube").await?,
    };
    let kubectl = kubectl_of(Some(&binaries)).await?;
    let output = Command::new(kubectl).arg("kustomize").arg(folder).stdin(Stdio::null()).output().await?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("kubectl kustomize {}: {said}", folder.display()).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

impl Cluster {
    async fn connect(kubeconfig: PathBuf, flavour: Flavour, kubectl: PathBuf, lease: Option<Lease>) -> Result<Self> {
        let config = kubeconfig::connection(&kubeconfig).await?;
        let url = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let client = Client::try_from(config)?;
        // Beside the cluster's own files, where a killed user's go with the cluster.
        let parent = lease.as_ref().map_or_else(env::temp_dir, |lease| lease.run.data());
        let files = tempfile::Builder::new().prefix("sealwatch-user-").tempdir_in(parent)?;
        let namespaces = Mutex::default();
        Ok(Self(Arc::new(Inner { client, url, kubeconfig, flavour, kubectl, files, namespaces, lease })))
    }

    /// A client with all rights. It belongs to the runtime in which the cluster was asked for.
    pub fn client(&self) -> Client {
        self.0.client.clone()
    }

    /// The kubeconfig with all rights.
    pub fn kubeconfig(&self) -> &Path {
        &self.0.kubeconfig
    }

    /// A file that the control plane made for one of its parts, such as `kubelet.kubeconfig`.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.kubeconfig.with_file_name(name)
    }

    /// The address of the API server, such as `https://127.0.0.1:40001`.
    pub fn api_server_url(&self) -> &str {
        &self.0.url
    }

    /// Where the control plane came from.
    pub fn flavour(&self) -> Flavour {
        self.0.flavour
    }

    /// The folder with the logs of the control plane, unless somebody else runs it.
    pub fn logs(&self) -> Option<&Path> {
        self.0.lease.as_ref().map(|lease| lease.run.path())
    }

    /// Every request that the API server has answered so far, or begun to answer if it is a watch, in its order.
    ///
    /// # Errors
    /// The control plane was not asked for with [`Options::audit`], or its log is not as expected.
    pub fn audit_log(&self) -> Result<Vec<AuditedRequest>> {
        let logs = self.logs().ok_or("somebody else runs the control plane")?;
        let path = logs.join(super::control_plane::AUDIT_LOG);
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        // The last line may be half written.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// The process that supervises the control plane, unless somebody else runs it.
    pub fn supervisor(&self) -> Option<u32> {
        self.0.lease.as_ref().map(|lease| lease.ready.supervisor)
    }

    /// Creates a namespace with a unique name that starts with `prefix`, with its default service account.
    ///
    /// It is deleted when the last clone of this cluster is dropped, as far as possible: keep the cluster for as long
    /// as the namespace is needed.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn namespace(&self, prefix: &str) -> Result<String> {
        let namespace: Namespace =
            serde_json::from_value(json!({ "metadata": { "generateName": format!("{prefix}-") } }))?;
        let created = Api::<Namespace>::all(self.client()).create(&PostParams::default(), &namespace).await?;
        let name = created.name_any();
        self.0.namespaces.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
        // Pods are refused before it is there. The controller manager makes it too; whoever is first.
        self.service_account(&name, "default").await?;
        Ok(name)
    }

    async fn service_account(&self, namespace: &str, name: &str) -> Result<()> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), namespace);
        let account: ServiceAccount = serde_json::from_value(json!({ "metadata": { "name": name } }))?;
        match accounts.create(&PostParams::default(), &account).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            other => Ok(other.map(drop)?),
        }
    }

    /// A kubeconfig file that authenticates as `identity` and has that identity's rights only. It is deleted with the
    /// last clone of this cluster.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn kubeconfig_for(&self, identity: Identity<'_>) -> Result<PathBuf> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let Identity::ServiceAccount { namespace, name } = identity;
        self.service_account(namespace, name).await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), namespace);
        let spec = TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let answer = accounts.create_token_request(name, &PostParams::default(), &request).await?;
        let token = answer.status.ok_or("the API server issued no token")?.token;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = self.0.files.path().join(format!("{namespace}-{name}-{count}.kubeconfig"));
        let cluster = cluster_entry(kubeconfig::read(self.kubeconfig())?)?;
        kubeconfig::write_with(&path, &cluster, &Credential::Token(token))?;
        Ok(path)
    }

    /// A client with the rights of `identity` only.
    ///
    /// # Errors
    /// As [`Cluster::kubeconfig_for`].
    pub async fn client_for(&self, identity: Identity<'_>) -> Result<Client> {
        let path = self.kubeconfig_for(identity).await?;
        Ok(Client::try_from(kubeconfig::connection(&path).await?)?)
    }

    /// Runs `kubectl` with all rights and waits for its end, whatever its exit code.
    ///
    /// # Errors
    /// `kubectl` cannot be started.
    pub async fn kubectl(&self, args: &[&str]) -> Result<Output> {
        Ok(self.kubectl_command(args).stdin(Stdio::null()).output().await?)
    }

    /// As [`Cluster::kubectl`], with `input` as its standard input (`kubectl apply -f -`).
    ///
    /// # Errors
    /// `kubectl` cannot be started.
    pub async fn kubectl_with_input(&self, args: &[&str], input: &str) -> Result<Output> {
        let mut child =
            self.kubectl_command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await?;
        }
        Ok(child.wait_with_output().await?)
    }

    fn kubectl_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.0.kubectl);
        command.arg("--kubeconfig").arg(self.kubeconfig()).args(args).env_remove("KUBECONFIG").kill_on_drop(true);
        // Its cache of API discovery must not outlive the cluster: the next one may have the same address.
        command.env("KUBECACHEDIR", self.0.files.path().join("kubectl-cache"));
        command
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let names = std::mem::take(&mut *self.namespaces.lock().unwrap_or_else(PoisonError::into_inner));
        if names.is_empty() {
            return;
        }
        let kubeconfig = self.kubeconfig.clone();
        // The runtime of the client may be gone, so this has one of its own; if it fails, little is lost.
        let _ = std::thread::spawn(move || delete_namespaces(&kubeconfig, &names)).join();
    }
}

fn delete_namespaces(kubeconfig: &Path, names: &[String]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let deletion = async {
        let client = Client::try_from(kubeconfig::connection(kubeconfig).await?)?;
        let namespaces: Api<Namespace> = Api::all(client);
        for name in names {
            namespaces.delete(name, &DeleteParams::background()).await?;
        }
        Ok(())
    };
    runtime.block_on(async { tokio::time::timeout(CLEAN_UP_TIMEOUT, deletion).await? })
}

/// The entry of the current context's cluster, as its kubeconfig has it.
fn cluster_entry(kubeconfig: Kubeconfig) -> Result<serde_json::Value> {
    let current = kubeconfig.current_context.ok_or("the kubeconfig has no current context")?;
    let context =
        kubeconfig.contexts.into_iter().find(|context| context.name == current).and_then(|named| named.context);
    let name = context.ok_or("the kubeconfig's current context does not exist")?.cluster;
    let cluster = kubeconfig.clusters.into_iter().find(|cluster| cluster.name == name).and_then(|named| named.cluster);
    Ok(serde_json::to_value(cluster.ok_or("the kubeconfig's cluster does not exist")?)?)
}

/// The `kubectl` beside the other binaries, else the one in PATH, else the pinned one.
async fn kubectl_of(binaries: Option<&Path>) -> Result<PathBuf> {
    let beside = binaries.map(|folder| folder.join("kubectl")).filter(|path| path.is_file());
    let in_path = || {
        let path = env::var_os("PATH")?;
        env::split_paths(&path).map(|folder| folder.join("kubectl")).find(|path| path.is_file())
    };
    match beside.or_else(in_path) {
        Some(found) => Ok(found),
        None => Ok(tools::folder("kube").await?.join("kubectl")),
    }
}

/// Says once in each process which source was chosen.
fn say(what: &str) {
    use std::io::Write;
    use std::sync::Once;
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        let _ = writeln!(std::io::stderr(), "testenv: {what}");
    });
}
