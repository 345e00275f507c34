// SPDX-License-Identifier: Apache-2.0
//! Where fuzzing starts from: what the fixtures make, good and bad, and small ones of the worst cases.

use std::sync::OnceLock;

use coset::cbor::Value;
use sealwatch_fixtures::catalogue::{self, Case};
use sealwatch_fixtures::cose::{Cose, EXPIRY, SIGNED_AT, epoch};
use sealwatch_fixtures::jws::Jws;
use sealwatch_fixtures::key::Kind as KeyKind;
use sealwatch_fixtures::pki::{self, Signer, Template, pem};
use sealwatch_fixtures::revocation::{
    DELTA_URL, GOOD, List, Ocsp, UNKNOWN, by_name, crl_number, delta_of, entry, freshest_at, invalid_since,
    issuing_point, point_name, reason, responder, revoked,
};
use sealwatch_fixtures::tsa::{self, Token};
use sealwatch_fixtures::worst::{Format, families};
use sealwatch_fixtures::{SIGNER, TARGET_MEDIA_TYPE, TARGET_SIZE, target_digest};

use sealwatch_notation::Timestamp;

use crate::case::{self, Kind, TRUST_STORES};
use crate::drive::{POLICY, signer, stage};

/// Most bytes of a seed from the catalogue: what is large there only shows a limit.
const MAX_SEED_BYTES: usize = 16 * 1024;

/// What is fuzzed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// One reader.
    Jws,
    /// One reader.
    Cose,
    /// One reader.
    Name,
    /// One reader.
    Policy,
    /// Certificates by themselves, and as the chain of an envelope.
    Certificates,
    /// A token in an envelope that is good.
    Token,
    /// What a responder says about a signature that is good.
    Ocsp,
    /// A list that is found where one should be.
    Crl,
    /// The manifest of a signature.
    Manifest,
    /// Everything at once.
    Judge,
}

impl Target {
    /// All ten, by the names of their programs.
    pub const ALL: [(&'static str, Self); 10] = [
        ("jws", Self::Jws),
        ("cose", Self::Cose),
        ("name", Self::Name),
        ("policy", Self::Policy),
        ("certificates", Self::Certificates),
        ("token", Self::Token),
        ("ocsp", Self::Ocsp),
        ("crl", Self::Crl),
        ("manifest", Self::Manifest),
        ("judge", Self::Judge),
    ];

    /// What its inputs are; a whole judgement has no format.
    pub fn format(self) -> Option<Format> {
        match self {
            Self::Jws => Some(Format::Jws),
            Self::Cose => Some(Format::Cose),
            Self::Name => Some(Format::Name),
            Self::Policy => Some(Format::Policy),
            Self::Certificates => Some(Format::Certificates),
            Self::Token => Some(Format::Token),
            Self::Ocsp => Some(Format::Ocsp),
            Self::Crl => Some(Format::Crl),
            Self::Manifest => Some(Format::Manifest),
            Self::Judge => None,
        }
    }
}

/// The seeds of a target.
pub fn seeds(target: Target) -> Vec<Vec<u8>> {
    let mut seeds = match target {
        Target::Jws => jws(),
        Target::Cose => cose(),
        Target::Name => names(),
        Target::Policy => policies(),
        Target::Certificates => certificates(),
        Target::Token => tokens(),
        Target::Ocsp => responses(),
        Target::Crl => lists(),
        Target::Manifest => manifests(),
        Target::Judge => cases(),
    };
    seeds.extend(catalogue().iter().flat_map(|case| of_case(target, case)));
    let worst = families().into_iter().filter(|family| Some(family.format) == target.format());
    seeds.extend(worst.map(|family| (family.make)(1500)));
    seeds
}

/// The committed fixtures, made once.
fn catalogue() -> &'static [Case] {
    static CATALOGUE: OnceLock<Vec<Case>> = OnceLock::new();
    CATALOGUE.get_or_init(|| {
        let is_small = |case: &Case| case.envelope.len() <= MAX_SEED_BYTES;
        catalogue::all().into_iter().filter(is_small).collect()
    })
}

