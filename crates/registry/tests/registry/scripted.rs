// SPDX-License-Identifier: Apache-2.0
//! A registry that says exactly what a test wants it to say, byte by byte where need be, and remembers what it was
//! asked. It listens on loopback; 127.0.0.2 is "the other host".

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// One request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// `GET /path?query`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// With its true length.
    Whole(Vec<u8>),
    /// With another length than it has.
    Lying { declared: u64, bytes: Vec<u8> },
    /// The chunk so often, in chunked encoding without a length.
    Chunked { chunk: Vec<u8>, times: usize },
    /// The chunk so often, and then nothing more, with the connection open.
    Stalling { chunk: &'static [u8], times: usize },
    /// Byte by byte with a pause after each.
    Slow { bytes: Vec<u8>, pause: Duration },
    /// Nothing at all, not even a status, for so long.
    Silence(Duration),
}

impl Script {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        Self { status, headers, body: Body::Whole(body.into()) }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::Whole(Vec::new()) }
    }

    /// An error of the distribution specification.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        Self::new(status, "application/json", format!(r#"{{"errors":[{{"code":"{code}","message":"no"}}]}}"#))
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }
}

type Route = Arc<dyn Fn(&Seen) -> Script + Send + Sync>;

/// A running server; it ends when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(host: &str, route: impl Fn(&Seen) -> Script + Send + Sync + 'static) -> Self {
        Self::start_with(host, None, route).await
    }

    /// The same behind TLS. What does not get through the handshake is not seen.
    pub(crate) async fn start_tls(
        host: &str,
        tls: TlsAcceptor,
        route: impl Fn(&Seen) -> Script + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(host, Some(tls), route).await
    }

    /// At an address that another server had before.
    pub(crate) async fn start_at(address: SocketAddr, route: impl Fn(&Seen) -> Script + Send + Sync + 'static) -> Self {
        // The one before may take a moment to let go of it.
        let listener = loop {
            match TcpListener::bind(address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        Self::serving(listener, None, route)
    }

    async fn start_with(
        host: &str,
        tls: Option<TlsAcceptor>,
        route: impl Fn(&Seen) -> Script + Send + Sync + 'static,
    ) -> Self {
        Self::serving(TcpListener::bind((host, 0)).await.unwrap(), tls, route)
    }

    fn serving(
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        route: impl Fn(&Seen) -> Script + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, route): (_, Route) = (Arc::clone(&seen), Arc::new(route));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, log, route) = (tls.clone(), Arc::clone(&log), Arc::clone(&route));
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, log, route).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, log, route).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, seen, task }
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).collect()
    }

    pub(crate) fn forget(&self) {
        self.seen.lock().unwrap().clear();
    }
}

/// One request per connection keeps bodies that break off simple. A client that hangs up is none of our business.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, log: Arc<Mutex<Vec<Seen>>>, route: Route) {
    let mut stream = BufReader::new(stream);
    let Some(seen) = request(&mut stream).await else { return };
    log.lock().unwrap().push(seen.clone());
    let script = route(&seen);
    let _ = respond(stream.get_mut(), &seen, script).await;
}

pub(crate) async fn request<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>) -> Option<Seen> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Seen { method, target, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

async fn respond<S: AsyncWrite + Unpin>(stream: &mut S, seen: &Seen, script: Script) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Scripted\r\nConnection: close\r\n", script.status);
    for (name, value) in &script.headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    let is_head = seen.method == "HEAD";
    match script.body {
        Body::Whole(bytes) => {
            let has_length = script.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            if !has_length {
                head.extend(["Content-Length: ", &bytes.len().to_string(), "\r\n"]);
            }
            stream.write_all(format!("{head}\r\n").as_bytes()).await?;
            if !is_head {
                stream.write_all(&bytes).await?;
            }
        }
        Body::Lying { declared, bytes } => {
            stream.write_all(format!("{head}Content-Length: {declared}\r\n\r\n").as_bytes()).await?;
            if !is_head {
                stream.write_all(&bytes).await?;
            }
        }
        Body::Chunked { chunk, times } => {
            stream.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).await?;
            for _ in 0..if is_head { 0 } else { times } {
                stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await?;
                stream.write_all(&chunk).await?;
                stream.write_all(b"\r\n").await?;
            }
            stream.write_all(b"0\r\n\r\n").await?;
        }
        Body::Stalling { chunk, times } => {
            stream.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).await?;
            for _ in 0..times {
                stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await?;
                stream.write_all(chunk).await?;
                stream.write_all(b"\r\n").await?;
            }
            std::future::pending::<()>().await;
        }
        Body::Slow { bytes, pause } => {
            stream.write_all(format!("{head}Content-Length: {}\r\n\r\n", bytes.len()).as_bytes()).await?;
            for byte in bytes {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(pause).await;
            }
        }
        Body::Silence(pause) => tokio::time::sleep(pause).await,
    }
    stream.shutdown().await
}
