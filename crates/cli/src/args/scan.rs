// SPDX-License-Identifier: Apache-2.0
//! The arguments of `sealwatch scan`.

#![allow(clippy::doc_markdown, reason = "these doc comments are the help that the command prints")]

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{AskingArguments, DigestMatching};

pub(super) const HELP: &str = "\
Reads the cluster and changes nothing in it. The right to get and list pods in one namespace is enough: with --policy
nothing of Sealwatch need be installed. Each distinct running image is verified once, by the digest that the kubelet
reports. Without --policy the TrustPolicies of the cluster judge, each the images of its namespace.

The pull secrets of the pods are used as far as you may read them, then the credentials of docker and podman.

--diff shows the images whose verdict would change if FILE took the place of the cluster's TrustPolicy: of the one with
its name, or of each in the namespace. Its exit code speaks of the new verdicts of what is shown.

--deployment-image-list compares running digests with the list that Microsoft publishes with each release of Azure IoT
Operations. Without --policy nothing else is done then, and no registry is asked.

Examples:
  sealwatch scan -n azure-iot-operations --policy trustpolicy.json --trust-store ~/.config/notation/truststore/x509
  sealwatch scan -A --context edge-7 -o html > report.html
  sealwatch scan -n azure-iot-operations --policy new.yaml --diff
  sealwatch scan -A --deployment-image-list aio-customer-dil-1.4.112.json

Exit codes:
  0  every image is verified (or its level is skip), or is as released
  1  at least one image failed, has another digest than the list, or is not in it
  2  wrong usage, a cluster that cannot be asked, or a policy or list that cannot be used
  3  none of that, and of at least one image it could not be told";

#[derive(Debug, Args)]
pub(crate) struct ScanArguments {
    /// How to reach the cluster; without it KUBECONFIG, ~/.kube/config or the pod's service account
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; without it the current one
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// The namespace to scan; without it that of the context
    #[arg(short, long, value_name = "NAMESPACE", conflicts_with = "all_namespaces")]
    pub(crate) namespace: Option<String>,
    /// Scan all namespaces
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    /// A Notation trustpolicy.json, or a TrustPolicy in YAML (what its trust stores name may stand in the same file);
    /// without it the TrustPolicies of the cluster
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Where the trust stores are, laid out as Notation's truststore/x509; they take the place of a TrustPolicy's own
    #[arg(long, value_name = "DIR", requires = "policy")]
    pub(crate) trust_store: Option<PathBuf>,
    /// A certificate revocation list, DER or PEM, used like a fetched one (repeatable); beside those that a TrustPolicy
    /// brings
    #[arg(long, value_name = "FILE", requires = "policy")]
    pub(crate) crl: Vec<PathBuf>,
    /// Whose signatures count for a digest; of a TrustPolicy its own spec.digestMatching, unless this is given
    #[arg(long, value_enum, requires = "policy")]
    pub(crate) digest_matching: Option<DigestMatching>,
    /// Show only images whose verdict would change if FILE of --policy took the place of the cluster's TrustPolicy
    #[arg(long, requires = "policy", conflicts_with = "deployment_image_list")]
    pub(crate) diff: bool,
    /// Compare running digests with Microsoft's Deployment Image List, aio-customer-dil-VERSION.json
    #[arg(long, value_name = "FILE")]
    pub(crate) deployment_image_list: Option<PathBuf>,
    /// How to print the answer
    #[arg(short, long, value_enum, default_value_t = ScanFormat::Table)]
    pub(crate) output: ScanFormat,
    #[command(flatten)]
    pub(crate) asking: AskingArguments,
}

/// How to print what a scan found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScanFormat {
    /// One row an image, and what is wrong below
    Table,
    /// Everything, as JSON
    Json,
    /// Everything, as YAML
    Yaml,
    /// A page for people, in one file
    Html,
}
