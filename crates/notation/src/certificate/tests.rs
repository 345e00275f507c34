// SPDX-License-Identifier: Apache-2.0
//! What is remembered about a certificate, and what must not follow from it.

use sealwatch_fixtures::key::Kind;
use sealwatch_fixtures::pki::Template;

use super::{Certificate, text};

fn certificate(template: &Template) -> Certificate {
    Certificate::from_der(&template.issue()).expect("a certificate of the test")
}

/// CC-3: which key made a signature is remembered, and says nothing about another issuer of the same name.
#[test]
fn a_certificate_of_one_issuer_is_not_of_another_of_its_name() {
    let root = certificate(&Template::root());
    let other = certificate(&Template { key: Kind::Other, issuer_key: Kind::Other, ..Template::root() });
    let leaf = certificate(&Template::leaf());
    for _ in 0..2 {
        assert!(!leaf.is_issued_by(&other));
        assert!(leaf.is_issued_by(&root));
        assert!(leaf.clone().is_issued_by(&root));
    }
}

/// CC-3: the key is not enough either.
#[test]
fn a_certificate_is_not_of_an_issuer_of_another_name_with_the_same_key() {
    let root = certificate(&Template::root());
    let renamed = certificate(&Template { subject: Template::intermediate().subject, ..Template::root() });
    let leaf = certificate(&Template::leaf());
    assert!(leaf.is_issued_by(&root));
    assert!(!leaf.is_issued_by(&renamed));
}

#[test]
fn the_fingerprint_is_sha_256_in_lower_case_hexadecimal() {
    let leaf = certificate(&Template::leaf());
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, leaf.der());
    let expected = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    assert_eq!(leaf.sha256(), expected);
    assert_eq!(leaf.sha256(), expected, "the second time too");
}

#[test]
fn text_from_outside_is_cut_and_cleaned_whatever_its_letters() {
    assert_eq!(text("CN=plain, O=text"), "CN=plain, O=text");
    assert_eq!(text(&"x".repeat(256)), "x".repeat(256));
    assert_eq!(text(&"x".repeat(257)), "x".repeat(256));
    assert_eq!(text(&"ä".repeat(300)), "ä".repeat(256));
    assert_eq!(text("a\u{202e}b\u{7f}c\nd\u{feff}"), "abcd");
}