/// What a case of the catalogue has for this target.
fn of_case(target: Target, case: &Case) -> Vec<Vec<u8>> {
    let answers = |is_ocsp: bool| {
        let wanted = case.answers.iter().filter(move |answer| answer.about.is_some() == is_ocsp);
        wanted.map(|answer| answer.body.clone()).filter(|body| body.len() <= MAX_SEED_BYTES)
    };
    match target {
        Target::Jws if case.media_type == catalogue::MEDIA_TYPE_JWS => vec![case.envelope.clone()],
        Target::Cose if case.media_type == catalogue::MEDIA_TYPE_COSE => vec![case.envelope.clone()],
        Target::Policy => vec![case.policy.clone().into_bytes()],
        Target::Certificates => case.stores.values().map(|store| store.concat()).collect(),
        Target::Ocsp => answers(true).collect(),
        Target::Crl => answers(false).collect(),
        Target::Judge => {
            let is_jws = case.media_type == catalogue::MEDIA_TYPE_JWS;
            let mut parts = vec![(if is_jws { Kind::Jws } else { Kind::Cose }, case.envelope.clone())];
            parts.push((Kind::Policy, case.policy.clone().into_bytes()));
            for (kind, name) in TRUST_STORES {
                parts.extend(case.stores.get(name).map(|store| (kind, store.concat())));
            }
            parts.extend(answers(true).map(|body| (Kind::Ocsp, body)));
            parts.extend(answers(false).map(|body| (Kind::Crl, body)));
            let now: Timestamp = case.now.parse().expect("a time of the fixtures");
            parts.push((Kind::Time, now.as_second().to_be_bytes().to_vec()));
            vec![case::encode(&parts)]
        }
        _ => Vec::new(),
    }
}

/// Chains of every kind of key and length.
fn signers() -> Vec<Signer> {
    let kinds = [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Rsa2048, KeyKind::Rsa3072, KeyKind::Rsa4096];
    let of_key = |key| Signer::with_leaf(&Template { key, ..Template::leaf() });
    let long = [&Template::leaf().below_intermediate(), &Template::intermediate(), &Template::root()];
    let own = Template::self_signed();
    let alone = Signer { chain: vec![own.issue()], key: own.key };
    kinds.into_iter().map(of_key).chain([Signer::with_chain(&long), alone, signer()]).collect()
}

fn jws() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = signers().iter().map(|signer| Jws::new(signer).sign()).collect();
    let signer = Signer::new();
    seeds.push(Jws::signing_authority(&signer).sign());
    seeds.push(Jws::new(&signer).expiring("2030-01-01T00:00:00Z").sign());
    seeds.push(tsa::stamped_jws(&Jws::new(&signer), |message| Token::new(message).issue()));
    let mut plugin = Jws::new(&signer);
    plugin.set("io.cncf.notary.verificationPlugin", "plugin").set("io.cncf.notary.verificationPluginMinVersion", "1.0");
    plugin.crit(&["io.cncf.notary.signingScheme", "io.cncf.notary.verificationPlugin"]);
    seeds.push(plugin.sign());
    for time in ["2025-01-01T00:00:00.123456789+01:30", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "x"] {
        let mut jws = Jws::new(&signer);
        jws.set("io.cncf.notary.signingTime", time);
        seeds.push(jws.sign());
    }
    for name in ["alg", "cty", "crit", "io.cncf.notary.signingScheme", "io.cncf.notary.signingTime"] {
        let mut jws = Jws::new(&signer);
        jws.protected.remove(name);
        seeds.push(jws.sign());
    }
    seeds
}

fn cose() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = signers().iter().map(|signer| Cose::new(signer).sign()).collect();
    let signer = Signer::new();
    seeds.push(Cose::signing_authority(&signer).sign());
    seeds.push(Cose::new(&signer).expiring(SIGNED_AT * 2).sign());
    seeds.push(tsa::stamped_cose(&Cose::new(&signer), |message| Token::new(message).issue()));
    for (label, value) in [
        (Value::from(EXPIRY), epoch(1.5e9)),
        (Value::from("unknown"), Value::from(1)),
        (Value::from(4), Value::Bytes(vec![1])),
        (Value::from(5), Value::Bytes(vec![1])),
        (Value::from(3), Value::from(60)),
        (Value::from(1), Value::from("ES256")),
    ] {
        let mut cose = Cose::new(&signer);
        cose.set(label, value);
        seeds.push(cose.sign());
    }
    for label in [1, 2, 3] {
        let mut cose = Cose::new(&signer);
        cose.remove(label);
        seeds.push(cose.sign());
    }
    seeds
}

