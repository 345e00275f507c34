// SPDX-License-Identifier: Apache-2.0
//! OCSP responses and revocation lists with one thing wrong, or unusual.

use sealwatch_fixtures::der::{oid, sequence, simple_name, tlv};
use sealwatch_fixtures::jws::Jws;
use sealwatch_fixtures::key::Kind;
use sealwatch_fixtures::pki::{
    DIGITAL_SIGNATURE, KEY_ENCIPHERMENT, Signer, Template, basic_constraints, eku, extension, key_usage,
};
use sealwatch_fixtures::revocation::{
    CRL_URL, DELTA_URL, GOOD, List, NO_CHECK, OCSP_SIGNING, OCSP_URL, Ocsp, Single, UNKNOWN, by_key, by_name, crl_at,
    crl_number, delta_of, entry, freshest_at, invalid_since, issuing_point, leaf_with, ocsp_at, point_name, reason,
    responder, revoked,
};

use super::at_levels;
use crate::case::Case;

pub(super) fn cases() -> Vec<Case> {
    [responses(), responders(), lists(), deltas(), places()].concat()
}

/// A signature by this leaf below the root, with answers; also in the scheme whose signing time is authentic.
fn asked(what: &str, leaf: &Template, ocsp: &[(&str, Vec<u8>)], crl: &[(&str, Vec<u8>)]) -> Vec<Case> {
    let signer = Signer::with_leaf(leaf);
    let with = |mut case: Case| {
        for (url, body) in ocsp {
            case = case.ocsp(url, body.clone());
        }
        for (url, body) in crl {
            case = case.crl(url, body.clone());
        }
        case
    };
    let x509 = Case::new(what).jws(Jws::new(&signer).sign()).store("ca:test", &[signer.root()]);
    let authority = Case::new(format!("{what}, signing authority"))
        .jws(Jws::signing_authority(&signer).sign())
        .store("signingAuthority:test", &[signer.root()]);
    [at_levels(&with(x509), &["ca:test"]), at_levels(&with(authority), &["signingAuthority:test"])].concat()
}

