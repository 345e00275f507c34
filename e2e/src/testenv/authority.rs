// SPDX-License-Identifier: Apache-2.0

//! The server of a certificate authority: it gives out what it is told to, and counts who asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};

use super::Result;
use super::server::Server;

#[derive(Debug, Default)]
struct Told {
    /// By path, for everything below it too; what is not there is 404, what is `None` is 503.
    answers: BTreeMap<String, Option<Vec<u8>>>,
    asked: Vec<String>,
}

/// A server on loopback. It ends with this value.
#[derive(Debug)]
pub struct Authority {
    server: Server,
    told: Arc<Mutex<Told>>,
}

impl Authority {
    /// Starts one that has nothing to give out yet.
    ///
    /// # Errors
    /// There is no port for it.
    pub fn start() -> Result<Self> {
        let told: Arc<Mutex<Told>> = Arc::default();
        let server = Server::start(Router::new().fallback(answer).with_state(Arc::clone(&told)))?;
        Ok(Self { server, told })
    }

    /// The URL of a path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address())
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
