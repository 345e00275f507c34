// SPDX-License-Identifier: Apache-2.0

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::SignedDuration;
use sealwatch_api::{ImageVerification, TrustPolicy};
use sealwatch_fixtures::{
    SIGNER, TARGET_MEDIA_TYPE, TARGET_SIZE,
    der::simple_name,
    jws::Jws,
    pki::{Signer, Template, pem},
    revocation::List,
    target_digest,
    tsa::{self, Token, stamped_jws},
};
use sealwatch_notation::{Envelope, RevocationList};
use sealwatch_registry::{Descriptor, PlainFetcher, RegistryOptions};
use sealwatch_verifier::{Candidate, CandidateState, Evidence, Revocation};
use serde_json::{Value, json};

use super::{
    super::{case::Case, memory::LookError},
    *,
};
use crate::{
    discover,
    policy::Policy,
    running::{ImageKey, RunningImage},
    trust_store::{self, Found, Loaded},
};

const HOUR: Duration = Duration::from_hours(1);

fn now() -> Timestamp {
    sealwatch_fixtures::NOW.parse().expect("a time")
}

/// A strict policy that trusts the root of the fixtures, with further fields of the spec.
fn policy(signer: &Signer, more: &Value) -> Policy {
    bringing(&[], signer, more)
}

/// The same with revocation lists that somebody brought.
fn bringing(lists: &[&List], signer: &Signer, more: &Value) -> Policy {
    let mut spec = json!({
        "version": "1.0",
        "trustPolicies": [{
            "name": "ours", "registryScopes": ["*"], "signatureVerification": {"level": "strict"},
            "trustStores": ["ca:roots", "signingAuthority:roots"],
            "trustedIdentities": [format!("x509.subject: {SIGNER}")],
        }],
        "trustStores": [
            {"type": "ca", "name": "roots", "certificates": [{"pem": pem(signer.root())}]},
            {"type": "signingAuthority", "name": "roots", "certificates": [{"pem": pem(signer.root())}]},
        ],
        "staleAfter": "168h",
    });
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    let policy: TrustPolicy = serde_json::from_value(json!({
        "apiVersion": "sealwatch.dev/v1alpha1", "kind": "TrustPolicy",
        "metadata": {"name": "microsoft", "namespace": "aio", "uid": "u", "generation": 1}, "spec": spec,
    }))
    .expect("a policy");
    let stores = trust_store::load(&policy.spec, &Found::default());
    assert!(stores.problems.is_empty(), "{stores:?}");
    let list = |list: &&List| RevocationList::from_der_or_pem(&list.issue()).expect("a list");
    let brought = BroughtLists { lists: lists.iter().map(list).collect(), unread: Vec::new() };
    Policy::new(&policy, Loaded { stores, brought, ..Loaded::default() })
}

/// What a registry said of the image at that time.
fn evidence(envelopes: &[Vec<u8>], gathered_at: Timestamp) -> Arc<Evidence> {
    let digest: Digest = target_digest().parse().expect("a digest");
    let candidate = |bytes: &Vec<u8>| {
        let envelope = Envelope::parse("application/jose+json", bytes).expect("an envelope");
        Candidate { digest: digest.clone(), state: CandidateState::Envelope(Arc::new(envelope)) }
    };
    Arc::new(Evidence {
        image: Descriptor {
            media_type: TARGET_MEDIA_TYPE.into(),
            digest: digest.clone(),
            size: TARGET_SIZE,
            artifact_type: None,
            annotations: std::collections::BTreeMap::new(),
        },
        candidates: envelopes.iter().map(candidate).collect(),
        omitted: 0,
        gathered_at,
        gathered: std::time::Instant::now(),
    })
}

/// An object that a person wrote.
fn image() -> ImageVerification {
    serde_json::from_value(json!({
        "apiVersion": "sealwatch.dev/v1alpha1", "kind": "ImageVerification",
        "metadata": {"name": "app", "namespace": "aio"},
        "spec": {
            "image": "registry.example/app:1", "digest": target_digest(), "trustPolicyRef": {"name": "microsoft"},
        },
    }))
    .expect("an image verification")
}

