// SPDX-License-Identifier: Apache-2.0

use sealwatch_registry::{Error, Registry};

use crate::fixture::{ENVELOPE, anonymous, app, client, descriptor, login};
use crate::scripted::{Script, Seen, Server};

const JOE: &str = "Basic am9lOnMzY3JldA==";

/// A registry that wants joe's password and then redirects blobs to `location`.
async fn redirecting(location: String) -> Server {
    Server::start("127.0.0.1", move |seen: &Seen| match seen.header("authorization") {
        Some(JOE) => Script::status(307).with("Location", location.clone()),
        _ => Script::status(401).with("WWW-Authenticate", "Basic realm=x"),
    })
    .await
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_host_or_port() {
    for host in ["127.0.0.2", "127.0.0.1"] {
        let storage = Server::start(host, |_: &Seen| Script::new(200, "application/octet-stream", ENVELOPE)).await;
        let server = redirecting(format!("http://{}/blob?signature=abc", storage.host())).await;
        let joe = login(&[(&server.host(), "joe", "s3cret"), (&storage.host(), "joe", "s3cret")]);
        let blob = descriptor("application/cose", ENVELOPE);
        let bytes = client(&[&server, &storage]).blob(&app(&server), &blob, &joe).await.unwrap();
        assert_eq!(bytes, ENVELOPE);
        assert_eq!(storage.lines(), ["GET /blob?signature=abc"]);
        assert_eq!(storage.seen()[0].header("authorization"), None);
    }
}

#[tokio::test]
async fn a_challenge_from_where_a_redirect_led_is_not_met() {
    for challenge in ["Basic realm=give", r#"Bearer realm="http://HOST/token""#] {
        let storage = Server::start("127.0.0.2", move |seen: &Seen| {
            let host = seen.header("host").unwrap();
            Script::status(401).with("WWW-Authenticate", challenge.replace("HOST", host))
        })
        .await;
        let location = format!("http://{}/blob", storage.host());
        let server =
            Server::start("127.0.0.1", move |_: &Seen| Script::status(307).with("Location", location.clone())).await;
        let joe = login(&[(&server.host(), "joe", "s3cret")]);
        let blob = descriptor("application/cose", ENVELOPE);
        let error = client(&[&server, &storage]).blob(&app(&server), &blob, &joe).await.unwrap_err();
        assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
        assert_eq!(storage.lines(), ["GET /blob"], "no token is asked there, and nothing is asked again");
    }
}

#[tokio::test]
async fn a_redirect_to_an_internal_address_is_refused_and_nothing_is_sent() {
    let internal = Server::start("127.0.0.2", |_: &Seen| Script::new(200, "text/plain", ENVELOPE)).await;
    for location in [
        format!("http://{}/x", internal.host()),
        format!("http://[::ffff:127.0.0.2]:{}/x", internal.address.port()),
        format!("http://localhost:{}/x", internal.address.port()),
    ] {
        let server =
            Server::start("127.0.0.1", move |_: &Seen| Script::status(302).with("Location", location.clone())).await;
        let blob = descriptor("application/cose", ENVELOPE);
        let error = client(&[&server]).blob(&app(&server), &blob, &anonymous()).await.unwrap_err();
        assert!(
            matches!(&error, Error::EgressRefused { setting, .. } if setting.contains("--allow-egress")),
            "{error}"
        );
    }
    assert!(internal.seen().is_empty());
}

#[tokio::test]
async fn redirects_without_end_or_target_are_refused() {
    let server =
        Server::start("127.0.0.1", |seen: &Seen| Script::status(307).with("Location", format!("{}x", seen.target)))
            .await;
    let blob = descriptor("application/cose", ENVELOPE);
    let error = client(&[&server]).blob(&app(&server), &blob, &anonymous()).await.unwrap_err();
    assert!(error.to_string().contains("more than 3 redirects"), "{error}");
    assert_eq!(server.seen().len(), 4);
    for answer in [
        Script::status(302),
        Script::status(302).with("Location", "http://"),
        Script::status(302).with("Location", "file:///etc/passwd"),
        Script::status(302).with("Location", "http://joe:pw@127.0.0.1/"),
        Script::status(302).with("Location", format!("/{}", "x".repeat(9_000))),
    ] {
        let server = Server::start("127.0.0.1", move |_: &Seen| answer.clone()).await;
        let error = client(&[&server]).blob(&app(&server), &blob, &anonymous()).await.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        assert_eq!(server.seen().len(), 1);
    }
}
