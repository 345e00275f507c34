// SPDX-License-Identifier: Apache-2.0
//! The signature rules of the [Notary Project]: which container images are signed by whom, by a trust policy.
//!
//! ```
//! use sealwatch_notation::{
//!     Envelope, MEDIA_TYPE_JWS, Outcome, Reason, RevocationAnswers, TargetArtifact, TrustPolicyDocument, TrustStores,
//!     Verdict, judge,
//! };
//!
//! let policy = TrustPolicyDocument::from_json(
//!     br#"{"version": "1.0", "trustPolicies": [{
//!         "name": "supplychain",
//!         "registryScopes": ["*"],
//!         "signatureVerification": {"level": "strict"},
//!         "trustStores": ["ca:supplychain"],
//!         "trustedIdentities": ["x509.subject: C=US, ST=Washington, O=Microsoft Corporation"]
//!     }]}"#,
//! )?;
//! let statement = policy.statement_for("registry.example/app").expect("the scope is *");
//! let stores = TrustStores::new(); // of `TrustStore`s, of `Certificate`s, from `parse_certificates`
//!
//! // From the registry: the manifest that runs, and the layer of one signature manifest that refers to it.
//! let image = TargetArtifact {
//!     media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
//!     digest: "sha256:09cbca56a2149d624cdc4ec952abe9a92ee88c347790c6657e3dd2a0fcc12d10".to_owned(),
//!     size: 1024,
//! };
//! let layer = br#"{"payload": "not an envelope"}"#;
//! let now = "2026-11-22T12:00:00Z".parse()?;
//!
//! let outcome = match Envelope::parse(MEDIA_TYPE_JWS, layer) {
//!     Ok(envelope) => judge(&envelope, &image, statement, &stores, &RevocationAnswers::default(), now),
//!     Err(error) => Outcome::broken(statement, &error),
//! };
//! assert_eq!(outcome.verdict(), Verdict::Failed);
//! assert_eq!(outcome.reason(), Reason::IntegrityFailed);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The crate is pure. Bytes, policy, trust, revocation answers and the time are arguments; there is no socket, file,
//! environment or clock in it, and its `clippy.toml` keeps it so. Two steps are kept apart:
//!
//! * [`Envelope::parse`] does what never changes: it parses, verifies the signature with the leaf's key and checks the
//!   shape of the chain. Its result may be kept for as long as the bytes.
//! * [`judge`](judge()) does what policy, trust, revocation and time can change.
//!
//! Between the two, [`revocation_questions`] says which OCSP responders and revocation lists to ask. Asking is the
//! caller's part; without answers a chain that says where to ask is `RevocationUnknown`.
//!
//! # What is not judged yet
//!
//! * Verification plugins are never run, and critical attributes beyond the specification are not known: a signature
//!   that has either fails with `ExtensionUnsupported`.
//!
//! # Sources
//!
//! The specifications are those of `notaryproject/specifications` (trust store and trust policy, signature
//! specification, JWS and COSE envelopes, signing schemes). Names like `TP-17` or `CC-4` in comments number the rules;
//! tests carry the same names. `Off-spec:` and "stricter than notation-go" mark where this crate departs from the
//! reference implementation. It means to accept nothing that the reference implementation refuses; known to be accepted
//! all the same are certificates with an extension of no meaning here (subject alternative names, name constraints,
//! policies) that Go's parser finds malformed, because the specification forbids to evaluate it.
//!
//! Timestamp tokens are held to RFC 3161, and more strictly than by the reference implementation: nothing may follow
//! any of their structures, an attribute has one value, no extension of a token is critical, an accuracy is what the
//! RFC allows, every path from the authority to a root keeps the rules, basic constraints of CAs are critical, and a
//! path certificate with name constraints, policy constraints or an unknown critical extension is refused.
//!
//! Limits, all of them named constants: envelopes of 32 MiB, payloads and protected headers of 1 MiB, chains of 10
//! certificates of 64 KiB, CBOR of 4096 items and 32 levels, policies of 1 MiB with 1000 entries in each list,
//! timestamp tokens of 1 MiB with 16384 elements, 32 levels, 16 certificates and 4 signers, 100 signatures of
//! certificates in a search for the path of an authority.
//!
//! [Notary Project]: https://notaryproject.dev
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

#[cfg(test)]
extern crate self as sealwatch_notation; // the generator of the tests knows the crate by its name

mod algorithm;
mod asn1;
mod certificate;
mod chain;
mod envelope;
mod identity;
mod json;
mod judge;
mod outcome;
mod payload;
mod policy;
mod revocation;
mod timestamp;
mod trust_store;

pub use jiff::Timestamp;

pub use algorithm::SignatureAlgorithm;
pub use certificate::{
    Certificate, CertificateError, MAX_CERTIFICATE_BYTES, MAX_CERTIFICATE_FILE_BYTES, MAX_CERTIFICATES_PER_FILE,
    parse_certificates,
};
pub use chain::{ChainError, ChainProblem, MAX_CHAIN_LENGTH};
pub use envelope::{
    ARTIFACT_TYPE, Envelope, EnvelopeError, MAX_ENVELOPE_BYTES, MEDIA_TYPE_COSE, MEDIA_TYPE_JWS, SigningScheme,
    VerificationPlugin,
};
pub use identity::{DistinguishedName, DistinguishedNameError, Identity};
pub use judge::{judge, revocation_questions};
pub use outcome::{Anchor, Check, CheckResult, CheckType, Outcome, Reason, Verdict};
pub use payload::TargetArtifact;
pub use policy::{
    Action, Actions, Level, MAX_POLICY_BYTES, MAX_POLICY_ENTRIES, PolicyError, Statement, TrustPolicyDocument,
    VerifyTimestamp, raw,
};
pub use revocation::{
    AnswerTimes, MAX_BROUGHT_CRLS, MAX_CRL_BYTES, MAX_OCSP_RESPONSE_BYTES, MAX_URL_BYTES, MAX_URLS_PER_CERTIFICATE,
    MAX_URLS_PER_VERIFICATION, RevocationAnswers, RevocationError, RevocationEvidence, RevocationList,
    RevocationMethod, RevocationQuestion, RevocationQuestions, RevocationRequest,
};
pub use timestamp::VerifiedTimestamp;
pub use trust_store::{
    MAX_CERTIFICATES_PER_STORE, TrustStore, TrustStoreError, TrustStoreRef, TrustStoreRefError, TrustStoreType,
    TrustStores,
};
