// SPDX-License-Identifier: Apache-2.0

//! The rules, evaluated without an API server, for a first answer in a second. What counts is the table of documents
//! that e2e applies to a real one.

use kube::core::cel::{validate_cel, validate_cel_update};
use sealwatch_api::{ImageVerification, TrustPolicy};
use serde_json::{Value, json};

fn policy(change: impl FnOnce(&mut Value)) -> TrustPolicy {
    let mut policy = json!({
        "apiVersion": "sealwatch.dev/v1alpha1", "kind": "TrustPolicy", "metadata": { "name": "team" },
        "spec": {
            "version": "1.0",
            "trustPolicies": [{
                "name": "team", "registryScopes": ["registry.example.com/team/app"],
                "signatureVerification": { "level": "strict" },
                "trustStores": ["ca:team"], "trustedIdentities": ["x509.subject: CN=build,O=Example,ST=WA,C=US"],
            }],
            "trustStores": [
                { "type": "ca", "name": "team", "certificates": [{ "configMapKeyRef": { "name": "roots", "key": "root.crt" } }] },
            ],
            "interval": "1h", "staleAfter": "168h",
        },
    });
    change(&mut policy);
    serde_json::from_value(policy).unwrap()
}

fn image(image: &str, digest: Option<&str>) -> ImageVerification {
    let mut object = json!({
        "apiVersion": "sealwatch.dev/v1alpha1", "kind": "ImageVerification", "metadata": { "name": "app" },
        "spec": { "image": image, "trustPolicyRef": { "name": "team" } },
    });
    if let Some(digest) = digest {
        object["spec"]["digest"] = json!(digest);
    }
    serde_json::from_value(object).unwrap()
}

/// The messages of the rules that a policy breaks.
fn complaints(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let Err(errors) = validate_cel(&policy(change)) else { return Vec::new() };
    errors.iter().map(|error| error.message.clone()).collect()
}

#[track_caller]
fn assert_complains(message: &str, change: impl FnOnce(&mut Value)) {
    let complaints = complaints(change);
    assert!(complaints.iter().any(|complaint| complaint.contains(message)), "{message:?} is not in {complaints:#?}");
}

#[test]
fn a_good_policy_breaks_no_rule() {
    assert_eq!(complaints(|_| ()), [""; 0]);
}

#[test]
fn a_name_that_is_no_label_value_is_refused() {
    assert_complains("at most 63 characters", |policy| policy["metadata"]["name"] = json!("n".repeat(64)));
}

#[test]
fn an_unknown_level_is_refused_with_the_name_of_the_statement() {
    assert_complains("trust policy statement 'team': invalid signature verification level", |policy| {
        policy["spec"]["trustPolicies"][0]["signatureVerification"]["level"] = json!("lenient");
    });
}

#[test]
fn a_scope_that_two_statements_have_is_refused_by_its_name() {
    assert_complains("registry scope 'registry.example.com/team/app' is present in multiple", |policy| {
        let mut second = policy["spec"]["trustPolicies"][0].clone();
        second["name"] = json!("other");
        policy["spec"]["trustPolicies"].as_array_mut().unwrap().push(second);
    });
}

#[test]
fn a_trust_store_that_is_not_defined_is_refused_by_its_name() {
    assert_complains("is not defined in spec.trustStores: tsa:clock", |policy| {
        policy["spec"]["trustPolicies"][0]["trustStores"] = json!(["ca:team", "tsa:clock"]);
    });
}

#[test]
fn a_verdict_cannot_go_stale_between_two_looks() {
    assert_complains("119m is shorter than 2h", |policy| {
        policy["spec"]["interval"] = json!("2h");
        policy["spec"]["staleAfter"] = json!("119m");
    });
}

#[test]
fn the_image_of_an_image_verification_stays() {
    let before = image("registry.example.com/app:1", None);
    assert!(validate_cel_update(&before, &before).is_ok());
    let errors = validate_cel_update(&image("registry.example.com/app:2", None), &before).unwrap_err();
    assert!(errors.iter().any(|error| error.message.contains("spec is immutable")), "{errors:?}");
}

#[test]
fn a_digest_of_another_form_is_refused() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    assert!(validate_cel(&image("app", Some(&digest))).is_ok());
    for wrong in [digest.to_uppercase(), format!("{digest}0"), digest.replace("sha256", "md5"), format!("{digest}\n")] {
        assert!(validate_cel(&image("app", Some(&wrong))).is_err(), "{wrong:?}");
    }
}
