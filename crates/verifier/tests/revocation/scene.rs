// SPDX-License-Identifier: Apache-2.0
//! A signed image whose chain says where to ask, and the server that answers there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sealwatch_fixtures::jws::Jws;
use sealwatch_fixtures::pki::{Signer, Template};
use sealwatch_fixtures::revocation::{List, Ocsp, Single, crl_at, leaf_with, ocsp_at};
use sealwatch_registry::{Descriptor, PlainFetcher, RegistryOptions, Repository};
use sealwatch_verifier::notation::{
    Envelope, MEDIA_TYPE_JWS, TrustPolicyDocument, TrustStore, TrustStores, parse_certificates,
};
use sealwatch_verifier::{
    BroughtLists, Candidate, CandidateState, Evidence, Freshness, Matter, Recalled, Revocation, Verification, judge,
};

use crate::scripted::{Body, Script, Seen, Server};

/// Any interval that does not pass during a test.
pub(crate) const HOUR: Duration = Duration::from_hours(1);
/// Since when and until when the answers of the tests are good, by their own word.
pub(crate) const SINCE: &str = "20250101000000Z";
pub(crate) const UNTIL: &str = "20350101000000Z";

/// A server whose answers can be changed, by the beginning of the path. What has none is 404.
pub(crate) struct Authority {
    pub(crate) server: Server,
    answers: Arc<Mutex<BTreeMap<String, Script>>>,
}

impl Authority {
    pub(crate) async fn new() -> Self {
        let answers: Arc<Mutex<BTreeMap<String, Script>>> = Arc::default();
        let told = Arc::clone(&answers);
        let route = move |seen: &Seen| {
            let told = told.lock().unwrap();
            let found = told.iter().find(|(path, _)| seen.target.starts_with(path.as_str()));
            found.map_or_else(|| Script::status(404), |(_, script)| script.clone())
        };
        Self { server: Server::start("127.0.0.1", route).await, answers }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.host())
    }

    pub(crate) fn tell(&self, path: &str, answer: Script) {
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    pub(crate) fn tell_list(&self, path: &str, list: &List) {
        self.tell(path, Script::new(200, "application/pkix-crl", list.issue()));
    }

    pub(crate) fn tell_ocsp(&self, path: &str, status: &[u8]) {
        self.tell(path, Script::new(200, "application/ocsp-response", ocsp(status).issue()));
    }

    pub(crate) fn silence(&self, path: &str) {
        self.tell(path, Script::status(200).body(Body::Silence(Duration::from_mins(1))));
    }

    /// What was asked since the last call, without the questions in the paths.
    pub(crate) fn asked(&self) -> Vec<String> {
        let cut = |seen: &Seen| {
            let path =
                if seen.method == "GET" && seen.target.starts_with("/ocsp/") { "/ocsp/…" } else { &seen.target };
            format!("{} {path}", seen.method)
        };
        let asked = self.server.seen().iter().map(cut).collect();
        self.server.forget();
        asked
    }

    /// A leaf with OCSP at `/ocsp` and a list at `/root.crl`.
    pub(crate) fn both(&self) -> Template {
        leaf_with(&[ocsp_at(&[&self.url("/ocsp")]), crl_at(&[&[&self.url("/root.crl")]])])
    }

    /// A leaf with a list at `/root.crl`.
    pub(crate) fn listed(&self) -> Template {
        leaf_with(&[crl_at(&[&[&self.url("/root.crl")]])])
    }
}

pub(crate) fn list() -> List {
    List { this_update: SINCE, next_update: Some(UNTIL), ..List::new() }
}

pub(crate) fn revoking() -> List {
    List { this_update: SINCE, next_update: Some(UNTIL), ..List::revoking(&[]) }
}

pub(crate) fn ocsp(status: &[u8]) -> Ocsp {
    let single = Single { this_update: SINCE, next_update: Some(UNTIL), ..Single::new(status) };
    Ocsp { singles: vec![single], ..Ocsp::new(status) }
}

/// Asks on loopback.
pub(crate) fn revocation() -> Revocation {
    let allow_egress = vec!["127.0.0.0/8".parse().unwrap()];
    asking(&RegistryOptions { allow_egress, ..RegistryOptions::default() })
}

pub(crate) fn asking(options: &RegistryOptions) -> Revocation {
    Revocation::new(PlainFetcher::new(options).unwrap())
}

/// An image with its signatures, and by what it is judged.
pub(crate) struct Image {
    repository: Repository,
    pub(crate) evidence: Evidence,
    pub(crate) document: TrustPolicyDocument,
    pub(crate) stores: TrustStores,
    pub(crate) brought: BroughtLists,
}

