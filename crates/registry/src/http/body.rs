// SPDX-License-Identifier: Apache-2.0
//! What a body costs while it is read: memory, of which the process has a bounded amount, and time.

use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::limits::{FREE_BODY_BYTES, LEAST_PROGRESS_BYTES, LEAST_PROGRESS_TIME, MAX_LARGE_BODY_BYTES};

/// Room for the large bodies of all registries. The process has one memory, so it has one budget.
static LARGE_BODIES: Semaphore = Semaphore::const_new(MAX_LARGE_BODY_BYTES);

/// The room of one body. Small ones, and so every usual signature and list, have room of their own and never wait for
/// the large ones of somebody hostile.
#[derive(Default)]
pub(super) struct Room {
    reserved: Option<SemaphorePermit<'static>>,
}

impl Room {
    /// Waits until there is room for a body that has `read` bytes so far and may have `most` in all, and gives it that
    /// room. It is reserved in one piece: who waits holds nothing that another waits for, and a body that grows piece by
    /// piece would be there twice while it is moved.
    pub(super) async fn make(&mut self, body: &mut BytesMut, read: usize, most: u64) {
        if read <= FREE_BODY_BYTES || self.reserved.is_some() {
            return;
        }
        let most = usize::try_from(most).unwrap_or(MAX_LARGE_BODY_BYTES).min(MAX_LARGE_BODY_BYTES);
        // The semaphore is never closed.
        self.reserved = LARGE_BODIES.acquire_many(u32::try_from(most).unwrap_or(u32::MAX)).await.ok();
        let mut whole = BytesMut::with_capacity(most.max(read));
        whole.extend_from_slice(body);
        *body = whole;
    }
}

/// The rule against bodies that come byte by byte: so many bytes in each stretch of time.
pub(super) struct Pace {
    since: Instant,
    bytes: usize,
}

impl Pace {
    pub(super) fn start() -> Self {
        Self { since: Instant::now(), bytes: 0 }
    }

    /// Whether what came, with these bytes, is still enough.
    pub(super) fn keeps_up(&mut self, bytes: usize) -> bool {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.since.elapsed() < LEAST_PROGRESS_TIME {
            return true;
        }
        let is_enough = self.bytes >= LEAST_PROGRESS_BYTES;
        *self = Self::start();
        is_enough
    }

    /// Time spent waiting for room is not the server's.
    pub(super) fn forgive(&mut self, waited: Duration) {
        self.since = self.since.checked_add(waited).unwrap_or(self.since);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_has_to_progress_in_each_stretch_of_time() {
        let mut pace = Pace::start();
        assert!(pace.keeps_up(1), "a slow start is no offence yet");
        tokio::time::advance(LEAST_PROGRESS_TIME).await;
        assert!(pace.keeps_up(LEAST_PROGRESS_BYTES));
        tokio::time::advance(LEAST_PROGRESS_TIME).await;
        assert!(!pace.keeps_up(LEAST_PROGRESS_BYTES - 1), "what came before does not count");
        let mut pace = Pace::start();
        tokio::time::advance(LEAST_PROGRESS_TIME).await;
        pace.forgive(LEAST_PROGRESS_TIME);
        assert!(pace.keeps_up(1));
    }

    #[tokio::test]
    async fn large_bodies_wait_for_each_other_and_small_ones_for_nobody() {
        let (mut first, mut body) = (Room::default(), BytesMut::from(&b"begun"[..]));
        first.make(&mut body, FREE_BODY_BYTES + 1, u64::MAX).await;
        assert_eq!((&body[..], body.capacity()), (&b"begun"[..], MAX_LARGE_BODY_BYTES));
        assert_eq!(LARGE_BODIES.available_permits(), 0);
        let mut small = Room::default();
        small.make(&mut BytesMut::new(), FREE_BODY_BYTES, u64::MAX).await;
        let mut second = Room::default();
        let mut body = BytesMut::new();
        let make = second.make(&mut body, FREE_BODY_BYTES + 1, 100_000);
        let waiting = tokio::time::timeout(Duration::from_millis(20), make).await;
        assert!(waiting.is_err(), "there is no room");
        drop(first);
        second.make(&mut body, FREE_BODY_BYTES + 1, 100_000).await;
        assert_eq!(LARGE_BODIES.available_permits(), MAX_LARGE_BODY_BYTES - 100_000);
    }
}
