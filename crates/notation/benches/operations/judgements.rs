// SPDX-License-Identifier: Apache-2.0
//! From the bytes of an envelope to an outcome, at once and in its two steps.

use sealwatch_fixtures::tsa::{stamped_cose, stamped_jws};
use sealwatch_notation::{
    Certificate, Envelope, MEDIA_TYPE_COSE, MEDIA_TYPE_JWS, Outcome, Reason, RevocationAnswers, RevocationList,
    TargetArtifact, Timestamp, TrustPolicyDocument, TrustStore, TrustStores, judge, parse_certificates,
};

use super::Operation;
use super::bare::checks;
use super::chains::{KINDS, authority_root, serial, signer, token};
use crate::support::cose::{self, Cose};
use crate::support::jws::Jws;
use crate::support::key::Kind;
use crate::support::pki::{Signer, Template};
use crate::support::revocation::{self, CRL_URL, List, OCSP_URL, Ocsp, Single};
use crate::support::tsa;
use crate::support::{self, NOW, SIGNER};

/// Everything that a judgement takes but the envelope.
#[derive(Clone)]
struct Bench {
    policy: TrustPolicyDocument,
    stores: TrustStores,
    answers: RevocationAnswers,
    target: TargetArtifact,
    now: Timestamp,
}

impl Bench {
    /// A strict policy that trusts the chain's root and this signer by its name.
    fn new(signer: &Signer) -> Self {
        let identity = format!("x509.subject: {SIGNER}");
        Self {
            policy: support::policy("strict", "", &["ca:test"], &[&identity]),
            stores: support::stores(&[("ca:test", signer.root())]),
            answers: RevocationAnswers::default(),
            target: support::target(),
            now: support::time(NOW),
        }
    }

    /// With a store for timestamps, which then every signature must have.
    fn with_authority(mut self, kind: Kind) -> Self {
        let identity = format!("x509.subject: {SIGNER}");
        self.policy = support::policy("strict", "", &["ca:test", "tsa:test"], &[&identity]);
        let root = parse_certificates(&authority_root(kind)).expect("a certificate");
        let reference = "tsa:test".parse().expect("a reference");
        self.stores.insert(TrustStore::new(reference, root).expect("a root"));
        self
    }

    fn with_answers(self, answers: RevocationAnswers) -> Self {
        Self { answers, ..self }
    }

    fn judge(&self, envelope: &Envelope) -> Outcome {
        judge(envelope, &self.target, &self.policy.statements()[0], &self.stores, &self.answers, self.now)
    }

    /// The repeated judgement of one envelope; `reason` is what it says, so that nothing else is measured.
    fn operation(self, name: &str, envelope: &Envelope, reason: Reason) -> Operation {
        let envelope = envelope.clone();
        let outcome = self.judge(&envelope);
        assert_eq!(outcome.reason(), reason, "{name}: {}", outcome.message());
        Operation::new(name, move || self.judge(&envelope))
    }

    /// All of it: parsing, then the one judgement.
    fn whole(&self, name: String, media_type: &'static str, bytes: &[u8]) -> Operation {
        let (bench, bytes) = (self.clone(), bytes.to_vec());
        let run = move || bench.judge(&Envelope::parse(media_type, &bytes).expect("a sound envelope"));
        let outcome = run();
        assert_eq!(outcome.reason(), Reason::SignatureValid, "{name}: {}", outcome.message());
        Operation::new(name, run)
    }
}

fn parsed(bytes: &[u8]) -> Envelope {
    Envelope::parse(MEDIA_TYPE_COSE, bytes).expect("a sound envelope")
}

/// Parsing, integrity and judgement in one, beside the bare signature checks that they contain.
pub(super) fn whole() -> Vec<Operation> {
    let mut all = Vec::new();
    for (word, kind) in KINDS {
        let signer = signer(kind, &[]);
        let (bench, bare) = (Bench::new(&signer), format!("bare/{word}"));
        let (cose, jws) = (Cose::new(&signer).sign(), Jws::new(&signer).sign());
        all.push(checks(bare.clone(), kind, &cose, &signer.chain, 0));
        all.push(bench.whole(format!("verify/cose-{word}"), MEDIA_TYPE_COSE, &cose).beside(&bare));
        all.push(bench.whole(format!("verify/jws-{word}"), MEDIA_TYPE_JWS, &jws).beside(&bare));
        if kind == Kind::Rsa3072 {
            let parse = move || Envelope::parse(MEDIA_TYPE_COSE, &cose).expect("a sound envelope");
            all.push(Operation::new(format!("parse/cose-{word}"), parse).beside(&bare));
            let parse = move || Envelope::parse(MEDIA_TYPE_JWS, &jws).expect("a sound envelope");
            all.push(Operation::new(format!("parse/jws-{word}"), parse).beside(&bare));
            all.extend(timestamped(&format!("{word}-timestamp"), kind, &signer));
        }
    }
    all
}

/// The same with a timestamp: of a signer, below an intermediate, below a root that is trusted.
fn timestamped(word: &str, kind: Kind, signer: &Signer) -> Vec<Operation> {
    let cose = stamped_cose(&Cose::new(signer), |signature| token(kind, signature));
    let jws = stamped_jws(&Jws::new(signer), |signature| token(kind, signature));
    let (bench, bare) = (Bench::new(signer).with_authority(kind), format!("bare/{word}"));
    vec![
        checks(bare.clone(), kind, &cose, &signer.chain, 3),
        bench.whole(format!("verify/cose-{word}"), MEDIA_TYPE_COSE, &cose).beside(&bare),
        bench.whole(format!("verify/jws-{word}"), MEDIA_TYPE_JWS, &jws).beside(&bare),
    ]
}

