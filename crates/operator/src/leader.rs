// SPDX-License-Identifier: Apache-2.0
//! Which of several operators works: the one that holds a Lease.
//!
//! The Lease is taken and renewed with the `resourceVersion` that was read, so the API server lets one of two win. Clocks
//! of other machines play no part: a Lease has run out when it was not seen to change for as long as it lasts, by this
//! machine's monotonic clock. Whoever can't renew stops to work before the others may take over, and ends; and until
//! then every write asks whether the Lease is still held, so that a process that was stopped for a while
//! writes nothing when it goes on.

use std::{
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::http::{Method, Request};
use futures::{FutureExt as _, TryFutureExt as _, future::BoxFuture};
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client, Config,
    api::{ObjectMeta, PostParams},
    client::{Body, ClientBuilder},
};
use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout_at},
};
use tower::{Layer, Service};

use crate::{health, pulse::PulseLayer};

/// How long a Lease lasts that is not renewed: `leaseDurationSeconds`.
const LASTS_SECONDS: i32 = 15;
/// How long its holder goes on working without having renewed it. The difference is for clocks that run at different
/// speeds, and for what is on its way.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How often the holder renews it and the others look at it.
const RETRY: Duration = Duration::from_secs(2);
/// How long one request about it may take.
const REQUEST_MOST: Duration = Duration::from_secs(5);
/// How often a failure is worth a line in the log.
const LOG_EVERY: Duration = Duration::from_secs(30);

/// The Lease that is to be held.
#[derive(Clone, Debug)]
pub struct LeaseOptions {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who holds it: of this process alone.
    pub identity: String,
}

/// Until when the Lease is held for sure.
#[derive(Clone, Debug)]
struct Until(Arc<Mutex<Instant>>);

