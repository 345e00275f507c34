// SPDX-License-Identifier: Apache-2.0

use sealwatch_registry::Descriptor;
use sealwatch_registry::digest::Algorithm;
use sealwatch_verifier::Evidence;

use super::*;

const PERIOD: Duration = Duration::from_hours(1);

fn found() -> Arc<Findings> {
    let digest = sealwatch_registry::Digest::of_bytes(Algorithm::Sha256, b"image");
    let image = Descriptor {
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        digest,
        size: 7,
        artifact_type: None,
        annotations: BTreeMap::new(),
    };
    Arc::new(Findings::exact(Arc::new(Evidence {
        image,
        candidates: Vec::new(),
        omitted: 0,
        gathered_at: jiff::Timestamp::UNIX_EPOCH,
        gathered: Instant::now(),
    })))
}

fn failure(reason: Reason) -> LookError {
    LookError { reason, message: "no answer".into(), retry_after: None }
}

fn asked(at: &str) -> Request {
    Request { image: Some(at.into()), ..Request::default() }
}

/// How long until the next look, when nothing was asked for and the policy is of generation 1.
fn wait(looks: &Looks, now: Instant) -> Duration {
    looks.wait(&Request::default(), 1, PERIOD, now)
}

#[test]
fn the_first_look_is_due_at_once_and_the_next_after_the_period() {
    let (mut looks, now) = (Looks::default(), Instant::now());
    assert_eq!(wait(&looks, now), Duration::ZERO);
    looks.ended(Ok(found()), Request::default(), 1, now);
    assert_eq!(wait(&looks, now + Duration::from_mins(59)), Duration::from_mins(1));
    assert_eq!(wait(&looks, now + PERIOD), Duration::ZERO);
}

#[test]
fn a_shorter_interval_counts_from_the_last_look() {
    let (mut looks, now) = (Looks::default(), Instant::now());
    looks.ended(Ok(found()), Request::default(), 1, now);
    let minute = Duration::from_mins(1);
    assert_eq!(looks.wait(&Request::default(), 2, minute, now + minute), Duration::ZERO);
}

#[test]
fn a_request_makes_a_look_due_once() {
    let (mut looks, now) = (Looks::default(), Instant::now());
    looks.ended(Ok(found()), Request::default(), 1, now);
    assert_eq!(looks.wait(&asked("now"), 1, PERIOD, now), Duration::ZERO);
    looks.ended(Ok(found()), asked("now"), 1, now);
    assert_eq!(looks.wait(&asked("now"), 1, PERIOD, now), PERIOD);
    assert_eq!(looks.wait(&asked("later"), 1, PERIOD, now), Duration::ZERO);
}

#[test]
fn failures_wait_longer_each_time_and_keep_the_found() {
    let (mut looks, now) = (Looks::default(), Instant::now());
    looks.ended(Ok(found()), Request::default(), 1, now);
    for seconds in [1, 2, 4, 8] {
        looks.ended(Err(failure(Reason::RegistryUnavailable)), Request::default(), 1, now);
        assert_eq!(wait(&looks, now), Duration::from_secs(seconds));
        assert!(looks.findings.is_some());
    }
    looks.ended(Ok(found()), Request::default(), 1, now);
    assert_eq!((looks.failures, looks.error.clone(), wait(&looks, now)), (0, None, PERIOD));
}

#[test]
fn images_whose_registry_failed_do_not_come_back_together() {
    let (images, now) = (Images::default(), Instant::now());
    let wait_of = |name: &str| {
        let memory = images.of(&ObjectRef::<ImageVerification>::new(name).within("aio"), "1");
        let looks = &mut lock(&memory).looks;
        looks.failures = 20;
        looks.ended(Err(failure(Reason::RegistryUnavailable)), Request::default(), 1, now);
        wait(looks, now)
    };
    let waits: Vec<Duration> = ["a", "b", "c", "d"].map(wait_of).to_vec();
    let (first, last) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
    assert!(*first >= Duration::from_mins(15) && *last <= Duration::from_secs(990), "{waits:?}");
    assert!(last.saturating_sub(*first) > Duration::from_secs(1), "{waits:?}");
}

#[test]
fn an_edit_of_the_policy_looks_again_at_what_could_not_be_looked_at() {
    let (mut looks, now) = (Looks::default(), Instant::now());
    looks.ended(Err(failure(Reason::RegistryUnauthorized)), Request::default(), 1, now);
    assert_eq!(looks.wait(&Request::default(), 2, PERIOD, now), Duration::ZERO);
    looks.ended(Ok(found()), Request::default(), 2, now);
    assert_eq!(looks.wait(&Request::default(), 3, PERIOD, now), PERIOD, "what was looked at is not asked again");
}

