// SPDX-License-Identifier: Apache-2.0
//! `configs[…].tls`: certificate authorities besides the system's, a client's certificate, no check at all.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use reqwest::{Certificate, Identity, Url};

use super::RegistriesError;
use crate::limits::{MAX_CONFIG_BYTES, MAX_TLS_SETTINGS};

/// Where the paths in `configs[…].tls` lead.
///
/// The file comes from a node, and its paths are those of the node. Where it is mounted into a pod, what they name has
/// to be mounted beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TlsFiles {
    /// Nowhere: a path is an error.
    #[default]
    None,
    /// Into this folder and nowhere else: the path below it, or else the file's name in it.
    Folder(PathBuf),
    /// To the file itself if it is there, and else into this folder.
    System(PathBuf),
}

impl TlsFiles {
    /// The content of the file that `path` leads to, at most [`MAX_CONFIG_BYTES`].
    ///
    /// # Errors
    /// A sentence that names the path, and nothing of the content.
    pub(super) fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let candidates = self.candidates(Path::new(path))?;
        let Some(found) = candidates.iter().find(|candidate| candidate.is_file()) else {
            let looked: Vec<String> = candidates.iter().map(|candidate| candidate.display().to_string()).collect();
            return Err(format!("there is no file {}", looked.join(" or ")));
        };
        let mut content = Vec::new();
        let most = u64::try_from(MAX_CONFIG_BYTES).unwrap_or(u64::MAX).saturating_add(1);
        let read = std::fs::File::open(found).and_then(|file| file.take(most).read_to_end(&mut content));
        read.map_err(|error| format!("{}: {error}", found.display()))?;
        if content.len() > MAX_CONFIG_BYTES {
            return Err(format!("{} is larger than {MAX_CONFIG_BYTES} bytes", found.display()));
        }
        Ok(content)
    }

    fn candidates(&self, path: &Path) -> Result<Vec<PathBuf>, String> {
        let (folder, is_system) = match self {
            Self::None => return Err("files are not read here".to_owned()),
            Self::Folder(folder) => (folder, false),
            Self::System(folder) => (folder, true),
        };
        let below: PathBuf = path.components().filter(|part| matches!(part, Component::Normal(_))).collect();
        let (Some(name), false) = (path.file_name(), path.components().any(|part| part == Component::ParentDir)) else {
            return Err("the path has no file name, or has \"..\" in it".to_owned());
        };
        let mut candidates = Vec::new();
        if path.is_absolute() && (is_system || path.starts_with(folder)) {
            candidates.push(path.to_owned());
        }
        for candidate in [folder.join(below), folder.join(name)] {
            if !candidates.contains(&candidate) {
                candidates.push(candidate);
            }
        }
        Ok(candidates)
    }
}

/// How TLS is spoken with a host. `Debug` shows no key.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    /// Certificate authorities besides the system's, in PEM.
    authorities: Option<Vec<u8>>,
    /// The client's certificates and their key, in PEM.
    identity: Option<Vec<u8>>,
    /// Whether the server's certificate is not checked at all.
    pub(crate) is_unchecked: bool,
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings")
            .field("has_authorities", &self.authorities.is_some())
            .field("has_identity", &self.identity.is_some())
            .field("is_unchecked", &self.is_unchecked)
            .finish()
    }
}

impl TlsSettings {
    /// Reads and understands what the paths name.
    ///
    /// # Errors
    /// [`RegistriesError::Tls`] with the field.
    pub(super) fn read(
        registry: &str,
        files: &TlsFiles,
        [ca_file, cert_file, key_file]: [Option<&str>; 3],
        is_unchecked: bool,
    ) -> Result<Self, RegistriesError> {
        let refuse =
            |field, why: &str| RegistriesError::Tls { registry: registry.to_owned(), field, why: why.to_owned() };
        let read = |field, path: Option<&str>| match path {
            Some(path) => files.read(path).map(Some).map_err(|why| refuse(field, &why)),
            None => Ok(None),
        };
        let authorities = read("ca_file", ca_file)?;
        if let Some(pem) = &authorities {
            let certificates = Certificate::from_pem_bundle(pem).unwrap_or_default();
            if certificates.is_empty() {
                return Err(refuse("ca_file", "it holds no certificate in PEM"));
            }
        }
        let identity = match (read("cert_file", cert_file)?, read("key_file", key_file)?) {
            (None, None) => None,
            (Some(_), None) => return Err(refuse("key_file", "it is missing beside cert_file")),
            (None, Some(_)) => return Err(refuse("cert_file", "it is missing beside key_file")),
            (Some(mut pem), Some(key)) => {
                pem.push(b'\n');
                pem.extend(key);
                // The parser's own message is not repeated: what it quotes is beyond us.
                Identity::from_pem(&pem)
                    .map_err(|_| refuse("cert_file", "with key_file, it is no certificate and key in PEM"))?;
                Some(pem)
            }
        };
        Ok(Self { authorities, identity, is_unchecked })
    }

