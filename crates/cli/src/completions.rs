// SPDX-License-Identifier: Apache-2.0
//! `sealwatch completions`.

use std::process::ExitCode;

use clap_complete::Shell;

use crate::{name, terminal};

pub(crate) fn run(shell: Shell) -> ExitCode {
    match script(shell) {
        Ok(text) => terminal::answer(&text, ExitCode::SUCCESS),
        Err(why) => terminal::usage(&why),
    }
}

fn script(shell: Shell) -> Result<String, String> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut name::command(), name::to_complete(), &mut text);
    String::from_utf8(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_completes_every_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell] {
            let text = script(shell).unwrap();
            for word in ["verify", "inspect", "mirror", "import", "export", "lint", "allow-egress"] {
                assert!(text.contains(word), "{shell}: {word}");
            }
        }
    }
}
