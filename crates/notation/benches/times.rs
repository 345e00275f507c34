// SPDX-License-Identifier: Apache-2.0
//! How long the operations take. `just bench-core` makes a table of it; a part of a name measures what has it.

mod operations;
#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(50)
        .nresamples(10_000)
        .configure_from_args();
    for operation in operations::all() {
        criterion.bench_function(&operation.name, |bencher| bencher.iter(|| operation.run()));
    }
    criterion.final_summary();
}
