// SPDX-License-Identifier: Apache-2.0
//! The targets: what is done with an input, and what must hold afterwards.

use std::sync::OnceLock;

use coset::cbor::Value;
use sealwatch_fixtures::cose::{Cose, encode};
use sealwatch_fixtures::tsa;
use sealwatch_fixtures::worst::Format;
use sealwatch_notation::{
    Certificate, CheckResult, CheckType, DistinguishedName, Envelope, Level, MEDIA_TYPE_COSE, MEDIA_TYPE_JWS, Outcome,
    TrustPolicyDocument, TrustStore, TrustStoreType, Verdict, parse_certificates, raw,
};
#[cfg(feature = "manifest")]
use sealwatch_registry::{Descriptor, ImageDocument, SignatureManifest};

use crate::drive::{self, drive, signer, stage};
use crate::known;
use crate::memory::bounded;
use crate::work::judge_case;

/// A JWS envelope.
pub fn jws(bytes: &[u8]) {
    envelope(MEDIA_TYPE_JWS, bytes);
}

/// A COSE envelope.
pub fn cose(bytes: &[u8]) {
    envelope(MEDIA_TYPE_COSE, bytes);
}

fn envelope(media_type: &str, bytes: &[u8]) {
    known::envelopes();
    let first = bounded(bytes.len(), || drive::envelope(media_type, bytes));
    assert_eq!(first, drive::envelope(media_type, bytes), "read twice, judged twice");
    let Some((envelope, outcome)) = first else { return };
    // With the keys of the fixtures nothing is signed but what the seeds say.
    if known::signers().contains(envelope.leaf().sha256()) {
        let facts = known::signed_facts(&envelope);
        assert!(known::envelopes().contains(&facts), "signed facts that nobody signed: {facts}");
    }
    check_outcome(&envelope, &outcome);
    if outcome.verdict() == Verdict::Verified {
        assert!(known::signers().contains(envelope.leaf().sha256()), "nobody issued the leaf");
        assert_eq!(*envelope.target(), stage().subject);
    }
}

/// What holds for every outcome.
fn check_outcome(envelope: &Envelope, outcome: &Outcome) {
    let result_of = |wanted| outcome.checks().iter().find(|check| check.check == wanted).map(|check| check.result);
    let authenticity = result_of(CheckType::Authenticity);
    assert_eq!(outcome.anchor().is_some(), authenticity == Some(CheckResult::Passed));
    if let Some(anchor) = outcome.anchor() {
        assert!(envelope.certificate_chain().contains(&anchor.certificate), "an anchor that is not in the chain");
    }
    if outcome.verdict() == Verdict::Verified {
        assert_eq!(result_of(CheckType::Integrity), Some(CheckResult::Passed));
    }
    if outcome.timestamp().is_some() {
        assert_eq!(result_of(CheckType::AuthenticTimestamp), Some(CheckResult::Passed));
    }
}

/// One distinguished name, or two with a line break between them.
pub fn name(bytes: &[u8]) {
    bounded(bytes.len(), || drive(Format::Name, bytes));
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (left, right) = text.split_once('\n').unwrap_or((text, text));
    if let (Ok(left), Ok(right)) = (DistinguishedName::parse(left), DistinguishedName::parse(right)) {
        assert!(left.is_subset_of(&left));
        assert_eq!(left.is_subset_of(&right) && right.is_subset_of(&left), left == right);
    }
    // The order and the separator say nothing.
    if let Ok(name) = DistinguishedName::parse(left)
        && !left.contains('\\')
    {
        let reversed: Vec<&str> = left.split([',', ';']).rev().collect();
        assert_eq!(DistinguishedName::parse(&reversed.join(";")), Ok(name));
    }
}

