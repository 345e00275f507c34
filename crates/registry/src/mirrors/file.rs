// SPDX-License-Identifier: Apache-2.0
//! The file as it is written, and its conversion into what can be used.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::{Mirror, RegistriesConfig, RegistriesError, WILDCARD, parse_endpoint, ports_of};
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
    check("", tree, &["mirrors", "configs"]);
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

impl TryFrom<File> for RegistriesConfig {
    type Error = RegistriesError;

    fn try_from(file: File) -> Result<Self, Self::Error> {
        let mirrors = file.content.mirrors.unwrap_or_default();
        let configs = file.content.configs.unwrap_or_default();
        for (what, count) in [("mirrors", mirrors.len()), ("configs", configs.len())] {
            if count > MAX_CONFIG_ENTRIES {
                return Err(RegistriesError::TooMany { what, limit: MAX_CONFIG_ENTRIES });
            }
        }
        let mut config = Self::default();
        config.warnings.extend(file.unknown.iter().map(|field| format!("registries.yaml: {field} is not known")));
        for (registry, entry) in mirrors {
            config.add_mirror(&registry, entry.unwrap_or_default())?;
        }
        for (registry, entry) in configs {
            config.add_config(&registry, entry.unwrap_or_default())?;
        }
        Ok(config)
    }
}

impl RegistriesConfig {
    fn add_mirror(&mut self, registry: &str, entry: MirrorEntry) -> Result<(), RegistriesError> {
        let registry = if registry == WILDCARD { WILDCARD.to_owned() } else { self.name_registry(registry)? };
        let texts = entry.endpoint.unwrap_or_default();
        let rules = entry.rewrite.map(|rewrites| rewrites.0).unwrap_or_default();
        for (what, count) in [("endpoints", texts.len()), ("rewrite rules", rules.len())] {
            if count > MAX_CONFIG_ENTRIES {
                return Err(RegistriesError::TooMany { what, limit: MAX_CONFIG_ENTRIES });
            }
        }
        let mut mirror = Mirror::default();
        for text in texts {
            let endpoint = parse_endpoint(&registry, &text)?;
            self.name(&endpoint);
            mirror.endpoints.push(endpoint);
        }
        for (pattern, replacement) in rules {
            let pattern =
                regex::Regex::new(&pattern).map_err(|_| RegistriesError::Rewrite { registry: registry.clone() })?;
            mirror.rewrites.push((pattern, replacement));
        }
        self.mirrors.insert(registry, mirror);
        Ok(())
    }

    fn add_config(&mut self, registry: &str, entry: ConfigEntry) -> Result<(), RegistriesError> {
        let registry = self.name_registry(registry)?;
        if let Some(tls) = entry.tls {
            self.warn_of_tls(&registry, &tls);
        }
        if let Some(credential) = entry.auth.map(|auth| auth.credential(&registry)).transpose()?.flatten() {
            self.credentials.insert(registry, credential);
        }
        Ok(())
    }

    /// The canonical name of a registry that the file names; from then on it may be at any address.
    fn name_registry(&mut self, registry: &str) -> Result<String, RegistriesError> {
        let canonical = Repository::at(registry, "x").map_err(|_| RegistriesError::Host)?.registry().to_owned();
        self.named.extend(ports_of(&canonical)?);
        Ok(canonical)
    }

    fn warn_of_tls(&mut self, registry: &str, tls: &TlsEntry) {
        let fields = [
            ("cert_file", tls.cert_file.is_some()),
            ("key_file", tls.key_file.is_some()),
            ("ca_file", tls.ca_file.is_some()),
            ("insecure_skip_verify", tls.insecure_skip_verify.unwrap_or(false)),
        ];
        for (field, _) in fields.into_iter().filter(|(_, is_set)| *is_set) {
            self.warnings
                .push(format!("registries.yaml: configs[{registry}].tls.{field} is not supported and has no effect"));
        }
    }
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
