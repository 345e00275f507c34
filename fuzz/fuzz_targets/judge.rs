// SPDX-License-Identifier: Apache-2.0
#![no_main]
#![allow(missing_docs)]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use sealwatch_fuzz::case::mutate_part;

fuzz_target!(|bytes: &[u8]| sealwatch_fuzz::targets::judge(bytes));

// Changes one part at a time, so that the parts stay apart.
fuzz_mutator!(|bytes: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate_part(bytes, size, max_size, seed, fuzzer_mutate)
});
