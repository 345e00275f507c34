// SPDX-License-Identifier: Apache-2.0
//! The arguments of `sealwatch policy`.

#![allow(clippy::doc_markdown, reason = "these doc comments are the help that the command prints")]

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{SourceArguments, TextFormat};

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Print a TrustPolicy with its ConfigMaps, made of Notation's configuration
    #[command(after_help = IMPORT_HELP)]
    Import(ImportArguments),
    /// Write a TrustPolicy as Notation's configuration
    #[command(after_help = EXPORT_HELP)]
    Export(ExportArguments),
    /// Say what is legal in a trust policy, and unwise
    #[command(after_help = LINT_HELP)]
    Lint(LintArguments),
}

const IMPORT_HELP: &str = "\
PATH is a configuration folder of Notation (trustpolicy.oci.json or trustpolicy.json, and truststore/x509), or a trust
policy file; the latter needs --trust-store. Of each trust store that a statement names, the certificates become a
ConfigMap; nothing else of the files is taken along. A trust store with a private key in it is refused.

Examples:
  sealwatch policy import ~/.config/notation --name microsoft -n azure-iot-operations | kubectl apply -f -
  sealwatch policy import trustpolicy.json --trust-store ~/.config/notation/truststore/x509 > trustpolicy.yaml

Exit codes:
  0  printed
  2  wrong usage, or a policy or trust store that cannot be used";

const EXPORT_HELP: &str = "\
FILE holds the TrustPolicy and the ConfigMaps that it names, as kubectl get -o yaml prints them. DIR gets
trustpolicy.json and truststore/x509, for notation --config or NOTATION_CONFIG; it must not exist yet, or be empty. It
is written elsewhere and moved there whole.

Examples:
  sealwatch policy export trustpolicy.yaml --to ./notation
  NOTATION_CONFIG=$PWD/notation notation verify registry.example/app@sha256:…

Exit codes:
  0  written
  2  wrong usage, or a policy or trust store that cannot be used; nothing was written";

const LINT_HELP: &str = "\
PATH is a TrustPolicy in YAML with its ConfigMaps, a trustpolicy.json (with --trust-store), or a configuration folder of
Notation. What breaks a rule is an error and no finding. With --image, the signatures of that image are looked at to say
when the certificates in use end.

Each finding has a code, which never changes its meaning; docs/cli.md lists them.

Examples:
  sealwatch policy lint trustpolicy.yaml
  sealwatch policy lint ~/.config/notation -o json
  sealwatch policy lint trustpolicy.yaml --image mcr.microsoft.com/azureiotoperations/aio-operator:1.2.36

Exit codes:
  0  no finding
  1  at least one finding
  2  wrong usage, or a policy that breaks a rule
  3  no finding, and an image of --image could not be looked at";

#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// A configuration folder of Notation, or a trust policy file
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// Where the trust stores are, laid out as Notation's truststore/x509; of a folder, its own
    #[arg(long, value_name = "DIR")]
    pub(crate) trust_store: Option<PathBuf>,
    /// The name of the TrustPolicy; its ConfigMaps are called NAME-TYPE-STORE
    #[arg(long, value_name = "NAME", default_value = "notation")]
    pub(crate) name: String,
    /// The namespace of the objects; without it, the one that kubectl applies them to
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// A TrustPolicy in YAML or JSON, with the ConfigMaps that it names
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The folder to write
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct LintArguments {
    /// A TrustPolicy in YAML, a trustpolicy.json, or a configuration folder of Notation
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// Where the trust stores are, laid out as Notation's truststore/x509; of a folder, its own
    #[arg(long, value_name = "DIR")]
    pub(crate) trust_store: Option<PathBuf>,
    /// Days before its end from which on a certificate ends soon
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub(crate) soon: u16,
    /// An image whose signatures are looked at (repeatable): REPOSITORY:TAG or REPOSITORY@DIGEST
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Vec<String>,
    /// How to print the findings
    #[arg(short, long, value_enum, default_value_t = TextFormat::Text)]
    pub(crate) output: TextFormat,
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}
