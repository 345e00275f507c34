// SPDX-License-Identifier: Apache-2.0
//! The Secrets that the trust stores of one policy name. Each is read by `get`, never listed or watched, so that the
//! operator needs no right to see others; and of each only the keys that are named are kept, as a private key often
//! lies beside the certificate.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use sealwatch_api::TrustPolicySpec;

use super::source::Held;
use crate::{apply::bounded, config_maps::Values};

/// How soon a Secret that cannot be used is read again.
const RETRY: Duration = Duration::from_secs(30);

/// Which keys of which Secrets.
pub(super) type Wanted = BTreeMap<String, BTreeSet<String>>;

/// The keys of Secrets that trust stores name.
pub(super) fn wanted(spec: &TrustPolicySpec) -> Wanted {
    let mut wanted = Wanted::new();
    let sources = spec.trust_stores.iter().flat_map(|store| &store.certificates);
    for reference in sources.filter_map(|source| source.secret_key_ref.as_ref()) {
        wanted.entry(reference.name.clone()).or_default().insert(reference.key.clone());
    }
    wanted
}

/// How fresh the Secrets of a policy have to be.
#[derive(Clone, Debug)]
pub struct Freshness {
    /// After this time they are read again.
    pub period: Duration,
    /// For so long what was read outlives the last time that the API server could be asked.
    pub stale_after: Duration,
    /// The request for a fresh look that they have to be read for.
    pub request: Option<String>,
}

/// One Secret as it was read.
#[derive(Clone, Debug)]
struct Read {
    /// When it was asked for last.
    asked: Instant,
    /// When the API server last said what `held` says.
    answered: Instant,
    request: Option<String>,
    keys: BTreeSet<String>,
    held: Held,
}

impl Read {
    fn is_whole(&self) -> bool {
        let Ok(Some(values)) = &self.held else { return false };
        self.asked == self.answered && self.keys.iter().all(|key| values.contains_key(key))
    }

    /// How long until it is to be read again, zero if it is due.
    fn wait(&self, keys: &BTreeSet<String>, freshness: &Freshness, now: Instant) -> Duration {
        if self.request != freshness.request || !keys.is_subset(&self.keys) {
            return Duration::ZERO;
        }
        let pause = if self.is_whole() { freshness.period } else { RETRY.min(freshness.period) };
        pause.saturating_sub(now.saturating_duration_since(self.asked))
    }
}

/// The Secrets of one policy's trust stores, as they were last read.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    read: BTreeMap<String, Read>,
}

impl Secrets {
    /// Reads what is due, and forgets what is named no more.
    pub(super) async fn refresh(&mut self, client: &Client, namespace: &str, wanted: &Wanted, freshness: &Freshness) {
        self.read.retain(|name, _| wanted.contains_key(name));
        let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
        for (name, keys) in wanted {
            let due = |read: &Read| read.wait(keys, freshness, Instant::now()).is_zero();
            if self.read.get(name).is_none_or(due) {
                let answer = match bounded(api.get_opt(name)).await {
                    Ok(secret) => Answer::Held(Ok(secret.map(|secret| Arc::new(values_of(secret, keys))))),
                    Err(error) if error.is_refusal() => Answer::Held(Err(error.sentence())),
                    Err(error) => Answer::None(error.sentence()),
                };
                self.take_in(name, keys, answer, freshness, Instant::now());
            }
        }
    }

    fn take_in(&mut self, name: &str, keys: &BTreeSet<String>, answer: Answer, freshness: &Freshness, now: Instant) {
        let before = self.read.get(name).filter(|before| keys.is_subset(&before.keys));
        let kept =
            before.filter(|before| now.saturating_duration_since(before.answered) < freshness.stale_after).cloned();
        let (answered, held) = match (answer, kept) {
            (Answer::Held(held), _) => (now, held),
            // An API server that is out of reach says nothing about the certificates.
            (Answer::None(_), Some(kept)) => (kept.answered, kept.held),
            (Answer::None(why), None) => (now, Err(why)),
        };
        let read = Read { asked: now, answered, request: freshness.request.clone(), keys: keys.clone(), held };
        self.read.insert(name.to_owned(), read);
    }

