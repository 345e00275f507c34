// SPDX-License-Identifier: Apache-2.0

//! Real registries on loopback, each with a log of every request.
//!
//! olareg logs no request that went well, so the log is kept by a small proxy in front, the same for both registries.
//! Who may come in and TLS are the registry's own doing: the proxy passes on what it gets, over TLS if the registry
//! speaks it.

mod image;
mod layout;
mod proxy;
mod software;
mod tokens;

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

pub use self::image::{SmallImage, config_digest, digest_of, push_index};
use self::proxy::{Log, Proxy};
use self::tokens::TokenServer;
use super::Result;
use super::pki::{Root, ServerKey};
use super::process::Guarded;
use super::server::LOCAL;

/// Another process may take the port that was free; then another port is tried.
const START_ATTEMPTS: u32 = 3;

/// Who may enter registries that ask: user name and password. The password is long and odd enough to be searched for.
pub const ACCOUNT: (&str, &str) = ("puller", "Zk9+planted/Sealwatch=Pw7");
/// A refresh token of the same account, where there is a token server of ours ([`Software::Distribution`]).
pub const IDENTITY_TOKEN: &str = "Zk9+planted/Sealwatch=Refresh7";

/// One request that a registry, or its token server, answered.
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
    /// The `Authorization` header; empty if there was none.
    pub authorization: String,
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

/// Which registry it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Software {
    /// olareg, which has the Referrers API.
    Olareg,
    /// The distribution registry, which has no Referrers API: signatures are found by the tag schema.
    Distribution,
}

impl Software {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Olareg, Self::Distribution];
}

/// How a registry is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Plain HTTP, by anybody.
    Plain,
    /// TLS of a private authority, by anybody.
    Tls,
    /// The same, with the password of [`ACCOUNT`] at each request.
    Basic,
    /// The same, with a token. olareg gives tokens itself and lets nobody in with one that nobody's password stands
    /// behind; the distribution registry sends its clients to a token server at another host, which refuses.
    Bearer,
}

impl Door {
    /// All, the widest first.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Tls, Self::Basic, Self::Bearer];

    /// Whether a password is asked for.
    pub fn is_locked(self) -> bool {
        matches!(self, Self::Basic | Self::Bearer)
    }
}

/// How TLS is spoken: by whom the certificate was issued, and what the server shows.
#[derive(Clone, Debug)]
struct Tls {
    authority_pem: String,
    key: ServerKey,
}

/// A registry process with a folder and a port of its own; it ends when this is dropped, and when this process dies.
#[derive(Debug)]
pub struct Registry {
    software: Software,
    door: Door,
    tls: Option<Tls>,
    backend: SocketAddr,
    proxy: Proxy,
    tokens: Option<TokenServer>,
    program: Guarded,
    folder: TempDir,
}

impl Registry {
    /// Starts olareg, which has the Referrers API.
    ///
    /// # Errors
    /// It cannot be built or does not become ready.
    pub async fn olareg() -> Result<Self> {
        Self::start(Software::Olareg, Door::Plain, None, LOCAL).await
    }

    /// As [`Registry::olareg`], at this address of the machine: for pods of a network namespace of its own.
    ///
    /// # Errors
    /// As [`Registry::olareg`].
    pub async fn olareg_at(host: IpAddr) -> Result<Self> {
        Self::start(Software::Olareg, Door::Plain, None, host).await
    }

    /// Starts the distribution registry, which has no Referrers API (signatures are found through the tag schema).
    ///
    /// # Errors
    /// It cannot be built or does not become ready.
    pub async fn distribution() -> Result<Self> {
        Self::start(Software::Distribution, Door::Plain, None, LOCAL).await
    }

    /// Starts one behind this door; its certificate, if it has one, is of this authority.
    ///
    /// # Errors
    /// As [`Registry::olareg`].
    pub async fn behind(software: Software, door: Door, authority: &Root) -> Result<Self> {
        if door == Door::Plain {
            return Self::start(software, door, None, LOCAL).await;
        }
        let key = authority.issue_server(&[LOCAL, tokens::HOST])?;
        let tls = Tls { authority_pem: authority.certificate_pem().to_owned(), key };
        Self::start(software, door, Some(tls), LOCAL).await
    }

