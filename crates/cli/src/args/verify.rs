// SPDX-License-Identifier: Apache-2.0
//! The arguments of `sealwatch verify`.

#![allow(clippy::doc_markdown, reason = "these doc comments are the help that the command prints")]

use std::path::PathBuf;

use clap::Args;

use super::{DigestMatching, OutputFormat, SourceArguments};

pub(super) const HELP: &str = "\
IMAGE is REPOSITORY:TAG or REPOSITORY@DIGEST; with both, the digest counts, with neither, the tag is latest. The
repository chooses the statement of the trust policy. Several images are verified at once and answered in order.

Trust stores come from DIR of --trust-store, laid out as Notation's truststore/x509 (DIR/ca/supplychain/root.crt is a
certificate of ca:supplychain), or, without it, from spec.trustStores of a TrustPolicy. Every file of a store must hold
certificates, PEM or DER; links and folders in a store are refused.

With --oci-layout no registry is asked: the tag (org.opencontainers.image.ref.name) or digest of IMAGE is looked up in
that one layout, and the repository of IMAGE only chooses the statement, as --scope does for notation.

Unless the policy skips it, the OCSP responders and revocation lists that certificates of a trusted signer or timestamp
authority name are asked over plain HTTP, with --oci-layout too. Public addresses only: others need --allow-egress, or
host:port in the file given by --registries. Without a way to them, bring the lists (--crl, or spec.revocation.crls).

Examples:
  sealwatch verify mcr.microsoft.com/azureiotoperations/aio-operator:1.2.36 \\
      --policy trustpolicy.json --trust-store ~/.config/notation/truststore/x509
  sealwatch verify registry.example/app@sha256:… --policy trustpolicy.yaml -o json
  sealwatch verify registry.example/app:1.0 --oci-layout ./app --policy trustpolicy.yaml

Exit codes:
  0  every image is verified (or its level is skip)
  1  at least one image failed
  2  wrong usage, or a policy or trust store that cannot be used
  3  none failed, and of at least one it could not be told";

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// Images as REPOSITORY:TAG or REPOSITORY@DIGEST
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
    /// A Notation trustpolicy.json, or a TrustPolicy in YAML (what its trust stores name may stand in the same file)
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: PathBuf,
    /// Where the trust stores are, laid out as Notation's truststore/x509; they take the place of a TrustPolicy's own
    #[arg(long, value_name = "DIR")]
    pub(crate) trust_store: Option<PathBuf>,
    /// A certificate revocation list, DER or PEM, or a folder of them, used like fetched ones (repeatable); beside those
    /// that a TrustPolicy brings
    #[arg(long, value_name = "FILE")]
    pub(crate) crl: Vec<PathBuf>,
    /// Whose signatures count for a digest; of a TrustPolicy its own spec.digestMatching, unless this is given
    #[arg(long, value_enum)]
    pub(crate) digest_matching: Option<DigestMatching>,
    /// How to print the answer
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Text)]
    pub(crate) output: OutputFormat,
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}
