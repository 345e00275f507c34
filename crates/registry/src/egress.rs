// SPDX-License-Identifier: Apache-2.0
//! Which addresses may be asked: checked after name resolution, so that a name that resolves to an internal address
//! gets no further than the address itself.
//!
//! Three kinds of hosts: those that the operator named (anything goes), the registry that a pod names (private ranges
//! are usual there), and whatever a registry or a certificate points to: token servers, redirects, revocation endpoints
//! (public addresses only). Each kind has an HTTP client of its own, so a connection that one kind may open is never
//! reused by another.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::limits::MAX_ADDRESSES;

/// The setting that would allow an address that is nobody's by itself.
const NAME_IT: &str = "name host:port in the file given by --registries, or allow its range with --allow-egress";
/// The setting that would allow a private address behind a redirect, token realm or revocation endpoint.
const ALLOW_IT: &str = "private addresses that a registry or a certificate points to need --allow-egress, or host:port \
                        in the file given by --registries";

/// The setting that would allow a name that only the proxy resolves.
const NAME_ALONE: &str = "name host:port in the file given by --registries";

/// A range of addresses, `address/prefix`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    address: IpAddr,
    prefix: u32,
}

/// Why a text is not a range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// Not `address/prefix`.
    #[error("address range is not address/prefix")]
    Malformed,
    /// The prefix is longer than the address.
    #[error("address range has a prefix beyond {limit}")]
    PrefixTooLong {
        /// Bits of the address.
        limit: u32,
    },
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = text.split_once('/').ok_or(CidrError::Malformed)?;
        let address: IpAddr = address.parse().map_err(|_| CidrError::Malformed)?;
        let prefix = prefix.parse().map_err(|_| CidrError::Malformed)?;
        let limit = if address.is_ipv4() { 32 } else { 128 };
        if prefix > limit { Err(CidrError::PrefixTooLong { limit }) } else { Ok(Self { address, prefix }) }
    }
}

impl Cidr {
    /// Whether `address` lies in the range. An IPv4 range does not hold IPv6 addresses, nor the other way round.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let shift = 32_u32.saturating_sub(self.prefix);
                ours.to_bits().checked_shr(shift) == theirs.to_bits().checked_shr(shift)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let shift = 128_u32.saturating_sub(self.prefix);
                ours.to_bits().checked_shr(shift) == theirs.to_bits().checked_shr(shift)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The future of a name lookup.
pub type Lookup = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// How names become addresses; the default is the system's resolver.
pub trait NameLookup: Send + Sync + 'static {
    /// The addresses of `name`, a host name without port.
    fn lookup(&self, name: &str) -> Lookup;
}

/// The resolver of the operating system.
pub(crate) struct SystemNames;

impl NameLookup for SystemNames {
    fn lookup(&self, name: &str) -> Lookup {
        let name = name.to_owned();
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(addresses.map(|address| address.ip()).take(MAX_ADDRESSES).collect())
        })
    }
}

/// How far a host is trusted with being somewhere internal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reach {
    /// `host:port` that the operator named: any address.
    Named,
    /// The registry that is asked: no loopback, link-local, unspecified or multicast address.
    Registry,
    /// What a registry or a certificate points to: public addresses only.
    Foreign,
}

/// The rules, as the operator's settings extend them.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    pub(crate) allowed: Vec<Cidr>,
    pub(crate) named: BTreeSet<(String, u16)>,
}

impl Guard {
    /// The reach of a host that is asked for `asked` purposes; one that the operator named is [`Reach::Named`].
    pub(crate) fn reach(&self, host: &str, port: u16, asked: Reach) -> Reach {
        if self.named.contains(&(host.to_ascii_lowercase(), port)) { Reach::Named } else { asked }
    }

    /// # Errors
    /// The setting that would allow `address`.
    pub(crate) fn check(&self, reach: Reach, address: IpAddr) -> Result<(), &'static str> {
        let embedded = embedded_ipv4(address);
        let is_allowed = |address| self.allowed.iter().any(|range| range.contains(address));
        if reach == Reach::Named || is_allowed(address) || embedded.is_some_and(|inner| is_allowed(IpAddr::V4(inner))) {
            return Ok(());
        }
        let effective = embedded.map_or(address, IpAddr::V4);
        match kind(effective) {
            Kind::Never => Err(NAME_IT),
            Kind::Private if reach == Reach::Foreign => Err(ALLOW_IT),
            Kind::Private | Kind::Public => Ok(()),
        }
    }
}