fn names() -> Vec<Vec<u8>> {
    let texts = [
        SIGNER,
        "C=US,ST=WA,O=o\nC=US, ST=WA; O=o, L=l",
        r"C=US,S=\57A,O=a\,b\+c\=d\ ,CN=\#x",
        "C=US,ST=WA,O=a+CN=b",
        "C=US,ST=WA,O=#1303666f6f",
        "C=US,ST=WA,O=a,O=b",
        "CN=x",
        "",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn policies() -> Vec<Vec<u8>> {
    let other = r#"{"version":"1.0","trustPolicies":[
        {"name":"a","registryScopes":["r.example/a","r.example:5000/b/c"],"signatureVerification":
            {"level":"permissive","override":{"revocation":"skip","expiry":"enforce"},"verifyTimestamp":"afterCertExpiry"},
            "trustStores":["ca:a","tsa:b"],"trustedIdentities":["x509.subject: C=US, ST=WA, O=o","x509.subject: C=US, ST=WA, O=p"]},
        {"name":"b","registryScopes":["*"],"signatureVerification":{"level":"skip"}}]}"#;
    let level = |level: &str| POLICY.replace("strict", level).into_bytes();
    let mut seeds = vec![POLICY.as_bytes().to_vec(), other.as_bytes().to_vec()];
    seeds.extend(["permissive", "audit", "skip", "custom"].map(level));
    seeds.push(POLICY.replace(r#""strict""#, r#""audit","override":{"authenticity":"enforce"}"#).into_bytes());
    seeds
}

fn certificates() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = signers().iter().map(|signer| signer.chain.concat()).collect();
    seeds.push(Signer::new().chain.iter().map(|der| pem(der)).collect::<String>().into_bytes());
    seeds.push([tsa::authority().issue(), tsa::root().issue()].concat());
    seeds.push(responder().issue());
    let name = |tag: u8, value: &[u8]| sealwatch_fixtures::der::name(&[("2.5.4.3", tag, value), ("1.2.3", tag, value)]);
    for (tag, value) in [(0x0c, &b"x, y"[..]), (0x13, b"x"), (0x14, b"\xe4"), (0x1e, b"\0x"), (0x16, b"#x ")] {
        seeds.push(Template { subject: name(tag, value), ..Template::self_signed() }.issue());
    }
    for extension in [
        pki::extension("2.5.29.30", true, &[0x30, 0x00]),
        pki::extension("2.5.29.14", false, &[0x04, 0x01, 0x01]),
        pki::authority_information("1.3.6.1.5.5.7.48.2"),
        pki::distribution_points("2.5.29.46"),
    ] {
        seeds.push(Template::leaf().with_extension(extension).issue());
    }
    seeds
}

fn tokens() -> Vec<Vec<u8>> {
    let message = stage().envelope.signature();
    let mut tokens = vec![Token::new(message), Token::new(b"another message")];
    let below = tsa::below_intermediate(tsa::authority());
    let mut long = Token::by(&below, message);
    long.certificates.push(tsa::intermediate().issue());
    tokens.push(long);
    for time in ["20250101000000.5Z", "20240229235959Z", "19700101000000Z", "20250101000000+0100"] {
        tokens.push(Token { time: time.to_owned(), ..Token::new(message) });
    }
    for hash in [tsa::SHA384, tsa::SHA512] {
        tokens.push(Token { imprint_hash: hash, ..Token::new(message) });
    }
    let accuracy = sealwatch_fixtures::der::sequence(&[&[0x02, 0x01, 0x01], &[0x80, 0x01, 0x05]]);
    tokens.push(Token { rest: accuracy, ..Token::new(message) });
    let mut two = Token::new(message);
    two.signers.push(two.signers[0].clone());
    tokens.push(two);
    tokens.iter().map(Token::issue).collect()
}

fn responses() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Ocsp> =
        [&GOOD[..], &UNKNOWN, &revoked(None), &revoked(Some(1)), &revoked(Some(6))].map(Ocsp::new).into();
    seeds.push(Ocsp::by(&responder(), &GOOD));
    seeds.push(Ocsp { responder: by_name(&Template::root().subject), ..Ocsp::new(&GOOD) });
    seeds.push(Ocsp { status: 3, ..Ocsp::new(&GOOD) });
    let mut dated = Ocsp::new(&revoked(None));
    dated.singles[0].extensions = vec![invalid_since("20260101000000Z")];
    seeds.push(dated);
    let mut two = Ocsp::new(&GOOD);
    two.singles.push(two.singles[0].clone());
    seeds.push(two);
    seeds.iter().map(Ocsp::issue).collect()
}

