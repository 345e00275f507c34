// SPDX-License-Identifier: Apache-2.0

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;
use sealwatch_api::{
    ExpiryKind, ImageVerificationStatus, Reason, TrustPolicy, TrustPolicyStatus, Verdict, condition::Circumstance,
};
use serde_json::json;

use super::{
    image::{self, Conclusion},
    policy::{self, Expiry, Facts, ImageResult},
    *,
};
use crate::{policy::Policy, trust_store::Loaded};

const HOUR: Duration = Duration::from_hours(1);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).expect("in range")
}

fn verdict(reason: Reason, verified: Option<Timestamp>) -> Conclusion {
    Conclusion { last_verified: verified, ..Conclusion::plain(reason, format!("because of {reason}")) }
}

fn image_condition(status: &ImageVerificationStatus, kind: ConditionType) -> Option<(&str, &str, Timestamp)> {
    condition(&status.conditions, kind)
        .map(|found| (found.status.as_str(), found.reason.as_str(), found.last_transition_time.0))
}

#[test]
fn the_conditions_of_an_image_follow_from_its_verdict() {
    for (reason, verified, ready) in [
        (Reason::SignatureValid, "True", "True"),
        (Reason::FailuresLogged, "True", "True"),
        (Reason::LevelSkip, "True", "True"),
        (Reason::NoSignature, "False", "True"),
        (Reason::Pending, "Unknown", "Unknown"),
        (Reason::RegistryUnavailable, "Unknown", "False"),
        (Reason::TrustPolicyInvalid, "Unknown", "False"),
    ] {
        let status = image::next(&ImageVerificationStatus::default(), &verdict(reason, None), None, 1, at(0));
        let found = |kind| image_condition(&status, kind).map(|(status, _, _)| status);
        assert_eq!(found(ConditionType::Verified), Some(verified), "{reason}");
        assert_eq!(found(ConditionType::Ready), Some(ready), "{reason}");
        let reconciling = (reason == Reason::Pending).then_some("True");
        assert_eq!(found(ConditionType::Reconciling), reconciling, "{reason}");
        assert_eq!(found(ConditionType::Stalled), None, "{reason}");
    }
}

#[test]
fn a_kept_verdict_stays_verified_and_is_not_ready() {
    let mut kept = verdict(Reason::SignatureValid, Some(at(0)));
    kept.trouble = Some(Trouble { reason: Reason::RegistryThrottled.into(), message: "429".into() });
    let status = image::next(&ImageVerificationStatus::default(), &kept, None, 1, at(10));
    assert_eq!(image_condition(&status, ConditionType::Verified).map(|found| found.0), Some("True"));
    assert_eq!(
        image_condition(&status, ConditionType::Ready).map(|found| (found.0, found.1)),
        Some(("False", "RegistryThrottled"))
    );
}

#[test]
fn times_move_only_when_what_they_date_moves() {
    let first =
        image::next(&ImageVerificationStatus::default(), &verdict(Reason::SignatureValid, Some(at(0))), None, 1, at(0));
    let same = image::next(&first, &verdict(Reason::FailuresLogged, Some(at(60))), None, 2, at(60));
    assert_eq!(same.verdict_since, Some(time(at(0))), "still Verified");
    assert_eq!(same.transitions, first.transitions);
    assert_eq!(image_condition(&same, ConditionType::Verified), Some(("True", "FailuresLogged", at(0))));
    let moved = image::next(&same, &verdict(Reason::Revoked, Some(at(120))), None, 2, at(120));
    assert_eq!(moved.verdict_since, Some(time(at(120))));
    assert_eq!(moved.transitions.len(), 2);
    assert_eq!(image_condition(&moved, ConditionType::Verified), Some(("False", "Revoked", at(120))));
    assert_eq!(image_condition(&moved, ConditionType::Ready), Some(("True", "Succeeded", at(0))));
}

#[test]
fn the_last_five_transitions_are_kept() {
    let mut status = ImageVerificationStatus::default();
    for second in 0..9 {
        let reason = if second % 2 == 0 { Reason::SignatureValid } else { Reason::NoSignature };
        status = image::next(&status, &verdict(reason, None), None, 1, at(second));
    }
    let times: Vec<_> = status.transitions.iter().filter_map(|transition| transition.time.clone()).collect();
    assert_eq!(times, (4..9).map(|second| time(at(second))).collect::<Vec<_>>());
}

