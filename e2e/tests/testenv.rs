// SPDX-License-Identifier: Apache-2.0

//! The test environment itself keeps its promises.

use sealwatch_e2e::testenv;

#[tokio::test]
async fn a_cluster_answers() -> testenv::Result<()> {
    let cluster = testenv::cluster().await?;
    let version = cluster.client().apiserver_version().await?;
    assert_eq!(version.git_version, "v1.36.4");
    let ns = cluster.namespace("hello").await?;
    let out = cluster.kubectl(&["get", "sa", "-n", &ns]).await?;
    assert!(out.status.success(), "{out:?}");
    Ok(())
}
