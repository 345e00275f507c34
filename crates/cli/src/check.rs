// SPDX-License-Identifier: Apache-2.0
//! `sealwatch check`.

use std::{fmt::Write as _, process::ExitCode};

use crate::{
    args::CheckArguments,
    operator,
    terminal::{answer, usage},
};

/// Something is missing.
const EXIT_MISSING: u8 = 1;

pub(crate) async fn run(arguments: CheckArguments) -> ExitCode {
    let config = match operator::config(arguments.kubeconfig.as_deref()).await {
        Ok(config) => config,
        Err(why) => return usage(&why),
    };
    let found = sealwatch_operator::check::check(config, arguments.watch_namespace.as_deref()).await;
    let mut text = String::new();
    for finding in &found {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}: {}", if finding.good { "ok" } else { "missing" }, finding.text);
    }
    let code = if found.iter().all(|finding| finding.good) { ExitCode::SUCCESS } else { ExitCode::from(EXIT_MISSING) };
    answer(&text, code)
}
