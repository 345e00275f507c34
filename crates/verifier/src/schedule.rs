// SPDX-License-Identifier: Apache-2.0
//! When to look next. Pure: every moment and every chance is an argument.

use std::time::Duration;

use jiff::Timestamp;

use crate::limits::{JITTER_PERCENT, RETRY_AFTER_MOST, RETRY_FIRST, RETRY_MOST};

/// The period of one image: `interval` ±10 %, at a place of its own within that range, so that the images of a
/// namespace spread over time. `seed` is any number that belongs to the image.
pub fn period(interval: Duration, seed: u64) -> Duration {
    let interval = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
    let reach = interval / 100 * JITTER_PERCENT;
    let place = seed % reach.saturating_mul(2).saturating_add(1);
    Duration::from_millis(interval.saturating_sub(reach).saturating_add(place))
}

/// The wait after `failures` failed attempts in a row (1 for the first): 1 s doubling to 15 min; a longer wish of
/// the registry (`Retry-After`) is obeyed up to a day.
pub fn retry(failures: u32, retry_after: Option<Duration>) -> Duration {
    let doubled = RETRY_FIRST.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(20)));
    let wish = retry_after.unwrap_or_default().min(RETRY_AFTER_MOST);
    doubled.min(RETRY_MOST).max(wish)
}

/// The wait of one image after its `failures`th failed attempt: [`retry`]'s `pause`, and up to 10 % more, so that images
/// that failed together do not come back together. `seed` is any number that belongs to the image.
pub fn spread(pause: Duration, failures: u32, seed: u64) -> Duration {
    let reach = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX) / 100 * JITTER_PERCENT;
    // Each attempt looks at other bits, so images whose places lie together once are apart the next time.
    let place = seed.rotate_left(failures) % reach.saturating_add(1);
    pause.saturating_add(Duration::from_millis(place))
}

/// How long until `moment`, zero when it has passed.
pub fn until(moment: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(moment.duration_since(now)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn retries_double_from_one_second_to_fifteen_minutes() {
        let waits: Vec<u64> = (1..=12).map(|failures| retry(failures, None).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
    }

    #[test]
    fn a_registry_that_asks_for_more_patience_gets_it_up_to_a_day() {
        assert_eq!(retry(1, Some(Duration::from_secs(77))), Duration::from_secs(77));
        assert_eq!(retry(12, Some(Duration::from_secs(5))), RETRY_MOST);
        assert_eq!(retry(1, Some(Duration::MAX)), RETRY_AFTER_MOST);
    }

    #[test]
    fn images_that_failed_together_come_back_apart_and_none_before_its_time() {
        let pause = retry(12, None);
        let waits: Vec<Duration> =
            (0..1_000_u64).map(|image| spread(pause, 12, image.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        assert!(waits.iter().all(|wait| (pause..=pause.mul_f64(1.1)).contains(wait)));
        let parts = |part: u32| {
            let (from, to) = (pause + pause / 40 * part, pause + pause / 40 * (part + 1));
            waits.iter().filter(|wait| (from..to).contains(wait)).count()
        };
        assert!((0..4).all(|part| parts(part) > 150), "{waits:?}");
    }

    #[test]
    fn a_moment_that_has_passed_is_due_at_once() {
        let now = Timestamp::from_second(1_000).expect("in range");
        let later = Timestamp::from_second(1_060).expect("in range");
        assert_eq!(until(later, now), Duration::from_mins(1));
        assert_eq!(until(now, later), Duration::ZERO);
        assert_eq!(until(Timestamp::MIN, Timestamp::MAX), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn every_period_stays_within_ten_percent_of_the_interval(seconds in 60_u64..10_000_000, seed: u64) {
            let interval = Duration::from_secs(seconds);
            let period = period(interval, seed);
            let rounding = Duration::from_millis(10);
            prop_assert!(period + rounding >= interval.mul_f64(0.9));
            prop_assert!(period <= interval.mul_f64(1.1) + rounding);
        }

        #[test]
        fn no_interval_and_no_failure_count_is_too_large(seconds: u64, seed: u64, failures: u32, wish: u64) {
            period(Duration::from_secs(seconds), seed);
            let pause = retry(failures, Some(Duration::from_secs(wish)));
            prop_assert!(pause <= RETRY_AFTER_MOST);
            let spread = spread(pause, failures, seed);
            prop_assert!(spread >= pause && spread <= pause.mul_f64(1.1) + Duration::from_millis(1));
        }
    }
}
