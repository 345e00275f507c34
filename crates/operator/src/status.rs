// SPDX-License-Identifier: Apache-2.0
//! Statuses: pure functions from what was found, and what stood there before, to what shall stand there.

pub mod image;
pub mod policy;

use jiff::{Timestamp, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use sealwatch_api::{
    ConditionReason, ConditionStatus, ConditionType,
    text::{MESSAGE_MAX_BYTES, clip},
};

/// A moment as the API writes it: whole seconds, so that what is read back equals what was written.
pub fn time(moment: Timestamp) -> Time {
    Time(
        moment.round(jiff::TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Floor)).unwrap_or(moment),
    )
}

/// Something that keeps Sealwatch from doing its job for an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The reason of the `Ready` condition.
    pub reason: ConditionReason,
    /// It in a sentence.
    pub message: String,
}

/// One condition as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its type.
    pub kind: ConditionType,
    /// Its status.
    pub status: ConditionStatus,
    /// Its reason.
    pub reason: ConditionReason,
    /// Its message.
    pub message: String,
}

impl Wanted {
    /// A condition as it shall be.
    pub fn new(
        kind: ConditionType,
        status: ConditionStatus,
        reason: impl Into<ConditionReason>,
        message: impl Into<String>,
    ) -> Self {
        Self { kind, status, reason: reason.into(), message: message.into() }
    }
}

/// The conditions that shall stand, given those that stood: `lastTransitionTime` moves only when a status moves.
/// Nobody else owns conditions here, so what is not wanted goes.
pub fn conditions(previous: &[Condition], wanted: Vec<Wanted>, generation: i64, now: Timestamp) -> Vec<Condition> {
    let condition = |wanted: Wanted| {
        let known = previous.iter().find(|condition| condition.type_ == wanted.kind.as_str());
        let unmoved = known.filter(|condition| condition.status == wanted.status.as_str());
        Condition {
            type_: wanted.kind.to_string(),
            status: wanted.status.to_string(),
            reason: wanted.reason.as_str().to_owned(),
            message: clip(&wanted.message, MESSAGE_MAX_BYTES),
            observed_generation: Some(generation),
            last_transition_time: unmoved.map_or_else(|| time(now), |condition| condition.last_transition_time.clone()),
        }
    };
    wanted.into_iter().map(condition).collect()
}

/// The condition of that type.
pub fn condition(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == kind.as_str())
}

#[cfg(test)]
mod tests;