/// What comes of the looks under a policy at some time.
fn judged(policy: &Policy, looks: &Looks, now: Timestamp) -> Judged {
    judged_where(policy, looks, now, None)
}

fn judged_where(policy: &Policy, looks: &Looks, now: Timestamp, found: Option<&discover::Found>) -> Judged {
    let image = image();
    let case = Case { image: &image, policy, found, ours: false }.parse();
    // Nobody was ever asked about revocation: what is known of it was brought.
    let fetcher = PlainFetcher::new(&RegistryOptions::default()).expect("a fetcher");
    let matter = case.reference.as_ref().ok().zip(looks.findings.as_ref());
    let matter = matter.and_then(|(reference, findings)| case.policy.matter(reference.repository(), findings));
    let recalled = matter.map(|matter| matter.recall(&Revocation::new(fetcher), HOUR, now));
    judge(&case, looks, &recalled.unwrap_or_default(), now)
}

fn looked(evidence: Arc<Evidence>) -> Looks {
    Looks { findings: Some(Arc::new(Findings::exact(evidence))), ..Looks::default() }
}

fn signed() -> (Signer, Vec<u8>) {
    let signer = Signer::new();
    let envelope = Jws::new(&signer).sign();
    (signer, envelope)
}

#[test]
fn a_verdict_that_outlives_stale_after_is_unknown_and_says_what_it_was() {
    let (signer, envelope) = signed();
    let (policy, since) = (policy(&signer, &json!({})), now() - 168 * HOUR);
    for (envelopes, reason, was) in [
        (vec![envelope], Reason::SignatureValid, "it was Verified then"),
        (vec![], Reason::NoSignature, "it was Failed then"),
    ] {
        let looks = looked(evidence(&envelopes, since));
        let before = judged(&policy, &looks, now() - Duration::from_secs(1));
        assert_eq!((before.conclusion.reason, before.next_change), (reason, Some(now())), "the clock brings us back");
        let after = judged(&policy, &looks, now());
        assert_eq!((after.conclusion.reason, after.conclusion.verdict()), (Reason::Stale, Verdict::Unknown));
        assert!(after.conclusion.message.contains(was), "{}", after.conclusion.message);
        assert_eq!(after.conclusion.last_verified, Some(since));
        assert_eq!(after.ends, [], "nothing that is Unknown is foreseen to end");
    }
}

/// A node that has an image under several digests reports one of them for all pods, whatever they pin.
#[test]
fn a_digest_that_the_pods_pin_and_the_node_does_not_report_is_told_and_not_called_another_image() {
    let (signer, envelope) = signed();
    let reported: Digest = target_digest().parse().expect("a digest");
    let pinned = format!("sha256:{}", "a".repeat(64));
    let told = |reference: String| {
        let key =
            ImageKey { repository: "registry.example/app".into(), digest: RunningDigest::Manifest(reported.clone()) };
        let running = RunningImage { references: [reference].into(), ..RunningImage::default() };
        let found = discover::Found { key, running };
        let looks = looked(evidence(std::slice::from_ref(&envelope), now()));
        judged_where(&policy(&signer, &json!({})), &looks, now(), Some(&found)).conclusion.message
    };
    let message = told(format!("registry.example/app@{pinned}"));
    let words = format!("the pod pins {pinned}, and the node reports {reported}");
    assert!(message.ends_with(&words), "{message}");
    for reference in [format!("registry.example/app@{reported}"), "registry.example/app:1".to_owned()] {
        assert!(!told(reference).contains("pins"));
    }
}

