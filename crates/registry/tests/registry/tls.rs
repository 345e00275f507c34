// SPDX-License-Identifier: Apache-2.0
//! Registries behind TLS: which certificates are believed, what is shown to whom, and what is said when it fails.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sealwatch_registry::{
    Error, HttpRegistry, RegistriesConfig, RegistriesError, Registry, RegistryOptions, Target, Timeouts, TlsFiles,
};
use tokio_rustls::TlsAcceptor;

use crate::fixture::{Names, Signed, TIMEOUTS, anonymous, login};
use crate::scripted::{Script, Seen, Server};

/// A certificate authority of a test.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

/// A certificate and its key.
struct Leaf {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("private root {}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    fn leaf(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf { certificate, key }
    }

    fn good(&self) -> Leaf {
        self.leaf(&["registry.test", "127.0.0.1"], |_| {})
    }
}

/// A server's side of TLS; with `clients`, it takes only those who show a certificate of that authority.
fn acceptor(leaf: &Leaf, clients: Option<&Authority>) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.certificate.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf.key.serialize_der()));
    let config = builder.with_single_cert(vec![leaf.certificate.der().clone()], key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// A folder with a file for each of these.
fn folder(files: &[(&str, String)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn config(folder: &Path, yaml: &str) -> Result<RegistriesConfig, RegistriesError> {
    RegistriesConfig::parse_with(yaml.as_bytes(), &TlsFiles::Folder(folder.to_owned()))
}

/// Asks `repository` for the signed image; every name of the tests is on 127.0.0.1.
async fn resolve(registries: RegistriesConfig, repository: &str) -> Result<(), Error> {
    let local = "127.0.0.1".parse().unwrap();
    let names = Names(vec![("registry.test", local), ("tokens.test", local), ("storage.test", local)]);
    let options =
        RegistryOptions { registries, timeouts: TIMEOUTS, names: Some(Arc::new(names)), ..RegistryOptions::default() };
    let client = sealwatch_registry::HttpRegistry::new(options)?;
    let joe = login(&[("registry.test", "joe", "s3cret")]);
    let credentials = if repository.contains("tokens") { joe } else { anonymous() };
    let target = Target::Digest(Signed::new().subject());
    client.resolve(&repository.parse().unwrap(), &target, &credentials).await.map(|_| ())
}

async fn registry(tls: TlsAcceptor) -> Server {
    let signed = Signed::new();
    Server::start_tls("127.0.0.1", tls, move |seen: &Seen| signed.answer(seen)).await
}

fn repository(server: &Server) -> String {
    format!("registry.test:{}/app", server.address.port())
}

fn with_ca(server: &Server) -> String {
    format!("configs: {{'registry.test:{}': {{tls: {{ca_file: /etc/rancher/k3s/ca.pem}}}}}}", server.address.port())
}

#[tokio::test]
async fn a_certificate_that_is_not_good_for_the_registry_is_refused_and_the_reason_said() {
    let (ours, other) = (Authority::new(), Authority::new());
    let folder = folder(&[("ca.pem", ours.certificate.pem())]);
    let expired = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    };
    let future = |params: &mut CertificateParams| params.not_before = date_time_ymd(2090, 1, 1);
    let cases = [
        ("UnknownIssuer", other.good()),
        ("expired", ours.leaf(&["registry.test"], expired)),
        ("not valid yet", ours.leaf(&["registry.test"], future)),
        ("not valid for name", ours.leaf(&["other.test", "127.0.0.1"], |_| {})),
        (
            "EkuError",
            ours.leaf(&["registry.test"], |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
        ),
    ];
    for (why, leaf) in cases {
        let server = registry(acceptor(&leaf, None)).await;
        let error = resolve(config(folder.path(), &with_ca(&server)).unwrap(), &repository(&server)).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{why}: {error}");
        assert!(error.to_string().contains(why), "{why}: {error}");
        assert!(server.seen().is_empty(), "{why}: nothing is asked of it");
    }
}

#[tokio::test]
async fn a_private_authority_is_believed_for_the_hosts_that_name_it_alone() {
    let ours = Authority::new();
    let folder = folder(&[("ca.pem", ours.certificate.pem())]);
    let (named, unnamed) = (registry(acceptor(&ours.good(), None)).await, registry(acceptor(&ours.good(), None)).await);
    resolve(config(folder.path(), &with_ca(&named)).unwrap(), &repository(&named)).await.unwrap();
    // Named, so that its address is no matter, and without the authority.
    let registries = format!("{}\nmirrors: {{'registry.test:{}': {{}}}}", with_ca(&named), unnamed.address.port());
    let error = resolve(config(folder.path(), &registries).unwrap(), &repository(&unnamed)).await.unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    assert!(unnamed.seen().is_empty());
}

#[tokio::test]
async fn the_wildcard_has_the_settings_of_hosts_without_their_own() {
    let ours = Authority::new();
    let folder = folder(&[("ca.pem", ours.certificate.pem())]);
    let server = registry(acceptor(&ours.good(), None)).await;
    let port = server.address.port();
    let wildcard = format!("mirrors: {{'registry.test:{port}': {{}}}}\nconfigs: {{'*': {{tls: {{ca_file: ca.pem}}}}}}");
    resolve(config(folder.path(), &wildcard).unwrap(), &repository(&server)).await.unwrap();
    let other = Authority::new();
    std::fs::write(folder.path().join("other.pem"), other.certificate.pem()).unwrap();
    let own = format!(
        "configs: {{'*': {{tls: {{ca_file: ca.pem}}}}, 'registry.test:{port}': {{tls: {{ca_file: other.pem}}}}}}"
    );
    let error = resolve(config(folder.path(), &own).unwrap(), &repository(&server)).await.unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
}

#[tokio::test]
async fn a_client_certificate_opens_a_registry_that_wants_one() {
    let (ours, clients) = (Authority::new(), Authority::new());
    let client = clients.leaf(&["sealwatch"], |_| {});
    let folder = folder(&[
        ("ca.pem", ours.certificate.pem()),
        ("client.pem", client.certificate.pem()),
        ("client.key", client.key.serialize_pem()),
    ]);
    let server = registry(acceptor(&ours.good(), Some(&clients))).await;
    let error = resolve(config(folder.path(), &with_ca(&server)).unwrap(), &repository(&server)).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(server.seen().is_empty());
    let yaml = format!(
        "configs: {{'registry.test:{}': {{tls: {{ca_file: ca.pem, cert_file: client.pem, key_file: client.key}}}}}}",
        server.address.port()
    );
    resolve(config(folder.path(), &yaml).unwrap(), &repository(&server)).await.unwrap();
}

#[tokio::test]
async fn an_unchecked_certificate_is_taken_where_the_file_says_so_and_warned_of() {
    let server = registry(acceptor(&Authority::new().leaf(&["other.test"], |_| {}), None)).await;
    let yaml =
        format!("configs: {{'registry.test:{}': {{tls: {{insecure_skip_verify: true}}}}}}", server.address.port());
    let registries = RegistriesConfig::parse(yaml.as_bytes()).unwrap();
    let warnings = registries.warnings().join("\n");
    assert!(warnings.contains("insecure_skip_verify") && warnings.contains("registry.test"), "{warnings}");
    resolve(registries, &repository(&server)).await.unwrap();
}

#[test]
fn settings_that_cannot_be_used_are_refused_at_the_start_and_never_quoted() {
    let (ours, other) = (Authority::new().good(), Authority::new().good());
    let folder = folder(&[
        ("ca.pem", ours.certificate.pem()),
        ("key.pem", ours.key.serialize_pem()),
        ("other.pem", other.key.serialize_pem()),
        ("rubbish.pem", "hunter2".to_owned()),
    ]);
    for (tls, field) in [
        ("ca_file: missing.pem", "ca_file"),
        ("ca_file: rubbish.pem", "ca_file"),
        ("ca_file: key.pem", "ca_file"),
        ("ca_file: ../ca.pem", "ca_file"),
        ("cert_file: ca.pem", "key_file"),
        ("key_file: key.pem", "cert_file"),
        ("cert_file: rubbish.pem, key_file: key.pem", "cert_file"),
        ("cert_file: ca.pem, key_file: rubbish.pem", "cert_file"),
    ] {
        let error = config(folder.path(), &format!("configs: {{a.test: {{tls: {{{tls}}}}}}}")).unwrap_err();
        assert!(error.to_string().contains(&format!("configs[a.test].tls.{field}: ")), "{tls}: {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    // Only the HTTP client sees that a key is another certificate's; it does so before anybody is asked.
    let registries =
        config(folder.path(), "configs: {a.test: {tls: {cert_file: ca.pem, key_file: other.pem}}}").unwrap();
    let client = sealwatch_registry::HttpRegistry::new(RegistryOptions { registries, ..RegistryOptions::default() });
    assert!(matches!(client, Err(Error::Unusable { .. })));
    let many: Vec<_> = (0..33)
        .map(|n| {
            let name = format!("{n}.pem");
            std::fs::write(folder.path().join(&name), format!("{}\n{n}", ours.certificate.pem())).unwrap();
            format!("a{n}.test: {{tls: {{ca_file: {name}}}}}")
        })
        .collect();
    let error = config(folder.path(), &format!("configs: {{{}}}", many.join(", "))).unwrap_err();
    assert!(matches!(error, RegistriesError::TooMany { limit: 32, .. }), "{error}");
}

#[tokio::test]
async fn a_private_authority_counts_where_its_registry_points_and_the_client_certificate_does_not() {
    let (ours, clients) = (Authority::new(), Authority::new());
    let client = clients.leaf(&["sealwatch"], |_| {});
    let folder = folder(&[
        ("ca.pem", ours.certificate.pem()),
        ("client.pem", client.certificate.pem()),
        ("client.key", client.key.serialize_pem()),
    ]);
    let token = |_: &Seen| Script::new(200, "application/json", r#"{"token":"good"}"#);
    let leaf = ours.leaf(&["tokens.test"], |_| {});
    for (wants_certificate, works) in [(false, true), (true, false)] {
        let tls = acceptor(&leaf, wants_certificate.then_some(&clients));
        let tokens = Server::start_tls("127.0.0.1", tls, token).await;
        let realm = format!("https://tokens.test:{}/token", tokens.address.port());
        let signed = Signed::new();
        let server = Server::start_tls("127.0.0.1", acceptor(&ours.good(), Some(&clients)), move |seen: &Seen| {
            match seen.header("authorization") {
                Some("Bearer good") => signed.answer(seen),
                _ => Script::status(401).with("WWW-Authenticate", format!("Bearer realm=\"{realm}\"")),
            }
        })
        .await;
        let yaml = format!(
            "configs: {{'registry.test:{}': {{tls: {{ca_file: ca.pem, cert_file: client.pem, key_file: client.key}}}}}}\n\
             mirrors: {{'tokens.test:{}': {{}}}}",
            server.address.port(),
            tokens.address.port()
        );
        let outcome = resolve(config(folder.path(), &yaml).unwrap(), &repository(&server)).await;
        assert_eq!(outcome.is_ok(), works, "{outcome:?}");
        assert_eq!(tokens.seen().len(), usize::from(works));
    }
}

#[tokio::test]
async fn a_registry_behind_tls_is_not_asked_in_the_clear() {
    let signed = Signed::new();
    let server = Server::start("127.0.0.1", move |seen: &Seen| signed.answer(seen)).await;
    let yaml = format!("mirrors: {{'registry.test:{}': {{}}}}", server.address.port());
    let error = resolve(RegistriesConfig::parse(yaml.as_bytes()).unwrap(), &repository(&server)).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(server.seen().iter().all(|seen| !seen.target.contains("/v2/")), "{:?}", server.lines());
}

#[tokio::test]
async fn a_handshake_that_stalls_trickles_or_is_none_ends_at_the_time_to_connect() {
    // The beginning of a TLS record that says that it is long, and then a byte now and then; or something else.
    for (begin, is_trickle) in [(&b""[..], false), (b"\x16\x03\x03\x40\x00", true), (b"HTTP/1.1 400 No\r\n\r\n", false)]
    {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, begin).await;
                if is_trickle {
                    tokio::spawn(async move {
                        while tokio::io::AsyncWriteExt::write_all(&mut stream, &[0]).await.is_ok() {
                            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                        }
                    });
                } else {
                    open.push(stream);
                }
            }
        });
        let timeouts = Timeouts { connect: std::time::Duration::from_millis(300), ..TIMEOUTS };
        let options = RegistryOptions {
            allow_egress: vec!["127.0.0.1/32".parse().unwrap()],
            timeouts: Timeouts { total: std::time::Duration::from_mins(10), ..timeouts },
            ..RegistryOptions::default()
        };
        let client = HttpRegistry::new(options).unwrap();
        let repository = format!("127.0.0.1:{port}/app").parse().unwrap();
        let error = client.resolve(&repository, &Target::Tag("v1".to_owned()), &anonymous()).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
        server.abort();
    }
}