/// Judgements of an envelope that was parsed and judged before, as the operator makes them.
pub(super) fn repeated() -> Vec<Operation> {
    let kind = Kind::Rsa3072;
    let plain = signer(kind, &[]);
    let envelope = parsed(&Cose::new(&plain).sign());
    let bench = Bench::new(&plain);
    let expired = parsed(&Cose::new(&plain).expiring(cose::SIGNED_AT + 1).sign());
    let stamped = tsa::stamped_cose(&Cose::new(&plain), |signature| token(kind, signature));
    let mut all = vec![
        bench.clone().operation("judge/plain", &envelope, Reason::SignatureValid),
        with_many(&bench, &plain).operation("judge/of-256-anchors", &envelope, Reason::SignatureValid),
        bench.clone().operation("judge/expired", &expired, Reason::SignatureExpired),
        bench.with_authority(kind).operation("judge/timestamp", &stamped, Reason::SignatureValid),
    ];
    let by_ocsp = signer(kind, &[revocation::ocsp_at(&[OCSP_URL])]);
    let by_crl = signer(kind, &[revocation::crl_at(&[&[CRL_URL]])]);
    let envelope = parsed(&Cose::new(&by_ocsp).sign());
    all.push(Bench::new(&by_ocsp).operation("judge/no-answer", &envelope, Reason::RevocationUnknown));
    for (name, response) in [("judge/ocsp", ocsp(kind)), ("judge/ocsp-delegated", delegated(kind))] {
        let mut answers = RevocationAnswers::default();
        answers.insert_ocsp(OCSP_URL, &leaf(&by_ocsp), Ok(response));
        all.push(Bench::new(&by_ocsp).with_answers(answers).operation(name, &envelope, Reason::SignatureValid));
    }
    let envelope = parsed(&Cose::new(&by_crl).sign());
    for entries in [100, 10_000, 100_000] {
        let bench = Bench::new(&by_crl).with_answers(heard(&list(kind, entries)));
        all.push(bench.operation(&format!("judge/crl-{entries}"), &envelope, Reason::SignatureValid));
    }
    all
}

/// What is done once for each revocation list: reading it, and the first judgement by it.
pub(super) fn first_time() -> Vec<Operation> {
    let kind = Kind::Rsa3072;
    let signer = signer(kind, &[revocation::crl_at(&[&[CRL_URL]])]);
    let envelope = parsed(&Cose::new(&signer).sign());
    let mut all = Vec::new();
    for entries in [100, 10_000, 100_000] {
        let list = list(kind, entries);
        let (bench, envelope) = (Bench::new(&signer), envelope.clone());
        all.push(Operation::new(format!("judge-first/crl-{entries}"), move || {
            bench.clone().with_answers(heard(&list)).judge(&envelope)
        }));
    }
    all
}

/// A trust store and a policy as large as they may be, in which what fits stands last.
fn with_many(bench: &Bench, signer: &Signer) -> Bench {
    let of_number = |number: u32| {
        Template { serial: serial(number), key: Kind::P256, issuer_key: Kind::P256, ..Template::root() }.issue()
    };
    let ders: Vec<u8> = (0..255).flat_map(of_number).chain(signer.root().to_vec()).collect();
    let anchors = parse_certificates(&ders).expect("certificates");
    let mut bench = bench.clone();
    bench.stores.insert(TrustStore::new("ca:test".parse().expect("a reference"), anchors).expect("a store"));
    bench
}

fn leaf(signer: &Signer) -> Certificate {
    Certificate::from_der(&signer.chain[0]).expect("a certificate")
}

/// That the leaf is good, by the intermediate itself.
fn ocsp(kind: Kind) -> Vec<u8> {
    let responder = revocation::by_key(kind);
    Ocsp { responder, key: kind, singles: vec![good_leaf(kind)], ..Ocsp::new(&revocation::GOOD) }.issue()
}

/// The same by a responder that the intermediate appointed.
fn delegated(kind: Kind) -> Vec<u8> {
    let responder = revocation::responder().below_intermediate();
    let responder = Template { key: kind, issuer_key: kind, ..responder };
    Ocsp { singles: vec![good_leaf(kind)], ..Ocsp::by(&responder, &revocation::GOOD) }.issue()
}

fn good_leaf(kind: Kind) -> Single {
    Single {
        issuer_name: revocation::sha1(&Template::intermediate().subject),
        issuer_key: revocation::sha1(&revocation::key_bits(kind)),
        serial: serial(3),
        ..Single::new(&revocation::GOOD)
    }
}

/// The intermediate's list with this many others in it.
pub(super) fn list(kind: Kind, entries: u32) -> Vec<u8> {
    let entry = |number| revocation::entry(&serial(number), "260601000000Z", &[revocation::reason(1)]);
    let entries = (1000..1000 + entries).map(entry).collect();
    List { issuer: Template::intermediate().subject, key: kind, entries, ..List::new() }.issue()
}

fn heard(list: &[u8]) -> RevocationAnswers {
    let mut answers = RevocationAnswers::default();
    answers.insert_crl(CRL_URL, Ok(RevocationList::from_der(list).expect("a list")));
    answers
}
