// SPDX-License-Identifier: Apache-2.0

use sealwatch_registry::{Credentials, Error, HttpRegistry, RegistriesConfig, Registry, Target};

use crate::fixture::{NOTATION, Signed, anonymous, app, client, configured, login};
use crate::scripted::{Body, Script, Seen, Server};

/// base64("joe:s3cret")
const JOE: &str = "Basic am9lOnMzY3JldA==";

/// A registry that serves the signed image to whoever shows `token`, and points everybody else to `realm`.
async fn bearer_registry(realm: String, token: &'static str) -> Server {
    let signed = Signed::new();
    Server::start("127.0.0.1", move |seen: &Seen| {
        if seen.header("authorization") == Some(&format!("Bearer {token}")) {
            signed.answer(seen)
        } else {
            let challenge = format!(r#"Bearer realm="{realm}",service="reg.test",scope="repository:app:pull,push""#);
            Script::error(401, "UNAUTHORIZED").with("WWW-Authenticate", challenge)
        }
    })
    .await
}

/// A registry that is its own token server.
async fn own_tokens(answer: impl Fn(&Seen) -> Script + Send + Sync + 'static) -> Server {
    let signed = Signed::new();
    Server::start("127.0.0.1", move |seen: &Seen| {
        if seen.path() == "/token" {
            answer(seen)
        } else if seen.header("authorization") == Some("Bearer good") {
            signed.answer(seen)
        } else {
            let realm = format!("http://{}/token", seen.header("host").unwrap());
            Script::status(401).with("WWW-Authenticate", format!(r#"Bearer realm="{realm}",service="reg.test""#))
        }
    })
    .await
}

async fn resolve(client: &HttpRegistry, server: &Server, credentials: &Credentials) -> Result<(), Error> {
    let target = Target::Digest(Signed::new().subject());
    client.resolve(&app(server), &target, credentials).await.map(|_| ())
}

fn token(json: &str) -> Script {
    Script::new(200, "application/json", json)
}

#[tokio::test]
async fn a_token_is_asked_once_and_used_for_all_that_follows() {
    let tokens = Server::start("127.0.0.2", |_: &Seen| token(r#"{"token":"good","expires_in":300}"#)).await;
    let server = bearer_registry(format!("http://{}/token", tokens.host()), "good").await;
    let (client, joe) = (client(&[&server, &tokens]), login(&[(&server.host(), "joe", "s3cret")]));
    resolve(&client, &server, &joe).await.unwrap();
    client.referrers(&app(&server), &Signed::new().subject(), NOTATION, &joe).await.unwrap();
    assert_eq!(tokens.seen().len(), 1);
    assert_eq!(server.seen().len(), 3, "{:?}", server.lines());
    let seen = tokens.seen().remove(0);
    assert_eq!(seen.header("authorization"), Some(JOE));
    assert_eq!(seen.target, "/token?account=joe&service=reg.test&scope=repository%3Aapp%3Apull");
    // The password itself went to the token server alone.
    assert!(server.seen().iter().all(|seen| seen.header("authorization").is_none_or(|sent| sent == "Bearer good")));
}

#[tokio::test]
async fn tokens_are_kept_apart_by_credential_and_repository() {
    let server = own_tokens(|_| token(r#"{"access_token":"good"}"#)).await;
    let client = client(&[&server]);
    let count = || server.seen().iter().filter(|seen| seen.path() == "/token").count();
    resolve(&client, &server, &anonymous()).await.unwrap();
    resolve(&client, &server, &anonymous()).await.unwrap();
    assert_eq!(count(), 1);
    resolve(&client, &server, &login(&[(&server.host(), "joe", "s3cret")])).await.unwrap();
    assert_eq!(count(), 2);
    resolve(&client, &server, &login(&[(&server.host(), "ann", "s3cret")])).await.unwrap();
    assert_eq!(count(), 3);
    let other = format!("{}/other", server.host()).parse().unwrap();
    client.resolve(&other, &Target::Tag("v1".to_owned()), &anonymous()).await.unwrap_err();
    assert_eq!(count(), 4);
}

#[tokio::test]
async fn a_token_that_the_registry_no_longer_takes_is_fetched_anew_once() {
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let signed = Signed::new();
    // The registry takes each token for one request.
    let server = Server::start("127.0.0.1", move |seen: &Seen| {
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        if seen.path() == "/token" {
            token(&format!(r#"{{"token":"t{}"}}"#, call + 1))
        } else if seen.header("authorization") == Some(&format!("Bearer t{call}")) {
            signed.answer(seen)
        } else {
            let realm = format!("http://{}/token", seen.header("host").unwrap());
            Script::status(401).with("WWW-Authenticate", format!(r#"Bearer realm="{realm}""#))
        }
    })
    .await;
    let client = client(&[&server]);
    resolve(&client, &server, &anonymous()).await.unwrap();
    server.forget();
    resolve(&client, &server, &anonymous()).await.unwrap();
    let paths: Vec<_> = server.seen().iter().map(|seen| seen.path() == "/token").collect();
    assert_eq!(paths, [false, true, false]);
}

#[tokio::test]
async fn a_refused_token_is_unauthorized_and_does_not_loop() {
    let server = own_tokens(|_| token(r#"{"token":"bad"}"#)).await;
    let error = resolve(&client(&[&server]), &server, &anonymous()).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn who_shows_nothing_is_told_what_is_missing_and_who_shows_something_that_it_was_refused() {
    let by_token_server = own_tokens(|_| Script::status(401)).await;
    let by_registry = own_tokens(|_| token(r#"{"token":"nobodys"}"#)).await;
    let by_password =
        Server::start("127.0.0.1", |_: &Seen| Script::status(401).with("WWW-Authenticate", "Basic")).await;
    for server in [by_token_server, by_registry, by_password] {
        let client = client(&[&server]);
        let missing = resolve(&client, &server, &anonymous()).await.unwrap_err().to_string();
        assert!(missing.ends_with("no pull secret or registries.yaml entry that may be used fits"), "{missing}");
        let joe = login(&[(&server.host(), "joe", "s3cret")]);
        let refused = resolve(&client, &server, &joe).await.unwrap_err().to_string();
        assert!(refused.ends_with("refused the credential"), "{refused}");
    }
}

#[tokio::test]
async fn every_bad_answer_of_a_token_server_has_its_error() {
    let redirect = Script::status(307).with("Location", "/elsewhere");
    let cases: [(Script, &str); 11] = [
        (Script::status(401), "unauthorized"),
        (Script::status(400), "unauthorized"),
        (Script::status(403), "forbidden"),
        (Script::status(429), "throttled"),
        (Script::status(500), "unavailable"),
        (redirect, "redirects"),
        (token("<html>"), "not JSON"),
        (token("[]"), "not JSON"),
        (token("{}"), "no token"),
        (token(r#"{"token":"a\nb"}"#), "no header value"),
        (
            Script::status(200).body(Body::Chunked { chunk: vec![b' '; 1024], times: 65 }),
            "token response is larger than 65536",
        ),
    ];
    for (answer, expected) in cases {
        let server = own_tokens(move |_| answer.clone()).await;
        let joe = login(&[(&server.host(), "joe", "s3cret")]);
        let error = resolve(&client(&[&server]), &server, &joe).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
}

#[tokio::test]
async fn a_realm_elsewhere_is_refused_before_credentials_leave() {
    let other = Server::start("127.0.0.2", |_: &Seen| token(r#"{"token":"good"}"#)).await;
    let refused: [(String, &str); 7] = [
        (format!("http://{}/token", other.host()), "neither https nor the registry itself"),
        (format!("https://{}/token", other.host()), "egress"),
        ("https://[::1]/".to_owned(), "egress"),
        ("https://2130706433/".to_owned(), "egress"),
        ("file:///etc/passwd".to_owned(), "neither https"),
        ("https://joe@token.test/".to_owned(), "without credentials"),
        ("::".to_owned(), "not a URL"),
    ];
    for (realm, expected) in refused {
        let server = bearer_registry(realm.clone(), "good").await;
        let joe = login(&[(&server.host(), "joe", "s3cret")]);
        let error = resolve(&client(&[&server]), &server, &joe).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{realm}: {error}");
    }
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn basic_is_sent_when_asked_for_and_at_once_thereafter() {
    let signed = Signed::new();
    let server = Server::start("127.0.0.1", move |seen: &Seen| {
        if seen.header("authorization") == Some(JOE) {
            signed.answer(seen)
        } else {
            Script::status(401).with("WWW-Authenticate", r#"Basic realm="registry""#)
        }
    })
    .await;
    let (client, joe) = (client(&[&server]), login(&[(&server.host(), "joe", "s3cret")]));
    resolve(&client, &server, &joe).await.unwrap();
    resolve(&client, &server, &joe).await.unwrap();
    let sent: Vec<_> = server.seen().iter().map(|seen| seen.header("authorization").is_some()).collect();
    assert_eq!(sent, [false, true, true]);
    let error = resolve(&client, &server, &anonymous()).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
}

#[tokio::test]
async fn several_credentials_are_tried_in_order_and_those_of_other_hosts_never() {
    let signed = Signed::new();
    let server = Server::start("127.0.0.1", move |seen: &Seen| match seen.header("authorization") {
        Some(JOE) => signed.answer(seen),
        Some(_) => Script::error(403, "DENIED"),
        None => Script::status(401).with("WWW-Authenticate", "Basic realm=x"),
    })
    .await;
    let host = server.host();
    let credentials = login(&[("other.test", "eve", "x"), (&host, "ann", "x"), (&host, "joe", "s3cret")]);
    resolve(&client(&[&server]), &server, &credentials).await.unwrap();
    let sent: Vec<_> =
        server.seen().iter().filter_map(|seen| seen.header("authorization").map(str::to_owned)).collect();
    assert_eq!(sent, ["Basic YW5uOng=", JOE]);
    let error = resolve(&client(&[&server]), &server, &login(&[(&host, "ann", "x")])).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden { .. }), "{error}");
}

#[tokio::test]
async fn an_identity_token_goes_into_the_body_of_a_refresh() {
    let server = own_tokens(|_| token(r#"{"access_token":"good"}"#)).await;
    let secret = format!(r#"{{"{}":{{"identitytoken":"ref&resh"}}}}"#, server.host());
    let credentials = Credentials::from_docker_cfg(secret.as_bytes()).unwrap();
    resolve(&client(&[&server]), &server, &credentials).await.unwrap();
    let seen = server.seen().into_iter().find(|seen| seen.path() == "/token").unwrap();
    assert_eq!((seen.method.as_str(), seen.target.as_str(), seen.header("authorization")), ("POST", "/token", None));
    assert_eq!(
        seen.body,
        "service=reg.test&scope=repository%3Aapp%3Apull&grant_type=refresh_token&client_id=sealwatch&refresh_token=ref%26resh"
    );
}

#[tokio::test]
async fn the_operators_credential_is_the_last_and_can_be_left_out() {
    let signed = Signed::new();
    let server = Server::start("127.0.0.1", move |seen: &Seen| match seen.header("authorization") {
        Some(JOE) => signed.answer(seen),
        _ => Script::status(401).with("WWW-Authenticate", "Basic realm=x"),
    })
    .await;
    let host = server.host();
    let yaml = format!(
        "mirrors: {{'{host}': {{endpoint: ['http://{host}']}}}}\n\
         configs: {{'{host}': {{auth: {{username: joe, password: s3cret}}}}}}"
    );
    let client = configured(RegistriesConfig::parse(yaml.as_bytes()).unwrap());
    resolve(&client, &server, &login(&[(&host, "ann", "x")])).await.unwrap();
    let error = resolve(&client, &server, &anonymous().without_operator_credentials()).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
}
