// SPDX-License-Identifier: Apache-2.0
//! Timestamp tokens and authorities with one thing wrong, or unusual.

use sealwatch_fixtures::der::{oid, sequence, simple_name, tlv};
use sealwatch_fixtures::key::Kind;
use sealwatch_fixtures::pki::{
    CRL_SIGN, DIGITAL_SIGNATURE, KEY_CERT_SIGN, KEY_ENCIPHERMENT, NON_REPUDIATION, Template, basic_constraints,
    basic_constraints_value, eku, extension, key_usage, key_usage_value,
};
use sealwatch_fixtures::revocation::{CRL_URL, List, crl_at, entry};
use sealwatch_fixtures::tsa::{
    self, SHA1, SHA384, SHA512, SIGNING_CERTIFICATE_V2, SIGNING_TIME, Scheme, TIME_STAMPING, Token, algorithm,
    attribute, below_intermediate, usages,
};

use super::{policy, stamped};
use crate::case::Case;

pub(super) fn cases() -> Vec<Case> {
    [tokens(), authorities()].concat()
}

type Change = (&'static str, fn(&mut Token));

#[allow(clippy::too_many_lines)] // a table
fn tokens() -> Vec<Case> {
    fn certificate_v2(token: &mut Token, id: Vec<u8>) {
        token.signer().certificate_ids = vec![id];
    }
    let changes: Vec<Change> = vec![
        ("good", |_| {}),
        ("another content", |t| t.outer_type = "1.2.840.113549.1.7.1"),
        ("version 1", |t| t.version = 1),
        ("version 4", |t| t.version = 4),
        ("content type data", |t| t.content_type = "1.2.840.113549.1.7.1"),
        ("info version 2", |t| t.info_version = 2),
        ("imprint SHA-384", |t| t.imprint_hash = SHA384),
        ("imprint SHA-512", |t| t.imprint_hash = SHA512),
        ("imprint SHA-1", |t| t.imprint_hash = SHA1),
        ("about another", |t| t.message = b"another".to_vec()),
        ("genTime with fraction", |t| "20250101000000.5Z".clone_into(&mut t.time)),
        ("genTime with trailing zero", |t| "20250101000000.50Z".clone_into(&mut t.time)),
        ("genTime without seconds", |t| "202501010000Z".clone_into(&mut t.time)),
        ("genTime with offset", |t| "20250101000000+0100".clone_into(&mut t.time)),
        ("genTime ahead", |t| "20300101000000Z".clone_into(&mut t.time)),
        ("genTime before the certificate", |t| "20191231235959Z".clone_into(&mut t.time)),
        ("accuracy of a second", |t| t.rest = sequence(&[&tlv(0x02, &[1])])),
        ("accuracy of 1000 thousandths", |t| t.rest = sequence(&[&tlv(0x80, &[0x03, 0xe8])])),
        ("accuracy of 999 thousandths", |t| t.rest = sequence(&[&tlv(0x80, &[0x03, 0xe7])])),
        ("negative accuracy", |t| t.rest = sequence(&[&tlv(0x02, &[0xff])])),
        ("accuracy that overflows", |t| t.rest = sequence(&[&tlv(0x02, &[0x7f; 8])])),
        ("accuracy beyond the certificate", |t| t.rest = sequence(&[&tlv(0x02, &[0x0f, 0xff, 0xff, 0xff])])),
        ("ordering", |t| t.rest = tlv(0x01, &[0xff])),
        ("nonce", |t| t.rest = tlv(0x02, &[7])),
        ("name", |t| t.rest = tlv(0xa0, &tlv(0xa4, &simple_name("CN=x")))),
        ("extension", |t| t.rest = tlv(0xa1, &extension("1.2.3", false, b"x"))),
        ("critical extension", |t| t.rest = tlv(0xa1, &extension("1.2.3", true, b"x"))),
        ("data after info", |t| t.after_info = vec![0x05, 0x00]),
        ("data after signers", |t| t.after_signers = vec![0x05, 0x00]),
        ("info and more in it", |t| t.rest = tlv(0x04, b"x")),
        ("no certificates", |t| t.certificates = vec![]),
        ("no signers", |t| t.signers = vec![]),
        ("two signers", |t| {
            let s = t.signers[0].clone();
            t.signers.push(s);
        }),
        ("a wrong signer first", |t| {
            let mut s = t.signers[0].clone();
            s.key = Kind::P384;
            t.signers.insert(0, s);
        }),
        ("signer of version 3", |t| t.signer().version = 3),
        ("by another key", |t| t.signer().key = Kind::P256),
        ("digest SHA-1", |t| t.signer().digest = SHA1),
        ("digest SHA-512", |t| t.signer().digest = SHA512),
        ("another signed type", |t| t.signer().content_type = "1.2.840.113549.1.7.1"),
        ("no signed certificate", |t| t.signer().without = vec![SIGNING_CERTIFICATE_V2]),
        ("no message digest", |t| t.signer().without = vec![tsa::MESSAGE_DIGEST]),
        ("no content type", |t| t.signer().without = vec![tsa::CONTENT_TYPE]),
        ("signing time", |t| t.signer().more = vec![attribute(SIGNING_TIME, &[&tlv(0x17, b"250101000000Z")])]),
        ("signing time outside", |t| t.signer().more = vec![attribute(SIGNING_TIME, &[&tlv(0x17, b"190101000000Z")])]),
        ("signing time that is none", |t| t.signer().more = vec![attribute(SIGNING_TIME, &[&tlv(0x04, b"x")])]),
        ("signing time twice", |t| {
            let a = attribute(SIGNING_TIME, &[&tlv(0x17, b"250101000000Z")]);
            t.signer().more = vec![a.clone(), a];
        }),
        ("content type of two values", |t| {
            t.signer().without = vec![tsa::CONTENT_TYPE];
            t.signer().more = vec![attribute(
                tsa::CONTENT_TYPE,
                &[&oid("1.2.840.113549.1.9.16.1.4"), &oid("1.2.840.113549.1.9.16.1.4")],
            )];
        }),
        ("an attribute that nobody knows", |t| t.signer().more = vec![attribute("1.2.3", &[&[0x05, 0x00]])]),
        ("certificate by hash alone", |t| {
            let id = sequence(&[&tlv(0x04, &tsa::hash(tsa::SHA256, &tsa::authority().issue()))]);
            certificate_v2(t, id);
        }),
        ("certificate by another hash", |t| {
            let id = sequence(&[&tlv(0x04, &[0; 32])]);
            certificate_v2(t, id);
        }),
        ("certificate by SHA-1", |t| {
            let id = sequence(&[&algorithm(SHA1), &tlv(0x04, &tsa::hash(SHA1, &tsa::authority().issue()))]);
            certificate_v2(t, id);
        }),
        ("certificate by SHA-512", |t| {
            let id = sequence(&[&algorithm(SHA512), &tlv(0x04, &tsa::hash(SHA512, &tsa::authority().issue()))]);
            certificate_v2(t, id);
        }),
        ("certificate by an issuer with more behind", |t| {
            let hash = tlv(0x04, &tsa::hash(tsa::SHA256, &tsa::authority().issue()));
            let name = tlv(0xa4, &[tsa::authority().issuer, vec![0x05, 0x00]].concat());
            let serial = tlv(0x02, &tsa::authority().serial);
            certificate_v2(t, sequence(&[&hash, &sequence(&[&sequence(&[&name]), &serial])]));
        }),
        ("certificate by another's issuer and number", |t| {
            let hash = tlv(0x04, &tsa::hash(tsa::SHA256, &tsa::authority().issue()));
            certificate_v2(t, sequence(&[&hash, &tsa::issuer_serial(&tsa::intermediate())]));
        }),
        ("two certificate ids", |t| {
            let id = sequence(&[&tlv(0x04, &[0; 32])]);
            t.signer().certificate_ids.push(id);
        }),
        ("no certificate ids", |t| t.signer().certificate_ids = vec![]),
        ("signer by key", |t| t.signer().sid = tlv(0x80, b"12345678901234567890")),
        ("unsigned attributes", |t| t.signer().unsigned = tlv(0xa1, &attribute("1.2.3", &[&[0x05, 0x00]]))),
        ("lists", |t| t.lists = tlv(0xa1, &List::new().issue())),
        ("a stranger's certificate too", |t| t.certificates.push(Template::leaf().issue())),
        ("another certificate form", |t| t.certificates.push(tlv(0xa3, &[0x05, 0x00]))),
        ("its root too", |t| t.certificates.push(tsa::root().issue())),
    ];
    let mut cases = Vec::new();
    for (what, change) in changes {
        cases.extend(stamped(&format!("token: {what}"), &tsa::root(), |signature| {
            let mut token = Token::new(signature);
            change(&mut token);
            token.issue()
        }));
    }
    let good = |signature: &[u8]| Token::new(signature).issue();
    cases.extend(stamped("token: a byte behind", &tsa::root(), |s| [good(s), vec![0]].concat()));
    cases.extend(stamped("token: indefinite", &tsa::root(), |s| {
        let token = good(s);
        [&[0x30, 0x80], &token[4..], &[0, 0]].concat()
    }));
    cases
}

#[allow(clippy::too_many_lines)] // tables
fn authorities() -> Vec<Case> {
    let stamping = || usages(true, &[TIME_STAMPING]);
    let usage = |bits| key_usage(bits);
    let lax_usage = extension("2.5.29.15", false, &key_usage_value(DIGITAL_SIGNATURE));
    let table: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("usage not critical", vec![lax_usage, stamping()]),
        ("no usage", vec![stamping()]),
        ("also nonRepudiation", vec![usage(DIGITAL_SIGNATURE | NON_REPUDIATION), stamping()]),
        ("also keyEncipherment", vec![usage(DIGITAL_SIGNATURE | KEY_ENCIPHERMENT), stamping()]),
        ("stamping not critical", vec![usage(DIGITAL_SIGNATURE), usages(false, &[TIME_STAMPING])]),
        ("stamping and code", vec![usage(DIGITAL_SIGNATURE), usages(true, &[TIME_STAMPING, "1.3.6.1.5.5.7.3.3"])]),
        ("stamping and something private", vec![usage(DIGITAL_SIGNATURE), usages(true, &[TIME_STAMPING, "1.2.3"])]),
        ("anything", vec![usage(DIGITAL_SIGNATURE), usages(true, &["2.5.29.37.0"])]),
        ("no extended usage", vec![usage(DIGITAL_SIGNATURE)]),
        ("a CA", vec![usage(DIGITAL_SIGNATURE), stamping(), basic_constraints(true, None)]),
        ("unknown critical extension", vec![usage(DIGITAL_SIGNATURE), stamping(), extension("1.2.3", true, b"x")]),
    ];
    let mut cases = Vec::new();
    for (what, extensions) in table {
        let authority = Template { extensions, ..tsa::authority() };
        cases.extend(stamped(&format!("authority: {what}"), &tsa::root(), |s| Token::by(&authority, s).issue()));
    }
    let constraint = extension("2.5.29.30", true, &sequence(&[&tlv(0xa0, &sequence(&[&tlv(0x82, b"example.com")]))]));
    let ca = |extensions: Vec<Vec<u8>>| Template { extensions, ..tsa::intermediate() };
    let sign = || key_usage(KEY_CERT_SIGN);
    for (what, middle) in [
        ("good", tsa::intermediate()),
        (
            "constraints not critical",
            ca(vec![extension("2.5.29.19", false, &basic_constraints_value(true, None)), sign()]),
        ),
        ("for code", ca(vec![basic_constraints(true, None), sign(), eku(&["1.3.6.1.5.5.7.3.3"])])),
        ("for stamping", ca(vec![basic_constraints(true, None), sign(), eku(&[TIME_STAMPING])])),
        ("name constraints", ca(vec![basic_constraints(true, None), sign(), constraint])),
        ("path length 0", ca(vec![basic_constraints(true, Some(0)), sign()])),
        ("unknown critical extension", ca(vec![basic_constraints(true, None), sign(), extension("1.2.3", true, b"x")])),
        (
            "policy constraints",
            ca(vec![
                basic_constraints(true, None),
                sign(),
                extension("2.5.29.36", true, &sequence(&[&tlv(0x80, &[0])])),
            ]),
        ),
        ("no usage", ca(vec![basic_constraints(true, None)])),
        ("ended", Template { not_after: "20240101000000Z", ..tsa::intermediate() }),
    ] {
        let authority = below_intermediate(tsa::authority());
        cases.extend(stamped(&format!("authority below: {what}"), &tsa::root(), |s| {
            let mut token = Token::by(&authority, s);
            token.certificates.push(middle.issue());
            token.issue()
        }));
    }
    for (what, key, scheme) in [
        ("RSA", Kind::Rsa2048, Scheme::OfCertificates),
        ("RSA encryption", Kind::Rsa2048, Scheme::RsaEncryption),
        ("RSA-PSS", Kind::Rsa2048, Scheme::Pss),
        ("P-521", Kind::P521, Scheme::OfCertificates),
    ] {
        let authority = Template { key, ..tsa::authority() };
        cases.extend(stamped(&format!("authority: {what}"), &tsa::root(), |s| {
            let mut token = Token::by(&authority, s);
            token.signer().scheme = scheme;
            token.issue()
        }));
    }
    for (what, root) in [
        (
            "its own root",
            Template { issuer: tsa::authority().subject, issuer_key: tsa::authority().key, ..tsa::authority() },
        ),
        ("ended", Template { not_after: "20240101000000Z", ..tsa::root() }),
        (
            "constraints not critical",
            Template {
                extensions: vec![extension("2.5.29.19", false, &basic_constraints_value(true, None)), sign()],
                ..tsa::root()
            },
        ),
        ("an intermediate", tsa::intermediate()),
    ] {
        cases.extend(stamped(&format!("authority's root: {what}"), &root, |s| Token::new(s).issue()));
    }
    cases.extend(revoked_authority());
    cases
}

/// AT-14.
fn revoked_authority() -> Vec<Case> {
    let authority = tsa::authority().with_extension(crl_at(&[&[CRL_URL]]));
    let list =
        |entries: Vec<Vec<u8>>| List { issuer: tsa::root().subject, key: tsa::root().key, entries, ..List::new() };
    let root = Template {
        extensions: vec![basic_constraints(true, None), key_usage(KEY_CERT_SIGN | CRL_SIGN)],
        ..tsa::root()
    };
    let mut cases = Vec::new();
    for (what, answer) in [
        ("good", Some(list(vec![]))),
        ("revoked", Some(list(vec![entry(&[0x03], "260601000000Z", &[])]))),
        ("unknown", None),
    ] {
        for case in stamped(&format!("authority's revocation: {what}"), &root, |s| Token::by(&authority, s).issue()) {
            let case = match &answer {
                Some(list) => case.crl(CRL_URL, list.issue()),
                None => case,
            };
            let skipping = policy("strict", r#","override":{"revocation":"skip"}"#, &["ca:test", "tsa:test"], &["*"]);
            cases.push(Case { name: format!("{}, skipped", case.name), ..case.clone() }.policy(skipping));
            cases.push(case);
        }
    }
    cases
}
