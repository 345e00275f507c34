// SPDX-License-Identifier: Apache-2.0
//! The operator's cloud identities at a registry: which one serves it, and the way to its token servers.

use bytes::Bytes;
use reqwest::{Method, Url};

use super::Inner;
use super::token::{check_token_status, encode};
use super::transport::{Body, Limit, Request};
use crate::cloud::{Boxed, CloudWire};
use crate::credentials::Credential;
use crate::egress::Reach;
use crate::error::{At, Error, Operation};
use crate::limits::{CLOUD_REFUSAL_LIFE, MAX_TOKEN_RESPONSE_BYTES};
use crate::mirrors::{Endpoint, host_of};

impl Inner {
    /// The credential of the first identity that serves this endpoint; `None` if none does, or if the cloud or the
    /// registry does not take it.
    ///
    /// # Errors
    /// What went wrong on the way, except a refusal.
    pub(super) async fn cloud_credential(&self, endpoint: &Endpoint) -> Result<Option<Credential>, Error> {
        let registry = endpoint.host();
        let Some(identity) = self.identities.iter().find(|identity| identity.serves(registry)) else {
            return Ok(None);
        };
        let key = registry.to_owned();
        if let Some(credential) = self.cloud_credentials.recall(&key) {
            return Ok(credential);
        }
        let wire = Wire { inner: self, endpoint };
        match identity.credential(registry, &wire).await {
            Ok((credential, life)) => {
                self.cloud_credentials.remember(key, Some(credential.clone()), life);
                Ok(Some(credential))
            }
            // A registry of somebody else's, perhaps one that everybody may read.
            Err(error @ (Error::Unauthorized { .. } | Error::Forbidden { .. })) => {
                self.cloud_credentials.remember(key, None, CLOUD_REFUSAL_LIFE);
                tracing::info!(registry, identity = identity.name(), %error, "identity refused; asking anonymously");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

struct Wire<'a> {
    inner: &'a Inner,
    endpoint: &'a Endpoint,
}

impl Wire<'_> {
    async fn post(&self, url: Url, reach: Reach, form: &[(&str, &str)]) -> Result<Bytes, Error> {
        let at = At { registry: self.endpoint.host().to_owned(), operation: Operation::Token };
        if url.scheme() != "https" && !self.inner.registries.is_plain_http(&url) {
            return Err(Error::malformed(&at, "a token server has to be asked by https"));
        }
        let server = host_of(&url);
        let reach = self.inner.transport.check(&at, &url, reach)?;
        let request = Request {
            method: Method::POST,
            url,
            accept: "application/json".to_owned(),
            authorization: None,
            unless: None,
            body: Some(Body::form(encode(form))),
            reach,
            led_by: None,
            account: None,
            limit: Limit { bytes: MAX_TOKEN_RESPONSE_BYTES, what: "token response" },
            redirects: 0,
        };
        let answer = self.inner.transport.exchange(&at, request).await?;
        check_token_status(&at, &server, &answer)?;
        Ok(answer.body)
    }
}

impl CloudWire for Wire<'_> {
    fn post_to_cloud<'a>(&'a self, url: &'a str, form: &'a [(&'a str, &'a str)]) -> Boxed<'a, Result<Bytes, Error>> {
        Box::pin(async move {
            let at = At { registry: self.endpoint.host().to_owned(), operation: Operation::Token };
            let url = Url::parse(url).map_err(|_| Error::malformed(&at, "the cloud's token server is no URL"))?;
            // The operator's own environment names it, so it may be at any address.
            self.post(url, Reach::Named, form).await
        })
    }

    fn post_to_registry<'a>(
        &'a self,
        path: &'a str,
        form: &'a [(&'a str, &'a str)],
    ) -> Boxed<'a, Result<Bytes, Error>> {
        Box::pin(async move {
            let mut url = self.endpoint.base().clone();
            url.set_path(path);
            self.post(url, Reach::Registry, form).await
        })
    }
}
