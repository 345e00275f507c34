// SPDX-License-Identifier: Apache-2.0
//! The command line.

#![allow(clippy::doc_markdown, reason = "these doc comments are the help that the command prints")]

mod crl;
mod inspect;
mod mirror;
mod policy;
mod scan;
mod verify;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use self::{
    crl::{CrlCommand, FetchArguments, ListFormat},
    inspect::InspectArguments,
    mirror::MirrorArguments,
    policy::{ExportArguments, ImportArguments, LintArguments, PolicyCommand},
    scan::{ScanArguments, ScanFormat},
    verify::VerifyArguments,
};

/// Keeps watch over the seals on the images a cluster is really running.
#[derive(Debug, Parser)]
#[command(name = "sealwatch", version, about, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the operator: verify every image that runs in a namespace with a TrustPolicy, and keep doing so
    #[command(after_help = OPERATOR_HELP)]
    Operator(OperatorArguments),
    /// Say whether the operator could work here: the API server, the kinds and its rights
    #[command(after_help = CHECK_HELP)]
    Check(CheckArguments),
    /// Verify images once, by tag or digest
    #[command(after_help = verify::HELP)]
    Verify(VerifyArguments),
    /// Verify every image that runs in a cluster once, with nothing installed there
    #[command(after_help = scan::HELP)]
    Scan(ScanArguments),
    /// Show the signatures of images: who signed what, when, with which certificates; nothing is verified against a policy
    #[command(after_help = inspect::HELP)]
    Inspect(InspectArguments),
    /// Trust policies: from Notation's configuration to a TrustPolicy and back, and what is unwise in one
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Revocation lists: from where the network is to where it is not
    #[command(subcommand)]
    Crl(CrlCommand),
    /// Copy the signatures of an image to a mirror that lost them
    #[command(after_help = mirror::HELP)]
    Mirror(MirrorArguments),
    /// Print the CustomResourceDefinitions of TrustPolicy and ImageVerification
    #[command(after_help = CRDS_HELP)]
    Crds,
    /// Print the completions of a shell
    #[command(after_help = COMPLETIONS_HELP)]
    Completions {
        /// Which shell
        #[arg(value_enum)]
        shell: Shell,
    },
}

const OPERATOR_HELP: &str = "\
Examples:
  sealwatch operator --kubeconfig ~/.kube/config --watch-namespace azure-iot-operations --log-format text
  sealwatch operator --registries /etc/rancher/k3s/registries.yaml --listen 127.0.0.1:8080

Exit codes:
  0  ended by SIGTERM or SIGINT
  1  a part of it ended by itself, or could not be set up
  2  wrong usage, kubeconfig or registries file";

const CRDS_HELP: &str = "\
Example:
  sealwatch crds | kubectl apply --server-side -f -";

const COMPLETIONS_HELP: &str = "\
Examples:
  sealwatch completions bash > /etc/bash_completion.d/sealwatch
  sealwatch completions zsh > \"${fpath[1]}/_sealwatch\"
  sealwatch completions fish > ~/.config/fish/completions/sealwatch.fish";

const CHECK_HELP: &str = "\
Asks the API server, as whoever the kubeconfig or the pod's service account names, and changes nothing. Run it with the
operator's account: `helm test` does.

Examples:
  sealwatch check --kubeconfig ~/.kube/config
  sealwatch check --watch-namespace azure-iot-operations

Exit codes:
  0  the operator could work
  1  something is missing, or the API server does not answer
  2  wrong usage, or a kubeconfig that cannot be used";

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// How to reach the API server; without it KUBECONFIG or the pod's service account
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Ask about this namespace only; without it about all of them
    #[arg(long, value_name = "NAMESPACE", env = "SEALWATCH_WATCH_NAMESPACE")]
    pub(crate) watch_namespace: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct OperatorArguments {
    /// How to reach the API server; without it KUBECONFIG or the pod's service account
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Watch this namespace only; without it all of them
    #[arg(long, value_name = "NAMESPACE", env = "SEALWATCH_WATCH_NAMESPACE")]
    pub(crate) watch_namespace: Option<String>,
    /// Where health (/healthz, /readyz) and metrics (/metrics) are served
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080", env = "SEALWATCH_LISTEN")]
    pub(crate) listen: SocketAddr,
    /// How long an ImageVerification stays after the last pod that ran its image is gone (such as 90s, 10m, 1h)
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration, env = "SEALWATCH_COLLECT_AFTER")]
    pub(crate) collect_after: Duration,
    /// How long one watch request may last, 5s to 290s; shorter where something on the way drops idle connections sooner
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "195s",
        value_parser = watch_timeout,
        env = "SEALWATCH_WATCH_TIMEOUT"
    )]
    pub(crate) watch_timeout: Duration,
    /// Show a series for each running image in /metrics, too: as many as there are images, with repository and digest
    #[arg(long, env = "SEALWATCH_METRICS_PER_IMAGE")]
    pub(crate) metrics_per_image: bool,
    /// Work only while holding this Lease, so that several operators may run; without it no Lease is used
    #[arg(long, value_name = "NAME", env = "SEALWATCH_LEASE")]
    pub(crate) lease: Option<String>,
    /// The namespace of that Lease; without it that of the pod, or of the kubeconfig
    #[arg(long, value_name = "NAMESPACE", env = "SEALWATCH_LEASE_NAMESPACE", requires = "lease")]
    pub(crate) lease_namespace: Option<String>,
    /// Show the pod's Azure workload identity to NAME.azurecr.io, for images that run there and no secret opens
    #[arg(long, env = "SEALWATCH_AZURE_IDENTITY")]
    pub(crate) azure_identity: bool,
    /// Show it to these registries instead (repeatable): HOST or HOST:PORT, such as those of another Azure cloud
    #[arg(
        long,
        value_name = "HOST",
        env = "SEALWATCH_AZURE_REGISTRIES",
        value_delimiter = ',',
        requires = "azure_identity"
    )]
    pub(crate) azure_registry: Vec<String>,
    /// Keep evidence in this folder too, so that a restart without a way to the registries still judges; of this process
    /// alone
    #[arg(long, value_name = "DIR", env = "SEALWATCH_CACHE_DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// How much evidence may take there, in bytes, at least 1 MiB
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = sealwatch_verifier::cache::DEFAULT_MAX_BYTES,
        value_parser = clap::value_parser!(u64).range(sealwatch_verifier::cache::LEAST_MAX_BYTES..),
        env = "SEALWATCH_CACHE_DIR_MAX_BYTES",
    )]
    pub(crate) cache_dir_max_bytes: u64,
    /// The format of the log; its level is set by RUST_LOG
    #[arg(long, value_enum, default_value_t = LogFormat::Json, env = "SEALWATCH_LOG_FORMAT")]
    pub(crate) log_format: LogFormat,
    #[command(flatten)]
    pub(crate) registries: RegistryArguments,
}