/// A trust policy document.
pub fn policy(bytes: &[u8]) {
    bounded(bytes.len(), || drive(Format::Policy, bytes));
    let Ok(document) = TrustPolicyDocument::from_json(bytes) else { return };
    assert_eq!(TrustPolicyDocument::from_json(bytes).as_ref(), Ok(&document), "read twice");
    let raw: raw::Document = serde_json::from_slice(bytes).expect("it was read before");
    let again = serde_json::to_vec(&raw).expect("JSON");
    assert_eq!(TrustPolicyDocument::from_json(&again).as_ref(), Ok(&document), "written and read again");
    for statement in document.statements() {
        let is_skip = statement.level() == Level::Skip;
        assert_eq!(statement.trust_stores().is_empty(), is_skip);
        assert_eq!(statement.identities().is_empty(), is_skip);
        for scope in statement.registry_scopes().iter().filter(|scope| *scope != "*") {
            assert_eq!(document.statement_for(scope), Some(statement));
        }
    }
}

/// A file of certificates; then the same as the chain of an envelope.
pub fn certificates(bytes: &[u8]) {
    let parsed = bounded(bytes.len(), || parse_certificates(bytes));
    assert_eq!(parsed, parse_certificates(bytes), "read twice");
    let Ok(certificates) = parsed else { return };
    for certificate in &certificates {
        assert_eq!(Certificate::from_der(certificate.der()).as_ref(), Ok(certificate));
        if let Ok(name) = DistinguishedName::parse(certificate.subject()) {
            assert!(name.is_subset_of(&name));
        }
    }
    let store = |name: &str| TrustStore::new(name.parse().expect("a reference"), certificates.clone());
    assert!(store("tsa:a").is_err() || store("ca:a").is_ok(), "a tsa store is a ca store too");
    let chain: Vec<Value> = certificates.iter().take(12).map(|c| Value::Bytes(c.der().to_vec())).collect();
    let parts = signed_parts();
    let headers = Value::Map(vec![(33.into(), Value::Array(chain))]);
    let envelope =
        encode(&Value::Tag(18, Box::new(vec![parts[0].clone(), headers, parts[2].clone(), parts[3].clone()].into())));
    cose(&envelope);
}

/// The parts of the stage's envelope, signed once.
fn signed_parts() -> &'static [Value] {
    static PARTS: OnceLock<Vec<Value>> = OnceLock::new();
    PARTS.get_or_init(|| Cose::new(&signer()).parts())
}

/// A timestamp token, in the stage's envelope.
pub fn token(bytes: &[u8]) {
    known::stamps();
    let envelope = with_token(bytes);
    let first = bounded(envelope.len(), || drive::envelope(MEDIA_TYPE_COSE, &envelope));
    assert_eq!(first, drive::envelope(MEDIA_TYPE_COSE, &envelope), "read twice, judged twice");
    let Some((envelope, outcome)) = first else { return };
    check_outcome(&envelope, &outcome);
    if let Some(facts) = known::stamped_facts(&outcome) {
        assert!(known::stamps().contains(&facts), "a time that no authority stated: {facts}");
    }
}

/// The stage's envelope with this token; it is signed once.
pub(crate) fn with_token(token: &[u8]) -> Vec<u8> {
    static AROUND: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    let (before, after) = AROUND.get_or_init(|| {
        let mark = b"the place of the token";
        let envelope = tsa::stamped_cose(&Cose::new(&signer()), |_| mark.to_vec());
        let encoded = encode(&Value::Bytes(mark.to_vec()));
        let at = envelope.windows(encoded.len()).position(|window| window == encoded).expect("the mark");
        (envelope[..at].to_vec(), envelope[at + encoded.len()..].to_vec())
    });
    [before, encode(&Value::Bytes(token.to_vec())).as_slice(), after].concat()
}

/// An OCSP response about the leaf of the stage's envelope.
pub fn ocsp(bytes: &[u8]) {
    answer(bytes, drive::ocsp);
}

/// A revocation list of the root of the stage's envelope.
pub fn crl(bytes: &[u8]) {
    answer(bytes, drive::crl);
}

