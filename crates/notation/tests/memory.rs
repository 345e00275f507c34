// SPDX-License-Identifier: Apache-2.0
//! Reading and judging needs memory in proportion to what is read: at most 16 times the input and a mebibyte.
//!
//! Counted is what is asked of the allocator, by the old and the new size while something grows.

#[path = "support/drive.rs"]
mod drive;

use peak_alloc::PeakAlloc;
use sealwatch_fixtures::worst::{Format, families};

use drive::{drive, prepared};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// How much more memory than now there was while `work` ran.
fn peak(work: impl FnOnce()) -> usize {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    work();
    ALLOCATOR.peak_usage().saturating_sub(before)
}

/// One test, because there is one allocator.
#[test]
fn no_input_needs_more_than_sixteen_times_its_size_and_a_mebibyte() {
    let mut broken = Vec::new();
    for family in families().iter().filter(|family| family.format != Format::Manifest) {
        for size in [2 * KIB, 60 * KIB, MIB - 16 * KIB] {
            let bytes = prepared(family.format, &(family.make)(size));
            let peak = peak(|| drive(family.format, &bytes));
            if peak > 16 * bytes.len() + MIB {
                let times = peak / bytes.len();
                broken.push(format!(
                    "{:?}, {}: {} bytes need {peak}, {times} times as many",
                    family.format,
                    family.name,
                    bytes.len()
                ));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