impl Image {
    /// Signed with this leaf, whose root is trusted under a strict policy.
    pub(crate) fn signed(leaf: &Template) -> Self {
        let signer = Signer::with_leaf(leaf);
        Self::of(&[Jws::new(&signer).sign()], &[("ca:test", signer.root())])
    }

    /// With these envelopes, under a strict policy that trusts these stores and everybody in them.
    pub(crate) fn of(envelopes: &[Vec<u8>], stores: &[(&str, &[u8])]) -> Self {
        let media_type = sealwatch_fixtures::TARGET_MEDIA_TYPE.to_owned();
        let digest = sealwatch_fixtures::target_digest().parse().unwrap();
        let (size, artifact_type, annotations) = (sealwatch_fixtures::TARGET_SIZE, None, BTreeMap::new());
        let image = Descriptor { media_type, digest, size, artifact_type, annotations };
        let candidate = |envelope: &Vec<u8>| {
            let envelope = Envelope::parse(MEDIA_TYPE_JWS, envelope).expect("an envelope of the test");
            Candidate { digest: image.digest.clone(), state: CandidateState::Envelope(Arc::new(envelope)) }
        };
        let candidates = envelopes.iter().map(candidate).collect();
        let (gathered_at, gathered) = (Timestamp::now(), Instant::now());
        let mut all = TrustStores::new();
        for (name, der) in stores {
            let certificates = parse_certificates(der).expect("certificates of the test");
            all.insert(TrustStore::new(name.parse().unwrap(), certificates).expect("a store of the test"));
        }
        let names: Vec<&str> = stores.iter().map(|(name, _)| *name).collect();
        Self {
            repository: "registry.example/app".parse().unwrap(),
            evidence: Evidence { image, candidates, omitted: 0, gathered_at, gathered },
            document: document("strict", "", &names),
            stores: all,
            brought: BroughtLists::default(),
        }
    }

    pub(crate) fn matter(&self) -> Matter<'_> {
        let Self { repository, evidence, document, stores, brought } = self;
        Matter { repository, evidence, document, stores, brought }
    }

    pub(crate) async fn learn(&self, revocation: &Revocation) {
        revocation.learn(&self.matter(), Freshness { interval: HOUR, since: None }).await;
    }

    /// As one who asks for a fresh look.
    pub(crate) async fn learn_afresh(&self, revocation: &Revocation) {
        revocation.learn(&self.matter(), Freshness { interval: HOUR, since: Some(Instant::now()) }).await;
    }

    pub(crate) fn recall(&self, revocation: &Revocation) -> Recalled {
        revocation.recall(&self.matter(), HOUR, Timestamp::now())
    }

    pub(crate) fn judge(&self, revocation: &Revocation) -> Verification {
        self.judge_at(revocation, Timestamp::now())
    }

    pub(crate) fn judge_at(&self, revocation: &Revocation, now: Timestamp) -> Verification {
        let recalled = revocation.recall(&self.matter(), HOUR, now);
        judge(&self.repository, &self.evidence, &self.document, &self.stores, &recalled.answers, now)
    }

    #[track_caller]
    pub(crate) fn assert_reason(&self, revocation: &Revocation, reason: &str) -> Verification {
        let verification = self.judge(revocation);
        assert_eq!(verification.reason.as_str(), reason, "{}", verification.message);
        verification
    }

    #[track_caller]
    pub(crate) fn assert_unknown(&self, revocation: &Revocation, words: &str) {
        let verification = self.assert_reason(revocation, "RevocationUnknown");
        assert!(verification.message.contains(words), "{words}: {}", verification.message);
    }
}

pub(crate) fn document(level: &str, over: &str, stores: &[&str]) -> TrustPolicyDocument {
    let json = format!(
        r#"{{"version":"1.0","trustPolicies":[{{"name":"test","registryScopes":["*"],
            "signatureVerification":{{"level":"{level}"{over}}},
            "trustStores":{},"trustedIdentities":["*"]}}]}}"#,
        serde_json::to_string(stores).unwrap()
    );
    TrustPolicyDocument::from_json(json.as_bytes()).expect("a policy of the test")
}

/// A moment so far from now, in the words of ASN.1.
pub(crate) fn asn1(seconds_from_now: i64) -> &'static str {
    let moment = Timestamp::now() + Duration::from_secs(seconds_from_now.unsigned_abs());
    Box::leak(moment.strftime("%Y%m%d%H%M%SZ").to_string().into_boxed_str())
}
