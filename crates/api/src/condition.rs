// SPDX-License-Identifier: Apache-2.0

//! The condition types of both kinds, and the reasons that stand beside the reasons of verdicts.
//!
//! A condition is a `meta/v1` Condition: `lastTransitionTime` moves only when `status` does, and `observedGeneration`
//! is never ahead of the generation that was evaluated.

use std::fmt;
use std::str::FromStr;

use crate::reason::Reason;
use crate::word::{UnknownWord, Vocabulary};

vocabulary! {
    /// The condition types. `Ready` and `Verified` are always present once an object was looked at; `Reconciling` and
    /// `Stalled` have abnormal-true polarity and are present only while they are `True` (kstatus).
    pub enum ConditionType {
        /// Sealwatch does its job for this object.
        /// True: every verdict so far is conclusive and fresh; on a trust policy also while new images wait for theirs
        /// (`Verified` is not True then, and `Reconciling` is).
        /// False: it could not check lately, and the reason says why; verdicts that are still fresh enough are kept.
        /// Unknown: not looked at yet.
        /// Absent: no operator has seen the object; check that one watches this namespace.
        Ready = "Ready",
        /// What Sealwatch found.
        /// True: the image is Verified or Skipped; on a trust policy, every selected image is.
        /// False: the image is Failed; on a trust policy, at least one is. `status.failing` names them.
        /// Unknown: neither is established, or no image runs (`NoImages`).
        /// Absent: no operator has seen the object.
        Verified = "Verified",
        /// Present only while True: a change is being worked on. Wait.
        Reconciling = "Reconciling",
        /// Present only while True: only an edit by the user can help. The message names the field and the rule.
        Stalled = "Stalled",
    }
}

vocabulary! {
    /// The three values of a condition's `status`.
    pub enum ConditionStatus {
        /// The condition holds.
        True = "True",
        /// The condition does not hold.
        False = "False",
        /// It is not known whether the condition holds.
        Unknown = "Unknown",
    }
}

impl From<bool> for ConditionStatus {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

vocabulary! {
    /// The condition reasons that are not reasons of a verdict.
    pub enum Circumstance {
        /// The last pass was complete.
        Succeeded = "Succeeded",
        /// A pass is under way.
        Progressing = "Progressing",
        /// `spec.suspend` is true: no request is made, and verdicts go on ageing. Set it to false to go on.
        Suspended = "Suspended",
        /// No pod that the trust policy selects runs an image.
        NoImages = "NoImages",
        /// Kubernetes does not let Sealwatch list or watch the pods of the namespace. Check the operator's RBAC.
        PodsForbidden = "PodsForbidden",
        /// What Sealwatch knows of the cluster is older than a watch may be. Check the API server and the operator.
        CacheStale = "CacheStale",
    }
}

/// The reason of a condition: the reason of a verdict, or a circumstance of the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionReason {
    /// The reason of the verdict that the condition speaks about.
    Verdict(Reason),
    /// Anything else.
    Circumstance(Circumstance),
}

impl ConditionReason {
    /// Every condition reason: those of verdicts first.
    pub fn all() -> impl Iterator<Item = Self> {
        let verdicts = Reason::ALL.iter().copied().map(Self::Verdict);
        verdicts.chain(Circumstance::ALL.iter().copied().map(Self::Circumstance))
    }

    /// The reason as it is written in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verdict(reason) => reason.as_str(),
            Self::Circumstance(circumstance) => circumstance.as_str(),
        }
    }

    /// What the reason means, as one or more sentences of the documentation.
    pub const fn doc(self) -> &'static str {
        match self {
            Self::Verdict(reason) => reason.doc(),
            Self::Circumstance(circumstance) => circumstance.doc(),
        }
    }
}

impl From<Reason> for ConditionReason {
    fn from(reason: Reason) -> Self {
        Self::Verdict(reason)
    }
}

impl From<Circumstance> for ConditionReason {
    fn from(circumstance: Circumstance) -> Self {
        Self::Circumstance(circumstance)
    }
}

impl fmt::Display for ConditionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ConditionReason {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(reason) = Reason::parse(text) {
            return Ok(reason.into());
        }
        text.parse::<Circumstance>().map(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_reason_has_one_meaning_and_reads_back() {
        for reason in ConditionReason::all() {
            assert_eq!(reason.as_str().parse(), Ok(reason));
        }
        assert_eq!(ConditionReason::all().count(), Reason::ALL.len() + Circumstance::ALL.len());
    }

    #[test]
    fn a_condition_reason_of_a_newer_version_is_an_error_that_names_it() {
        assert_eq!("Hibernating".parse::<ConditionReason>(), Err(UnknownWord { text: "Hibernating".into() }));
    }
}