#[test]
fn an_image_that_the_registry_does_not_know_has_no_evidence_any_more() {
    let (mut looks, now) = (Looks::default(), Instant::now());
    looks.ended(Ok(found()), Request::default(), 1, now);
    looks.ended(Err(failure(Reason::ImageNotFound)), Request::default(), 1, now);
    assert!(looks.findings.is_none());
}

#[test]
fn an_object_made_anew_under_an_old_name_has_no_memory() {
    let images = Images::default();
    let image = ObjectRef::<ImageVerification>::new("a").within("aio");
    lock(&images.of(&image, "1")).looks.failures = 3;
    assert_eq!(lock(&images.of(&image, "1")).looks.failures, 3);
    assert_eq!(lock(&images.of(&image, "2")).looks.failures, 0);
    images.remove(&image);
    assert!(images.results("aio", ["a"].into_iter()).values().all(Option::is_none));
}

#[test]
fn a_discovery_tells_which_images_changed() {
    use crate::{
        discover::Found,
        running::{ImageKey, RunningDigest, RunningImage},
    };
    let found = |pods: usize| Found {
        key: ImageKey { repository: "registry.example/app".into(), digest: RunningDigest::Unreadable("x".into()) },
        running: RunningImage { pods, ..RunningImage::default() },
    };
    let table = Discoveries::default();
    let replace = |images: Vec<(&str, usize)>| {
        let found = images.into_iter().map(|(name, pods)| (name.to_owned(), found(pods))).collect();
        table.replace("aio", "microsoft", &Arc::new(found))
    };
    assert_eq!(replace(vec![("a", 1), ("b", 1)]), ["a", "b"]);
    assert_eq!(replace(vec![("a", 1), ("b", 2)]), ["b"]);
    assert_eq!(replace(vec![("b", 2), ("c", 1)]), ["a", "c"]);
    assert_eq!(table.of("aio", "microsoft").len(), 2);
    table.remove("aio", "microsoft");
    assert!(table.of("aio", "microsoft").is_empty());
}

#[test]
fn revocation_is_asked_about_when_it_is_due_at_a_pace_and_at_once_after_an_edit() {
    let (mut looks, now) = (Looks::default(), Instant::now());
    let (policy, edited) = ((1, "one".to_owned()), (2, "one".to_owned()));
    let hour = Some(Duration::from_hours(1));
    assert_eq!(looks.revocation_wait(None, &policy, now), None, "there is nothing to ask");
    assert_eq!(looks.revocation_wait(Some(Duration::ZERO), &policy, now), Some(Duration::ZERO));
    looks.in_flight = true;
    looks.learnt(policy.clone(), now);
    assert!(!looks.in_flight);
    assert_eq!(looks.revocation_wait(hour, &policy, now), hour);
    assert_eq!(looks.revocation_wait(Some(Duration::ZERO), &policy, now), Some(REVOCATION_PACE));
    assert_eq!(looks.revocation_wait(Some(Duration::ZERO), &policy, now + REVOCATION_PACE), Some(Duration::ZERO));
    assert_eq!(looks.revocation_wait(Some(Duration::ZERO), &edited, now), Some(Duration::ZERO));
    assert_eq!(wait(&looks, now), Duration::ZERO, "the registry has not been asked by that");
}

#[test]
fn another_node_or_reference_makes_a_look_due_and_asks_for_nothing_afresh() {
    let framed = |tag: &str| Request {
        framing: Some(Framing {
            matching: DigestMatching::FollowIndex,
            references: vec![format!("registry.example/app:{tag}").parse().expect("a reference")],
            platforms: Platforms::Unknown,
        }),
        ..Request::default()
    };
    let (mut looks, now) = (Looks::default(), Instant::now());
    looks.ended(Ok(found()), framed("1"), 1, now);
    assert_eq!(looks.wait(&framed("1"), 1, PERIOD, now), PERIOD);
    assert_eq!(looks.wait(&framed("2"), 1, PERIOD, now), Duration::ZERO);
    assert!(!framed("2").asks_afresh(&framed("1")));
    assert!(asked("now").asks_afresh(&framed("1")) && !asked("now").asks_afresh(&asked("now")));
    // One that fails is no reason to try without pause.
    looks.ended(Err(failure(Reason::RegistryUnavailable)), framed("2"), 1, now);
    assert!(looks.wait(&framed("2"), 1, PERIOD, now) > Duration::ZERO);
}
