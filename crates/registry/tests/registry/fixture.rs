// SPDX-License-Identifier: Apache-2.0
//! A small, well-behaved registry with one signed image, from which each test departs in one point.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use sealwatch_registry::egress::Lookup;
use sealwatch_registry::{
    Algorithm, Credentials, Descriptor, Digest, HttpRegistry, NameLookup, RegistriesConfig, RegistryOptions,
    Repository, Timeouts,
};
use serde_json::json;

use crate::scripted::{Script, Seen, Server};

pub(crate) const NOTATION: &str = "application/vnd.cncf.notary.signature";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const ENVELOPE: &[u8] = b"{\"payload\":\"an envelope\"}";

/// An image with one signature, in repository `app`.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) image: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

impl Signed {
    pub(crate) fn new() -> Self {
        let empty = Digest::of_bytes(Algorithm::Sha256, b"{}");
        let image = json!({"schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": empty, "size": 2}, "layers": []});
        let image = image.to_string().into_bytes();
        let signature = json!({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": NOTATION,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2},
            "layers": [{"mediaType": "application/jose+json", "digest": digest(ENVELOPE), "size": ENVELOPE.len()}],
            "subject": {"mediaType": MANIFEST, "digest": digest(&image), "size": image.len()}});
        Self { image, signature: signature.to_string().into_bytes() }
    }

    pub(crate) fn subject(&self) -> Digest {
        digest(&self.image)
    }

    /// The signature's entry in a list of referrers.
    pub(crate) fn referrer(&self) -> serde_json::Value {
        json!({"mediaType": MANIFEST, "digest": digest(&self.signature), "size": self.signature.len(), "artifactType": NOTATION})
    }

    pub(crate) fn referrers_path(&self) -> String {
        format!("/v2/app/referrers/{}", self.subject())
    }

    pub(crate) fn image_path(&self) -> String {
        format!("/v2/app/manifests/{}", self.subject())
    }

    pub(crate) fn tag_path(&self) -> String {
        format!("/v2/app/manifests/{}", self.subject().referrers_tag())
    }

    /// What a well-behaved registry with the Referrers API answers.
    pub(crate) fn answer(&self, seen: &Seen) -> Script {
        let path = seen.path();
        if path == self.image_path() || path == "/v2/app/manifests/v1" {
            Script::new(200, MANIFEST, self.image.clone()).with("Docker-Content-Digest", self.subject().to_string())
        } else if path == self.referrers_path() {
            list(&[self.referrer()])
        } else if path == format!("/v2/app/manifests/{}", digest(&self.signature)) {
            Script::new(200, MANIFEST, self.signature.clone())
        } else if path == format!("/v2/app/blobs/{}", digest(ENVELOPE)) {
            Script::new(200, "application/octet-stream", ENVELOPE)
        } else if path.starts_with("/v2/app/") {
            Script::error(404, "MANIFEST_UNKNOWN")
        } else {
            Script::error(404, "NAME_UNKNOWN")
        }
    }

    /// The same without the Referrers API: the list is under its tag.
    pub(crate) fn answer_by_tag(&self, seen: &Seen) -> Script {
        if seen.path() == self.referrers_path() {
            Script::new(404, "text/plain", "404 page not found\n")
        } else if seen.path() == self.tag_path() {
            list(&[self.referrer()])
        } else {
            self.answer(seen)
        }
    }
}

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Digest::of_bytes(Algorithm::Sha256, bytes)
}

pub(crate) fn descriptor(media_type: &str, bytes: &[u8]) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest: digest(bytes),
        size: bytes.len() as u64,
        artifact_type: None,
        annotations: BTreeMap::new(),
    }
}

pub(crate) fn list(entries: &[serde_json::Value]) -> Script {
    Script::new(200, INDEX, json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).to_string())
}

pub(crate) const TIMEOUTS: Timeouts =
    Timeouts { connect: Duration::from_secs(2), read: Duration::from_secs(1), total: Duration::from_secs(3) };

/// A client that may ask these servers over plain HTTP, and nobody else on loopback.
pub(crate) fn client(servers: &[&Server]) -> HttpRegistry {
    let mut registries = RegistriesConfig::default();
    for server in servers {
        registries.insecure(&server.host()).unwrap();
    }
    configured(registries)
}

pub(crate) fn configured(registries: RegistriesConfig) -> HttpRegistry {
    HttpRegistry::new(RegistryOptions { registries, timeouts: TIMEOUTS, ..RegistryOptions::default() }).unwrap()
}

/// How somebody without a say in it names a host: with an address that a test chooses.
pub(crate) struct Names(pub(crate) Vec<(&'static str, IpAddr)>);

impl NameLookup for Names {
    fn lookup(&self, name: &str) -> Lookup {
        let found: Vec<IpAddr> = self.0.iter().filter(|(known, _)| *known == name).map(|(_, ip)| *ip).collect();
        Box::pin(async move { Ok(found) })
    }
}

pub(crate) fn app(server: &Server) -> Repository {
    format!("{}/app", server.host()).parse().unwrap()
}

pub(crate) fn anonymous() -> Credentials {
    Credentials::default()
}

/// A pull secret for these hosts.
pub(crate) fn login(entries: &[(&str, &str, &str)]) -> Credentials {
    let mut all = Credentials::default();
    for (host, username, password) in entries {
        let secret = json!({ "auths": { *host: {"username": username, "password": password} } }).to_string();
        all.merge(Credentials::from_docker_config_json(secret.as_bytes()).unwrap());
    }
    all
}
