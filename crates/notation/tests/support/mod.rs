// SPDX-License-Identifier: Apache-2.0
//! From the bytes of the fixtures to the types of the crate under test.
#![allow(dead_code, unused_imports)] // not every test binary needs everything

pub(crate) use sealwatch_fixtures::{CONTENT_TYPE, NOW, SIGNER, cose, der, jws, key, payload, pki};

pub(crate) mod revocation;
pub(crate) mod tsa;

use sealwatch_notation::{
    Envelope, Outcome, RevocationAnswers, TargetArtifact, Timestamp, TrustPolicyDocument, TrustStore, TrustStores,
    judge, parse_certificates,
};

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().expect("a time of the test")
}

/// The artifact that the tests sign.
pub(crate) fn target() -> TargetArtifact {
    TargetArtifact {
        media_type: sealwatch_fixtures::TARGET_MEDIA_TYPE.to_owned(),
        digest: sealwatch_fixtures::target_digest(),
        size: sealwatch_fixtures::TARGET_SIZE,
    }
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
