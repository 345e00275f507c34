// SPDX-License-Identifier: Apache-2.0
//! Chains, certificates and trust stores with one thing wrong.

use base64ct::{Base64, Encoding};
use sealwatch_fixtures::der::{bit_string, name, oid, sequence, simple_name, tlv};
use sealwatch_fixtures::jws::Jws;
use sealwatch_fixtures::key::{Kind, key};
use sealwatch_fixtures::pki::{
    CRL_SIGN, DATA_ENCIPHERMENT, DECIPHER_ONLY, DIGITAL_SIGNATURE, ENCIPHER_ONLY, KEY_AGREEMENT, KEY_CERT_SIGN,
    KEY_ENCIPHERMENT, NON_REPUDIATION, Signer, Template, basic_constraints, basic_constraints_value, eku, extension,
    key_usage, key_usage_value,
};
use sealwatch_fixtures::tsa;

use super::{at_levels, policy, signed_by};
use crate::case::Case;

pub(super) fn cases() -> Vec<Case> {
    [leaves(), issuers(), chains(), keys(), names(), files()].concat()
}

fn with_leaf(what: &str, leaf: &Template) -> [Case; 2] {
    signed_by(&format!("leaf: {what}"), &Signer::with_leaf(leaf))
}

fn extended(extensions: Vec<Vec<u8>>) -> Template {
    Template { extensions, ..Template::leaf() }
}

fn leaves() -> Vec<Case> {
    let usage = |bits| extended(vec![key_usage(bits)]);
    let usages = |list: &[&str]| extended(vec![key_usage(DIGITAL_SIGNATURE), eku(list)]);
    let lax = extension("2.5.29.15", false, &key_usage_value(DIGITAL_SIGNATURE));
    let algorithm = |dotted: &str| Some(sequence(&[&oid(dotted)]));
    let hashed = |dotted: &str| Template {
        inner_algorithm: algorithm(dotted),
        outer_algorithm: algorithm(dotted),
        ..Template::leaf()
    };
    let table: Vec<(&str, Template)> = vec![
        ("no usage", extended(vec![])),
        ("usage not critical", extended(vec![lax])),
        ("only nonRepudiation", usage(NON_REPUDIATION)),
        ("also nonRepudiation", usage(DIGITAL_SIGNATURE | NON_REPUDIATION)),
        ("also keyEncipherment", usage(DIGITAL_SIGNATURE | KEY_ENCIPHERMENT)),
        ("also dataEncipherment", usage(DIGITAL_SIGNATURE | DATA_ENCIPHERMENT)),
        ("also keyAgreement", usage(DIGITAL_SIGNATURE | KEY_AGREEMENT)),
        ("also keyCertSign", usage(DIGITAL_SIGNATURE | KEY_CERT_SIGN)),
        ("also cRLSign", usage(DIGITAL_SIGNATURE | CRL_SIGN)),
        ("also encipherOnly", usage(DIGITAL_SIGNATURE | ENCIPHER_ONLY)),
        ("also decipherOnly", usage(DIGITAL_SIGNATURE | DECIPHER_ONLY)),
        ("a CA", Template::leaf().with_extension(basic_constraints(true, None))),
        ("says that it is no CA", Template::leaf().with_extension(basic_constraints(false, None))),
        ("for anything", usages(&["1.3.6.1.5.5.7.3.3", "2.5.29.37.0"])),
        ("for servers", usages(&["1.3.6.1.5.5.7.3.1"])),
        ("for OCSP", usages(&["1.3.6.1.5.5.7.3.9"])),
        ("for timestamps", usages(&["1.3.6.1.5.5.7.3.8"])),
        ("for something private", usages(&["1.3.6.1.4.1.311.76.59.1.2"])),
        ("for nothing", usages(&[])),
        ("SHA-1", hashed("1.2.840.10045.4.1")),
        ("SHA-224", hashed("1.2.840.10045.4.3.1")),
        ("two algorithms", Template { outer_algorithm: algorithm("1.2.840.10045.4.3.3"), ..Template::leaf() }),
        ("an extension twice", extended(vec![key_usage(DIGITAL_SIGNATURE), key_usage(DIGITAL_SIGNATURE)])),
        ("version 1 with extensions", Template { version: None, ..Template::leaf() }),
        ("version 4", Template { version: Some(3), ..Template::leaf() }),
        ("a negative serial number", Template { serial: vec![0x80], ..Template::leaf() }),
        ("serial number 0", Template { serial: vec![0], ..Template::leaf() }),
        ("a serial number of 51 octets", Template { serial: vec![0x11; 51], ..Template::leaf() }),
        ("ends before it begins", Template { not_after: "20190101000000Z", ..Template::leaf() }),
        ("fractional seconds", Template { not_after: "20391231235959.5Z", ..Template::leaf() }),
    ];
    let mut cases: Vec<Case> = table.iter().flat_map(|(what, leaf)| with_leaf(what, leaf)).collect();
    // Extensions of no meaning for signatures, each malformed.
    for dotted in
        ["2.5.29.17", "2.5.29.30", "2.5.29.31", "2.5.29.32", "2.5.29.35", "2.5.29.14", "1.3.6.1.5.5.7.1.1", "1.2.3.4"]
    {
        for value in
            [&b""[..], &[0x30], &[0x30, 0x00], &[0x30, 0x00, 0x00], &[0x04, 0x01, 0x00], &[0x30, 0x02, 0x30, 0x00]]
        {
            let leaf = Template::leaf().with_extension(extension(dotted, false, value));
            cases.extend(with_leaf(&format!("extension {dotted} is {value:02x?}"), &leaf));
        }
    }
    cases
}

