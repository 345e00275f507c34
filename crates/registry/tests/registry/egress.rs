// SPDX-License-Identifier: Apache-2.0

use std::net::IpAddr;
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
    for address in ["127.0.0.1", "169.254.169.254", "::1", "0.0.0.0", "fe80::1", "::ffff:127.0.0.1"] {
        let error = resolve(options(&[address]), "registry.test/app").await.unwrap_err();
        let Error::EgressRefused { host, address: refused, setting, .. } = &error else { panic!("{address}: {error}") };
        assert_eq!((host.as_str(), *refused), ("registry.test:443", address.parse::<IpAddr>().unwrap()));
        assert!(setting.contains("--registries"), "{setting}");
    }
}

#[tokio::test]
async fn a_literal_internal_address_is_refused_without_resolution() {
    let server = Server::start("127.0.0.1", |_: &Seen| Script::status(200)).await;
    for host in [server.host(), "[::1]:5000".to_owned(), "169.254.169.254".to_owned()] {
        let error = resolve(options(&[]), &format!("{host}/app")).await.unwrap_err();
        assert!(matches!(error, Error::EgressRefused { .. }), "{host}: {error}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn of_several_addresses_only_those_that_may_be_asked_are() {
    let signed = Signed::new();
    let server = Server::start("127.0.0.2", move |seen: &Seen| signed.answer(seen)).await;
    let port = server.address.port();
    let mut registries = RegistriesConfig::default();
    registries.insecure(&format!("registry.test:{port}")).unwrap();
    // Named by the operator: any address will do.
    let named = RegistryOptions { registries, ..options(&["127.0.0.2"]) };
    resolve(named, &format!("registry.test:{port}/app")).await.unwrap();
    // Not named: 127.0.0.2 is only asked if its range is allowed, and then 127.0.0.1 still is not.
    let mirror = format!("mirrors: {{'*': {{endpoint: ['http://127.0.0.1:{port}']}}}}");
    assert!(RegistriesConfig::parse(mirror.as_bytes()).is_ok());
    let allowed =
        RegistryOptions { allow_egress: vec!["127.0.0.2/32".parse().unwrap()], ..options(&["127.0.0.1", "127.0.0.2"]) };
    let error = resolve(allowed, &format!("registry.test:{port}/app")).await.unwrap_err();
    // The server speaks no TLS, so the connection itself is the proof.
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
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