    /// The same without the client's certificate, and with every server checked.
    pub(crate) fn authorities_alone(&self) -> Self {
        Self { authorities: self.authorities.clone(), ..Self::default() }
    }

    /// The certificate authorities besides the system's. They were understood before.
    pub(crate) fn authorities(&self) -> Vec<Certificate> {
        self.authorities.as_deref().and_then(|pem| Certificate::from_pem_bundle(pem).ok()).unwrap_or_default()
    }

    /// The client's certificate and key.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.identity.as_deref().and_then(|pem| Identity::from_pem(pem).ok())
    }
}

/// The settings of all hosts, each different one once.
#[derive(Clone, Default, Debug)]
pub(crate) struct TlsTable {
    settings: Vec<TlsSettings>,
    hosts: BTreeMap<(String, u16), usize>,
    default: Option<usize>,
}

impl TlsTable {
    /// # Errors
    /// [`RegistriesError::TooMany`] beyond [`MAX_TLS_SETTINGS`] different ones.
    pub(super) fn insert(
        &mut self,
        hosts: impl IntoIterator<Item = (String, u16)>,
        settings: TlsSettings,
    ) -> Result<(), RegistriesError> {
        let index = self.index(settings)?;
        self.hosts.extend(hosts.into_iter().map(|host| (host, index)));
        Ok(())
    }

    /// For every host without settings of its own.
    ///
    /// # Errors
    /// As for [`TlsTable::insert`].
    pub(super) fn set_default(&mut self, settings: TlsSettings) -> Result<(), RegistriesError> {
        self.default = Some(self.index(settings)?);
        Ok(())
    }

    fn index(&mut self, settings: TlsSettings) -> Result<usize, RegistriesError> {
        if let Some(index) = self.settings.iter().position(|known| *known == settings) {
            return Ok(index);
        }
        if self.settings.len() >= MAX_TLS_SETTINGS {
            return Err(RegistriesError::TooMany { what: "different tls settings", limit: MAX_TLS_SETTINGS });
        }
        self.settings.push(settings);
        Ok(self.settings.len().saturating_sub(1))
    }

    /// The settings that the file has for exactly this host and port.
    pub(crate) fn own(&self, url: &Url) -> Option<usize> {
        let host = url.host_str()?.to_ascii_lowercase();
        self.hosts.get(&(host, url.port_or_known_default()?)).copied()
    }

    /// The settings for hosts without their own.
    pub(crate) fn default(&self) -> Option<usize> {
        self.default
    }

    pub(crate) fn settings(&self, index: usize) -> Option<&TlsSettings> {
        self.settings.get(index)
    }

    /// How many different settings there are; their indices are `0..len`.
    pub(crate) fn len(&self) -> usize {
        self.settings.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(files: &TlsFiles, path: &str) -> Vec<String> {
        let candidates = files.candidates(Path::new(path)).unwrap();
        candidates.iter().map(|candidate| candidate.display().to_string()).collect()
    }

    #[test]
    fn a_path_of_a_node_leads_into_the_mounted_folder_and_nowhere_else() {
        let files = TlsFiles::Folder("/mnt".into());
        assert_eq!(paths(&files, "/etc/rancher/k3s/ca.pem"), ["/mnt/etc/rancher/k3s/ca.pem", "/mnt/ca.pem"]);
        assert_eq!(paths(&files, "/mnt/tls/ca.pem"), ["/mnt/tls/ca.pem", "/mnt/mnt/tls/ca.pem", "/mnt/ca.pem"]);
        assert_eq!(paths(&files, "ca.pem"), ["/mnt/ca.pem"]);
        for path in ["/etc/../root/key", "../key", "/", "", "a/.."] {
            assert!(files.candidates(Path::new(path)).is_err(), "{path}");
        }
    }

    #[test]
    fn on_the_node_itself_a_path_is_what_it_says_first() {
        let files = TlsFiles::System("/etc/rancher/k3s".into());
        assert_eq!(
            paths(&files, "/etc/ssl/ca.pem"),
            ["/etc/ssl/ca.pem", "/etc/rancher/k3s/etc/ssl/ca.pem", "/etc/rancher/k3s/ca.pem"]
        );
    }

    #[test]
    fn a_file_that_is_not_there_or_too_large_is_named_and_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles::Folder(folder.path().to_owned());
        let error = files.read("/node/ca.pem").unwrap_err();
        assert!(error.contains("there is no file") && error.contains("node/ca.pem or "), "{error}");
        std::fs::write(folder.path().join("ca.pem"), vec![b'x'; MAX_CONFIG_BYTES + 1]).unwrap();
        let error = files.read("/node/ca.pem").unwrap_err();
        assert!(error.contains("larger than") && !error.contains("xxx"), "{error}");
        assert!(TlsFiles::None.read("ca.pem").is_err());
    }
}
