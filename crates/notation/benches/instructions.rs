// SPDX-License-Identifier: Apache-2.0
//! Does each operation once more, in a function that callgrind counts by its name. `just bench-core` runs it.

mod operations;
#[path = "../tests/support/mod.rs"]
mod support;

use operations::Operation;

#[allow(clippy::print_stdout)] // the names of what was counted, in order, for dev/bench-core
fn main() {
    for operation in operations::all() {
        // What is made at the first time and kept is not counted; nor is how the heap settles.
        for _ in 0..3 {
            operation.run();
        }
        measured(&operation);
        match &operation.bare {
            Some(bare) => println!("{} {bare}", operation.name),
            None => println!("{}", operation.name),
        }
    }
}

/// What callgrind counts from start to end.
#[inline(never)]
fn measured(operation: &Operation) {
    operation.run();
}
