// SPDX-License-Identifier: Apache-2.0

//! Runs the processes of the test environment, so that none outlives the tests. Started by the tests themselves.

use std::process::ExitCode;

fn main() -> ExitCode {
    sealwatch_e2e::testenv::supervisor::main()
}
