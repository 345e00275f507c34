// SPDX-License-Identifier: Apache-2.0
//! The bounds that this crate puts on asking and asking again, each with its source. Those on what is read are in
//! [`sealwatch_registry::limits`].

use std::time::Duration;

/// The shortest wait after a failed attempt. Ours.
pub const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest wait after a failed attempt, unless the registry asks for more. Ours.
pub const RETRY_MOST: Duration = Duration::from_mins(15);
/// How long a registry may ask us to wait. Ours: a day, so that a hostile one cannot silence an image for ever.
pub const RETRY_AFTER_MOST: Duration = Duration::from_hours(24);
/// How far an image's period strays from the policy's interval, in percent, in either direction, and how much longer than
/// its time it waits after a failure. Ours.
pub const JITTER_PERCENT: u64 = 10;
/// How many hosts have a queue of their own; beyond that they share one, which is slower but bounded. Ours.
pub const MAX_QUEUES: usize = 1_024;
