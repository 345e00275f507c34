// SPDX-License-Identifier: Apache-2.0
//! A bounded slice of the differential run; `just conformance` runs it whole.

use std::path::Path;

use sealwatch_conformance::oracle::Oracle;
use sealwatch_conformance::run::Report;
use sealwatch_conformance::{grid, mutate};

/// Mutations of the slice, of a seed of its own.
const MUTATIONS: u64 = 2_400;
const SEED: u64 = 2026;

/// The second opinion, or none with a loud line.
#[allow(clippy::print_stderr)] // what is not run is told
fn oracle(test: &str) -> Option<Oracle> {
    Oracle::start().inspect_err(|why| eprintln!("SKIPPED: {test}: there is no second opinion: {why}")).ok()
}

/// Asserts that every disagreement is meant.
#[track_caller]
fn assert_explained(report: &Report) {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance");
    let text = report.keep(&kept).expect("a folder for cases");
    assert_eq!(report.unexplained(), 0, "\n{text}");
}

/// Every exception is needed by the grid, which has some thousand cases of each outcome.
#[test]
fn the_verifiers_disagree_on_the_grid_where_the_exceptions_say_so_and_nowhere_else() {
    let Some(mut oracle) = oracle("the grid") else { return };
    let mut report = Report::default();
    report.run(&mut oracle, grid::cases()).expect("the oracle answers");
    assert_explained(&report);
    let unused: Vec<&str> = report.unused().iter().map(|row| row.id.as_str()).collect();
    assert!(unused.is_empty(), "the verifiers agree where these exceptions say that they do not: {unused:#?}");
    assert!(report.cases() >= 5_000, "{}", report.cases());
    let both = |end: &str| report.ends().get(&(end.to_owned(), end.to_owned())).copied().unwrap_or_default();
    for (end, least) in [("verified", 2_000), ("failed", 2_000), ("policy refused", 500), ("skipped", 200)] {
        assert!(both(end) >= least, "{end}: {}", both(end));
    }
}

#[test]
fn the_verifiers_disagree_on_mutations_where_the_exceptions_say_so_and_nowhere_else() {
    let Some(mut oracle) = oracle("mutations") else { return };
    let mut report = Report::default();
    report.run(&mut oracle, (0..MUTATIONS).map(|index| mutate::case(SEED, index))).expect("the oracle answers");
    assert_explained(&report);
}

/// Otherwise a line that says which mutation it was would say nothing.
#[test]
fn a_mutation_is_the_same_each_time_and_with_each_seed_another() {
    for index in 0..u64::try_from(mutate::KINDS.len()).expect("a few") {
        let case = mutate::case(7, index);
        assert_eq!(case, mutate::case(7, index), "{}", case.name);
        assert_ne!(case, mutate::case(8, index), "{}", case.name);
    }
}