#[test]
fn a_status_is_written_for_news_and_for_a_heartbeat_and_for_nothing_else() {
    let worth = |verified: i64, reason, interval| {
        let first = image::next(
            &ImageVerificationStatus::default(),
            &verdict(Reason::SignatureValid, Some(at(0))),
            None,
            1,
            at(0),
        );
        let next = image::next(&first, &verdict(reason, Some(at(verified))), None, 1, at(verified));
        image::worth_writing(&first, &next, interval)
    };
    assert!(!worth(60, Reason::SignatureValid, HOUR));
    assert!(!worth(2_880, Reason::SignatureValid, HOUR));
    assert!(worth(2_881, Reason::SignatureValid, HOUR));
    assert!(!worth(2_880, Reason::SignatureValid, Duration::from_mins(1)), "an hour is the least");
    assert!(!worth(20_000, Reason::SignatureValid, 24 * HOUR));
    assert!(worth(1, Reason::FailuresLogged, HOUR));
    // F22: a time of the future is put right, once the clock was set back by as much.
    assert!(!worth(-2_880, Reason::SignatureValid, HOUR));
    assert!(worth(-2_881, Reason::SignatureValid, HOUR));
}

/// F22.
#[test]
fn a_clock_that_is_set_back_writes_nothing_by_itself_and_moves_no_date() {
    let first = image::next(
        &ImageVerificationStatus::default(),
        &verdict(Reason::SignatureValid, Some(at(100_000))),
        None,
        1,
        at(100_000),
    );
    for set in [0, 99_999, 100_001, 10_000_000] {
        let next = image::next(&first, &verdict(Reason::SignatureValid, Some(at(100_000))), None, 1, at(set));
        assert_eq!(next, first, "the clock is {set}");
        assert!(!image::worth_writing(&first, &next, HOUR));
    }
}

#[test]
fn what_is_written_reads_back_equal() {
    let conclusion = verdict(Reason::SignatureExpired, Some(at(0) + Duration::from_millis(345)));
    let status =
        image::next(&ImageVerificationStatus::default(), &conclusion, None, 3, at(1) + Duration::from_nanos(7));
    let read: ImageVerificationStatus =
        serde_json::from_value(serde_json::to_value(&status).expect("it is written")).expect("it is read");
    assert_eq!(read, status);
}

fn loaded(document: &serde_json::Value) -> Policy {
    let mut policy: TrustPolicy = serde_json::from_value(json!({
        "apiVersion": "sealwatch.dev/v1alpha1", "kind": "TrustPolicy",
        "metadata": {"name": "microsoft", "namespace": "aio", "uid": "u", "generation": 7},
        "spec": {"version": "1.0", "trustPolicies": document},
    }))
    .expect("a policy");
    policy.metadata.managed_fields = None;
    Policy::new(&policy, Loaded::default())
}

fn skipping() -> Policy {
    loaded(&json!([{"name": "all", "registryScopes": ["*"], "signatureVerification": {"level": "skip"}}]))
}

fn result(policy: &Policy, reason: Reason) -> ImageResult {
    ImageResult {
        reason,
        trouble: None,
        verified_at: Some(at(0)),
        ends: Vec::new(),
        handled_request: None,
        judged_by: (policy.generation, policy.trust_hash.clone()),
    }
}

/// The `Verified` condition that these reasons lead to; `None` is an image without an answer.
fn verified(reasons: &[Option<Reason>]) -> (String, String) {
    let policy = skipping();
    let results: Vec<Option<ImageResult>> =
        reasons.iter().map(|reason| reason.map(|reason| result(&policy, reason))).collect();
    let names: Vec<String> = (0..results.len()).map(|number| format!("image-{number}")).collect();
    let images = names.iter().map(String::as_str).zip(results.iter().map(Option::as_ref)).collect();
    let facts = Facts { policy: &policy, images, blind: None, pods: 1, containers: 1 };
    let status = policy::next(&TrustPolicyStatus::default(), &facts, at(0));
    let found = condition(&status.conditions, ConditionType::Verified).expect("always there");
    (found.status.clone(), found.reason.clone())
}

#[test]
fn a_policy_is_verified_only_if_every_image_is() {
    let table = [
        (vec![], "Unknown", "NoImages"),
        (vec![Some(Reason::SignatureValid), Some(Reason::LevelSkip)], "True", "Succeeded"),
        (vec![Some(Reason::SignatureValid), Some(Reason::FailuresLogged)], "True", "FailuresLogged"),
        (vec![Some(Reason::SignatureValid), None], "Unknown", "Pending"),
        (vec![Some(Reason::SignatureValid), Some(Reason::Stale)], "Unknown", "Stale"),
        (vec![Some(Reason::Stale), None], "Unknown", "Pending"),
        (vec![Some(Reason::NoSignature), None], "False", "NoSignature"),
        (vec![Some(Reason::Stale), Some(Reason::Revoked)], "False", "Revoked"),
    ];
    for (reasons, status, reason) in table {
        assert_eq!(verified(&reasons), (status.to_owned(), reason.to_owned()), "{reasons:?}");
    }
}

