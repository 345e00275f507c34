// SPDX-License-Identifier: Apache-2.0
//! Secrets are planted everywhere, everything goes well and wrong, and then they are searched for in all that is said.

use std::io::Write;
use std::sync::{Arc, Mutex};

use sealwatch_registry::{
    AzureIdentity, Credentials, Error, HttpRegistry, Proxies, RegistriesConfig, Registry, RegistryOptions, Target,
};
use tracing_subscriber::fmt::MakeWriter;

use crate::fixture::{NOTATION, Signed, TIMEOUTS, app};
use crate::scripted::{Body, Script, Seen, Server};

/// What must be found nowhere, in each form in which it travels.
const PLANTED: [&str; 10] = [
    "planted-password",
    "cGxhbnRlZC11c2VyOnBsYW50ZWQtcGFzc3dvcmQ=", // base64("planted-user:planted-password")
    "planted-identity",
    "planted-operator",
    "planted-bearer",
    "planted-proxy",
    "am9lOnBsYW50ZWQtcHJveHk=", // base64("joe:planted-proxy")
    "planted-pod-token",
    "planted-entra",
    "planted-signature", // in the query of a redirect to blob storage
];

/// Those that travel in another form, or in an answer only.
const ONLY_IN_CONFIGURATION: [&str; 4] = ["planted-password", "planted-operator", "planted-proxy", "planted-signature"];

/// A log that can be read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn pull_secrets(host: &str) -> Credentials {
    let json = format!(
        r#"{{"auths":{{"{host}":{{"username":"planted-user","password":"planted-password"}},
            "{host}/app":{{"identitytoken":"planted-identity"}}}}}}"#
    );
    Credentials::from_docker_config_json(json.as_bytes()).unwrap()
}

/// A registry and token server that answers everything like this once it knows who asks, and repeats to the asker what
/// it was sent.
async fn echoing(answer: Script) -> Server {
    Server::start("127.0.0.1", move |seen: &Seen| {
        let sent = format!("{:?} {}", seen.headers, seen.body);
        let host = seen.header("host").unwrap();
        match (seen.path(), seen.header("authorization")) {
            ("/token", Some(_)) => Script::new(200, "application/json", r#"{"token":"planted-bearer"}"#),
            ("/token", None) => Script::new(400, "application/json", sent),
            ("/tenant/oauth2/v2.0/token", _) => {
                Script::new(200, "application/json", r#"{"access_token":"planted-entra"}"#)
            }
            ("/oauth2/exchange", _) => Script::new(403, "application/json", sent),
            (_, Some(sent)) if sent.starts_with("Bearer") => match answer.body {
                Body::Whole(ref bytes) if bytes.is_empty() => Script::new(answer.status, "text/plain", sent),
                _ => answer.clone(),
            },
            _ => Script::status(401).with("WWW-Authenticate", format!(r#"Bearer realm="http://{host}/token""#)),
        }
    })
    .await
}

/// Everything that a client says of a registry, in errors and in what it shows of itself.
async fn said(server: &Server, folder: &tempfile::TempDir) -> String {
    let host = server.host();
    let yaml = format!(
        "mirrors: {{'{host}': {{endpoint: ['http://{host}']}}}}\n\
         configs: {{'{host}': {{auth: {{username: operator, password: planted-operator}}}}}}"
    );
    let registries = RegistriesConfig::parse(yaml.as_bytes()).unwrap();
    let proxy = format!("http://joe:planted-proxy@{host}");
    let proxies = Proxies::new(&proxy, &proxy, "").unwrap();
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, "planted-pod-token").unwrap();
    let identity = AzureIdentity::new(
        |name| match name {
            "AZURE_TENANT_ID" => Some("tenant".to_owned()),
            "AZURE_FEDERATED_TOKEN_FILE" => Some(token_file.display().to_string()),
            "AZURE_AUTHORITY_HOST" => Some(format!("http://{host}")),
            _ => Some("client".to_owned()),
        },
        std::slice::from_ref(&host),
    );
    let identity = identity.unwrap();
    let credentials = pull_secrets(&host);
    let mut said = format!("{registries:?} {proxies:?} {identity:?} {credentials:?}");
    let options = RegistryOptions {
        registries,
        proxies,
        timeouts: TIMEOUTS,
        identities: vec![Arc::new(identity)],
        ..RegistryOptions::default()
    };
    let client = HttpRegistry::new(options).unwrap();
    let subject = Signed::new().subject();
    let mut note = |error: Option<Error>| {
        let text = error.as_ref().map_or(String::new(), Error::to_string);
        said.extend([text, format!("{error:?}\n")]);
    };
    for credentials in [credentials, Credentials::default()] {
        note(client.resolve(&app(server), &Target::Tag("v1".to_owned()), &credentials).await.err());
        note(client.referrers(&app(server), &subject, NOTATION, &credentials).await.err());
        // Through the proxy, which is this same server and no proxy.
        note(
            client
                .resolve(&"registry.test/app".parse().unwrap(), &Target::Tag("v1".to_owned()), &credentials)
                .await
                .err(),
        );
    }
    said
}

#[tokio::test]
async fn nothing_secret_is_in_any_error_or_log_line_at_any_level() {
    let log = Log::default();
    // For the whole process, as the operator does it: so the HTTP client's own log lines come here too.
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .init();
    let folder = tempfile::tempdir().unwrap();
    let storage = "http://127.0.0.2:1/blob?sig=planted-signature";
    let (mut all, mut sent) = (String::new(), Vec::new());
    for answer in [
        Script::status(200),
        Script::status(401),
        Script::status(403),
        Script::status(404),
        Script::status(429),
        Script::status(500),
        Script::status(307).with("Location", storage).body(Body::Whole(b"x".to_vec())),
        Script::status(200)
            .with("Link", "<http://other.test/planted-signature>; rel=next")
            .body(Body::Whole(b"{}".to_vec())),
        Script::status(200).body(Body::Lying { declared: 100, bytes: b"short".to_vec() }),
    ] {
        let server = echoing(answer).await;
        all.push_str(&said(&server, &folder).await);
        sent.extend(server.seen().iter().map(|seen| format!("{:?} {}", seen.headers, seen.body)));
    }
    for secret in PLANTED.into_iter().filter(|secret| !ONLY_IN_CONFIGURATION.contains(secret)) {
        assert!(sent.iter().any(|request| request.contains(secret)), "{secret} is really used");
    }
    let logged = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    for line in ["identity refused", "reqwest::connect"] {
        assert!(logged.contains(line), "the log is really read: {line}");
    }
    for secret in PLANTED {
        assert!(!all.contains(secret), "{secret} in an error or in Debug output: {all}");
        let line = logged.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} in the log");
    }
}
