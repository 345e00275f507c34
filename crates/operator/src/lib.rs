// SPDX-License-Identifier: Apache-2.0
//! The Sealwatch operator: watches which images run, and writes what their signatures say.
//!
//! [`run()`] starts everything and ends with the first part that ends. What comes over the watches ([`watches`]), and
//! whether anything does, is known to [`sight`]. Pods come in through a slim watch and become an index of running images
//! ([`running`]). Each `TrustPolicy` is loaded ([`policy`], [`trust_store`], [`revocation_lists`]) and compared with what
//! runs ([`discover`]); each `ImageVerification` is looked at when due, judged, and its status written
//! ([`image_verification`], [`apply`]). What decides is pure: [`running`], [`discover`], [`status`], and the judging in
//! [`sealwatch_verifier`].
//!
//! `ARCHITECTURE.md` tells the way of a pod to its verdict in seven steps, with the file of each.

pub mod apply;
pub mod check;
pub mod clock;
pub mod config_maps;
pub mod context;
pub mod discover;
pub mod health;
pub mod image_verification;
pub mod leader;
pub mod metrics;
pub mod once;
pub mod policy;
pub mod pulse;
pub mod revocation_lists;
pub mod run;
pub mod running;
pub mod sight;
pub mod status;
pub mod trust_policy;
pub mod trust_store;
pub mod watches;

pub use config_maps::values_of;
pub use context::Settings;
pub use leader::LeaseOptions;
pub use policy::document;
pub use revocation_lists::load as load_revocation_lists;
pub use run::{CacheOptions, Options, RunError, run};
pub use trust_store::{Found, Stores, load as load_trust_stores};
