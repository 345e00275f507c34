// SPDX-License-Identifier: Apache-2.0
//! What is fuzzed, and what must hold for every input: not only that nothing crashes.

#![forbid(unsafe_code)]

pub mod case;
#[path = "../../crates/notation/tests/support/drive.rs"]
#[allow(dead_code, clippy::must_use_candidate)]
mod drive;
mod known;
mod memory;
pub mod seeds;
pub mod targets;
pub mod work;
