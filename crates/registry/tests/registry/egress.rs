// SPDX-License-Identifier: Apache-2.0

use std::net::{IpAddr, TcpListener};
use std::sync::Arc;

use sealwatch_registry::egress::Lookup;
use sealwatch_registry::{Error, HttpRegistry, NameLookup, RegistriesConfig, Registry, RegistryOptions, Target};

use crate::fixture::{Signed, TIMEOUTS, anonymous};
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
