// SPDX-License-Identifier: Apache-2.0
//! The operator's Azure identity: scripted Entra and registry, and who must never see any of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sealwatch_registry::{
    AzureIdentity, Credentials, Error, HttpRegistry, RegistriesConfig, Registry, RegistryOptions, Target,
};

use crate::fixture::{Signed, TIMEOUTS, anonymous, app, login};
use crate::scripted::{Script, Seen, Server};

/// base64("joe:s3cret")
const JOE: &str = "Basic am9lOnMzY3JldA==";

fn json(text: &str) -> Script {
    Script::new(200, "application/json", text)
}

async fn entra() -> Server {
    Server::start("127.0.0.2", |_: &Seen| json(r#"{"access_token":"entra-token","expires_in":3600}"#)).await
}

/// A registry that exchanges Entra's token and takes what it gave, or joe's password.
async fn acr() -> Server {
    let signed = Signed::new();
    Server::start("127.0.0.1", move |seen: &Seen| {
        let host = seen.header("host").unwrap();
        match (seen.path(), seen.header("authorization")) {
            ("/oauth2/exchange", _) if seen.body.contains("access_token=entra-token") => {
                json(r#"{"refresh_token":"acr-refresh"}"#)
            }
            ("/oauth2/token", _) if seen.body.contains("refresh_token=acr-refresh") => {
                json(r#"{"access_token":"acr-access"}"#)
            }
            ("/oauth2/token", Some(JOE)) => json(r#"{"access_token":"acr-access"}"#),
            ("/oauth2/exchange" | "/oauth2/token", _) => Script::status(401),
            (_, Some("Bearer acr-access")) => signed.answer(seen),
            _ => Script::status(401)
                .with("WWW-Authenticate", format!(r#"Bearer realm="http://{host}/oauth2/token",service="{host}""#)),
        }
    })
    .await
}

/// A client with an Azure identity for `registry`.
fn client(entra: &Server, registry: &Server, others: &[&Server], folder: &tempfile::TempDir) -> HttpRegistry {
    let token_file = folder.path().join("token");
    let authority = format!("http://{}/", entra.host());
    let variable = |name: &str| match name {
        "AZURE_CLIENT_ID" => Some("client-1".to_owned()),
        "AZURE_TENANT_ID" => Some("tenant-1".to_owned()),
        "AZURE_FEDERATED_TOKEN_FILE" => Some(token_file.display().to_string()),
        "AZURE_AUTHORITY_HOST" => Some(authority.clone()),
        _ => None,
    };
    let identity = AzureIdentity::new(variable, &[registry.host()]).unwrap();
    let mut registries = RegistriesConfig::default();
    for server in [entra, registry].into_iter().chain(others.iter().copied()) {
        registries.insecure(&server.host()).unwrap();
    }
    let identities: Vec<Arc<dyn sealwatch_registry::CloudIdentity>> = vec![Arc::new(identity)];
    let options = RegistryOptions { registries, timeouts: TIMEOUTS, identities, ..RegistryOptions::default() };
    HttpRegistry::new(options).unwrap()
}

fn projected_token() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "projected.pod.token\n").unwrap();
    folder
}

async fn resolve(client: &HttpRegistry, server: &Server, credentials: &Credentials) -> Result<(), Error> {
    let target = Target::Digest(Signed::new().subject());
    client.resolve(&app(server), &target, credentials).await.map(|_| ())
}

#[tokio::test]
async fn the_pods_token_becomes_a_token_of_the_registry_by_the_documented_steps() {
    let (entra, acr, folder) = (entra().await, acr().await, projected_token());
    let client = client(&entra, &acr, &[], &folder);
    resolve(&client, &acr, &anonymous()).await.unwrap();
    let asked = entra.seen().remove(0);
    assert_eq!(asked.line(), "POST /tenant-1/oauth2/v2.0/token");
    for part in [
        "grant_type=client_credentials",
        "client_id=client-1",
        "scope=https%3A%2F%2Fcontainerregistry.azure.net%2F.default",
        "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
        "client_assertion=projected.pod.token",
    ] {
        assert!(asked.body.contains(part), "{part} in {}", asked.body);
    }
    let exchange = acr.seen().into_iter().find(|seen| seen.path() == "/oauth2/exchange").unwrap();
    let host = acr.host().replace(':', "%3A");
    assert_eq!(
        exchange.body,
        format!("grant_type=access_token&service={host}&tenant=tenant-1&access_token=entra-token")
    );
    // Each token goes to the one server that it is for.
    assert!(acr.seen().iter().all(|seen| !seen.body.contains("projected.pod.token")));
    resolve(&client, &acr, &anonymous()).await.unwrap();
    assert_eq!(entra.seen().len(), 1, "once for all that follows");
}

#[tokio::test]
async fn a_pull_secret_comes_before_the_identity() {
    let (entra, acr, folder) = (entra().await, acr().await, projected_token());
    let client = client(&entra, &acr, &[], &folder);
    resolve(&client, &acr, &login(&[(&acr.host(), "joe", "s3cret")])).await.unwrap();
    assert!(entra.seen().is_empty());
    resolve(&client, &acr, &login(&[(&acr.host(), "joe", "wrong")])).await.unwrap();
    assert_eq!(entra.seen().len(), 1, "it is tried where the secret is refused");
}

#[tokio::test]
async fn no_other_registry_and_no_image_that_a_person_named_gets_the_identity() {
    let (entra, acr, folder) = (entra().await, acr().await, projected_token());
    let evil = Server::start("127.0.0.2", |seen: &Seen| {
        let realm = format!("http://{}/oauth2/token", seen.header("host").unwrap());
        Script::status(401).with("WWW-Authenticate", format!(r#"Bearer realm="{realm}",service="contoso.azurecr.io""#))
    })
    .await;
    let client = client(&entra, &acr, &[&evil], &folder);
    let error = resolve(&client, &evil, &anonymous()).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    let error = resolve(&client, &acr, &anonymous().without_operator_credentials()).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    assert!(entra.seen().is_empty());
    for seen in evil.seen().iter().chain(&acr.seen()) {
        assert!(!seen.body.contains("token"), "{seen:?}");
    }
}

#[tokio::test]
async fn an_identity_that_is_refused_leaves_the_anonymous_attempt_and_is_not_shown_at_every_request() {
    let signed = Signed::new();
    let public = Server::start("127.0.0.1", move |seen: &Seen| match seen.path() {
        "/oauth2/exchange" => Script::status(401),
        _ => signed.answer(seen),
    })
    .await;
    let (entra, folder) = (entra().await, projected_token());
    let client = client(&entra, &public, &[], &folder);
    resolve(&client, &public, &anonymous()).await.unwrap();
    resolve(&client, &public, &anonymous()).await.unwrap();
    assert_eq!(entra.seen().len(), 1);
}

#[tokio::test]
async fn a_cloud_that_does_not_answer_is_an_outage_and_no_refusal() {
    let (acr, folder) = (acr().await, projected_token());
    for (answer, expected) in [
        (Script::status(503), "answered 503"),
        (Script::status(429), "throttled"),
        (json("{}"), "without a token"),
        (json("<html>"), "without a token"),
        (Script::status(302).with("Location", "http://127.0.0.2/"), "redirects"),
    ] {
        let entra = Server::start("127.0.0.2", move |_: &Seen| answer.clone()).await;
        let error = resolve(&client(&entra, &acr, &[], &folder), &acr, &anonymous()).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
        assert!(!matches!(error, Error::Unauthorized { .. }), "{error}");
    }
    let entra = entra().await;
    let empty = tempfile::tempdir().unwrap();
    let error = resolve(&client(&entra, &acr, &[], &empty), &acr, &anonymous()).await.unwrap_err();
    assert!(error.to_string().contains("AZURE_FEDERATED_TOKEN_FILE"), "{error}");
}

#[tokio::test]
async fn a_credential_that_the_registry_no_longer_takes_is_asked_for_anew() {
    let calls = AtomicUsize::new(0);
    let signed = Signed::new();
    let acr = Server::start("127.0.0.1", move |seen: &Seen| {
        let host = seen.header("host").unwrap();
        match (seen.path(), seen.header("authorization")) {
            ("/oauth2/exchange", _) => json(r#"{"refresh_token":"acr-refresh"}"#),
            // The first refresh token has ended.
            ("/oauth2/token", _) if calls.fetch_add(1, Ordering::SeqCst) == 0 => Script::status(401),
            ("/oauth2/token", _) => json(r#"{"access_token":"good"}"#),
            (_, Some("Bearer good")) => signed.answer(seen),
            _ => Script::status(401).with("WWW-Authenticate", format!(r#"Bearer realm="http://{host}/oauth2/token""#)),
        }
    })
    .await;
    let (entra, folder) = (entra().await, projected_token());
    let client = client(&entra, &acr, &[], &folder);
    resolve(&client, &acr, &anonymous()).await.unwrap_err();
    resolve(&client, &acr, &anonymous()).await.unwrap();
    assert_eq!(entra.seen().len(), 2);
}
