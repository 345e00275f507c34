// SPDX-License-Identifier: Apache-2.0
//! Mutations of envelopes.

use coset::cbor::Value as Cbor;
use sealwatch_fixtures::cose::{AUTHENTIC, Cose, EXPIRY, SCHEME, encode, epoch};
use sealwatch_fixtures::jws::Jws;
use sealwatch_fixtures::key::Kind;
use sealwatch_fixtures::pki::{Signer, Template};
use sealwatch_fixtures::tsa::{self, Token};
use serde_json::Value;

use super::{bytes, cbor, json, some_times, trusting};
use crate::case::Case;
use crate::random::Random;

const HEADER_VALUES: [&str; 14] = [
    r#""notary.x509""#,
    r#""notary.x509.signingAuthority""#,
    r#""PS256""#,
    r#""ES256""#,
    r#""none""#,
    r#""2025-01-01T00:00:00+01:00""#,
    r#""2025-01-01T00:00:00.5Z""#,
    r#""2026-11-22T12:00:00Z""#,
    r#""io.cncf.notary.signingScheme""#,
    r#""io.cncf.notary.expiry""#,
    r#""alg""#,
    r#""io.cncf.notary.signingTime""#,
    r#"["io.cncf.notary.signingScheme"]"#,
    r#""2025-1-01T0:00:00Z""#,
];

/// What the case is trusted by: store of the scheme.
fn store(is_x509: bool) -> &'static str {
    if is_x509 { "ca:test" } else { "signingAuthority:test" }
}

fn signer(random: &mut Random) -> Signer {
    let key = random.pick(&[Kind::P256, Kind::P256, Kind::P256, Kind::P384, Kind::P521, Kind::Rsa2048]);
    let leaf = Template { key, ..Template::leaf() };
    if random.one_in(4) {
        return Signer::with_chain(&[&leaf.below_intermediate(), &Template::intermediate(), &Template::root()]);
    }
    Signer::with_leaf(&leaf)
}

fn jws(random: &mut Random) -> (Jws, bool, Signer) {
    let signer = signer(random);
    let is_x509 = !random.one_in(3);
    let jws = if is_x509 { Jws::new(&signer) } else { Jws::signing_authority(&signer) };
    (if random.one_in(2) { jws.expiring("2027-01-01T00:00:00Z") } else { jws }, is_x509, signer)
}

fn whole_jws(random: &mut Random) -> (Vec<u8>, bool, Signer) {
    let (jws, is_x509, signer) = jws(random);
    let bytes = if random.one_in(3) { tsa::stamped_jws(&jws, |s| Token::new(s).issue()) } else { jws.sign() };
    (bytes, is_x509, signer)
}

fn of_jws(random: &mut Random, bytes: Vec<u8>, is_x509: bool, signer: &Signer) -> Case {
    trusting(random, Case::new("").jws(bytes), &[store(is_x509)], signer.root())
}

pub(super) fn jws_bytes(random: &mut Random) -> Case {
    let (mut envelope, is_x509, signer) = whole_jws(random);
    some_times(random, |random| bytes::mutate(random, &mut envelope));
    of_jws(random, envelope, is_x509, &signer)
}

pub(super) fn jws_members(random: &mut Random) -> Case {
    let (mut envelope, is_x509, signer) = whole_jws(random);
    some_times(random, |random| envelope = json::mutate(random, &envelope, &HEADER_VALUES));
    of_jws(random, envelope, is_x509, &signer)
}

pub(super) fn jws_protected(random: &mut Random) -> Case {
    let (mut jws, is_x509, signer) = jws(random);
    let mut text = Value::Object(jws.protected.clone()).to_string().into_bytes();
    some_times(random, |random| text = json::mutate(random, &text, &HEADER_VALUES));
    jws.protected_text = Some(String::from_utf8_lossy(&text).into_owned());
    of_jws(random, jws.sign(), is_x509, &signer)
}

