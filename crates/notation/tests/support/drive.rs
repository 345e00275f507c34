// SPDX-License-Identifier: Apache-2.0
//! Everything that is done with bytes of one format, from the outermost function on: what is measured, for memory and
//! for work, and what the fuzzers start from.
//!
//! Timestamp tokens, OCSP responses and revocation lists have no reader of their own outside of the crate; they are
//! judged, as answers about a signature that is good.

use std::sync::OnceLock;

use sealwatch_fixtures::cose::Cose;
use sealwatch_fixtures::pki::Signer;
use sealwatch_fixtures::revocation::{CRL_URL, DELTA_URL, OCSP_URL, crl_at, leaf_with, ocsp_at};
use sealwatch_fixtures::worst::Format;
use sealwatch_fixtures::{NOW, TARGET_MEDIA_TYPE, TARGET_SIZE, target_digest, tsa};
use sealwatch_notation::{
    DistinguishedName, Envelope, MEDIA_TYPE_COSE, MEDIA_TYPE_JWS, Outcome, RevocationAnswers, RevocationList,
    TargetArtifact, Timestamp, TrustPolicyDocument, TrustStore, TrustStores, judge, parse_certificates,
    revocation_questions,
};

/// A policy that enforces everything and trusts everybody in `ca:test`, `signingAuthority:test` and `tsa:test`.
pub(crate) const POLICY: &str = r#"{"version":"1.0","trustPolicies":[{"name":"test","registryScopes":["*"],
    "signatureVerification":{"level":"strict"},
    "trustStores":["ca:test","signingAuthority:test","tsa:test"],"trustedIdentities":["*"]}]}"#;

/// What everything is judged by.
pub(crate) struct Stage {
    /// Good, with a leaf that names an OCSP responder and a place of revocation lists.
    pub(crate) envelope: Envelope,
    pub(crate) policy: TrustPolicyDocument,
    pub(crate) stores: TrustStores,
    pub(crate) subject: TargetArtifact,
    pub(crate) now: Timestamp,
}

/// The one stage of this process.
pub(crate) fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| {
        let signer = signer();
        let mut stores = TrustStores::new();
        let root = signer.root().to_vec();
        for (name, der) in [("ca:test", &root), ("signingAuthority:test", &root), ("tsa:test", &tsa::root().issue())] {
            let certificates = parse_certificates(der).expect("a certificate of the fixtures");
            let store = TrustStore::new(name.parse().expect("a reference"), certificates);
            stores.insert(store.expect("a root of the fixtures"));
        }
        Stage {
            envelope: Envelope::parse(MEDIA_TYPE_COSE, &Cose::new(&signer).sign()).expect("a good envelope"),
            policy: TrustPolicyDocument::from_json(POLICY.as_bytes()).expect("a good policy"),
            stores,
            subject: TargetArtifact {
                media_type: TARGET_MEDIA_TYPE.to_owned(),
                digest: target_digest(),
                size: TARGET_SIZE,
            },
            now: NOW.parse().expect("a time"),
        }
    })
}

/// Whose envelope the stage has.
pub(crate) fn signer() -> Signer {
    Signer::with_leaf(&leaf_with(&[ocsp_at(&[OCSP_URL]), crl_at(&[&[CRL_URL]])]))
}

impl Stage {
    /// Judges by the only statement.
    pub(crate) fn judge(&self, envelope: &Envelope, answers: &RevocationAnswers) -> Outcome {
        judge(envelope, &self.subject, &self.policy.statements()[0], &self.stores, answers, self.now)
    }
}

/// What the code under test is handed for `bytes` of this format: for a token, an envelope that carries it.
pub(crate) fn prepared(format: Format, bytes: &[u8]) -> Vec<u8> {
    stage();
    match format {
        Format::Token => tsa::stamped_cose(&Cose::new(&signer()), |_| bytes.to_vec()),
        _ => bytes.to_vec(),
    }
}

/// Does all there is to do with what was [`prepared`].
pub(crate) fn drive(format: Format, bytes: &[u8]) {
    match format {
        Format::Jws => drop(envelope(MEDIA_TYPE_JWS, bytes)),
        Format::Cose | Format::Token => drop(envelope(MEDIA_TYPE_COSE, bytes)),
        Format::Name => drop(std::str::from_utf8(bytes).map(DistinguishedName::parse)),
        Format::Policy => {
            let policy = TrustPolicyDocument::from_json(bytes);
            drop(policy.map(|policy| policy.statement_for("registry.example/app").cloned()));
        }
        Format::Certificates => drop(parse_certificates(bytes)),
        Format::Ocsp => drop(ocsp(bytes)),
        Format::Crl => drop(crl(bytes)),
        Format::Manifest => {} // crates/registry reads them
    }
}

/// Parses, asks what to ask, and judges.
pub(crate) fn envelope(media_type: &str, bytes: &[u8]) -> Option<(Envelope, Outcome)> {
    let stage = stage();
    let envelope = Envelope::parse(media_type, bytes).ok()?;
    let statement = &stage.policy.statements()[0];
    drop(revocation_questions(&envelope, statement, &stage.stores, stage.now));
    let outcome = stage.judge(&envelope, &RevocationAnswers::default());
    Some((envelope, outcome))
}

/// Takes the bytes for what the responder said about the leaf.
pub(crate) fn ocsp(bytes: &[u8]) -> Outcome {
    let stage = stage();
    let mut answers = RevocationAnswers::default();
    answers.insert_ocsp(OCSP_URL, stage.envelope.leaf(), Ok(bytes.to_vec()));
    finish(&answers)
}

/// Takes the bytes for the revocation list of the root, and for its delta.
pub(crate) fn crl(bytes: &[u8]) -> Outcome {
    let mut answers = RevocationAnswers::default();
    let list = RevocationList::from_der(bytes.to_vec()).map_err(|error| error.to_string());
    answers.insert_crl(CRL_URL, list.clone());
    answers.insert_crl(DELTA_URL, list);
    finish(&answers)
}

fn finish(answers: &RevocationAnswers) -> Outcome {
    let stage = stage();
    let statement = &stage.policy.statements()[0];
    let questions = revocation_questions(&stage.envelope, statement, &stage.stores, stage.now);
    drop(questions.follow_up(answers, stage.now));
    stage.judge(&stage.envelope, answers)
}
