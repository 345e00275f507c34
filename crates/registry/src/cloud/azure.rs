// SPDX-License-Identifier: Apache-2.0
//! Azure workload identity: the pod's projected token → a token of Microsoft Entra → a refresh token of the registry.
//!
//! Source: the Microsoft identity platform's client credentials flow with a federated credential, and Azure Container
//! Registry's `POST /oauth2/exchange` (Azure/acr, `docs/AAD-OAuth.md`). The variables are those that the workload
//! identity webhook sets.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::{Boxed, CloudIdentity, CloudWire};
use crate::credentials::Credential;
use crate::descriptor::Object;
use crate::error::{At, Error, Operation};
use crate::limits::{MAX_TOKEN_BYTES, MAX_TOKEN_LIFE};
use crate::reference::Repository;

/// For what the token of Microsoft Entra is asked.
const SCOPE: &str = "https://containerregistry.azure.net/.default";
/// How a projected token is presented: RFC 7523, section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Where Microsoft Entra is, unless the environment says otherwise.
const PUBLIC_AUTHORITY: &str = "https://login.microsoftonline.com/";
/// The domain of Azure's registries.
const PUBLIC_DOMAIN: &str = ".azurecr.io";

/// The workload identity of this pod. `Debug` shows no token.
#[derive(Clone)]
pub struct AzureIdentity {
    authority: String,
    tenant: String,
    client: String,
    token_file: PathBuf,
    /// The hosts that the operator lists; empty means every registry of Azure's public cloud.
    registries: BTreeSet<String>,
}

impl fmt::Debug for AzureIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureIdentity")
            .field("authority", &self.authority)
            .field("registries", &self.registries)
            .finish_non_exhaustive()
    }
}

/// Why there is no workload identity to use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AzureIdentityError {
    /// The webhook did not set a variable: the service account is not set up for it.
    #[error(
        "{variable} is not set; label the pod azure.workload.identity/use: \"true\" and annotate its service account \
         with the client ID"
    )]
    Missing {
        /// The variable.
        variable: &'static str,
    },
    /// A tenant that is no part of a path.
    #[error("AZURE_TENANT_ID is not a tenant's ID or domain")]
    Tenant,
    /// A registry that is not `host[:port]`.
    #[error("{registry:?} is not a registry's host[:port]")]
    Registry {
        /// What was given.
        registry: String,
    },
}

impl AzureIdentity {
    /// From the variables of the workload identity webhook (`AZURE_CLIENT_ID`, `AZURE_TENANT_ID`,
    /// `AZURE_FEDERATED_TOKEN_FILE`, `AZURE_AUTHORITY_HOST`). `registries` are the hosts at which it is used; without
    /// any, `NAME.azurecr.io` for every name.
    ///
    /// # Errors
    /// See [`AzureIdentityError`].
    pub fn new(variable: impl Fn(&str) -> Option<String>, registries: &[String]) -> Result<Self, AzureIdentityError> {
        let given = |name: &str| variable(name).filter(|value| !value.is_empty());
        let needed = |name: &'static str| given(name).ok_or(AzureIdentityError::Missing { variable: name });
        let tenant = needed("AZURE_TENANT_ID")?;
        if !tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
            || tenant.contains("..")
        {
            return Err(AzureIdentityError::Tenant);
        }
        let registries = registries.iter().map(|registry| {
            let repository = Repository::at(registry, "x");
            let refuse = |_| AzureIdentityError::Registry { registry: registry.clone() };
            repository.map(|repository| repository.registry().to_ascii_lowercase()).map_err(refuse)
        });
        Ok(Self {
            authority: given("AZURE_AUTHORITY_HOST").unwrap_or_else(|| PUBLIC_AUTHORITY.to_owned()),
            tenant,
            client: needed("AZURE_CLIENT_ID")?,
            token_file: needed("AZURE_FEDERATED_TOKEN_FILE")?.into(),
            registries: registries.collect::<Result<_, _>>()?,
        })
    }

