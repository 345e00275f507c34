// SPDX-License-Identifier: Apache-2.0
//! What the operator sees of the cluster: which kinds were listed, when the API server was last heard about each, and
//! what keeps it from showing one.
//!
//! A watch in a quiet cluster delivers nothing for long, so what counts as a sign of life is any part of any answer
//! (the API server sends a bookmark about once a minute). A connection that nobody closed and nothing comes over is
//! noticed by that.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sealwatch_api::condition::Circumstance;
use tokio::sync::Notify;

use crate::status::Trouble;

/// The kinds whose first complete list must be in before anything is decided, and what they are called in an address.
///
/// Nodes that are not shown to us are as good as listed: images are judged without their platforms then.
pub const WATCHED: [(&str, &str); 5] = [
    ("Pod", "pods"),
    ("TrustPolicy", "trustpolicies"),
    ("ImageVerification", "imageverifications"),
    ("ConfigMap", "configmaps"),
    ("Node", "nodes"),
];

/// A kind that is watched only once a policy names one.
pub const BUNDLES: (&str, &str) = ("ClusterTrustBundle", "clustertrustbundles");

/// Those that concern only who names one (a refusal is said by the trust stores), and nodes, without which the rest works.
const NAMED: [&str; 3] = ["ConfigMap", "Node", BUNDLES.0];

/// How much longer than a watch request may last a kind may go unheard: a connection that nobody closed is given up 5 s
/// after that time, and to ask anew takes a moment.
const STALE_MARGIN: Duration = Duration::from_secs(10);

/// Why the API server does not show a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// It in a sentence.
    pub sentence: String,
    /// Whether it refuses to, rather than fails to.
    pub forbidden: bool,
}

/// What is known of one kind.
#[derive(Debug)]
struct Kind {
    listed: bool,
    heard: Instant,
    fault: Option<Fault>,
}

impl Kind {
    fn new(now: Instant) -> Self {
        Self { listed: false, heard: now, fault: None }
    }

    fn is_forbidden(&self) -> bool {
        self.fault.as_ref().is_some_and(|fault| fault.forbidden)
    }
}

/// What the operator sees of the cluster.
#[derive(Clone, Debug)]
pub struct Sight(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kinds: Mutex<BTreeMap<&'static str, Kind>>,
    stale_after: Duration,
    changed: Notify,
}

impl Sight {
    /// Nothing is seen yet. `watch_timeout` is how long a watch request may last.
    pub fn new(watch_timeout: Duration) -> Self {
        let now = Instant::now();
        let kinds = WATCHED.into_iter().map(|(kind, _)| (kind, Kind::new(now))).collect();
        let stale_after = watch_timeout.saturating_add(STALE_MARGIN);
        Self(Arc::new(Inner { kinds: Mutex::new(kinds), stale_after, changed: Notify::new() }))
    }

    fn kinds(&self) -> MutexGuard<'_, BTreeMap<&'static str, Kind>> {
        self.0.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, kind: &'static str, change: impl FnOnce(&mut Kind)) {
        if let Some(known) = self.kinds().get_mut(kind) {
            change(known);
        }
        self.0.changed.notify_waiters();
    }

    /// `kind` is watched from now on, too; nobody waits for its first list.
    pub fn begins(&self, kind: &'static str) {
        self.kinds().insert(kind, Kind { listed: true, ..Kind::new(Instant::now()) });
    }

    /// `kind` is not watched any more, and so cannot be stale.
    pub fn ends(&self, kind: &'static str) {
        self.kinds().remove(kind);
    }

    /// The API server has answered a list or watch of what is called so in its address, or said something in it.
    pub fn heard(&self, plural: &str, now: Instant) {
        let Some((kind, _)) = WATCHED.into_iter().chain([BUNDLES]).find(|(_, name)| *name == plural) else { return };
        if let Some(known) = self.kinds().get_mut(kind) {
            known.heard = now;
            if known.fault.take().is_none() {
                return;
            }
        }
        self.0.changed.notify_waiters();
    }

