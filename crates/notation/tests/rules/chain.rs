// SPDX-License-Identifier: Apache-2.0
//! CC: certificate chains. Every chain here belongs to an envelope whose signature is good.

use sealwatch_notation::{ChainProblem, Envelope, EnvelopeError, MEDIA_TYPE_JWS};

use crate::support::der::{bit_string, oid, sequence, simple_name, tlv};
use crate::support::jws::Jws;
use crate::support::key::{Kind, key};
use crate::support::pki::{
    CRL_SIGN, DATA_ENCIPHERMENT, DECIPHER_ONLY, DIGITAL_SIGNATURE, ENCIPHER_ONLY, KEY_AGREEMENT, KEY_CERT_SIGN,
    KEY_ENCIPHERMENT, NON_REPUDIATION, Signer, Template, basic_constraints, basic_constraints_value, eku, extension,
    key_usage, key_usage_value,
};

fn parse(signer: &Signer) -> Result<Envelope, EnvelopeError> {
    Envelope::parse(MEDIA_TYPE_JWS, &Jws::new(signer).sign())
}

/// The certificate of the chain that breaks a rule, and the rule.
fn problem(signer: &Signer) -> (usize, ChainProblem) {
    match parse(signer) {
        Err(EnvelopeError::Chain(error)) => (error.index, error.problem),
        other => panic!("expected a broken chain, got {other:?}"),
    }
}

fn leaf_problem(leaf: &Template) -> ChainProblem {
    let (index, problem) = problem(&Signer::with_leaf(leaf));
    assert_eq!(index, 0);
    problem
}

fn with_extensions(template: Template, extensions: Vec<Vec<u8>>) -> Template {
    Template { extensions, ..template }
}

fn long_chain(leaf: &Template, intermediate: &Template, root: &Template) -> Signer {
    Signer::with_chain(&[leaf, intermediate, root])
}

/// CC-3.
#[test]
fn a_chain_with_an_intermediate_is_good() {
    let signer = long_chain(&Template::leaf().below_intermediate(), &Template::intermediate(), &Template::root());
    assert_eq!(parse(&signer).expect("a good chain").certificate_chain().len(), 3);
}

/// CC-2.
#[test]
fn a_single_certificate_must_have_signed_itself_with_its_own_name() {
    let alone = |template: &Template| Signer { chain: vec![template.issue()], key: template.key };
    assert!(parse(&alone(&Template::self_signed())).is_ok());
    assert_eq!(problem(&alone(&Template::leaf())), (0, ChainProblem::SingleNotSelfSigned));
    let other_key = Template { issuer_key: Kind::Other, ..Template::self_signed() };
    assert_eq!(problem(&alone(&other_key)), (0, ChainProblem::SingleNotSelfSigned));
    let other_name = Template { issuer: simple_name("CN=x"), ..Template::self_signed() };
    assert_eq!(problem(&alone(&other_name)), (0, ChainProblem::SingleNotSelfSigned));
    let ca = Template::self_signed().with_extension(basic_constraints(true, None));
    assert_eq!(problem(&alone(&ca)), (0, ChainProblem::LeafIsCa));
}

/// CC-3.
#[test]
fn a_chain_out_of_order_with_gaps_or_extras_is_refused() {
    let (leaf, middle, root) = (Template::leaf().below_intermediate(), Template::intermediate(), Template::root());
    let chain = |templates: &[&Template]| problem(&Signer::with_chain(templates));
    assert_eq!(chain(&[&leaf, &root]), (0, ChainProblem::NotIssuedByNext), "a gap");
    assert_eq!(chain(&[&leaf, &middle]), (1, ChainProblem::RootNotSelfSigned), "no root");
    assert_eq!(chain(&[&leaf, &root, &middle]), (0, ChainProblem::NotIssuedByNext), "another order");
    assert_eq!(chain(&[&leaf, &middle, &root, &root]), (2, ChainProblem::SelfSignedBeforeRoot), "the root twice");
    assert_eq!(chain(&[&leaf, &middle, &middle, &root]), (1, ChainProblem::NotIssuedByNext), "an extra");
    let self_signed = Template::self_signed();
    assert_eq!(chain(&[&self_signed, &root]), (0, ChainProblem::SelfSignedBeforeRoot), "a self-signed leaf");
}

