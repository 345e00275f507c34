// SPDX-License-Identifier: Apache-2.0
//! Notation's configuration: a trust policy file, and the folder of trust stores.

use std::path::{Path, PathBuf};

use sealwatch_verifier::notation::{MAX_POLICY_BYTES, TrustPolicyDocument, raw};

use crate::{registries::read_bounded, verify::policy_file::kubernetes_text};

/// The names of the trust policy file in the order in which newer versions of Notation look for them.
const FILES: [&str; 2] = ["trustpolicy.oci.json", "trustpolicy.json"];
/// Where the trust stores are in a configuration folder.
const STORES: &str = "truststore/x509";

/// A trust policy as Notation keeps it.
#[derive(Debug)]
pub(super) struct Configuration {
    /// The document as it is written.
    pub(super) raw: raw::Document,
    /// The same, every rule checked.
    pub(super) document: TrustPolicyDocument,
    /// Where its trust stores are; none where nobody said.
    pub(super) stores: Option<PathBuf>,
}

/// The trust policy file that a path means, and where its trust stores are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) policy: PathBuf,
    pub(super) stores: Option<PathBuf>,
}

impl Files {
    /// A configuration folder has both; a file needs the folder of the trust stores besides.
    pub(super) fn find(path: &Path, trust_store: Option<&Path>) -> Result<Self, String> {
        let at = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
        let metadata = std::fs::metadata(path).map_err(|error| at(&error))?;
        let named = trust_store.map(Path::to_owned);
        if !metadata.is_dir() {
            return Ok(Self { policy: path.to_owned(), stores: named });
        }
        let policy = FILES.into_iter().map(|name| path.join(name)).find(|file| file.is_file());
        let policy = policy.ok_or_else(|| at(&format!("has neither {} nor {}", FILES[0], FILES[1])))?;
        let own = Some(path.join(STORES)).filter(|folder| folder.is_dir());
        Ok(Self { policy, stores: named.or(own) })
    }
}

impl Configuration {
    /// Reads the trust policy file, and nothing of the trust stores yet.
    pub(super) fn read(path: &Path, trust_store: Option<&Path>) -> Result<Self, String> {
        let files = Files::find(path, trust_store)?;
        let at = |why: String| format!("{}: {why}", files.policy.display());
        let most = u64::try_from(MAX_POLICY_BYTES).unwrap_or(u64::MAX);
        let bytes = read_bounded(&files.policy, most).map_err(at)?;
        if kubernetes_text(&bytes).map_err(at)?.is_some() {
            return Err(at("is no trustpolicy.json, which is a JSON object without kind".to_owned()));
        }
        Self::parse(&bytes, files.stores.clone()).map_err(at)
    }

    /// The same of a trust policy file that was read, which is no Kubernetes object.
    pub(super) fn parse(bytes: &[u8], stores: Option<PathBuf>) -> Result<Self, String> {
        let document = TrustPolicyDocument::from_json(bytes).map_err(|error| error.to_string())?;
        let raw = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        Ok(Self { raw, document, stores })
    }
}
