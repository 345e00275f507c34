// SPDX-License-Identifier: Apache-2.0
//! Points of the grid, and the case at each.

use coset::cbor::Value;
use sealwatch_fixtures::cose::{AUTHENTIC, Cose, EXPIRY, SCHEME, epoch};
use sealwatch_fixtures::jws::Jws;
use sealwatch_fixtures::key::Kind;
use sealwatch_fixtures::pki::{
    CRL_SIGN, DIGITAL_SIGNATURE, KEY_CERT_SIGN, Signer, Template, basic_constraints, basic_constraints_value, eku,
    extension, key_usage,
};
use sealwatch_fixtures::revocation::{
    CRL_URL, GOOD, List, OCSP_URL, Ocsp, Single, UNKNOWN, by_key, crl_at, entry, key_bits, ocsp_at, reason, revoked,
    sha1,
};
use sealwatch_fixtures::tsa::{self, Token};

use crate::case::Case;
use crate::random::Random;

/// The axes with their values; the first value of each is the usual one.
pub(super) const AXES: [(&str, &[&str]); 11] = [
    ("format", &["jws", "cose"]),
    ("scheme", &["x509", "signingAuthority"]),
    ("key", &["P-256", "P-384", "P-521", "RSA-2048", "RSA-3072", "RSA-4096"]),
    ("level", &["strict", "permissive", "audit", "skip"]),
    (
        "override",
        &[
            "",
            r#"{"authenticity":"log"}"#,
            r#"{"authenticTimestamp":"log"}"#,
            r#"{"expiry":"log"}"#,
            r#"{"revocation":"log"}"#,
            r#"{"revocation":"skip"}"#,
            r#"{"authenticity":"enforce","authenticTimestamp":"enforce","expiry":"enforce","revocation":"enforce"}"#,
            r#"{"authenticity":"log","authenticTimestamp":"log","expiry":"log","revocation":"log"}"#,
            r#"{"integrity":"log"}"#,
        ],
    ),
    (
        "store",
        &["root", "leaf", "another", "missing", "another type", "unsuitable file", "unreadable file", "empty", "two"],
    ),
    (
        "identity",
        &[
            "*",
            "x509.subject: C=US, ST=Washington, O=Microsoft Corporation",
            "x509.subject:CN=Azure IoT Operations,O=Microsoft Corporation,L=Redmond,S=Washington,C=US",
            "x509.subject: C=US, ST=Washington, O=Another",
            "arn:aws:signer:us-west-2:111122223333:/signing-profiles/ecr",
        ],
    ),
    ("expiry", &["none", "ahead", "past", "now"]),
    (
        "timestamp",
        &[
            "none",
            "wanted and missing",
            "unwanted",
            "good",
            "about another",
            "by a stranger",
            "after expiry and missing",
            "after expiry and good",
            "store missing",
            "garbage",
            "before the certificate",
        ],
    ),
    (
        "chain",
        &[
            "two",
            "three",
            "alone",
            "leaf expired",
            "leaf not yet valid",
            "root expired",
            "leaf is a CA",
            "leaf without usage",
            "leaf for servers",
            "leaf for anything",
            "CA not critical",
            "out of order",
            "no root",
            "unknown critical extension",
        ],
    ),
    (
        "revocation",
        &[
            "none",
            "OCSP good",
            "OCSP revoked",
            "OCSP unknown",
            "OCSP silent",
            "OCSP expired",
            "CRL good",
            "CRL revoked",
            "CRL silent",
            "CRL hold",
            "OCSP silent, CRL good",
            "OCSP unknown, CRL revoked",
            "OCSP good, CRL revoked",
        ],
    ),
];

/// Points that are drawn beside the full product of the first five axes. Enough that every two values of two axes meet,
/// which a test shows.
const DRAWN: u64 = 5_000;
const SEED: u64 = 0x5ea1_3a7c;

/// A value for each axis.
pub(super) type Point = [&'static str; AXES.len()];

/// All points, each time the same: the product of format, scheme, key, level and override with the rest as usual, and
/// points of which each axis has its usual value as often as all others together.
pub(super) fn points() -> impl Iterator<Item = Point> {
    let product = (0..AXES[..5].iter().map(|(_, values)| values.len()).product()).map(|mut rest: usize| {
        let mut point = AXES.map(|(_, values)| values[0]);
        for (at, (_, values)) in AXES[..5].iter().enumerate() {
            point[at] = values[rest % values.len()];
            rest /= values.len();
        }
        point
    });
    let drawn = (0..DRAWN).map(|index| {
        let mut random = Random::new(SEED, index);
        AXES.map(|(_, values)| if random.one_in(2) { values[0] } else { random.pick(values) })
    });
    product.chain(drawn)
}

fn value(point: &Point, axis: &str) -> &'static str {
    let at = AXES.iter().position(|(name, _)| *name == axis).expect("an axis");
    point[at]
}

/// The case at a point.
pub(super) fn case(point: &Point) -> Case {
    let name: Vec<String> = AXES.iter().zip(point).map(|((axis, _), value)| format!("{axis}={value}")).collect();
    let (signer, issuer) = signer(point);
    let case = Case::new(format!("grid {}", name.join(" "))).policy(document(point));
    let case = with_stores(case, point, &signer);
    let case = with_answers(case, value(point, "revocation"), &issuer);
    with_envelope(case, point, &signer)
}

