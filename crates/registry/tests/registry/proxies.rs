// SPDX-License-Identifier: Apache-2.0
//! Proxies: who is asked through one, what it may be asked for, and what is said of it. The proxy is a script; it
//! connects to nobody but a scripted registry.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sealwatch_registry::{
    Error, HttpRegistry, PlainError, PlainFetcher, PlainRequest, Proxies, RegistriesConfig, Registry, RegistryOptions,
    Target,
};
use tokio::io::{AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::fixture::{ENVELOPE, Names, Signed, TIMEOUTS, anonymous, descriptor, login};
use crate::scripted::{Script, Seen, Server, request};

/// A proxy that knows `CONNECT` and leads every name to the one registry.
struct Proxy {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// With `refusal`, it answers with this status to everything.
    async fn start(target: SocketAddr, refusal: Option<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, target, refusal, Arc::clone(&log)));
            }
        });
        Self { address, seen, task }
    }

    fn lines(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(Seen::line).collect()
    }
}

async fn serve(stream: TcpStream, target: SocketAddr, refusal: Option<u16>, log: Arc<Mutex<Vec<Seen>>>) {
    let mut stream = BufReader::new(stream);
    let Some(seen) = request(&mut stream).await else { return };
    log.lock().unwrap().push(seen.clone());
    let client = stream.get_mut();
    if let Some(status) = refusal {
        let _ = client.write_all(format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n").as_bytes()).await;
        return;
    }
    let Ok(mut registry) = TcpStream::connect(target).await else { return };
    if seen.method == "CONNECT" {
        let _ = client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await;
    } else {
        let path =
            seen.target.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..])).unwrap_or("/");
        let mut head = format!("{} {path} HTTP/1.1\r\n", seen.method);
        for (name, value) in seen.headers.iter().filter(|(name, _)| !name.starts_with("proxy-")) {
            head.extend([name, ": ", value, "\r\n"]);
        }
        let _ = registry.write_all(format!("{head}\r\n").as_bytes()).await;
    }
    let _ = copy_bidirectional(client, &mut registry).await;
}

/// A client that goes through `proxy`, for which no name resolves but the proxy's.
fn client(registries: &str, proxy: &Proxy, no_proxy: &str) -> HttpRegistry {
    let url = format!("http://joe:hunter2@proxy.test:{}", proxy.address.port());
    let options = RegistryOptions {
        registries: RegistriesConfig::parse(registries.as_bytes()).unwrap(),
        proxies: Proxies::new(&url, &url, no_proxy).unwrap(),
        timeouts: TIMEOUTS,
        names: Some(Arc::new(Names(vec![("proxy.test", "127.0.0.1".parse().unwrap())]))),
        ..RegistryOptions::default()
    };
    HttpRegistry::new(options).unwrap()
}

async fn resolve(client: &HttpRegistry, repository: &str) -> Result<(), Error> {
    let target = Target::Digest(Signed::new().subject());
    client.resolve(&repository.parse().unwrap(), &target, &anonymous()).await.map(|_| ())
}

async fn plain_registry() -> Server {
    let signed = Signed::new();
    Server::start("127.0.0.2", move |seen: &Seen| signed.answer(seen)).await
}

const PLAIN: &str = "mirrors: {registry.test: {endpoint: ['http://registry.test']}}";

#[tokio::test]
async fn plain_http_goes_through_the_proxy_with_its_password_and_without_the_registrys() {
    let registry = plain_registry().await;
    let proxy = Proxy::start(registry.address, None).await;
    resolve(&client(PLAIN, &proxy, ""), "registry.test/app").await.unwrap();
    let seen = proxy.seen.lock().unwrap().remove(0);
    assert!(seen.target.starts_with("http://registry.test/v2/app/manifests/"), "{}", seen.target);
    assert_eq!(seen.header("proxy-authorization"), Some("Basic am9lOmh1bnRlcjI="));
    assert_eq!(registry.seen()[0].header("proxy-authorization"), None);
}

