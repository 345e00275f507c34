// SPDX-License-Identifier: Apache-2.0
//! The generated grid: format × scheme × algorithm × level × override × trust store × identity × expiry × timestamp ×
//! chain × revocation, and beside it one case for each way in which a single thing can be wrong.

mod axes;
mod chains;
mod envelopes;
mod evidence;
mod policies;
mod tokens;

use sealwatch_fixtures::pki::{Signer, Template};
use sealwatch_fixtures::{jws::Jws, tsa};

use crate::case::Case;

/// All cases of the grid.
pub fn cases() -> impl Iterator<Item = Case> {
    axes::points().map(|point| axes::case(&point)).chain(single_defects())
}

/// One thing wrong at a time, at the level that enforces all and at the one that logs almost all.
fn single_defects() -> impl Iterator<Item = Case> {
    let all = [envelopes::cases(), chains::cases(), tokens::cases(), evidence::cases(), policies::cases()];
    all.into_iter().flatten()
}

/// A policy with one statement.
pub(crate) fn policy(level: &str, over: &str, stores: &[&str], identities: &[&str]) -> Vec<u8> {
    let text = |list: &[&str]| serde_json::to_string(list).expect("strings");
    format!(
        r#"{{"version":"1.0","trustPolicies":[{{"name":"test","registryScopes":["*"],"signatureVerification":{{"level":"{level}"{over}}},"trustStores":{},"trustedIdentities":{}}}]}}"#,
        text(stores),
        text(identities),
    )
    .into_bytes()
}

/// The same case at two levels.
pub(crate) fn at_levels(case: &Case, stores: &[&str]) -> [Case; 2] {
    ["strict", "audit"].map(|level| {
        let name = format!("{}, {level}", case.name);
        Case { name, ..case.clone() }.policy(policy(level, "", stores, &["*"]))
    })
}

/// A signature by these certificates, trusted by the last of them, at two levels.
pub(crate) fn signed_by(name: &str, signer: &Signer) -> [Case; 2] {
    let case = Case::new(name).jws(Jws::new(signer).sign()).store("ca:test", &[signer.root()]);
    at_levels(&case, &["ca:test"])
}

/// A good signature with a token of this making, of an authority below `root`.
pub(crate) fn stamped(name: &str, root: &Template, stamp: impl FnOnce(&[u8]) -> Vec<u8>) -> [Case; 2] {
    let signer = Signer::new();
    let case = Case::new(name)
        .jws(tsa::stamped_jws(&Jws::new(&signer), stamp))
        .store("ca:test", &[signer.root()])
        .store("tsa:test", &[&root.issue()]);
    at_levels(&case, &["ca:test", "tsa:test"])
}
