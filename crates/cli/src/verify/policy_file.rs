// SPDX-License-Identifier: Apache-2.0
//! The policy that a user names: Notation's own files, or a `TrustPolicy` as it would be applied to a cluster.

pub(crate) mod manifest;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use sealwatch_operator::{load_revocation_lists, load_trust_stores, policy::Policy as Loaded, trust_store};
use sealwatch_verifier::{
    BroughtLists, DigestMatching,
    notation::{
        MAX_BROUGHT_CRLS, RevocationList, Statement, TrustPolicyDocument, TrustStoreRef, TrustStoreType, TrustStores,
    },
};
use serde::{Deserialize, de::IgnoredAny};

use self::manifest::Manifest;
use crate::{registries::read_bounded, verify::trust_store::from_folder};

/// The largest policy file that is read, in bytes: a TrustPolicy and the objects that it names. (A trustpolicy.json may
/// have 1 MiB.)
pub(crate) const POLICY_MOST: u64 = 16 * 1024 * 1024;

/// How many files are looked for in a folder of revocation lists.
const CRL_FILES_MOST: usize = 1000;

/// The largest revocation list that is read, in bytes: in PEM it takes half as much again.
const CRL_MOST: u64 = 48 * 1024 * 1024;

/// A policy with its trust stores.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) document: Arc<TrustPolicyDocument>,
    pub(crate) stores: TrustStores,
    /// The revocation lists that the user brought, all of which can be read.
    pub(crate) brought: BroughtLists,
    /// Whose signatures count for a digest.
    pub(crate) matching: DigestMatching,
    /// What stands in the file, if it is a `TrustPolicy`.
    pub(crate) manifest: Option<Manifest>,
    /// What the file says and this command does not do, one sentence each.
    pub(crate) warnings: Vec<String>,
    /// The flag and file that the stores were read from, for messages.
    source: String,
}

impl Policy {
    /// Reads a policy and the trust stores that it names.
    pub(crate) fn read(path: &Path, folder: Option<&Path>) -> Result<Self, String> {
        let source = format!("--policy {}", path.display());
        let at = |why: String| format!("{source}: {why}");
        let bytes = read_bounded(path, POLICY_MOST).map_err(at)?;
        match kubernetes_text(&bytes).map_err(at)? {
            Some(text) => Self::from_manifest(&Manifest::parse(text).map_err(at)?, source.clone()).map_err(at)?,
            None => Self::from_json(&bytes, source.clone()).map_err(at)?,
        }
        .with_stores_of(folder)
    }

    pub(crate) fn from_manifest(manifest: &Manifest, source: String) -> Result<Self, String> {
        let stores = load_trust_stores(&manifest.policy.spec, &manifest.found);
        // What the operator refuses in a TrustPolicy is refused here.
        let brought = load_revocation_lists(&manifest.policy.spec, &manifest.found);
        if let Some(why) = brought.unread.first() {
            return Err(why.clone());
        }
        let loaded = trust_store::Loaded { stores, brought: brought.clone(), ..trust_store::Loaded::default() };
        let loaded = Loaded::new(&manifest.policy, loaded);
        let mut warnings = Vec::new();
        if !manifest.policy.spec.image_pull_secrets.is_empty() {
            let why = "spec.imagePullSecrets are not read; credentials come from the file given by --registries";
            warnings.push(format!("{source}: {why}"));
        }
        let (mut stores, matching) = (loaded.stores.stores.clone(), loaded.matching);
        for (reference, why) in manifest.private_keys() {
            stores.insert_unavailable(reference, why);
        }
        let manifest = Some(manifest.clone());
        Ok(Self { document: loaded.document?, stores, brought, matching, manifest, warnings, source })
    }

    /// A trustpolicy.json, which has its stores elsewhere.
    pub(crate) fn from_json(bytes: &[u8], source: String) -> Result<Self, String> {
        let document = TrustPolicyDocument::from_json(bytes).map_err(|error| error.to_string())?;
        let mut stores = TrustStores::new();
        for reference in document.statements().iter().flat_map(Statement::trust_stores) {
            let why =
                "a trustpolicy.json needs --trust-store DIR, the folder truststore/x509 of notation's configuration";
            stores.insert_unavailable(reference.clone(), why);
        }
        let (brought, matching) = (BroughtLists::default(), DigestMatching::Exact);
        Ok(Self {
            document: Arc::new(document),
            stores,
            brought,
            matching,
            manifest: None,
            warnings: Vec::new(),
            source,
        })
    }

