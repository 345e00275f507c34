// SPDX-License-Identifier: Apache-2.0
//! The engine that operator and command line share: gather evidence, then judge it.
//!
//! ```no_run
//! use std::{path::Path, time::Duration};
//!
//! use sealwatch_verifier::notation::{TrustPolicyDocument, TrustStores};
//! use sealwatch_verifier::registry::{Credentials, LayoutRegistry};
//! use sealwatch_verifier::{Answers, Subject, Verdict, Verifier, judge};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let verifier = Verifier::new(LayoutRegistry::open(Path::new("./layout"))?);
//! let digest = format!("sha256:{}", "5a".repeat(32)).parse()?;
//! let image = Subject { repository: "registry.example.com/app".parse()?, digest };
//! let now = jiff::Timestamp::now();
//! // Asks, once: what is known may be this old.
//! let evidence = verifier.gather(&image, &Credentials::default(), Duration::from_hours(1), now).await?;
//! // From here on nobody is asked, however often policy, trust or time change.
//! let policy = TrustPolicyDocument::from_json(&std::fs::read("trustpolicy.json")?)?;
//! let stores = TrustStores::new();
//! let verification = judge(&image.repository, &evidence, &policy, &stores, &Answers::default(), now);
//! assert_ne!(verification.verdict, Verdict::Verified, "no trust store, no trust: {}", verification.message);
//! # Ok(())
//! # }
//! ```
//!
//! All the I/O there is are two: [`Verifier::gather`] asks a registry (any [`sealwatch_registry::Registry`]) whether an
//! image exists and which Notary Project signatures refer to it, and keeps what it learnt as [`Evidence`];
//! [`Revocation::learn`] asks what the chains of trusted signers name about their revocation, and
//! [`Revocation::recall`] gives it as [`Answers`]. [`judge`] is pure: evidence × trust policy document × trust stores ×
//! answers × time → [`Verification`]. [`Verifier::investigate`] and [`FollowedMatter`] are the same for all digests whose
//! signatures count for what runs. Judging runs again, without a request, whenever policy, trust or time changes.
//!
//! [`EvidenceCache`] keeps what was learnt on disk, for a process that starts while it cannot ask.
//!
//! What could not be asked is never an answer: a registry that does not reply, refuses or throttles ends as a
//! [`GatherError`], never as "no signatures".

mod bounded;
pub mod cache;
mod evidence;
mod follow;
mod gather;
mod judge;
pub mod limits;
mod queue;
mod reason;
mod revocation;
pub mod schedule;

pub use cache::{CacheState, Event as CacheEvent, EvidenceCache};
pub use evidence::{Candidate, CandidateState, Evidence, Subject};
pub use follow::{
    DigestMatching, Findings, FollowedMatter, FollowedRecall, Judgement, Platforms, Question, REFERENCES_FOLLOWED,
    Runs, Via,
};
pub use gather::{GatherError, Verifier};
pub use judge::{Applied, Selection, SignatureEvidence, Verdict, Verification, judge, select};
pub use reason::Reason;
pub use revocation::{Answers, BroughtLists, Freshness, Kept, Matter, Recalled, RequestCounts, Revocation};

pub use sealwatch_notation as notation;
pub use sealwatch_registry as registry;
