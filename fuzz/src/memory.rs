// SPDX-License-Identifier: Apache-2.0
//! The bound on memory: 16 times the input and a mebibyte.
//!
//! Counted is what Rust code asks of the allocator, by the old and the new size while something grows. What the C code
//! of aws-lc asks for is not counted; it depends on the length of keys, not of inputs.

use std::sync::atomic::{AtomicUsize, Ordering};

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The largest share of the bound that an input has needed so far, in percent.
static RECORD: AtomicUsize = AtomicUsize::new(0);

/// Runs `work` on an input of `size` bytes, and panics if it needs more memory than that allows. Each new record is
/// told in a line that `dev/fuzz` reads.
pub(crate) fn bounded<T>(size: usize, work: impl FnOnce() -> T) -> T {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let result = work();
    let peak = ALLOCATOR.peak_usage().saturating_sub(before);
    let bound = 16 * size + 1024 * 1024;
    let share = 100 * peak / bound;
    if share > RECORD.fetch_max(share, Ordering::Relaxed) {
        eprintln!("memory: {share}% of the bound: {peak} bytes for an input of {size}");
    }
    assert!(peak <= bound, "{peak} bytes of memory for an input of {size}; at most {bound} are allowed");
    result
}