fn issuers() -> Vec<Case> {
    let usage = || key_usage(KEY_CERT_SIGN);
    let table: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("no constraints", vec![usage()]),
        (
            "constraints not critical",
            vec![extension("2.5.29.19", false, &basic_constraints_value(true, None)), usage()],
        ),
        ("no CA", vec![basic_constraints(false, None), usage()]),
        ("no usage", vec![basic_constraints(true, None)]),
        (
            "usage not critical",
            vec![basic_constraints(true, None), extension("2.5.29.15", false, &key_usage_value(KEY_CERT_SIGN))],
        ),
        ("not for certificates", vec![basic_constraints(true, None), key_usage(CRL_SIGN)]),
        ("path length 0", vec![basic_constraints(true, Some(0)), usage()]),
        ("unknown critical extension", vec![basic_constraints(true, None), usage(), extension("1.2.3.4", true, b"x")]),
        ("for servers", vec![basic_constraints(true, None), usage(), eku(&["1.3.6.1.5.5.7.3.1"])]),
    ];
    let mut cases = Vec::new();
    for (what, extensions) in table {
        let root = Template { extensions: extensions.clone(), ..Template::root() };
        cases.extend(signed_by(&format!("root: {what}"), &Signer::with_chain(&[&Template::leaf(), &root])));
        let leaf = Template::leaf().below_intermediate();
        cases.extend(signed_by(
            &format!("root of three: {what}"),
            &Signer::with_chain(&[&leaf, &Template::intermediate(), &root]),
        ));
        let middle = Template { extensions, ..Template::intermediate() };
        cases.extend(signed_by(
            &format!("intermediate: {what}"),
            &Signer::with_chain(&[&leaf, &middle, &Template::root()]),
        ));
    }
    cases
}

fn chains() -> Vec<Case> {
    let (leaf, middle, root) = (Template::leaf().below_intermediate(), Template::intermediate(), Template::root());
    let chain =
        |what: &str, templates: &[&Template]| signed_by(&format!("chain: {what}"), &Signer::with_chain(templates));
    let self_signed = Template::self_signed();
    let sha1 = Some(sequence(&[&oid("1.2.840.10045.4.1")]));
    let old = Template {
        subject: simple_name("CN=Old Root,O=Microsoft Corporation,C=US"),
        issuer: simple_name("CN=Old Root,O=Microsoft Corporation,C=US"),
        key: Kind::Other,
        issuer_key: Kind::Other,
        ..Template::root()
    };
    let crossed = Template { issuer: old.subject.clone(), issuer_key: Kind::Other, ..Template::root() };
    let mut cases: Vec<Case> = [
        chain("a gap", &[&leaf, &root]),
        chain("no root", &[&leaf, &middle]),
        chain("another order", &[&leaf, &root, &middle]),
        chain("the root twice", &[&leaf, &middle, &root, &root]),
        chain("an extra", &[&leaf, &middle, &middle, &root]),
        chain("a self-signed leaf below a root", &[&self_signed, &root]),
        chain("alone", &[&self_signed]),
        chain("alone and issued by another", &[&leaf]),
        chain(
            "alone with SHA-1",
            &[&Template { inner_algorithm: sha1.clone(), outer_algorithm: sha1, ..self_signed.clone() }],
        ),
        chain("alone and a CA", &[&self_signed.clone().with_extension(basic_constraints(true, None))]),
        chain("a cross-signed root", &[&Template::leaf(), &crossed, &old]),
        chain("the name of the root", &[&Template { subject: root.subject.clone(), ..Template::leaf() }, &root]),
        chain("another key", &[&Template { issuer_key: Kind::Other, ..Template::leaf() }, &root]),
        chain("another name", &[&Template { issuer: simple_name("CN=x"), ..Template::leaf() }, &root]),
    ]
    .concat();
    for length in [10, 11, 30] {
        cases.extend(signed_by(&format!("chain: {length} certificates"), &long(length)));
    }
    cases
}

