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

/// The largest policy file that is read, in bytes.
const POLICY_MOST: u64 = 1024 * 1024;

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
        let policy = if let Some(text) = kubernetes_text(&bytes).map_err(at)? {
            Self::from_manifest(&Manifest::parse(text).map_err(at)?, source.clone()).map_err(at)?
        } else {
            let document = TrustPolicyDocument::from_json(&bytes).map_err(|error| at(error.to_string()))?;
            Self::without_stores(Arc::new(document), source.clone())
        };
        match folder {
            Some(folder) => policy.with_stores_of(folder),
            None => Ok(policy),
        }
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
        let (stores, matching) = (loaded.stores.stores.clone(), loaded.matching);
        Ok(Self { document: loaded.document?, stores, brought, matching, warnings, source })
    }

    /// A trustpolicy.json has its stores elsewhere.
    fn without_stores(document: Arc<TrustPolicyDocument>, source: String) -> Self {
        let mut stores = TrustStores::new();
        for reference in document.statements().iter().flat_map(Statement::trust_stores) {
            let why =
                "a trustpolicy.json needs --trust-store DIR, the folder truststore/x509 of notation's configuration";
            stores.insert_unavailable(reference.clone(), why);
        }
        let (brought, matching) = (BroughtLists::default(), DigestMatching::Exact);
        Self { document, stores, brought, matching, warnings: Vec::new(), source }
    }

    /// Stores in a folder take the place of those in a `TrustPolicy`.
    fn with_stores_of(self, folder: &Path) -> Result<Self, String> {
        let source = format!("--trust-store {}", folder.display());
        let stores = from_folder(folder, &self.document).map_err(|why| format!("{source}: {why}"))?;
        Ok(Self { stores, source, ..self })
    }

    /// Adds revocation lists from files.
    ///
    /// # Errors
    /// The first that cannot be read, or that there are too many.
    pub(crate) fn bring(&mut self, files: &[PathBuf]) -> Result<(), String> {
        for file in files {
            let at = |why: String| format!("--crl {}: {why}", file.display());
            let bytes = read_bounded(file, CRL_MOST).map_err(at)?;
            let list = RevocationList::from_der_or_pem(&bytes).map_err(|error| at(error.to_string()))?;
            if self.brought.lists.len() >= MAX_BROUGHT_CRLS {
                return Err(at(format!("there are more than {MAX_BROUGHT_CRLS} revocation lists")));
            }
            self.brought.lists.push(list);
        }
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