#[tokio::test]
async fn https_goes_through_a_tunnel_whose_proxy_sees_the_name_alone() {
    let signed = Signed::new();
    let key = rcgen::generate_simple_self_signed(["registry.test".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![key.cert.der().clone()], der).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let registry = Server::start_tls("127.0.0.2", acceptor, move |seen: &Seen| signed.answer(seen)).await;
    let proxy = Proxy::start(registry.address, None).await;
    // The certificate is still checked: the tunnel ends at the registry.
    let error = resolve(&client("", &proxy, ""), "registry.test/app").await.unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    assert!(error.to_string().contains("through the proxy proxy.test"), "{error}");
    let unchecked = "configs: {registry.test: {tls: {insecure_skip_verify: true}}}";
    resolve(&client(unchecked, &proxy, ""), "registry.test/app").await.unwrap();
    assert_eq!(proxy.lines(), ["CONNECT registry.test:443", "CONNECT registry.test:443"]);
    assert_eq!(registry.seen().len(), 1);
}

#[tokio::test]
async fn what_no_proxy_names_is_asked_directly() {
    let registry = plain_registry().await;
    let proxy = Proxy::start(registry.address, None).await;
    // Directly, the name does not resolve here.
    let error = resolve(&client(PLAIN, &proxy, ".test,registry.test"), "registry.test/app").await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(proxy.lines().is_empty());
}

#[tokio::test]
async fn a_proxy_that_refuses_or_is_gone_is_named_and_its_password_is_not() {
    let registry = plain_registry().await;
    for refusal in [407, 403, 502] {
        let proxy = Proxy::start(registry.address, Some(refusal)).await;
        let error = resolve(&client("", &proxy, ""), "registry.test/app").await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains("through the proxy proxy.test:"), "{refusal}: {text}");
        assert!(!text.contains("hunter2") && !text.contains("am9lOmh1bnRlcjI"), "{text}");
    }
    let proxy = Proxy::start(registry.address, None).await;
    let gone = client("", &proxy, "");
    drop(proxy);
    let error = resolve(&gone, "registry.test/app").await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(registry.seen().is_empty());
}

#[tokio::test]
async fn the_proxy_is_not_asked_for_what_is_internal_by_name_or_address() {
    let registry = plain_registry().await;
    let proxy = Proxy::start(registry.address, None).await;
    let client = client("", &proxy, "");
    for (repository, is_by_name) in [
        ("metadata.google.internal/app", true),
        ("instance-data.ec2.internal/app", true),
        ("169.254.169.254/app", false),
        ("[fd00:ec2::254]/app", false),
        ("0.0.0.0/app", false),
    ] {
        let error = resolve(&client, repository).await.unwrap_err();
        let is_expected = match &error {
            Error::NameRefused { setting, .. } => is_by_name && setting.contains("--registries"),
            Error::EgressRefused { .. } => !is_by_name,
            _ => false,
        };
        assert!(is_expected, "{repository}: {error}");
    }
    assert!(proxy.lines().is_empty(), "{:?}", proxy.lines());
}

#[tokio::test]
async fn a_redirect_to_a_private_name_is_not_passed_on_to_the_proxy() {
    let registry =
        Server::start("127.0.0.2", |_: &Seen| Script::status(307).with("Location", "http://vault.svc/secret")).await;
    let proxy = Proxy::start(registry.address, None).await;
    let blob = descriptor("application/cose", ENVELOPE);
    let joe = login(&[("registry.test", "joe", "s3cret")]);
    let error = client(PLAIN, &proxy, "").blob(&"registry.test/app".parse().unwrap(), &blob, &joe).await.unwrap_err();
    assert!(matches!(&error, Error::NameRefused { host, .. } if host == "vault.svc:80"), "{error}");
    assert_eq!(proxy.lines().len(), 1, "{:?}", proxy.lines());
}

/// What asks OCSP responders and revocation lists, behind `proxy`; no name resolves but the proxy's.
fn fetcher(proxy: &Proxy, no_proxy: &str, allow_egress: &[&str]) -> PlainFetcher {
    let url = format!("http://joe:hunter2@proxy.test:{}", proxy.address.port());
    let options = RegistryOptions {
        proxies: Proxies::new(&url, "", no_proxy).unwrap(),
        allow_egress: allow_egress.iter().map(|range| range.parse().unwrap()).collect(),
        names: Some(Arc::new(Names(vec![("proxy.test", "127.0.0.1".parse().unwrap())]))),
        ..RegistryOptions::default()
    };
    PlainFetcher::new(&options).unwrap()
}

