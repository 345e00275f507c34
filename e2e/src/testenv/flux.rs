// SPDX-License-Identifier: Apache-2.0

//! Flux's kustomize-controller, for one namespace, and the source that it takes manifests from.
//!
//! The source controller does not run: a test says, in the status of a `GitRepository`, what it would say.

use std::fmt;
use std::process::Command;
use std::time::{Duration, Instant};

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::{Guarded, wait_until};
use super::{Authority, Cluster, Result, digest_of, tools};

/// How many Kustomizations the controller works on at once.
const CONCURRENT: usize = 50;
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long it may take with a Kustomization; it looks at health every five seconds.
const SOON: Duration = Duration::from_mins(1);
/// How often its status is read meanwhile.
const POLL: Duration = Duration::from_millis(50);
/// As whom the test writes.
const MANAGER: &str = "testenv";

/// A running kustomize-controller. It ends with this value.
pub struct Flux {
    program: Guarded,
    artifacts: Authority,
    client: Client,
    namespace: String,
    folder: TempDir,
}

impl fmt::Debug for Flux {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flux").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl Flux {
    /// Starts one that looks after the Kustomizations of this namespace, with all rights in the cluster (as Flux has
    /// them by default).
    ///
    /// # Errors
    /// It cannot be built or does not start.
    pub async fn start(cluster: &Cluster, namespace: &str) -> Result<Self> {
        let bin = tools::folder("flux").await?;
        let crds = bin.parent().ok_or("the tool has no folder")?.join("crds").display().to_string();
        let apply = ["apply", "--server-side", "--force-conflicts", "-f", &crds];
        crate::stage::run(cluster, &apply).await?;
        let established = ["wait", "--for=condition=Established", "--timeout=30s", "-f", &crds];
        crate::stage::run(cluster, &established).await?;
        let folder = tempfile::Builder::new().prefix("sealwatch-flux-").tempdir()?;
        let log = folder.path().join("kustomize-controller.log");
        let concurrent = format!("--concurrent={CONCURRENT}");
        let args = [
            "--enable-leader-election=false",
            // How often it looks whether what a Kustomization depends on is ready; half a minute by default.
            "--requeue-dependency=1s",
            "--watch-all-namespaces=false",
            "--metrics-addr=127.0.0.1:0",
            "--health-addr=127.0.0.1:0",
            concurrent.as_str(),
        ];
        let env = [
            ("RUNTIME_NAMESPACE".to_owned(), namespace.to_owned()),
            ("KUBECONFIG".to_owned(), cluster.kubeconfig().display().to_string()),
            // Its scratch files go with the test.
            ("TMPDIR".to_owned(), folder.path().display().to_string()),
        ];
        let mut program = Guarded::start(&bin.join("kustomize-controller"), args, &env, &log)?;
        let started = || async { std::fs::read_to_string(&log).is_ok_and(|log| log.contains("Starting workers")) };
        wait_until(&mut program, "kustomize-controller", READY_TIMEOUT, started).await?;
        let (client, namespace) = (cluster.client(), namespace.to_owned());
        Ok(Self { program, artifacts: Authority::start()?, client, namespace, folder })
    }

    /// What the controller has logged so far.
    pub fn log(&self) -> String {
        self.program.log()
    }

    /// Gives out these files (path, contents) as the new revision of a source.
    ///
    /// # Errors
    /// The API server refuses the source.
    pub async fn publish(&self, source: &str, revision: &str, files: &[(String, String)]) -> Result<()> {
        let archive = self.archive(files)?;
        let digest = digest_of(&archive);
        let path = format!("/{source}/{revision}.tar.gz");
        self.artifacts.give(&path, Some(archive));
        let api = self.api("source.toolkit.fluxcd.io", "GitRepository");
        let object = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": {"name": source},
            "spec": {"interval": "1h", "url": "https://source.invalid/fleet"},
        });
        let made = api.patch(source, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&object)).await?;
        let now = jiff::Timestamp::now().to_string();
        let status = json!({"status": {
            "observedGeneration": made.metadata.generation,
            "artifact": {
                "path": path, "url": self.artifacts.url(&path), "revision": format!("main@sha1:{revision}"),
                "digest": digest, "lastUpdateTime": now,
            },
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Succeeded", "message": "stored artifact",
                "lastTransitionTime": now, "observedGeneration": made.metadata.generation,
            }],
        }});
        api.patch_status(source, &PatchParams::default(), &Patch::Merge(&status)).await?;
        Ok(())
    }

    /// Applies a Kustomization in the controller's namespace.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn kustomization(&self, name: &str, spec: &Value) -> Result<()> {
        let object = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": {"name": name},
            "spec": spec,
        });
        self.kustomizations().patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&object)).await?;
        Ok(())
    }

    /// How a Kustomization stands once it stands as it shall, or when it has taken too long.
    ///
    /// # Errors
    /// There is none of this name.
    pub async fn standing(&self, name: &str, done: impl Fn(&Standing) -> bool) -> Result<Standing> {
        let began = Instant::now();
        loop {
            let standing = Standing::of(&self.kustomizations().get(name).await?);
            if done(&standing) || began.elapsed() > SOON {
                return Ok(standing);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The Kustomizations of the controller's namespace.
    pub fn kustomizations(&self) -> Api<DynamicObject> {
        self.api("kustomize.toolkit.fluxcd.io", "Kustomization")
    }

    fn api(&self, group: &str, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    fn archive(&self, files: &[(String, String)]) -> Result<Vec<u8>> {
        let folder = tempfile::Builder::new().prefix("revision-").tempdir_in(self.folder.path())?;
        for (path, contents) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().ok_or("a file without a folder")?)?;
            std::fs::write(path, contents)?;
        }
        let output = Command::new("tar").arg("-C").arg(folder.path()).args(["-czf", "-", "."]).output()?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(format!("tar: {}", String::from_utf8_lossy(&output.stderr)).into())
    }
}

/// How a Kustomization stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// `status/reason` of its `Ready` condition.
    pub ready: String,
    /// The message of that condition.
    pub message: String,
    /// The revision that was tried last.
    pub attempted: String,
    /// The revision at which it was Ready last.
    pub applied: String,
}

impl Standing {
    /// What the status of a Kustomization says.
    pub fn of(kustomization: &DynamicObject) -> Self {
        let status = &kustomization.data["status"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let is_current = |ready: &Value| ready["observedGeneration"].as_i64() == kustomization.metadata.generation;
        let none = Vec::new();
        let conditions = status["conditions"].as_array().unwrap_or(&none);
        let ready = conditions.iter().find(|condition| condition["type"] == "Ready").filter(|ready| is_current(ready));
        Self {
            ready: ready
                .map(|ready| format!("{}/{}", text(&ready["status"]), text(&ready["reason"])))
                .unwrap_or_default(),
            message: ready.map(|ready| text(&ready["message"])).unwrap_or_default(),
            attempted: text(&status["lastAttemptedRevision"]),
            applied: text(&status["lastAppliedRevision"]),
        }
    }

    /// Whether the revision was found healthy.
    pub fn passed(&self, revision: &str) -> bool {
        self.applied.ends_with(revision) && self.ready.starts_with("True/")
    }

    /// Whether the revision was found unhealthy.
    pub fn failed(&self, revision: &str) -> bool {
        self.attempted.ends_with(revision) && self.ready.starts_with("False/")
    }
}
