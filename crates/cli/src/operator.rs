// SPDX-License-Identifier: Apache-2.0
//! `sealwatch operator`.

use std::process::ExitCode;

use kube::{
    Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use sealwatch_operator::{Options, Settings};
use tokio::signal::unix::{SignalKind, signal};

use crate::{args::OperatorArguments, log, registries, terminal::usage};

/// The operator ended although nobody asked it to.
const EXIT_BROKEN: u8 = 1;

pub(crate) async fn run(arguments: OperatorArguments) -> ExitCode {
    log::start(arguments.log_format, "info");
    let config = match config(&arguments).await {
        Ok(config) => config,
        Err(why) => return usage(&why),
    };
    let registries = match registries::options(&arguments.registries, registries::Origin::Mounted) {
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
    let settings = Settings { namespace: arguments.watch_namespace, collect_after: arguments.collect_after };
    let options = Options { config, registries, listen: arguments.listen, settings };
    match sealwatch_operator::run(options, stop).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the operator ends");
            ExitCode::from(EXIT_BROKEN)
        }
    }
}

async fn config(arguments: &OperatorArguments) -> Result<Config, String> {
    match &arguments.kubeconfig {
        Some(path) => {
            let read =
                Kubeconfig::read_from(path).map_err(|error| format!("--kubeconfig {}: {error}", path.display()))?;
            let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
            config.map_err(|error| format!("--kubeconfig {}: {error}", path.display()))
        }
        None => Config::infer().await.map_err(|error| {
            format!("no way to the API server: {error}; give --kubeconfig, set KUBECONFIG, or run in a pod")
        }),
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