fn lists() -> Vec<Vec<u8>> {
    let mut seeds = vec![List::new(), List::revoking(&[]), List { next_update: None, ..List::new() }];
    seeds.extend([1, 6, 8].map(|code| List::revoking(&[reason(code)])));
    seeds.push(List::revoking(&[invalid_since("20260101000000Z")]));
    seeds.push(List { entries: vec![entry(&[2], "20260601000000Z", &[])], ..List::new() });
    seeds.push(List::new().with_extension(freshest_at(&[DELTA_URL])));
    seeds.push(List { extensions: vec![crl_number(&[6]), delta_of(&[5])], ..List::new() });
    seeds.push(List::new().with_extension(issuing_point(&[&point_name(&[sealwatch_fixtures::revocation::CRL_URL])])));
    seeds.push(List::new().with_extension(issuing_point(&[&[0x81, 0x01, 0xff]])));
    seeds.iter().map(List::issue).collect()
}

fn manifests() -> Vec<Vec<u8>> {
    let digest = target_digest();
    let descriptor =
        |media_type: &str| format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{TARGET_SIZE}}}"#);
    let (empty, envelope) = (descriptor("application/vnd.oci.empty.v1+json"), descriptor("application/cose"));
    let subject = descriptor(TARGET_MEDIA_TYPE);
    let notation = sealwatch_notation::ARTIFACT_TYPE;
    let config = descriptor(notation);
    vec![
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{TARGET_MEDIA_TYPE}","artifactType":"{notation}","config":{empty},
                "layers":[{envelope}],"subject":{subject},"annotations":{{"a":"b"}}}}"#
        )
        .into_bytes(),
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{TARGET_MEDIA_TYPE}","config":{config},"layers":[{envelope}],
                "subject":{subject}}}"#
        )
        .into_bytes(),
        format!(
            r#"{{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","artifactType":"{notation}",
                "blobs":[{envelope}],"subject":{subject}}}"#
        )
        .into_bytes(),
        format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{},{envelope}]}}"#,
            subject.replace('}', r#","platform":{"os":"linux","architecture":"arm","variant":"v7"},"annotations":{"a":"b"}}"#)
        )
        .into_bytes(),
    ]
}

fn cases() -> Vec<Vec<u8>> {
    let policy = |over: &str| (Kind::Policy, POLICY.replace(r#""strict""#, over).into_bytes());
    let now = (Kind::Time, stage().now.as_second().to_be_bytes().to_vec());
    let late = (Kind::Time, 2_300_000_000_i64.to_be_bytes().to_vec());
    let envelope = (Kind::Cose, Cose::new(&signer()).expiring(SIGNED_AT * 2).sign());
    let stamped = tsa::stamped_cose(&Cose::new(&signer()), |message| Token::new(message).issue());
    let root = (Kind::Ca, signer().root().to_vec());
    let answers = [(Kind::Ocsp, Ocsp::new(&GOOD).issue()), (Kind::Crl, List::new().issue())];
    let mut cases = vec![
        vec![envelope.clone(), policy(r#""strict""#), root.clone(), answers[0].clone(), now.clone()],
        vec![envelope.clone(), policy(r#""audit""#), answers[1].clone(), now.clone()],
        vec![envelope.clone(), policy(r#""permissive""#), root.clone(), late.clone()],
        vec![envelope.clone(), policy(r#""skip""#), now.clone()],
        vec![envelope, policy(r#""strict","override":{"revocation":"skip"}"#), root.clone(), now.clone()],
        vec![(Kind::Cose, stamped.clone()), answers[0].clone(), now.clone()],
        vec![(Kind::Cose, stamped), answers[0].clone(), (Kind::Tsa, tsa::root().issue()), late],
        vec![(Kind::Jws, Jws::new(&Signer::new()).sign()), root, (Kind::Brought, List::new().issue()), now.clone()],
    ];
    let authority = (Kind::SigningAuthority, signer().root().to_vec());
    cases.push(vec![(Kind::Jws, Jws::signing_authority(&Signer::new()).sign()), authority, now]);
    cases.iter().map(|parts| case::encode(parts)).collect()
}
