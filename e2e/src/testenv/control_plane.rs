// SPDX-License-Identifier: Apache-2.0

//! The supervisor's side of a control plane: starts etcd, kube-apiserver and kube-controller-manager, says when they
//! are ready, and ends them when nobody uses them any more.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Client};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use super::cluster::Flavour;
use super::kubeconfig::{self, Credential};
use super::lease::{LINGER, Order, Ready, RunFolder};
use super::{Result, node, process};

/// Two processes may pick the same free port; then the loser tries again with other ports.
const START_ATTEMPTS: u32 = 3;

/// How long one attempt may take; on an idle machine it is about five seconds.
const READY_TIMEOUT: Duration = Duration::from_mins(1);

/// The file of the audit log, beside the other logs.
pub(super) const AUDIT_LOG: &str = "audit.log";

/// Who asked for what, once for each request: a watch when it begins.
const AUDIT_POLICY: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}]}"#;

const POLL: Duration = Duration::from_millis(100);

/// The controllers that tests rely on. Not among them are those that would clean up our pods, whose node does not
/// exist (pod garbage collector, node lifecycle), and those whose work no test looks at.
const CONTROLLERS: &str = "garbage-collector-controller,namespace-controller,serviceaccount-controller,\
    root-ca-certificate-publisher-controller,clusterrole-aggregation-controller,\
    deployment-controller,replicaset-controller,job-controller";

/// `control-plane FOLDER`: runs what the order in FOLDER says until nobody uses it.
pub(super) fn supervise(mut args: impl Iterator<Item = OsString>) -> Result<ExitCode> {
    let run = RunFolder::at(PathBuf::from(args.next().ok_or("control-plane: no folder given")?));
    let alive = run.alive_lock()?;
    alive.lock()?;
    let order: Order = serde_json::from_slice(&fs::read(run.order_file())?)?;
    // One thread, as the children's lives are tied to the thread that started them.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut control_plane, ready) = runtime.block_on(start(&run, &order))?;
    // Readers must never see half of it.
    let unfinished = run.path().join("ready.unfinished");
    fs::write(&unfinished, serde_json::to_vec(&ready)?)?;
    fs::rename(unfinished, run.ready_file())?;
    control_plane.run_until_unused(&run)?;
    Ok(ExitCode::SUCCESS)
}

