// SPDX-License-Identifier: Apache-2.0

//! A scheduler and a kubelet for pods that a controller makes: each is bound to a node and reported as running and
//! ready, with the digest of its image.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::pods::NODE;
use super::{PushedImage, Result};

/// How often it looks for new pods.
const LOOK: Duration = Duration::from_millis(20);

#[derive(Debug, Default)]
struct Known {
    /// The digest behind each reference that may run.
    images: HashMap<String, String>,
    /// When the pod with this image was reported as running.
    started: HashMap<String, Instant>,
}

/// Runs every pod of a namespace whose images it was told of. It stops with this value.
#[derive(Debug)]
pub struct Kubelet {
    known: Arc<Mutex<Known>>,
    task: JoinHandle<()>,
}

impl Kubelet {
    /// Starts it, knowing no image.
    pub fn start(client: Client, namespace: &str) -> Self {
        let known: Arc<Mutex<Known>> = Arc::default();
        let pods: Api<Pod> = Api::namespaced(client, namespace);
        let told = Arc::clone(&known);
        let task = tokio::spawn(async move {
            loop {
                if let Err(error) = run_all(&pods, &told).await {
                    // Told, so that a test that waits in vain says why. If nobody listens, nobody wants to know.
                    let _ = writeln!(std::io::stderr(), "kubelet: {error}");
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        Self { known, task }
    }

    /// Lets pods run this image.
    pub fn knows(&self, image: &PushedImage) {
        lock(&self.known).images.insert(image.reference.clone(), image.by_digest());
    }

    /// When a pod of this image was first reported as running.
    pub fn started(&self, image: &PushedImage) -> Option<Instant> {
        lock(&self.known).started.get(&image.reference).copied()
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(known: &Mutex<Known>) -> std::sync::MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn run_all(pods: &Api<Pod>, known: &Mutex<Known>) -> Result<()> {
    for pod in pods.list(&ListParams::default()).await?.items {
        let spec = pod.spec.clone().unwrap_or_default();
        let is_reported = pod.status.as_ref().is_some_and(|status| status.container_statuses.is_some());
        if is_reported || pod.metadata.deletion_timestamp.is_some() {
            continue;
        }
        let references: Vec<_> = spec.containers.iter().filter_map(|container| container.image.clone()).collect();
        let Some(statuses) = spec
            .containers
            .iter()
            .map(|container| {
                let image = container.image.as_ref()?;
                let digest = lock(known).images.get(image).cloned()?;
                Some(running(&container.name, image, &digest))
            })
            .collect::<Option<Vec<_>>>()
        else {
            continue;
        };
        let name = pod.name_any();
        if spec.node_name.is_none() {
            let binding = json!({
                "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
                "target": {"apiVersion": "v1", "kind": "Node", "name": NODE},
            });
            let bound: Result<Value, _> =
                pods.create_subresource("binding", &name, &PostParams::default(), &binding).await;
            // A pod may be deleted meanwhile; the next look tells.
            if bound.is_err() {
                continue;
            }
        }
        let began = Instant::now();
        // As above: gone meanwhile.
        if report(pods, &name, &statuses).await.is_ok() {
            for reference in references {
                lock(known).started.entry(reference).or_insert(began);
            }
        }
    }
    Ok(())
}

async fn report(pods: &Api<Pod>, name: &str, containers: &[Value]) -> Result<()> {
    let now = jiff::Timestamp::now().to_string();
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": now});
    let kinds = ["PodScheduled", "Initialized", "ContainersReady", "Ready"];
    let status = json!({"status": {
        "phase": "Running", "startTime": now, "containerStatuses": containers,
        "conditions": kinds.map(condition),
    }});
    pods.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await?;
    Ok(())
}

fn running(name: &str, image: &str, digest: &str) -> Value {
    let now = jiff::Timestamp::now().to_string();
    json!({
        "name": name, "image": image, "imageID": digest, "containerID": format!("containerd://{name}"),
        "ready": true, "restartCount": 0, "started": true, "state": {"running": {"startedAt": now}},
    })
}
