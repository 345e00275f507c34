// SPDX-License-Identifier: Apache-2.0
//! Reading and judging needs memory in proportion to what is read: at most 16 times the input and a mebibyte.
//!
//! Counted is what is asked of the allocator, by the old and the new size while something grows.

#[path = "support/drive.rs"]
mod drive;

use peak_alloc::PeakAlloc;
use sealwatch_fixtures::catalogue;
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

/// What was needed beyond the bound, if anything.
fn excess(what: &str, format: Format, bytes: &[u8]) -> Option<String> {
    let peak = peak(|| drive(format, bytes));
    let times = peak / bytes.len().max(1);
    (peak > 16 * bytes.len() + MIB).then(|| format!("{what}: {} bytes need {peak}, {times} times as many", bytes.len()))
}

/// One test, because there is one allocator.
#[test]
fn no_input_needs_more_than_sixteen_times_its_size_and_a_mebibyte() {
    let mut broken = Vec::new();
    for family in families().iter().filter(|family| family.format != Format::Manifest) {
        for size in [2 * KIB, 60 * KIB, MIB - 16 * KIB] {
            let bytes = prepared(family.format, &(family.make)(size));
            broken.extend(excess(&format!("{:?}, {}", family.format, family.name), family.format, &bytes));
        }
    }
    for case in catalogue::all() {
        let format = if case.media_type == catalogue::MEDIA_TYPE_JWS { Format::Jws } else { Format::Cose };
        broken.extend(excess(&case.path(), format, &case.envelope));
        broken.extend(excess(&case.path(), Format::Policy, case.policy.as_bytes()));
        for answer in &case.answers {
            let format = if answer.about.is_some() { Format::Ocsp } else { Format::Crl };
            broken.extend(excess(&case.path(), format, &answer.body));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