/// F22: what ends is judged by the clock that there is, and nothing else follows from its having been set.
#[test]
fn a_clock_that_is_set_makes_no_verdict_of_its_own_and_takes_none_away_for_long() {
    let leaf = Template { not_before: "20261122000000Z", not_after: "20261123000000Z", ..Template::leaf() };
    let signer = Signer::with_leaf(&leaf);
    let policy = policy(&signer, &json!({}));
    let looks = looked(evidence(&[Jws::new(&signer).sign()], now()));
    for (set, reason) in [
        (SignedDuration::ZERO, Reason::SignatureValid),
        (SignedDuration::from_hours(1), Reason::SignatureValid),
        (SignedDuration::from_hours(-1), Reason::SignatureValid),
        (SignedDuration::from_hours(24), Reason::CertificateExpired),
        (SignedDuration::from_hours(-24), Reason::CertificateNotYetValid),
        // Long before there was evidence, and longer after than it may serve.
        (-now().duration_since(Timestamp::UNIX_EPOCH), Reason::CertificateNotYetValid),
        (SignedDuration::from_hours(24 * 365), Reason::Stale),
    ] {
        let by_clock = now() + set;
        let then = judged(&policy, &looks, by_clock);
        assert_eq!(then.conclusion.reason, reason, "{set:?}: {}", then.conclusion.message);
        assert_eq!(then.conclusion.last_verified, Some(now().min(by_clock)), "no look is made newer by it");
        assert!(then.next_change.is_none_or(|next| next > by_clock), "{set:?}: no change is due that was made");
        assert!(then.ends.iter().all(|end| end.time > by_clock), "{set:?}: {:?}", then.ends);
        assert_eq!(then.conclusion.trouble, None);
        // Set right again, everything is as it was.
        assert_eq!(judged(&policy, &looks, now()).conclusion.reason, Reason::SignatureValid);
    }
}

/// F22: no storm follows from a clock that was set, and no image waits an interval for it.
#[test]
fn after_the_clock_was_set_only_an_image_whose_evidence_became_stale_is_looked_at_and_once() {
    let (signer, envelope) = signed();
    let policy = policy(&signer, &json!({"staleAfter": "168h"}));
    let image = image();
    let case = Case { image: &image, policy: &policy, found: None, ours: false }.parse();
    let ended = |ago: Duration, gathered_at: Timestamp| Looks {
        ended: Instant::now().checked_sub(ago),
        ..looked(evidence(std::slice::from_ref(&envelope), gathered_at))
    };
    let minute = Duration::from_mins(1);
    let looks = ended(minute, now());
    for set in [-24 * 365, -24, -1, 0, 1, 24, 167] {
        let by_clock = now() + SignedDuration::from_hours(set);
        assert!(case.wait(&looks, by_clock) > 50 * minute, "{set} h: the period goes by the monotonic clock");
        assert!(!case.is_overtaken(&looks, by_clock));
    }
    let by_clock = now() + 168 * HOUR;
    assert!(case.is_overtaken(&looks, by_clock));
    assert_eq!(case.wait(&looks, by_clock), Duration::ZERO);
    // Set forward again and again: at a pace.
    let just_looked = case.wait(&ended(Duration::ZERO, now()), by_clock);
    assert!(just_looked > Duration::from_secs(9) && just_looked <= Duration::from_secs(10), "{just_looked:?}");
    assert!(case.wait(&ended(minute, by_clock), by_clock) > 50 * minute, "what was gathered since is not stale");
    // Where the registry does not answer, its own retries go on as they were.
    let error = LookError { reason: Reason::RegistryUnavailable, message: "no".into(), retry_after: None };
    let failing = Looks { error: Some(error), pause: Some(30 * minute), generation: 1, ..looks };
    assert!(!case.is_overtaken(&failing, by_clock) && case.wait(&failing, by_clock) > 20 * minute);
}

#[test]
fn the_next_look_comes_before_the_evidence_is_stale_also_where_both_periods_are_the_same() {
    let (signer, envelope) = signed();
    let policy = policy(&signer, &json!({"interval": "1h", "staleAfter": "1h"}));
    let image = image();
    let case = Case { image: &image, policy: &policy, found: None, ours: false }.parse();
    for seed in [0, u64::MAX / 2, u64::MAX] {
        let ended = Some(Instant::now());
        let looks = Looks { seed, ended, ..looked(evidence(std::slice::from_ref(&envelope), now())) };
        let wait = case.wait(&looks, now());
        assert!(wait <= Duration::from_mins(54) && wait > Duration::from_mins(53), "{wait:?}");
    }
}