    async fn exchange(&self, registry: &str, wire: &dyn CloudWire) -> Result<(Credential, Duration), Error> {
        let at = At { registry: registry.to_owned(), operation: Operation::Token };
        let assertion = self.assertion(&at)?;
        let url = format!("{}/{}/oauth2/v2.0/token", self.authority.trim_end_matches('/'), self.tenant);
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &self.client),
            ("scope", SCOPE),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", &assertion),
        ];
        let entra: EntraAnswer = parse(&at, "Microsoft Entra", &wire.post_to_cloud(&url, &form).await?)?;
        let form = [
            ("grant_type", "access_token"),
            ("service", registry),
            ("tenant", &self.tenant),
            ("access_token", &entra.access_token),
        ];
        let answer: ExchangeAnswer =
            parse(&at, "the registry's token exchange", &wire.post_to_registry("/oauth2/exchange", &form).await?)?;
        // A refresh token lives for three hours; whoever loses access shall lose it sooner.
        let life = entra.expires_in.map_or(MAX_TOKEN_LIFE, Duration::from_secs).min(MAX_TOKEN_LIFE);
        Ok((Credential::IdentityToken { token: answer.refresh_token }, life))
    }

    /// The pod's token. The kubelet renews the file, so it is read each time.
    fn assertion(&self, at: &At) -> Result<String, Error> {
        let refuse = |what: &str| {
            let detail = format!("AZURE_FEDERATED_TOKEN_FILE {}: {what}", self.token_file.display());
            Error::unavailable(at, detail)
        };
        let file = std::fs::File::open(&self.token_file).map_err(|error| refuse(&error.to_string()))?;
        let mut text = String::new();
        let most = u64::try_from(MAX_TOKEN_BYTES).unwrap_or(u64::MAX).saturating_add(1);
        file.take(most).read_to_string(&mut text).map_err(|error| refuse(&error.to_string()))?;
        if text.len() > MAX_TOKEN_BYTES || text.trim().is_empty() {
            return Err(refuse("is empty or too large to be a token"));
        }
        Ok(text.trim().to_owned())
    }
}

impl CloudIdentity for AzureIdentity {
    fn name(&self) -> &'static str {
        "Azure workload identity"
    }

    fn serves(&self, registry: &str) -> bool {
        if !self.registries.is_empty() {
            return self.registries.contains(registry);
        }
        // 5 to 50 letters and digits; newer ones have a hash behind a hyphen. No port, and nothing before or behind.
        registry.strip_suffix(PUBLIC_DOMAIN).is_some_and(|name| {
            (5..=63).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
    }

    fn credential<'a>(
        &'a self,
        registry: &'a str,
        wire: &'a dyn CloudWire,
    ) -> Boxed<'a, Result<(Credential, Duration), Error>> {
        Box::pin(self.exchange(registry, wire))
    }
}

#[derive(Deserialize)]
struct EntraAnswer {
    access_token: String,
    expires_in: Option<u64>,
}

#[derive(Deserialize)]
struct ExchangeAnswer {
    refresh_token: String,
}

fn parse<T: for<'de> Deserialize<'de>>(at: &At, whose: &str, body: &[u8]) -> Result<T, Error> {
    // The parser's own message may quote a token.
    let answer: Result<Object<T>, _> = serde_json::from_slice(body);
    answer.map(|Object(answer)| answer).map_err(|_| Error::malformed(at, format!("{whose} answered without a token")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Option<String> {
        let value = match name {
            "AZURE_CLIENT_ID" => "client",
            "AZURE_TENANT_ID" => "0000-1111",
            "AZURE_FEDERATED_TOKEN_FILE" => "/nowhere/token",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn identity(registries: &[&str]) -> AzureIdentity {
        let registries: Vec<String> = registries.iter().map(|registry| (*registry).to_owned()).collect();
        AzureIdentity::new(variable, &registries).unwrap()
    }

    #[test]
    fn the_identity_is_shown_to_azures_registries_alone() {
        let everywhere = identity(&[]);
        for registry in ["contoso.azurecr.io", "contoso-d3f5a1.azurecr.io"] {
            assert!(everywhere.serves(registry), "{registry}");
        }
        for registry in [
            "contoso.azurecr.io.evil.test",
            "contosoazurecr.io",
            "evil.test",
            "azurecr.io",
            ".azurecr.io",
            "a.b.azurecr.io",
            "contoso.azurecr.io:443",
            "contoso.azurecr.io:5000",
            "contoso.azurecr.cn",
            "evil.test/contoso.azurecr.io",
            "evil.test#.azurecr.io",
        ] {
            assert!(!everywhere.serves(registry), "{registry}");
        }
    }

    #[test]
    fn a_list_of_registries_is_all_there_is() {
        let listed = identity(&["Contoso.azurecr.cn", "registry.contoso.test:5000"]);
        assert!(listed.serves("contoso.azurecr.cn") && listed.serves("registry.contoso.test:5000"));
        assert!(!listed.serves("contoso.azurecr.io") && !listed.serves("registry.contoso.test"));
    }

    #[test]
    fn what_is_missing_or_malformed_is_said_at_the_start() {
        for name in ["AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE"] {
            let without = |asked: &str| variable(asked).filter(|_| asked != name);
            let error = AzureIdentity::new(without, &[]).unwrap_err();
            assert_eq!(error, AzureIdentityError::Missing { variable: name });
        }
        for tenant in ["../x", "a/b", "a?b", "a#b", "..", "a b"] {
            let with = |asked: &str| if asked == "AZURE_TENANT_ID" { Some(tenant.to_owned()) } else { variable(asked) };
            assert_eq!(AzureIdentity::new(with, &[]).unwrap_err(), AzureIdentityError::Tenant, "{tenant}");
        }
        let error = AzureIdentity::new(variable, &["https://x".to_owned()]).unwrap_err();
        assert!(matches!(error, AzureIdentityError::Registry { .. }));
    }
}
