// SPDX-License-Identifier: Apache-2.0
//! The HTTP clients: one for each reach, for each way to speak TLS, and for the way through a proxy.
//!
//! A connection belongs to the client that opened it. So none that one reach may open is used by another, and none is
//! used that was opened with another host's certificate authorities or key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::{Client, Proxy, Url};

use super::Timeouts;
use super::transport::install_crypto;
use crate::egress::{Guard, GuardedResolver, NameLookup, Reach};
use crate::error::printable;
use crate::limits::{
    HTTP2_CONNECTION_WINDOW, HTTP2_STREAM_WINDOW, IDLE_CONNECTION_LIFE, MAX_HEADER_LINES, MAX_HEADER_LIST_BYTES,
};
use crate::mirrors::{TlsSettings, TlsTable};
use crate::proxies::Proxies;

/// By what a server's certificate is checked, and with what we show who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Trust {
    /// The system's certificate authorities.
    System,
    /// Everything that `registries.yaml` says for this host.
    Own(usize),
    /// The certificate authorities of the registry that led here; neither its client certificate nor its leave to check
    /// nothing.
    AuthoritiesOf(usize),
}

/// What tells one client from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Kind {
    /// `None` through a proxy: the proxy resolves names, and its own address is the operator's choice.
    reach: Option<Reach>,
    trust: Trust,
}

/// All HTTP clients, each made when it is first needed. Their number is bounded by
/// [`crate::limits::MAX_TLS_SETTINGS`].
pub(super) struct Clients {
    guard: Arc<Guard>,
    names: Arc<dyn NameLookup>,
    timeouts: Timeouts,
    user_agent: String,
    tls: TlsTable,
    proxies: Proxies,
    made: Mutex<HashMap<Kind, Client>>,
}

impl Clients {
    /// # Errors
    /// What the HTTP client says, of the system or of a `tls` setting.
    pub(super) fn new(
        guard: Arc<Guard>,
        names: Arc<dyn NameLookup>,
        timeouts: Timeouts,
        user_agent: &str,
        tls: TlsTable,
        proxies: Proxies,
    ) -> Result<Self, String> {
        install_crypto();
        let made = Mutex::default();
        let clients = Self { guard, names, timeouts, user_agent: user_agent.to_owned(), tls, proxies, made };
        // What is wrong with a setting is said at the start, and not when its host is first asked.
        let default = clients.tls.default().map_or(Trust::System, Trust::Own);
        clients.client(Kind { reach: Some(Reach::Registry), trust: default })?;
        for index in 0..clients.tls.len() {
            clients.client(Kind { reach: Some(Reach::Named), trust: Trust::Own(index) })?;
        }
        Ok(clients)
    }

    /// The client for a URL. `led_by` is the registry that led there, if another did.
    ///
    /// # Errors
    /// What the HTTP client says.
    pub(super) fn choose(&self, url: &Url, reach: Reach, led_by: Option<&Url>) -> Result<Client, String> {
        let reach = self.proxies.proxy_for(url).is_none().then_some(reach);
        let trust = if url.scheme() == "https" { self.trust(url, led_by) } else { Trust::System };
        self.client(Kind { reach, trust })
    }

    /// The proxy through which a URL is asked.
    pub(super) fn proxy_for(&self, url: &Url) -> Option<&Url> {
        self.proxies.proxy_for(url)
    }

    fn trust(&self, url: &Url, led_by: Option<&Url>) -> Trust {
        if let Some(own) = self.tls.own(url) {
            return Trust::Own(own);
        }
        match led_by {
            Some(registry) => self.tls.own(registry).or(self.tls.default()).map_or(Trust::System, Trust::AuthoritiesOf),
            None => self.tls.default().map_or(Trust::System, Trust::Own),
        }
    }

    fn client(&self, kind: Kind) -> Result<Client, String> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = made.get(&kind) {
            return Ok(client.clone());
        }
        let client = self.build(kind)?;
        made.insert(kind, client.clone());
        Ok(client)
    }

    fn build(&self, kind: Kind) -> Result<Client, String> {
        let settings = match kind.trust {
            Trust::System => None,
            Trust::Own(index) => self.tls.settings(index).cloned(),
            Trust::AuthoritiesOf(index) => self.tls.settings(index).map(TlsSettings::authorities_alone),
        };
        let settings = settings.unwrap_or_default();
        let builder = || self.builder(kind, &settings);
        let with_system = builder()?.tls_certs_merge(settings.authorities());
        with_system.build().or_else(|error| {
            // A bare container has no CA certificates; registries over plain HTTP still work there.
            let without = builder()?.tls_certs_only(settings.authorities()).build();
            let without = without.map_err(|error| in_full(&error))?;
            tracing::warn!(error = in_full(&error), "no CA certificates of this system could be loaded");
            Ok(without)
        })
    }

    fn builder(&self, kind: Kind, settings: &TlsSettings) -> Result<reqwest::ClientBuilder, String> {
        let mut builder = Client::builder()
            .user_agent(&self.user_agent)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(self.timeouts.connect)
            .read_timeout(self.timeouts.read)
            .pool_idle_timeout(IDLE_CONNECTION_LIFE)
            .http1_max_headers(MAX_HEADER_LINES)
            .http2_max_header_list_size(MAX_HEADER_LIST_BYTES)
            .http2_initial_stream_window_size(HTTP2_STREAM_WINDOW)
            .http2_initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
            .tls_danger_accept_invalid_certs(settings.is_unchecked);
        if let Some(identity) = settings.identity() {
            builder = builder.identity(identity);
        }
        // Through a proxy, the only name that is resolved here is the proxy's.
        let reach = kind.reach.unwrap_or(Reach::Named);
        if kind.reach.is_none() {
            let refuse = |error: reqwest::Error| in_full(&error);
            if let Some(url) = self.proxies.http() {
                builder = builder.proxy(Proxy::http(url.clone()).map_err(refuse)?);
            }
            if let Some(url) = self.proxies.https() {
                builder = builder.proxy(Proxy::https(url.clone()).map_err(refuse)?);
            }
        }
        let resolver = GuardedResolver { guard: Arc::clone(&self.guard), reach, names: Arc::clone(&self.names) };
        Ok(builder.dns_resolver(resolver))
    }
}

/// The client's own message for a builder error is short; the cause says what is wrong.
fn in_full(error: &reqwest::Error) -> String {
    let cause = std::error::Error::source(error).map_or(String::new(), |cause| format!(": {cause}"));
    printable(&format!("{error}{cause}"))
}
