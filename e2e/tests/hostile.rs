// SPDX-License-Identifier: Apache-2.0

//! What a pod's author gets of the operator by naming a registry of their own: nothing that is the operator's.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealwatch_e2e::scene::{self, Pki};
use sealwatch_e2e::stage::{ACCOUNT, Stage};
use sealwatch_e2e::testenv::pki::KeyKind;
use sealwatch_e2e::testenv::pods::{self, ContainerSpec};
use sealwatch_e2e::testenv::{self, Identity, OperatorOptions, OperatorProcess, Result};
use serde_json::{Value, json};

/// A registry that wants to be shown a credential of any kind, and keeps every byte that it is sent.
#[derive(Clone)]
struct Collector {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Collector {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let collector = Self { address: listener.local_addr()?, heard: Arc::default() };
        let own = collector.clone();
        // It ends with the process of the test.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                std::thread::spawn(move || own.answer(stream));
            }
        });
        Ok(collector)
    }

    fn answer(&self, mut stream: TcpStream) -> Option<()> {
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let mut request = Vec::new();
        let mut chunk = [0; 4096];
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            let length = stream.read(&mut chunk).ok().filter(|length| *length > 0)?;
            request.extend(&chunk[..length]);
        }
        self.heard.lock().ok()?.push(String::from_utf8_lossy(&request).into_owned());
        let realm = format!("http://{}/token", self.address);
        let wants =
            format!("Bearer realm=\"{realm}\",service=\"kubernetes.default.svc\",scope=\"repository:app:pull\"");
        let head = format!(
            "HTTP/1.1 401 No\r\nWWW-Authenticate: {wants}\r\nWWW-Authenticate: Basic realm=x\r\n\
             WWW-Authenticate: Negotiate\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).ok()
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().map(|heard| heard.clone()).unwrap_or_default()
    }
}

#[tokio::test]
async fn the_operators_own_token_is_shown_to_no_registry_or_token_server() -> Result<()> {
    let collector = Collector::start()?;
    let host = collector.address.to_string();
    let stage = Stage::set(testenv::cluster().await?, "hostile").await?;
    stage.apply(&scene::roots(Pki::new(KeyKind::EcP256)?.root.certificate_pem())).await?;
    stage.apply(&scene::trust_policy("policy", &scene::seed_document())).await?;
    let id = format!("{host}/app@sha256:{}", "5a".repeat(32));
    pods::run(&stage.client(), &stage.namespace, "app-0", &[ContainerSpec::new("main", format!("{host}/app:1"), id)])
        .await?;

    let (namespace, name) = ACCOUNT;
    let kubeconfig = stage.cluster.kubeconfig_for(Identity::ServiceAccount { namespace, name }).await?;
    let config: Value = serde_json::from_slice(&std::fs::read(&kubeconfig)?)?;
    let token = config["users"][0]["user"]["token"].as_str().ok_or("the operator has a token")?.to_owned();
    let registries = stage.folder.path().join("registries.yaml");
    let endpoint = format!("http://{host}");
    std::fs::write(&registries, json!({"mirrors": {host.as_str(): {"endpoint": [endpoint]}}}).to_string())?;
    let kubeconfig = kubeconfig.display().to_string();
    let registries = registries.display().to_string();
    let args = ["operator", "--listen", "127.0.0.1:0", "--kubeconfig", &kubeconfig, "--registries", &registries];
    let args = args.into_iter().chain(["--watch-namespace", &stage.namespace]).map(str::to_owned).collect();
    let operator = OperatorProcess::start(&OperatorOptions { args, ..OperatorOptions::default() })?;
    stage.until("the refusal", |seen| seen.reason("app") == "RegistryUnauthorized").await?;

    let heard = collector.heard();
    assert!(heard.iter().any(|request| request.starts_with("GET /token?")), "the token server was asked: {heard:?}");
    for request in &heard {
        assert!(!request.to_ascii_lowercase().contains("\r\nauthorization:"), "{request}");
        // Nor any part of it that would be worth having.
        for part in token.split('.') {
            assert!(!request.contains(part), "{request}");
        }
    }
    assert!(!operator.log().contains(&token));
    Ok(())
}
