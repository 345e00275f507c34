// SPDX-License-Identifier: Apache-2.0
//! HTTP/2 as an attacker speaks it: frame by frame, over TLS, with no library that would keep to the rules. It listens
//! on loopback. Numbers of frames, flags and settings are those of RFC 9113.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The window of a connection before anybody said anything.
const FIRST_WINDOW: u64 = 65_535;

/// What the peer does about a request.
#[derive(Clone)]
pub(crate) enum Move {
    /// Says this once.
    Say(Vec<u8>),
    /// Says so many bytes of a body, in frames of this size. They are made as they are said: a peer that keeps them ready
    /// would need more memory than the client that is measured.
    Fill { stream: u32, bytes: usize, size: usize },
    /// Says this over and over, until the client hangs up: tens of thousands of times a second, and no more, since other
    /// tests run beside.
    Repeat(Vec<u8>),
}

/// What a client does that a script may answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// It asks on this stream.
    Request(u32),
    /// It has room for so many more bytes of this stream.
    Room(u32, u32),
}

/// What a client said and took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) connections: usize,
    /// Connections that the client ended.
    pub(crate) ended: usize,
    /// Streams that were opened, in order, of all connections.
    pub(crate) requests: Vec<u32>,
    /// The settings of the last connection, by number.
    pub(crate) settings: BTreeMap<u16, u32>,
    /// How far the last connection's window was opened before its first request.
    pub(crate) window: u64,
    /// Bytes that were written and taken.
    pub(crate) sent: usize,
}

/// A running peer; it ends when it is dropped.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    tally: Arc<Mutex<Tally>>,
    task: JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Script = Arc<dyn Fn(Event) -> Vec<Move> + Send + Sync>;

impl Peer {
    /// Answers the request on each stream as `script` says. With `acknowledges`, it acknowledges the client's settings,
    /// as it has to.
    pub(crate) async fn start(acknowledges: bool, script: impl Fn(u32) -> Vec<Move> + Send + Sync + 'static) -> Self {
        let script = move |event| match event {
            Event::Request(stream) => script(stream),
            Event::Room(..) => Vec::new(),
        };
        Self::start_with(acknowledges, script).await
    }

    /// The same with a script that is told of all events.
    pub(crate) async fn start_with(
        acknowledges: bool,
        script: impl Fn(Event) -> Vec<Move> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tally = Arc::new(Mutex::new(Tally::default()));
        let (log, script, tls): (_, Script, _) = (Arc::clone(&tally), Arc::new(script), acceptor());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, script, tls) = (Arc::clone(&log), Arc::clone(&script), tls.clone());
                tokio::spawn(async move {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    log.lock().unwrap().connections += 1;
                    serve(stream, acknowledges, &log, script).await;
                    log.lock().unwrap().ended += 1;
                });
            }
        });
        Self { address, tally, task }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally.lock().unwrap().clone()
    }
}

