// SPDX-License-Identifier: Apache-2.0
//! The file as it is written, and its conversion into what can be used.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::{
    DOCKER_HUB, DOCKER_HUB_HOST, Mirror, Place, RegistriesConfig, RegistriesError, TlsFiles, TlsSettings, WILDCARD,
    parse_endpoint, ports_of,
};
use crate::credentials::{Credential, decode_auth};
use crate::limits::MAX_CONFIG_ENTRIES;
use crate::reference::Repository;

/// `registries.yaml`, and the names of the fields in it that we do not know.
#[derive(Default)]
pub(super) struct File {
    content: Content,
    unknown: Vec<String>,
}

#[derive(Default, Deserialize)]
struct Content {
    #[serde(default)]
    mirrors: Option<BTreeMap<String, Option<MirrorEntry>>>,
    #[serde(default)]
    configs: Option<BTreeMap<String, Option<ConfigEntry>>>,
    /// Ours, and nothing of K3s', which passes over it.
    #[serde(default)]
    signatures: Option<BTreeMap<String, Option<Vec<String>>>>,
}

#[derive(Default, Deserialize)]
struct MirrorEntry {
    #[serde(default)]
    endpoint: Option<Vec<String>>,
    #[serde(default)]
    rewrite: Option<Rewrites>,
}

#[derive(Default, Deserialize)]
struct ConfigEntry {
    #[serde(default)]
    auth: Option<AuthEntry>,
    #[serde(default)]
    tls: Option<TlsEntry>,
}

#[derive(Default, Deserialize)]
struct AuthEntry {
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    identity_token: Option<String>,
}

#[derive(Default, Deserialize)]
struct TlsEntry {
    #[serde(default)]
    cert_file: Option<String>,
    #[serde(default)]
    key_file: Option<String>,
    #[serde(default)]
    ca_file: Option<String>,
    #[serde(default)]
    insecure_skip_verify: Option<bool>,
}

/// Pattern and replacement, in the file's order: the first rule that changes a name wins.
struct Rewrites(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Rewrites {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RewritesVisitor)
    }
}

struct RewritesVisitor;

impl<'de> Visitor<'de> for RewritesVisitor {
    type Value = Rewrites;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of patterns to replacements")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Rewrites, A::Error> {
        let mut rules = Vec::new();
        while let Some(rule) = map.next_entry()? {
            rules.push(rule);
        }
        Ok(Rewrites(rules))
    }
}

pub(super) fn read(yaml: &[u8]) -> Result<File, RegistriesError> {
    let text = std::str::from_utf8(yaml).map_err(|_| RegistriesError::Malformed { line: 0, column: 0 })?;
    if text.trim().is_empty() {
        return Ok(File::default());
    }
    // The parser's own message quotes the lines around the error, and those may hold a password.
    let refuse = |error: serde_saphyr::Error| {
        let location = error.location();
        let line = location.as_ref().map_or(0, serde_saphyr::Location::line);
        let column = location.as_ref().map_or(0, serde_saphyr::Location::column);
        RegistriesError::Malformed { line, column }
    };
    let content: Option<Content> = serde_saphyr::from_str(text).map_err(refuse)?;
    let tree: serde_json::Value = serde_saphyr::from_str(text).map_err(refuse)?;
    Ok(File { content: content.unwrap_or_default(), unknown: unknown_fields(&tree) })
}

