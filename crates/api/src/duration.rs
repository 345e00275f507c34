// SPDX-License-Identifier: Apache-2.0

//! Durations as people write them in the API: `1h30m`, `168h`, `90s`.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The written form as a regular expression, for the API server's rule; [`DurationString::to_duration`] accepts the
/// same texts. The numbers of digits bound a duration to less than 62 years, which no arithmetic here overflows.
pub(crate) const PATTERN: &str = "^([0-9]{1,5}h)?([0-9]{1,7}m)?([0-9]{1,9}s)?$";

/// Longest written form in characters: `99999h9999999m999999999s`.
pub(crate) const MAX_LENGTH: usize = 24;

/// The units in the order in which they must stand, with their seconds and the most digits before them.
const UNITS: [(char, u64, usize); 3] = [('h', 3600, 5), ('m', 60, 7), ('s', 1, 9)];

/// A duration in hours, minutes and seconds, each optional, in this order, as whole numbers: `1h30m`.
///
/// The text is kept as it was written and parsed on use, so that an object with an odd duration can still be decoded,
/// and answered with a condition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DurationString(String);

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// The text is empty.
    #[error("duration is empty")]
    Empty,
    /// The text is not made of whole hours, minutes and seconds in this order, within the bounds on their digits.
    #[error("duration {text:?} is not hours, minutes and seconds such as \"1h30m\"")]
    Malformed {
        /// The text, cut to 64 bytes.
        text: String,
    },
}

impl DurationString {
    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The duration that the text stands for, of at most 62 years; zero is possible.
    ///
    /// # Errors
    /// If the text is empty or does not have the form described at [`DurationString`].
    pub fn to_duration(&self) -> Result<Duration, DurationError> {
        if self.0.is_empty() {
            return Err(DurationError::Empty);
        }
        let malformed = || DurationError::Malformed { text: crate::text::clip(&self.0, 64) };
        let mut rest = self.0.as_str();
        let mut seconds = 0_u64;
        for (unit, scale, most_digits) in UNITS {
            let Some((digits, after)) = rest.split_once(unit) else { continue };
            if digits.is_empty() || digits.len() > most_digits || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(malformed());
            }
            let count: u64 = digits.parse().map_err(|_| malformed())?;
            seconds = seconds.saturating_add(count.saturating_mul(scale));
            rest = after;
        }
        if rest.is_empty() { Ok(Duration::from_secs(seconds)) } else { Err(malformed()) }
    }
}

impl From<&str> for DurationString {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<Duration> for DurationString {
    /// Writes whole seconds in the largest units; a fraction of a second is dropped. Zero is `0s`.
    fn from(duration: Duration) -> Self {
        let total = duration.as_secs();
        let parts = [(total / 3600, 'h'), (total / 60 % 60, 'm'), (total % 60, 's')];
        let mut text = String::new();
        for (count, unit) in parts.into_iter().filter(|(count, _)| *count > 0) {
            // Writing to a String cannot fail.
            let _ = write!(text, "{count}{unit}");
        }
        Self(if text.is_empty() { "0s".to_owned() } else { text })
    }
}

impl fmt::Display for DurationString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl JsonSchema for DurationString {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "DurationString".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": MAX_LENGTH })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_whole_hours_minutes_and_seconds_is_refused() {
        for text in [
            "1",
            "h",
            "1d",
            "1.5h",
            "-1h",
            "+1h",
            "1h ",
            " 1h",
            "1 h",
            "1m1h",
            "1h1h",
            "1s1m",
            "1ms",
            "1H",
            "100000h",
            "10000000m",
            "1000000000s",
            "１h",
            "1h\n",
            "1hm",
        ] {
            assert_eq!(
                DurationString::from(text).to_duration(),
                Err(DurationError::Malformed { text: crate::text::clip(text, 64) }),
                "{text:?}"
            );
        }
        assert_eq!(DurationString::from("").to_duration(), Err(DurationError::Empty));
    }

    #[test]
    fn a_very_long_text_is_named_only_in_part() {
        let text = "9".repeat(1_000_000);
        let error = DurationString::from(text.as_str()).to_duration().unwrap_err();
        assert!(error.to_string().len() < 200, "{error}");
    }

    #[test]
    fn durations_read_as_people_mean_them() {
        for (text, seconds) in [
            ("1h30m", 5400),
            ("168h", 604_800),
            ("90s", 90),
            ("0s", 0),
            ("1h0m5s", 3605),
            ("060m", 3600),
            ("99999h9999999m999999999s", 359_996_400 + 599_999_940 + 999_999_999),
        ] {
            assert_eq!(DurationString::from(text).to_duration(), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn a_written_duration_reads_back() {
        for (seconds, text) in [(0, "0s"), (1, "1s"), (60, "1m"), (3600, "1h"), (5401, "1h30m1s"), (604_800, "168h")] {
            let written = DurationString::from(Duration::from_millis(seconds * 1000 + 999));
            assert_eq!(written.as_str(), text);
            assert_eq!(written.to_duration(), Ok(Duration::from_secs(seconds)));
        }
    }
}