/// Where images are looked for: a registry, or an OCI image layout.
#[derive(Debug, Args)]
pub(crate) struct SourceArguments {
    /// Take images and signatures from this OCI image layout instead of a registry
    // No conflict with --registries, which may come from the environment.
    #[arg(long, value_name = "DIR", conflicts_with = "insecure_registry")]
    pub(crate) oci_layout: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) asking: AskingArguments,
}

/// How registries are asked by hand: what every command takes that asks one.
#[derive(Debug, Args)]
pub(crate) struct AskingArguments {
    /// Speak plain HTTP to the registries of these images
    #[arg(long)]
    pub(crate) insecure_registry: bool,
    /// Run docker-credential-NAME where docker's configuration says that it keeps a registry's credential
    #[arg(long, env = "SEALWATCH_ALLOW_CREDENTIAL_HELPERS")]
    pub(crate) allow_credential_helpers: bool,
    #[command(flatten)]
    pub(crate) registries: RegistryArguments,
}

#[derive(Debug, Args)]
pub(crate) struct RegistryArguments {
    /// Mirrors, credentials, TLS settings and plain-HTTP registries, as a K3s registries.yaml
    #[arg(long, value_name = "FILE", env = "SEALWATCH_REGISTRIES")]
    pub(crate) registries: Option<PathBuf>,
    /// Where the file given by --registries has mirrors for a registry, do not ask the registry itself (K3s' flag)
    #[arg(long, env = "SEALWATCH_DISABLE_DEFAULT_REGISTRY_ENDPOINT", requires = "registries")]
    pub(crate) disable_default_registry_endpoint: bool,
    /// Address ranges that may be connected to although they are private, link-local or loopback (repeatable)
    #[arg(long, value_name = "CIDR", env = "SEALWATCH_ALLOW_EGRESS", value_delimiter = ',')]
    pub(crate) allow_egress: Vec<sealwatch_registry::Cidr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One JSON object a line
    Json,
    /// For people
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DigestMatching {
    /// Those of the digest itself
    #[value(name = "Exact")]
    Exact,
    /// Where it has none: those of every runnable manifest of the index, or of the index that the tag names
    #[value(name = "FollowIndex")]
    FollowIndex,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// One sentence an image, as notation prints it
    Text,
    /// One row an image
    Table,
    /// Everything, as a JSON array
    Json,
    /// Everything, as a YAML list
    Yaml,
}

/// How to print what is not a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TextFormat {
    /// For people
    Text,
    /// Everything, as JSON
    Json,
    /// Everything, as YAML
    Yaml,
}

fn duration(text: &str) -> Result<Duration, String> {
    sealwatch_api::DurationString::from(text).to_duration().map_err(|error| error.to_string())
}

/// Below 5 s the API server would be busy with nothing but watches; above 290 s dropped connections go unnoticed too long.
fn watch_timeout(text: &str) -> Result<Duration, String> {
    let timeout = duration(text)?;
    match timeout.as_secs() {
        5..=290 => Ok(timeout),
        _ => Err("must be from 5s to 290s".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_cache_has_room_for_a_mebibyte_at_least_and_256_unless_said_otherwise() {
        let parse = |more: &[&str]| {
            let all = ["sealwatch", "operator", "--cache-dir", "/c"].iter().chain(more);
            Arguments::try_parse_from(all).map(|arguments| match arguments.command {
                Command::Operator(operator) => operator.cache_dir_max_bytes,
                _ => 0,
            })
        };
        assert_eq!(parse(&[]).unwrap(), 256 * 1024 * 1024);
        assert_eq!(parse(&["--cache-dir-max-bytes", "1048576"]).unwrap(), 1 << 20);
        let error = parse(&["--cache-dir-max-bytes", "1048575"]).unwrap_err().to_string();
        assert!(error.contains("--cache-dir-max-bytes") && error.contains("1048576"), "{error}");
    }

    #[test]
    fn durations_are_whole_and_have_a_unit() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert!(duration("90").is_err());
        assert!(duration("-1s").is_err());
    }

    #[test]
    fn a_watch_lasts_for_5_to_290_seconds() {
        assert_eq!(watch_timeout("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(watch_timeout("4m50s"), Ok(Duration::from_secs(290)));
        for wrong in ["4s", "291s", "1h", "0s", "soon"] {
            assert!(watch_timeout(wrong).is_err(), "{wrong}");
        }
    }
}