fn long(length: usize) -> Signer {
    let name = |level: usize| simple_name(&format!("CN=CA {level},O=Microsoft Corporation,C=US"));
    let mut chain = vec![Template { issuer: name(1), issuer_key: Kind::Next, ..Template::leaf() }];
    for level in 1..length - 1 {
        let (subject, issuer) = (name(level), name(level + 1));
        chain.push(Template { subject, issuer, issuer_key: Kind::Next, ..Template::intermediate() });
    }
    let (subject, issuer) = (name(length - 1), name(length - 1));
    chain.push(Template { subject, issuer, key: Kind::Next, issuer_key: Kind::Next, ..Template::root() });
    Signer::with_chain(&chain.iter().collect::<Vec<_>>())
}

fn keys() -> Vec<Case> {
    let rsa = |bits: usize, exponent: &[u8]| {
        let modulus = [&[0x00, 0xc1][..], &vec![0x5b; bits / 8 - 1]].concat();
        let key = sequence(&[&tlv(0x02, &modulus), &tlv(0x02, exponent)]);
        sequence(&[&sequence(&[&oid("1.2.840.113549.1.1.1"), &[0x05, 0x00]]), &bit_string(0, &key)])
    };
    let mut cases = Vec::new();
    for (what, spki) in [
        ("RSA 1024", rsa(1024, &[1, 0, 1])),
        ("RSA 8192", rsa(8192, &[1, 0, 1])),
        ("RSA with an even exponent", rsa(2048, &[1, 0, 0])),
        ("Ed25519", key(Kind::Ed25519).spki()),
    ] {
        cases.extend(with_leaf(&format!("key {what}"), &Template { spki: Some(spki), ..Template::leaf() }));
    }
    for kind in [Kind::Ed25519, Kind::Rsa2048, Kind::P384, Kind::P521] {
        let root = Template { key: kind, issuer_key: kind, ..Template::root() };
        let leaf = Template { issuer_key: kind, ..Template::leaf() };
        cases.extend(signed_by(&format!("root: key {kind:?}"), &Signer::with_chain(&[&leaf, &root])));
    }
    cases
}