#[test]
fn an_outage_keeps_the_verdict_until_it_is_stale_and_says_so_both_times() {
    let (signer, envelope) = signed();
    let policy = policy(&signer, &json!({}));
    let outage =
        LookError { reason: Reason::RegistryUnavailable, message: "no route to host".into(), retry_after: None };
    let looks = Looks { error: Some(outage), ..looked(evidence(&[envelope], now())) };
    for (age, reason) in [(167 * HOUR, Reason::SignatureValid), (168 * HOUR, Reason::Stale)] {
        let conclusion = judged(&policy, &looks, now() + age).conclusion;
        assert_eq!(conclusion.reason, reason);
        let trouble = conclusion.trouble.expect("it could not be asked");
        assert_eq!(trouble.reason, Reason::RegistryUnavailable.into());
    }
}

#[test]
fn a_suspended_policy_says_so_keeps_its_verdicts_and_lets_them_age() {
    let (signer, envelope) = signed();
    let suspended = policy(&signer, &json!({"suspend": true}));
    let looks = looked(evidence(&[envelope], now()));
    for (age, reason) in [(HOUR, Reason::SignatureValid), (168 * HOUR, Reason::Stale)] {
        let conclusion = judged(&suspended, &looks, now() + age).conclusion;
        assert_eq!(conclusion.reason, reason);
        assert_eq!(conclusion.trouble.map(|trouble| trouble.reason), Some(Circumstance::Suspended.into()));
    }
    let conclusion = judged(&suspended, &Looks::default(), now()).conclusion;
    assert_eq!(conclusion.reason, Reason::Pending, "nothing was looked at before");
    assert!(conclusion.trouble.is_some());
}

#[test]
fn a_suspended_policy_that_needs_no_registry_has_nothing_to_say_of_it() {
    let skip = json!({"suspend": true, "trustPolicies": [
        {"name": "all", "registryScopes": ["*"], "signatureVerification": {"level": "skip"}},
    ]});
    let conclusion = judged(&policy(&Signer::new(), &skip), &Looks::default(), now()).conclusion;
    assert_eq!((conclusion.reason, conclusion.trouble), (Reason::LevelSkip, None));
}

const ROOT: &str = "CN=Sealwatch Test Root,O=Microsoft Corporation,C=US";

/// A signer below a root, and when the certificates of both end.
fn ending(leaf: &'static str, root: &'static str) -> Signer {
    let leaf = Template { not_after: leaf, ..Template::leaf() };
    Signer::with_chain(&[&leaf, &Template { not_after: root, ..Template::root() }])
}

/// What is foreseen of an image that is Verified by this envelope.
fn foreseen(policy: &Policy, envelope: Vec<u8>) -> Vec<Expiry> {
    let judged = judged(policy, &looked(evidence(&[envelope], now())), now());
    assert_eq!(judged.conclusion.reason, Reason::SignatureValid, "{}", judged.conclusion.message);
    judged.ends
}

fn end(kind: ExpiryKind, time: &str, subject: &str) -> Expiry {
    Expiry { time: time.parse().expect("a time"), kind, subject: subject.to_owned() }
}

#[test]
fn the_first_end_of_each_kind_that_a_verdict_rests_on_is_foreseen_and_none_hides_behind_another() {
    let none = json!({});
    let (early, late) = ("20271231235959Z", "20391231235959Z");
    let (soon, later) = ("2027-12-31T23:59:59Z", "2039-12-31T23:59:59Z");
    let by_leaf = ending(early, late);
    let of_certificates =
        [end(ExpiryKind::SigningCertificate, soon, SIGNER), end(ExpiryKind::TrustAnchor, later, ROOT)];
    assert_eq!(foreseen(&policy(&by_leaf, &none), Jws::new(&by_leaf).sign()), of_certificates);
    let by_root = ending(late, early);
    assert_eq!(
        foreseen(&policy(&by_root, &none), Jws::new(&by_root).sign()),
        [end(ExpiryKind::SigningCertificate, later, SIGNER), end(ExpiryKind::TrustAnchor, soon, ROOT)]
    );
    let expiring = Jws::new(&by_leaf).expiring("2027-01-01T00:00:00Z");
    let list = List { next_update: Some("20280101000000Z"), ..List::new() };
    let of_all = [
        of_certificates.as_slice(),
        &[
            end(ExpiryKind::Signature, "2027-01-01T00:00:00Z", SIGNER),
            end(ExpiryKind::RevocationList, "2028-01-01T00:00:00Z", ROOT),
        ],
    ];
    assert_eq!(foreseen(&bringing(&[&list], &by_leaf, &none), expiring.sign()), of_all.concat());
    // Who vouches for the time of signing makes the end of certificates harmless.
    assert_eq!(foreseen(&policy(&by_leaf, &none), Jws::signing_authority(&by_leaf).sign()), []);
}