/// CC-3.
#[test]
fn an_issuer_must_have_both_the_name_and_the_key() {
    let other_key = Template { issuer_key: Kind::Other, ..Template::leaf() };
    assert_eq!(leaf_problem(&other_key), ChainProblem::NotIssuedByNext);
    // The same text in another string type is another name: names are compared byte by byte.
    let printable = Template {
        issuer: crate::support::der::name(&[
            ("2.5.4.6", 0x13, b"US"),
            ("2.5.4.10", 0x13, b"Microsoft Corporation"),
            ("2.5.4.3", 0x13, b"Sealwatch Test Root"),
        ]),
        ..Template::leaf()
    };
    assert_eq!(leaf_problem(&printable), ChainProblem::NotIssuedByNext);
}

/// CC-3: names alone do not make a certificate self-signed.
#[test]
fn a_leaf_with_its_roots_name_is_good() {
    let leaf = Template { subject: Template::root().subject, ..Template::leaf() };
    assert!(parse(&Signer::with_leaf(&leaf)).is_ok());
}

/// CC-3: what notation accepts although it looks odd.
#[test]
fn a_cross_signed_root_in_the_middle_is_good() {
    let old_root = Template {
        subject: simple_name("CN=Old Root,O=Microsoft Corporation,C=US"),
        issuer: simple_name("CN=Old Root,O=Microsoft Corporation,C=US"),
        key: Kind::Other,
        issuer_key: Kind::Other,
        ..Template::root()
    };
    let crossed = Template { issuer: old_root.subject.clone(), issuer_key: Kind::Other, ..Template::root() };
    assert!(parse(&long_chain(&Template::leaf(), &crossed, &old_root)).is_ok());
}

/// CC-4, D6.
#[test]
fn every_issuer_must_be_a_ca_that_says_so_critically() {
    let usage = || key_usage(KEY_CERT_SIGN);
    for (extensions, expected) in [
        (vec![usage()], ChainProblem::BasicConstraintsMissing),
        (
            vec![extension("2.5.29.19", false, &basic_constraints_value(true, None)), usage()],
            ChainProblem::BasicConstraintsNotCritical,
        ),
        (vec![basic_constraints(false, None), usage()], ChainProblem::NotACa),
        (vec![basic_constraints(true, None)], ChainProblem::KeyUsageMissing),
        (
            vec![basic_constraints(true, None), extension("2.5.29.15", false, &key_usage_value(KEY_CERT_SIGN))],
            ChainProblem::KeyUsageNotCritical,
        ),
        (
            vec![basic_constraints(true, None), key_usage(DIGITAL_SIGNATURE | CRL_SIGN)],
            ChainProblem::KeyUsageLacks { usage: "keyCertSign" },
        ),
    ] {
        let root = with_extensions(Template::root(), extensions.clone());
        assert_eq!(problem(&Signer::with_chain(&[&Template::leaf(), &root])), (1, expected));
        let middle = with_extensions(Template::intermediate(), extensions);
        let signer = long_chain(&Template::leaf().below_intermediate(), &middle, &Template::root());
        assert_eq!(problem(&signer), (1, expected));
    }
}

/// CC-4.
#[test]
fn a_path_length_counts_the_intermediates_below() {
    let constrained = |template: Template, length| {
        with_extensions(template, vec![basic_constraints(true, Some(length)), key_usage(KEY_CERT_SIGN)])
    };
    let chain = |root: Template, middle: Template| long_chain(&Template::leaf().below_intermediate(), &middle, &root);
    assert!(parse(&chain(constrained(Template::root(), 1), constrained(Template::intermediate(), 0))).is_ok());
    let short = chain(constrained(Template::root(), 0), Template::intermediate());
    assert_eq!(problem(&short), (2, ChainProblem::PathTooLong { allowed: 0, actual: 1 }));
}