impl Until {
    fn get(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, until: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// The right to work: for ever where no Lease is asked for, else as long as it is held.
#[derive(Debug)]
pub struct Hold(Option<Held>);

#[derive(Debug)]
struct Held {
    until: Until,
    renewal: JoinHandle<()>,
    api: Api<Lease>,
    options: LeaseOptions,
}

impl Hold {
    /// Waits until the Lease is held; at once where none is asked for. Meanwhile `listener` answers that this process is
    /// well and stands by.
    ///
    /// # Errors
    /// No client can be made of the configuration, or the listener cannot be shared.
    pub async fn wait(
        config: &Config,
        options: Option<LeaseOptions>,
        listener: &mut TcpListener,
    ) -> Result<Self, kube::Error> {
        let Some(options) = options else { return Ok(Self(None)) };
        let client = Client::try_from(config.clone())?;
        let api: Api<Lease> = Api::namespaced(client, &options.namespace);
        let (_standing_by, ended) = oneshot::channel::<()>();
        match health::twin(listener) {
            Ok(twin) => drop(tokio::spawn(health::stand_by(twin, ended.map(drop)))),
            Err(error) => tracing::warn!(%error, "health is not served while standing by"),
        }
        let (lease, until) = acquire(&api, &options).await;
        tracing::info!(lease = options.name, identity = options.identity, "holding the Lease");
        let until = Until(Arc::new(Mutex::new(until)));
        let renewal = tokio::spawn(renew(api.clone(), options.identity.clone(), lease, until.clone()));
        Ok(Self(Some(Held { until, renewal, api, options })))
    }

    /// A client whose writes are refused when the Lease is not held any more, and whose signs of life are noted.
    ///
    /// # Errors
    /// None can be made of the configuration.
    pub fn client(&self, mut config: Config, pulse: &PulseLayer) -> Result<Client, kube::Error> {
        match &self.0 {
            None => Ok(ClientBuilder::try_from(config)?.with_layer(pulse).build()),
            Some(held) => {
                // What the client tries again by itself has passed the fence before. The controllers try again, too.
                config.default_retry = false;
                Ok(ClientBuilder::try_from(config)?.with_layer(&Fence(held.until.clone())).with_layer(pulse).build())
            }
        }
    }

    /// Resolves when the Lease is lost; never where none is asked for.
    pub async fn lost(&mut self) {
        match &mut self.0 {
            // A panic in there ends the hold as well.
            Some(held) => drop((&mut held.renewal).await),
            None => std::future::pending().await,
        }
    }

    /// Gives the Lease back, so that nobody has to wait until it has run out. Not for one that was lost.
    pub async fn release(self) {
        let Some(held) = self.0 else { return };
        held.renewal.abort();
        let release = async {
            let lease = held.api.get(&held.options.name).await?;
            if holder(&lease) != Some(&held.options.identity) {
                return Ok(());
            }
            let spec =
                LeaseSpec { holder_identity: None, lease_duration_seconds: Some(1), ..lease.spec.unwrap_or_default() };
            let lease = Lease { spec: Some(spec), ..lease };
            held.api.replace(&held.options.name, &PostParams::default(), &lease).await.map(drop)
        };
        match tokio::time::timeout(REQUEST_MOST, release).await {
            Ok(Ok(())) => tracing::info!("gave the Lease back"),
            Ok(Err(error)) => tracing::warn!(%error, "the Lease was not given back"),
            Err(_) => tracing::warn!("the Lease was not given back in time"),
        }
    }
}

fn holder(lease: &Lease) -> Option<&String> {
    lease.spec.as_ref()?.holder_identity.as_ref().filter(|holder| !holder.is_empty())
}

/// What was seen of somebody's Lease, and since when it is the same.
#[derive(Debug)]
struct Seen {
    version: Option<String>,
    since: Instant,
}

impl Seen {
    /// Whether the Lease is free for the taking, given what was seen of it before.
    fn is_free(seen: &mut Option<Self>, lease: &Lease, now: Instant) -> bool {
        if holder(lease).is_none() {
            return true;
        }
        let version = lease.metadata.resource_version.clone();
        let lasts = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds).unwrap_or(LASTS_SECONDS);
        let lasts = Duration::from_secs(u64::try_from(lasts).unwrap_or_default());
        match seen {
            Some(seen) if seen.version == version => now.duration_since(seen.since) > lasts,
            _ => {
                *seen = Some(Self { version, since: now });
                false
            }
        }
    }
}

/// Tries until the Lease is held; gives it, and until when.
async fn acquire(api: &Api<Lease>, options: &LeaseOptions) -> (Lease, Instant) {
    tracing::info!(lease = options.name, namespace = options.namespace, "waiting for the Lease");
    let (mut seen, mut told) = (None, None::<Instant>);
    loop {
        let began = Instant::now();
        match timeout_at(began + REQUEST_MOST, try_to_acquire(api, options, &mut seen)).await {
            Ok(Ok(Some(lease))) => return (lease, began + RENEW_DEADLINE),
            Ok(Ok(None)) => {}
            failed => {
                if told.is_none_or(|told| told.elapsed() > LOG_EVERY) {
                    let error = failed.map_or_else(
                        |_| "no answer in time".to_owned(),
                        |failed| failed.err().map(|error| error.to_string()).unwrap_or_default(),
                    );
                    tracing::warn!(error, "the Lease cannot be had");
                    told = Some(began);
                }
            }
        }
        sleep(RETRY).await;
    }
}

async fn try_to_acquire(
    api: &Api<Lease>,
    options: &LeaseOptions,
    seen: &mut Option<Seen>,
) -> kube::Result<Option<Lease>> {
    let result = match api.get_opt(&options.name).await? {
        None => {
            let metadata = ObjectMeta { name: Some(options.name.clone()), ..ObjectMeta::default() };
            let lease = Lease { metadata, spec: Some(taken(None, &options.identity)) };
            api.create(&PostParams::default(), &lease).await
        }
        Some(lease) if Seen::is_free(seen, &lease, Instant::now()) => {
            let spec = taken(lease.spec.as_ref(), &options.identity);
            let lease = Lease { spec: Some(spec), ..lease };
            api.replace(&options.name, &PostParams::default(), &lease).await
        }
        Some(_) => return Ok(None),
    };
    match result {
        Ok(lease) => Ok(Some(lease)),
        // Somebody was faster.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
        Err(error) => Err(error),
    }
}

/// The Lease of a new holder.
fn taken(before: Option<&LeaseSpec>, identity: &str) -> LeaseSpec {
    let now = MicroTime(jiff::Timestamp::now());
    let transitions = before.map_or(0, |before| before.lease_transitions.unwrap_or(0).saturating_add(1));
    LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: Some(LASTS_SECONDS),
        acquire_time: Some(now.clone()),
        renew_time: Some(now),
        lease_transitions: Some(transitions),
        ..LeaseSpec::default()
    }
}

/// Renews the Lease, and ends when it is lost.
async fn renew(api: Api<Lease>, identity: String, mut lease: Lease, until: Until) {
    loop {
        sleep_until((Instant::now() + RETRY).min(until.get())).await;
        let began = Instant::now();
        // First of all: this process may have been stopped for a while.
        if began >= until.get() {
            tracing::error!("the Lease could not be renewed in time");
            return;
        }
        match timeout_at((began + REQUEST_MOST).min(until.get()), try_to_renew(&api, &identity, &lease)).await {
            Ok(Ok(Some(renewed))) => {
                lease = renewed;
                until.set(began + RENEW_DEADLINE);
            }
            Ok(Ok(None)) => {
                until.set(began);
                tracing::error!("somebody else holds the Lease");
                return;
            }
            Ok(Err(error)) => tracing::warn!(%error, "the Lease was not renewed"),
            Err(_) => tracing::warn!("the Lease was not renewed: no answer in time"),
        }
    }
}

