// SPDX-License-Identifier: Apache-2.0
//! The arguments of `sealwatch mirror`.

#![allow(clippy::doc_markdown, reason = "these doc comments are the help that the command prints")]

use clap::Args;

use super::{AskingArguments, TextFormat};

pub(super) const HELP: &str = "\
Copied are the signatures alone: their manifests, envelopes and configurations, each under its own digest. The image
itself is not. Where DST has no Referrers API, its index of referrers (the tag sha256-…) is brought up to date.

SRC and DST are repositories; oci-layout:DIR stands for an OCI image layout on disk, for sites without a network. A
layout that is not there yet is made.

What DST has already is not sent again, so the command can be repeated. Envelopes go first, then the manifests that name
them, then the index: whoever looks in between sees fewer signatures, never half of one. Nothing is ever deleted.

Examples:
  sealwatch mirror mcr.microsoft.com/azureiotoperations/aio-operator@sha256:… mirror.example/aio/aio-operator
  sealwatch mirror mcr.microsoft.com/azureiotoperations/aio-operator@sha256:… oci-layout:./signatures
  sealwatch mirror oci-layout:./signatures@sha256:… mirror.example/aio/aio-operator --dry-run

Exit codes:
  0  DST has all signatures of SRC (or would have, with --dry-run)
  1  SRC has no signature of the image
  2  wrong usage
  3  SRC or DST could not be asked, or DST refused the push";

#[derive(Debug, Args)]
pub(crate) struct MirrorArguments {
    /// The image: REPOSITORY@DIGEST, or oci-layout:DIR@DIGEST
    #[arg(value_name = "SRC@DIGEST")]
    pub(crate) source: String,
    /// Where its signatures are to be: REPOSITORY, or oci-layout:DIR
    #[arg(value_name = "DST")]
    pub(crate) target: String,
    /// Say what would be copied, and send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How to print the answer
    #[arg(short, long, value_enum, default_value_t = TextFormat::Text)]
    pub(crate) output: TextFormat,
    #[command(flatten)]
    pub(crate) asking: AskingArguments,
}