/// CC-5.
#[test]
fn a_leaf_must_be_for_digital_signatures_and_nothing_that_excludes_them() {
    let usage = |bits| leaf_problem(&with_extensions(Template::leaf(), vec![key_usage(bits)]));
    assert_eq!(usage(NON_REPUDIATION), ChainProblem::KeyUsageLacks { usage: "digitalSignature" });
    for (bit, name) in [
        (KEY_ENCIPHERMENT, "keyEncipherment"),
        (DATA_ENCIPHERMENT, "dataEncipherment"),
        (KEY_AGREEMENT, "keyAgreement"),
        (KEY_CERT_SIGN, "keyCertSign"),
        (CRL_SIGN, "cRLSign"),
        (ENCIPHER_ONLY, "encipherOnly"),
        (DECIPHER_ONLY, "decipherOnly"),
    ] {
        assert_eq!(usage(DIGITAL_SIGNATURE | bit), ChainProblem::KeyUsageForbidden { usage: name });
    }
    let good = with_extensions(Template::leaf(), vec![key_usage(DIGITAL_SIGNATURE | NON_REPUDIATION)]);
    assert!(parse(&Signer::with_leaf(&good)).is_ok());
    assert_eq!(leaf_problem(&with_extensions(Template::leaf(), vec![])), ChainProblem::KeyUsageMissing);
    let lax = vec![extension("2.5.29.15", false, &key_usage_value(DIGITAL_SIGNATURE))];
    assert_eq!(leaf_problem(&with_extensions(Template::leaf(), lax)), ChainProblem::KeyUsageNotCritical);
    let ca = Template::leaf().with_extension(basic_constraints(true, None));
    assert_eq!(leaf_problem(&ca), ChainProblem::LeafIsCa);
    let not_ca = Template::leaf().with_extension(basic_constraints(false, None));
    assert!(parse(&Signer::with_leaf(&not_ca)).is_ok());
}

/// CC-6, D4, D5.
#[test]
fn a_leaf_must_not_be_for_anything_else_by_extended_key_usage() {
    let usages = |usages: &[&str]| {
        Signer::with_leaf(&with_extensions(Template::leaf(), vec![key_usage(DIGITAL_SIGNATURE), eku(usages)]))
    };
    for (usage, name) in [
        ("2.5.29.37.0", "anyExtendedKeyUsage"),
        ("1.3.6.1.5.5.7.3.1", "serverAuth"),
        ("1.3.6.1.5.5.7.3.2", "clientAuth"),
        ("1.3.6.1.5.5.7.3.4", "emailProtection"),
        ("1.3.6.1.5.5.7.3.8", "timeStamping"),
        ("1.3.6.1.5.5.7.3.9", "OCSPSigning"),
    ] {
        let signer = usages(&["1.3.6.1.5.5.7.3.3", usage]);
        assert_eq!(problem(&signer), (0, ChainProblem::ExtendedKeyUsageForbidden { usage: name }));
    }
    // Microsoft's signing leaves have private usages only.
    assert!(parse(&usages(&["1.3.6.1.4.1.311.76.59.1.2"])).is_ok());
    assert!(parse(&usages(&[])).is_ok());
}

/// CC-7.
#[test]
fn a_leaf_key_outside_of_the_table_is_refused() {
    let rsa = |bits: usize, exponent: &[u8]| {
        let modulus = [&[0x00, 0xc1][..], &vec![0x5b; bits / 8 - 1]].concat();
        let key = sequence(&[&tlv(0x02, &modulus), &tlv(0x02, exponent)]);
        sequence(&[&sequence(&[&oid("1.2.840.113549.1.1.1"), &[0x05, 0x00]]), &bit_string(0, &key)])
    };
    let ec = |curve: &str, point: &[u8]| {
        sequence(&[&sequence(&[&oid("1.2.840.10045.2.1"), &oid(curve)]), &bit_string(0, point)])
    };
    let ed25519 = key(Kind::Ed25519).spki();
    for (what, spki) in [
        ("RSA 1024", rsa(1024, &[1, 0, 1])),
        ("RSA 2056", rsa(2056, &[1, 0, 1])),
        ("RSA 8192", rsa(8192, &[1, 0, 1])),
        ("RSA with exponent 1", rsa(2048, &[1])),
        ("RSA with an even exponent", rsa(2048, &[1, 0, 0])),
        ("RSA with a long exponent", rsa(2048, &[1, 0, 0, 0, 1])),
        ("P-224", ec("1.3.132.0.33", &[&[0x04][..], &[0x11; 56]].concat())),
        ("Ed25519", ed25519),
    ] {
        let leaf = Template { spki: Some(spki), ..Template::leaf() };
        assert_eq!(leaf_problem(&leaf), ChainProblem::KeyUnsupported, "{what}");
    }
}