fn kind(point: &Point) -> Kind {
    match value(point, "key") {
        "P-384" => Kind::P384,
        "P-521" => Kind::P521,
        "RSA-2048" => Kind::Rsa2048,
        "RSA-3072" => Kind::Rsa3072,
        "RSA-4096" => Kind::Rsa4096,
        _ => Kind::P256,
    }
}

/// The chain, and the template of the leaf's issuer.
fn signer(point: &Point) -> (Signer, Template) {
    let chain = value(point, "chain");
    let root = match chain {
        "root expired" => Template { not_after: "20260101000000Z", ..Template::root() },
        "CA not critical" => Template {
            extensions: vec![
                extension("2.5.29.19", false, &basic_constraints_value(true, None)),
                key_usage(KEY_CERT_SIGN | CRL_SIGN),
            ],
            ..Template::root()
        },
        _ => Template::root(),
    };
    let middle = Template {
        extensions: vec![basic_constraints(true, None), key_usage(KEY_CERT_SIGN | CRL_SIGN)],
        ..Template::intermediate()
    };
    let leaf = leaf(chain, kind(point));
    let leaf = match value(point, "revocation") {
        "none" => leaf,
        text if text.contains("OCSP") && text.contains("CRL") => {
            leaf.with_extension(ocsp_at(&[OCSP_URL])).with_extension(crl_at(&[&[CRL_URL]]))
        }
        text if text.contains("OCSP") => leaf.with_extension(ocsp_at(&[OCSP_URL])),
        _ => leaf.with_extension(crl_at(&[&[CRL_URL]])),
    };
    let key = leaf.key;
    let issued = |templates: &[&Template]| Signer { chain: templates.iter().map(|t| t.issue()).collect(), key };
    match chain {
        "three" => (issued(&[&leaf.below_intermediate(), &middle, &root]), middle),
        "out of order" => (issued(&[&leaf.below_intermediate(), &root, &middle]), middle),
        "no root" => (issued(&[&leaf.below_intermediate(), &middle]), middle),
        "alone" => {
            let alone = Template { issuer: leaf.subject.clone(), issuer_key: key, ..leaf };
            (issued(&[&alone]), alone)
        }
        _ => (issued(&[&leaf, &root]), root),
    }
}

fn leaf(chain: &str, key: Kind) -> Template {
    let leaf = Template { key, ..Template::leaf() };
    let usage = || key_usage(DIGITAL_SIGNATURE);
    match chain {
        "leaf expired" => Template { not_after: "20260101000000Z", ..leaf },
        "leaf not yet valid" => Template { not_before: "20270101000000Z", ..leaf },
        "leaf is a CA" => leaf.with_extension(basic_constraints(true, None)),
        "leaf without usage" => Template { extensions: vec![], ..leaf },
        "leaf for servers" => Template { extensions: vec![usage(), eku(&["1.3.6.1.5.5.7.3.1"])], ..leaf },
        "leaf for anything" => Template { extensions: vec![usage(), eku(&["2.5.29.37.0"])], ..leaf },
        "unknown critical extension" => leaf.with_extension(extension("1.2.3.4.5", true, b"whatever")),
        _ => leaf,
    }
}

fn store_type(point: &Point) -> &'static str {
    if value(point, "scheme") == "x509" { "ca" } else { "signingAuthority" }
}

