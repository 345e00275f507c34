// SPDX-License-Identifier: Apache-2.0
//! The egress guard, at every way on which somebody else's word becomes an address to connect to.

use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sealwatch_registry::egress::Lookup;
use sealwatch_registry::{
    Credentials, Error, HttpRegistry, NameLookup, PlainError, PlainFetcher, PlainRequest, Proxies, RegistriesConfig,
    Registry, RegistryOptions, Target,
};

use crate::fixture::{ENVELOPE, Signed, TIMEOUTS, anonymous, descriptor, list, login};
use crate::scripted::{Script, Seen, Server};

/// Answers every name with these addresses.
struct Names(Vec<IpAddr>);

impl NameLookup for Names {
    fn lookup(&self, _: &str) -> Lookup {
        let addresses = self.0.clone();
        Box::pin(async move { Ok(addresses) })
    }
}

fn options(addresses: &[&str]) -> RegistryOptions {
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    RegistryOptions { timeouts: TIMEOUTS, names: Some(Arc::new(Names(addresses))), ..RegistryOptions::default() }
}

async fn resolve(options: RegistryOptions, repository: &str) -> Result<(), Error> {
    let client = HttpRegistry::new(options).unwrap();
    let target = Target::Tag("v1".to_owned());
    client.resolve(&repository.parse().unwrap(), &target, &anonymous()).await.map(|_| ())
}

#[tokio::test]
async fn a_name_that_resolves_to_an_internal_address_is_refused_and_the_setting_named() {
    for address in ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"] {
        let error = resolve(options(&[address]), "registry.test/app").await.unwrap_err();
        let Error::EgressRefused { host, address: refused, setting, .. } = &error else { panic!("{address}: {error}") };
        assert_eq!((host.as_str(), *refused), ("registry.test:443", address.parse::<IpAddr>().unwrap()));
        assert!(setting.contains("--registries"), "{setting}");
    }
}

