// SPDX-License-Identifier: Apache-2.0
//! The engine that operator and command line share: gather evidence, then judge it.
//!
//! [`Verifier::gather`] is all the I/O there is: it asks a registry (any [`sealwatch_registry::Registry`])
//! whether an image exists and which Notary Project signatures refer to it, and keeps what it learnt as
//! [`Evidence`]. [`judge`] is pure: evidence × trust policy document × trust stores × time → [`Verification`].
//! It runs again, without a request, whenever policy, trust or time changes.
//!
//! What could not be asked is never an answer: a registry that does not reply, refuses or throttles ends as a
//! [`GatherError`], never as "no signatures".

mod evidence;
mod gather;
mod judge;
mod reason;
pub mod schedule;

pub use evidence::{Candidate, CandidateState, Evidence, Subject};
pub use gather::{GatherError, Verifier};
pub use judge::{Applied, Selection, SignatureEvidence, Verdict, Verification, judge, select};
pub use reason::Reason;

pub use sealwatch_notation as notation;
pub use sealwatch_registry as registry;