#[allow(clippy::too_many_lines)] // a table
fn responses() -> Vec<Case> {
    let with = |single: Single| Ocsp { singles: vec![single], ..Ocsp::new(&GOOD) };
    let single = || Single::new(&GOOD);
    let since = |date: &str| Single { extensions: vec![invalid_since(date)], ..Single::new(&revoked(None)) };
    let of_response = |date: &str| Ocsp { extensions: vec![invalid_since(date)], ..Ocsp::new(&revoked(None)) };
    let table: Vec<(&str, Ocsp)> = vec![
        ("good", Ocsp::new(&GOOD)),
        ("good by name", Ocsp { responder: by_name(&Template::root().subject), ..Ocsp::new(&GOOD) }),
        ("by another's name", Ocsp { responder: by_name(&simple_name("CN=x")), ..Ocsp::new(&GOOD) }),
        ("by another's key", Ocsp { responder: by_key(Kind::Other), ..Ocsp::new(&GOOD) }),
        ("revoked", Ocsp::new(&revoked(None))),
        ("on hold", Ocsp::new(&revoked(Some(6)))),
        ("removed", Ocsp::new(&revoked(Some(8)))),
        ("revoked for reason 99", Ocsp::new(&revoked(Some(99)))),
        ("invalid since later", with(since("20250601000000Z"))),
        ("invalid since earlier", with(since("20240601000000Z"))),
        ("invalid since the same", with(since("20250101000000Z"))),
        ("invalid since later, of the response", of_response("20250601000000Z")),
        ("unknown", Ocsp::new(&UNKNOWN)),
        ("an error", Ocsp { status: 6, ..Ocsp::new(&GOOD) }),
        ("another type", Ocsp { kind: "1.2.3", ..Ocsp::new(&GOOD) }),
        ("version 2", Ocsp { version: tlv(0xa0, &[0x02, 0x01, 0x01]), ..Ocsp::new(&GOOD) }),
        ("about another serial number", with(Single { serial: vec![0x02], ..single() })),
        ("about another issuer's name", with(Single { issuer_name: vec![0; 20], ..single() })),
        ("about another issuer's key", with(Single { issuer_key: vec![0; 20], ..single() })),
        (
            "in SHA-256",
            with(Single {
                hash: "2.16.840.1.101.3.4.2.1",
                issuer_name: vec![0; 32],
                issuer_key: vec![0; 32],
                ..single()
            }),
        ),
        ("thisUpdate ahead", with(Single { this_update: "20261123000000Z", ..single() })),
        ("thisUpdate a little ahead", with(Single { this_update: "20261122120100Z", ..single() })),
        ("ended", with(Single { next_update: Some("20261122115959Z"), ..single() })),
        ("ending now", with(Single { next_update: Some("20261122120000Z"), ..single() })),
        ("without end", with(Single { next_update: None, ..single() })),
        ("good, then revoked", Ocsp { singles: vec![single(), Single::new(&revoked(None))], ..Ocsp::new(&GOOD) }),
        ("unknown, then good", Ocsp { singles: vec![Single::new(&UNKNOWN), single()], ..Ocsp::new(&GOOD) }),
        (
            "another's, then good",
            Ocsp { singles: vec![Single { serial: vec![9], ..single() }, single()], ..Ocsp::new(&GOOD) },
        ),
        ("nothing", Ocsp { singles: vec![], ..Ocsp::new(&GOOD) }),
        ("by another key", Ocsp { key: Kind::Other, ..Ocsp::new(&GOOD) }),
        ("SHA-1", Ocsp { algorithm: Some(sequence(&[&oid("1.2.840.10045.4.1")])), ..Ocsp::new(&GOOD) }),
        ("unknown extension", Ocsp { extensions: vec![extension("1.2.3", false, b"x")], ..Ocsp::new(&GOOD) }),
        ("unknown critical extension", Ocsp { extensions: vec![extension("1.2.3", true, b"x")], ..Ocsp::new(&GOOD) }),
        (
            "unknown critical extension of the answer",
            with(Single { extensions: vec![extension("1.2.3", true, b"x")], ..single() }),
        ),
    ];
    let leaf = leaf_with(&[ocsp_at(&[OCSP_URL])]);
    let both = leaf_with(&[ocsp_at(&[OCSP_URL]), crl_at(&[&[CRL_URL]])]);
    let mut cases = Vec::new();
    for (what, response) in table {
        let body = response.issue();
        cases.extend(asked(&format!("OCSP: {what}"), &leaf, &[(OCSP_URL, body.clone())], &[]));
        cases.extend(asked(
            &format!("OCSP: {what}, CRL good"),
            &both,
            &[(OCSP_URL, body)],
            &[(CRL_URL, List::new().issue())],
        ));
    }
    for (what, body) in [
        ("garbage", b"garbage".to_vec()),
        ("nothing at all", vec![]),
        ("a byte behind", [Ocsp::new(&GOOD).issue(), vec![0]].concat()),
        ("too large", with(Single { extensions: vec![extension("1.2.3", false, &[0; 21_000])], ..single() }).issue()),
    ] {
        cases.extend(asked(&format!("OCSP: {what}"), &leaf, &[(OCSP_URL, body)], &[]));
    }
    let (second, good) = ("http://second.example/ocsp", Ocsp::new(&GOOD).issue());
    for (what, urls) in [
        ("two, the first silent", vec!["http://first.example/", OCSP_URL]),
        ("https", vec!["https://ocsp.example/"]),
        ("https, then http", vec!["https://ocsp.example/", OCSP_URL]),
        ("upper case", vec!["HTTP://ocsp.example/"]),
        (
            "five, the last good",
            vec!["http://1.example/", "http://2.example/", "http://3.example/", "http://4.example/", OCSP_URL],
        ),
        ("with credentials", vec!["http://me@ocsp.example/"]),
        ("with a query", vec!["http://ocsp.example/?a=b"]),
        ("an empty URL", vec![""]),
        ("what is no URL", vec!["http://ocsp.examp|e/"]),
    ] {
        let at: Vec<(&str, Vec<u8>)> = urls.last().map(|url| (*url, good.clone())).into_iter().collect();
        cases.extend(asked(&format!("OCSP at {what}"), &leaf_with(&[ocsp_at(&urls)]), &at, &[]));
    }
    let no_url = leaf_with(&[ocsp_at(&["http://ocsp.examp|e/"]), crl_at(&[&[CRL_URL]])]);
    cases.extend(asked("OCSP at what is no URL, CRL good", &no_url, &[], &[(CRL_URL, List::new().issue())]));
    for (what, first) in [
        ("unknown", Ocsp::new(&UNKNOWN)),
        ("ended", with(Single { next_update: Some("20261101000000Z"), ..single() })),
        ("revoked", Ocsp::new(&revoked(None))),
    ] {
        let leaf = leaf_with(&[ocsp_at(&[OCSP_URL, second])]);
        cases.extend(asked(
            &format!("OCSP at two: {what}, then good"),
            &leaf,
            &[(OCSP_URL, first.issue()), (second, good.clone())],
            &[],
        ));
    }
    cases
}

