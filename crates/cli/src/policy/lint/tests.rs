// SPDX-License-Identifier: Apache-2.0

use clap::Parser as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use sealwatch_verifier::notation::{Certificate, TrustStore, parse_certificates};
use serde_json::{Value, json};

use super::*;
use crate::args::{Arguments, Command, PolicyCommand};

const NOW: &str = "2026-01-01T00:00:00Z";

/// A root that ends on the first of a month.
fn root(year: i32, month: u8) -> Certificate {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, "root");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (parameters.not_before, parameters.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(year, month, 1));
    let root = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
    parse_certificates(root.pem().as_bytes()).unwrap().remove(0)
}

fn stores(stores: &[(&str, &[Certificate])]) -> TrustStores {
    let mut all = TrustStores::new();
    for (reference, certificates) in stores {
        all.insert(TrustStore::new(reference.parse().unwrap(), certificates.to_vec()).unwrap());
    }
    all
}

/// A statement in which all is well but for these members.
fn with(members: Value) -> Value {
    let mut statement = json!({
        "name": "s", "registryScopes": ["*"], "signatureVerification": {"level": "strict"},
        "trustStores": ["ca:a", "tsa:t"], "trustedIdentities": ["x509.subject: CN=n,O=o,ST=s,C=US"],
    });
    let Value::Object(members) = members else { panic!("an object") };
    for (name, value) in members {
        if value.is_null() { drop(statement.as_object_mut().unwrap().remove(&name)) } else { statement[name] = value }
    }
    statement
}

fn lint_all(statements: &[Value], stores: &TrustStores, in_use: &[InUse]) -> Vec<Finding> {
    let document = json!({"version": "1.0", "trustPolicies": statements}).to_string();
    let document = TrustPolicyDocument::from_json(document.as_bytes()).unwrap();
    Look { document: &document, stores, in_use, now: NOW.parse().unwrap(), soon: 90 }.findings()
}

fn good() -> TrustStores {
    stores(&[("ca:a", &[root(2030, 1)]), ("tsa:t", &[root(2030, 1)])])
}

/// The codes of what is found in one statement with good stores.
fn codes(members: Value) -> Vec<&'static str> {
    lint_all(&[with(members)], &good(), &[]).iter().map(|finding| finding.code).collect()
}

#[test]
fn of_a_strict_policy_with_all_it_needs_nothing_is_found() {
    assert_eq!(codes(json!({})), [""; 0]);
}

#[test]
fn each_level_below_strict_has_a_code_of_its_own() {
    let skip = |scopes: Value| {
        let skip = json!({"registryScopes": scopes, "signatureVerification": {"level": "skip"},
                          "trustStores": null, "trustedIdentities": null});
        let rest = json!({"name": "rest", "registryScopes": ["r.test/rest"]});
        let found = lint_all(&[with(skip), with(rest)], &good(), &[]);
        found.iter().map(|finding| finding.code).collect::<Vec<_>>()
    };
    assert_eq!((skip(json!(["*"])), skip(json!(["r.test/a"]))), (vec!["L001"], vec!["L002"]));
    assert_eq!(codes(json!({"signatureVerification": {"level": "permissive"}})), ["L003"]);
    assert_eq!(codes(json!({"signatureVerification": {"level": "audit"}})), ["L004"]);
}

#[test]
fn an_override_is_found_where_it_weakens() {
    let level = |level: &str, over: Value| codes(json!({"signatureVerification": {"level": level, "override": over}}));
    assert_eq!(level("strict", json!({"revocation": "skip"})), ["L005"]);
    assert_eq!(level("strict", json!({"expiry": "log"})), ["L005"]);
    assert_eq!(level("strict", json!({"expiry": "enforce"})), [""; 0]);
    assert_eq!(level("permissive", json!({"authenticity": "log"})), ["L003", "L005"]);
    assert_eq!(level("permissive", json!({"expiry": "log"})), ["L003"]);
    assert_eq!(level("audit", json!({"revocation": "skip"})), ["L004", "L005"]);
}

#[test]
fn without_a_timestamp_authority_it_is_said_when_the_first_certificate_ends() {
    let stores = stores(&[("ca:a", &[root(2030, 1), root(2028, 1)])]);
    let statement = with(json!({"trustStores": ["ca:a"]}));
    let found = lint_all(std::slice::from_ref(&statement), &stores, &[]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, "L006");
    assert!(
        found[0].message.ends_with("(of its anchors, the first to end is \"CN=root\": in 730 days, on 2028-01-01)")
    );
    // What is in use counts before what might be.
    let used = |repository: &str| InUse {
        repository: repository.to_owned(),
        image: format!("{repository}:1"),
        chain: vec![root(2026, 3), root(2029, 1)],
    };
    let found = lint_all(std::slice::from_ref(&statement), &stores, &[used("r.test/a")]);
    assert!(found[0].message.contains("behind r.test/a:1, ") && found[0].message.contains("in 59 days"), "{found:?}");
    // An image of another statement says nothing of this one.
    let other = with(json!({"name": "other", "registryScopes": ["r.test/b"]}));
    let found = lint_all(&[statement, other], &good(), &[used("r.test/b")]);
    assert!(found[0].message.contains("of its anchors"), "{found:?}");
    assert_eq!(
        codes(json!({"trustStores": ["signingAuthority:s"]}))[..1],
        ["L009"],
        "whose scheme vouches for the time"
    );
}

