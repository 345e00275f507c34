// SPDX-License-Identifier: Apache-2.0
//! Certificates: what is read out of them, and what is refused. And the files and stores that they come from.

use base64ct::{Base64, Encoding};
use sealwatch_notation::{
    Certificate, CertificateError, Timestamp, TrustStore, TrustStoreError, TrustStoreRef, TrustStoreRefError,
    TrustStoreType, TrustStores, parse_certificates,
};

use crate::support::der::{UTF8, bit_string, name, oid, sequence, simple_name, tlv};
use crate::support::key::Kind;
use crate::support::pki::{DIGITAL_SIGNATURE, Template, basic_constraints, extension, key_usage, key_usage_value};
use crate::support::{SIGNER, time};

fn parse(template: &Template) -> Result<Certificate, CertificateError> {
    Certificate::from_der(&template.issue())
}

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = Base64::encode_string(der);
    let lines: Vec<&str> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[test]
fn a_certificate_gives_back_its_fields() {
    let certificate = parse(&Template::leaf()).expect("a certificate");
    assert_eq!(certificate.subject(), SIGNER);
    assert_eq!(certificate.issuer(), "CN=Sealwatch Test Root,O=Microsoft Corporation,C=US");
    assert_eq!(certificate.common_name(), Some("Azure IoT Operations"));
    assert_eq!(certificate.not_before(), time("2020-01-01T00:00:00Z"));
    assert_eq!(certificate.not_after(), time("2039-12-31T23:59:59Z"));
    assert_eq!(certificate.sha256().len(), 64);
    assert_eq!(certificate, Certificate::from_der(certificate.der()).expect("the same"));
    assert_ne!(certificate, parse(&Template::root()).expect("another"));
}

/// RFC 5280 section 4.1.2.5: "no well-defined expiration date" is later than any timestamp of ours.
#[test]
fn a_certificate_without_an_end_lasts_as_long_as_time_does() {
    let certificate = parse(&Template { not_after: "99991231235959Z", ..Template::leaf() }).expect("a certificate");
    assert_eq!(certificate.not_after(), Timestamp::MAX);
}

