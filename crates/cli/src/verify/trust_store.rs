// SPDX-License-Identifier: Apache-2.0
//! Trust stores in a folder, laid out as Notation's `truststore/x509` (trust-store-trust-policy.md, "Trust store").

use std::{
    fs::{self, DirEntry},
    path::{Path, PathBuf},
};

use sealwatch_verifier::notation::{
    Certificate, Statement, TrustPolicyDocument, TrustStore, TrustStoreRef, TrustStoreType, TrustStores,
    parse_certificates,
};

use crate::registries::read_bounded;

/// The largest certificate file that is read, in bytes.
const FILE_MOST: u64 = 1024 * 1024;
/// How many stores of a type are looked for.
const STORES_MOST: usize = 1000;
/// How many files a trust store may have: as many as it may have certificates.
const FILES_MOST: usize = sealwatch_verifier::notation::MAX_CERTIFICATES_PER_STORE;

/// Why a trust store cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// A file of it is a private key.
    #[error("{0}: is a private key; a trust store is for certificates alone, so take the key out of it")]
    PrivateKey(String),
    /// Anything else, in a sentence that names the place.
    #[error("{0}")]
    Other(String),
}

impl From<String> for StoreError {
    fn from(why: String) -> Self {
        Self::Other(why)
    }
}

/// The trust stores that the document names. One that cannot be read is unavailable, and why is kept with it.
pub(crate) fn from_folder(root: &Path, document: &TrustPolicyDocument) -> Result<TrustStores, String> {
    let metadata = fs::metadata(root).map_err(|error| error.to_string())?;
    if !metadata.is_dir() {
        return Err("is not a folder".to_owned());
    }
    let mut stores = TrustStores::new();
    for reference in document.statements().iter().flat_map(Statement::trust_stores) {
        match read(root, reference) {
            Ok(store) => stores.insert(store),
            Err(why) => stores.insert_unavailable(reference.clone(), why.to_string()),
        }
    }
    Ok(stores)
}

/// One store: a real folder of regular files, each of which must be certificates. As in Notation, one file that does
/// not fit spoils the store, whatever the file's name.
pub(crate) fn read(root: &Path, reference: &TrustStoreRef) -> Result<TrustStore, StoreError> {
    let certificates = read_files(root, reference)?.into_iter().flat_map(|(_, certificates)| certificates).collect();
    let at = |error| format!("{}: {error}", folder_of(root, reference).display());
    Ok(TrustStore::new(reference.clone(), certificates).map_err(at)?)
}

/// The certificates of a store by their files, in the order of the files' names.
pub(crate) fn read_files(
    root: &Path,
    reference: &TrustStoreRef,
) -> Result<Vec<(PathBuf, Vec<Certificate>)>, StoreError> {
    // Legal names (TS-1) that would lead out of the folder.
    if matches!(reference.name(), "." | "..") {
        return Err(format!("the name {:?} is no folder of its own", reference.name()).into());
    }
    let read = |file: PathBuf| certificates_of(&file).map(|certificates| (file, certificates));
    files(&folder_of(root, reference))?.into_iter().map(read).collect()
}

/// The stores that a folder has, whoever names them. What is none by its name is passed over.
pub(crate) fn stores_in(root: &Path) -> Vec<TrustStoreRef> {
    let kinds = [TrustStoreType::Ca, TrustStoreType::SigningAuthority, TrustStoreType::Tsa];
    let of = |kind: TrustStoreType| {
        let entries = fs::read_dir(root.join(kind.as_str())).into_iter().flatten().take(STORES_MOST).flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders.filter_map(move |entry| TrustStoreRef::new(kind, entry.file_name().to_str()?).ok())
    };
    let mut stores: Vec<TrustStoreRef> = kinds.into_iter().flat_map(of).collect();
    stores.sort();
    stores
}

fn folder_of(root: &Path, reference: &TrustStoreRef) -> PathBuf {
    root.join(reference.store_type().as_str()).join(reference.name())
}

/// The files of a store in the order of their names: TS-2 (a folder, no link) and TS-3 (regular files only).
fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let at = |why: &dyn std::fmt::Display| format!("{}: {why}", folder.display());
    let metadata = fs::symlink_metadata(folder).map_err(|error| at(&error))?;
    if metadata.is_symlink() {
        return Err(at(&"is a link, which is not followed"));
    }
    if !metadata.is_dir() {
        return Err(at(&"is not a folder"));
    }
    let entries: Result<Vec<DirEntry>, _> =
        fs::read_dir(folder).map_err(|error| at(&error))?.take(FILES_MOST.saturating_add(1)).collect();
    let mut entries = entries.map_err(|error| at(&error))?;
    if entries.len() > FILES_MOST {
        return Err(at(&format!("has more than {FILES_MOST} files")));
    }
    entries.sort_by_key(DirEntry::file_name);
    entries.iter().map(regular).collect()
}