/// Fields that the structs above do not have, so that a misspelt one is seen.
fn unknown_fields(tree: &serde_json::Value) -> Vec<String> {
    let fields = |value: &serde_json::Value| -> Vec<(String, serde_json::Value)> {
        value
            .as_object()
            .map(|map| map.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
            .unwrap_or_default()
    };
    let mut unknown = Vec::new();
    let mut check = |path: &str, value: &serde_json::Value, known: &[&str]| {
        let names = fields(value).into_iter().map(|(name, _)| name);
        unknown.extend(names.filter(|name| !known.contains(&name.as_str())).map(|name| format!("{path}{name}")));
    };
    check("", tree, &["mirrors", "configs", "signatures"]);
    for (registry, mirror) in tree.get("mirrors").map(fields).unwrap_or_default() {
        check(&format!("mirrors[{registry}]."), &mirror, &["endpoint", "rewrite"]);
    }
    for (registry, config) in tree.get("configs").map(fields).unwrap_or_default() {
        check(&format!("configs[{registry}]."), &config, &["auth", "tls"]);
        for (part, known) in [
            ("auth", ["username", "password", "auth", "identity_token"]),
            ("tls", ["cert_file", "key_file", "ca_file", "insecure_skip_verify"]),
        ] {
            if let Some(value) = config.get(part) {
                check(&format!("configs[{registry}].{part}."), value, &known);
            }
        }
    }
    unknown
}

impl File {
    /// What the file says, with the content of the files that it names.
    pub(super) fn into_config(self, files: &TlsFiles) -> Result<RegistriesConfig, RegistriesError> {
        let mirrors = self.content.mirrors.unwrap_or_default();
        let configs = self.content.configs.unwrap_or_default();
        let signatures = self.content.signatures.unwrap_or_default();
        for (what, count) in [("mirrors", mirrors.len()), ("configs", configs.len()), ("signatures", signatures.len())]
        {
            check_count(what, count)?;
        }
        let mut config = RegistriesConfig::default();
        config.warnings.extend(self.unknown.iter().map(|field| format!("registries.yaml: {field} is not known")));
        for (registry, entry) in mirrors {
            config.add_mirror(&registry, entry.unwrap_or_default())?;
        }
        for (registry, entry) in configs {
            config.add_config(&registry, entry.unwrap_or_default(), files)?;
        }
        for (registry, places) in signatures {
            config.add_signatures(&registry, &places.unwrap_or_default())?;
        }
        Ok(config)
    }
}

fn check_count(what: &'static str, count: usize) -> Result<(), RegistriesError> {
    let limit = MAX_CONFIG_ENTRIES;
    if count > limit { Err(RegistriesError::TooMany { what, limit }) } else { Ok(()) }
}

impl RegistriesConfig {
    fn add_mirror(&mut self, registry: &str, entry: MirrorEntry) -> Result<(), RegistriesError> {
        let registry = if registry == WILDCARD { WILDCARD.to_owned() } else { self.name_registry(registry)? };
        let texts = entry.endpoint.unwrap_or_default();
        let rules = entry.rewrite.map(|rewrites| rewrites.0).unwrap_or_default();
        check_count("endpoints", texts.len())?;
        check_count("rewrite rules", rules.len())?;
        let mut mirror = Mirror::default();
        for text in texts {
            let endpoint = parse_endpoint(&registry, &text)?;
            // K3s asks an endpoint once, however often it stands there.
            if !mirror.endpoints.contains(&endpoint) {
                mirror.endpoints.push(endpoint);
            }
        }
        for (pattern, replacement) in rules {
            let pattern =
                regex::Regex::new(&pattern).map_err(|_| RegistriesError::Rewrite { registry: registry.clone() })?;
            mirror.rewrites.push((pattern, replacement));
        }
        self.mirrors.insert(registry, mirror);
        Ok(())
    }

    fn add_config(&mut self, registry: &str, entry: ConfigEntry, files: &TlsFiles) -> Result<(), RegistriesError> {
        let is_wildcard = registry == WILDCARD;
        let registry = if is_wildcard { WILDCARD.to_owned() } else { self.name_registry(registry)? };
        if let Some(tls) = entry.tls {
            self.add_tls(&registry, &tls, files)?;
        }
        let Some(credential) = entry.auth.map(|auth| auth.credential(&registry)).transpose()?.flatten() else {
            return Ok(());
        };
        if is_wildcard {
            // Any pod's image names a registry. containerd does not use it either.
            self.warnings.push(
                "registries.yaml: configs[*].auth has no effect: it would be given to every registry that a pod names"
                    .to_owned(),
            );
        } else {
            self.credentials.insert(registry, credential);
        }
        Ok(())
    }

    fn add_tls(&mut self, registry: &str, tls: &TlsEntry, files: &TlsFiles) -> Result<(), RegistriesError> {
        let path = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let paths = [path(&tls.ca_file), path(&tls.cert_file), path(&tls.key_file)];
        let is_unchecked = tls.insecure_skip_verify.unwrap_or(false);
        let settings = TlsSettings::read(registry, files, paths.each_ref().map(Option::as_deref), is_unchecked)?;
        if is_unchecked {
            self.warnings.push(format!(
                "registries.yaml: configs[{registry}].tls.insecure_skip_verify is true: whoever is on the way can pose as \
                 this registry and read its password"
            ));
        }
        if settings == TlsSettings::default() {
            return Ok(());
        }
        if registry == WILDCARD {
            return self.tls.set_default(settings);
        }
        let mut hosts = ports_of(registry)?;
        if registry == DOCKER_HUB {
            hosts.extend(ports_of(DOCKER_HUB_HOST)?);
        }
        self.tls.insert(hosts, settings)
    }

    fn add_signatures(&mut self, registry: &str, texts: &[String]) -> Result<(), RegistriesError> {
        let registry = if registry == WILDCARD { WILDCARD.to_owned() } else { self.name_registry(registry)? };
        check_count("places of signatures", texts.len())?;
        let places = texts.iter().map(|text| {
            let place = place(text).ok_or_else(|| RegistriesError::Signatures { registry: registry.clone() })?;
            if let Place::Repository(other) = &place {
                self.named.extend(ports_of(other.registry())?);
            } else if let Place::Below { registry, .. } = &place {
                self.named.extend(ports_of(registry)?);
            }
            Ok(place)
        });
        let places = places.collect::<Result<_, RegistriesError>>()?;
        self.signatures.insert(registry, places);
        Ok(())
    }

    /// The canonical name of a registry that the file names; from then on it may be at any address.
    fn name_registry(&mut self, registry: &str) -> Result<String, RegistriesError> {
        let canonical = Repository::at(registry, "x").map_err(|_| RegistriesError::Host)?.registry().to_owned();
        self.named.extend(ports_of(&canonical)?);
        Ok(canonical)
    }
}

/// `origin`, `host/path` or `host/path/*`. A repository is written in full, so that a forgotten host is no path of
/// Docker Hub.
fn place(text: &str) -> Option<Place> {
    if text == "origin" {
        return Some(Place::Origin);
    }
    let (host, path) = text.split_once('/')?;
    if !(host.contains(['.', ':']) || host == "localhost") {
        return None;
    }
    if let Some(prefix) = path.strip_suffix('*') {
        if !prefix.is_empty() && !prefix.ends_with('/') {
            return None;
        }
        let checked = Repository::at(host, &format!("{prefix}x")).ok()?;
        return Some(Place::Below { registry: checked.registry().to_owned(), prefix: prefix.to_owned() });
    }
    Repository::at(host, path).ok().map(Place::Repository)
}

impl AuthEntry {
    /// `auth` wins over user and password, as in Docker's own files; an empty entry is no credential.
    fn credential(self, registry: &str) -> Result<Option<Credential>, RegistriesError> {
        let refuse = || RegistriesError::Auth { registry: registry.to_owned() };
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        if let Some(token) = given(self.identity_token) {
            return Ok(Some(Credential::IdentityToken { token }));
        }
        if let Some(auth) = given(self.auth) {
            let (username, password) = decode_auth(&auth).ok_or_else(refuse)?;
            return Ok(Some(Credential::Basic { username, password }));
        }
        match (given(self.username), given(self.password)) {
            (Some(username), Some(password)) => Ok(Some(Credential::Basic { username, password })),
            (None, None) => Ok(None),
            _ => Err(refuse()),
        }
    }
}
