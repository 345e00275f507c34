// SPDX-License-Identifier: Apache-2.0
//! The arguments of `sealwatch crl`.

#![allow(clippy::doc_markdown, reason = "these doc comments are the help that the command prints")]

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::SourceArguments;

#[derive(Debug, Subcommand)]
pub(crate) enum CrlCommand {
    /// Fetch the revocation lists that a policy needs, for a site that cannot
    #[command(after_help = FETCH_HELP)]
    Fetch(FetchArguments),
}

const FETCH_HELP: &str = "\
Run it where the network is. Fetched are the lists that are named by the certificates of the policy's trust stores, and
by those behind the signatures of each --image that a trusted signer made; most lists are known by the latter alone, so
name an image of each publisher. Deltas are fetched with the lists that name them. Every list is checked: signed by its
issuer, and not over. Only if all are there something is written.

With -o configmap, standard output has one ConfigMap for each list, and the TrustPolicy with spec.revocation.crls filled:
entries that an earlier run made are replaced, others stay. Apply it with --server-side, because kubectl's own note of
what it applied has room for 256 KiB only. With -o files, DIR gets one file for each list; verify --crl DIR uses them.

When each list ends stands on standard error. Run it again before the first does.

Examples:
  sealwatch crl fetch --policy trustpolicy.yaml --image registry.example/app:1.0 | kubectl apply --server-side -f -
  sealwatch crl fetch --policy trustpolicy.yaml --image registry.example/app:1.0 -o files --to ./lists
  sealwatch verify registry.example/app:1.0 --policy trustpolicy.yaml --crl ./lists

Exit codes:
  0  written
  1  no certificate names a list
  2  wrong usage, a policy or trust store that cannot be used, or lists that a TrustPolicy cannot hold
  3  a registry could not be asked, or a list could not be had or is no good; nothing was written";

/// How lists are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// ConfigMaps and the TrustPolicy, as YAML on standard output
    Configmap,
    /// One file in DER for each list
    Files,
}

#[derive(Debug, Args)]
pub(crate) struct FetchArguments {
    /// A TrustPolicy in YAML with the objects that it names, or (with -o files) a Notation trustpolicy.json
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: PathBuf,
    /// Where the trust stores are, laid out as Notation's truststore/x509; they take the place of a TrustPolicy's own
    #[arg(long, value_name = "DIR")]
    pub(crate) trust_store: Option<PathBuf>,
    /// An image whose signatures are looked at (repeatable): REPOSITORY:TAG or REPOSITORY@DIGEST
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Vec<String>,
    /// How to write the lists
    #[arg(short, long, value_enum, default_value_t = ListFormat::Configmap)]
    pub(crate) output: ListFormat,
    /// The folder to write with -o files; it must not exist yet, or be empty
    #[arg(long, value_name = "DIR", required_if_eq("output", "files"))]
    pub(crate) to: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}
