// SPDX-License-Identifier: Apache-2.0
//! `/healthz`, `/readyz` and `/metrics`.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use tokio::net::TcpListener;

use crate::sight::Sight;

/// A page of no metrics.
const EMPTY: &str = "# EOF\n";

/// What the endpoints read.
#[derive(Clone)]
struct Served {
    sight: Sight,
    metrics: Arc<prometheus_client::registry::Registry>,
}

/// Serves until `stop` resolves.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    sight: Sight,
    metrics: prometheus_client::registry::Registry,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let served = Served { sight, metrics: Arc::new(metrics) };
    let app = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_page))
        .with_state(served);
    axum::serve(listener, app).with_graceful_shutdown(stop).await
}

/// Binds the address that the endpoints are served on.
///
/// # Errors
/// When the address is taken or not ours.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// A second handle of the same socket.
///
/// # Errors
/// The system gives none.
pub fn twin(listener: &mut TcpListener) -> std::io::Result<TcpListener> {
    use std::os::fd::AsFd as _;
    let socket = std::net::TcpListener::from(listener.as_fd().try_clone_to_owned()?);
    TcpListener::from_std(socket)
}

/// Serves while another operator works, until `stop` resolves: this one is well, and ready to take over.
pub async fn stand_by(listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) {
    let app = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(async || "ok: standing by, another operator works\n"))
        // A scrape that fails is somebody's alarm, and there is nothing to tell: whoever works tells it.
        .route("/metrics", get(async || page(EMPTY.to_owned())));
    if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(stop).await {
        tracing::warn!(%error, "serving health while standing by failed");
    }
}

/// Ready once every watch has its first complete list, and for as long as each is heard of.
async fn readyz(State(served): State<Served>) -> impl IntoResponse {
    let unready = served.sight.unready(Instant::now());
    if unready.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", unready.join("\n")))
    }
}

async fn metrics_page(State(served): State<Served>) -> impl IntoResponse {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &served.metrics) {
        Ok(()) => page(text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn page(text: String) -> impl IntoResponse {
    ([("content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}