/// TS-3, D10.
fn regular(entry: &DirEntry) -> Result<PathBuf, String> {
    let path = entry.path();
    let at = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let kind = entry.file_type().map_err(|error| at(&error))?;
    if kind.is_symlink() {
        return Err(at(&"is a link, which is not followed"));
    }
    if kind.is_dir() {
        return Err(at(&"is a folder; a trust store has files only"));
    }
    if kind.is_file() { Ok(path) } else { Err(at(&"is not a regular file")) }
}

/// TS-4: PEM or DER, whatever the file is called.
fn certificates_of(file: &Path) -> Result<Vec<Certificate>, StoreError> {
    let at = |why: String| format!("{}: {why}", file.display());
    let bytes = read_bounded(file, FILE_MOST).map_err(at)?;
    if is_private_key(&bytes) {
        return Err(StoreError::PrivateKey(file.display().to_string()));
    }
    Ok(parse_certificates(&bytes).map_err(|error| at(error.to_string()))?)
}

/// Whether a file holds a private key, in PEM or in DER (PKCS #8, PKCS #1, SEC 1: a sequence that begins with a version,
/// where a certificate begins with another sequence).
pub(crate) fn is_private_key(bytes: &[u8]) -> bool {
    let is_pem = |line: &str| line.trim_start().starts_with("-----BEGIN ") && line.contains("PRIVATE KEY-----");
    if std::str::from_utf8(bytes).is_ok_and(|text| text.lines().any(is_pem)) {
        return true;
    }
    let ([0x30, 0x00..=0x7f, content @ ..]
    | [0x30, 0x81, _, content @ ..]
    | [0x30, 0x82, _, _, content @ ..]
    | [0x30, 0x83, _, _, _, content @ ..]) = bytes
    else {
        return false;
    };
    matches!(content, [0x02, 0x01, 0x00 | 0x01, ..])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
    use tempfile::TempDir;

    use super::*;

    fn store(folder: &TempDir, reference: &str) -> Result<usize, String> {
        let read = read(folder.path(), &reference.parse().unwrap()).map_err(|why| why.to_string());
        read.map(|store| store.certificates().len())
    }

    /// A folder with the store `ca:good`, of one root.
    fn folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        put(&folder, "ca/good/root.crt", root().pem().as_bytes());
        folder
    }

    fn put(folder: &TempDir, path: &str, bytes: &[u8]) {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn parameters(name: &str, is_ca: IsCa) -> CertificateParams {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = is_ca;
        parameters
    }

    fn root() -> CertifiedIssuer<'static, KeyPair> {
        let parameters = parameters("root", IsCa::Ca(BasicConstraints::Unconstrained));
        CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
    }

    fn leaf() -> String {
        parameters("leaf", IsCa::ExplicitNoCa).signed_by(&KeyPair::generate().unwrap(), &root()).unwrap().pem()
    }

    /// TS-2.
    #[test]
    fn a_store_that_is_missing_or_a_file_is_refused_by_its_path() {
        let folder = folder();
        assert!(store(&folder, "ca:absent").unwrap_err().contains("ca/absent: No such file"));
        put(&folder, "ca/file", b"");
        assert!(store(&folder, "ca:file").unwrap_err().ends_with("ca/file: is not a folder"));
    }

    /// TS-1, TP-15.
    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let folder = folder();
        put(&folder, "ca/stray.crt", root().pem().as_bytes());
        for name in ["ca:.", "ca:.."] {
            assert!(store(&folder, name).unwrap_err().contains("no folder of its own"), "{name}");
        }
    }

    /// TS-2, TS-3.
    #[test]
    fn links_are_refused_as_a_store_and_as_a_file_and_followed_as_a_type() {
        let folder = folder();
        symlink(folder.path().join("ca/good"), folder.path().join("ca/linked")).unwrap();
        assert!(store(&folder, "ca:linked").unwrap_err().ends_with("ca/linked: is a link, which is not followed"));
        put(&folder, "ca/mixed/root.crt", root().pem().as_bytes());
        symlink(folder.path().join("ca/good/root.crt"), folder.path().join("ca/mixed/other.crt")).unwrap();
        assert!(store(&folder, "ca:mixed").unwrap_err().ends_with("other.crt: is a link, which is not followed"));
        symlink(folder.path().join("ca"), folder.path().join("signingAuthority")).unwrap();
        assert_eq!(store(&folder, "signingAuthority:good"), Ok(1));
    }

    /// TS-3, D10.
    #[test]
    fn a_folder_in_a_store_spoils_it() {
        let folder = folder();
        fs::create_dir(folder.path().join("ca/good/old")).unwrap();
        assert!(store(&folder, "ca:good").unwrap_err().ends_with("old: is a folder; a trust store has files only"));
    }

    #[test]
    fn a_private_key_is_called_one_in_every_form() {
        let key = KeyPair::generate().unwrap();
        for bytes in
            [key.serialize_pem().into_bytes(), key.serialize_der(), b"note\n-----BEGIN RSA PRIVATE KEY-----".to_vec()]
        {
            let folder = folder();
            put(&folder, "ca/good/signing.key", &bytes);
            let error = store(&folder, "ca:good").unwrap_err();
            assert!(error.contains("ca/good/signing.key: is a private key"), "{error}");
        }
        assert!(!is_private_key(root().der()) && !is_private_key(root().pem().as_bytes()) && !is_private_key(b""));
    }

    #[test]
    fn all_stores_of_a_folder_are_found_and_nothing_else() {
        let folder = folder();
        put(&folder, "tsa/b/root.crt", b"");
        put(&folder, "tsa/a/root.crt", b"");
        put(&folder, "ca/file", b"");
        put(&folder, "ca/not a name/x", b"");
        put(&folder, "other/x/y", b"");
        let names: Vec<String> = stores_in(folder.path()).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["ca:good", "tsa:a", "tsa:b"]);
        assert_eq!(stores_in(Path::new("/nonexistent")), []);
    }

    /// TS-4.
    #[test]
    fn every_file_counts_whatever_its_name() {
        for (name, contents) in
            [("README.md", "the roots"), (".hidden", ""), ("key.pem", "-----BEGIN PRIVATE KEY-----")]
        {
            let folder = folder();
            put(&folder, &format!("ca/good/{name}"), contents.as_bytes());
            assert!(store(&folder, "ca:good").unwrap_err().contains(&format!("ca/good/{name}: ")), "{name}");
        }
        let folder = folder();
        put(&folder, "ca/good/other", root().der());
        assert_eq!(store(&folder, "ca:good"), Ok(2));
    }

    #[test]
    fn too_many_and_too_large_files_are_refused_before_they_are_read() {
        let folder = folder();
        put(&folder, "ca/large/root.crt", &vec![b' '; usize::try_from(FILE_MOST).unwrap() + 1]);
        assert!(store(&folder, "ca:large").unwrap_err().contains("is larger than"));
        for number in 0..=FILES_MOST {
            put(&folder, &format!("ca/many/{number}"), b"");
        }
        assert!(store(&folder, "ca:many").unwrap_err().ends_with("has more than 256 files"));
    }

    /// TS-5, TS-6, D11.
    #[test]
    fn a_store_without_certificates_or_with_a_leaf_of_somebody_is_refused() {
        let folder = folder();
        fs::create_dir(folder.path().join("ca/empty")).unwrap();
        assert!(store(&folder, "ca:empty").unwrap_err().ends_with("ca/empty: the trust store has no certificate"));
        put(&folder, "ca/leaf/leaf.crt", leaf().as_bytes());
        assert!(store(&folder, "ca:leaf").unwrap_err().contains("is not a CA certificate or self-signed"));
    }

    /// TS-7.
    #[test]
    fn a_tsa_store_holds_roots_only() {
        let folder = folder();
        put(&folder, "tsa/good/root.crt", root().pem().as_bytes());
        assert_eq!(store(&folder, "tsa:good"), Ok(1));
        let key = KeyPair::generate().unwrap();
        let intermediate = parameters("intermediate", IsCa::Ca(BasicConstraints::Unconstrained));
        let intermediate = intermediate.signed_by(&key, &root()).unwrap().pem();
        put(&folder, "ca/intermediate/i.crt", intermediate.as_bytes());
        assert_eq!(store(&folder, "ca:intermediate"), Ok(1));
        put(&folder, "tsa/good/i.crt", intermediate.as_bytes());
        assert!(store(&folder, "tsa:good").unwrap_err().contains("is not a root CA certificate"));
    }
}
