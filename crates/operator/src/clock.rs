// SPDX-License-Identifier: Apache-2.0
//! Whether somebody set the clock (F22). What ends is judged by the clock and what is waited for by the monotonic one, so
//! that a clock that was set wakes nobody by itself; an edge device that starts in 1970 and asks for the time a minute
//! later must not go by the old time until the next look.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// By how much the clock must differ from what has passed to count as set. What a time service does slowly, and what lies
/// between reading one clock and the other, is less.
const SET_LEAST: Duration = Duration::from_secs(5);

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    wall: Timestamp,
    steady: Instant,
}

impl Clocks {
    /// Both clocks now, read by the caller.
    pub fn new(wall: Timestamp, steady: Instant) -> Self {
        Self { wall, steady }
    }

    /// Takes in both clocks of a later moment. Returns by how much the clock was set in between, forward or (negative)
    /// back; none if it went on as it should.
    pub fn set_by(&mut self, wall: Timestamp, steady: Instant) -> Option<SignedDuration> {
        let passed =
            SignedDuration::try_from(steady.saturating_duration_since(self.steady)).unwrap_or(SignedDuration::MAX);
        let set = wall.duration_since(self.wall).saturating_sub(passed);
        *self = Self { wall, steady };
        (set.unsigned_abs() >= SET_LEAST).then_some(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn a_clock_that_goes_on_was_not_set_however_long_nobody_looked() {
        let start = Instant::now();
        let mut clocks = Clocks::new(at(1_000), start);
        for seconds in [0, 1, 3_600, 3_600 * 24 * 365] {
            let (wall, steady) = (clocks.wall, clocks.steady);
            let passed = Duration::from_secs(seconds);
            assert_eq!(clocks.set_by(wall + passed, steady + passed), None);
        }
        // A time service that slows the clock down, or a pause between reading both.
        let (wall, steady) = (clocks.wall, clocks.steady);
        assert_eq!(clocks.set_by(wall + Duration::from_secs(56), steady + Duration::from_mins(1)), None);
    }

    #[test]
    fn a_clock_that_was_set_is_told_once_in_either_direction() {
        let start = Instant::now();
        let mut clocks = Clocks::new(at(0), start);
        // From 1970 to now, as on a device without a clock of its own.
        assert_eq!(
            clocks.set_by(at(1_800_000_001), start + Duration::from_secs(1)),
            Some(SignedDuration::from_secs(1_800_000_000))
        );
        assert_eq!(clocks.set_by(at(1_800_000_002), start + Duration::from_secs(2)), None, "it goes on from there");
        for jump in [DAY, -DAY, SignedDuration::from_hours(1), SignedDuration::from_hours(-1)] {
            let (wall, steady) = (clocks.wall, clocks.steady);
            assert_eq!(clocks.set_by(wall + jump, steady), Some(jump));
        }
        // Beyond all bounds, and a monotonic clock that does not move: no panic.
        assert!(clocks.set_by(Timestamp::MAX, start).is_some());
        assert!(clocks.set_by(Timestamp::MIN, start).is_some());
    }
}
