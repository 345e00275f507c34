// SPDX-License-Identifier: Apache-2.0

//! An HTTP server of a test: on loopback, at a port of its own, gone with its handle.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Result;
use super::pki::ServerKey;

/// How long a client may take to agree on TLS; meanwhile nobody else gets in.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Where servers are unless a test wants another host.
pub(super) const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A server in a thread with a runtime of its own: a test may block its runtime while it waits for a program that asks
/// the server.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Server {
    /// Plain HTTP at 127.0.0.1.
    pub(super) fn start(router: Router) -> Result<Self> {
        Self::start_at(LOCAL, None, router)
    }

    /// At a port of this address, over TLS if there is a key for it.
    pub(super) fn start_at(host: IpAddr, key: Option<&ServerKey>, router: Router) -> Result<Self> {
        let acceptor = key.map(acceptor).transpose()?;
        let listener = TcpListener::bind((host, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                let serving = async {
                    match acceptor {
                        Some(acceptor) => axum::serve(OverTls { listener, acceptor }, router).await,
                        None => axum::serve(listener, router).await,
                    }
                };
                // Not a graceful end: that would wait for clients that keep their connections.
                tokio::select! {
                    _ = serving => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { address, running: Some((stop, thread)) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn stop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            // A panic in there has been printed already.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn acceptor(key: &ServerKey) -> Result<TlsAcceptor> {
    super::install_crypto_provider();
    let chain = CertificateDer::pem_slice_iter(key.certificate_pem.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let private = PrivateKeyDer::from_pem_slice(key.key_pem.as_bytes())?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, private)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Connections whose clients have agreed on TLS; those of other clients are dropped.
struct OverTls {
    listener: tokio::net::TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for OverTls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, self.acceptor.accept(stream)).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