fn responders() -> Vec<Case> {
    let delegate = responder();
    let with = |extensions: Vec<Vec<u8>>| Template { extensions, ..responder() };
    let no_check = || extension(NO_CHECK, false, &[0x05, 0x00]);
    let usage = || key_usage(DIGITAL_SIGNATURE);
    let ocsp = || eku(&[OCSP_SIGNING]);
    let table: Vec<(&str, Template)> = vec![
        ("good", delegate.clone()),
        ("without extended usage", with(vec![usage(), no_check()])),
        ("for code", with(vec![usage(), eku(&["1.3.6.1.5.5.7.3.3"]), no_check()])),
        ("for encipherment", with(vec![key_usage(KEY_ENCIPHERMENT), ocsp(), no_check()])),
        ("ended", Template { not_after: "20260101000000Z", ..responder() }),
        ("by another CA", Template { issuer_key: Kind::Other, ..responder() }),
        ("by another name", Template { issuer: simple_name("CN=x"), ..responder() }),
        ("without nocheck", with(vec![usage(), ocsp()])),
        ("without nocheck, with list", with(vec![usage(), ocsp(), crl_at(&[&[CRL_URL]])])),
        ("unknown critical extension", with(vec![usage(), ocsp(), no_check(), extension("1.2.3", true, b"x")])),
        ("a CA", with(vec![basic_constraints(true, None), usage(), ocsp(), no_check()])),
    ];
    let leaf = leaf_with(&[ocsp_at(&[OCSP_URL])]);
    let mut cases = Vec::new();
    for (what, template) in table {
        for (said, status) in [("good", GOOD.to_vec()), ("revoked", revoked(None))] {
            let response = Ocsp::by(&template, &status);
            let lists = [(CRL_URL, List::new().issue())];
            let what = format!("OCSP by a responder: {what}, says {said}");
            cases.extend(asked(&what, &leaf, &[(OCSP_URL, response.issue())], &lists));
        }
    }
    let two = Ocsp { certificates: vec![delegate.issue(), Template::root().issue()], ..Ocsp::by(&delegate, &GOOD) };
    cases.extend(asked("OCSP by a responder: two certificates", &leaf, &[(OCSP_URL, two.issue())], &[]));
    let leafs_own =
        Ocsp { key: Kind::P256, certificates: vec![leaf.issue()], responder: by_key(Kind::P256), ..Ocsp::new(&GOOD) };
    cases.extend(asked("OCSP by the leaf itself", &leaf, &[(OCSP_URL, leafs_own.issue())], &[]));
    cases
}

