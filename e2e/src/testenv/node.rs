// SPDX-License-Identifier: Apache-2.0

//! A real node: containerd, kubelet and kube-scheduler on a control plane of [`super::cluster_with`], with
//! [`super::Options::node`].
//!
//! It lives in an [`enclosure`]: namespaces for network, mounts, processes and cgroups that only root can make, and that
//! take everything with them when they end. Root's machine is not changed: files below `/etc`, `/var` and `/run` are
//! written to memory, settings of the kernel are shown to the kubelet as it wants them and cannot be written, and the
//! cgroups are folders in those of whoever started it, removed at the end.

mod cgroups;
pub mod enclosure;
mod inside;

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1;
use kube::Api;
use serde_json::{Value, json};
use tokio::process::Command;

use super::process::{Guarded, wait_until};
use super::registry::{Registry, SmallImage};
use super::{Cluster, Result, tools};

pub use self::cgroups::put_into_cgroup;
pub use self::inside::prepare;

/// The name of the node.
pub const NAME: &str = "node-1";
/// Where pods find the node, and what listens there for them: the gateway of their network.
pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 244, 0, 1));
/// The network of the pods.
const PODS: &str = "10.244.0.0/24";
/// The bridge that joins them.
const BRIDGE: &str = "cni0";
/// The addresses of services.
pub(super) const SERVICES: &str = "10.0.0.0/24";
/// The address of the service `kubernetes`: the first of [`SERVICES`]. There is no kube-proxy; the API server itself
/// has it.
pub(super) const API_SERVER: &str = "10.0.0.1";
/// The port of that service.
pub(super) const API_SERVER_PORT: u16 = 443;
/// How the kubelet and the scheduler enter the API server: files of the control plane.
pub(super) const KUBELET_KUBECONFIG: &str = "kubelet.kubeconfig";
pub(super) const SCHEDULER_KUBECONFIG: &str = "scheduler.kubeconfig";

/// What kubelets keep; in memory here.
const KUBELET: &str = "/var/lib/kubelet";
/// The files of pods that the kubelet runs by itself.
const STATIC_PODS: &str = "/run/static-pods";
const SOCKET: &str = "/run/containerd/containerd.sock";
/// The image that keeps the namespaces of a pod.
const PAUSE: &str = "registry.local/pause:1";
/// What containers run: nothing, until it is told to end; with an argument it ends at once.
const PROGRAM: &str = include_str!("node/program.c");

const SOON: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(100);

/// The architecture of this machine, as images name it.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The C compiler, as `make` finds it.
fn compiler() -> String {
    std::env::var("CC").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "cc".to_owned())
}

/// Compiles what the containers run: a static program that waits, or with an argument ends at once.
///
/// # Errors
/// The C compiler fails.
pub async fn program(folder: &Path) -> Result<Vec<u8>> {
    let (source, program) = (folder.join("program.c"), folder.join("program"));
    fs::write(&source, PROGRAM)?;
    let output =
        Command::new(compiler()).args(["-static", "-Os", "-s", "-o"]).arg(&program).arg(&source).output().await?;
    if !output.status.success() {
        return Err(
            format!("the C compiler made no static program: {}", String::from_utf8_lossy(&output.stderr)).into()
        );
    }
    Ok(fs::read(program)?)
}

/// The node, until this is dropped.
#[derive(Debug)]
pub struct Node {
    // In the order in which they shall end.
    _scheduler: Guarded,
    kubelet: Guarded,
    _containerd: Guarded,
    ctr: PathBuf,
    logs: PathBuf,
}

impl Node {
    /// Starts it, with logs in this folder, and waits until it is ready. Images of `registry` are pulled by plain HTTP.
    /// Takes what [`program`] made.
    ///
    /// # Errors
    /// A program cannot be had or ends, or the node does not become ready.
    pub async fn start(cluster: &Cluster, registry: &Registry, program: &[u8], logs: &Path) -> Result<Self> {
        let (runtime, node) = (tools::folder("containerd").await?, tools::folder("node").await?);
        let containerd = start_containerd(&runtime, registry, logs).await?;
        let kubelet = start_kubelet(cluster, &node, logs)?;
        let scheduler = start_scheduler(cluster, &node, logs)?;
        let mut node = Self {
            _scheduler: scheduler,
            kubelet,
            _containerd: containerd,
            ctr: runtime.join("ctr"),
            logs: logs.into(),
        };
        node.import(&SmallImage::of_program("pause", architecture(), program).archive(PAUSE), None).await?;
        node.until_ready(cluster).await?;
        Ok(node)
    }