async fn start(run: &RunFolder, order: &Order) -> Result<(ControlPlane, Ready)> {
    let mut failure = super::Error::from("no attempt was made");
    for _ in 0..START_ATTEMPTS {
        let folder = run.data();
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        match attempt(run.path(), &folder, order).await {
            Ok(started) => return Ok(started),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn attempt(logs: &Path, folder: &Path, order: &Order) -> Result<(ControlPlane, Ready)> {
    let [etcd_client, etcd_peer, free] = free_ports()?;
    // Pods look for it at the port of the service `kubernetes`.
    let apiserver = if order.options.node { node::API_SERVER_PORT } else { free };
    let identity = Identities::write(folder, apiserver)?;
    let mut control_plane = ControlPlane { children: Vec::new() };
    let program = |name: &str| order.binaries.join(name);
    let flags = etcd_flags(folder, etcd_client, etcd_peer);
    control_plane.spawn("etcd", &program("etcd"), flags, logs)?;
    let mut flags = apiserver_flags(folder, order, etcd_client, apiserver);
    if order.options.audit {
        flags.extend(audit_flags(folder, logs)?);
    }
    if order.options.node {
        flags.extend(node_flags(folder));
    }
    control_plane.spawn("kube-apiserver", &program("kube-apiserver"), flags, logs)?;
    if order.flavour.has_controller_manager() {
        let flags = controller_manager_flags(folder, &identity.controller_manager, order);
        control_plane.spawn("kube-controller-manager", &program("kube-controller-manager"), flags, logs)?;
    }
    control_plane.wait_until_ready(&identity.admin, order).await?;
    let url = format!("https://127.0.0.1:{apiserver}");
    Ok((control_plane, Ready { url, kubeconfig: identity.admin, supervisor: std::process::id() }))
}

/// Ports that were free just now. Held all at once, so that they differ.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut listeners = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

struct ControlPlane {
    /// In the order in which they were started.
    children: Vec<(&'static str, Child)>,
}

impl ControlPlane {
    fn spawn(&mut self, name: &'static str, program: &Path, flags: Vec<String>, logs: &Path) -> Result<()> {
        if !program.is_file() {
            return Err(format!("there is no {}", program.display()).into());
        }
        let log = File::create(logs.join(format!("{name}.log")))?;
        let flags = flags.into_iter().map(OsString::from);
        let child = process::under_this_process(program.as_os_str(), flags, &log)?.spawn()?;
        self.children.push((name, child));
        Ok(())
    }

    fn check_all_run(&mut self) -> Result<()> {
        for (name, child) in &mut self.children {
            if let Some(status) = child.try_wait()? {
                return Err(format!("{name} ended ({status}); see {name}.log").into());
            }
        }
        Ok(())
    }

    async fn wait_until_ready(&mut self, kubeconfig: &Path, order: &Order) -> Result<()> {
        let client = Client::try_from(kubeconfig::connection(kubeconfig).await?)?;
        let deadline = Instant::now() + READY_TIMEOUT;
        while !is_ready(&client, order).await {
            self.check_all_run()?;
            if Instant::now() > deadline {
                return Err(format!("the control plane was not ready within {READY_TIMEOUT:?}").into());
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    fn run_until_unused(&mut self, run: &RunFolder) -> Result<()> {
        let users = run.users_lock()?;
        let start = run.start_lock()?;
        let mut last_used = Instant::now();
        loop {
            std::thread::sleep(POLL);
            self.check_all_run()?;
            if try_lock(&users)? {
                // Nobody uses it now. Whoever comes takes the start lock first.
                if last_used.elapsed() > LINGER && try_lock(&start)? {
                    self.stop();
                    fs::remove_file(run.ready_file())?;
                    fs::remove_dir_all(run.data())?;
                    return Ok(());
                }
                users.unlock()?;
            } else {
                last_used = Instant::now();
            }
        }
    }

    /// Ends the last started first. SIGKILL: a graceful end waits for open watches, and the data is thrown away.
    fn stop(&mut self) {
        for (_, mut child) in self.children.drain(..).rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.stop();
    }
}

fn try_lock(file: &File) -> Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Ready, and with the service account that the first pod needs.
async fn is_ready(client: &Client, order: &Order) -> bool {
    let Ok(request) = axum::http::Request::get("/readyz").body(Vec::new()) else { return false };
    if client.request_text(request).await.is_err() {
        return false;
    }
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    !order.flavour.has_controller_manager() || accounts.get("default").await.is_ok()
}

fn etcd_flags(folder: &Path, client: u16, peer: u16) -> Vec<String> {
    vec![
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls=http://127.0.0.1:{client}"),
        format!("--advertise-client-urls=http://127.0.0.1:{client}"),
        format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
        "--unsafe-no-fsync=true".into(),
        "--log-level=warn".into(),
    ]
}

fn apiserver_flags(folder: &Path, order: &Order, etcd: u16, port: u16) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    let mut flags = vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        format!("--bind-address={}", if order.options.node { "0.0.0.0" } else { "127.0.0.1" }),
        "--advertise-address=127.0.0.1".into(),
        // A loopback address is no valid endpoint of the service `kubernetes`; nothing here needs that service.
        "--endpoint-reconciler-type=none".into(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", folder.display()),
        format!("--tls-cert-file={}", file("apiserver.crt")),
        format!("--tls-private-key-file={}", file("apiserver.key")),
        format!("--client-ca-file={}", file("ca.crt")),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!("--service-account-key-file={}", file("service-account.pub")),
        format!("--service-account-signing-key-file={}", file("service-account.key")),
        "--authorization-mode=Node,RBAC".into(),
        format!("--service-cluster-ip-range={}", node::SERVICES),
        "--allow-privileged=true".into(),
        "--profiling=false".into(),
    ];
    // Other people's binaries may be too old for these, and would not start.
    if order.flavour == Flavour::Pinned && !order.options.without_cluster_trust_bundles {
        flags.push("--runtime-config=certificates.k8s.io/v1beta1/clustertrustbundles=true".into());
        flags.push("--feature-gates=ClusterTrustBundle=true".into());
    }
    flags.extend(emulation_flags(order));
    flags
}

/// How the API server asks a kubelet for logs.
fn node_flags(folder: &Path) -> [String; 3] {
    let file = |name: &str| folder.join(name).display().to_string();
    [
        format!("--kubelet-client-certificate={}", file("apiserver-to-kubelet.crt")),
        format!("--kubelet-client-key={}", file("apiserver-to-kubelet.key")),
        "--kubelet-preferred-address-types=InternalIP".into(),
    ]
}

fn audit_flags(folder: &Path, logs: &Path) -> Result<[String; 3]> {
    let policy = folder.join("audit-policy.json");
    fs::write(&policy, AUDIT_POLICY)?;
    Ok([
        format!("--audit-policy-file={}", policy.display()),
        format!("--audit-log-path={}", logs.join(AUDIT_LOG).display()),
        // A request stands in it before its answer is sent.
        "--audit-log-mode=blocking-strict".into(),
    ])
}

fn controller_manager_flags(folder: &Path, kubeconfig: &Path, order: &Order) -> Vec<String> {
    let mut flags = vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--service-account-private-key-file={}", folder.join("service-account.key").display()),
        format!("--root-ca-file={}", folder.join("ca.crt").display()),
        // The last one says when a node is ready; elsewhere it would call the pods of a node that does not exist lost.
        format!("--controllers={CONTROLLERS}{}", if order.options.node { ",node-lifecycle-controller" } else { "" }),
        // Each controller acts as a service account with the few rights that Kubernetes' own policy grants it.
        "--use-service-account-credentials=true".into(),
        "--leader-elect=false".into(),
        // No port: nobody asks it for health or metrics.
        "--secure-port=0".into(),
        "--profiling=false".into(),
    ];
    flags.extend(emulation_flags(order).into_iter().take(1));
    flags
}

fn emulation_flags(order: &Order) -> Vec<String> {
    let flags = |version: &String| {
        vec![format!("--emulated-version={version}"), format!("--min-compatibility-version={version}")]
    };
    order.options.emulated_version.as_ref().map(flags).unwrap_or_default()
}

/// Who the parts are to each other: made anew for each start.
struct Identities {
    admin: PathBuf,
    controller_manager: PathBuf,
}

impl Identities {
    fn write(folder: &Path, port: u16) -> Result<Self> {
        let mut ca = parameters("sealwatch-testenv", None, vec![])?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;
        fs::write(folder.join("ca.crt"), ca.pem())?;
        let service_accounts = KeyPair::generate()?;
        fs::write(folder.join("service-account.key"), service_accounts.serialize_pem())?;
        fs::write(folder.join("service-account.pub"), service_accounts.public_key_pem())?;

        let names = ["localhost", "127.0.0.1", node::API_SERVER, "kubernetes", "kubernetes.default.svc"];
        let names = names.map(String::from).to_vec();
        let (certificate, key) = issue(&ca, "kube-apiserver", None, names)?;
        fs::write(folder.join("apiserver.crt"), certificate)?;
        fs::write(folder.join("apiserver.key"), key)?;

        let url = format!("https://127.0.0.1:{port}");
        let client = |file: &str, name: &str, group: Option<&str>| -> Result<PathBuf> {
            let (certificate, key) = issue(&ca, name, group, vec![])?;
            let path = folder.join(file);
            kubeconfig::write(&path, &url, &ca.pem(), &Credential::Certificate { certificate, key })?;
            Ok(path)
        };
        // For a real node, if one joins.
        let kubelet = format!("system:node:{}", node::NAME);
        client(node::KUBELET_KUBECONFIG, &kubelet, Some("system:nodes"))?;
        client(node::SCHEDULER_KUBECONFIG, "system:kube-scheduler", None)?;
        let (certificate, key) = issue(&ca, "sealwatch-apiserver", None, vec![])?;
        fs::write(folder.join("apiserver-to-kubelet.crt"), certificate)?;
        fs::write(folder.join("apiserver-to-kubelet.key"), key)?;
        Ok(Self {
            admin: client("admin.kubeconfig", "sealwatch-admin", Some("system:masters"))?,
            controller_manager: client("controller-manager.kubeconfig", "system:kube-controller-manager", None)?,
        })
    }
}

fn issue(
    ca: &CertifiedIssuer<'_, KeyPair>,
    name: &str,
    group: Option<&str>,
    alternative_names: Vec<String>,
) -> Result<(String, String)> {
    let mut leaf = parameters(name, group, alternative_names)?;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    Ok((leaf.signed_by(&key, ca)?.pem(), key.serialize_pem()))
}

fn parameters(name: &str, group: Option<&str>, alternative_names: Vec<String>) -> Result<CertificateParams> {
    let mut parameters = CertificateParams::new(alternative_names)?;
    parameters.distinguished_name.push(DnType::CommonName, name);
    if let Some(group) = group {
        parameters.distinguished_name.push(DnType::OrganizationName, group);
    }
    Ok(parameters)
}
