// SPDX-License-Identifier: Apache-2.0

//! Real registries on loopback, each with a log of every request.
//!
//! olareg logs no request that went well, so the log is kept by a small proxy in front, the same for both registries.

mod image;
mod proxy;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use self::proxy::Proxy;
use super::process::{Guarded, wait_until};
use super::{Result, tools};

/// Another process may take the port that was free; then another port is tried.
const START_ATTEMPTS: u32 = 3;

const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// One request that a registry answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The HTTP method.
    pub method: String,
    /// Path and query, as they were sent.
    pub path: String,
    /// The status code of the answer; 502 if the registry gave none.
    pub status: u16,
    /// The `User-Agent` header; empty if there was none.
    pub user_agent: String,
}

/// An image that was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedImage {
    /// `host:port/repository`, the form of a registry scope.
    pub repository: String,
    /// `host:port/repository:tag`.
    pub reference: String,
    /// The digest of the manifest, `sha256:…`.
    pub digest: String,
    /// The size of the manifest in bytes.
    pub size: u64,
    /// The media type of the manifest.
    pub media_type: String,
}

impl PushedImage {
    /// `host:port/repository@sha256:…`, as a kubelet reports it.
    pub fn by_digest(&self) -> String {
        format!("{}@{}", self.repository, self.digest)
    }
}

/// A registry process with a folder and a port of its own; it ends when this is dropped, and when this process dies.
#[derive(Debug)]
pub struct Registry {
    address: SocketAddr,
    proxy: Proxy,
    program: Guarded,
    folder: TempDir,
}

#[derive(Clone, Copy)]
enum Kind {
    Olareg,
    Distribution,
}

impl Registry {
    /// Starts olareg, which has the Referrers API.
    ///
    /// # Errors
    /// It cannot be built or does not become ready.
    pub async fn olareg() -> Result<Self> {
        Self::start(Kind::Olareg).await
    }

    /// Starts the distribution registry, which has no Referrers API (signatures are found through the tag schema).
    ///
    /// # Errors
    /// It cannot be built or does not become ready.
    pub async fn distribution() -> Result<Self> {
        Self::start(Kind::Distribution).await
    }

    async fn start(kind: Kind) -> Result<Self> {
        super::install_crypto_provider();
        let folder = tempfile::Builder::new().prefix("sealwatch-registry-").tempdir()?;
        let mut failure = super::Error::from("no attempt was made");
        for _ in 0..START_ATTEMPTS {
            let backend = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
            match kind.start(backend, folder.path()).await {
                Ok(program) => {
                    let proxy = Proxy::start(backend)?;
                    return Ok(Self { address: proxy.address(), proxy, program, folder });
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// `127.0.0.1:port`, plain HTTP.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Every request since the start or the last [`Registry::clear_access_log`], in the order of the answers. A request
    /// stands in it before its answer is sent.
    pub fn access_log(&self) -> Vec<Request> {
        self.proxy.log()
    }

    /// Forgets the requests so far.
    pub fn clear_access_log(&self) {
        self.proxy.clear_log();
    }

    /// Where the registry keeps its content; a test may damage it.
    pub fn storage(&self) -> std::path::PathBuf {
        self.folder.path().join("storage")
    }

    /// Pushes a small image with one layer that holds `contents`: different contents, different digest. It stands in
    /// the access log like every other request.
    ///
    /// # Errors
    /// The registry refuses it.
    pub async fn push_image(&self, repository: &str, tag: &str, contents: &str) -> Result<PushedImage> {
        image::push(&self.host(), repository, tag, contents).await
    }

    /// Ends the registry: from here on connections are refused. What was logged stays.
    pub fn stop(&mut self) {
        self.proxy.stop();
        self.program.kill();
    }
}

impl Kind {
    async fn start(self, address: SocketAddr, folder: &Path) -> Result<Guarded> {
        let storage = folder.join("storage");
        fs::create_dir_all(&storage)?;
        let log = folder.join("registry.log");
        let mut program = match self {
            Self::Olareg => start_olareg(address, &storage, &log).await?,
            Self::Distribution => start_distribution(address, &storage, folder, &log).await?,
        };
        let client = proxy::client()?;
        let url = format!("http://{address}/v2/");
        let ready = || async { client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) };
        wait_until(&mut program, "registry", READY_TIMEOUT, ready).await?;
        Ok(program)
    }
}

async fn start_olareg(address: SocketAddr, storage: &Path, log: &Path) -> Result<Guarded> {
    let program = tools::folder("olareg").await?.join("olareg");
    let mut args = vec!["serve".to_owned(), "--addr".into(), address.ip().to_string()];
    args.extend(["--port".into(), address.port().to_string(), "--dir".into(), storage.display().to_string()]);
    args.extend(["--api-delete", "--api-blob-delete", "--gc-frequency=-1s"].map(String::from));
    Guarded::start(&program, args, &[], log)
}

async fn start_distribution(address: SocketAddr, storage: &Path, folder: &Path, log: &Path) -> Result<Guarded> {
    let program = tools::folder("distribution").await?.join("registry");
    let config = folder.join("config.json");
    let settings = serde_json::json!({
        "version": "0.1",
        "log": { "level": "warn", "accesslog": { "disabled": true } },
        "storage": { "filesystem": { "rootdirectory": storage }, "delete": { "enabled": true } },
        "http": { "addr": address.to_string() },
    });
    fs::write(&config, settings.to_string())?;
    // It would send traces to a collector that nobody runs.
    let env = [("OTEL_TRACES_EXPORTER".to_owned(), "none".to_owned())];
    Guarded::start(&program, ["serve".as_ref(), config.as_os_str()], &env, log)
}