/// A payload with every member that a descriptor may have.
fn rich_payload() -> Vec<u8> {
    let plain = String::from_utf8(sealwatch_fixtures::payload()).expect("JSON");
    plain
        .replacen(
            r#""targetArtifact":{"#,
            r#""targetArtifact":{"annotations":{"a":"b"},"urls":["http://x.example/"],"artifactType":"a/b","platform":{"architecture":"amd64","os":"linux"},"#,
            1,
        )
        .into_bytes()
}

fn payload(random: &mut Random) -> Vec<u8> {
    const VALUES: [&str; 8] = [
        "1024",
        "\"1024\"",
        "1024.0",
        r#"{"size":1024}"#,
        r#"["a"]"#,
        r#""sha256:5a""#,
        r#"{"architecture":1}"#,
        r#""application/vnd.oci.image.manifest.v1+json""#,
    ];
    let mut payload = if random.one_in(2) { rich_payload() } else { sealwatch_fixtures::payload() };
    some_times(random, |random| {
        if random.one_in(4) {
            bytes::mutate(random, &mut payload);
        } else {
            payload = json::mutate(random, &payload, &VALUES);
        }
    });
    payload
}

pub(super) fn jws_payload(random: &mut Random) -> Case {
    let (jws, is_x509, signer) = jws(random);
    let jws = Jws { payload: payload(random), ..jws };
    of_jws(random, jws.sign(), is_x509, &signer)
}

fn cose(random: &mut Random) -> (Cose, bool, Signer) {
    let signer = signer(random);
    let is_x509 = !random.one_in(3);
    let mut cose = if is_x509 { Cose::new(&signer) } else { Cose::signing_authority(&signer) };
    if random.one_in(2) {
        cose.set(EXPIRY, epoch(Cbor::from(1_800_000_000)));
        cose.crit(if is_x509 { &[SCHEME, EXPIRY] } else { &[SCHEME, AUTHENTIC, EXPIRY] });
    }
    (cose, is_x509, signer)
}

fn of_cose(random: &mut Random, bytes: Vec<u8>, is_x509: bool, signer: &Signer) -> Case {
    trusting(random, Case::new("").cose(bytes), &[store(is_x509)], signer.root())
}

pub(super) fn cose_bytes(random: &mut Random) -> Case {
    let (cose, is_x509, signer) = cose(random);
    let stamped = random.one_in(3);
    let mut envelope = if stamped { tsa::stamped_cose(&cose, |s| Token::new(s).issue()) } else { cose.sign() };
    some_times(random, |random| bytes::mutate(random, &mut envelope));
    of_cose(random, envelope, is_x509, &signer)
}

pub(super) fn cose_protected(random: &mut Random) -> Case {
    let (mut cose, is_x509, signer) = cose(random);
    some_times(random, |random| cbor::mutate(random, &mut cose.protected));
    of_cose(random, cose.sign(), is_x509, &signer)
}

pub(super) fn cose_protected_bytes(random: &mut Random) -> Case {
    let (mut cose, is_x509, signer) = cose(random);
    let mut protected = encode(&Cbor::Map(cose.protected.clone()));
    some_times(random, |random| bytes::mutate(random, &mut protected));
    cose.protected_bytes = Some(protected);
    of_cose(random, cose.sign(), is_x509, &signer)
}

pub(super) fn cose_unprotected(random: &mut Random) -> Case {
    let (mut cose, is_x509, signer) = cose(random);
    if random.one_in(3) {
        cose.set_unprotected("io.cncf.notary.timestampSignature", vec![0x30, 0x00].as_slice());
    }
    some_times(random, |random| cbor::mutate(random, &mut cose.unprotected));
    let mut parts = cose.parts();
    if random.one_in(8) {
        let at = random.below(parts.len());
        let other = random.below(parts.len());
        parts[at] = parts[other].clone();
    }
    let tag = if random.one_in(16) { random.pick(&[17, 19, 61, 98]) } else { 18 };
    let envelope = encode(&Cbor::Tag(tag, Box::new(Cbor::Array(parts))));
    of_cose(random, envelope, is_x509, &signer)
}

pub(super) fn cose_payload(random: &mut Random) -> Case {
    let (cose, is_x509, signer) = cose(random);
    let cose = Cose { payload: payload(random), ..cose };
    of_cose(random, cose.sign(), is_x509, &signer)
}