impl Guard {
    /// What can be said of a name that a proxy resolves: whether it is one that clouds and clusters keep for themselves.
    /// Literal addresses are checked by [`Guard::check`].
    ///
    /// # Errors
    /// The setting that would allow the name.
    pub(crate) fn check_name(reach: Reach, host: &str) -> Result<(), &'static str> {
        if reach == Reach::Named || host.parse::<Ipv4Addr>().is_ok() || host.starts_with('[') {
            return Ok(());
        }
        match kind_of_name(host.trim_end_matches('.')) {
            Kind::Never => Err(NAME_ALONE),
            Kind::Private if reach == Reach::Foreign => Err(NAME_ALONE),
            Kind::Private | Kind::Public => Ok(()),
        }
    }
}

/// Names of loopback and of metadata services, names without a dot, and domains that are not of the public DNS: RFC
/// 6762 (`local`), RFC 8375 (`home.arpa`), ICANN's `internal`, and Kubernetes' `svc` and `cluster.local`.
fn kind_of_name(name: &str) -> Kind {
    let name = name.to_ascii_lowercase();
    let is_under = |domain: &str| name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let never = [
        "localhost",
        "ip6-localhost",
        "localdomain",
        "metadata.google.internal",
        "metadata.goog",
        "instance-data",
        "instance-data.ec2.internal",
        "metadata",
    ];
    if never.into_iter().any(is_under) {
        Kind::Never
    } else if !name.contains('.') || ["local", "internal", "svc", "home.arpa"].into_iter().any(is_under) {
        Kind::Private
    } else {
        Kind::Public
    }
}

enum Kind {
    /// Loopback, link-local (metadata services among them), unspecified, multicast, broadcast, reserved.
    Never,
    /// RFC 1918, RFC 6598, RFC 4193.
    Private,
    Public,
}

fn kind(address: IpAddr) -> Kind {
    match address {
        IpAddr::V4(v4) => kind_v4(v4),
        IpAddr::V6(v6) => kind_v6(v6),
    }
}

fn kind_v4(address: Ipv4Addr) -> Kind {
    match address.octets() {
        // Alibaba Cloud's metadata service lies in the shared range of RFC 6598.
        [100, 100, 100, 200] | [192, 0, 0, 192] | [0 | 127 | 224..=255, ..] | [169, 254, ..] => Kind::Never,
        [10, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [100, 64..=127, ..]
        | [192, 0, 0 | 2, _]
        | [198, 18..=19, ..] => Kind::Private,
        _ => Kind::Public,
    }
}

fn kind_v6(address: Ipv6Addr) -> Kind {
    match address.segments() {
        // The first is where AWS serves instance metadata, a unique local address.
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]
        | [0, 0, 0, 0, 0, 0, 0, 0 | 1]
        | [0xfe80..=0xfebf | 0xff00..=0xffff, ..] => Kind::Never,
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Kind::Private,
        _ => Kind::Public,
    }
}

/// The IPv4 address inside an IPv6 one: mapped (RFC 4291), NAT64 (RFC 6052), 6to4 (RFC 3056), compatible.
fn embedded_ipv4(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(v6) = address else { return None };
    let join = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high).checked_shl(16).unwrap_or(0) | u32::from(low));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            Some(join(high, low))
        }
        _ => None,
    }
}

/// An address that was refused; travels through the HTTP client as the cause of its error.
#[derive(Clone, Debug, thiserror::Error)]
#[error("egress to {address} refused: {setting}")]
pub(crate) struct Refusal {
    pub(crate) address: IpAddr,
    pub(crate) setting: &'static str,
}