#[test]
fn every_image_is_in_exactly_one_count() {
    let policy = skipping();
    let results: Vec<ImageResult> = Reason::ALL.iter().map(|reason| result(&policy, *reason)).collect();
    let names: Vec<String> = Reason::ALL.iter().map(ToString::to_string).collect();
    let images: BTreeMap<_, _> = names.iter().map(String::as_str).zip(results.iter().map(Some)).collect();
    let facts = Facts { policy: &policy, images, blind: None, pods: 3, containers: 4 };
    let summary = policy::next(&TrustPolicyStatus::default(), &facts, at(0)).summary.expect("a summary");
    assert_eq!(summary.images, u32::try_from(Reason::ALL.len()).expect("few"));
    assert_eq!(summary.verified + summary.failed + summary.unknown + summary.skipped, summary.images);
    let of = |verdict: Verdict| Reason::ALL.iter().filter(|reason| reason.verdict() == verdict).count();
    assert_eq!(usize::try_from(summary.failed), Ok(of(Verdict::Failed)));
    assert_eq!((summary.logged, summary.pods, summary.containers), (1, 3, 4));
}

#[test]
fn an_invalid_policy_is_stalled_and_not_ready() {
    let policy = loaded(&json!([{"name": "all", "registryScopes": [], "signatureVerification": {"level": "strict"}}]));
    let facts = Facts { policy: &policy, images: BTreeMap::new(), blind: None, pods: 0, containers: 0 };
    let status = policy::next(&TrustPolicyStatus::default(), &facts, at(0));
    for (kind, expected) in
        [(ConditionType::Stalled, "True"), (ConditionType::Ready, "False"), (ConditionType::Verified, "Unknown")]
    {
        let found = condition(&status.conditions, kind).expect("it is there");
        assert_eq!((found.status.as_str(), found.reason.as_str()), (expected, "TrustPolicyInvalid"), "{kind}");
        assert_eq!(found.observed_generation, Some(7));
    }
}

#[test]
fn an_answer_under_an_older_policy_counts_as_none() {
    let policy = skipping();
    let older = ImageResult { judged_by: (6, policy.trust_hash.clone()), ..result(&policy, Reason::SignatureValid) };
    let facts = |images| Facts { policy: &policy, images, blind: None, pods: 1, containers: 1 };
    assert!(!facts([("a", Some(&older))].into()).is_judged());
    let counted = facts([("a", Some(&older))].into()).without_older_answers();
    let summary = policy::next(&TrustPolicyStatus::default(), &counted, at(0)).summary.expect("a summary");
    assert_eq!((summary.verified, summary.unknown), (0, 1));
}

#[test]
fn the_first_end_is_named_with_all_images_that_share_it() {
    let policy = skipping();
    let end = |kind, subject: &str, second: i64| Expiry { time: at(second), kind, subject: subject.into() };
    let ending = |subject: &str, second: i64| ImageResult {
        ends: vec![end(ExpiryKind::TrustAnchor, "CN=root", 15), end(ExpiryKind::SigningCertificate, subject, second)],
        ..result(&policy, Reason::SignatureValid)
    };
    let results = [ending("CN=later", 20), ending("CN=soon", 10), ending("CN=soon", 10)];
    let images = ["a", "b", "c"].into_iter().zip(results.iter().map(Some)).collect();
    let facts = Facts { policy: &policy, images, blind: None, pods: 1, containers: 1 };
    let next = policy::next(&TrustPolicyStatus::default(), &facts, at(0)).next_expiry.expect("an end");
    assert_eq!((next.subject.as_str(), next.images, next.time), ("CN=soon", 2, Some(time(at(10)))));
}

#[test]
fn a_request_counts_as_handled_once_every_image_was_looked_at() {
    let mut policy = skipping();
    policy.requested_at = Some("now".into());
    let handled = |first: Option<&str>, second: Option<&str>| {
        let of = |request: Option<&str>| ImageResult {
            handled_request: request.map(str::to_owned),
            ..result(&policy, Reason::SignatureValid)
        };
        let (first, second) = (of(first), of(second));
        let images = [("a", Some(&first)), ("b", Some(&second))].into();
        let facts = Facts { policy: &policy, images, blind: None, pods: 1, containers: 1 };
        policy::next(&TrustPolicyStatus::default(), &facts, at(0)).last_handled_requested_at
    };
    assert_eq!(handled(Some("now"), None), None);
    assert_eq!(handled(Some("now"), Some("before")), None);
    assert_eq!(handled(Some("now"), Some("now")).as_deref(), Some("now"));
}