/// DN-10, DN-11: the expected texts are what Go's `pkix.Name.String` prints for these names.
#[test]
fn a_subject_is_printed_as_go_prints_it() {
    const C: &str = "2.5.4.6";
    const O: &str = "2.5.4.10";
    const CN: &str = "2.5.4.3";
    let bmp: Vec<u8> = "Zürich".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let table: Vec<(Vec<u8>, &str)> = vec![
        (name(&[]), ""),
        (name(&[(CN, UTF8, b"a"), (C, 0x13, b"US"), (O, UTF8, b"o")]), "CN=a,O=o,C=US"),
        (name(&[(O, UTF8, b"one"), (O, UTF8, b"two")]), "O=one+O=two"),
        (name(&[(CN, UTF8, b"one"), (CN, UTF8, b"two")]), "CN=two"),
        (name(&[(O, UTF8, br#" a,b+c"d\e<f>g;h=i "#)]), r#"O=\ a\,b\+c\"d\\e\<f\>g\;h=i\ "#),
        (name(&[(O, UTF8, b"#1"), (C, UTF8, b"a#b")]), r"O=\#1,C=a#b"),
        (
            name(&[("2.5.4.9", UTF8, b"s"), ("2.5.4.17", UTF8, b"p"), ("2.5.4.5", UTF8, b"n")]),
            "SERIALNUMBER=n,POSTALCODE=p,STREET=s",
        ),
        (
            name(&[
                (C, UTF8, b"US"),
                ("1.2.840.113549.1.9.1", 0x16, b"a@b.c"),
                ("0.9.2342.19200300.100.1.25", 0x16, b"x"),
            ]),
            "C=US,0.9.2342.19200300.100.1.25=#130178,1.2.840.113549.1.9.1=#0c056140622e63",
        ),
        (name(&[("2.5.4.7", 0x1e, &bmp), (C, 0x12, b"41")]), "L=Zürich,C=41"),
    ];
    for (subject, expected) in table {
        let certificate = parse(&Template { subject, ..Template::leaf() }).expect("a certificate");
        assert_eq!(certificate.subject(), expected);
    }
}

/// Its meaning is ambiguous, so it is printed as bytes, and so matches no identity.
#[test]
fn a_t61_string_is_printed_in_hexadecimal() {
    let subject = name(&[("2.5.4.10", 0x14, b"t61")]);
    let certificate = parse(&Template { subject, ..Template::leaf() }).expect("a certificate");
    assert_eq!(certificate.subject(), "2.5.4.10=#1403743631");
}

/// Go refuses such certificates whole, so notation does.
#[test]
fn a_name_whose_bytes_do_not_fit_their_string_type_is_refused() {
    for (tag, value) in [
        (0x0c, &b"\xc3\x28"[..]),
        (0x13, b"a@b"),
        (0x16, b"\xff"),
        (0x12, b"a"),
        (0x1e, b"\xd8\x00"),
        (0x1e, b"\xff\xff"),
        (0x1e, b"\x00"),
        (0x04, b"a"),
        (0x1c, b"\0\0\0a"),
    ] {
        let value = name(&[("2.5.4.10", tag, value)]);
        for (field, template) in [
            ("subject", Template { subject: value.clone(), ..Template::leaf() }),
            ("issuer", Template { issuer: value.clone(), ..Template::leaf() }),
        ] {
            let error = parse(&template).expect_err("a malformed name");
            assert!(matches!(error, CertificateError::Malformed { field: found, .. } if found == field), "{error}");
        }
    }
}

/// Go reads no arc of more than 31 bits, and none with leading zeros.
#[test]
fn an_object_identifier_beyond_gos_is_refused() {
    let usage = |value: &[u8]| extension("2.5.29.37", false, &sequence(&[&tlv(0x06, value)]));
    let parse = |value: &[u8]| parse(&Template { extensions: vec![usage(value)], ..Template::leaf() }).map(|_| ());
    assert_eq!(parse(&[0x2a, 0x87, 0xff, 0xff, 0xff, 0x7f]), Ok(()), "2^31 - 1");
    for value in [&[0x2a, 0x88, 0x80, 0x80, 0x80, 0x00][..], &[0x2a, 0x80, 0x01], &[0x2a, 0x81], &[]] {
        assert!(parse(value).is_err(), "{value:?}");
    }
}

#[test]
fn malformed_certificates_are_refused_by_field() {
    let field = |template: &Template| match parse(template).expect_err("a malformed certificate") {
        CertificateError::Malformed { field, .. } => field.to_owned(),
        CertificateError::Extension { extension, .. } => extension,
        other => other.to_string(),
    };
    let leaf = Template::leaf;
    assert_eq!(field(&Template { version: Some(3), ..leaf() }), "version");
    assert_eq!(field(&Template { version: Some(1), ..leaf() }), "extensions");
    assert_eq!(field(&Template { version: None, ..leaf() }), "extensions");
    assert_eq!(field(&Template { serial: vec![0x80], ..leaf() }), "serialNumber");
    assert_eq!(field(&Template { serial: vec![], ..leaf() }), "serialNumber");
    assert_eq!(field(&Template { not_before: "20200230000000Z", ..leaf() }), "validity");
    assert_eq!(field(&Template { not_after: "20200101000000+0000", ..leaf() }), "validity");
    assert_eq!(field(&Template { subject: tlv(0x31, b""), ..leaf() }), "subject");
    assert_eq!(field(&Template { issuer: tlv(0x30, b"\x31\x00\x00"), ..leaf() }), "issuer");
    assert_eq!(field(&Template { spki: Some(sequence(&[])), ..leaf() }), "subjectPublicKeyInfo");
    let other = Some(sequence(&[&oid("1.2.840.113549.1.1.11")]));
    assert_eq!(
        field(&Template { inner_algorithm: other, ..leaf() }),
        "certificate field signatureAlgorithm differs from the one that is signed"
    );
    for (broken, oid) in [
        (extension("2.5.29.15", true, b"\x03\x01"), "2.5.29.15"),
        (extension("2.5.29.15", true, b"\x03\x02\x07\x81"), "2.5.29.15"),
        (extension("2.5.29.19", true, b"\x30\x03\x01\x01\x01"), "2.5.29.19"),
        (extension("2.5.29.37", false, b"\x30\x01"), "2.5.29.37"),
        (extension("1.3.6.1.5.5.7.1.1", false, b"broken"), "1.3.6.1.5.5.7.1.1"),
        (sequence(&[]), "list"),
    ] {
        assert_eq!(field(&Template { extensions: vec![broken], ..leaf() }), oid);
    }
    let twice = vec![extension("2.5.29.15", true, &key_usage_value(DIGITAL_SIGNATURE)), key_usage(DIGITAL_SIGNATURE)];
    assert_eq!(field(&Template { extensions: twice, ..leaf() }), "2.5.29.15");
}

/// The names of an extension, each in the tag of its kind.
fn names(names: &[(u8, &[u8])]) -> Vec<u8> {
    sequence(
        &names
            .iter()
            .map(|(kind, name)| tlv(*kind, name))
            .collect::<Vec<_>>()
            .iter()
            .map(Vec::as_slice)
            .collect::<Vec<_>>(),
    )
}

/// Name constraints that permit one base.
fn constraint(kind: u8, base: &[u8]) -> Vec<u8> {
    sequence(&[&tlv(0xa0, &sequence(&[&tlv(kind, base)]))])
}

/// Every extension here has no meaning for signatures, whatever it says.
#[allow(clippy::too_many_lines)] // a table
fn extensions_without_a_meaning() -> Vec<(&'static str, bool, Vec<u8>, bool)> {
    const EMAIL: u8 = 0x81;
    const DNS: u8 = 0x82;
    const URL: u8 = 0x86;
    const IP: u8 = 0x87;
    let (key, issuer_key) = ("2.5.29.14", "2.5.29.35");
    let (alternative, constraints) = ("2.5.29.17", "2.5.29.30");
    let (policies, mappings, required, inhibited) = ("2.5.29.32", "2.5.29.33", "2.5.29.36", "2.5.29.54");
    let (information, points) = ("1.3.6.1.5.5.7.1.1", "2.5.29.31");
    let policy = |value: &[u8]| sequence(&[&tlv(0x06, value)]);
    let mut table = vec![
        (key, false, tlv(0x04, &[1; 20]), true),
        (key, true, tlv(0x04, &[1; 20]), false),
        (key, false, sequence(&[]), false),
        (key, false, vec![], false),
        (issuer_key, false, sequence(&[&tlv(0x80, &[1; 20])]), true),
        (issuer_key, true, sequence(&[]), false),
        (issuer_key, false, tlv(0x04, &[1]), false),
        (issuer_key, false, sequence(&[&[0x80, 0x05, 0x01]]), false),
        (
            alternative,
            true,
            names(&[(DNS, b"a.example"), (EMAIL, b"a@b"), (IP, &[127, 0, 0, 1]), (IP, &[0; 16])]),
            true,
        ),
        (alternative, false, names(&[(0xa4, &simple_name("CN=a")), (0xa0, b""), (0x88, b"")]), true),
        (alternative, false, sequence(&[]), true),
        (alternative, false, tlv(0x04, b""), false),
        (alternative, false, vec![], false),
        (alternative, false, sequence(&[&[0x82, 0x05, 0x61]]), false),
        (alternative, false, names(&[(DNS, "ü.example".as_bytes())]), false),
        (alternative, false, names(&[(EMAIL, b"\xff@b")]), false),
        (alternative, false, names(&[(IP, &[127, 0, 0])]), false),
        (constraints, true, sequence(&[]), false),
        (constraints, true, sequence(&[&tlv(0xa0, b"")]), false),
        (constraints, true, sequence(&[&tlv(0xa2, b"")]), false),
        (constraints, true, sequence(&[&tlv(0xa0, &tlv(0x04, b""))]), false),
        (constraints, false, sequence(&[&tlv(0xa1, &sequence(&[&tlv(0xa4, &simple_name("CN=a"))]))]), true),
        (policies, true, sequence(&[]), true),
        (policies, false, sequence(&[&policy(&[0x2a, 0x03]), &policy(&[0x2a, 0x04])]), true),
        // 2.25 and a UUID: an arc of more than 31 bits.
        (policies, false, sequence(&[&policy(&[0x69, 0x83, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])]), true),
        (policies, false, sequence(&[&policy(&[0x2a, 0x03]), &policy(&[0x2a, 0x03])]), false),
        (policies, false, sequence(&[&policy(&[])]), false),
        (policies, false, sequence(&[&policy(&[0x2a, 0x80, 0x01])]), false),
        (policies, false, sequence(&[&policy(&[0x2a, 0x83])]), false),
        (policies, false, sequence(&[&tlv(0x06, &[0x2a])]), false),
        (mappings, true, sequence(&[&sequence(&[&oid("1.2.3"), &oid("1.2.4")])]), true),
        (mappings, true, sequence(&[&sequence(&[&oid("1.2.3")])]), false),
        (mappings, true, vec![], false),
        (required, true, sequence(&[&tlv(0x80, &[0]), &tlv(0x81, &[1])]), true),
        (required, true, sequence(&[&tlv(0x80, &[])]), false),
        (required, true, sequence(&[&tlv(0x81, &[0, 1])]), false),
        (required, true, sequence(&[&tlv(0x81, &[1; 9])]), false),
        (required, true, tlv(0x04, b""), false),
        (inhibited, true, tlv(0x02, &[1]), true),
        (inhibited, true, tlv(0x02, &[0, 1]), false),
        (inhibited, true, tlv(0x04, &[1]), false),
        (information, true, sequence(&[]), false),
        (information, false, sequence(&[&sequence(&[&oid("1.3.6.1.5.5.7.48.2"), &[0x86, 0x05, 0x61]])]), false),
        (points, false, sequence(&[&sequence(&[&tlv(0xa0, &tlv(0xa1, b""))])]), false),
    ];
    for (url, is_good) in [
        ("spiffe://a.example/b", true),
        ("urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", true),
        ("https://user:word@a.example:8443/b%20c?d=e#f", true),
        ("http://[2001:db8::1]:80/", true),
        ("file:///a", true),
        ("http://a.example:", true),
        ("http://a.example:80x/", false),
        ("http://a.example./", false),
        ("http://a..example/", false),
        ("http://a b/", false),
        ("http://%41.example/", false),
        ("http://[::1", false),
        ("http://[::zz]/", false),
        ("http://a[b/", false),
        ("http://a.example/%zz", false),
        ("http://a.example/%a", false),
        ("http://a\u{7f}b.example/", false),
        ("http://ü.example/", false),
        ("http://a@b<@c.example/", false),
        ("1http://a.example/", false),
        (":a", false),
    ] {
        table.push((alternative, false, names(&[(URL, url.as_bytes())]), is_good));
    }
    for (kind, base, is_good) in [
        (DNS, &b".a.example"[..], true),
        (DNS, b"a.example", true),
        (DNS, b"", true),
        (DNS, b".", false),
        (DNS, b"a.example.", false),
        (DNS, b"a..example", false),
        (DNS, b"a b", false),
        (DNS, b"\xc3\xbc", false),
        (EMAIL, b"a.b+c@d.example", true),
        (EMAIL, b".a.example", true),
        (EMAIL, b"a..b@c.example", false),
        (EMAIL, b"@c.example", false),
        (EMAIL, b"a@c.", false),
        (URL, b".a.example", true),
        (URL, b"127.0.0.1", false),
        (URL, b"::1", false),
        (URL, b"a.", false),
        (IP, &[10, 0, 0, 0, 255, 128, 0, 0], true),
        (IP, &[10, 0, 0, 0, 0, 0, 0, 0], true),
        (IP, &[10, 0, 0, 0, 255, 255, 255, 255], true),
        (IP, &[0; 32], true),
        (IP, &[10, 0, 0, 0, 255, 0, 255, 0], false),
        (IP, &[10, 0, 0, 0, 255, 129, 0, 0], false),
        (IP, &[10, 0, 0, 0], false),
    ] {
        table.push((constraints, true, constraint(kind, base), is_good));
    }
    table
}

/// CC-9, D8: what may not be evaluated must be well-formed all the same. The table is what Go's parser says of these.
#[test]
fn a_malformed_extension_without_a_meaning_refuses_the_certificate() {
    for (oid, critical, value, is_good) in extensions_without_a_meaning() {
        let parsed = parse(&Template::root().with_extension(extension(oid, critical, &value)));
        match parsed {
            Ok(_) => assert!(is_good, "{oid}: {value:x?}"),
            Err(CertificateError::Extension { extension, .. }) if extension == oid => {
                assert!(!is_good, "{oid}: {value:x?}");
            }
            Err(error) => panic!("{oid}: {value:x?}: {error}"),
        }
    }
}

/// Stricter than Go: nothing follows, no URI is relative, and no mailbox is quoted.
#[test]
fn an_extension_without_a_meaning_has_no_form_of_its_own() {
    let after = |value: Vec<u8>| [value, vec![0x05, 0x00]].concat();
    for (oid, value) in [
        ("2.5.29.14", after(tlv(0x04, &[1]))),
        ("2.5.29.17", after(sequence(&[]))),
        ("2.5.29.32", after(sequence(&[]))),
        ("2.5.29.36", sequence(&[&[0x05, 0x00]])),
        ("2.5.29.54", after(tlv(0x02, &[1]))),
        ("2.5.29.17", names(&[(0x86, b"a/b")])),
        ("2.5.29.30", constraint(0x81, b"\"a b\"@c.example")),
    ] {
        let error = parse(&Template::root().with_extension(extension(oid, false, &value))).expect_err(oid);
        assert!(matches!(error, CertificateError::Extension { extension, .. } if extension == oid));
    }
}

#[test]
fn bytes_before_after_or_missing_are_refused() {
    let der = Template::leaf().issue();
    let longer = [der.as_slice(), &[0]].concat();
    for bytes in [&der[1..], &der[..der.len() - 1], &longer, &[], &[0x30, 0x80, 0, 0], &[0x30, 0x84, 0xff, 0xff, 0xff]]
    {
        assert!(Certificate::from_der(bytes).is_err());
    }
    let large = vec![0; 64 * 1024 + 1];
    assert!(matches!(Certificate::from_der(&large), Err(CertificateError::TooLarge { .. })));
}

/// A serial number of any length occurs in the field (RFC 5280 has at most 20 octets).
#[test]
fn an_unusual_serial_number_is_accepted() {
    for serial in [vec![0x00], vec![0x7f; 51], vec![0x00, 0x80]] {
        assert!(parse(&Template { serial, ..Template::leaf() }).is_ok());
    }
}

/// CC-8: RSA-PSS in certificates, with the parameters that RFC 4055 and RFC 8017 allow for SHA-2.
#[test]
fn the_signature_of_a_certificate_by_an_rsa_key_verifies() {
    let template = Template { key: Kind::Rsa2048, issuer_key: Kind::Rsa2048, ..Template::root() };
    let certificate = parse(&template).expect("a certificate");
    TrustStore::new("tsa:x".parse().expect("a reference"), vec![certificate]).expect("a root");
}

/// TS-4.
#[test]
fn files_of_certificates_are_pem_or_der() {
    let (root, leaf) = (Template::root().issue(), Template::leaf().issue());
    let count = |bytes: &[u8]| parse_certificates(bytes).map(|certificates| certificates.len());
    assert_eq!(count(&root), Ok(1));
    assert_eq!(count(&[root.as_slice(), &leaf].concat()), Ok(2));
    let text = format!(
        "# a comment\r\n{}and more\n{}",
        pem("CERTIFICATE", &root).replace('\n', "\r\n"),
        pem("CERTIFICATE", &leaf)
    );
    assert_eq!(count(text.as_bytes()), Ok(2));
    assert_eq!(count(b""), Err(CertificateError::None));
    assert!(count(b"hello").is_err());
    assert!(count(&[root.as_slice(), b"\n"].concat()).is_err(), "anything after DER");
    let label = "PRIVATE KEY".to_owned();
    assert_eq!(
        count(format!("{}{}", pem("CERTIFICATE", &root), pem("PRIVATE KEY", &root)).as_bytes()),
        Err(CertificateError::NotACertificate { label })
    );
    let good = pem("CERTIFICATE", &root);
    for broken in [
        good.replace("-----END CERTIFICATE-----", ""),
        good.replace("END CERTIFICATE", "END PRIVATE KEY"),
        good.replacen("\nM", "\n*", 1),
        good.replace("-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\n\n"),
    ] {
        assert!(matches!(count(broken.as_bytes()), Err(CertificateError::Pem { number: 1, .. })), "{broken}");
    }
    assert_eq!(count(good.repeat(256).as_bytes()), Ok(256));
    assert_eq!(count(good.repeat(257).as_bytes()), Err(CertificateError::TooMany { max: 256 }));
    assert!(matches!(count(&vec![b' '; 1024 * 1024 + 1]), Err(CertificateError::TooLarge { .. })));
}

/// TP-13 to TP-15, TS-1.
#[test]
fn references_to_trust_stores_have_a_type_and_a_name() {
    for good in ["ca:supplychain", "signingAuthority:a.b_c-1", "tsa:..", "ca:A"] {
        assert_eq!(good.parse::<TrustStoreRef>().map(|reference| reference.to_string()), Ok(good.to_owned()));
    }
    let refused = |text: &str| text.parse::<TrustStoreRef>().expect_err(text);
    assert_eq!(refused("ca"), TrustStoreRefError::Malformed { value: "ca".to_owned() });
    for kind in ["", "CA", "tls", " ca"] {
        let store_type = kind.to_owned();
        assert_eq!(refused(&format!("{kind}:x")), TrustStoreRefError::UnsupportedType { store_type });
    }
    for name in ["", "a b", "a/b", "a:b", "ä"] {
        let error = refused(&format!("ca:{name}"));
        assert_eq!(error, TrustStoreRefError::UnsupportedName { name: name.to_owned() });
    }
    assert!(TrustStoreRef::new(TrustStoreType::Ca, "x").expect("a name") < "tsa:a".parse().expect("a reference"));
}

/// TS-5 to TS-7.
#[test]
fn a_trust_store_holds_only_what_may_be_an_anchor() {
    let store = |reference: &str, templates: &[&Template]| {
        let certificates = templates.iter().map(|template| parse(template).expect("a certificate")).collect();
        TrustStore::new(reference.parse().expect("a reference"), certificates).map(|store| store.certificates().len())
    };
    let (root, middle, leaf, own) =
        (&Template::root(), &Template::intermediate(), &Template::leaf(), &Template::self_signed());
    assert_eq!(store("ca:x", &[]), Err(TrustStoreError::Empty));
    assert_eq!(store("ca:x", &[root, middle, own]), Ok(3));
    assert!(matches!(store("ca:x", &[root, leaf]), Err(TrustStoreError::NotAnAnchor { .. })));
    assert_eq!(store("signingAuthority:x", &[middle]), Ok(1));
    assert_eq!(store("tsa:x", &[root]), Ok(1));
    for other in [middle, own, &root.clone().with_extension(basic_constraints(true, None))] {
        if parse(other).is_ok() {
            assert!(matches!(store("tsa:x", &[root, other]), Err(TrustStoreError::NotRootCa { .. })));
        }
    }
    // A root by name only: signed with another key.
    let fake = &Template { issuer_key: Kind::Other, ..Template::root() };
    assert!(matches!(store("tsa:x", &[fake]), Err(TrustStoreError::NotRootCa { .. })));
    let no_signing =
        &Template { extensions: vec![basic_constraints(true, None), key_usage(DIGITAL_SIGNATURE)], ..Template::root() };
    assert!(matches!(store("tsa:x", &[no_signing]), Err(TrustStoreError::NotRootCa { .. })));
    let many = vec![parse(root).expect("a certificate"); 257];
    let too_many = TrustStore::new("ca:x".parse().expect("a reference"), many);
    assert_eq!(too_many, Err(TrustStoreError::TooMany { count: 257, max: 256 }));
}

#[test]
fn trust_stores_say_why_a_store_is_not_there() {
    let (a, b): (TrustStoreRef, TrustStoreRef) = ("ca:a".parse().expect("a"), "ca:b".parse().expect("b"));
    let mut stores = TrustStores::new();
    assert_eq!(stores.certificates(&a), Err("no such trust store is defined"));
    stores.insert_unavailable(b.clone(), "configmap not found");
    let root = parse(&Template::root()).expect("a certificate");
    stores.insert(TrustStore::new(a.clone(), vec![root]).expect("a store"));
    assert_eq!(stores.certificates(&b), Err("configmap not found"));
    assert_eq!(stores.certificates(&a).map(<[Certificate]>::len), Ok(1));
    let listed: Vec<bool> = stores.iter().map(|(_, store)| store.is_ok()).collect();
    assert_eq!(listed, [true, false]);
}

/// A subject that a message could be forged with.
#[test]
fn errors_quote_a_subject_cut_and_cleaned() {
    let subject = simple_name(&format!("CN=\u{1b}[2J\u{202e}{}", "x".repeat(1000)));
    let leaf = parse(&Template { subject, ..Template::leaf() }).expect("a certificate");
    let error = TrustStore::new("ca:x".parse().expect("a reference"), vec![leaf]).expect_err("a leaf");
    let TrustStoreError::NotAnAnchor { subject } = error else { panic!("{error}") };
    assert_eq!(subject.chars().count(), 256);
    assert!(subject.starts_with("CN=[2Jxxx"), "{subject}");
}

/// An unused bit string is no signature.
#[test]
fn a_signature_with_unused_bits_verifies_nothing() {
    let der = Template::root().issue();
    let root = Certificate::from_der(&der).expect("a certificate");
    // Put a bit string of three unused bits in place of the signature.
    let short = bit_string(3, &[0x00, 0x08]);
    let outer = &der[4..];
    let tbs_length = usize::from(u16::from_be_bytes([outer[2], outer[3]])) + 4;
    let algorithm_length = usize::from(outer[tbs_length + 1]) + 2;
    let with = |signature: &[u8]| sequence(&[&outer[..tbs_length + algorithm_length], signature]);
    // In DER bits that are not used are zero.
    let error = Certificate::from_der(&with(&bit_string(3, &[0x00, 0x0c]))).expect_err("not DER");
    assert!(error.to_string().contains("signatureValue"), "{error}");
    let changed = with(&short);
    let changed = Certificate::from_der(&changed).expect("a certificate");
    assert_eq!(changed.subject(), root.subject());
    let store = TrustStore::new("tsa:x".parse().expect("a reference"), vec![changed]);
    assert!(matches!(store, Err(TrustStoreError::NotRootCa { .. })));
}

/// CC-9 says that they are not evaluated. But a certificate that Go's parser refuses is none to notation-go.
#[test]
fn an_extension_that_go_cannot_read_is_refused_though_nobody_evaluates_it() {
    let name = |tag: u8, value: &[u8]| sequence(&[&tlv(tag, value)]);
    let subtree = |tag: u8, value: &[u8]| sequence(&[&tlv(0xa0, &name(tag, value))]);
    let policy = |value: &[u8]| sequence(&[&tlv(0x06, value)]);
    let relative = sequence(&[&sequence(&[&tlv(0xa0, &tlv(0xa1, &[]))])]);
    for (dotted, value) in [
        ("2.5.29.14", sequence(&[])),
        ("2.5.29.17", vec![]),
        ("2.5.29.17", name(0x82, b"\xc3\xbc.example")),
        ("2.5.29.17", name(0x81, b"\xff")),
        ("2.5.29.17", name(0x86, b"http://a b/")),
        ("2.5.29.17", name(0x86, b"http://a.example/%zz")),
        ("2.5.29.17", name(0x86, b"http://a..example/")),
        ("2.5.29.17", name(0x87, &[127, 0, 0])),
        ("2.5.29.30", sequence(&[])),
        ("2.5.29.30", sequence(&[&tlv(0xa0, &[])])),
        ("2.5.29.30", subtree(0x82, b"a..example")),
        ("2.5.29.30", subtree(0x81, b"@a.example")),
        ("2.5.29.30", subtree(0x86, b"127.0.0.1")),
        ("2.5.29.30", subtree(0x87, &[10, 0, 0, 0])),
        ("2.5.29.30", subtree(0x87, &[10, 0, 0, 0, 0xff, 0x00, 0xff, 0x00])),
        ("2.5.29.31", relative),
        ("2.5.29.32", sequence(&[&policy(&[0x2a, 0x03]), &policy(&[0x2a, 0x03])])),
        ("2.5.29.32", sequence(&[&policy(&[0x2a, 0x80, 0x03])])),
        ("2.5.29.33", sequence(&[&policy(&[0x2a, 0x03])])),
        ("2.5.29.35", tlv(0x04, &[1])),
        ("2.5.29.36", sequence(&[&tlv(0x80, &[0x00, 0x01])])),
        ("2.5.29.54", tlv(0x02, &[])),
    ] {
        let leaf = Template::leaf().with_extension(extension(dotted, false, &value));
        let error = parse(&leaf).expect_err("malformed").to_string();
        assert!(error.contains(&format!("certificate extension {dotted}")), "{value:02x?}: {error}");
    }
    for dotted in ["2.5.29.14", "2.5.29.35", "1.3.6.1.5.5.7.1.1"] {
        let value = if dotted == "2.5.29.14" { tlv(0x04, &[1]) } else { sequence(&[]) };
        assert!(parse(&Template::leaf().with_extension(extension(dotted, false, &value))).is_ok(), "{dotted}");
        assert!(parse(&Template::leaf().with_extension(extension(dotted, true, &value))).is_err(), "{dotted}");
    }
    for (dotted, value) in [
        ("2.5.29.17", name(0x86, b"spiffe://a.example/ns/b%20c")),
        ("2.5.29.17", name(0x86, b"urn:uuid:0")),
        ("2.5.29.17", name(0xa4, &simple_name("CN=x"))),
        ("2.5.29.30", subtree(0x82, b".a.example")),
        ("2.5.29.30", subtree(0x81, b"a@b.example")),
        ("2.5.29.30", subtree(0x87, &[10, 0, 0, 0, 0xff, 0xf0, 0x00, 0x00])),
        ("2.5.29.32", sequence(&[&policy(&[0x69, 0x83, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00])])),
        ("2.5.29.33", sequence(&[&sequence(&[&oid("1.2.3"), &oid("1.2.4")])])),
        ("2.5.29.36", sequence(&[&tlv(0x80, &[0x00]), &tlv(0x81, &[0x01])])),
        ("2.5.29.54", tlv(0x02, &[0x00])),
    ] {
        let leaf = Template::leaf().with_extension(extension(dotted, true, &value));
        assert!(parse(&leaf).is_ok(), "{dotted} {value:02x?}: {:?}", parse(&leaf));
    }
}

/// The same for algorithms, also of signatures that nobody verifies, as those of CAs in trust stores.
#[test]
fn an_algorithm_that_go_cannot_read_is_refused() {
    let signed_by = |algorithm: Vec<u8>| Template {
        inner_algorithm: Some(algorithm.clone()),
        outer_algorithm: Some(algorithm),
        ..Template::root()
    };
    for rest in [tlv(0x06, &[0x2a, 0x80, 0x03]), vec![], [oid("1.2.3"), vec![0x05, 0x01]].concat(), tlv(0x02, &[1])] {
        let error = parse(&signed_by(sequence(&[&rest]))).expect_err("malformed");
        assert!(matches!(error, CertificateError::Malformed { field: "signatureAlgorithm", .. }), "{rest:?}: {error}");
    }
    for rest in [oid("1.2.3"), [oid("1.2.3"), vec![0x05, 0x00]].concat()] {
        assert!(parse(&signed_by(sequence(&[&rest]))).is_ok(), "{rest:?}");
    }
}

/// The same for keys. In a trust store one such certificate spoils all (TS-4).
#[test]
fn a_key_that_go_cannot_read_is_refused() {
    let key = |algorithm: &str, parameters: &[u8], bits: &[u8]| {
        sequence(&[&sequence(&[&oid(algorithm), parameters]), &bit_string(0, bits)])
    };
    let ec = |curve: &str, point: &[u8]| key("1.2.840.10045.2.1", &oid(curve), point);
    let rsa = |parameters: &[u8], modulus: &[u8], exponent: &[u8]| {
        key("1.2.840.113549.1.1.1", parameters, &sequence(&[&tlv(0x02, modulus), &tlv(0x02, exponent)]))
    };
    let dsa = |q: &[u8], y: &[u8]| {
        let parameters = sequence(&[&tlv(0x02, &[7]), &tlv(0x02, q), &tlv(0x02, &[2])]);
        key("1.2.840.10040.4.1", &parameters, &tlv(0x02, y))
    };
    let null = [0x05, 0x00];
    let mut compressed = vec![0x02];
    compressed.extend([0x6b; 32]);
    for (what, spki) in [
        ("a point beside the curve", ec("1.2.840.10045.3.1.7", &[&[0x04][..], &[0x11; 64]].concat())),
        ("a compressed point", ec("1.2.840.10045.3.1.7", &compressed)),
        ("a short point", ec("1.3.132.0.34", &[0x04; 65])),
        ("an arc with zeros in front", sequence(&[&sequence(&[&tlv(0x06, &[0x2a, 0x80, 0x48])]), &bit_string(0, &[])])),
        ("secp256k1", ec("1.3.132.0.10", &[&[0x04][..], &[0x11; 64]].concat())),
        ("no curve", key("1.2.840.10045.2.1", &null, &[0x04; 65])),
        ("RSA without NULL", rsa(&[], &[0x00, 0xc1], &[3])),
        ("a modulus of 0", rsa(&null, &[0x00], &[3])),
        ("an exponent of 0", rsa(&null, &[0x00, 0xc1], &[0])),
        ("an exponent of 64 bits", rsa(&null, &[0x00, 0xc1], &[0x00, 0x80, 0, 0, 0, 0, 0, 0, 1])),
        ("Ed25519 with parameters", key("1.3.101.112", &null, &[0; 32])),
        ("a short Ed25519 key", key("1.3.101.112", &[], &[0; 31])),
        ("a short X25519 key", key("1.3.101.110", &[], &[0; 31])),
        ("DSA with a zero", dsa(&[0], &[4])),
        ("a DSA key of zero", dsa(&[3], &[0])),
    ] {
        let error = parse(&Template { spki: Some(spki), ..Template::leaf() }).expect_err(what);
        assert!(matches!(error, CertificateError::Malformed { field: "subjectPublicKeyInfo", .. }), "{what}: {error}");
    }
    for (what, spki) in [
        ("DSA", dsa(&[3], &[4])),
        ("X25519", key("1.3.101.110", &[], &[9; 32])),
        ("P-224", sealwatch_fixtures::key::p224_spki()),
        ("an exponent of 63 bits", rsa(&null, &[0x00, 0xc1], &[0x7f, 0, 0, 0, 0, 0, 0, 1])),
        ("nobody's", key("1.2.3", &[], &[])),
    ] {
        assert!(parse(&Template { spki: Some(spki), ..Template::leaf() }).is_ok(), "{what}");
    }
}