    /// What they hold.
    pub(super) fn held(&self) -> BTreeMap<String, Held> {
        self.read.iter().map(|(name, read)| (name.clone(), read.held.clone())).collect()
    }

    /// How long until the first is to be read again.
    pub(super) fn next(&self, freshness: &Freshness, now: Instant) -> Option<Duration> {
        self.read.values().map(|read| read.wait(&read.keys, freshness, now)).min()
    }
}

/// What came of asking for a Secret.
enum Answer {
    /// The API server says what it holds, or that it is not ours to see.
    Held(Held),
    /// It says nothing; why.
    None(String),
}

/// The values of these keys of a Secret.
fn values_of(secret: Secret, keys: &BTreeSet<String>) -> Values {
    let data = secret.data.unwrap_or_default().into_iter();
    data.filter(|(key, _)| keys.contains(key)).map(|(key, value)| (key, value.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn freshness(request: Option<&str>) -> Freshness {
        Freshness { period: HOUR, stale_after: 3 * HOUR, request: request.map(str::to_owned) }
    }

    fn keys(keys: &[&str]) -> BTreeSet<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    fn good() -> Answer {
        Answer::Held(Ok(Some(Arc::new(Values::from([("root.crt".to_owned(), b"pem".to_vec())])))))
    }

    /// Secrets of which one was asked for at `now`, and how long until that is due again.
    fn after(answer: Answer, now: Instant) -> (Secrets, Option<Duration>) {
        let mut secrets = Secrets::default();
        secrets.take_in("roots", &keys(&["root.crt"]), answer, &freshness(None), now);
        let next = secrets.next(&freshness(None), now);
        (secrets, next)
    }

    #[test]
    fn a_secret_is_read_again_after_the_interval_and_sooner_if_it_is_of_no_use() {
        let now = Instant::now();
        assert_eq!(after(good(), now).1, Some(HOUR));
        assert_eq!(after(Answer::Held(Ok(None)), now).1, Some(RETRY), "it does not exist");
        assert_eq!(after(Answer::Held(Err("forbidden".into())), now).1, Some(RETRY));
        assert_eq!(after(Answer::Held(Ok(Some(Arc::default()))), now).1, Some(RETRY), "the key is missing");
        assert_eq!(after(Answer::None("timeout".into()), now).1, Some(RETRY));
    }

    #[test]
    fn a_request_and_a_key_that_was_not_read_are_due_at_once() {
        let now = Instant::now();
        let (secrets, _) = after(good(), now);
        assert_eq!(secrets.next(&freshness(Some("now")), now), Some(Duration::ZERO));
        let read = secrets.read.get("roots").expect("it was read");
        assert_eq!(read.wait(&keys(&["root.crt", "other.crt"]), &freshness(None), now), Duration::ZERO);
    }

    #[test]
    fn an_api_server_out_of_reach_takes_nothing_away_until_staleness_does() {
        let now = Instant::now();
        let (mut secrets, _) = after(good(), now);
        let mut ask = |after: Duration| {
            let answer = Answer::None("timeout".into());
            secrets.take_in("roots", &keys(&["root.crt"]), answer, &freshness(None), now + after);
            secrets.held().remove("roots").expect("it was read").is_ok_and(|held| held.is_some())
        };
        assert!(ask(HOUR));
        assert!(ask(2 * HOUR), "the time of the last answer counts, not that of the last question");
        assert!(!ask(3 * HOUR));
        let (mut secrets, _) = after(good(), now);
        let refused = Answer::Held(Err("forbidden".into()));
        secrets.take_in("roots", &keys(&["root.crt"]), refused, &freshness(None), now);
        assert!(secrets.held().remove("roots").expect("it was read").is_err(), "a refusal is an answer");
    }

    #[test]
    fn of_a_secret_only_what_is_named_is_kept() {
        let data = [("tls.key", "private"), ("tls.crt", "public")];
        let data = data.map(|(key, value)| (key.to_owned(), k8s_openapi::ByteString(value.into())));
        let secret = Secret { data: Some(data.into()), ..Secret::default() };
        assert_eq!(values_of(secret, &keys(&["tls.crt"])).into_keys().collect::<Vec<_>>(), ["tls.crt"]);
    }
}