#[test]
fn a_suspended_policy_says_so() {
    let mut policy = skipping();
    policy.suspend = true;
    let facts = Facts { policy: &policy, images: BTreeMap::new(), blind: None, pods: 0, containers: 0 };
    let status = policy::next(&TrustPolicyStatus::default(), &facts, at(0));
    let ready = condition(&status.conditions, ConditionType::Ready).expect("it is there");
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", Circumstance::Suspended.as_str()));
}

#[test]
fn pods_that_are_not_shown_are_no_absence_of_images() {
    let policy = skipping();
    let facts = Facts {
        policy: &policy,
        images: BTreeMap::new(),
        blind: Some(Trouble { reason: Circumstance::PodsForbidden.into(), message: "no".into() }),
        pods: 0,
        containers: 0,
    };
    let status = policy::next(&TrustPolicyStatus::default(), &facts, at(0));
    for (kind, expected) in [(ConditionType::Ready, "False"), (ConditionType::Verified, "Unknown")] {
        let found = condition(&status.conditions, kind).expect("it is there");
        assert_eq!((found.status.as_str(), found.reason.as_str()), (expected, "PodsForbidden"), "{kind}");
    }
}

/// D1.
#[test]
fn skipping_everything_is_allowed_with_a_warning() {
    let policy = skipping();
    let facts = Facts { policy: &policy, images: BTreeMap::new(), blind: None, pods: 0, containers: 0 };
    let status = policy::next(&TrustPolicyStatus::default(), &facts, at(0));
    let ready = condition(&status.conditions, ConditionType::Ready).expect("it is there");
    assert_eq!(ready.status, "True");
    assert!(ready.message.contains("warning") && ready.message.contains("\"all\""), "{}", ready.message);
}

/// TP-16: legal, and no signature will ever be trusted by it.
#[test]
fn trusting_nobody_but_timestamp_authorities_is_allowed_with_a_warning() {
    let message = |stores: &[&str]| {
        let policy = loaded(&json!([{"name": "some", "registryScopes": ["r.example/a"], "trustStores": stores,
            "signatureVerification": {"level": "strict"}, "trustedIdentities": ["*"]}]));
        let facts = Facts { policy: &policy, images: BTreeMap::new(), blind: None, pods: 0, containers: 0 };
        let status = policy::next(&TrustPolicyStatus::default(), &facts, at(0));
        condition(&status.conditions, ConditionType::Ready).expect("it is there").message.clone()
    };
    assert!(message(&["tsa:a", "tsa:b"]).contains("\"some\" names trust stores of type tsa alone"));
    for stores in [&["tsa:a", "ca:a"][..], &["signingAuthority:a"]] {
        assert!(!message(stores).contains("warning"), "{stores:?}");
    }
}

proptest! {
    /// However verdicts follow each other, dates never run backwards and nothing moves without cause (I4).
    #[test]
    fn dates_move_forward_and_with_cause(steps in proptest::collection::vec((0..Reason::ALL.len(), 0_i64..1_000), 1..30)) {
        let (mut status, mut clock) = (ImageVerificationStatus::default(), 0);
        for (place, passed) in steps {
            clock += passed;
            let reason = Reason::ALL[place];
            let next = image::next(&status, &verdict(reason, None), None, 1, at(clock));
            let same = status.verdict.as_ref().is_some_and(|known| *known == reason.verdict());
            if same {
                prop_assert_eq!(&next.verdict_since, &status.verdict_since);
                prop_assert_eq!(&next.transitions, &status.transitions);
            }
            for known in &status.conditions {
                if let Some(found) = next.conditions.iter().find(|found| found.type_ == known.type_) {
                    prop_assert!(found.last_transition_time >= known.last_transition_time);
                    if found.status == known.status {
                        prop_assert_eq!(&found.last_transition_time, &known.last_transition_time);
                    }
                }
            }
            prop_assert!(next.transitions.len() <= 5);
            prop_assert!(!image::worth_writing(&next, &next, HOUR));
            status = next;
        }
    }
}

#[test]
fn a_policy_status_reads_back_equal() {
    let policy = skipping();
    let one = result(&policy, Reason::NoSignature);
    let facts = Facts { policy: &policy, images: [("a", Some(&one))].into(), blind: None, pods: 1, containers: 1 };
    let status = policy::next(&TrustPolicyStatus::default(), &facts, at(0));
    let read: TrustPolicyStatus =
        serde_json::from_value(serde_json::to_value(&status).expect("it is written")).expect("it is read");
    assert_eq!(read, status);
    assert!(!policy::worth_writing(&status, &read, HOUR));
}
