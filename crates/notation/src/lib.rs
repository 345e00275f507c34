// SPDX-License-Identifier: Apache-2.0
//! The signature rules of the [Notary Project]: which container images are signed by whom, by a trust policy.
//!
//! ```
//! use sealwatch_notation::{
//!     Envelope, MEDIA_TYPE_COSE, RevocationAnswers, TargetArtifact, TrustPolicyDocument, TrustStore, TrustStores, Verdict,
//!     judge, parse_certificates,
//! };
//!
//! // From the user: a `trustpolicy.json`, and the certificates of the trust store that it names.
//! let policy = TrustPolicyDocument::from_json(include_bytes!("../../../fixtures/cose/good_es256/policy.json"))?;
//! let root = include_bytes!("../../../fixtures/cose/good_es256/truststore/x509/ca/test/0.der");
//! let mut stores = TrustStores::new();
//! stores.insert(TrustStore::new("ca:test".parse()?, parse_certificates(root)?)?);
//! // From the registry: the manifest that runs, and the layer of a signature manifest that refers to it.
//! let (media_type, digest) = ("application/vnd.oci.image.manifest.v1+json".into(), format!("sha256:{}", "5a".repeat(32)));
//! let image = TargetArtifact { media_type, digest, size: 1024 };
//! let layer = include_bytes!("../../../fixtures/cose/good_es256/envelope.cose");
//!
//! let envelope = Envelope::parse(MEDIA_TYPE_COSE, layer)?;
//! let statement = policy.statement_for("registry.example/app").ok_or("no statement: not trusted")?;
//! let now = "2026-11-22T12:00:00Z".parse()?;
//! let outcome = judge(&envelope, &image, statement, &stores, &RevocationAnswers::default(), now);
//! assert_eq!(outcome.verdict(), Verdict::Verified, "{}", outcome.message());
//! # assert!(outcome.message().starts_with("signed by CN="), "{}", outcome.message());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An envelope that cannot be parsed is a failure of its signature, not of the program: [`Outcome::broken`] makes the
//! outcome that says so.
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
//! # What is not judged
//!
//! * Verification plugins are never run, and critical attributes beyond the specification are not known: a signature
//!   that has either fails with `ExtensionUnsupported`.
//!
//! # Sources
//!
//! The specifications are those of `notaryproject/specifications` (trust store and trust policy, signature
//! specification, JWS and COSE envelopes, signing schemes). Names like `TP-17` or `CC-4` in comments number the rules;
//! tests carry the same names. `Off-spec:` and "stricter than notation-go" mark where this crate departs from the
//! reference implementation. It means to accept nothing that the reference implementation refuses, and is compared with
//! it on some 130,000 cases (`conformance/README.md`). So extensions of no meaning here (subject alternative names, name
//! constraints, policies), which the specification forbids to evaluate, must still have a form that Go's parser reads.
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
// Nothing here panics on what it reads, and no module may allow itself to. In tests a panic is how one fails; there the
// same lints hold, as far as clippy.toml does not exempt them.
#![cfg_attr(
    not(test),
    forbid(
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::arithmetic_side_effects,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::unimplemented
    )
)]
#![cfg_attr(
    test,
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::arithmetic_side_effects,
        clippy::panic
    )
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
pub use certificate::{Certificate, CertificateError, MAX_CERTIFICATE_FILE_BYTES, parse_certificates};
pub use chain::{ChainError, ChainProblem};
pub use envelope::{
    ARTIFACT_TYPE, Envelope, EnvelopeDetails, EnvelopeError, ExtendedAttribute, MAX_ENVELOPE_BYTES, MEDIA_TYPE_COSE,
    MEDIA_TYPE_JWS, SigningScheme, VerificationPlugin,
};
pub use identity::{DistinguishedName, DistinguishedNameError, Identity};
pub use judge::{judge, revocation_chains, revocation_questions};
pub use outcome::{Anchor, Check, CheckResult, CheckType, Outcome, Reason, Verdict};
pub use payload::TargetArtifact;
pub use policy::{
    Action, Actions, Level, MAX_POLICY_BYTES, PolicyError, Statement, TrustPolicyDocument, VerifyTimestamp, raw,
};
pub use revocation::{
    AnswerTimes, MAX_BROUGHT_CRLS, MAX_CRL_BYTES, MAX_OCSP_RESPONSE_BYTES, MAX_URLS_PER_CERTIFICATE,
    MAX_URLS_PER_VERIFICATION, OcspResponse, RevocationAnswers, RevocationError, RevocationEvidence, RevocationList,
    RevocationMethod, RevocationQuestion, RevocationQuestions, RevocationRequest,
};
pub use timestamp::{ClaimedTimestamp, VerifiedTimestamp};
pub use trust_store::{
    MAX_CERTIFICATES_PER_STORE, TrustStore, TrustStoreError, TrustStoreRef, TrustStoreRefError, TrustStoreType,
    TrustStores,
};
