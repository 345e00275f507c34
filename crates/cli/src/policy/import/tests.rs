// SPDX-License-Identifier: Apache-2.0

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use super::*;
use crate::verify::policy_file::{Policy, manifest::Manifest};

fn root(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

fn document() -> Value {
    json!({"version": "1.0", "trustPolicies": [
        {"name": "all", "registryScopes": ["*"], "signatureVerification": {"level": "strict"},
         "trustStores": ["ca:Roots_1", "ca:roots-1", "signingAuthority:sa"], "trustedIdentities": ["*"]},
        {"name": "none", "registryScopes": ["r.test/skipped"], "signatureVerification": {"level": "skip"},
         "trustStores": [], "trustedIdentities": []},
    ]})
}

/// A configuration folder of Notation with the stores that [`document`] names.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    put(&folder, "trustpolicy.json", document().to_string().as_bytes());
    put(&folder, "truststore/x509/ca/Roots_1/a root.crt", root("a").pem().as_bytes());
    put(&folder, "truststore/x509/ca/Roots_1/a_root.crt", root("b").der());
    put(&folder, "truststore/x509/ca/roots-1/root.crt", format!("a note: hunter2\n{}", root("c").pem()).as_bytes());
    put(&folder, "truststore/x509/signingAuthority/sa/...", root("d").pem().as_bytes());
    folder
}

fn put(folder: &TempDir, path: &str, bytes: &[u8]) {
    let path = folder.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn arguments(folder: &TempDir) -> ImportArguments {
    ImportArguments { path: folder.path().to_owned(), trust_store: None, name: "p".to_owned(), namespace: None }
}

fn imported(folder: &TempDir) -> Result<Vec<Value>, String> {
    objects(&arguments(folder)).map(|(objects, _)| objects)
}

#[test]
fn what_is_printed_is_read_back_with_the_same_statements_and_certificates() {
    let folder = folder();
    let objects = imported(&folder).unwrap();
    let text: Vec<String> = objects.iter().map(|object| output::yaml(object).unwrap()).collect();
    let manifest = Manifest::parse(&text.join("---\n")).unwrap();
    let back = Policy::from_manifest(&manifest, String::new()).unwrap();
    let configuration = Configuration::read(folder.path(), None).unwrap();
    assert_eq!(*back.document, configuration.document);
    for reference in named_stores(&configuration) {
        let (_, files) = store(configuration.stores.as_deref().unwrap(), &reference).unwrap();
        let expected: Vec<_> = files.into_iter().flat_map(|(_, read)| read).collect();
        assert_eq!(back.stores.certificates(&reference).unwrap(), expected, "{reference}");
    }
    assert!(!text.concat().contains("hunter2"), "certificates alone are taken along");
}

#[test]
fn names_of_objects_and_keys_are_legal_and_distinct() {
    let objects = imported(&folder()).unwrap();
    let names: Vec<&str> = objects.iter().map(|object| object["metadata"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["p-ca-roots-1", "p-ca-roots-1-2", "p-signingauthority-sa", "p"]);
    let keys = |place: usize| objects[place]["data"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        (keys(0), keys(2)),
        (vec!["a_root.crt".into(), "a_root.crt_2".into()], vec!["certificate...".to_owned()])
    );
    let policy = &objects[3];
    assert_eq!(policy["spec"]["trustPolicies"][1].get("trustStores"), None, "what is empty is not written");
    assert_eq!(policy["metadata"].get("namespace"), None);
}

#[test]
fn a_namespace_stands_on_every_object() {
    let folder = folder();
    let arguments = ImportArguments { namespace: Some("aio".to_owned()), ..arguments(&folder) };
    let (objects, _) = super::objects(&arguments).unwrap();
    assert!(objects.iter().all(|object| object["metadata"]["namespace"] == "aio"));
}

#[test]
fn the_newer_file_comes_before_the_older_one() {
    let folder = folder();
    put(
        &folder,
        "trustpolicy.oci.json",
        json!({"version": "1.0", "trustPolicies": [
            {"name": "oci", "registryScopes": ["*"], "signatureVerification": {"level": "skip"}},
        ]})
        .to_string()
        .as_bytes(),
    );
    let (objects, warnings) = objects(&arguments(&folder)).unwrap();
    assert_eq!(objects[0]["spec"]["trustPolicies"][0]["name"], "oci");
    assert_eq!(objects.len(), 1);
    assert_eq!(warnings[0], "trust store ca:Roots_1 is left out: no statement names it");
}

#[test]
fn a_private_key_in_a_store_is_refused_in_one_sentence() {
    let folder = folder();
    put(&folder, "truststore/x509/ca/roots-1/signing.key", KeyPair::generate().unwrap().serialize_pem().as_bytes());
    let error = imported(&folder).unwrap_err();
    assert!(
        error.starts_with("trust store ca:roots-1: ") && error.contains("signing.key: is a private key"),
        "{error}"
    );
}

#[test]
fn what_cannot_be_used_is_named() {
    let folder = folder();
    fs::remove_dir_all(folder.path().join("truststore/x509/signingAuthority")).unwrap();
    assert!(imported(&folder).unwrap_err().starts_with("trust store signingAuthority:sa: "));
    let file = ImportArguments { path: folder.path().join("trustpolicy.json"), ..arguments(&folder) };
    assert!(objects(&file).unwrap_err().contains("needs --trust-store DIR"));
    let empty = tempfile::tempdir().unwrap();
    assert!(imported(&empty).unwrap_err().contains("has neither trustpolicy.oci.json nor trustpolicy.json"));
    put(&folder, "trustpolicy.json", b"kind: TrustPolicy");
    assert!(imported(&folder).unwrap_err().contains("is no trustpolicy.json"));
    for name in ["", "Big", "-a", "a-", "a_b", &"x".repeat(64)] {
        let named = ImportArguments { name: name.to_owned(), ..arguments(&folder) };
        assert!(objects(&named).unwrap_err().starts_with("--name "), "{name}");
    }
}

#[test]
fn what_a_trust_policy_cannot_hold_is_said_with_its_bound() {
    let folder = folder();
    let root = root("x").pem();
    (0..17).for_each(|number| put(&folder, &format!("truststore/x509/ca/roots-1/{number}.crt"), root.as_bytes()));
    let error = imported(&folder).unwrap_err();
    assert_eq!(error, "there are 18 files in trust store ca:roots-1, and a TrustPolicy takes at most 16");
}
