// SPDX-License-Identifier: Apache-2.0

//! Kubeconfig files: one cluster, one user, one context.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use k8s_openapi::ByteString;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use super::Result;

/// How the user of a kubeconfig authenticates.
pub(super) enum Credential {
    Certificate { certificate: String, key: String },
    Token(String),
}

pub(super) fn read(path: &Path) -> Result<Kubeconfig> {
    Kubeconfig::read_from(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// What a client needs to connect as this file says.
pub(super) async fn connection(path: &Path) -> Result<Config> {
    super::install_crypto_provider();
    Ok(Config::from_custom_kubeconfig(read(path)?, &KubeConfigOptions::default()).await?)
}

/// JSON is YAML, so every client reads it.
pub(super) fn write(path: &Path, url: &str, ca_pem: &str, credential: &Credential) -> Result<()> {
    let cluster = json!({ "server": url, "certificate-authority-data": base64(ca_pem)? });
    write_with(path, &cluster, credential)
}

/// As [`write()`], for a cluster entry as another kubeconfig has it.
pub(super) fn write_with(path: &Path, cluster: &Value, credential: &Credential) -> Result<()> {
    let user = match credential {
        Credential::Certificate { certificate, key } => {
            json!({ "client-certificate-data": base64(certificate)?, "client-key-data": base64(key)? })
        }
        Credential::Token(token) => json!({ "token": token }),
    };
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "testenv", "cluster": cluster }],
        "users": [{ "name": "user", "user": user }],
        "contexts": [{ "name": "testenv", "context": { "cluster": "testenv", "user": "user" } }],
        "current-context": "testenv",
    });
    fs::write(path, serde_json::to_vec_pretty(&kubeconfig)?)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(())
}

/// A kubeconfig with a token that is nobody's, for an API server at this URL.
///
/// # Errors
/// The file cannot be written.
pub fn write_stranger_kubeconfig(path: &Path, url: &str) -> Result<()> {
    write_with(path, &json!({ "server": url }), &Credential::Token("none".to_owned()))
}

/// Kubernetes' own byte strings are base64 in JSON.
fn base64(text: &str) -> Result<Value> {
    Ok(serde_json::to_value(ByteString(text.as_bytes().to_vec()))?)
}
