// SPDX-License-Identifier: Apache-2.0

//! Somebody with a kubeconfig and the command.

use std::path::{Path, PathBuf};

use sealwatch_e2e::cli::{self, Ran};
use sealwatch_e2e::scene::{self, Pki};
use sealwatch_e2e::stage::Stage;
use sealwatch_e2e::testenv::{Identity, Registry, Result};
use serde_json::{Value, json};

/// Runs `sealwatch scan` with this kubeconfig.
pub(crate) async fn scan(kubeconfig: &Path, more: &[&str]) -> Result<Ran> {
    scan_with(kubeconfig, more, &[]).await
}

/// The same, with these settings of the environment.
pub(crate) async fn scan_with(kubeconfig: &Path, more: &[&str], environment: &[(&str, &str)]) -> Result<Ran> {
    let kubeconfig = kubeconfig.display().to_string();
    let args = ["scan", "--kubeconfig", &kubeconfig].into_iter().chain(more.iter().copied());
    let mut command = cli::command(args)?;
    let output = command.envs(environment.iter().copied()).output().await?;
    Ok(Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}

/// The one sentence of a refusal: nothing else is said, and the exit code is 2.
pub(crate) fn refusal(ran: &Ran) -> &str {
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    ran.stderr.trim_end().strip_prefix("sealwatch: error: ").unwrap_or_default()
}

/// The answer as JSON.
pub(crate) fn answer(ran: &Ran) -> Result<Value> {
    serde_json::from_str(&ran.stdout).map_err(|error| format!("{error}: {ran:?}").into())
}

/// The image of that answer whose repository ends so.
pub(crate) fn image<'a>(answer: &'a Value, end: &str) -> &'a Value {
    let images = answer["images"].as_array().into_iter().flatten();
    images
        .into_iter()
        .find(|image| image["repository"].as_str().is_some_and(|text| text.ends_with(end)))
        .unwrap_or(&Value::Null)
}

/// The path of a registries.yaml for these registries.
pub(crate) fn registries(stage: &Stage, registries: &[&Registry]) -> Result<String> {
    let path = scene::write_registries(stage.folder.path(), &scene::registries(registries), registries)?;
    Ok(path.display().to_string())
}

/// The path of a file with the seed's policy under this name, and the root of `pki`.
pub(crate) fn policy_file(stage: &Stage, name: &str, document: &Value, pki: &Pki) -> Result<String> {
    let objects = [scene::trust_policy(name, document), scene::roots(pki.root.certificate_pem())];
    let path = stage.folder.path().join(format!("{name}.yaml"));
    std::fs::write(&path, scene::documents(&objects)?)?;
    Ok(path.display().to_string())
}

/// A kubeconfig of somebody who may do this with pods of the namespace, and nothing else.
pub(crate) async fn user(stage: &Stage, name: &str, verbs: &[&str]) -> Result<PathBuf> {
    let kubeconfig = stage.cluster.kubeconfig_for(Identity::ServiceAccount { namespace: &stage.namespace, name });
    let kubeconfig = kubeconfig.await?;
    let group = "rbac.authorization.k8s.io";
    let (role, binding) = (format!("{group}/v1"), format!("{group}/v1"));
    let subject = json!({"kind": "ServiceAccount", "name": name, "namespace": stage.namespace});
    stage
        .apply(&json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": role, "kind": "Role", "metadata": {"name": name},
             "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": verbs}]},
            {"apiVersion": binding, "kind": "RoleBinding", "metadata": {"name": name}, "subjects": [subject],
             "roleRef": {"apiGroup": group, "kind": "Role", "name": name}},
        ]}))
        .await?;
    Ok(kubeconfig)
}