    /// The first complete list of `kind` is in.
    pub fn listed(&self, kind: &'static str) {
        self.change(kind, |known| known.listed = true);
    }

    /// The API server does not show `kind`.
    pub fn failed(&self, kind: &'static str, fault: Fault) {
        self.change(kind, |known| known.fault = Some(fault));
    }

    /// The kinds whose first list is not in.
    pub fn missing(&self) -> Vec<&'static str> {
        self.kinds().iter().filter(|(_, known)| !known.listed).map(|(kind, _)| *kind).collect()
    }

    /// Whether the first list of a kind is not in without which nothing can be discovered.
    pub fn lacks_essentials(&self) -> bool {
        self.missing().iter().any(|kind| !NAMED.contains(kind))
    }

    /// How long ago each kind was heard of, but for those that the API server refuses to show and that concern only who
    /// names one: that they may not be read is a choice, and their silence no sign.
    pub fn ages(&self, now: Instant) -> Vec<(&'static str, Duration)> {
        let kinds = self.kinds();
        let watched = kinds.iter().filter(|(kind, known)| !is_said_elsewhere(kind, known));
        watched.map(|(kind, known)| (*kind, now.saturating_duration_since(known.heard))).collect()
    }

    /// Why the API server refuses to show a kind, while it does.
    pub fn refusal(&self, kind: &str) -> Option<String> {
        let kinds = self.kinds();
        let known = kinds.get(kind).filter(|known| known.is_forbidden())?;
        known.fault.as_ref().map(|fault| fault.sentence.clone())
    }

    /// What keeps statuses from being about the cluster as it is now: pods that are not shown, else another kind that is
    /// not, or that was not heard of for longer than a watch may last. `ConfigMap`s and `ClusterTrustBundle`s that are not
    /// shown concern only who names one, and nodes nobody.
    pub fn trouble(&self, now: Instant) -> Option<Trouble> {
        let kinds = self.kinds();
        let trouble = |reason: Circumstance, message: String| Trouble { reason: reason.into(), message };
        if let Some(Kind { fault: Some(fault), .. }) = kinds.get("Pod")
            && fault.forbidden
        {
            let message = format!("the API server does not show the pods: {}", fault.sentence);
            return Some(trouble(Circumstance::PodsForbidden, message));
        }
        let forbidden = kinds.iter().find(|(kind, known)| !NAMED.contains(kind) && known.is_forbidden());
        if let Some((kind, Kind { fault: Some(fault), .. })) = forbidden {
            let message = format!("the API server does not show every {kind}: {}", fault.sentence);
            return Some(trouble(Circumstance::CacheStale, message));
        }
        let stale: Vec<&str> = kinds
            .iter()
            .filter(|(kind, known)| !is_said_elsewhere(kind, known))
            .filter(|(_, known)| now.saturating_duration_since(known.heard) > self.0.stale_after)
            .map(|(kind, _)| *kind)
            .collect();
        let (seconds, kinds) = (self.0.stale_after.as_secs(), stale.join(", "));
        (!stale.is_empty()).then(|| {
            let message =
                format!("nothing was heard about {kinds} for more than {seconds} s, longer than a watch lasts");
            trouble(Circumstance::CacheStale, message)
        })
    }

    /// What there is to say of readiness: nothing if all is well, else a line for each matter.
    pub fn unready(&self, now: Instant) -> Vec<String> {
        let waiting = {
            let kinds = self.kinds();
            let missing = kinds.iter().filter(|(_, known)| !known.listed);
            let line = |(kind, known): (&&str, &Kind)| match &known.fault {
                Some(fault) => format!("waiting for the first list of {kind}: {}", fault.sentence),
                None => format!("waiting for the first list of {kind}"),
            };
            missing.map(line).collect::<Vec<_>>()
        };
        if waiting.is_empty() {
            self.trouble(now).into_iter().map(|trouble| trouble.message).collect()
        } else {
            waiting
        }
    }

    /// Waits until every first list is in, but for those of `ConfigMap`s and nodes where they are not shown.
    pub async fn wait(&self) {
        self.until(|kind| NAMED.contains(&kind)).await;
    }

    /// Waits until every first list is in, or the API server refuses to show what is missing, which is then to be said.
    pub async fn wait_or_refusal(&self) {
        self.until(|_| true).await;
    }

    async fn until(&self, may_be_refused: impl Fn(&str) -> bool) {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that a change in between is not missed.
            changed.as_mut().enable();
            let settled = |(kind, known): (&&str, &Kind)| known.listed || may_be_refused(kind) && known.is_forbidden();
            // A policy can only be said something if it is known.
            let done =
                self.kinds().iter().all(settled) && self.kinds().get("TrustPolicy").is_some_and(|kind| kind.listed);
            if done {
                return;
            }
            changed.await;
        }
    }
}

