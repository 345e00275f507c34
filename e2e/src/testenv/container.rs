// SPDX-License-Identifier: Apache-2.0

//! A pod's container as a process of this machine: the test is the kubelet here, too.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, Secret, Volume};
use kube::{Api, ResourceExt};
use tempfile::TempDir;

use super::operator::{OperatorOptions, OperatorProcess};
use super::{Cluster, Identity, Result};

/// How long a program may take until it listens.
const LISTENS_MOST: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// The first container of a pod: the binary under test with the pod's arguments and variables, nothing more of this
/// process's environment, the contents of its volumes, and a token of its service account.
///
/// What differs from a node: volumes lie elsewhere, so their paths are replaced wherever the pod names them; health and
/// metrics are served on loopback at a free port; and the API server is found by `KUBECONFIG`.
#[derive(Debug)]
pub struct LocalContainer {
    /// The process.
    pub process: OperatorProcess,
    volumes: TempDir,
}

impl LocalContainer {
    /// Starts it.
    ///
    /// # Errors
    /// The pod names something that is not there or that is not known here, or the binary cannot be started.
    pub async fn start(cluster: &Cluster, pod: &Pod) -> Result<Self> {
        let spec = pod.spec.as_ref().ok_or("the pod has no spec")?;
        let container = spec.containers.first().ok_or("the pod has no container")?;
        let namespace = pod.namespace().ok_or("the pod has no namespace")?;
        let folder = tempfile::Builder::new().prefix("sealwatch-container-").tempdir()?;

        let mut mounted = Vec::new();
        for mount in container.volume_mounts.iter().flatten() {
            let volume = spec.volumes.iter().flatten().find(|volume| volume.name == mount.name);
            let into = folder.path().join(&mount.name);
            let volume = volume.ok_or_else(|| format!("the pod has no volume {}", mount.name))?;
            fill(cluster, &namespace, volume, &into).await?;
            mounted.push((mount.mount_path.clone(), into.display().to_string()));
        }
        let here = |text: &str| mounted.iter().fold(text.to_owned(), |text, (path, into)| text.replace(path, into));

        let name = spec.service_account_name.as_deref().ok_or("the pod has no service account")?;
        let account = Identity::ServiceAccount { namespace: &namespace, name };
        let kubeconfig = cluster.kubeconfig_for(account).await?.display().to_string();
        let mut variables = variables(cluster, &namespace, container).await?;
        variables.push(("KUBECONFIG".into(), kubeconfig));
        variables.push(("SEALWATCH_LISTEN".into(), "127.0.0.1:0".into()));

        // `env -i` starts it with these variables and no others.
        let mut args = vec!["-i".to_owned()];
        args.extend(variables.iter().map(|(name, value)| format!("{name}={}", here(value))));
        args.push(OperatorProcess::binary()?.display().to_string());
        args.extend(container.args.iter().flatten().map(|argument| here(argument)));
        let binary = Some(PathBuf::from("/usr/bin/env"));
        let process = OperatorProcess::start(&OperatorOptions { args, binary, ..OperatorOptions::default() })?;
        Ok(Self { process, volumes: folder })
    }

    /// Where the volume of this name lies.
    pub fn volume(&self, name: &str) -> PathBuf {
        self.volumes.path().join(name)
    }

    /// The status code with which it answers `path`, and the text, as a node's probe asks.
    ///
    /// # Errors
    /// It does not listen soon, or gives no answer.
    pub async fn probe(&self, path: &str) -> Result<(u16, String)> {
        let began = std::time::Instant::now();
        let address = loop {
            match self.process.listening_on()?.first() {
                Some(address) => break *address,
                None if began.elapsed() > LISTENS_MOST => {
                    return Err(format!("it does not listen; its log:\n{}", self.process.log()).into());
                }
                None => tokio::time::sleep(POLL).await,
            }
        };
        let answer = reqwest::get(format!("http://{address}{path}")).await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }
}

/// Makes a folder with what the volume holds.
async fn fill(cluster: &Cluster, namespace: &str, volume: &Volume, into: &Path) -> Result<()> {
    fs::create_dir_all(into)?;
    // The projected one is that of the token, which admission adds; the kubeconfig has one.
    if volume.empty_dir.is_some() || volume.persistent_volume_claim.is_some() || volume.projected.is_some() {
        return Ok(());
    }
    if let Some(source) = &volume.secret {
        let name = source.secret_name.as_deref().ok_or("a Secret without name")?;
        let secret = Api::<Secret>::namespaced(cluster.client(), namespace).get(name).await?;
        for (key, value) in secret.data.iter().flatten() {
            fs::write(into.join(key), &value.0)?;
        }
        return Ok(());
    }
    if let Some(source) = &volume.config_map {
        let map = Api::<ConfigMap>::namespaced(cluster.client(), namespace).get(&source.name).await?;
        for (key, value) in map.data.iter().flatten() {
            fs::write(into.join(key), value)?;
        }
        return Ok(());
    }
    Err(format!("the volume {} is of a kind that is not known here", volume.name).into())
}

/// The container's variables: those of `envFrom`, then those of `env`, as a kubelet orders them.
async fn variables(cluster: &Cluster, namespace: &str, container: &Container) -> Result<Vec<(String, String)>> {
    let mut variables = Vec::new();
    for source in container.env_from.iter().flatten() {
        let name = &source.secret_ref.as_ref().ok_or("variables of something else than a Secret")?.name;
        let secret = Api::<Secret>::namespaced(cluster.client(), namespace).get(name).await?;
        for (key, value) in secret.data.into_iter().flatten() {
            variables.push((key, String::from_utf8(value.0)?));
        }
    }
    for variable in container.env.iter().flatten() {
        let value = variable.value.clone();
        let value = value.ok_or_else(|| format!("the variable {} has no plain value", variable.name))?;
        variables.push((variable.name.clone(), value));
    }
    Ok(variables)
}
