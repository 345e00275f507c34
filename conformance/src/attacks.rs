// SPDX-License-Identifier: Apache-2.0
//! Which attacks are tried, what must come of each, and the page that says so.
//!
//! The attacks are written in `conformance/attacks.tsv`, each with the tests that show its outcome. That every test
//! named is there is read out of the sources; that it passes, the tests say themselves.

mod page;
mod table;
mod tests_of;

pub use page::render;
pub use table::{Attack, Attacks, Shown};
pub use tests_of::{Test, find_all, find_in};