#[allow(clippy::too_many_lines)] // a table
fn lists() -> Vec<Case> {
    let listed = |extensions: &[Vec<u8>]| List::revoking(extensions);
    let entries = |entries: Vec<Vec<u8>>| List { entries, ..List::new() };
    let leafs = |date: &str, extensions: &[Vec<u8>]| entry(&[0x01], date, extensions);
    let ended = |list: List| List { next_update: Some("20261122115959Z"), ..list };
    let point = |urls: &[&str]| {
        issuing_point(&[&tlv(
            0xa0,
            &tlv(0xa0, &urls.iter().flat_map(|url| tlv(0x86, url.as_bytes())).collect::<Vec<u8>>()),
        )])
    };
    let table: Vec<(&str, List)> = vec![
        ("good", List::new()),
        ("revoked", listed(&[])),
        ("revoked for a reason", listed(&[reason(1)])),
        ("on hold", listed(&[reason(6)])),
        ("removed", listed(&[reason(8)])),
        (
            "hold, then removed",
            entries(vec![leafs("260601000000Z", &[reason(6)]), leafs("260701000000Z", &[reason(8)])]),
        ),
        (
            "removed, then hold",
            entries(vec![leafs("260601000000Z", &[reason(8)]), leafs("260701000000Z", &[reason(6)])]),
        ),
        (
            "hold and removed at once",
            entries(vec![leafs("260601000000Z", &[reason(6)]), leafs("260601000000Z", &[reason(8)])]),
        ),
        (
            "removed and hold at once",
            entries(vec![leafs("260601000000Z", &[reason(8)]), leafs("260601000000Z", &[reason(6)])]),
        ),
        ("invalid since later", listed(&[invalid_since("20250601000000Z")])),
        ("invalid since earlier", listed(&[invalid_since("20240601000000Z")])),
        ("invalid since nonsense", listed(&[extension("2.5.29.24", false, b"x")])),
        ("another's entry", entries(vec![entry(&[0x02], "260601000000Z", &[])])),
        ("another's critical entry", entries(vec![entry(&[0x02], "260601000000Z", &[extension("1.2.3", true, b"x")])])),
        ("an unknown entry extension", listed(&[extension("1.2.3", false, b"x")])),
        ("a critical entry extension", listed(&[extension("1.2.3", true, b"x")])),
        (
            "another's certificate issuer",
            entries(vec![entry(
                &[0x02],
                "260601000000Z",
                &[extension("2.5.29.29", true, &sequence(&[&tlv(0xa4, &simple_name("CN=x"))]))],
            )]),
        ),
        ("ended", ended(List::new())),
        ("ended, revoked", ended(listed(&[]))),
        ("ended, on hold", ended(listed(&[reason(6)]))),
        ("ending now", List { next_update: Some("20261122120000Z"), ..List::new() }),
        ("without end", List { next_update: None, ..List::new() }),
        ("thisUpdate ahead", List { this_update: "20261123000000Z", ..List::new() }),
        ("version 1", List { version: None, ..List::new() }),
        ("by another key", List { key: Kind::Other, ..List::new() }),
        ("by another name", List { issuer: simple_name("CN=x"), ..List::new() }),
        (
            "SHA-1",
            List {
                inner_algorithm: Some(sequence(&[&oid("1.2.840.10045.4.1")])),
                outer_algorithm: Some(sequence(&[&oid("1.2.840.10045.4.1")])),
                ..List::new()
            },
        ),
        ("two algorithms", List { inner_algorithm: Some(sequence(&[&oid("1.2.840.10045.4.3.3")])), ..List::new() }),
        ("unknown extension", List::new().with_extension(extension("1.2.3", false, b"x"))),
        ("unknown critical extension", List::new().with_extension(extension("1.2.3", true, b"x"))),
        ("no number", List { extensions: vec![], ..List::new() }),
        ("a delta", List::new().with_extension(delta_of(&[4]))),
        ("of this place", List::new().with_extension(point(&[CRL_URL]))),
        ("of another place", List::new().with_extension(point(&["http://crl.example/other.crl"]))),
        ("for users", List::new().with_extension(issuing_point(&[&tlv(0x81, &[0xff])]))),
        ("for CAs", List::new().with_extension(issuing_point(&[&tlv(0x82, &[0xff])]))),
        ("for some reasons", List::new().with_extension(issuing_point(&[&tlv(0x83, &[0x06, 0x40])]))),
        ("indirect", List::new().with_extension(issuing_point(&[&tlv(0x84, &[0xff])]))),
        ("for attributes", List::new().with_extension(issuing_point(&[&tlv(0x85, &[0xff])]))),
        ("an empty list of entries", List { entries: vec![vec![]], ..List::new() }),
    ];
    let leaf = leaf_with(&[crl_at(&[&[CRL_URL]])]);
    let mut cases = Vec::new();
    for (what, list) in table {
        cases.extend(asked(&format!("CRL: {what}"), &leaf, &[], &[(CRL_URL, list.issue())]));
    }
    for (what, body) in [
        ("garbage", b"garbage".to_vec()),
        ("nothing at all", vec![]),
        ("a byte behind", [List::new().issue(), vec![0]].concat()),
        ("PEM", b"-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n".to_vec()),
    ] {
        cases.extend(asked(&format!("CRL: {what}"), &leaf, &[], &[(CRL_URL, body)]));
    }
    cases
}

