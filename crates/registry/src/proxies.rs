// SPDX-License-Identifier: Apache-2.0
//! HTTP proxies, chosen as Go programs choose them, and so as containerd on the nodes does.
//!
//! Source: `golang.org/x/net/http/httpproxy`. Nothing here reads the environment: the caller passes what
//! `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` hold.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

use crate::egress::Cidr;
use crate::limits::MAX_CONFIG_ENTRIES;

/// Which requests go through which proxy; the default is none. `Debug` shows no password.
#[derive(Clone, Default)]
pub struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    exceptions: Vec<Exception>,
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = |proxy: &Option<Url>| proxy.as_ref().map(host_and_port);
        f.debug_struct("Proxies")
            .field("http", &host(&self.http))
            .field("https", &host(&self.https))
            .field("exceptions", &self.exceptions)
            .finish()
    }
}

/// Why the proxies could not be understood. No message quotes them: they hold passwords.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxiesError {
    /// The URL of a proxy is none that can be used.
    #[error("{variable} is not a URL of an http or https proxy: scheme, host and port")]
    Url {
        /// `HTTP_PROXY` or `HTTPS_PROXY`.
        variable: &'static str,
    },
    /// More entries than [`MAX_CONFIG_ENTRIES`].
    #[error("NO_PROXY has more than {limit} entries")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}

/// One entry of `NO_PROXY`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    All,
    Range(Cidr),
    Address(IpAddr, Option<u16>),
    /// A domain, in lower case without a leading dot, and whether the name itself counts beside what is below it.
    Domain {
        name: String,
        is_itself: bool,
        port: Option<u16>,
    },
}

impl Proxies {
    /// From the values of `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`; an empty one is as good as none.
    ///
    /// # Errors
    /// See [`ProxiesError`]. An entry of `NO_PROXY` that cannot be understood matches nothing, as it does in Go.
    pub fn new(http: &str, https: &str, no_proxy: &str) -> Result<Self, ProxiesError> {
        let entries = no_proxy.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let exceptions: Vec<Exception> =
            entries.filter_map(exception).take(MAX_CONFIG_ENTRIES.saturating_add(1)).collect();
        if exceptions.len() > MAX_CONFIG_ENTRIES {
            return Err(ProxiesError::TooMany { limit: MAX_CONFIG_ENTRIES });
        }
        Ok(Self { http: proxy("HTTP_PROXY", http)?, https: proxy("HTTPS_PROXY", https)?, exceptions })
    }

    /// The proxy by which `url` is asked; `None` is without one. Loopback and `localhost` never go through a proxy.
    pub(crate) fn proxy_for(&self, url: &Url) -> Option<&Url> {
        let proxy = match url.scheme() {
            "http" => self.http.as_ref()?,
            "https" => self.https.as_ref()?,
            _ => return None,
        };
        let (host, port) = (url.host_str()?, url.port_or_known_default()?);
        let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
        let address: Option<IpAddr> = host.parse().ok();
        let is_here = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        let is_exempt = is_here || self.exceptions.iter().any(|exception| exception.covers(&host, address, port));
        (!is_exempt).then_some(proxy)
    }

    pub(crate) fn http(&self) -> Option<&Url> {
        self.http.as_ref()
    }

    pub(crate) fn https(&self) -> Option<&Url> {
        self.https.as_ref()
    }
}

impl Exception {
    fn covers(&self, host: &str, address: Option<IpAddr>, port: u16) -> bool {
        let fits = |wanted: &Option<u16>| wanted.is_none_or(|wanted| wanted == port);
        match self {
            Self::All => true,
            Self::Range(range) => address.is_some_and(|address| range.contains(address)),
            Self::Address(wanted, wanted_port) => address == Some(*wanted) && fits(wanted_port),
            Self::Domain { name, is_itself, port } => {
                let is_below = host.strip_suffix(name.as_str()).is_some_and(|rest| rest.ends_with('.'));
                address.is_none() && fits(port) && (is_below || *is_itself && host == name)
            }
        }
    }
}

fn exception(entry: &str) -> Option<Exception> {
    if entry == "*" {
        return Some(Exception::All);
    }
    if let Ok(range) = entry.parse() {
        return Some(Exception::Range(range));
    }
    if let Ok(address) = entry.trim_start_matches('[').trim_end_matches(']').parse() {
        return Some(Exception::Address(address, None));
    }
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (entry, None),
    };
    if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse() {
        return Some(Exception::Address(address, port));
    }
    let host = host.to_ascii_lowercase();
    let below = host.strip_prefix("*.").or_else(|| host.strip_prefix('.'));
    let name = below.unwrap_or(&host).trim_end_matches('.').to_owned();
    (!name.is_empty()).then_some(Exception::Domain { name, is_itself: below.is_none(), port })
}

