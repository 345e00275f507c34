// SPDX-License-Identifier: Apache-2.0

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use sealwatch_api::text::MESSAGE_MAX_BYTES;
use serde_json::{Value, json};

use super::{
    bundles::{Bundle, Bundles, ByName},
    *,
};
use crate::config_maps::Values;

fn root(name: &str) -> rcgen::Certificate {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate")
}

fn sha256(certificate: &rcgen::Certificate) -> String {
    Certificate::from_der(certificate.der()).expect("a certificate").sha256().to_owned()
}

fn spec(certificates: &Value) -> TrustPolicySpec {
    serde_json::from_value(json!({
        "version": "1.0", "trustPolicies": [],
        "trustStores": [{"type": "ca", "name": "roots", "certificates": certificates}],
    }))
    .expect("a spec")
}

#[allow(clippy::unnecessary_wraps, reason = "what an object may hold is a result")]
fn held(values: &[(&str, Vec<u8>)]) -> Held {
    Ok(Some(Arc::new(values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect::<Values>())))
}

/// A ConfigMap of that name.
fn map(values: &[(&str, Vec<u8>)]) -> Found {
    Found { config_maps: [("roots".to_owned(), held(values))].into(), ..Found::default() }
}

/// A Secret of that name.
fn secret(held: Held) -> Found {
    Found { secrets: [("roots".to_owned(), held)].into(), ..Found::default() }
}

