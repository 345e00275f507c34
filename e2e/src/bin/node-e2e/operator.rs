// SPDX-License-Identifier: Apache-2.0

//! The operator as users install it: the chart, on a node.

use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use sealwatch_e2e::stage::{finished, run};
use sealwatch_e2e::testenv::node::{Node, until_pod};
use sealwatch_e2e::testenv::{Cluster, Helm, PushedImage, Registry, Result};
use serde_json::json;

/// Where it is installed.
pub(crate) const NAMESPACE: &str = "sealwatch-system";
const RELEASE: &str = "sealwatch";
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/sealwatch");

/// An installed release.
pub(crate) struct Operator {
    cluster: Cluster,
    helm: Helm,
    pod: Pod,
}

impl Operator {
    /// Installs the chart in a namespace that admits nothing but what the restricted Pod Security Standard allows, and
    /// waits until Helm says that all is ready.
    pub(crate) async fn install(cluster: &Cluster, registry: &Registry, image: &PushedImage) -> Result<Self> {
        let helm = Helm::on(cluster).await?;
        run(cluster, &["create", "namespace", NAMESPACE]).await?;
        let label = "pod-security.kubernetes.io/enforce=restricted";
        run(cluster, &["label", "namespace", NAMESPACE, label]).await?;
        let values = json!({
            "image": {"repository": image.repository},
            "registries": {"config": {"mirrors": {registry.host(): {"endpoint": [registry.url()]}}}},
        });
        let file = helm.folder().join("values.yaml");
        fs::write(&file, values.to_string())?;
        let file = file.display().to_string();
        let install = ["install", RELEASE, CHART, "--namespace", NAMESPACE, "--values", &file];
        let wait = ["--wait", "--timeout", "180s"];
        finished("helm install", &helm.run(&[&install[..], &wait[..]].concat()).await?)?;
        let pods: Api<Pod> = Api::namespaced(cluster.client(), NAMESPACE);
        let labels = ListParams::default().labels("app.kubernetes.io/component=operator");
        let pod = pods.list(&labels).await?.items.pop().ok_or("the release has no pod")?;
        Ok(Self { cluster: cluster.clone(), helm, pod })
    }

    /// The pod.
    pub(crate) fn pod(&self) -> String {
        self.pod.name_any()
    }

    /// Runs `helm test`, and gives what its pod wrote.
    pub(crate) async fn test(&self) -> Result<String> {
        let test = ["test", RELEASE, "--namespace", NAMESPACE, "--timeout", "90s"];
        finished("helm test", &self.helm.run(&test).await?)?;
        run(&self.cluster, &["logs", "--namespace", NAMESPACE, &format!("{RELEASE}-check")]).await
    }

    /// The folder on the node where it keeps evidence.
    pub(crate) fn cache(&self) -> Result<PathBuf> {
        let uid = self.pod.uid().ok_or("a pod without UID")?;
        Ok(Node::volume(&uid, "cache").join(Path::new("v1/lists")))
    }

    /// Kills its process, and waits until the kubelet has started another one in the same pod that is ready.
    pub(crate) async fn kill(&self, node: &Node) -> Result<()> {
        let id = self.status(|_| true).await?.container_id.ok_or("the container has no id")?;
        node.kill(&id).await?;
        self.status(|status| status.restart_count == 1 && status.ready).await?;
        Ok(())
    }

    async fn status(&self, done: impl Fn(&ContainerStatus) -> bool) -> Result<ContainerStatus> {
        let of = |status: &PodStatus| status.container_statuses.iter().flatten().find(|status| done(status)).cloned();
        let what = "the operator's container";
        let pod = until_pod(&self.cluster, NAMESPACE, &self.pod(), what, |status| of(status).is_some()).await?;
        Ok(pod.status.as_ref().and_then(of).ok_or("a status that goes again")?)
    }
}
