// SPDX-License-Identifier: Apache-2.0

//! Odd objects are decoded and not lost: a watch that meets one undecodable object delivers none.

use sealwatch_api::{
    DigestMatching, ImageVerification, ImageVerificationStatus, Reason, Statement, TrustPolicy, TrustPolicySpec,
    TrustStoreType, Verdict,
};
use serde_json::{Value, json};

fn policy(spec: &Value) -> TrustPolicy {
    serde_json::from_value(json!({
        "apiVersion": "sealwatch.dev/v1alpha1", "kind": "TrustPolicy",
        "metadata": { "name": "p", "namespace": "n" }, "spec": spec,
    }))
    .unwrap()
}

fn image(status: &Value) -> ImageVerification {
    serde_json::from_value(json!({
        "apiVersion": "sealwatch.dev/v1alpha1", "kind": "ImageVerification",
        "metadata": { "name": "i", "namespace": "n" },
        "spec": { "image": "registry.example.com/app:1", "trustPolicyRef": { "name": "p" } },
        "status": status,
    }))
    .unwrap()
}

#[test]
fn words_of_a_newer_definition_are_decoded_and_not_taken_for_known_ones() {
    let policy = policy(&json!({
        "version": "2.0",
        "trustPolicies": [{ "name": "a", "signatureVerification": { "level": "stricter", "override": { "sbom": "warn" } } }],
        "trustStores": [{ "type": "sigstore", "name": "s" }, { "type": "ca", "name": "c" }],
        "digestMatching": "Nearest",
        "interval": "1 fortnight",
        "quorum": 3,
    }));
    assert_eq!(policy.spec.digest_matching.as_ref().unwrap().known(), None::<DigestMatching>);
    let types: Vec<_> = policy.spec.trust_stores.iter().map(|store| store.type_.known()).collect();
    assert_eq!(types, [None, Some(TrustStoreType::Ca)]);
    assert_eq!(policy.spec.trust_policies[0].signature_verification.level, "stricter");
    assert!(policy.spec.interval().is_err());
}

#[test]
fn a_status_of_another_shape_is_decoded_as_far_as_it_goes() {
    let status = image(&json!({
        "verdict": "Doubtful",
        "reason": "SignatureValid",
        "message": ["not", "a", "text"],
        "verdictSince": "2026-02-30T99:99:99X",
        "checks": { "integrity": "Passed" },
        "signature": "yes",
        "running": { "pods": -1 },
        "transitions": [{ "verdict": "Verified" }],
        "conditions": [{ "type": "Ready" }, 7],
        "lastHandledRequestedAt": null,
        "mood": "hopeful",
    }))
    .status
    .unwrap();
    assert_eq!(status.verdict.as_ref().unwrap().known(), None::<Verdict>);
    assert_eq!(status.reason.as_ref().unwrap().known(), Some(Reason::SignatureValid));
    assert_eq!((status.message, status.verdict_since, status.signature, status.running), (None, None, None, None));
    assert_eq!((status.checks, status.transitions.len()), (vec![], 1));
}

#[test]
fn an_object_without_status_or_with_an_empty_one_is_decoded() {
    assert_eq!(image(&Value::Null).status, None);
    assert_eq!(image(&json!({})).status, Some(ImageVerificationStatus::default()));
}

#[test]
fn null_in_a_document_is_the_empty_value() {
    let with_nulls = policy(&json!({
        "version": "1.0",
        "trustPolicies": [{
            "name": "a", "registryScopes": null, "trustStores": null, "trustedIdentities": null,
            "signatureVerification": { "level": "skip", "override": null, "verifyTimestamp": null },
        }],
        "trustStores": null, "interval": null, "suspend": null,
    }));
    let without = policy(&json!({
        "version": "1.0",
        "trustPolicies": [{ "name": "a", "signatureVerification": { "level": "skip", "override": {}, "verifyTimestamp": "" } }],
    }));
    assert_eq!(with_nulls, without);
    assert_eq!(
        policy(&json!({ "trustPolicies": [{ "signatureVerification": null }] })).spec.trust_policies,
        [Statement::default()]
    );
}

#[test]
fn absent_durations_have_the_documented_defaults() {
    let spec = TrustPolicySpec::default();
    assert_eq!(spec.interval().unwrap().as_secs(), 3600);
    assert_eq!(spec.stale_after().unwrap().as_secs(), 168 * 3600);
}

#[test]
fn the_documented_policy_survives_a_round_trip() {
    let document = json!({
        "version": "1.0",
        "trustPolicies": [{
            "name": "supplychain",
            "registryScopes": ["*"],
            "signatureVerification": {
                "level": "strict", "override": { "revocation": "skip" }, "verifyTimestamp": "afterCertExpiry",
            },
            "trustStores": ["ca:supplychain", "tsa:microsoft"],
            "trustedIdentities": ["x509.subject: CN=Azure IoT Operations,O=Microsoft Corporation,L=Redmond,ST=Washington,C=US"],
        }],
        "trustStores": [
            { "type": "ca", "name": "supplychain", "certificates": [
                { "configMapKeyRef": { "name": "roots", "key": "a.crt" }, "sha256": ["ab"] },
                { "pem": "-----BEGIN CERTIFICATE-----" },
                { "secretKeyRef": { "name": "s", "key": "k" } },
                { "clusterTrustBundle": { "signerName": "example.com/signer", "labelSelector": {} } },
            ] },
        ],
        "interval": "1h", "staleAfter": "168h",
        "podSelector": { "matchLabels": { "app": "a" } },
        "digestMatching": "FollowIndex",
        "imagePullSecrets": [{ "name": "acr" }],
        "revocation": { "crls": [{ "configMapKeyRef": { "name": "crls", "key": "root.crl" } }] },
        "suspend": true,
    });
    assert_eq!(serde_json::to_value(policy(&document).spec).unwrap(), document);
}
