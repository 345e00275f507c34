// SPDX-License-Identifier: Apache-2.0
//! Where is scanned: a cluster by its kubeconfig, and one namespace of it or all.

use std::path::Path;

use kube::{
    Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use sealwatch_api::text::clip;
use sealwatch_operator::{
    once::{AskError, Cluster},
    running::RunningIndex,
};

use crate::{args::ScanArguments, operator, output::TEXT_MOST};

/// How many contexts a message names.
const CONTEXTS_NAMED: usize = 10;

/// A cluster, and the part of it that is scanned.
pub(super) struct Place {
    pub(super) cluster: Cluster,
    /// The context of the kubeconfig, if there is one.
    pub(super) context: Option<String>,
    /// The namespace; `None` is all.
    pub(super) namespace: Option<String>,
}

impl Place {
    /// What the flags name. The API server is not asked yet.
    pub(super) async fn open(arguments: &ScanArguments) -> Result<Self, String> {
        let (config, context) = config(arguments.kubeconfig.as_deref(), arguments.context.as_deref()).await?;
        let own = || config.default_namespace.clone();
        let namespace = (!arguments.all_namespaces).then(|| arguments.namespace.clone().unwrap_or_else(own));
        let url = config.cluster_url.to_string();
        let cluster = Cluster::new(config)
            .map_err(|error| format!("the kubeconfig cannot be used for the API server at {url}: {error}"))?;
        Ok(Self { cluster, context, namespace })
    }

    /// What runs there.
    pub(super) async fn running(&self) -> Result<RunningIndex, String> {
        let remedy = match &self.namespace {
            Some(namespace) => {
                format!("ask for the right to get and list pods in {namespace}, or name another namespace with -n")
            }
            None => "name one namespace with -n, or ask for the right to list pods in all".to_owned(),
        };
        let index = self.cluster.running(self.namespace.as_deref()).await;
        let index = index.map_err(|error| self.sentence("the pods", &error, &remedy))?;
        if let Some(namespace) = self.namespace.as_deref().filter(|_| index.pod_count() == 0) {
            let exists = self.cluster.has_namespace(namespace).await;
            if exists.map_err(|error| self.sentence("the namespace", &error, &remedy))? == Some(false) {
                let url = self.cluster.url();
                return Err(format!(
                    "-n {namespace}: the cluster at {url} has no such namespace; kubectl get namespaces lists those \
                     that it has"
                ));
            }
        }
        Ok(index)
    }

    /// What went wrong with `what`, and what to do; `remedy` is for whoever may not see it.
    pub(super) fn sentence(&self, what: &str, error: &AskError, remedy: &str) -> String {
        let url = self.cluster.url();
        match error {
            AskError::Forbidden(why) => format!("{what} {} may not be listed ({why}); {remedy}", self.of()),
            AskError::Unknown(why) => format!("the API server at {url} does not know {what} ({why})"),
            AskError::Unauthorized(why) => format!(
                "the API server at {url} does not accept the credentials of the kubeconfig ({why}); log in again, or \
                 choose another --context"
            ),
            AskError::Silent | AskError::Other(_) => format!(
                "the API server at {url} could not be asked for {what}: {error}; check --kubeconfig, --context and the \
                 way to it"
            ),
        }
    }

    /// What is scanned, in words.
    pub(super) fn of(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("of namespace {namespace}"),
            None => "of all namespaces".to_owned(),
        }
    }
}

/// How to reach the API server, and the context by which.
async fn config(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<(Config, Option<String>), String> {
    let source =
        kubeconfig.map_or_else(|| "the kubeconfig".to_owned(), |path| format!("--kubeconfig {}", path.display()));
    let at = |error: &KubeconfigError| format!("{source}: {}", clip(&operator::problem(error), TEXT_MOST));
    let read = match kubeconfig {
        Some(path) => Kubeconfig::read_from(path).map_err(|error| at(&error))?,
        None => match Kubeconfig::read() {
            Ok(read) => read,
            Err(error) if context.is_some() => return Err(at(&error)),
            // Perhaps in a pod.
            Err(_) => return Ok((operator::config(None).await?, None)),
        },
    };
    let known: Vec<String> = read.contexts.iter().map(|context| context.name.clone()).collect();
    if let Some(context) = context.filter(|context| !known.iter().any(|known| known == context)) {
        let some: Vec<String> = known.iter().take(CONTEXTS_NAMED).map(|name| clip(name, 64)).collect();
        let have = if some.is_empty() { "none".to_owned() } else { some.join(", ") };
        return Err(format!("--context {context}: {source} has no such context; it has {have}"));
    }
    let chosen = context.map(str::to_owned).or_else(|| read.current_context.clone());
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(read, &options).await.map_err(|error| at(&error))?;
    Ok((config, chosen))
}
