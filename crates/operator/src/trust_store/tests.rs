// SPDX-License-Identifier: Apache-2.0

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use serde_json::{Value, json};

use super::*;

fn root(name: &str) -> rcgen::Certificate {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate")
}

fn spec(certificates: &Value) -> TrustPolicySpec {
    serde_json::from_value(json!({
        "version": "1.0", "trustPolicies": [],
        "trustStores": [{"type": "ca", "name": "roots", "certificates": certificates}],
    }))
    .expect("a spec")
}

fn map(values: &[(&str, Vec<u8>)]) -> Found {
    let values: Values = values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    [("roots".to_owned(), Some(Arc::new(values)))].into()
}

/// The message of the only store, which must be unavailable.
fn why(spec: &TrustPolicySpec, found: &Found) -> String {
    let loaded = load(spec, found);
    assert_eq!(loaded.problems.len(), 1, "{loaded:?}");
    let listed = loaded.listed.first().and_then(|store| store.message.clone()).expect("a message");
    let reference: TrustStoreRef = "ca:roots".parse().expect("a name");
    assert_eq!(loaded.stores.certificates(&reference), Err(listed.as_str()));
    listed
}

#[test]
fn a_store_that_cannot_be_loaded_says_which_source_and_why() {
    let pem = root("a").pem();
    let twice = format!("{pem}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    for (certificates, found, expected) in [
        (json!([]), Found::new(), "no certificate"),
        (json!([{"pem": "nonsense"}]), Found::new(), "certificates[0]"),
        (json!([{"pem": pem}, {"pem": twice}]), Found::new(), "certificates[1]"),
        (
            json!([{"configMapKeyRef": {"name": "roots", "key": "a.crt"}}]),
            Found::new(),
            "ConfigMap \"roots\" does not exist",
        ),
        (
            json!([{"configMapKeyRef": {"name": "roots", "key": "a.crt"}}]),
            [("roots".into(), None)].into(),
            "does not exist",
        ),
        (json!([{"configMapKeyRef": {"name": "roots", "key": "a.crt"}}]), map(&[]), "has no key \"a.crt\""),
        (json!([{"configMapKeyRef": {"name": "roots", "key": "a.crt"}}]), map(&[("a.crt", vec![])]), "certificates[0]"),
        (json!([{"secretKeyRef": {"name": "roots", "key": "a.crt"}}]), Found::new(), "secretKeyRef"),
        (json!([{"clusterTrustBundle": {"name": "roots"}}]), Found::new(), "clusterTrustBundle"),
        (json!([{"pem": root("b").pem(), "sha256": ["00"]}]), Found::new(), "sha256"),
        (json!([{}]), Found::new(), "no source"),
    ] {
        let why = why(&spec(&certificates), &found);
        assert!(why.contains(expected), "{certificates}: {why}");
    }
}

#[test]
fn one_bad_source_spoils_the_store_whatever_the_others_hold() {
    let good = root("good").pem();
    let certificates = json!([{"pem": good}, {"configMapKeyRef": {"name": "roots", "key": "a.crt"}}]);
    assert!(why(&spec(&certificates), &Found::new()).contains("certificates[1]"));
}

#[test]
fn pem_and_der_from_any_source_are_joined_and_listed_once() {
    let (first, second) = (root("first"), root("second"));
    let bundle = format!("{}{}", first.pem(), second.pem()).into_bytes();
    let found = map(&[("bundle.pem", bundle), ("second.der", second.der().to_vec())]);
    let spec = spec(&json!([
        {"pem": first.pem()},
        {"configMapKeyRef": {"name": "roots", "key": "bundle.pem"}},
        {"configMapKeyRef": {"name": "roots", "key": "second.der"}},
    ]));
    let loaded = load(&spec, &found);
    assert!(loaded.problems.is_empty(), "{loaded:?}");
    let subjects: Vec<&str> =
        loaded.listed.iter().flat_map(|store| &store.certificates).map(|listed| listed.subject.as_str()).collect();
    assert_eq!(subjects, ["CN=first", "CN=second"]);
    let certificate = &loaded.listed[0].certificates[0];
    assert_eq!(certificate.sha256.len(), 64);
    assert!(certificate.not_before < certificate.not_after);
}

#[test]
fn equal_stores_are_equal_and_another_certificate_makes_them_differ() {
    let (first, second) = (root("first").pem(), root("second").pem());
    let loaded = |pem: &str| load(&spec(&json!([{"pem": pem}])), &Found::new());
    assert_eq!(loaded(&first), loaded(&first));
    assert_ne!(loaded(&first), loaded(&second));
}

#[test]
fn a_config_map_that_may_not_be_read_is_told_apart_from_one_that_does_not_exist() {
    let spec = spec(&json!([{"configMapKeyRef": {"name": "roots", "key": "a.crt"}}]));
    let unread = [("roots".to_owned(), "forbidden".to_owned())].into();
    let loaded = load_but(&spec, &Found::new(), &unread);
    let why = loaded.problems.first().expect("a problem");
    assert!(why.contains("could not be read: forbidden") && !why.contains("does not exist"), "{why}");
}