#[tokio::test]
async fn a_literal_internal_address_is_refused_without_resolution() {
    let server = Server::start("127.0.0.1", |_: &Seen| Script::status(200)).await;
    for host in [server.host(), "[::1]:5000".to_owned(), "127.0.0.2".to_owned()] {
        let error = resolve(options(&[]), &format!("{host}/app")).await.unwrap_err();
        assert!(matches!(error, Error::EgressRefused { .. }), "{host}: {error}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_name_that_the_operator_configured_may_be_on_loopback() {
    let signed = Signed::new();
    let server = Server::start("127.0.0.2", move |seen: &Seen| signed.answer(seen)).await;
    let host = format!("registry.test:{}", server.address.port());
    let mut registries = RegistriesConfig::default();
    registries.insecure(&host).unwrap();
    resolve(RegistryOptions { registries, ..options(&["127.0.0.2"]) }, &format!("{host}/app")).await.unwrap();
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn of_several_addresses_only_those_in_an_allowed_range_are_asked() {
    // Both hear; each counts who knocks. No TLS is spoken, so the knock is all that can be seen.
    let refused = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = refused.local_addr().unwrap().port();
    let allowed = TcpListener::bind(("127.0.0.2", port)).unwrap();
    for listener in [&refused, &allowed] {
        listener.set_nonblocking(true).unwrap();
    }
    let options =
        RegistryOptions { allow_egress: vec!["127.0.0.2/32".parse().unwrap()], ..options(&["127.0.0.1", "127.0.0.2"]) };
    let error = resolve(options, &format!("registry.test:{port}/app")).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(allowed.accept().is_ok(), "the allowed address was asked");
    assert!(refused.accept().is_err(), "the other was not");
}

#[tokio::test]
async fn a_host_of_the_command_line_is_named_and_a_malformed_one_refused() {
    let named = |host: &str| RegistryOptions { named_hosts: vec![host.to_owned()], ..options(&["127.0.0.1"]) };
    let error = resolve(named("registry.test:1"), "registry.test:1/app").await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    let error = resolve(named("registry.test:1"), "registry.test:2/app").await.unwrap_err();
    assert!(matches!(error, Error::EgressRefused { .. }), "{error}");
    assert!(matches!(HttpRegistry::new(named("http://x")), Err(Error::Unusable { .. })));
}

#[tokio::test]
async fn a_name_without_addresses_is_unavailable() {
    let error = resolve(options(&[]), "registry.test/app").await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
}

/// The name `inside.test` leads to 127.0.0.2; `rebound.test` to 127.0.0.1 once, and to 127.0.0.2 from then on.
#[derive(Default)]
struct Inside(AtomicUsize);

impl NameLookup for Inside {
    fn lookup(&self, name: &str) -> Lookup {
        let is_rebound = name == "rebound.test" && self.0.fetch_add(1, Ordering::SeqCst) == 0;
        let found: IpAddr = if is_rebound { "127.0.0.1" } else { "127.0.0.2" }.parse().unwrap();
        Box::pin(async move { Ok(vec![found]) })
    }
}

/// Counts who knocks, whatever they would have said.
fn knocks(listener: &TcpListener) -> usize {
    std::iter::from_fn(|| listener.accept().ok()).count()
}

/// Everything that a registry on 127.0.0.1, which may be asked, can do to have `target` asked.
async fn lead_to(target: &str, credentials: &Credentials) -> Vec<(&'static str, Error)> {
    let (signed, mut errors) = (Signed::new(), Vec::new());
    let answers = [
        ("a redirect", Script::status(307).with("Location", target)),
        ("a realm", Script::status(401).with("WWW-Authenticate", format!(r#"Bearer realm="{target}",service="x""#))),
        ("a link", list(&[signed.referrer()]).with("Link", format!("<{target}>; rel=next"))),
        (
            "a link to a location",
            Script::status(301).with("Location", target).with("Link", format!("<{target}>; rel=next")),
        ),
    ];
    for (way, answer) in answers {
        let server = Server::start("127.0.0.1", move |_: &Seen| answer.clone()).await;
        let mut registries = RegistriesConfig::default();
        registries.insecure(&server.host()).unwrap();
        let names: Arc<dyn NameLookup> = Arc::new(Inside::default());
        let options =
            RegistryOptions { registries, timeouts: TIMEOUTS, names: Some(names), ..RegistryOptions::default() };
        let client = HttpRegistry::new(options).unwrap();
        let repository = format!("{}/app", server.host()).parse().unwrap();
        let blob = descriptor("application/cose", ENVELOPE);
        let listed = client.referrers(&repository, &signed.subject(), "application/x", credentials).await;
        errors.push((way, listed.unwrap_err()));
        // A link says nothing of a blob.
        if !way.contains("link") {
            errors.push((way, client.blob(&repository, &blob, credentials).await.unwrap_err()));
        }
    }
    errors
}

#[tokio::test]
async fn nothing_is_sent_to_a_refused_address_on_any_way() {
    let inside = TcpListener::bind("127.0.0.2:0").unwrap();
    inside.set_nonblocking(true).unwrap();
    let port = inside.local_addr().unwrap().port();
    let joe =
        login(&[("127.0.0.1", "joe", "s3cret"), ("inside.test", "joe", "s3cret"), ("127.0.0.2", "joe", "s3cret")]);
    // Another spelling of an address, or a name for it, is the address.
    for host in ["127.0.0.2", "2130706434", "0x7f.0.0.2", "0177.0.0.2", "[::ffff:127.0.0.2]", "inside.test"] {
        for scheme in ["http", "https"] {
            for credentials in [&anonymous(), &joe] {
                for (way, error) in lead_to(&format!("{scheme}://{host}:{port}/x"), credentials).await {
                    let is_refused = matches!(error, Error::EgressRefused { .. } | Error::Malformed { .. });
                    assert!(is_refused, "{way} to {scheme}://{host}: {error}");
                }
            }
        }
    }
    // As the registry itself, and as one whose name was somewhere else a moment ago.
    for host in ["127.0.0.2", "inside.test", "rebound.test"] {
        let names: Arc<dyn NameLookup> = Arc::new(Inside(AtomicUsize::new(1)));
        let options = RegistryOptions { timeouts: TIMEOUTS, names: Some(names), ..RegistryOptions::default() };
        let error = resolve(options, &format!("{host}:{port}/app")).await.unwrap_err();
        assert!(matches!(error, Error::EgressRefused { .. }), "{host}: {error}");
    }
    // As what a certificate points to, and by way of a proxy, which must not be asked either.
    let proxy = format!("http://127.0.0.2:{port}");
    for proxies in [Proxies::default(), Proxies::new(&proxy, &proxy, "").unwrap()] {
        for host in ["127.0.0.2", "0x7f.2", "[::ffff:127.0.0.2]", "localhost"] {
            let names: Arc<dyn NameLookup> = Arc::new(Inside::default());
            let options =
                RegistryOptions { names: Some(names), proxies: proxies.clone(), ..RegistryOptions::default() };
            let url = format!("http://{host}:{port}/root.crl");
            let limit = Duration::from_secs(2);
            let request = PlainRequest { url: &url, post: None, accept: "*/*", max_bytes: 9, time_limit: limit };
            let error = PlainFetcher::new(&options).unwrap().fetch(&request).await.unwrap_err();
            assert!(matches!(error, PlainError::EgressRefused { .. }), "{host}: {error}");
        }
    }
    assert_eq!(knocks(&inside), 0);
}

#[tokio::test]
async fn an_allowed_range_opens_every_way_and_no_other_address() {
    let signed = Signed::new();
    let registry = signed.clone();
    let storage = Server::start("127.0.0.3", move |_: &Seen| Script::new(200, "x/y", ENVELOPE)).await;
    let location = format!("http://{}/blob", storage.host());
    let server = Server::start("127.0.0.2", move |seen: &Seen| match seen.path() {
        path if path.contains("/blobs/") => Script::status(307).with("Location", location.clone()),
        _ => registry.answer(seen),
    })
    .await;
    let mut registries = RegistriesConfig::default();
    registries.insecure(&server.host()).unwrap();
    let fetch = async |ranges: &[&str]| {
        let allow_egress = ranges.iter().map(|range| range.parse().unwrap()).collect();
        let options = RegistryOptions {
            registries: registries.clone(),
            allow_egress,
            timeouts: TIMEOUTS,
            ..RegistryOptions::default()
        };
        let client = HttpRegistry::new(options).unwrap();
        let repository = format!("{}/app", server.host()).parse().unwrap();
        client.blob(&repository, &descriptor("application/cose", ENVELOPE), &anonymous()).await
    };
    let error = fetch(&["127.0.0.4/32", "::/0", "10.0.0.0/8"]).await.unwrap_err();
    assert!(matches!(error, Error::EgressRefused { .. }), "{error}");
    assert!(storage.seen().is_empty());
    assert_eq!(fetch(&["127.0.0.3/32"]).await.unwrap(), ENVELOPE);
}
