// SPDX-License-Identifier: Apache-2.0

use std::fs;

use base64ct::{Base64, Encoding as _};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use super::*;
use crate::policy::configuration::Configuration;

fn root() -> String {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap().pem()
}

fn policy() -> Value {
    json!({"apiVersion": "sealwatch.dev/v1alpha1", "kind": "TrustPolicy", "metadata": {"name": "p"}, "spec": {
        "version": "1.0", "interval": "2h",
        "trustPolicies": [
            {"name": "all", "registryScopes": ["*"], "trustStores": ["ca:roots"], "trustedIdentities": ["*"],
             "signatureVerification": {"level": "strict", "override": {"revocation": "log"}}},
            {"name": "none", "registryScopes": ["r.test/a"], "signatureVerification": {"level": "skip"}},
        ],
        "trustStores": [{"type": "ca", "name": "roots", "certificates": [{"pem": root()}, {"pem": root()}]}],
    }})
}

fn exported(folder: &TempDir, policy: &Value) -> Result<Vec<String>, String> {
    let file = folder.path().join("policy.yaml");
    fs::write(&file, policy.to_string()).unwrap();
    export(&ExportArguments { file, to: folder.path().join("notation") })
}

#[test]
fn notation_finds_the_same_statements_and_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let warnings = exported(&folder, &policy()).unwrap();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].ends_with("spec.interval has no place in Notation and is left out"), "{warnings:?}");
    let to = folder.path().join("notation");
    let configuration = Configuration::read(&to, None).unwrap();
    assert_eq!(configuration.document.statements().len(), 2);
    let written: Value = serde_json::from_slice(&fs::read(to.join("trustpolicy.json")).unwrap()).unwrap();
    assert_eq!(written["trustPolicies"], policy()["spec"]["trustPolicies"]);
    let files =
        crate::verify::trust_store::read_files(&to.join("truststore/x509"), &"ca:roots".parse().unwrap()).unwrap();
    assert_eq!(files.len(), 2);
}

#[test]
fn nothing_is_written_if_a_store_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let mut broken = policy();
    broken["spec"]["trustStores"][0]["certificates"][1] = json!({"configMapKeyRef": {"name": "absent", "key": "a"}});
    assert!(exported(&folder, &broken).unwrap_err().contains("trust store ca:roots: "));
    let mut undefined = policy();
    undefined["spec"]["trustPolicies"][0]["trustStores"] = json!(["ca:other"]);
    assert!(exported(&folder, &undefined).unwrap_err().contains("trust store ca:other: "));
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "the policy alone: {left:?}");
}

/// The same sentence that `import`, `verify` and `lint` have for a file.
#[test]
fn a_private_key_is_named_where_it_is() {
    let (pem, der) = {
        let key = KeyPair::generate().unwrap();
        (key.serialize_pem(), key.serialize_der())
    };
    let object = |kind: &str, data: Value| {
        let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "roots"}});
        object.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
        object
    };
    let beside = format!("{}{pem}", root());
    let named = |field: &str| json!({field: {"name": "roots", "key": "k"}});
    let encoded = Base64::encode_string(&der);
    for (source, object, place) in [
        (json!({"pem": pem}), json!({}), "certificates[1].pem"),
        (
            named("configMapKeyRef"),
            object("ConfigMap", json!({"data": {"k": beside}})),
            "certificates[1].configMapKeyRef: ConfigMap \"roots\", key \"k\"",
        ),
        (
            named("configMapKeyRef"),
            object("ConfigMap", json!({"binaryData": {"k": encoded}})),
            "certificates[1].configMapKeyRef: ConfigMap \"roots\", key \"k\"",
        ),
        (
            named("secretKeyRef"),
            object("Secret", json!({"stringData": {"k": pem}})),
            "certificates[1].secretKeyRef: Secret \"roots\", key \"k\"",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut policy = policy();
        policy["spec"]["trustStores"][0]["certificates"][1] = source;
        let file = folder.path().join("policy.yaml");
        fs::write(&file, format!("{policy}\n---\n{object}\n")).unwrap();
        let error = export(&ExportArguments { file, to: folder.path().join("notation") }).unwrap_err();
        let said = format!(
            "trust store ca:roots: {place}: is a private key; a trust store is for certificates alone, so take the key \
             out of it"
        );
        assert!(error.ends_with(&said), "{error}");
        assert!(!folder.path().join("notation").exists());
    }
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    exported(&folder, &policy()).unwrap();
    let before = fs::read(folder.path().join("notation/trustpolicy.json")).unwrap();
    let error = exported(&folder, &json!({})).unwrap_err();
    assert!(error.contains("trustpolicy.json"), "{error}");
    assert!(exported(&folder, &policy()).unwrap_err().contains("is not empty"));
    assert_eq!(fs::read(folder.path().join("notation/trustpolicy.json")).unwrap(), before);
}
