// SPDX-License-Identifier: Apache-2.0
//! The pauses between the attempts of a watch.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{Stream, TryStreamExt as _};
use kube::runtime::{
    WatchStreamExt as _,
    utils::Backoff,
    watcher::{self, Event},
};

use super::forbidden;

/// The longest pause before a watch goes on that failed and was not refused.
const PAUSE_MOST: Duration = Duration::from_secs(10);

/// How a watch that fails goes on: 0.8 s later, then after longer pauses. An API server that was out of reach is asked
/// soon enough to recover within 10 s; one that refuses, once in 30 s.
#[derive(Default)]
struct Pauses {
    longer: watcher::DefaultBackoff,
    refused: Arc<AtomicBool>,
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.longer.next()?;
        Some(if self.refused.load(Ordering::Relaxed) { pause } else { pause.min(PAUSE_MOST) })
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.longer.reset();
    }
}

/// Events with a pause after each failure.
pub(super) fn pausing<K: Send + 'static>(
    events: impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static {
    let pauses = Pauses::default();
    let refused = Arc::clone(&pauses.refused);
    let events = events.inspect_err(move |error| refused.store(forbidden(error).is_some(), Ordering::Relaxed));
    events.backoff(pauses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_out_of_reach_is_asked_every_ten_seconds_and_who_refuses_every_thirty() {
        let mut pauses = Pauses::default();
        let first = pauses.next().expect("a pause");
        assert!(first >= Duration::from_millis(800) && first < PAUSE_MOST, "{first:?}");
        assert_eq!(pauses.by_ref().take(8).last(), Some(PAUSE_MOST));
        pauses.refused.store(true, Ordering::Relaxed);
        assert!(pauses.next().is_some_and(|pause| pause >= Duration::from_secs(30)));
        pauses.refused.store(false, Ordering::Relaxed);
        assert_eq!(pauses.next(), Some(PAUSE_MOST));
    }
}