/// Whether a kind is not shown, and only who names one is concerned, who says so.
fn is_said_elsewhere(kind: &str, known: &Kind) -> bool {
    NAMED.contains(&kind) && known.is_forbidden()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(195);

    fn forbidden() -> Fault {
        Fault { sentence: "forbidden".into(), forbidden: true }
    }

    fn failing() -> Fault {
        Fault { sentence: "connection refused".into(), forbidden: false }
    }

    async fn waits(wait: impl Future<Output = ()>) -> bool {
        tokio::time::timeout(Duration::from_millis(5), wait).await.is_err()
    }

    #[tokio::test]
    async fn waiting_ends_only_when_every_first_list_is_in() {
        let sight = Sight::new(TIMEOUT);
        for (kind, _) in WATCHED {
            assert!(waits(sight.wait()).await, "did not wait for {kind}");
            sight.listed(kind);
        }
        sight.wait().await;
        assert!(sight.missing().is_empty());
        assert!(sight.unready(Instant::now()).is_empty());
    }

    #[tokio::test]
    async fn what_is_not_shown_does_not_keep_a_policy_from_saying_so() {
        for refused in ["Pod", "ImageVerification", "ConfigMap"] {
            let sight = Sight::new(TIMEOUT);
            for (kind, _) in WATCHED.into_iter().filter(|(kind, _)| *kind != refused) {
                sight.listed(kind);
            }
            assert!(waits(sight.wait_or_refusal()).await, "{refused} may still come");
            sight.failed(refused, failing());
            assert!(waits(sight.wait_or_refusal()).await, "a failure may pass");
            sight.failed(refused, forbidden());
            sight.wait_or_refusal().await;
            assert_eq!(waits(sight.wait()).await, refused != "ConfigMap", "images are judged without {refused}");
            let reason = sight.trouble(Instant::now()).map(|trouble| trouble.reason);
            let expected = match refused {
                "Pod" => Some(Circumstance::PodsForbidden.into()),
                "ConfigMap" => None,
                _ => Some(Circumstance::CacheStale.into()),
            };
            assert_eq!(reason, expected);
        }
    }

    #[test]
    fn an_answer_takes_a_fault_away() {
        let sight = Sight::new(TIMEOUT);
        sight.failed("Pod", forbidden());
        assert_eq!(sight.refusal("Pod").as_deref(), Some("forbidden"));
        sight.heard("secrets", Instant::now());
        sight.heard("configmaps", Instant::now());
        assert!(sight.refusal("Pod").is_some(), "others say nothing about pods");
        sight.heard("pods", Instant::now());
        assert_eq!(sight.refusal("Pod"), None);
    }

    #[test]
    fn a_kind_that_is_not_heard_of_for_longer_than_a_watch_lasts_is_stale() {
        let sight = Sight::new(TIMEOUT);
        let start = Instant::now();
        for (_, plural) in WATCHED {
            sight.heard(plural, start);
        }
        assert_eq!(sight.trouble(start + TIMEOUT), None);
        for (_, plural) in WATCHED.into_iter().filter(|(kind, _)| *kind != "Pod") {
            sight.heard(plural, start + TIMEOUT);
        }
        let later = start + TIMEOUT + STALE_MARGIN + Duration::from_millis(1);
        let trouble = sight.trouble(later).expect("pods are stale");
        assert_eq!(trouble.reason, Circumstance::CacheStale.into());
        assert_eq!(trouble.message, "nothing was heard about Pod for more than 205 s, longer than a watch lasts");
        sight.heard("pods", later);
        assert_eq!(sight.trouble(later), None);
    }

    #[test]
    fn config_maps_that_are_refused_for_long_are_still_no_matter_of_others() {
        let sight = Sight::new(TIMEOUT);
        let later = Instant::now() + TIMEOUT + 2 * STALE_MARGIN;
        for (_, plural) in WATCHED.into_iter().filter(|(kind, _)| *kind != "ConfigMap") {
            sight.heard(plural, later);
        }
        assert!(sight.trouble(later).is_some(), "silence is told of");
        sight.failed("ConfigMap", forbidden());
        assert_eq!(sight.trouble(later), None, "a refusal is said by the trust stores that name one");
    }

    #[test]
    fn what_is_heard_of_no_more_grows_old_but_for_what_may_not_be_read_by_choice() {
        let sight = Sight::new(TIMEOUT);
        let start = Instant::now();
        for (_, plural) in WATCHED {
            sight.heard(plural, start);
        }
        let later = start + TIMEOUT;
        sight.heard("pods", later);
        let age = |kind: &str| sight.ages(later).into_iter().find(|(known, _)| *known == kind).map(|(_, age)| age);
        assert_eq!((age("Pod"), age("TrustPolicy")), (Some(Duration::ZERO), Some(TIMEOUT)));
        for kind in ["Node", "ConfigMap", "ImageVerification"] {
            sight.failed(kind, forbidden());
        }
        assert_eq!((age("Node"), age("ConfigMap")), (None, None));
        assert_eq!(age("ImageVerification"), Some(TIMEOUT), "without these nothing works");
        sight.heard("nodes", later);
        assert_eq!(age("Node"), Some(Duration::ZERO), "they may be read again");
    }

    #[test]
    fn bundles_are_waited_for_by_nobody_and_stale_only_while_they_are_watched() {
        let sight = Sight::new(TIMEOUT);
        for (kind, _) in WATCHED {
            sight.listed(kind);
        }
        sight.failed(BUNDLES.0, forbidden());
        assert!(sight.missing().is_empty(), "nobody watches them yet");
        sight.begins(BUNDLES.0);
        sight.failed(BUNDLES.0, forbidden());
        assert!(sight.missing().is_empty());
        assert_eq!(sight.trouble(Instant::now()), None, "it concerns only who names one");
        sight.heard(BUNDLES.1, Instant::now());
        let later = Instant::now() + TIMEOUT + 2 * STALE_MARGIN;
        for (_, plural) in WATCHED {
            sight.heard(plural, later);
        }
        assert!(sight.trouble(later).is_some_and(|trouble| trouble.message.contains(BUNDLES.0)));
        sight.heard(BUNDLES.1, later);
        assert_eq!(sight.trouble(later), None);
        sight.ends(BUNDLES.0);
        for (_, plural) in WATCHED {
            sight.heard(plural, later + 2 * TIMEOUT);
        }
        assert_eq!(sight.trouble(later + 2 * TIMEOUT), None);
    }

    #[test]
    fn readiness_names_what_is_waited_for_and_why() {
        let sight = Sight::new(TIMEOUT);
        for kind in ["Pod", "ConfigMap", "Node"] {
            sight.listed(kind);
        }
        sight.failed("TrustPolicy", failing());
        assert_eq!(
            sight.unready(Instant::now()),
            [
                "waiting for the first list of ImageVerification",
                "waiting for the first list of TrustPolicy: connection refused"
            ]
        );
    }
}
