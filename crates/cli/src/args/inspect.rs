// SPDX-License-Identifier: Apache-2.0
//! The arguments of `sealwatch inspect`.

#![allow(clippy::doc_markdown, reason = "these doc comments are the help that the command prints")]

use clap::Args;

use super::{SourceArguments, TextFormat};

pub(super) const HELP: &str = "\
Shown is what each signature says of itself, after its integrity was checked: that the leaf's key made it, and that the
certificates form a chain. Whether anybody trusts that chain is not asked; sealwatch verify does. Of a signature that is
not intact only the reason is shown.

IMAGE is REPOSITORY:TAG or REPOSITORY@DIGEST. With --oci-layout its tag (org.opencontainers.image.ref.name) or digest is
looked up in that one layout.

Examples:
  sealwatch inspect mcr.microsoft.com/azureiotoperations/aio-operator:1.2.36
  sealwatch inspect registry.example/app@sha256:… -o json
  sealwatch inspect registry.example/app:1.0 --oci-layout ./app

Exit codes:
  0  all signatures of all images are shown, be there none
  1  at least one signature is broken or could not be read
  2  wrong usage
  3  at least one image could not be looked up";

#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    /// Images as REPOSITORY:TAG or REPOSITORY@DIGEST
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
    /// How to print the answer; text is a tree
    #[arg(short, long, value_enum, default_value_t = TextFormat::Text)]
    pub(crate) output: TextFormat,
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}
