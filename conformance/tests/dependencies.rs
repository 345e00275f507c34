// SPDX-License-Identifier: Apache-2.0
//! The rules are a library for everybody: no runtime, no cluster and no network come with them.

use std::env;
use std::process::Command;

/// Whoever has one of these has a runtime, a client, a socket or another TLS stack.
const FORBIDDEN: [&str; 22] = [
    "async-std",
    "axum",
    "curl",
    "futures",
    "h2",
    "http",
    "hyper",
    "isahc",
    "k8s-openapi",
    "kube",
    "mio",
    "native-tls",
    "oci-client",
    "openssl",
    "reqwest",
    "ring",
    "rustls",
    "smol",
    "socket2",
    "tokio",
    "tonic",
    "ureq",
];

/// Every package that is built for users of a crate of this workspace, directly or not.
fn packages_behind(package: &str) -> Vec<String> {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["tree", "--locked", "--offline", "--target", "all", "--edges", "normal,build", "--prefix", "none"])
        .args(["--package", package])
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn forbidden(packages: &[String]) -> Vec<&String> {
    let is_forbidden = |name: &str| {
        FORBIDDEN.iter().any(|bad| name.strip_prefix(bad).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')))
    };
    packages.iter().filter(|name| is_forbidden(name)).collect()
}

#[test]
fn the_rules_depend_on_no_runtime_no_cluster_and_no_network() {
    let packages = packages_behind("sealwatch-notation");
    assert!(packages.iter().any(|name| name == "aws-lc-rs"), "{packages:?}");
    assert_eq!(forbidden(&packages), Vec::<&String>::new());
}

/// The test above could fail: what fetches depends on all of it.
#[test]
fn what_asks_registries_has_a_runtime_and_a_client() {
    let packages = packages_behind("sealwatch-registry");
    for expected in ["tokio", "reqwest", "rustls"] {
        assert!(forbidden(&packages).iter().any(|name| *name == expected), "{expected}");
    }
}