#[test]
fn an_identity_that_cannot_match_is_found() {
    let identity = |text: &str| codes(json!({"trustedIdentities": [text]}));
    assert_eq!(identity("x509.subject: cn=n,O=o,ST=s,C=US"), ["L007"]);
    assert_eq!(identity("x509.subject: CN=n,DC=test,O=o,ST=s,C=US"), ["L007"]);
    assert_eq!(identity("x509.subject: CN=n,O=o,S=s,C=US"), [""; 0], "S is an alias of ST");
    assert_eq!(identity("did:example"), ["L007"]);
    assert_eq!(identity("*"), ["L011"]);
}

#[test]
fn stores_that_nobody_names_or_that_are_no_use_are_found() {
    let mut stores = stores(&[("ca:a", &[root(2030, 1)]), ("ca:b", &[root(2030, 1)])]);
    stores.insert_unavailable("tsa:t".parse().unwrap(), "the trust store has no certificate");
    let found = lint_all(&[with(json!({"trustStores": ["ca:a", "tsa:t", "ca:c"]}))], &stores, &[]);
    let facts: Vec<_> = found.iter().map(|f| (f.code, f.trust_store.as_deref().unwrap_or_default())).collect();
    assert_eq!(facts, [("L009", "ca:c"), ("L008", "ca:b"), ("L009", "tsa:t")]);
    assert!(found[2].message.contains("has no certificate"));
}

#[test]
fn an_anchor_that_ends_is_found_in_time() {
    let ends = |year, month| {
        let stores = stores(&[("ca:a", &[root(year, month)]), ("tsa:t", &[root(2030, 1)])]);
        let found = lint_all(&[with(json!({}))], &stores, &[]);
        found.first().map(|finding| (finding.code, finding.message.clone()))
    };
    assert_eq!(ends(2026, 5), None);
    let message = |text: &str| Some(("L010", format!("the certificate \"CN=root\" {text}")));
    assert_eq!(ends(2026, 3), message("ends in 59 days, on 2026-03-01"));
    assert_eq!(ends(2025, 12), message("has ended on 2025-12-01, 31 days ago"));
}

#[test]
fn one_certificate_for_times_and_for_signers_is_found() {
    let shared = root(2030, 1);
    let stores = stores(&[("ca:a", std::slice::from_ref(&shared)), ("tsa:t", std::slice::from_ref(&shared))]);
    let found = lint_all(&[with(json!({}))], &stores, &[]);
    assert_eq!((found[0].code, found[0].trust_store.as_deref()), ("L012", Some("tsa:t")));
}

#[test]
fn a_time_to_verify_timestamps_without_an_authority_is_found() {
    let level = json!({"level": "strict", "verifyTimestamp": "afterCertExpiry"});
    let found = codes(json!({"trustStores": ["ca:a"], "signatureVerification": level}));
    assert_eq!(found, ["L013", "L008"]);
    assert_eq!(codes(json!({"signatureVerification": level})), [""; 0]);
}

#[test]
fn a_finding_is_drawn_with_its_place_and_its_remedy_and_cannot_steer_a_terminal() {
    let found = lint_all(&[with(json!({"name": "a\u{1b}[2J", "trustedIdentities": ["*"]}))], &good(), &[]);
    let text = found[0].draw();
    assert!(text.starts_with("L011 statement \"a[2J\": trusts every signer"), "{text}");
    assert_eq!(text.lines().count(), 2);
}

fn linted(text: &str) -> Result<(TrustPolicyDocument, TrustStores), String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let command = Arguments::try_parse_from(["sealwatch", "policy", "lint", &file.path().display().to_string()]);
    let Command::Policy(PolicyCommand::Lint(arguments)) = command.unwrap().command else { panic!("lint") };
    read(&arguments).map_err(|why| why.replace(&file.path().display().to_string(), "FILE"))
}

fn in_the_cluster(certificate: &Value) -> Value {
    json!({"apiVersion": "sealwatch.dev/v1alpha1", "kind": "TrustPolicy", "metadata": {"name": "p"}, "spec": {
        "version": "1.0",
        "trustPolicies": [{"name": "all", "registryScopes": ["*"], "trustStores": ["ca:roots"],
                           "trustedIdentities": ["*"], "signatureVerification": {"level": "strict"}}],
        "trustStores": [{"type": "ca", "name": "roots", "certificates": [certificate]}],
    }})
}

#[test]
fn a_private_key_in_a_source_is_an_error_and_no_finding() {
    let key = KeyPair::generate().unwrap().serialize_pem();
    let error = linted(&in_the_cluster(&json!({"pem": key})).to_string()).unwrap_err();
    assert!(error.starts_with("FILE: trust store ca:roots: certificates[0].pem: is a private key; "), "{error}");
}

#[test]
fn a_policy_with_much_in_its_config_maps_is_read_and_errors_name_the_file_alone() {
    let policy = in_the_cluster(&json!({"configMapKeyRef": {"name": "roots", "key": "k"}}));
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "roots"},
                     "data": {"k": "no certificate", "much": "x".repeat(2 * 1024 * 1024)}});
    assert!(linted(&format!("{policy}\n---\n{map}\n")).is_ok());
    for text in [format!("{policy}\n---\n{policy}\n"), "{\"version\": 1}".to_owned(), "a: [".to_owned()] {
        let error = linted(&text).unwrap_err();
        assert!(error.starts_with("FILE: "), "{error}");
    }
}
