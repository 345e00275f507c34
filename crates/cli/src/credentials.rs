// SPDX-License-Identifier: Apache-2.0
//! Credentials as people have them: the files that `docker login` and `podman login` write, and, only if that is
//! allowed, the helpers that those files name.

mod helper;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use sealwatch_api::text::clip;
use sealwatch_registry::{Credentials, Error};
use serde::Deserialize;

use crate::{args::AskingArguments, output::IMAGE_MOST, registries::read_bounded, terminal};

/// The largest file that is read, in bytes.
const FILE_MOST: u64 = 1024 * 1024;

/// What the user's files have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) credentials: Credentials,
    /// Registries whose credential a helper keeps that was not run, with the helper's name.
    pub(crate) held_back: BTreeMap<String, String>,
    /// Whether these registries are asked by TLS, unless a file says otherwise.
    pub(crate) is_by_tls: bool,
}

/// What may help where nobody speaks TLS.
pub(crate) const WITHOUT_TLS: &str = "; a registry without TLS needs --insecure-registry";
/// How the detail of an error begins that came before anything was asked.
const NO_CONNECTION: &str = "connection failed";

impl Found {
    /// An error of a registry as one sentence, with what may help.
    pub(crate) fn failure(&self, error: &Error, registry: &str) -> String {
        let advice = match error {
            Error::Unauthorized { .. } | Error::Forbidden { .. } => self.advice(registry),
            Error::Unavailable { detail, .. } if self.is_by_tls && detail.starts_with(NO_CONNECTION) => {
                WITHOUT_TLS.to_owned()
            }
            _ => String::new(),
        };
        clip(&format!("{error}{advice}"), IMAGE_MOST)
    }

    /// What may help when a registry refuses, as the end of a message.
    pub(crate) fn advice(&self, registry: &str) -> String {
        match self.held_back.get(registry) {
            Some(helper) => format!(
                "; docker-credential-{helper} keeps the credential of {registry}, and --allow-credential-helpers lets it \
                 run"
            ),
            None => {
                "; credentials are read from ~/.docker/config.json (DOCKER_CONFIG, REGISTRY_AUTH_FILE) and the file \
                     given by --registries"
                    .to_owned()
            }
        }
    }
}

/// A file that may have credentials, and whether the user named it.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    path: PathBuf,
    variable: Option<&'static str>,
}

/// The part of docker's configuration that names helpers.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Helpers {
    #[serde(rename = "credsStore")]
    general: Option<String>,
    #[serde(rename = "credHelpers")]
    own: Option<BTreeMap<String, String>>,
    /// The registries that were logged in to.
    auths: Option<BTreeMap<String, serde_json::Value>>,
}

/// Reads the user's files, and asks helpers for these registries where they are allowed.
///
/// # Errors
/// A file that a variable of the environment names cannot be used, or a helper did not answer. A bad file in one of the
/// usual places is only warned of.
pub(crate) async fn find(arguments: &AskingArguments, hosts: &[String]) -> Result<Found, String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let mut found = Found { is_by_tls: !arguments.insecure_registry, ..Found::default() };
    for place in places(variable) {
        let name = place.variable.map_or_else(String::new, |variable| format!("{variable}: "));
        let at = |why: String| format!("{name}{}: {why}", place.path.display());
        if place.variable.is_none() && !place.path.exists() {
            continue;
        }
        match read(&place) {
            Ok((credentials, helpers)) => {
                found.credentials.merge(credentials);
                for host in hosts.iter().collect::<BTreeSet<_>>() {
                    let Some(helper) = helpers.of(host) else { continue };
                    if !arguments.allow_credential_helpers {
                        found.held_back.entry(host.clone()).or_insert_with(|| clip(helper, 64));
                    } else if let Some(credentials) = helper::ask(helper, host).await.map_err(at)? {
                        found.credentials.merge(credentials);
                    }
                }
            }
            Err(why) if place.variable.is_some() => return Err(at(why)),
            Err(why) => terminal::warn(&format!("{}; it is not used", at(why))),
        }
    }
    Ok(found)
}

/// Where credentials may be. Podman's variable means that file alone, as for podman.
fn places(variable: impl Fn(&str) -> Option<String>) -> Vec<Place> {
    if let Some(path) = variable("REGISTRY_AUTH_FILE") {
        return vec![Place { path: path.into(), variable: Some("REGISTRY_AUTH_FILE") }];
    }
    let usual = |path: PathBuf| Place { path, variable: None };
    let home = variable("HOME").map(PathBuf::from);
    let mut places = Vec::new();
    match (variable("DOCKER_CONFIG"), &home) {
        // Docker itself does not mind if the folder is there without the file.
        (Some(folder), _) => places.push(usual(PathBuf::from(folder).join("config.json"))),
        (None, Some(home)) => places.push(usual(home.join(".docker/config.json"))),
        (None, None) => {}
    }
    places.extend(variable("XDG_RUNTIME_DIR").map(|folder| usual(PathBuf::from(folder).join("containers/auth.json"))));
    let config = variable("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| home.map(|home| home.join(".config")));
    places.extend(config.map(|folder| usual(folder.join("containers/auth.json"))));
    places
}

fn read(place: &Place) -> Result<(Credentials, Helpers), String> {
    let bytes = read_bounded(&place.path, FILE_MOST)?;
    let credentials = Credentials::from_docker_config_json(&bytes)
        .map_err(|error| error.to_string().trim_start_matches("pull secret ").to_owned())?;
    // The parser's own message may quote a value.
    let helpers = serde_json::from_slice(&bytes).map_err(|_| "credsStore or credHelpers is malformed".to_owned())?;
    Ok((credentials, helpers))
}

impl Helpers {
    /// The helper that keeps the credential of a registry. The general one counts only for registries that were logged
    /// in to: it knows no others.
    fn of(&self, host: &str) -> Option<&str> {
        let names = names(host);
        let own = self.own.as_ref().and_then(|helpers| names.iter().find_map(|name| helpers.get(*name)));
        let is_known = || self.auths.as_ref().is_some_and(|auths| names.iter().any(|name| auths.contains_key(*name)));
        let general = || self.general.as_ref().filter(|_| is_known());
        own.or_else(general).map(String::as_str).filter(|name| !name.is_empty())
    }
}

/// What a registry is called in docker's files.
fn names(host: &str) -> Vec<&str> {
    if host == "docker.io" { vec![HUB, "index.docker.io", host] } else { vec![host] }
}

/// Docker Hub's name in docker's files.
const HUB: &str = "https://index.docker.io/v1/";

#[cfg(test)]
mod tests;
