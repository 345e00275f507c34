// SPDX-License-Identifier: Apache-2.0

//! How the registries are started.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::tokens::{ISSUER, SERVICE, TokenServer};
use super::{ACCOUNT, Door, Software, Tls, proxy};
use crate::testenv::process::{Guarded, wait_until};
use crate::testenv::{Result, tools};

const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// The password of [`ACCOUNT`] as bcrypt with the lowest cost: what both registries take, and all that they take.
const PASSWORD_HASH: &str = "$2b$04$sealwatchE2Etests2026OsFZ9z0fS1hhtsxWcxJkBcy3Si9dPMrO";

/// What is to be started.
pub(super) struct Plan<'a> {
    pub(super) address: SocketAddr,
    pub(super) folder: &'a Path,
    pub(super) door: Door,
    pub(super) tls: Option<&'a Tls>,
    pub(super) tokens: Option<&'a TokenServer>,
    /// Where clients find it.
    pub(super) url: String,
}

impl Plan<'_> {
    /// Starts it and waits until it answers, be it 401.
    pub(super) async fn start(&self, software: Software) -> Result<Guarded> {
        fs::create_dir_all(self.storage())?;
        if let Some(tls) = self.tls {
            fs::write(self.file("server.crt"), &tls.key.certificate_pem)?;
            fs::write(self.file("server.key"), &tls.key.key_pem)?;
        }
        let mut program = match software {
            Software::Olareg => self.olareg().await?,
            Software::Distribution => self.distribution().await?,
        };
        let client = proxy::client(self.tls)?;
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}/v2/", self.address);
        let expected = if self.door.is_locked() { 401 } else { 200 };
        let ready = || async { client.get(&url).send().await.is_ok_and(|answer| answer.status() == expected) };
        wait_until(&mut program, "registry", READY_TIMEOUT, ready).await?;
        Ok(program)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn storage(&self) -> PathBuf {
        self.file("storage")
    }

    async fn olareg(&self) -> Result<Guarded> {
        let program = tools::folder("olareg").await?.join("olareg");
        let path = |path: PathBuf| path.display().to_string();
        let mut args = vec!["serve".to_owned(), "--addr".into(), self.address.ip().to_string()];
        args.extend(["--port".into(), self.address.port().to_string(), "--dir".into(), path(self.storage())]);
        args.extend(["--api-delete", "--api-blob-delete", "--gc-frequency=-1s"].map(String::from));
        if self.tls.is_some() {
            args.extend(["--tls-cert".into(), path(self.file("server.crt"))]);
            args.extend(["--tls-key".into(), path(self.file("server.key"))]);
        }
        let users = self.file("users.yaml");
        let everything = json!({"repo": "*", "access": ["*"], "members": [ACCOUNT.0]});
        // JSON is YAML.
        let known = json!({"users": {ACCOUNT.0: {"cred": PASSWORD_HASH}}, "acls": [everything]});
        fs::write(&users, known.to_string())?;
        match self.door {
            Door::Plain | Door::Tls => {}
            Door::Basic => args.extend(["--auth-basic".into(), path(users)]),
            Door::Bearer => {
                args.extend(["--auth-token-opaque".into(), path(users), "--external-url".into(), self.url.clone()]);
            }
        }
        Guarded::start(&program, args, &[], &self.file("registry.log"))
    }

    async fn distribution(&self) -> Result<Guarded> {
        let program = tools::folder("distribution").await?.join("registry");
        let config = self.file("config.json");
        let mut settings = json!({
            "version": "0.1",
            "log": { "level": "warn", "accesslog": { "disabled": true } },
            "storage": { "filesystem": { "rootdirectory": self.storage() }, "delete": { "enabled": true } },
            "http": { "addr": self.address.to_string() },
        });
        if self.tls.is_some() {
            let (certificate, key) = (self.file("server.crt"), self.file("server.key"));
            settings["http"]["tls"] = json!({"certificate": certificate, "key": key});
        }
        if let Some(auth) = self.distribution_auth()? {
            settings["auth"] = auth;
        }
        fs::write(&config, settings.to_string())?;
        // It would send traces to a collector that nobody runs.
        let env = [("OTEL_TRACES_EXPORTER".to_owned(), "none".to_owned())];
        Guarded::start(&program, ["serve".as_ref(), config.as_os_str()], &env, &self.file("registry.log"))
    }

    fn distribution_auth(&self) -> Result<Option<Value>> {
        Ok(match (self.door, self.tokens) {
            (Door::Basic, _) => {
                let users = self.file("htpasswd");
                fs::write(&users, format!("{}:{PASSWORD_HASH}\n", ACCOUNT.0))?;
                Some(json!({"htpasswd": {"realm": "e2e", "path": users}}))
            }
            (Door::Bearer, Some(tokens)) => {
                let keys = self.file("jwks.json");
                fs::write(&keys, tokens.key_set.to_string())?;
                let (realm, service) = (tokens.realm(), SERVICE);
                Some(json!({"token": {"realm": realm, "service": service, "issuer": ISSUER, "jwks": keys}}))
            }
            _ => None,
        })
    }
}