/// Subjects, with identities that may or may not be theirs.
fn names() -> Vec<Case> {
    const BASE: [(&str, u8, &[u8]); 3] =
        [("2.5.4.6", 0x13, b"US"), ("2.5.4.8", 0x0c, b"WA"), ("2.5.4.10", 0x0c, b"Acme")];
    let with = |more: &[(&str, u8, &[u8])]| name(&[&BASE[..], more].concat());
    let bmp: Vec<u8> = "Zürich".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let subjects = [
        ("plain", with(&[])),
        ("two O", with(&[("2.5.4.10", 0x0c, b"Two")])),
        ("two CN", with(&[("2.5.4.3", 0x0c, b"one"), ("2.5.4.3", 0x0c, b"two")])),
        ("two serial numbers", with(&[("2.5.4.5", 0x0c, b"1"), ("2.5.4.5", 0x0c, b"2")])),
        ("e-mail", with(&[("1.2.840.113549.1.9.1", 0x16, b"a@b.c")])),
        ("BMP", with(&[("2.5.4.7", 0x1e, &bmp)])),
        ("T61", with(&[("2.5.4.7", 0x14, b"t61")])),
        ("special characters", with(&[("2.5.4.3", 0x0c, br#" a,b+c"d\e<f>g;h=i "#)])),
        ("hash", with(&[("2.5.4.3", 0x0c, b"#1")])),
        ("hash inside", with(&[("2.5.4.3", 0x0c, b"a=#1")])),
        ("an empty CN", with(&[("2.5.4.3", 0x0c, b"")])),
        ("no ST", name(&[("2.5.4.6", 0x13, b"US"), ("2.5.4.10", 0x0c, b"Acme")])),
    ];
    let identities = [
        "x509.subject: C=US, ST=WA, O=Acme",
        "x509.subject: C=US, S=WA, O=Acme",
        "x509.subject: C=US; ST=WA; O=Acme",
        "x509.subject: C=US, ST=WA, O=Acme, CN=two",
        "x509.subject: C=US, ST=WA, O=Acme, CN=",
        "x509.subject: C=US, ST=WA, O=Acme, SERIALNUMBER=2",
        "x509.subject: C=US, ST=WA, O=Acme, L=Zürich",
        r"x509.subject: C=US, ST=WA, O=\41cme",
        r#"x509.subject: C=US, ST=WA, O=Acme, CN=\ a\,b\+c\"d\\e\<f\>g\;h\=i\ "#,
        r"x509.subject: C=US, ST=WA, O=Acme, CN=\#1",
        "*",
    ];
    let mut cases = Vec::new();
    for (what, subject) in subjects {
        let leaf = Template { subject, ..Template::leaf() };
        let signer = Signer::with_leaf(&leaf);
        let envelope = Jws::new(&signer).sign();
        for identity in identities {
            let case = Case::new(format!("subject with {what}, identity {identity}"));
            let case = case.jws(envelope.clone()).store("ca:test", &[signer.root()]);
            cases.push(case.policy(policy("strict", "", &["ca:test"], &[identity])));
        }
    }
    cases
}

fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    let text = Base64::encode_string(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n")).into_bytes()
}

fn files() -> Vec<Case> {
    let signer = Signer::new();
    let root = signer.root().to_vec();
    let good = pem("CERTIFICATE", &root);
    let other = tsa::root().issue();
    let usage = extension("2.5.29.15", true, &[key_usage_value(KEY_CERT_SIGN), vec![0]].concat());
    let with_byte_more = Template { extensions: vec![basic_constraints(true, None), usage], ..Template::root() };
    let ec = |curve: &str| sequence(&[&sequence(&[&oid("1.2.840.10045.2.1"), &oid(curve)]), &bit_string(0, &[4; 65])]);
    let beside_curve = Template { spki: Some(ec("1.2.840.10045.3.1.7")), ..Template::root() };
    let unknown_curve = Template { spki: Some(ec("1.3.132.0.10")), ..Template::root() };
    let files: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("PEM", vec![good.clone()]),
        ("PEM after text", vec![[b"subject=x\n".as_slice(), &good].concat()]),
        ("PEM before text", vec![[good.as_slice(), b"trailing"].concat()]),
        ("PEM twice", vec![[good.as_slice(), &good].concat()]),
        ("PEM with CRLF", vec![String::from_utf8(good.clone()).expect("text").replace('\n', "\r\n").into_bytes()]),
        ("PEM labelled as a key", vec![pem("PRIVATE KEY", &root)]),
        ("PEM labelled as trusted", vec![pem("TRUSTED CERTIFICATE", &root)]),
        ("PEM, then a key", vec![[good.as_slice(), &pem("PRIVATE KEY", b"0000")].concat()]),
        ("PEM, then half of one", vec![[good.as_slice(), b"-----BEGIN CERTIFICATE-----\nAAAA\n"].concat()]),
        (
            "PEM with headers",
            vec![String::from_utf8(good.clone()).expect("text").replacen("-----\n", "-----\nA: b\n\n", 1).into_bytes()],
        ),
        ("DER", vec![root.clone()]),
        ("DER twice", vec![[root.as_slice(), &other].concat()]),
        ("DER and a byte", vec![[root.as_slice(), &[0]].concat()]),
        ("an empty file", vec![root.clone(), vec![]]),
        ("a leaf", vec![root.clone(), Template::leaf().issue()]),
        ("a certificate with a byte more in an extension", vec![root.clone(), with_byte_more.issue()]),
        ("a certificate with a point beside its curve", vec![root.clone(), beside_curve.issue()]),
        ("a certificate of an unknown curve", vec![root.clone(), unknown_curve.issue()]),
        ("a self-signed leaf", vec![root.clone(), Template::self_signed().issue()]),
        ("a CA below another", vec![root.clone(), Template::intermediate().issue()]),
    ];
    let mut cases = Vec::new();
    for (what, files) in files {
        let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        let case = Case::new(format!("store: {what}")).jws(Jws::new(&signer).sign()).store("ca:test", &files);
        cases.extend(at_levels(&case, &["ca:test"]));
    }
    cases
}
