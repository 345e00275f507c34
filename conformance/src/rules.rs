// SPDX-License-Identifier: Apache-2.0
//! Which rules there are, which code and tests belong to each, and the page that says so.
//!
//! What a rule says and how it stands is written in `conformance/rules.tsv`. Where its code and tests are is read out of
//! the sources: a comment that names a rule (`TP-17`, `RV-1 to RV-3`, `D6`) claims it for what it stands at.

mod number;
mod page;
mod scan;
mod table;

pub use number::Number;
pub use page::render;
pub use scan::{Mention, Role, scan, scan_text};
pub use table::{Rule, State, Table, TableError};