/// CC-7: the table is for the leaf.
#[test]
fn a_ca_may_have_a_key_that_a_leaf_may_not() {
    for kind in [Kind::Ed25519, Kind::Rsa2048, Kind::P384, Kind::P521] {
        let root = Template { key: kind, issuer_key: kind, ..Template::root() };
        let leaf = Template { issuer_key: kind, ..Template::leaf() };
        assert!(parse(&Signer::with_chain(&[&leaf, &root])).is_ok(), "{kind:?}");
    }
}

/// CC-8, D7.
#[test]
fn sha_1_and_unknown_signatures_are_refused_also_on_a_single_certificate() {
    // ecdsa-with-SHA1, ecdsa-with-SHA224, sha1WithRSA, md5WithRSA, sha256WithRSA (of an EC key), nonsense.
    for algorithm in [
        "1.2.840.10045.4.1",
        "1.2.840.10045.4.3.1",
        "1.2.840.113549.1.1.5",
        "1.2.840.113549.1.1.4",
        "1.2.840.113549.1.1.11",
        "1.2.3",
    ] {
        let algorithm = Some(sequence(&[&oid(algorithm)]));
        let change =
            |template| Template { inner_algorithm: algorithm.clone(), outer_algorithm: algorithm.clone(), ..template };
        assert_eq!(leaf_problem(&change(Template::leaf())), ChainProblem::NotIssuedByNext);
        let root = change(Template::root());
        let signer = Signer::with_chain(&[&Template::leaf(), &root]);
        assert_eq!(problem(&signer), (1, ChainProblem::RootNotSelfSigned));
        let alone = change(Template::self_signed());
        let signer = Signer { chain: vec![alone.issue()], key: alone.key };
        assert_eq!(problem(&signer), (0, ChainProblem::SingleNotSelfSigned));
    }
}

/// CC-9, D8.
#[test]
fn unknown_critical_extensions_and_constraints_are_not_evaluated() {
    let critical = extension("1.2.3.4.5", true, b"whatever");
    // A name constraint that permits only example.com.
    let constraint = tlv(0xa0, &sequence(&[&tlv(0x82, b"example.com")]));
    let names = extension("2.5.29.30", true, &sequence(&[&constraint]));
    let leaf = Template::leaf().below_intermediate().with_extension(critical.clone());
    let middle = Template::intermediate().with_extension(names).with_extension(critical);
    assert!(parse(&long_chain(&leaf, &middle, &Template::root())).is_ok());
}

/// CC-10, CC-11.
#[test]
fn validity_need_not_nest_and_no_time_is_looked_at() {
    let expired = Template { not_before: "19990101000000Z", not_after: "20000101000000Z", ..Template::leaf() };
    let future = Template { not_before: "21000101000000Z", not_after: "99991231235959Z", ..Template::root() };
    assert!(parse(&Signer::with_chain(&[&expired, &future])).is_ok());
}

/// A limit of ours.
#[test]
fn ten_certificates_are_a_chain_and_eleven_are_too_many() {
    let name = |level: usize| simple_name(&format!("CN=CA {level},O=Microsoft Corporation,C=US"));
    let chain = |length: usize| {
        let mut chain = vec![Template { issuer: name(1), issuer_key: Kind::Next, ..Template::leaf() }];
        for level in 1..length - 1 {
            let middle = Template::intermediate();
            chain.push(Template { subject: name(level), issuer: name(level + 1), issuer_key: Kind::Next, ..middle });
        }
        let root = Template::root();
        let (subject, issuer) = (name(length - 1), name(length - 1));
        chain.push(Template { subject, issuer, key: Kind::Next, issuer_key: Kind::Next, ..root });
        Signer::with_chain(&chain.iter().collect::<Vec<_>>())
    };
    assert!(parse(&chain(10)).is_ok());
    assert!(parse(&chain(11)).expect_err("too long").to_string().contains("more than 10 certificates"));
}