fn document(point: &Point) -> Vec<u8> {
    let mut over = String::new();
    if !value(point, "override").is_empty() {
        over = format!(r#","override":{}"#, value(point, "override"));
    }
    let timestamp = value(point, "timestamp");
    if timestamp.starts_with("after expiry") {
        over.push_str(r#","verifyTimestamp":"afterCertExpiry""#);
    }
    let own = format!("{}:test", store_type(point));
    let mut stores = vec![own.as_str()];
    if value(point, "store") == "two" {
        stores.push(if store_type(point) == "ca" { "ca:second" } else { "signingAuthority:second" });
    }
    if !matches!(timestamp, "none" | "unwanted") {
        stores.push("tsa:test");
    }
    if value(point, "level") == "skip" {
        return super::policy("skip", &over, &[], &[]);
    }
    super::policy(value(point, "level"), &over, &stores, &[value(point, "identity")])
}

fn with_stores(case: Case, point: &Point, signer: &Signer) -> Case {
    let own = format!("{}:test", store_type(point));
    let other_type = if store_type(point) == "ca" { "signingAuthority:test" } else { "ca:test" };
    let another = tsa::root().issue();
    let case = match value(point, "store") {
        "leaf" => case.store(&own, &[&signer.chain[0]]),
        "another" => case.store(&own, &[&another]),
        "missing" => case,
        "another type" => case.store(other_type, &[signer.root()]),
        "unsuitable file" => case.store(&own, &[signer.root(), &tsa::authority().issue()]),
        "unreadable file" => case.store(&own, &[signer.root(), b"README"]),
        "empty" => case.store(&own, &[]),
        "two" => case.store(&own, &[&another]).store(&format!("{}:second", store_type(point)), &[signer.root()]),
        _ => case.store(&own, &[signer.root()]),
    };
    match value(point, "timestamp") {
        "none" | "unwanted" | "store missing" => case,
        "by a stranger" => case.store("tsa:test", &[&Template::root().issue()]),
        _ => case.store("tsa:test", &[&another]),
    }
}

fn with_answers(case: Case, revocation: &str, issuer: &Template) -> Case {
    let single = |status: &[u8]| Single {
        issuer_name: sha1(&issuer.subject),
        issuer_key: sha1(&key_bits(issuer.key)),
        ..Single::new(status)
    };
    // A certificate that stands alone may have a key of another kind, and is asked about by nobody.
    if !matches!(issuer.key, Kind::Root | Kind::Next) {
        return case;
    }
    let response = |single: Single| {
        Ocsp { responder: by_key(issuer.key), key: issuer.key, singles: vec![single], ..Ocsp::new(&GOOD) }.issue()
    };
    let expired = |single: Single| Single { next_update: Some("20261121000000Z"), ..single };
    let list = |entries: Vec<Vec<u8>>| {
        List { issuer: issuer.subject.clone(), key: issuer.key, entries, ..List::new() }.issue()
    };
    let listed = |code: u8| vec![entry(&[0x01], "260601000000Z", &[reason(code)])];
    match revocation {
        "OCSP good" => case.ocsp(OCSP_URL, response(single(&GOOD))),
        "OCSP revoked" => case.ocsp(OCSP_URL, response(single(&revoked(Some(1))))),
        "OCSP unknown" => case.ocsp(OCSP_URL, response(single(&UNKNOWN))),
        "OCSP expired" => case.ocsp(OCSP_URL, response(expired(single(&GOOD)))),
        "CRL good" | "OCSP silent, CRL good" => case.crl(CRL_URL, list(vec![])),
        "CRL revoked" => case.crl(CRL_URL, list(listed(1))),
        "CRL hold" => case.crl(CRL_URL, list(listed(6))),
        "OCSP unknown, CRL revoked" => case.ocsp(OCSP_URL, response(single(&UNKNOWN))).crl(CRL_URL, list(listed(1))),
        "OCSP good, CRL revoked" => case.ocsp(OCSP_URL, response(single(&GOOD))).crl(CRL_URL, list(listed(1))),
        _ => case,
    }
}

fn with_envelope(case: Case, point: &Point, signer: &Signer) -> Case {
    let stamp = |signature: &[u8]| token(value(point, "timestamp"), signature);
    if value(point, "format") == "jws" {
        let mut jws = if value(point, "scheme") == "x509" { Jws::new(signer) } else { Jws::signing_authority(signer) };
        if let Some((text, _)) = expiry(point) {
            jws = jws.expiring(text);
        }
        return case.jws(if has_token(point) { tsa::stamped_jws(&jws, stamp) } else { jws.sign() });
    }
    let x509 = value(point, "scheme") == "x509";
    let mut envelope = if x509 { Cose::new(signer) } else { Cose::signing_authority(signer) };
    if let Some((_, seconds)) = expiry(point) {
        envelope.set(EXPIRY, epoch(Value::from(seconds)));
        envelope.crit(if x509 { &[SCHEME, EXPIRY] } else { &[SCHEME, AUTHENTIC, EXPIRY] });
    }
    case.cose(if has_token(point) { tsa::stamped_cose(&envelope, stamp) } else { envelope.sign() })
}

fn expiry(point: &Point) -> Option<(&'static str, i64)> {
    match value(point, "expiry") {
        "ahead" => Some(("2026-11-22T12:00:01Z", 1_795_348_801)),
        "past" => Some(("2026-01-01T00:00:00Z", 1_767_225_600)),
        "now" => Some(("2026-11-22T12:00:00Z", 1_795_348_800)),
        _ => None,
    }
}

fn has_token(point: &Point) -> bool {
    !matches!(value(point, "timestamp"), "none" | "wanted and missing" | "after expiry and missing")
}

fn token(timestamp: &str, signature: &[u8]) -> Vec<u8> {
    let mut token = Token::new(signature);
    match timestamp {
        "garbage" => return b"AAAA".to_vec(),
        "about another" => token.message = b"another".to_vec(),
        "before the certificate" => "20191231235959Z".clone_into(&mut token.time),
        _ => {}
    }
    token.issue()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_two_values_of_two_axes_meet_at_a_point() {
        let points: Vec<Point> = points().collect();
        let wanted = AXES.len() * (AXES.len() - 1) / 2;
        let mut pairs = 0;
        for (one, (_, left)) in AXES.iter().enumerate() {
            for (other, (_, right)) in AXES.iter().enumerate().skip(one + 1) {
                let met: BTreeSet<(&str, &str)> = points.iter().map(|point| (point[one], point[other])).collect();
                assert_eq!(met.len(), left.len() * right.len(), "{} and {}", AXES[one].0, AXES[other].0);
                pairs += 1;
            }
        }
        assert_eq!(pairs, wanted);
    }
}