fn acceptor() -> TlsAcceptor {
    let own = rcgen::generate_simple_self_signed(["registry.test".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_no_client_auth().with_single_cert(vec![own.cert.der().clone()], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// Reads what the client says, and says meanwhile what the script wants, until the client hangs up.
async fn serve<S: AsyncRead + AsyncWrite>(stream: S, acknowledges: bool, log: &Mutex<Tally>, script: Script) {
    let (mut input, mut output) = tokio::io::split(stream);
    let (moves, mut wanted) = mpsc::unbounded_channel();
    let reading = async {
        let mut preface = [0; PREFACE.len()];
        input.read_exact(&mut preface).await.ok()?;
        let _ = moves.send(Move::Say(frame(SETTINGS, 0, 0, &[])));
        log.lock().unwrap().window = FIRST_WINDOW;
        loop {
            let (kind, flags, stream, payload) = read_frame(&mut input).await?;
            match kind {
                SETTINGS if flags & ACK == 0 => {
                    log.lock().unwrap().settings.extend(settings_of(&payload));
                    if acknowledges {
                        let _ = moves.send(Move::Say(frame(SETTINGS, ACK, 0, &[])));
                    }
                }
                WINDOW_UPDATE if stream == 0 && log.lock().unwrap().requests.is_empty() => {
                    log.lock().unwrap().window += u64::from(more_of(&payload));
                }
                _ => {}
            }
            let event = match kind {
                HEADERS => {
                    log.lock().unwrap().requests.push(stream);
                    Event::Request(stream)
                }
                WINDOW_UPDATE if stream != 0 => Event::Room(stream, more_of(&payload)),
                _ => continue,
            };
            for next in script(event) {
                let _ = moves.send(next);
            }
        }
        #[allow(unreachable_code, reason = "it tells the compiler what the block gives")]
        Some(())
    };
    let writing = async {
        while let Some(next) = wanted.recv().await {
            let (bytes, is_endless) = match next {
                Move::Say(bytes) => (bytes, false),
                Move::Repeat(bytes) => (bytes.repeat(16_384 / bytes.len() + 1), true),
                Move::Fill { stream, mut bytes, size } => {
                    while bytes > 0 {
                        let size = size.min(bytes);
                        let frame = data(stream, &vec![b' '; size]);
                        let times = (bytes / size).min(16_384 / frame.len() + 1);
                        if output.write_all(&frame.repeat(times)).await.is_err() || output.flush().await.is_err() {
                            return;
                        }
                        log.lock().unwrap().sent += frame.len() * times;
                        bytes -= size * times;
                    }
                    continue;
                }
            };
            loop {
                if output.write_all(&bytes).await.is_err() || output.flush().await.is_err() {
                    return;
                }
                log.lock().unwrap().sent += bytes.len();
                if !is_endless {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    };
    // A client that hangs up ends either.
    tokio::select! { _ = reading => {}, () = writing => {} }
}

async fn read_frame<S: AsyncRead + Unpin>(input: &mut S) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    input.read_exact(&mut head).await.ok()?;
    let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
    let mut payload = vec![0; length];
    input.read_exact(&mut payload).await.ok()?;
    Some((head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
}

fn more_of(payload: &[u8]) -> u32 {
    payload.try_into().map_or(0, u32::from_be_bytes)
}

fn settings_of(payload: &[u8]) -> impl Iterator<Item = (u16, u32)> {
    payload.chunks_exact(6).map(|setting| {
        (u16::from_be_bytes([setting[0], setting[1]]), u32::from_be_bytes(setting[2..].try_into().unwrap()))
    })
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The beginning of an answer: status 200 and these headers (RFC 7541), more to come.
pub(crate) fn ok(stream: u32, headers: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(headers))
}

/// Status 200 and these headers, compressed in no way.
pub(crate) fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut block = vec![0x88];
    for (name, value) in headers {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("a short text"));
            block.extend(text.as_bytes());
        }
    }
    block
}

/// Headers in as many frames as it takes, without an end if there is none.
pub(crate) fn headers_in_pieces(stream: u32, block: &[u8], has_end: bool) -> Vec<u8> {
    let pieces: Vec<&[u8]> = block.chunks(16_000).collect();
    let last = pieces.len() - 1;
    pieces.iter().enumerate().fold(Vec::new(), |mut all, (at, piece)| {
        let flags = if at == last && has_end { END_HEADERS } else { 0 };
        all.extend(frame(if at == 0 { HEADERS } else { CONTINUATION }, flags, stream, piece));
        all
    })
}

pub(crate) fn continuation(stream: u32, block: &[u8]) -> Vec<u8> {
    frame(CONTINUATION, 0, stream, block)
}

pub(crate) fn data(stream: u32, bytes: &[u8]) -> Vec<u8> {
    frame(DATA, 0, stream, bytes)
}

pub(crate) fn end(stream: u32) -> Vec<u8> {
    frame(DATA, END_STREAM, stream, &[])
}

pub(crate) fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

pub(crate) fn ping() -> Vec<u8> {
    frame(PING, 0, 0, &[7; 8])
}

pub(crate) fn setting(number: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&number.to_be_bytes()[..], &value.to_be_bytes()[..]].concat())
}

/// The peer goes away having seen no stream above `last`.
pub(crate) fn goaway(last: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat())
}

pub(crate) fn window(stream: u32, more: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &more.to_be_bytes())
}

/// The peer promises an answer that nobody asked for.
pub(crate) fn promise(stream: u32, promised: u32) -> Vec<u8> {
    frame(PUSH_PROMISE, END_HEADERS, stream, &[&promised.to_be_bytes()[..], &[0x82, 0x87, 0x84]].concat())
}