    /// Imports an archive of a [`SmallImage`], as somebody does who has no registry at hand; with a repository, its
    /// digest is kept under that name, as newer K3s does it.
    ///
    /// # Errors
    /// containerd refuses it.
    pub async fn import(&self, archive: &[u8], repository: Option<&str>) -> Result<()> {
        let file = self.logs.join("archive.tar");
        fs::write(&file, archive)?;
        let keep = repository.map_or_else(Vec::new, |repository| vec!["--digests", "--base-name", repository]);
        let file_name = file.display().to_string();
        let output = self.ctr(&[&["images", "import"][..], &keep, &[&file_name]].concat()).await?;
        fs::remove_file(&file)?;
        succeeded("ctr images import", &output)
    }

    /// The name under which the API server has a static pod.
    pub fn static_pod_name(name: &str) -> String {
        format!("{name}-{NAME}")
    }

    /// Runs a pod from a file on the node, as control planes are run.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn run_static(&self, pod: &Value) -> Result<()> {
        let name = pod["metadata"]["name"].as_str().ok_or("a pod without name")?;
        // JSON is YAML. It gets its name when it is whole; the kubelet passes over files whose names begin with a dot.
        let folder = Path::new(STATIC_PODS);
        let unfinished = folder.join(".unfinished");
        fs::write(&unfinished, pod.to_string())?;
        Ok(fs::rename(unfinished, folder.join(format!("{name}.yaml")))?)
    }

    /// The digest of an image that the node has under this name.
    ///
    /// # Errors
    /// It has none.
    pub async fn digest_of(&self, name: &str) -> Result<String> {
        let output = self.ctr(&["images", "list", &format!("name=={name}")]).await?;
        succeeded("ctr images list", &output)?;
        let text = String::from_utf8(output.stdout)?;
        let digest = text.split_whitespace().find(|word| word.starts_with("sha256:"));
        Ok(digest.ok_or_else(|| format!("the node has no image {name}"))?.to_owned())
    }

    /// Kills the process of a container, named as in a pod's status (`containerd://ID`), as the kernel does when memory
    /// is short.
    ///
    /// # Errors
    /// containerd does not know it.
    pub async fn kill(&self, container_id: &str) -> Result<()> {
        let id = container_id.trim_start_matches("containerd://");
        succeeded("ctr tasks kill", &self.ctr(&["tasks", "kill", "--signal", "SIGKILL", id]).await?)
    }

    /// The folder on the node of a volume that goes with its pod (`emptyDir`).
    pub fn volume(pod_uid: &str, name: &str) -> PathBuf {
        Path::new(KUBELET).join("pods").join(pod_uid).join("volumes/kubernetes.io~empty-dir").join(name)
    }

    /// Runs `ctr` among the kubelet's images and containers, whatever its exit code.
    async fn ctr(&self, args: &[&str]) -> Result<Output> {
        let mut command = Command::new(&self.ctr);
        command.args(["--address", SOCKET, "--namespace", "k8s.io"]).args(args).stdin(Stdio::null());
        Ok(command.kill_on_drop(true).output().await?)
    }

    async fn until_ready(&mut self, cluster: &Cluster) -> Result<()> {
        let nodes: Api<v1::Node> = Api::all(cluster.client());
        let ready = || async { nodes.get_opt(NAME).await.ok().flatten().is_some_and(|node| is_ready(&node)) };
        wait_until(&mut self.kubelet, "waiting for the node to be ready", SOON, ready).await
    }
}

/// Ready, and open for pods.
fn is_ready(node: &v1::Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    ready && node.spec.as_ref().is_some_and(|spec| spec.taints.is_none())
}

fn succeeded(what: &str, output: &Output) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{what}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