fn deltas() -> Vec<Case> {
    let base = |entries: Vec<Vec<u8>>| List { entries, ..List::new() }.with_extension(freshest_at(&[DELTA_URL]));
    let delta = |number: u8, of: u8, entries: Vec<Vec<u8>>| List {
        entries,
        extensions: vec![crl_number(&[number]), delta_of(&[of])],
        ..List::new()
    };
    let leafs = |code: u8| vec![entry(&[0x01], "260601000000Z", &[reason(code)])];
    let later = |code: u8| vec![entry(&[0x01], "260701000000Z", &[reason(code)])];
    let table: Vec<(&str, List, Option<List>)> = vec![
        ("good", base(vec![]), Some(delta(6, 5, vec![]))),
        ("revokes", base(vec![]), Some(delta(6, 5, leafs(1)))),
        ("ends a hold", base(leafs(6)), Some(delta(6, 5, later(8)))),
        ("begins a hold", base(vec![]), Some(delta(6, 5, leafs(6)))),
        ("missing", base(vec![]), None),
        ("missing, revoked before", base(leafs(1)), None),
        ("of an older list", base(vec![]), Some(delta(6, 4, vec![]))),
        ("of a newer list", base(vec![]), Some(delta(7, 6, vec![]))),
        ("with the same number", base(vec![]), Some(delta(5, 5, vec![]))),
        ("no delta", base(vec![]), Some(List::new())),
        ("ended", base(vec![]), Some(List { next_update: Some("20261101000000Z"), ..delta(6, 5, vec![]) })),
        ("by another key", base(vec![]), Some(List { key: Kind::Other, ..delta(6, 5, vec![]) })),
        (
            "of another place",
            base(vec![]),
            Some(delta(6, 5, vec![]).with_extension(issuing_point(&[&point_name(&["http://x.example/"])]))),
        ),
    ];
    let leaf = leaf_with(&[crl_at(&[&[CRL_URL]])]);
    let mut cases = Vec::new();
    for (what, base, delta) in table {
        let mut lists = vec![(CRL_URL, base.issue())];
        lists.extend(delta.map(|delta| (DELTA_URL, delta.issue())));
        cases.extend(asked(&format!("CRL delta: {what}"), &leaf, &[], &lists));
    }
    cases
}

fn places() -> Vec<Case> {
    let good = List::new().issue();
    let second = "http://crl.example/second.crl";
    let urls: Vec<String> = (1..=5).map(|number| format!("http://crl.example/{number}.crl")).collect();
    let five: Vec<&str> = urls.iter().map(String::as_str).collect();
    let both = [(CRL_URL, good.clone()), (second, good.clone())];
    let one = [(CRL_URL, good.clone())];
    let all: Vec<(&str, Vec<u8>)> = five.iter().map(|url| (*url, good.clone())).collect();
    let revoking = [(CRL_URL, good.clone()), (second, List::revoking(&[]).issue())];
    let leaf = |points: &[&[&str]]| leaf_with(&[crl_at(points)]);
    let https = "https://crl.example/root.crl";
    [
        asked("CRL at two points", &leaf(&[&[CRL_URL], &[second]]), &[], &both),
        asked("CRL at two points, one silent", &leaf(&[&[CRL_URL], &[second]]), &[], &one),
        asked("CRL at two points, one revokes", &leaf(&[&[CRL_URL], &[second]]), &[], &revoking),
        asked("CRL at two URLs of a point, one silent", &leaf(&[&[CRL_URL, second]]), &[], &one),
        asked("CRL at five points", &leaf(&[&five[..1], &five[1..2], &five[2..3], &five[3..4], &five[4..]]), &[], &all),
        asked("CRL at no point", &leaf(&[]), &[], &one),
        asked("CRL at a point without URL", &leaf(&[&[]]), &[], &one),
        asked("CRL at https", &leaf(&[&[https]]), &[], &[(https, good.clone())]),
        asked("CRL at https and http", &leaf(&[&[https, CRL_URL]]), &[], &one),
        asked(
            "CRL, freshest in the certificate",
            &leaf_with(&[crl_at(&[&[CRL_URL]]), freshest_at(&[DELTA_URL])]),
            &[],
            &one,
        ),
        asked("freshest alone in the certificate", &leaf_with(&[freshest_at(&[DELTA_URL])]), &[], &one),
        asked(
            "CRL at a place with credentials",
            &leaf(&[&["http://me@crl.example/"]]),
            &[],
            &[("http://me@crl.example/", good.clone())],
        ),
        asked(
            "CRL at a place with a space",
            &leaf(&[&["http://crl.example/a b"]]),
            &[],
            &[("http://crl.example/a b", good.clone())],
        ),
        asked("CRL by a root not for lists", &leaf(&[&[CRL_URL]]), &[], &[(CRL_URL, good)]),
    ]
    .concat()
}
