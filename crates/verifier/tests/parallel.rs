// SPDX-License-Identifier: Apache-2.0
//! Verifications side by side: what one is told does not reach another (ADA-NOT-23, a global that was overwritten).

use std::collections::BTreeMap;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use sealwatch_fixtures::jws::Jws;
use sealwatch_fixtures::pki::Signer;
use sealwatch_fixtures::{NOW, TARGET_MEDIA_TYPE, TARGET_SIZE, target_digest};
use sealwatch_registry::{Descriptor, Repository};
use sealwatch_verifier::notation::{
    Envelope, MEDIA_TYPE_JWS, TrustPolicyDocument, TrustStore, TrustStores, parse_certificates,
};
use sealwatch_verifier::{Answers, Candidate, CandidateState, Evidence, Verdict, judge};

/// A policy of this level that trusts this identity.
fn policy(level: &str, identity: &str) -> TrustPolicyDocument {
    let verification = match level {
        "skip" => r#"{"level":"skip"}}"#.to_owned(),
        level => format!(
            r#"{{"level":"{level}","override":{{"revocation":"skip"}}}},
            "trustStores":["ca:test"],"trustedIdentities":["{identity}"]}}"#
        ),
    };
    let json = format!(
        r#"{{"version":"1.0","trustPolicies":[{{"name":"test","registryScopes":["*"],
        "signatureVerification":{verification}]}}"#
    );
    TrustPolicyDocument::from_json(json.as_bytes()).unwrap()
}

#[test]
fn verifications_under_different_policies_and_stores_side_by_side_do_not_mix() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let envelope = Envelope::parse(MEDIA_TYPE_JWS, &Jws::new(&signer).sign()).unwrap();
    let digest: sealwatch_registry::Digest = target_digest().parse().unwrap();
    let image = Descriptor {
        media_type: TARGET_MEDIA_TYPE.to_owned(),
        digest: digest.clone(),
        size: TARGET_SIZE,
        artifact_type: None,
        annotations: BTreeMap::new(),
    };
    let now = NOW.parse().unwrap();
    let state = CandidateState::Envelope(Arc::new(envelope));
    let candidates = vec![Candidate { digest, state }];
    let evidence = Evidence { image, candidates, omitted: 0, gathered_at: now, gathered: Instant::now() };
    let store = |root: Option<&[u8]>| {
        let mut stores = TrustStores::new();
        let roots = root.map(|root| parse_certificates(root).unwrap()).unwrap_or_default();
        if !roots.is_empty() {
            stores.insert(TrustStore::new("ca:test".parse().unwrap(), roots).unwrap());
        }
        stores
    };
    let nobody = "x509.subject: C=US,ST=WA,O=Nobody";
    let cases = [
        ("strict", "*", store(Some(signer.root())), Verdict::Verified),
        ("strict", nobody, store(Some(signer.root())), Verdict::Failed),
        ("audit", nobody, store(Some(signer.root())), Verdict::Verified),
        ("strict", "*", store(None), Verdict::Unknown),
        ("skip", "*", store(None), Verdict::Skipped),
    ];
    drop(stranger);
    let repository: Repository = "registry.test/app".parse().unwrap();
    let start = Barrier::new(cases.len() * 2);
    thread::scope(|scope| {
        for (level, identity, stores, expected) in cases.iter().chain(&cases) {
            let (evidence, repository, start) = (&evidence, &repository, &start);
            scope.spawn(move || {
                let document = policy(level, identity);
                start.wait();
                for _ in 0..50 {
                    let verdict = judge(repository, evidence, &document, stores, &Answers::default(), now).verdict;
                    assert_eq!(verdict, *expected, "{level} {identity}");
                }
            });
        }
    });
}
