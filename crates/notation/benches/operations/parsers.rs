// SPDX-License-Identifier: Apache-2.0
//! What is read once: policies, names, trust stores, certificates, revocation lists.

use base64ct::{Base64, Encoding};
use sealwatch_notation::{
    Certificate, DistinguishedName, RevocationList, TrustPolicyDocument, TrustStore, parse_certificates,
};

use super::Operation;
use super::chains::{serial, signer};
use super::judgements::list;
use crate::support::SIGNER;
use crate::support::key::Kind;
use crate::support::pki::Template;

pub(super) fn all() -> Vec<Operation> {
    let mut all = vec![
        Operation::new("read/distinguished-name", || DistinguishedName::parse(SIGNER).expect("a name")),
        policy(1),
        policy(100),
        store(1),
        store(150),
    ];
    for (word, kind) in [("rsa3072", Kind::Rsa3072), ("p256", Kind::P256)] {
        let der = signer(kind, &[]).chain[0].clone();
        let parse = move || Certificate::from_der(&der).expect("a certificate");
        all.push(Operation::new(format!("read/certificate-{word}"), parse));
    }
    for entries in [100, 10_000, 100_000] {
        let der = list(Kind::Rsa3072, entries);
        let parse = move || RevocationList::from_der(der.as_slice()).expect("a list");
        all.push(Operation::new(format!("read/crl-{entries}"), parse));
    }
    all
}

/// A policy of so many statements, each with two stores and two identities.
fn policy(statements: u32) -> Operation {
    let statement = |number: u32| {
        serde_json::json!({
            "name": format!("statement-{number}"),
            "registryScopes": [format!("registry.example/app-{number}"), format!("registry.example/tool-{number}")],
            "signatureVerification": {"level": "strict", "override": {"revocation": "log"}},
            "trustStores": ["ca:supplychain", "tsa:timestamps"],
            "trustedIdentities": [format!("x509.subject: {SIGNER}"), "x509.subject: C=US, ST=WA, O=Other, CN=other"],
        })
    };
    let statements_json: Vec<_> = (0..statements).map(statement).collect();
    let json = serde_json::json!({"version": "1.0", "trustPolicies": statements_json}).to_string();
    let parse = move || TrustPolicyDocument::from_json(json.as_bytes()).expect("a policy");
    Operation::new(format!("read/policy-{statements}"), parse)
}

/// A trust store of so many roots, from PEM.
fn store(roots: u32) -> Operation {
    let pem = |number: u32| {
        let root =
            Template { serial: serial(number), key: Kind::Rsa3072, issuer_key: Kind::Rsa3072, ..Template::root() };
        let base64 = Base64::encode_string(&root.issue());
        let lines: Vec<&str> =
            base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    };
    let file: String = (0..roots).map(pem).collect();
    Operation::new(format!("read/trust-store-{roots}"), move || {
        let certificates = parse_certificates(file.as_bytes()).expect("certificates");
        TrustStore::new("ca:test".parse().expect("a reference"), certificates).expect("a store")
    })
}
