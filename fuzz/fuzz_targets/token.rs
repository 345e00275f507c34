// SPDX-License-Identifier: Apache-2.0
#![no_main]
#![allow(missing_docs)]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sealwatch_fuzz::targets::token(bytes));
