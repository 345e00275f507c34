// SPDX-License-Identifier: Apache-2.0

//! The server of a certificate authority: it gives out what it is told to, and counts who asks.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use tokio::sync::oneshot;

use super::Result;

#[derive(Debug, Default)]
struct Told {
    /// By path, for everything below it too; what is not there is 404, what is `None` is 503.
    answers: BTreeMap<String, Option<Vec<u8>>>,
    asked: Vec<String>,
}

/// A server on loopback, in a thread with a runtime of its own. It ends with this value.
#[derive(Debug)]
pub struct Authority {
    address: SocketAddr,
    told: Arc<Mutex<Told>>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Authority {
    /// Starts one that has nothing to give out yet.
    ///
    /// # Errors
    /// There is no port for it.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let told: Arc<Mutex<Told>> = Arc::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&told));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                tokio::select! {
                    _ = axum::serve(listener, router) => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { address, told, running: Some((stop, thread)) })
    }

    /// The URL of a path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Gives this out at a path, and below it, from now on; `None` is an outage.
    pub fn give(&self, path: &str, answer: Option<Vec<u8>>) {
        self.lock().answers.insert(path.to_owned(), answer);
    }

    /// The paths that were asked for since the last call.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().asked)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            // A panic in there has been printed already.
            let _ = thread.join();
        }
    }
}

async fn answer(State(told): State<Arc<Mutex<Told>>>, uri: Uri) -> (StatusCode, Vec<u8>) {
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    told.asked.push(uri.path().to_owned());
    let is_below =
        |path: &str| uri.path().strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match told.answers.iter().find(|(path, _)| is_below(path)) {
        Some((_, Some(body))) => (StatusCode::OK, body.clone()),
        Some((_, None)) => (StatusCode::SERVICE_UNAVAILABLE, Vec::new()),
        None => (StatusCode::NOT_FOUND, Vec::new()),
    }
}
