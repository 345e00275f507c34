// SPDX-License-Identifier: Apache-2.0
//! A generator of certificates and signature envelopes in which any field can be made wrong. It shares no code with
//! what it tests: DER is written by hand here, JSON and CBOR by their libraries.
#![allow(dead_code)] // not every test binary breaks everything

pub(crate) mod cose;
pub(crate) mod der;
pub(crate) mod jws;
pub(crate) mod key;
pub(crate) mod pki;
pub(crate) mod revocation;
pub(crate) mod tsa;

use sealwatch_notation::{
    Envelope, Outcome, RevocationAnswers, TargetArtifact, Timestamp, TrustPolicyDocument, TrustStore, TrustStores,
    judge, parse_certificates,
};

/// The time of most judgements.
pub(crate) const NOW: &str = "2026-11-22T12:00:00Z";
/// The subject of the leaf that most tests sign with.
pub(crate) const SIGNER: &str = "CN=Azure IoT Operations,O=Microsoft Corporation,L=Redmond,ST=Washington,C=US";

pub(crate) const CONTENT_TYPE: &str = "application/vnd.cncf.notary.payload.v1+json";

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().expect("a time of the test")
}

/// The artifact that the tests sign.
pub(crate) fn target() -> TargetArtifact {
    TargetArtifact {
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        digest: format!("sha256:{}", "5a".repeat(32)),
        size: 1024,
    }
}

/// The payload that says so.
pub(crate) fn payload() -> Vec<u8> {
    let TargetArtifact { media_type, digest, size } = target();
    serde_json::json!({"targetArtifact": {"mediaType": media_type, "digest": digest, "size": size}})
        .to_string()
        .into_bytes()
}

/// A policy with one statement, from the inside of its JSON object.
pub(crate) fn policy(level: &str, over: &str, stores: &[&str], identities: &[&str]) -> TrustPolicyDocument {
    let json = format!(
        r#"{{"version":"1.0","trustPolicies":[{{"name":"test","registryScopes":["*"],
            "signatureVerification":{{"level":"{level}"{over}}},
            "trustStores":{stores},"trustedIdentities":{identities}}}]}}"#,
        stores = serde_json::to_string(stores).expect("strings"),
        identities = serde_json::to_string(identities).expect("strings"),
    );
    TrustPolicyDocument::from_json(json.as_bytes()).expect("the test's policy is valid")
}

/// A policy that trusts `ca:test` and everybody in it.
pub(crate) fn trusting(level: &str) -> TrustPolicyDocument {
    policy(level, "", &["ca:test"], &["*"])
}

/// Trust stores by name, each with one certificate.
pub(crate) fn stores(stores: &[(&str, &[u8])]) -> TrustStores {
    let mut all = TrustStores::new();
    for (reference, der) in stores {
        let certificates = parse_certificates(der).expect("a certificate of the test");
        let reference = reference.parse().expect("a reference of the test");
        all.insert(TrustStore::new(reference, certificates).expect("a trust store of the test"));
    }
    all
}

/// Judges by the first statement of a policy, about the artifact of the tests.
pub(crate) fn judged(envelope: &Envelope, policy: &TrustPolicyDocument, stores: &TrustStores, now: &str) -> Outcome {
    judged_with(envelope, policy, stores, &RevocationAnswers::default(), now)
}

/// The same with what was heard about revocation.
pub(crate) fn judged_with(
    envelope: &Envelope,
    policy: &TrustPolicyDocument,
    stores: &TrustStores,
    answers: &RevocationAnswers,
    now: &str,
) -> Outcome {
    judge(envelope, &target(), &policy.statements()[0], stores, answers, time(now))
}