/// Resolves names for one [`Reach`], and lets only addresses through that it may ask.
pub(crate) struct GuardedResolver {
    pub(crate) guard: Arc<Guard>,
    pub(crate) reach: Reach,
    pub(crate) names: Arc<dyn NameLookup>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, reach) = (Arc::clone(&self.guard), self.reach);
        let lookup = self.names.lookup(name.as_str());
        Box::pin(async move {
            let mut refusal = None;
            let mut addresses = Vec::new();
            for address in lookup.await?.into_iter().take(MAX_ADDRESSES) {
                match guard.check(reach, address) {
                    Ok(()) => addresses.push(std::net::SocketAddr::new(address, 0)),
                    Err(setting) => refusal = Some(Refusal { address, setting }),
                }
            }
            match refusal {
                Some(refusal) if addresses.is_empty() => Err(refusal.into()),
                _ => Ok(Box::new(addresses.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reach: Reach, address: &str) -> bool {
        Guard::default().check(reach, address.parse().unwrap()).is_ok()
    }

    #[test]
    fn internal_addresses_are_refused_in_every_spelling() {
        for address in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "169.254.169.254",
            "100.100.100.200",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
        ] {
            assert!(!check(Reach::Registry, address), "{address} as a registry");
            assert!(!check(Reach::Foreign, address), "{address} as what a registry points to");
            assert!(check(Reach::Named, address), "{address} as named by the operator");
        }
    }

    #[test]
    fn private_addresses_are_for_the_registry_itself_only() {
        for address in
            ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fd12::1", "::ffff:10.0.0.1"]
        {
            assert!(check(Reach::Registry, address), "{address}");
            assert!(!check(Reach::Foreign, address), "{address}");
        }
        for address in ["20.0.0.1", "172.32.0.1", "2603:1030::1"] {
            assert!(check(Reach::Foreign, address), "{address}");
        }
    }

    #[test]
    fn an_allowed_range_opens_what_lies_in_it_and_nothing_else() {
        let guard = Guard { allowed: vec!["10.1.0.0/16".parse().unwrap()], ..Guard::default() };
        let check = |address: &str| guard.check(Reach::Foreign, address.parse().unwrap());
        assert_eq!(check("10.1.255.255"), Ok(()));
        assert_eq!(check("::ffff:10.1.0.1"), Ok(()));
        assert_eq!(check("10.2.0.0"), Err(ALLOW_IT));
        assert_eq!(check("127.0.0.1"), Err(NAME_IT));
    }

    #[test]
    fn a_name_that_only_a_proxy_resolves_is_judged_by_itself() {
        for name in ["localhost", "a.LOCALHOST", "metadata.google.internal.", "metadata", "instance-data"] {
            for (reach, is_allowed) in [(Reach::Registry, false), (Reach::Foreign, false), (Reach::Named, true)] {
                assert_eq!(Guard::check_name(reach, name).is_ok(), is_allowed, "{name} as {reach:?}");
            }
        }
        for name in ["registry", "harbor.corp.internal", "printer.local", "app.team.svc", "app.team.svc.cluster.local"]
        {
            assert!(Guard::check_name(Reach::Registry, name).is_ok(), "{name}");
            assert!(Guard::check_name(Reach::Foreign, name).is_err(), "{name}");
        }
        for name in ["registry.example.com", "localhost.example.com", "1.2.3.4", "[2001:db8::1]"] {
            assert!(Guard::check_name(Reach::Foreign, name).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_named_host_is_named_with_its_port_only() {
        let guard = Guard { named: BTreeSet::from([("localhost".to_owned(), 5000)]), ..Guard::default() };
        assert_eq!(guard.reach("LOCALHOST", 5000, Reach::Registry), Reach::Named);
        assert_eq!(guard.reach("localhost", 5001, Reach::Foreign), Reach::Foreign);
    }

    #[test]
    fn ranges_are_parsed_strictly() {
        for text in ["", "10.0.0.0", "10.0.0.0/", "10.0.0/8", "x/8"] {
            assert_eq!(text.parse::<Cidr>(), Err(CidrError::Malformed), "{text}");
        }
        assert_eq!("10.0.0.0/33".parse::<Cidr>(), Err(CidrError::PrefixTooLong { limit: 32 }));
        let all: Cidr = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("255.1.2.3".parse().unwrap()) && !all.contains("::1".parse().unwrap()));
        assert!("::/0".parse::<Cidr>().unwrap().contains("ff::1".parse().unwrap()));
    }
}
