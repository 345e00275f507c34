// SPDX-License-Identifier: Apache-2.0
//! From the registry flags to the options of the registry client.

use std::path::{Path, PathBuf};

use sealwatch_registry::{Proxies, RegistriesConfig, RegistryOptions, TlsFiles};

use crate::args::RegistryArguments;

/// The largest registries.yaml that is read, in bytes.
const FILE_MOST: u64 = 1024 * 1024;

/// Whose registries.yaml it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A node's, mounted into a pod: its paths and its loopback are another machine's.
    Mounted,
    /// This machine's.
    Local,
}

/// The options that the flags and the environment ask for.
pub(crate) fn options(arguments: &RegistryArguments, origin: Origin) -> Result<RegistryOptions, String> {
    let mut registries = match &arguments.registries {
        Some(path) => read(path, origin).map_err(|why| format!("--registries {}: {why}", path.display()))?,
        None => RegistriesConfig::default(),
    };
    if arguments.disable_default_registry_endpoint {
        registries.disable_origins();
    }
    if origin == Origin::Mounted {
        registries.leave_out_loopback(&arguments.allow_egress);
    }
    Ok(RegistryOptions {
        registries,
        allow_egress: arguments.allow_egress.clone(),
        proxies: proxies(|name| std::env::var(name).ok())?,
        user_agent: concat!("sealwatch/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..RegistryOptions::default()
    })
}

fn read(path: &Path, origin: Origin) -> Result<RegistriesConfig, String> {
    let bytes = read_bounded(path, FILE_MOST)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let files = match origin {
        Origin::Mounted => TlsFiles::Folder(folder),
        Origin::Local => TlsFiles::System(folder),
    };
    RegistriesConfig::parse_with(&bytes, &files).map_err(|error| error.to_string())
}

/// The proxies of the environment: each variable in capitals, or else in small letters.
fn proxies(variable: impl Fn(&str) -> Option<String>) -> Result<Proxies, String> {
    let value = |name: &str| {
        let given = |name: &str| variable(name).filter(|value| !value.is_empty());
        given(name).or_else(|| given(&name.to_lowercase())).unwrap_or_default()
    };
    let proxies = Proxies::new(&value("HTTP_PROXY"), &value("HTTPS_PROXY"), &value("NO_PROXY"));
    proxies.map_err(|error| error.to_string())
}

/// Reads a file of at most `most` bytes.
pub(crate) fn read_bounded(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        return Err(format!("is larger than {most} bytes"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<String, String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        proxies(variable).map(|proxies| format!("{proxies:?}"))
    }

    #[test]
    fn a_proxy_that_is_none_is_a_usage_error_without_its_password() {
        let error = of(&[("HTTPS_PROXY", "socks5://joe:hunter2@proxy.test")]).unwrap_err();
        assert!(error.contains("HTTPS_PROXY") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn capitals_come_before_small_letters_and_an_empty_variable_is_none() {
        let both = of(&[("https_proxy", "small.test:1"), ("HTTPS_PROXY", "capital.test:1")]).unwrap();
        assert!(both.contains("capital.test:1") && !both.contains("small"), "{both}");
        let small = of(&[("https_proxy", "small.test:1"), ("HTTPS_PROXY", "")]).unwrap();
        assert!(small.contains("small.test:1"), "{small}");
    }

    #[test]
    fn a_nodes_file_finds_its_certificates_beside_itself_and_not_on_this_machine() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let key = rcgen::generate_simple_self_signed(["ca.test".to_owned()]).unwrap();
        let ca = elsewhere.path().join("ca.pem");
        std::fs::write(&ca, key.cert.pem()).unwrap();
        let file = folder.path().join("registries.yaml");
        std::fs::write(&file, format!("configs: {{a.test: {{tls: {{ca_file: '{}'}}}}}}", ca.display())).unwrap();
        read(&file, Origin::Local).unwrap();
        let error = read(&file, Origin::Mounted).unwrap_err();
        assert!(error.contains("configs[a.test].tls.ca_file"), "{error}");
        std::fs::copy(&ca, folder.path().join("ca.pem")).unwrap();
        read(&file, Origin::Mounted).unwrap();
    }
}
