// SPDX-License-Identifier: Apache-2.0

//! A way to the API server on which kinds can fall silent: nothing is closed and nothing comes any more, as behind a
//! load balancer that has forgotten a connection.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use kube::Client;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Cluster, Identity, Result};

/// The largest request that is passed on, in bytes.
const REQUEST_MOST: usize = 4 * 1024 * 1024;

/// What is silent.
#[derive(Clone, Debug, Default)]
struct Silent {
    /// The kinds, by their name in an address, about which nothing is said.
    kinds: BTreeSet<String>,
    /// How often what was open has been forgotten: what was opened before says nothing any more.
    forgotten: u32,
}

/// A plain-HTTP proxy in front of the API server, in the runtime of the test, for one service account.
#[derive(Debug)]
pub struct SilentProxy {
    address: SocketAddr,
    silent: watch::Sender<Silent>,
    served: JoinHandle<()>,
}

#[derive(Clone)]
struct Shared {
    client: Client,
    silent: watch::Receiver<Silent>,
}

impl SilentProxy {
    /// Starts it; whoever asks it has the rights of `identity`.
    ///
    /// # Errors
    /// The API server issues no token, or no port is free.
    pub async fn start(cluster: &Cluster, identity: Identity<'_>) -> Result<Self> {
        let client = cluster.client_for(identity).await?;
        let (silent, receiver) = watch::channel(Silent::default());
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(pass_on).with_state(Shared { client, silent: receiver });
        let served = tokio::spawn(async move {
            // Its end is the test's.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, silent, served })
    }

    /// Writes a kubeconfig that leads here.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn kubeconfig(&self, folder: &Path) -> Result<PathBuf> {
        let path = folder.join("silent.kubeconfig");
        let cluster = serde_json::json!({"server": format!("http://{}", self.address)});
        super::kubeconfig::write_with(&path, &cluster, &super::kubeconfig::Credential::Token("none".into()))?;
        Ok(path)
    }

    /// From now on nothing is said about what is called so in an address, such as `pods`; it is only held back.
    pub fn silence(&self, plural: &str) {
        self.silent.send_modify(|silent| silent.kinds.extend([plural.to_owned()]));
    }

    /// Everything is said again, what was held back first.
    pub fn speak(&self) {
        self.silent.send_modify(|silent| silent.kinds.clear());
    }

    /// Nothing is said any more on what is open now, and nothing is closed; who asks anew is answered.
    pub fn forget(&self) {
        self.silent.send_modify(|silent| silent.forgotten += 1);
    }
}

impl Drop for SilentProxy {
    fn drop(&mut self) {
        self.served.abort();
    }
}

async fn pass_on(State(shared): State<Shared>, request: Request) -> Response {
    let plural = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    let opened = shared.silent.borrow().forgotten;
    let spoken_of = Arc::new(move |silent: &Silent| !silent.kinds.contains(&plural) && silent.forgotten == opened);
    let mut silent = shared.silent.clone();
    if silent.wait_for(|silent| spoken_of(silent)).await.is_err() {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let answer = match ask(shared.client, request).await {
        Ok(answer) => answer,
        Err(error) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    };
    answer.map(|body| {
        let parts = futures::StreamExt::then(Body::new(body).into_data_stream(), move |part| {
            let (mut silent, spoken_of) = (shared.silent.clone(), Arc::clone(&spoken_of));
            async move {
                let _ = silent.wait_for(|silent| spoken_of(silent)).await;
                part
            }
        });
        Body::from_stream(parts)
    })
}

async fn ask(client: Client, request: Request) -> Result<axum::http::Response<kube::client::Body>> {
    let (mut parts, body) = request.into_parts();
    // The client has credentials and an address of its own.
    for name in [header::AUTHORIZATION, header::HOST, header::ACCEPT_ENCODING] {
        parts.headers.remove(name);
    }
    let body = to_bytes(body, REQUEST_MOST).await?;
    Ok(client.send(axum::http::Request::from_parts(parts, body.into())).await?)
}
