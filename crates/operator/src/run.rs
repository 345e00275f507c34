// SPDX-License-Identifier: Apache-2.0
//! The operator as a process: everything is started here, and its end is waited for here.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt as _, StreamExt as _, channel::mpsc, future::BoxFuture};
use kube::{
    Config,
    runtime::{
        controller::{self, Controller},
        reflector::store,
    },
};
use sealwatch_api::{ImageVerification, TrustPolicy};
use sealwatch_registry::{HttpRegistry, PlainFetcher, RegistryOptions};
use sealwatch_verifier::{EvidenceCache, Revocation, Verifier};
use tokio::{sync::watch, task::JoinSet};

use crate::{
    context::{Context, Settings, Triggers, recorder},
    health, image_verification,
    leader::{Hold, LeaseOptions},
    metrics,
    pulse::PulseLayer,
    sight::Sight,
    trust_policy,
    trust_store::bundles::ClusterTrustBundles,
    watches,
};

/// How long the end may take after the signal for it: well within a pod's usual 30 s.
const SHUTDOWN_MOST: Duration = Duration::from_secs(15);
/// How long the cache on disk may take after that to write what it has been given.
const CACHE_CLOSES_MOST: Duration = Duration::from_secs(5);
/// How many reconciles of one kind run at once. They wait for nobody but the API server.
const CONCURRENT_RECONCILES: u16 = 16;
/// How long a connection to the API server may take.
const CONNECT_MOST: Duration = Duration::from_secs(10);

/// Where evidence is kept on disk.
#[derive(Clone, Debug)]
pub struct CacheOptions {
    /// The folder, of this process alone.
    pub folder: PathBuf,
    /// The most that entries may take in it, in bytes.
    pub max_bytes: u64,
}

/// What the operator is started with.
pub struct Options {
    /// How to reach the API server.
    pub config: Config,
    /// How to reach registries.
    pub registries: RegistryOptions,
    /// Where to serve health and metrics.
    pub listen: SocketAddr,
    /// The Lease to hold while working; none without.
    pub lease: Option<LeaseOptions>,
    /// What the user chose for the controllers.
    pub settings: Settings,
    /// Where evidence is kept on disk; nowhere without.
    pub cache: Option<CacheOptions>,
}

