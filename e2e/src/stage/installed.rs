// SPDX-License-Identifier: Apache-2.0

//! What a user applies before the operator starts.

use std::collections::HashSet;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use tokio::sync::Mutex;

use super::run;
use crate::testenv::{Cluster, Result};

/// Where the manifests lie that a user applies.
const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config");

/// Applies the CRDs and the operator's RBAC, once for each control plane in this process.
///
/// # Errors
/// The API server refuses something.
pub async fn install(cluster: &Cluster) -> Result<()> {
    static DONE: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
    // A control plane that is started anew may have the old one's address, but not its objects.
    let namespaces: Api<Namespace> = Api::all(cluster.client());
    let born = namespaces.get("default").await?.metadata.uid.ok_or("a namespace without a UID")?;
    let mut done = DONE.lock().await;
    if done.contains(&born) {
        return Ok(());
    }
    run(cluster, &["apply", "--server-side", "--force-conflicts", "-k", &format!("{CONFIG}/crd")]).await?;
    established(cluster).await?;
    run(cluster, &["apply", "--server-side", "--force-conflicts", "-k", &format!("{CONFIG}/rbac")]).await?;
    done.insert(born);
    Ok(())
}

/// Waits until our kinds, whose definitions were applied, are served.
///
/// # Errors
/// They are not soon.
pub async fn established(cluster: &Cluster) -> Result<()> {
    let names = ["crd/trustpolicies.sealwatch.dev", "crd/imageverifications.sealwatch.dev"];
    // A definition that is a moment old has no conditions at all, which `kubectl wait` calls an error.
    let began = Instant::now();
    let established = ["wait", "--for=condition=Established", "--timeout=30s", names[0], names[1]];
    while let Err(error) = run(cluster, &established).await {
        if began.elapsed() > Duration::from_secs(30) {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
