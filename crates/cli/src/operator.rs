// SPDX-License-Identifier: Apache-2.0
//! `sealwatch operator`.

use std::{error::Error as _, path::Path, process::ExitCode, sync::Arc};

use kube::{
    Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use sealwatch_operator::{CacheOptions, LeaseOptions, Options, Settings};
use sealwatch_registry::{AzureIdentity, RegistryOptions};
use tokio::signal::unix::{SignalKind, signal};

use crate::{args::OperatorArguments, log, registries, terminal::usage};

/// The operator ended although nobody asked it to.
const EXIT_BROKEN: u8 = 1;

pub(crate) async fn run(arguments: OperatorArguments) -> ExitCode {
    log::start(arguments.log_format, "info");
    let config = match config(arguments.kubeconfig.as_deref()).await {
        Ok(config) => config,
        Err(why) => return usage(&why),
    };
    let registries = match registries(&arguments) {
        Ok(registries) => registries,
        Err(why) => return usage(&why),
    };
    for warning in registries.registries.warnings() {
        tracing::warn!(warning, "registries.yaml");
    }
    let stop = match stop() {
        Ok(stop) => stop,
        Err(error) => return usage(&format!("signals cannot be waited for: {error}")),
    };
    let settings = Settings {
        namespace: arguments.watch_namespace,
        collect_after: arguments.collect_after,
        watch_timeout: arguments.watch_timeout,
        metrics_per_image: arguments.metrics_per_image,
    };
    let lease = arguments.lease.map(|name| LeaseOptions {
        namespace: arguments.lease_namespace.unwrap_or_else(|| config.default_namespace.clone()),
        name,
        identity: identity(),
    });
    let max_bytes = arguments.cache_dir_max_bytes;
    let cache = arguments.cache_dir.map(|folder| CacheOptions { folder, max_bytes });
    let options = Options { config, registries, listen: arguments.listen, lease, settings, cache };
    match sealwatch_operator::run(options, stop).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the operator ends");
            ExitCode::from(EXIT_BROKEN)
        }
    }
}

fn registries(arguments: &OperatorArguments) -> Result<RegistryOptions, String> {
    let mut options = registries::options(&arguments.registries, registries::Origin::Mounted)?;
    if arguments.azure_identity {
        let variable = |name: &str| std::env::var(name).ok();
        let identity = AzureIdentity::new(variable, &arguments.azure_registry);
        options.identities.push(Arc::new(identity.map_err(|error| format!("--azure-identity: {error}"))?));
    }
    Ok(options)
}

/// Who this process is to others like it: the name of the pod, and what tells it from one that was there before.
fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "sealwatch".to_owned());
    let unique = std::fs::read_to_string("/proc/sys/kernel/random/uuid");
    let unique = unique.unwrap_or_else(|_| format!("{}-{}", std::process::id(), jiff::Timestamp::now()));
    format!("{host}_{}", unique.trim())
}

/// How to reach the API server: by the kubeconfig given, else as the environment says.
pub(crate) async fn config(kubeconfig: Option<&Path>) -> Result<Config, String> {
    match kubeconfig {
        Some(path) => {
            let refused = |error: KubeconfigError| format!("--kubeconfig {}: {}", path.display(), problem(&error));
            let read = Kubeconfig::read_from(path).map_err(refused)?;
            Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.map_err(refused)
        }
        None => Config::infer().await.map_err(|error| {
            let kubeconfig = error.source().and_then(|source| source.downcast_ref());
            let why = kubeconfig.map_or_else(|| "nothing says where it is".to_owned(), problem);
            format!(
                "no way to the API server: this is no pod, and of KUBECONFIG or ~/.kube/config: {why}; give --kubeconfig, \
                 set KUBECONFIG, or run in a pod"
            )
        }),
    }
}

/// What is wrong with a kubeconfig. It holds tokens and keys, and a parser's message quotes what it read: of that the
/// place alone is said.
pub(crate) fn problem(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::ReadConfig(error, _) => format!("it cannot be read: {error}"),
        KubeconfigError::Parse(error) => {
            let location = error.location();
            let line = location.as_ref().map_or(0, serde_saphyr::Location::line);
            let column = location.as_ref().map_or(0, serde_saphyr::Location::column);
            format!("it is no kubeconfig: line {line}, column {column} cannot be understood")
        }
        KubeconfigError::CurrentContextNotSet => {
            "it names no current-context: set one with kubectl config use-context NAME".to_owned()
        }
        other => other.to_string(),
    }
}

/// Resolves on SIGTERM or SIGINT.
fn stop() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
