// SPDX-License-Identifier: Apache-2.0
//! What is measured: operations of this crate, by name, with everything that they need made beforehand.
#![allow(dead_code)] // neither measurement needs everything

mod bare;
mod chains;
mod judgements;
mod parsers;

use std::hint::black_box;

/// One operation.
pub(crate) struct Operation {
    /// `group/what`.
    pub(crate) name: String,
    /// The operation that does the signature checks of this one and nothing else.
    pub(crate) bare: Option<String>,
    run: Box<dyn Fn()>,
}

impl Operation {
    fn new<T>(name: impl Into<String>, run: impl Fn() -> T + 'static) -> Self {
        Self { name: name.into(), bare: None, run: Box::new(move || drop(black_box(run()))) }
    }

    fn beside(self, bare: impl Into<String>) -> Self {
        Self { bare: Some(bare.into()), ..self }
    }

    /// Does it once.
    pub(crate) fn run(&self) {
        (self.run)();
    }
}

/// All operations, in the order of the table.
pub(crate) fn all() -> Vec<Operation> {
    [judgements::whole(), judgements::repeated(), judgements::first_time(), parsers::all()]
        .into_iter()
        .flatten()
        .collect()
}
