// SPDX-License-Identifier: Apache-2.0
//! Name servers that are hostile, broken or slow. What is behind a CNAME is an address like any other: the resolver
//! follows it, and only addresses come out.

use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sealwatch_registry::egress::Lookup;
use sealwatch_registry::limits::MAX_ADDRESSES;
use sealwatch_registry::{
    Descriptor, Error, HttpRegistry, NameLookup, RegistriesConfig, Registry, RegistryOptions, Target, Timeouts,
};

use crate::fixture::{NOTATION, Signed, TIMEOUTS, anonymous};
use crate::scripted::{Seen, Server};

/// Answers each question as the function says, which is told how many there were before.
struct Scripted<F>(AtomicUsize, F);

impl<F: Fn(usize) -> Lookup + Send + Sync + 'static> NameLookup for Scripted<F> {
    fn lookup(&self, _: &str) -> Lookup {
        self.1(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

fn names(
    answer: impl Fn(usize) -> Lookup + Send + Sync + 'static,
) -> Arc<Scripted<impl Fn(usize) -> Lookup + Send + Sync>> {
    Arc::new(Scripted(AtomicUsize::new(0), answer))
}

fn these(addresses: Vec<IpAddr>) -> Lookup {
    Box::pin(async move { Ok(addresses) })
}

fn no_such_name() -> Lookup {
    Box::pin(async { Err(io::Error::other("no such name")) })
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

async fn resolve(options: RegistryOptions, repository: &str) -> Result<Descriptor, Error> {
    let client = HttpRegistry::new(options).unwrap();
    client.resolve(&repository.parse().unwrap(), &Target::Tag("v1".to_owned()), &anonymous()).await
}

/// Knocks at each of the addresses that are listened at; what is knocked at is not spoken to.
fn listeners(hosts: &[String]) -> (u16, Vec<TcpListener>) {
    let first = TcpListener::bind((hosts[0].as_str(), 0)).unwrap();
    let port = first.local_addr().unwrap().port();
    let others = hosts[1..].iter().map(|host| TcpListener::bind((host.as_str(), port)).unwrap());
    let all: Vec<TcpListener> = [first].into_iter().chain(others).collect();
    for listener in &all {
        listener.set_nonblocking(true).unwrap();
    }
    (port, all)
}

/// Whether a listener at the address of this number is tried, where all thousand addresses of a name may be.
async fn is_tried(number: usize) -> bool {
    let address_of = |n: usize| format!("127.0.{}.{}", 1 + n / 250, 1 + n % 250);
    let (port, heard) = listeners(&[address_of(number)]);
    let many: Vec<IpAddr> = (0..1_000).map(|n| address(&address_of(n))).collect();
    let options = RegistryOptions {
        allow_egress: vec!["127.0.0.0/8".parse().unwrap()],
        timeouts: TIMEOUTS,
        names: Some(names(move |_| these(many.clone()))),
        ..RegistryOptions::default()
    };
    let error = resolve(options, &format!("registry.test:{port}/app")).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    heard[0].accept().is_ok()
}

#[tokio::test]
async fn of_a_thousand_addresses_no_more_than_the_limit_are_tried() {
    assert!(is_tried(0).await);
    assert!(is_tried(MAX_ADDRESSES - 1).await, "the last within the limit");
    assert!(!is_tried(MAX_ADDRESSES).await, "the first beyond it");
    assert!(!is_tried(999).await);
}

#[tokio::test]
async fn an_internal_address_among_many_is_never_tried() {
    let (port, heard) = listeners(&["127.0.0.2".to_owned(), "127.0.0.3".to_owned()]);
    let mixed = vec![address("127.0.0.2"), address("127.0.0.3"), address("::1"), address("::ffff:127.0.0.2")];
    let options = RegistryOptions {
        allow_egress: vec!["127.0.0.3/32".parse().unwrap()],
        timeouts: TIMEOUTS,
        names: Some(names(move |_| these(mixed.clone()))),
        ..RegistryOptions::default()
    };
    resolve(options, &format!("registry.test:{port}/app")).await.unwrap_err();
    assert!(heard[0].accept().is_err() && heard[1].accept().is_ok());
}

#[tokio::test]
async fn a_name_that_comes_and_goes_is_an_outage_and_never_an_answer_about_the_image() {
    let signed = Signed::new();
    let (subject, registry) = (signed.subject(), signed.clone());
    let server = Server::start("127.0.0.1", move |seen: &Seen| registry.answer(seen)).await;
    let names = names(|turn| if turn % 2 == 0 { no_such_name() } else { these(vec![address("127.0.0.1")]) });
    let host = format!("registry.test:{}", server.address.port());
    let mut registries = RegistriesConfig::default();
    registries.insecure(&host).unwrap();
    let asked = Arc::clone(&names);
    let options = RegistryOptions { registries, timeouts: TIMEOUTS, names: Some(names), ..RegistryOptions::default() };
    let client = HttpRegistry::new(options).unwrap();
    let repository = format!("{host}/app").parse().unwrap();
    for _ in 0..2 {
        let error = client.referrers(&repository, &subject, NOTATION, &anonymous()).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
        assert!(error.to_string().contains("name resolution failed"), "{error}");
        // It is left alone for a moment: a name server is not asked without end either.
        let before = asked.0.load(Ordering::SeqCst);
        let error = client.referrers(&repository, &subject, NOTATION, &anonymous()).await.unwrap_err();
        assert_eq!(asked.0.load(Ordering::SeqCst), before);
        tokio::time::sleep(error.retry_after().expect("it says when to come back")).await;
        assert_eq!(client.referrers(&repository, &subject, NOTATION, &anonymous()).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_name_server_that_does_not_answer_reaches_the_time_limit() {
    let timeouts = Timeouts { connect: Duration::from_millis(200), ..TIMEOUTS };
    let silent = names(|_| Box::pin(std::future::pending()));
    let options = RegistryOptions { timeouts, names: Some(silent), ..RegistryOptions::default() };
    let error = resolve(options, "registry.test/app").await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }) && error.to_string().contains("time limit"), "{error}");
}