    async fn start(software: Software, door: Door, tls: Option<Tls>, host: IpAddr) -> Result<Self> {
        super::install_crypto_provider();
        let folder = tempfile::Builder::new().prefix("sealwatch-registry-").tempdir()?;
        if let Some(tls) = &tls {
            fs::write(folder.path().join("ca.pem"), &tls.authority_pem)?;
        }
        let log = Log::default();
        let proxy = Proxy::start(host, tls.as_ref(), &log)?;
        let tokens = match (software, door, &tls) {
            (Software::Distribution, Door::Bearer, Some(tls)) => Some(TokenServer::start(tls, &log)?),
            _ => None,
        };
        let mut failure = super::Error::from("no attempt was made");
        for _ in 0..START_ATTEMPTS {
            let backend = TcpListener::bind((LOCAL, 0))?.local_addr()?;
            let plan = software::Plan {
                address: backend,
                folder: folder.path(),
                door,
                tls: tls.as_ref(),
                tokens: tokens.as_ref(),
                url: format!("https://{}", proxy.address()),
            };
            match plan.start(software).await {
                Ok(program) => {
                    proxy.forward_to(backend);
                    return Ok(Self { software, door, tls, backend, proxy, tokens, program, folder });
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Which registry it is.
    pub fn software(&self) -> Software {
        self.software
    }

    /// How it is entered.
    pub fn door(&self) -> Door {
        self.door
    }

    /// Whether it has the Referrers API.
    pub fn has_referrers_api(&self) -> bool {
        self.software == Software::Olareg
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.proxy.address().to_string()
    }

    /// `http://` or `https://` and the host.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.host())
    }

    /// `127.0.0.1:port` of the registry itself, without the proxy and its log.
    pub fn bare_host(&self) -> String {
        self.backend.to_string()
    }

    /// `127.0.0.2:port` of its token server, if that is not the registry itself.
    pub fn token_host(&self) -> Option<String> {
        self.tokens.as_ref().map(TokenServer::host)
    }

    /// The certificate of its private authority in PEM: a file of this name in a folder of its own.
    pub fn authority_file(&self) -> Option<PathBuf> {
        self.tls.as_ref().map(|_| self.folder.path().join("ca.pem"))
    }

    /// Every request since the start or the last [`Registry::clear_access_log`], in the order of the answers, those to
    /// its token server among them. A request stands in it before its answer is sent.
    pub fn access_log(&self) -> Vec<Request> {
        self.proxy.log().entries()
    }

    /// Forgets the requests so far.
    pub fn clear_access_log(&self) {
        self.proxy.log().clear();
    }

    /// Where the registry keeps its content; a test may damage it.
    pub fn storage(&self) -> PathBuf {
        self.folder.path().join("storage")
    }

    /// Pushes a small image with one layer that holds `contents`: different contents, different digest. It stands in
    /// the access log like every other request.
    ///
    /// # Errors
    /// The registry refuses it.
    pub async fn push_image(&self, repository: &str, tag: &str, contents: &str) -> Result<PushedImage> {
        self.push(repository, tag, &SmallImage::of_text(contents)).await
    }

    /// Pushes an image.
    ///
    /// # Errors
    /// The registry refuses it.
    pub async fn push(&self, repository: &str, tag: &str, image: &SmallImage) -> Result<PushedImage> {
        image::push(self, repository, tag, image).await
    }

    /// Pushes the tagged image of an OCI layout on disk and all that refers to it, by plain HTTP.
    ///
    /// # Errors
    /// The registry refuses it, or the layout names no image.
    pub async fn push_layout(&self, repository: &str, layout: &Path) -> Result<PushedImage> {
        layout::push(self, repository, layout).await
    }

    /// Ends the registry: from here on connections are refused. What was logged stays.
    pub fn stop(&mut self) {
        self.proxy.stop();
        self.program.kill();
    }

    /// What a `registries.yaml` says under `mirrors` and `configs` so that it can be asked: plain HTTP, or its
    /// authority's certificate, and its token server's.
    pub fn entries(&self) -> (Option<Value>, Vec<(String, Value)>) {
        let Some(tls) = self.authority_name() else {
            return (Some(json!({"endpoint": [self.url()]})), Vec::new());
        };
        let hosts = [Some(self.host()), self.token_host()].into_iter().flatten();
        (None, hosts.map(|host| (host, json!({"tls": {"ca_file": tls}}))).collect())
    }

    /// The path of its authority's certificate on the nodes, if they were real.
    pub fn authority_name(&self) -> Option<String> {
        self.tls.as_ref().map(|_| format!("/etc/rancher/k3s/tls/ca-{}.pem", self.proxy.address().port()))
    }
}