/// The renewed Lease; nothing if somebody else holds it.
async fn try_to_renew(api: &Api<Lease>, identity: &str, lease: &Lease) -> kube::Result<Option<Lease>> {
    let name = lease.metadata.name.clone().unwrap_or_default();
    let renewed = |lease: &Lease| {
        let spec = lease.spec.clone().unwrap_or_default();
        let spec = LeaseSpec { renew_time: Some(MicroTime(jiff::Timestamp::now())), ..spec };
        Lease { metadata: lease.metadata.clone(), spec: Some(spec) }
    };
    match api.replace(&name, &PostParams::default(), &renewed(lease)).await {
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(None),
        result => return result.map(Some),
    }
    // Somebody wrote it: maybe only a label, maybe an answer of ours was lost on its way.
    match api.get_opt(&name).await? {
        Some(lease) if holder(&lease).is_some_and(|holder| holder == identity) => {
            api.replace(&name, &PostParams::default(), &renewed(&lease)).await.map(Some)
        }
        _ => Ok(None),
    }
}

/// Lets no write through when the Lease is not held for sure.
#[derive(Clone, Debug)]
struct Fence(Until);

/// A service behind a [`Fence`].
#[derive(Clone, Debug)]
struct Fenced<S> {
    inner: S,
    until: Until,
}

impl<S> Layer<S> for Fence {
    type Service = Fenced<S>;

    fn layer(&self, inner: S) -> Fenced<S> {
        Fenced { inner, until: self.0.clone() }
    }
}

/// Why a write was refused.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not written: the Lease is not held any more")]
struct NotHeld;

impl<S> Service<Request<Body>> for Fenced<S>
where
    S: Service<Request<Body>>,
    S::Error: Into<tower::BoxError> + 'static,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
{
    type Response = S::Response;
    type Error = tower::BoxError;
    type Future = BoxFuture<'static, Result<S::Response, tower::BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if request.method() != Method::GET && Instant::now() >= self.until.get() {
            return std::future::ready(Err(NotHeld.into())).boxed();
        }
        self.inner.call(request).map_err(Into::into).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: Option<&str>, version: &str, lasts: Option<i32>) -> Lease {
        let metadata = ObjectMeta { resource_version: Some(version.to_owned()), ..ObjectMeta::default() };
        let holder_identity = holder.map(str::to_owned);
        Lease {
            metadata,
            spec: Some(LeaseSpec { holder_identity, lease_duration_seconds: lasts, ..LeaseSpec::default() }),
        }
    }

    #[test]
    fn a_lease_that_changes_is_never_free_however_old_it_says_it_is() {
        let (mut seen, start) = (None, Instant::now());
        for second in 0..120 {
            let held = lease(Some("other"), &second.to_string(), Some(15));
            assert!(!Seen::is_free(&mut seen, &held, start + Duration::from_secs(second)));
        }
    }

    #[test]
    fn a_lease_that_stays_the_same_is_free_when_it_has_run_out_here_and_not_before() {
        let (mut seen, start) = (None, Instant::now());
        let held = lease(Some("other"), "1", Some(15));
        assert!(!Seen::is_free(&mut seen, &held, start));
        assert!(!Seen::is_free(&mut seen, &held, start + Duration::from_secs(15)));
        assert!(Seen::is_free(&mut seen, &held, start + Duration::from_millis(15_001)));
    }

    #[test]
    fn a_lease_of_nobody_is_free_and_one_without_duration_lasts_as_ours() {
        for holder in [None, Some("")] {
            assert!(Seen::is_free(&mut None, &lease(holder, "1", Some(15)), Instant::now()));
        }
        let (mut seen, start) = (None, Instant::now());
        let held = lease(Some("other"), "1", None);
        assert!(!Seen::is_free(&mut seen, &held, start));
        assert!(!Seen::is_free(&mut seen, &held, start + Duration::from_secs(15)));
    }

    #[tokio::test]
    async fn a_write_is_refused_when_the_lease_is_not_held_any_more_and_a_read_is_not() {
        let until = Until(Arc::new(Mutex::new(Instant::now() + Duration::from_mins(1))));
        let inner = tower::service_fn(|_: Request<Body>| std::future::ready(Ok::<_, std::convert::Infallible>("done")));
        let mut fenced = Fence(until.clone()).layer(inner);
        let request = |method: Method| {
            let mut request = Request::new(Body::empty());
            *request.method_mut() = method;
            request
        };
        assert_eq!(fenced.call(request(Method::PATCH)).await.expect("held"), "done");
        until.set(Instant::now());
        for method in [Method::PATCH, Method::POST, Method::PUT, Method::DELETE] {
            let error = fenced.call(request(method)).await.expect_err("refused");
            assert_eq!(error.to_string(), "not written: the Lease is not held any more");
        }
        assert_eq!(fenced.call(request(Method::GET)).await.expect("a read"), "done");
    }
}