/// Bundles of one signer, by name, each with a label that is its name.
fn bundles(of: &[(&str, String)]) -> Found {
    let bundle = |(name, pem): &(&str, String)| {
        let labels = BTreeMap::from([("which".to_owned(), (*name).to_owned())]);
        let signer = Some("example.com/roots".to_owned());
        ((*name).to_owned(), Bundle { labels, signer, pem: pem.as_str().into() })
    };
    let bundles = Bundles::Listed(Arc::new(of.iter().map(bundle).collect::<ByName>()));
    Found { bundles, ..Found::default() }
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

/// The subjects of the only store, which must be available.
fn subjects(spec: &TrustPolicySpec, found: &Found) -> Vec<String> {
    let loaded = load(spec, found);
    assert!(loaded.problems.is_empty(), "{loaded:?}");
    loaded.listed.iter().flat_map(|store| &store.certificates).map(|listed| listed.subject.clone()).collect()
}

#[test]
fn a_store_that_cannot_be_loaded_says_which_source_and_why() {
    let pem = root("a").pem();
    let twice = format!("{pem}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let none = Found::default();
    let in_map = json!([{"configMapKeyRef": {"name": "roots", "key": "a.crt"}}]);
    let in_secret = json!([{"secretKeyRef": {"name": "roots", "key": "a.crt"}}]);
    let key = b"-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0\n-----END EC PRIVATE KEY-----\n".to_vec();
    let forbidden = || Err("it may not be read (secrets \"roots\" is forbidden)".to_owned());
    for (certificates, found, expected) in [
        (json!([]), none.clone(), "no certificate"),
        (json!([{"pem": "nonsense"}]), none.clone(), "certificates[0].pem: "),
        (json!([{"pem": pem}, {"pem": twice}]), none.clone(), "certificates[1].pem: "),
        (json!([{}]), none.clone(), "certificates[0]: names no source"),
        (in_map.clone(), none.clone(), "certificates[0].configMapKeyRef: ConfigMap \"roots\" does not exist"),
        (in_map.clone(), map(&[]), "certificates[0].configMapKeyRef: ConfigMap \"roots\" has no key \"a.crt\""),
        (
            in_map.clone(),
            map(&[("a.crt", vec![])]),
            "certificates[0].configMapKeyRef: ConfigMap \"roots\", key \"a.crt\"",
        ),
        (in_secret.clone(), none.clone(), "certificates[0].secretKeyRef: Secret \"roots\" does not exist"),
        (in_secret.clone(), secret(Ok(None)), "certificates[0].secretKeyRef: Secret \"roots\" does not exist"),
        (in_secret.clone(), secret(held(&[])), "certificates[0].secretKeyRef: Secret \"roots\" has no key \"a.crt\""),
        (
            in_secret.clone(),
            secret(forbidden()),
            "certificates[0].secretKeyRef: Secret \"roots\" could not be read: it may not be read",
        ),
        (
            in_secret.clone(),
            secret(held(&[("a.crt", b"garbage".to_vec())])),
            "certificates[0].secretKeyRef: Secret \"roots\", key \"a.crt\": ",
        ),
        (
            in_secret,
            secret(held(&[("a.crt", key)])),
            "certificates[0].secretKeyRef: Secret \"roots\", key \"a.crt\": PEM block \"EC PRIVATE KEY\" is not a CERTIFICATE",
        ),
        (json!([{"clusterTrustBundle": {"name": "a"}}]), none, "certificates[0].clusterTrustBundle: "),
        (
            json!([{"clusterTrustBundle": {"name": "a"}}]),
            bundles(&[("b", pem.clone())]),
            "certificates[0].clusterTrustBundle: ClusterTrustBundle \"a\" does not exist",
        ),
        (
            json!([{"clusterTrustBundle": {"name": "a"}}]),
            bundles(&[("a", "garbage".into())]),
            "certificates[0].clusterTrustBundle: ClusterTrustBundle \"a\": ",
        ),
        (
            json!([{"clusterTrustBundle": {"signerName": "example.com/other", "labelSelector": {}}}]),
            bundles(&[("a", pem.clone())]),
            "certificates[0].clusterTrustBundle: there is no ClusterTrustBundle of signer \"example.com/other\"",
        ),
        (
            json!([{"clusterTrustBundle": {
                "signerName": "example.com/roots", "labelSelector": {"matchLabels": {"which": "b"}},
            }}]),
            bundles(&[("a", pem)]),
            "labelSelector matches none of 1 ClusterTrustBundles of signer \"example.com/roots\"",
        ),
    ] {
        let why = why(&spec(&certificates), &found);
        assert!(why.contains(expected), "{certificates}: {why}");
        assert!(!why.contains("c2VjcmV0"), "a secret is shown: {why}");
    }
}

#[test]
fn one_bad_source_spoils_the_store_whatever_the_others_hold() {
    let good = root("good").pem();
    let certificates = json!([{"pem": good}, {"configMapKeyRef": {"name": "roots", "key": "a.crt"}}]);
    assert!(why(&spec(&certificates), &Found::default()).contains("certificates[1]"));
}

#[test]
fn pem_and_der_from_sources_of_every_kind_are_joined_and_listed_once() {
    let [first, second, third, fourth] = ["first", "second", "third", "fourth"].map(root);
    let bundle = format!("{}{}", first.pem(), second.pem()).into_bytes();
    let der = [second.der().as_ref(), third.der().as_ref()].concat();
    let found = Found {
        config_maps: map(&[("bundle.pem", bundle)]).config_maps,
        secrets: secret(held(&[("two.der", der)])).secrets,
        bundles: bundles(&[("a", fourth.pem()), ("b", third.pem())]).bundles,
    };
    let sources = spec(&json!([
        {"pem": first.pem()},
        {"configMapKeyRef": {"name": "roots", "key": "bundle.pem"}},
        {"secretKeyRef": {"name": "roots", "key": "two.der"}},
        {"clusterTrustBundle": {"signerName": "example.com/roots", "labelSelector": {}}},
    ]));
    assert_eq!(subjects(&sources, &found), ["CN=first", "CN=second", "CN=third", "CN=fourth"]);
    let listed = load(&sources, &found).listed;
    let [store] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!((store.certificates[0].sha256.len(), &store.message), (64, &None));
    assert!(store.certificates[0].not_before < store.certificates[0].not_after);
}

#[test]
fn bundles_of_a_signer_are_chosen_by_their_labels_and_others_never() {
    let (first, second) = (root("first"), root("second"));
    let mut found = bundles(&[("a", first.pem()), ("b", second.pem())]);
    let chosen = |selector: Value, found: &Found| {
        let source = json!({"signerName": "example.com/roots", "labelSelector": selector});
        subjects(&spec(&json!([{"clusterTrustBundle": source}])), found)
    };
    assert_eq!(chosen(json!({}), &found), ["CN=first", "CN=second"]);
    assert_eq!(chosen(json!({"matchLabels": {"which": "b"}}), &found), ["CN=second"]);
    let not_a = json!({"matchExpressions": [{"key": "which", "operator": "NotIn", "values": ["a"]}]});
    assert_eq!(chosen(not_a, &found), ["CN=second"]);
    // One without a signer, and one of another, are not of this signer whatever their labels are.
    let Bundles::Listed(all) = &mut found.bundles else { panic!("they are listed") };
    let of = |signer: Option<&str>| Bundle { signer: signer.map(str::to_owned), ..all["a"].clone() };
    let others = [("c", of(None)), ("d", of(Some("example.com/roots2")))];
    let others = others.map(|(name, bundle)| (name.to_owned(), Bundle { pem: root(name).pem().into(), ..bundle }));
    Arc::make_mut(all).extend(others);
    assert_eq!(chosen(json!({}), &found), ["CN=first", "CN=second"]);
}

#[tokio::test]
async fn a_namespaced_installation_has_no_bundles_and_says_why() {
    let bundles = bundles::ClusterTrustBundles::for_namespace("aio");
    let found = Found { bundles: bundles.read().await, ..Found::default() };
    // Kubernetes may show them to every service account; that is no reason to ask.
    let asked = tokio::time::timeout(std::time::Duration::from_millis(5), bundles.wanted()).await;
    assert!(asked.is_err(), "nobody is sent to ask for them");
    let why = why(&spec(&json!([{"clusterTrustBundle": {"name": "a"}}])), &found);
    assert!(why.contains("clusterTrustBundle: needs an operator that is installed cluster-wide"), "{why}");
}

#[test]
fn a_certificate_that_no_pin_lists_is_not_trusted_and_that_is_said() {
    let (pinned, other) = (root("pinned"), root("other"));
    let both = format!("{}{}", pinned.pem(), other.pem());
    let wanted = spec(&json!([{"pem": both, "sha256": [sha256(&pinned).to_uppercase()]}]));
    assert_eq!(subjects(&wanted, &Found::default()), ["CN=pinned"]);
    let loaded = load(&wanted, &Found::default());
    let message = loaded.listed[0].message.clone().expect("a message");
    let expected = format!(
        "certificates[0].sha256: 1 of 2 certificates are not trusted, no pin lists CN=other (sha256 {})",
        sha256(&other)
    );
    assert_eq!(message, expected);
    assert_eq!(loaded.notes, [format!("trust store ca:roots: {expected}")]);
}

#[test]
fn a_pin_that_matches_nothing_is_said_and_takes_nothing_away() {
    let pinned = root("pinned");
    let wanted = spec(&json!([{"pem": pinned.pem(), "sha256": ["ab".repeat(32), sha256(&pinned)]}]));
    assert_eq!(subjects(&wanted, &Found::default()), ["CN=pinned"]);
    let message = load(&wanted, &Found::default()).listed[0].message.clone().expect("a message");
    assert_eq!(message, "certificates[0].sha256: no certificate has 1 of 2 pins, the first is abababababababab…");
}

#[test]
fn a_source_of_which_no_certificate_is_pinned_makes_its_store_unavailable() {
    let (good, swapped) = (root("good"), root("swapped"));
    let wanted = json!([{"pem": good.pem()}, {"pem": swapped.pem(), "sha256": [sha256(&good)]}]);
    let why = why(&spec(&wanted), &Found::default());
    assert!(why.starts_with("certificates[1].sha256: 1 of 1 certificates are not trusted"), "{why}");
    assert!(why.contains(&sha256(&swapped)), "what the pin would have to be: {why}");
}

#[test]
fn pins_of_one_source_do_not_bind_another() {
    let (first, second) = (root("first"), root("second"));
    let wanted = json!([{"pem": first.pem(), "sha256": [sha256(&first)]}, {"pem": second.pem()}]);
    assert_eq!(subjects(&spec(&wanted), &Found::default()), ["CN=first", "CN=second"]);
}

#[test]
fn equal_stores_are_equal_and_another_certificate_makes_them_differ() {
    let (first, second) = (root("first").pem(), root("second").pem());
    let loaded = |pem: &str| load(&spec(&json!([{"pem": pem}])), &Found::default());
    assert_eq!(loaded(&first), loaded(&first));
    assert_ne!(loaded(&first), loaded(&second));
}

#[test]
fn more_certificates_than_a_store_may_have_are_refused_and_of_many_some_are_listed() {
    let roots: Vec<_> = (0..=256).map(|number| root(&format!("root {number}"))).collect();
    let bundle = |roots: &[rcgen::Certificate]| roots.iter().map(rcgen::Certificate::pem).collect::<String>();
    let (half, rest) = roots.split_at(128);
    let wanted = |sources: &[&[rcgen::Certificate]]| {
        spec(&json!(sources.iter().map(|roots| json!({"pem": bundle(roots)})).collect::<Vec<_>>()))
    };
    let message = why(&wanted(&[half, rest]), &Found::default());
    assert!(message.contains("certificates[1]: more than 256 certificates"), "{message}");
    let signer = json!([{"clusterTrustBundle": {"signerName": "example.com/roots", "labelSelector": {}}}]);
    let found = bundles(&[("a", bundle(half)), ("b", bundle(rest))]);
    let message = why(&spec(&signer), &found);
    assert!(message.contains("clusterTrustBundle: more than 256 certificates"), "{message}");

    let loaded = load(&wanted(&[half]), &Found::default());
    let [store] = loaded.listed.as_slice() else { panic!("{loaded:?}") };
    assert_eq!(store.certificates.len(), CERTIFICATES_MAX);
    assert_eq!(store.message.as_deref(), Some("64 more certificates are trusted and not listed here"));
    let reference: TrustStoreRef = "ca:roots".parse().expect("a name");
    assert_eq!(loaded.stores.certificates(&reference).map(<[_]>::len), Ok(128));
}

#[test]
fn what_all_stores_list_together_is_bounded_and_unlisted_certificates_still_tell_stores_apart() {
    let roots: Vec<_> = (0..60).map(|number| root(&format!("root {number}"))).collect();
    let bundle = |roots: &[rcgen::Certificate]| roots.iter().map(rcgen::Certificate::pem).collect::<String>();
    let stores = |last: &[rcgen::Certificate]| -> TrustPolicySpec {
        let store = |name: String, pem: String| json!({"type": "ca", "name": name, "certificates": [{"pem": pem}]});
        let mut all: Vec<_> = (0..5).map(|number| store(format!("s{number}"), bundle(&roots))).collect();
        all.push(store("last".into(), bundle(last)));
        serde_json::from_value(json!({"version": "1.0", "trustPolicies": [], "trustStores": all})).expect("a spec")
    };
    let (one, other) = (load(&stores(&roots[..1]), &Found::default()), load(&stores(&roots[1..2]), &Found::default()));
    let listed = |stores: &Stores| stores.listed.iter().map(|store| store.certificates.len()).sum::<usize>();
    assert_eq!((listed(&one), listed(&other)), (CERTIFICATES_LISTED_MAX, CERTIFICATES_LISTED_MAX));
    assert_eq!(one.listed, other.listed);
    assert_ne!(one, other);
}

proptest! {
    /// Whatever is in a source: a store is loaded or says why, in bounds, and nothing panics.
    #[test]
    fn no_bytes_of_a_source_do_any_harm(bytes in prop::collection::vec(any::<u8>(), 0..200), pin in ".{0,70}") {
        let sources = json!([
            {"secretKeyRef": {"name": "roots", "key": "a"}, "sha256": [pin]},
        ]);
        let loaded = load(&spec(&sources), &secret(held(&[("a", bytes)])));
        prop_assert_eq!(loaded.listed.len(), 1);
        prop_assert!(loaded.listed[0].message.as_ref().is_some_and(|message| message.len() <= MESSAGE_MAX_BYTES));
    }
}