    /// Stores in a folder, if one is named, take the place of those in a `TrustPolicy`.
    pub(crate) fn with_stores_of(self, folder: Option<&Path>) -> Result<Self, String> {
        let Some(folder) = folder else { return Ok(self) };
        let source = format!("--trust-store {}", folder.display());
        let stores = from_folder(folder, &self.document).map_err(|why| format!("{source}: {why}"))?;
        Ok(Self { stores, source, ..self })
    }

    /// Adds revocation lists from files, and from the files of folders.
    ///
    /// # Errors
    /// The first that cannot be read, or that there are too many.
    pub(crate) fn bring(&mut self, paths: &[PathBuf]) -> Result<(), String> {
        for path in paths {
            for file in files(path).map_err(|why| format!("--crl {}: {why}", path.display()))? {
                self.bring_file(&file)?;
            }
        }
        Ok(())
    }

    fn bring_file(&mut self, file: &Path) -> Result<(), String> {
        let at = |why: String| format!("--crl {}: {why}", file.display());
        let bytes = read_bounded(file, CRL_MOST).map_err(at)?;
        let list = RevocationList::from_der_or_pem(&bytes).map_err(|error| at(error.to_string()))?;
        if self.brought.lists.len() >= MAX_BROUGHT_CRLS {
            return Err(at(format!("there are more than {MAX_BROUGHT_CRLS} revocation lists")));
        }
        self.brought.lists.push(list);
        Ok(())
    }

    /// Whether a statement can be judged by at all.
    ///
    /// The scheme of a signature decides whether stores of type `ca` or `signingAuthority` count, so a store of one of
    /// the two may be missing beside the other: Notation does not look at it either. What a signature then needs and
    /// misses is `TrustStoreUnavailable`. A store of type `tsa` that is named is needed in any case.
    ///
    /// # Errors
    /// The first store that is missing or bad.
    pub(crate) fn check_stores(&self, statement: &Statement) -> Result<(), String> {
        let broken = |reference: &TrustStoreRef| Some((reference.clone(), self.stores.certificates(reference).err()?));
        let of = |kind: TrustStoreType| statement.trust_stores().iter().filter(move |store| store.store_type() == kind);
        let is_usable = |kind| of(kind).next().is_some() && of(kind).all(|store| broken(store).is_none());
        let kinds = [TrustStoreType::Ca, TrustStoreType::SigningAuthority];
        let has_anchors = kinds.into_iter().any(is_usable);
        let is_needed = |store: &&TrustStoreRef| !has_anchors || store.store_type() == TrustStoreType::Tsa;
        match statement.trust_stores().iter().filter(is_needed).find_map(broken) {
            Some((store, why)) => Err(format!("{}: trust store {store}: {why}", self.source)),
            None => Ok(()),
        }
    }
}

/// The file itself, or the files of a folder in the order of their names.
fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).map_err(|error| error.to_string())?.take(CRL_FILES_MOST);
    let files: Result<Vec<PathBuf>, _> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut files = files.map_err(|error: std::io::Error| error.to_string())?;
    if files.is_empty() {
        return Err("is an empty folder; name a file with a revocation list, or a folder of them".to_owned());
    }
    files.sort();
    Ok(files)
}

/// The text of a file with Kubernetes objects; `None` for a trustpolicy.json, which is one JSON object without `kind`.
pub(crate) fn kubernetes_text(bytes: &[u8]) -> Result<Option<&str>, String> {
    #[derive(Deserialize)]
    struct Head {
        kind: Option<IgnoredAny>,
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    if !text.trim_start().starts_with('{') {
        return Ok(Some(text));
    }
    // Several JSON objects may stand behind each other; the first one says what they are. What is not JSON is left to
    // the reader of trustpolicy.json, whose message names the place.
    let head = serde_json::Deserializer::from_str(text).into_iter::<Head>().next();
    Ok(head.and_then(Result::ok).and_then(|head| head.kind).map(|_| text))
}

#[cfg(test)]
mod tests;