#[test]
fn of_several_lists_that_were_brought_the_last_that_speaks_of_a_certificate_counts() {
    let signer = ending("20391231235959Z", "20391231235959Z");
    let lists = ["20261201000000Z", "20270101000000Z"].map(|end| List { next_update: Some(end), ..List::new() });
    let another = Template { subject: simple_name("CN=Another Root"), ..Template::root() };
    let another = List { issuer: another.subject, next_update: Some("20261130000000Z"), ..List::new() };
    let ends = foreseen(&bringing(&[&another, &lists[0], &lists[1]], &signer, &json!({})), Jws::new(&signer).sign());
    let of_lists: Vec<_> = ends.into_iter().filter(|end| end.kind == ExpiryKind::RevocationList).collect();
    assert_eq!(of_lists, [end(ExpiryKind::RevocationList, "2027-01-01T00:00:00Z", ROOT)], "the newer one takes over");
}

#[test]
fn a_list_that_speaks_of_a_timestamp_authority_alone_is_foreseen_to_end_too() {
    let signer = ending("20391231235959Z", "20391231235959Z");
    let envelope = stamped_jws(&Jws::new(&signer), |signature| Token::new(signature).issue());
    let stores = json!([
        {"type": "ca", "name": "roots", "certificates": [{"pem": pem(signer.root())}]},
        {"type": "tsa", "name": "roots", "certificates": [{"pem": pem(&tsa::root().issue())}]},
    ]);
    let statements = json!([{
        "name": "ours", "registryScopes": ["*"], "signatureVerification": {"level": "strict"},
        "trustStores": ["ca:roots", "tsa:roots"], "trustedIdentities": ["*"],
    }]);
    let root = tsa::root();
    let list = List { issuer: root.subject, key: root.key, next_update: Some("20270101000000Z"), ..List::new() };
    let policy = bringing(&[&list], &signer, &json!({"trustStores": stores, "trustPolicies": statements}));
    let subject = "CN=Sealwatch Test TSA Root,O=Microsoft Corporation,C=US";
    assert_eq!(foreseen(&policy, envelope), [end(ExpiryKind::RevocationList, "2027-01-01T00:00:00Z", subject)]);
}

#[test]
fn what_has_ended_already_and_is_only_logged_is_not_foreseen_again() {
    let leaf = Template { not_after: "20300101000000Z", ..Template::leaf() };
    let signer = Signer::with_leaf(&leaf);
    let expired = Jws::new(&signer).expiring("2026-01-01T00:00:00Z").sign();
    let mut lenient = json!({"trustPolicies": [{
        "name": "ours", "registryScopes": ["*"], "signatureVerification": {"level": "strict"},
        "trustStores": ["ca:roots"], "trustedIdentities": ["*"],
    }]});
    lenient["trustPolicies"][0]["signatureVerification"]["override"] = json!({"expiry": "log"});
    let judged = judged(&policy(&signer, &lenient), &looked(evidence(&[expired], now())), now());
    assert_eq!(judged.conclusion.reason, Reason::FailuresLogged, "{}", judged.conclusion.message);
    let kinds: Vec<_> = judged.ends.iter().map(|end| end.kind).collect();
    assert_eq!(kinds, [ExpiryKind::SigningCertificate, ExpiryKind::TrustAnchor], "and no signature");
}

#[test]
fn what_a_failed_image_rests_on_is_not_foreseen() {
    let (signer, _) = signed();
    let expired = Jws::new(&signer).expiring("2026-01-01T00:00:00Z").sign();
    let judged = judged(&policy(&signer, &json!({})), &looked(evidence(&[expired], now())), now());
    assert_eq!((judged.conclusion.reason, judged.ends), (Reason::SignatureExpired, vec![]));
}