/// Why the operator ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No client could be made of the configuration.
    #[error("the Kubernetes client could not be set up: {0}")]
    Client(#[source] Box<kube::Error>),
    /// No client could be made for registries.
    #[error("the registry client could not be set up: {0}")]
    Registry(#[source] Box<sealwatch_registry::Error>),
    /// The address for health and metrics is not to be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The Lease is not held any more; another operator works, or will.
    #[error("the Lease is lost")]
    LeaseLost,
    /// A part of the operator ended although nobody asked it to.
    #[error("the {0} ended unexpectedly")]
    Ended(&'static str),
}

/// Runs until `stop` resolves, then ends within seconds, whether or not the API server was ever there.
///
/// # Errors
/// When something cannot be set up, or a part of the operator ends by itself: it is never half alive.
pub async fn run(mut options: Options, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), RunError> {
    let mut listener =
        health::bind(options.listen).await.map_err(|source| RunError::Listen { address: options.listen, source })?;
    let address = listener.local_addr().unwrap_or(options.listen);
    tracing::info!(%address, "serving health and metrics");

    tokio::pin!(stop);
    let lease = options.lease.take();
    let mut hold = tokio::select! {
        () = &mut stop => return Ok(()),
        hold = Hold::wait(&options.config, lease, &mut listener) =>
            hold.map_err(|error| RunError::Client(Box::new(error)))?,
    };
    let (stopping, stopped) = watch::channel(false);
    let cache = open_cache(options.cache.clone()).await;
    let mut tasks = start(options, &hold, cache.clone(), listener, &stopped)?;
    let outcome = tokio::select! {
        () = &mut stop => Ok(()),
        // Nothing is finished: another operator may work already.
        () = hold.lost() => return Err(RunError::LeaseLost),
        ended = tasks.join_next() => Err(RunError::Ended(ended.and_then(Result::ok).unwrap_or("task that panicked"))),
    };
    tracing::info!("stopping");
    let _ = stopping.send(true);
    let ended = tokio::time::timeout(SHUTDOWN_MOST, async { while tasks.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        tracing::warn!("not everything ended in time; ending it");
        tasks.abort_all();
    }
    if let Some(cache) = cache {
        // A disk that hangs holds up nobody's end; what is not written is not there.
        let _ = tokio::time::timeout(CACHE_CLOSES_MOST, cache.close()).await;
    }
    hold.release().await;
    outcome
}

/// Opens the cache on disk, where that may block.
async fn open_cache(options: Option<CacheOptions>) -> Option<EvidenceCache> {
    let CacheOptions { folder, max_bytes } = options?;
    tokio::task::spawn_blocking(move || EvidenceCache::open(&folder, max_bytes)).await.ok()
}

/// Starts every part. Each task yields its name when it ends.
fn start(
    options: Options,
    hold: &Hold,
    cache: Option<EvidenceCache>,
    listener: tokio::net::TcpListener,
    stopped: &watch::Receiver<bool>,
) -> Result<JoinSet<&'static str>, RunError> {
    let mut config = options.config;
    config.connect_timeout = Some(config.connect_timeout.unwrap_or(CONNECT_MOST).min(CONNECT_MOST));
    tracing::info!(api_server = %config.cluster_url, "watching");
    let sight = Sight::new(options.settings.watch_timeout);
    let client = hold.client(config, &PulseLayer(sight.clone()));
    let client = client.map_err(|error| RunError::Client(Box::new(error)))?;
    let (verifier, revocation) = engine(options.registries, cache.as_ref())?;
    let (policy_sender, policy_triggers) = mpsc::unbounded();
    let (image_sender, image_triggers) = mpsc::unbounded();
    let (policies, policy_writer) = store::<TrustPolicy>();
    let (images, image_writer) = store::<ImageVerification>();
    let metrics = Arc::new(metrics::Metrics::default());
    let namespace = options.settings.namespace.as_deref();
    let bundles = namespace.map_or_else(ClusterTrustBundles::default, ClusterTrustBundles::for_namespace);
    let context = Arc::new(Context {
        client: client.clone(),
        verifier: Arc::clone(&verifier),
        revocation: Arc::clone(&revocation),
        running: std::sync::Mutex::default(),
        policies: crate::policy::Policies::default(),
        discoveries: image_verification::memory::Discoveries::default(),
        images: image_verification::memory::Images::default(),
        memories: trust_policy::Memories::default(),
        config_maps: crate::config_maps::ConfigMaps::default(),
        bundles,
        trust_policies: policies.clone(),
        image_verifications: images.clone(),
        triggers: Triggers::new(policy_sender, image_sender),
        metrics: Arc::clone(&metrics),
        recorder: recorder(client.clone()),
        sight: sight.clone(),
        started: Instant::now(),
        settings: options.settings,
    });

    let stop = || stop_of(stopped.clone());
    let reconciles = || controller::Config::default().concurrency(CONCURRENT_RECONCILES);
    let policy_controller =
        Controller::for_stream(watches::trust_policies(client.clone(), policy_writer, &context), policies)
            .with_config(reconciles())
            .reconcile_on(policy_triggers)
            .graceful_shutdown_on(stop())
            .run(trust_policy::reconcile, trust_policy::on_error, Arc::clone(&context))
            .for_each(|_| std::future::ready(()));
    let image_controller =
        Controller::for_stream(watches::image_verifications(client.clone(), image_writer, &context), images)
            .with_config(reconciles())
            .reconcile_on(image_triggers)
            .graceful_shutdown_on(stop())
            .run(image_verification::reconcile, image_verification::on_error, Arc::clone(&context))
            .for_each(|_| std::future::ready(()));
    let page = metrics::registry(metrics::Sources { metrics, verifier, revocation, cache, sight: sight.clone() });
    let served = health::serve(listener, sight, page, stop()).map(|served| {
        if let Err(error) = served {
            tracing::error!(%error, "serving health and metrics failed");
        }
    });

    let parts: [(&'static str, BoxFuture<'static, ()>); 8] = [
        ("TrustPolicy controller", policy_controller.boxed()),
        ("ImageVerification controller", image_controller.boxed()),
        ("Pod watch", until(watches::pods(client.clone(), Arc::clone(&context)), stop()).boxed()),
        ("Node watch", until(watches::nodes::follow(client.clone(), Arc::clone(&context)), stop()).boxed()),
        ("ConfigMap watch", until(watches::config_maps(client.clone(), Arc::clone(&context)), stop()).boxed()),
        ("ClusterTrustBundle watch", until(watches::bundles::follow(client, Arc::clone(&context)), stop()).boxed()),
        ("watch over the watches", until(watches::oversee(Arc::clone(&context)), stop()).boxed()),
        ("health endpoint", served.boxed()),
    ];
    let mut tasks = JoinSet::new();
    for (name, part) in parts {
        tasks.spawn(part.map(move |()| name));
    }
    Ok(tasks)
}

/// What asks registries and about revocation, and remembers what it heard.
fn engine(
    registries: RegistryOptions,
    cache: Option<&EvidenceCache>,
) -> Result<(Arc<Verifier<HttpRegistry>>, Arc<Revocation>), RunError> {
    let unusable = |error| RunError::Registry(Box::new(error));
    let mut revocation = Revocation::new(PlainFetcher::new(&registries).map_err(unusable)?);
    let mut verifier = Verifier::new(HttpRegistry::new(registries).map_err(unusable)?);
    if let Some(cache) = cache {
        revocation = revocation.with_cache(cache.clone());
        verifier = verifier.with_cache(cache.clone());
    }
    Ok((Arc::new(verifier), Arc::new(revocation)))
}

/// Resolves when the operator shall stop.
async fn stop_of(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, and the operator with it.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Runs a part until it ends or the operator shall stop.
async fn until(part: impl Future<Output = ()>, stop: impl Future<Output = ()>) {
    tokio::select! {
        () = part => {}
        () = stop => {}
    }
}