async fn start_containerd(programs: &Path, registry: &Registry, logs: &Path) -> Result<Guarded> {
    let (config, hosts, cni) = (Path::new("/run/containerd.toml"), Path::new("/run/certs.d"), Path::new("/run/cni"));
    let of_registry = hosts.join(registry.host());
    fs::create_dir_all(&of_registry)?;
    fs::create_dir_all(cni)?;
    let url = registry.url();
    let plain = format!("server = \"{url}\"\n[host.\"{url}\"]\n  capabilities = [\"pull\", \"resolve\"]\n");
    fs::write(of_registry.join("hosts.toml"), plain)?;
    let bridge = json!({
        "cniVersion": "0.4.0", "name": "pods",
        "plugins": [{
            "type": "bridge", "bridge": BRIDGE, "isGateway": true, "isDefaultGateway": true,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": PODS}]]},
        }],
    });
    fs::write(cni.join("10-pods.conflist"), bridge.to_string())?;
    // A user who may not lower the badness of its processes for the out-of-memory killer is no reason to fail.
    let settings = format!(
        r#"version = 2
root = "/run/containerd/root"
state = "/run/containerd/state"
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "{runc}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{programs}"
    conf_dir = "{cni}"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{hosts}"
"#,
        runc = programs.join("runc").display(),
        programs = programs.display(),
        cni = cni.display(),
        hosts = hosts.display(),
    );
    fs::write(config, settings)?;
    let path = std::env::var("PATH").unwrap_or_default();
    let env = [("PATH".to_owned(), format!("{}:{path}", programs.display()))];
    let args = ["--config".as_ref(), config.as_os_str()];
    let mut containerd = Guarded::start(&programs.join("containerd"), args, &env, &logs.join("containerd.log"))?;
    let listens = || async { tokio::net::UnixStream::connect(SOCKET).await.is_ok() };
    wait_until(&mut containerd, "waiting for containerd to listen", SOON, listens).await?;
    Ok(containerd)
}

fn start_kubelet(cluster: &Cluster, programs: &Path, logs: &Path) -> Result<Guarded> {
    let config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false}, "webhook": {"enabled": false},
            "x509": {"clientCAFile": cluster.file("ca.crt")},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": format!("unix://{SOCKET}"),
        // The cgroups of this machine, of whichever version, without a tree of the kubelet's own.
        "failCgroupV1": false, "cgroupDriver": "cgroupfs", "cgroupsPerQOS": false, "enforceNodeAllocatable": [],
        "failSwapOn": false, "oomScoreAdj": 0, "evictionHard": {"memory.available": "0%"},
        // No services, no names, no other ports than that of logs.
        "makeIPTablesUtilChains": false, "resolvConf": "", "readOnlyPort": 0, "healthzPort": 0,
        "staticPodPath": STATIC_PODS,
        "volumePluginDir": "/run/volume-plugins",
    });
    fs::create_dir_all(STATIC_PODS)?;
    let file = Path::new("/run/kubelet.json");
    fs::write(file, config.to_string())?;
    let args = [
        format!("--config={}", file.display()),
        format!("--kubeconfig={}", cluster.file(KUBELET_KUBECONFIG).display()),
        format!("--hostname-override={NAME}"),
        format!("--node-ip={ADDRESS}"),
        format!("--root-dir={KUBELET}"),
    ];
    Guarded::start(&programs.join("kubelet"), args, &[], &logs.join("kubelet.log"))
}

fn start_scheduler(cluster: &Cluster, programs: &Path, logs: &Path) -> Result<Guarded> {
    let args = [
        format!("--kubeconfig={}", cluster.file(SCHEDULER_KUBECONFIG).display()),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
    ];
    Guarded::start(&programs.join("kube-scheduler"), args, &[], &logs.join("kube-scheduler.log"))
}

/// Waits until a pod is as it shall be.
///
/// # Errors
/// It is not soon; the error shows its status.
pub async fn until_pod(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    what: &str,
    done: impl Fn(&v1::PodStatus) -> bool,
) -> Result<v1::Pod> {
    let pods: Api<v1::Pod> = Api::namespaced(cluster.client(), namespace);
    let began = Instant::now();
    loop {
        let pod = pods.get(name).await?;
        if pod.status.as_ref().is_some_and(&done) {
            return Ok(pod);
        }
        if began.elapsed() > SOON {
            let status = serde_json::to_string_pretty(&pod.status)?;
            return Err(format!("waited {} s for {what} of the pod {name}: {status}", SOON.as_secs()).into());
        }
        tokio::time::sleep(POLL).await;
    }
}