fn answer(bytes: &[u8], judge: fn(&[u8]) -> Outcome) {
    known::answers();
    let outcome = bounded(bytes.len(), || judge(bytes));
    assert_eq!(outcome, judge(bytes), "judged twice");
    check_outcome(&stage().envelope, &outcome);
    if let Some(facts) = known::revocation_facts(&outcome) {
        assert!(known::answers().contains(&facts), "an answer that nobody gave: {facts}");
    }
}

/// The manifest of a signature, and manifests and indexes of images.
#[cfg(feature = "manifest")]
pub fn manifest(bytes: &[u8]) {
    let subject = subject();
    let parsed = bounded(bytes.len(), || SignatureManifest::parse(bytes, subject, sealwatch_notation::ARTIFACT_TYPE));
    assert_eq!(parsed, SignatureManifest::parse(bytes, subject, sealwatch_notation::ARTIFACT_TYPE), "read twice");
    for media_type in ["", "application/vnd.oci.image.index.v1+json"] {
        let document = bounded(bytes.len(), || ImageDocument::parse(bytes, media_type));
        assert_eq!(document, ImageDocument::parse(bytes, media_type), "read twice");
    }
    let Ok(manifest) = parsed else { return };
    assert!([MEDIA_TYPE_JWS, MEDIA_TYPE_COSE].contains(&manifest.envelope.media_type.as_str()));
    let other = Descriptor { size: subject.size + 1, ..subject.clone() };
    assert!(
        SignatureManifest::parse(bytes, &other, sealwatch_notation::ARTIFACT_TYPE).is_err(),
        "it is about two artifacts"
    );
    assert!(SignatureManifest::parse(bytes, subject, "application/x").is_err(), "it is of two types");
}

/// The artifact that signature manifests are about.
#[cfg(feature = "manifest")]
pub(crate) fn subject() -> &'static Descriptor {
    static SUBJECT: OnceLock<Descriptor> = OnceLock::new();
    SUBJECT.get_or_init(|| Descriptor {
        media_type: sealwatch_fixtures::TARGET_MEDIA_TYPE.to_owned(),
        digest: sealwatch_fixtures::target_digest().parse().expect("a digest"),
        size: sealwatch_fixtures::TARGET_SIZE,
        artifact_type: None,
        annotations: std::collections::BTreeMap::new(),
    })
}

/// A whole judgement: envelope, policy, trust stores, answers and time.
pub fn judge(bytes: &[u8]) {
    known::envelopes();
    let parts = crate::case::decode(bytes);
    let judged = bounded(bytes.len(), || judge_case(&parts));
    let Some(judged) = judged else { return };
    let outcome = &judged.outcome;
    assert_eq!(*outcome, judged.again(judged.now), "judged twice");
    check_outcome(&judged.envelope, outcome);
    if judged.statement.level() == Level::Skip {
        assert_eq!(outcome.verdict(), Verdict::Unknown);
    }
    if let Some(anchor) = outcome.anchor() {
        assert_ne!(anchor.store.store_type(), TrustStoreType::Tsa);
        assert!(judged.stores.certificates(&anchor.store).is_ok_and(|store| store.contains(&anchor.certificate)));
    }
    if known::signers().contains(judged.envelope.leaf().sha256()) {
        assert!(known::envelopes().contains(&known::signed_facts(&judged.envelope)), "facts that nobody signed");
    }
    // Until the next change the clock alone changes nothing.
    let until = match outcome.next_change() {
        Some(change) => {
            assert!(change > judged.now, "a change in the past");
            change.as_nanosecond() - 1
        }
        None => i128::from(judged.now.as_second() + 100 * 365 * 86_400) * 1_000_000_000,
    };
    if let Ok(later) = sealwatch_notation::Timestamp::from_nanosecond(until) {
        let later = judged.again(later.max(judged.now));
        assert_eq!((later.verdict(), later.reason()), (outcome.verdict(), outcome.reason()), "changed too early");
    }
}