/// A proxy's URL; without scheme it is http, as for Go.
fn proxy(variable: &'static str, text: &str) -> Result<Option<Url>, ProxiesError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let refuse = || ProxiesError::Url { variable };
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&text).map_err(|_| refuse())?;
    let is_usable = matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|host| !host.is_empty());
    if is_usable { Ok(Some(url)) } else { Err(refuse()) }
}

/// `host:port` of a proxy, for messages.
pub(crate) fn host_and_port(url: &Url) -> String {
    let port = url.port_or_known_default().map_or(String::new(), |port| format!(":{port}"));
    format!("{}{port}", url.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_proxied(no_proxy: &str, url: &str) -> bool {
        let proxies = Proxies::new("plain.test:3128", "http://secure.test:3129", no_proxy).unwrap();
        proxies.proxy_for(&Url::parse(url).unwrap()).is_some()
    }

    #[test]
    fn what_is_no_proxy_is_refused_and_never_quoted() {
        for text in ["socks5://joe:hunter2@p.test", "ftp://hunter2", "http://", "http://joe:hunter2@", "::hunter2"] {
            for (http, https, variable) in [(text, "", "HTTP_PROXY"), ("", text, "HTTPS_PROXY")] {
                let error = Proxies::new(http, https, "").unwrap_err();
                assert_eq!(error, ProxiesError::Url { variable }, "{text}");
                assert!(!error.to_string().contains("hunter2"), "{error}");
            }
        }
        let many = "a,".repeat(MAX_CONFIG_ENTRIES + 1);
        assert!(matches!(Proxies::new("", "", &many), Err(ProxiesError::TooMany { .. })));
        let proxies = Proxies::new("http://joe:hunter2@p.test:3128", "", "").unwrap();
        assert!(!format!("{proxies:?}").contains("hunter2"), "{proxies:?}");
    }

    #[test]
    fn each_scheme_has_its_own_proxy_and_none_stands_in_for_the_other() {
        let proxies = Proxies::new("", "https://secure.test", "").unwrap();
        let proxy_for = |url: &str| proxies.proxy_for(&Url::parse(url).unwrap()).map(Url::as_str).map(str::to_owned);
        assert_eq!(proxy_for("http://registry.test/"), None);
        assert_eq!(proxy_for("https://registry.test/").as_deref(), Some("https://secure.test/"));
        assert_eq!(Proxies::default().proxy_for(&Url::parse("https://registry.test/").unwrap()), None);
    }

    #[test]
    fn no_proxy_is_understood_as_go_understands_it() {
        for (no_proxy, url, proxied) in [
            ("", "https://registry.test/", true),
            ("*", "https://registry.test/", false),
            ("registry.test", "https://registry.test/", false),
            ("REGISTRY.test.", "https://registry.TEST/", false),
            ("registry.test", "https://a.registry.test/", false),
            ("registry.test", "https://aregistry.test/", true),
            (".registry.test", "https://registry.test/", true),
            (".registry.test", "https://a.registry.test/", false),
            ("*.registry.test", "https://a.registry.test/", false),
            ("*.registry.test", "https://registry.test/", true),
            ("registry.test:5000", "https://registry.test:5000/", false),
            ("registry.test:5000", "https://registry.test/", true),
            ("registry.test:443", "https://registry.test/", false),
            ("registry.test:x", "https://registry.test/", true),
            ("x, ,registry.test ", "https://registry.test/", false),
            ("10.0.0.0/8", "https://10.1.2.3/", false),
            ("10.0.0.0/8", "https://11.1.2.3/", true),
            ("10.0.0.1", "https://10.0.0.1:5000/", false),
            ("10.0.0.1:5000", "https://10.0.0.1/", true),
            ("0.0.0.1", "https://10.0.0.0.1.test/", true),
            ("2001:db8::1", "https://[2001:db8::1]/", false),
            ("[2001:db8::1]:5000", "https://[2001:db8::1]:5000/", false),
            ("", "https://localhost/", true),
        ] {
            // Loopback is no matter of NO_PROXY; see below.
            let expected = proxied && !url.contains("localhost");
            assert_eq!(is_proxied(no_proxy, url), expected, "{no_proxy:?} for {url}");
        }
    }

    #[test]
    fn loopback_never_goes_through_a_proxy() {
        for url in ["https://localhost:5000/", "http://127.0.0.2/", "https://[::1]:5000/", "http://LOCALHOST/"] {
            assert!(!is_proxied("", url), "{url}");
        }
    }

    proptest! {
        #[test]
        fn no_variable_makes_the_parser_panic(http in ".{0,40}", no_proxy in "[a-z0-9.:/,*\\[\\] -]{0,40}") {
            if let Ok(proxies) = Proxies::new(&http, "", &no_proxy) {
                let _ = proxies.proxy_for(&Url::parse("http://registry.test/").unwrap());
            }
        }
    }
}