fn question(url: &str) -> PlainRequest<'_> {
    PlainRequest { url, post: None, accept: "*/*", max_bytes: 64, time_limit: Duration::from_secs(5) }
}

#[tokio::test]
async fn what_a_certificate_points_to_is_asked_through_the_proxy() {
    let authority = Server::start("127.0.0.2", |_: &Seen| Script::new(200, "application/pkix-crl", "a list")).await;
    let proxy = Proxy::start(authority.address, None).await;
    let fetcher = fetcher(&proxy, "", &[]);
    assert_eq!(fetcher.fetch(&question("http://pki.test/root.crl")).await.unwrap(), "a list");
    let posted = PlainRequest { post: Some(("application/ocsp-request", b"?")), ..question("http://ocsp.test:8080/") };
    // The proxy leads it to the same server, and passes on no body; that it came is enough.
    let _ = fetcher.fetch(&posted).await;
    assert_eq!(proxy.lines(), ["GET http://pki.test/root.crl", "POST http://ocsp.test:8080/"]);
    let seen = proxy.seen.lock().unwrap();
    assert!(seen.iter().all(|seen| seen.header("proxy-authorization") == Some("Basic am9lOmh1bnRlcjI=")), "{seen:?}");
    assert!(authority.seen().iter().all(|seen| seen.header("proxy-authorization").is_none()));
}

#[tokio::test]
async fn a_certificate_cannot_have_the_proxy_asked_for_what_is_internal_by_name_or_address() {
    let authority = Server::start("127.0.0.2", |_: &Seen| Script::status(200)).await;
    let proxy = Proxy::start(authority.address, None).await;
    let fetcher = fetcher(&proxy, "", &[]);
    for (host, is_by_name) in [
        ("metadata.google.internal", true),
        ("instance-data", true),
        ("vault.svc", true),
        ("vault.team.svc.cluster.local", true),
        ("printer.local", true),
        ("intranet", true),
        ("169.254.169.254", false),
        ("0xa9fea9fe", false),
        ("10.0.0.1", false),
        ("[fd00:ec2::254]", false),
        ("[::ffff:10.0.0.1]", false),
    ] {
        let url = format!("http://{host}/root.crl");
        let error = fetcher.fetch(&question(&url)).await.unwrap_err();
        let is_expected = match &error {
            PlainError::NameRefused { setting, .. } => is_by_name && setting.contains("--registries"),
            PlainError::EgressRefused { .. } => !is_by_name,
            _ => false,
        };
        assert!(is_expected, "{host}: {error}");
    }
    assert!(proxy.lines().is_empty(), "{:?}", proxy.lines());
}

#[tokio::test]
async fn what_no_proxy_names_and_loopback_are_asked_about_revocation_directly() {
    let authority = Server::start("127.0.0.2", |_: &Seen| Script::new(200, "*/*", "a list")).await;
    let proxy = Proxy::start(authority.address, None).await;
    // Directly, the name does not resolve here.
    let error = fetcher(&proxy, "pki.test", &[]).fetch(&question("http://pki.test/")).await.unwrap_err();
    assert!(matches!(error, PlainError::Failed { .. }), "{error}");
    let url = format!("http://{}/root.crl", authority.host());
    assert_eq!(fetcher(&proxy, "", &["127.0.0.2/32"]).fetch(&question(&url)).await.unwrap(), "a list");
    assert!(proxy.lines().is_empty(), "{:?}", proxy.lines());
}

#[tokio::test]
async fn a_proxy_that_fails_a_question_about_revocation_is_named_and_its_password_is_not() {
    let authority = Server::start("127.0.0.2", |_: &Seen| Script::status(200)).await;
    for (refusal, expected) in [(407, "asks for a user name"), (403, "status 403"), (502, "status 502")] {
        let proxy = Proxy::start(authority.address, Some(refusal)).await;
        let error = fetcher(&proxy, "", &[]).fetch(&question("http://pki.test/")).await.unwrap_err();
        assert!(matches!(error, PlainError::Status { .. }) && error.to_string().contains(expected), "{error}");
    }
    let proxy = Proxy::start(authority.address, None).await;
    let gone = fetcher(&proxy, "", &[]);
    drop(proxy);
    let error = gone.fetch(&question("http://pki.test/")).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains("through the proxy proxy.test:") && !text.contains("hunter2"), "{text}");
}
