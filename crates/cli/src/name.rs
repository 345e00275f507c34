// SPDX-License-Identifier: Apache-2.0
//! What the program is called: `sealwatch`, or `kubectl sealwatch` where it is installed as kubectl's plugin.

use std::path::Path;

use clap::{Command, CommandFactory as _};

use crate::args::Arguments;

/// The program's name.
const OWN: &str = "sealwatch";
/// The file name by which kubectl finds it as a plugin.
const PLUGIN: &str = "kubectl-sealwatch";
/// How it is called then.
const BY_KUBECTL: &str = "kubectl sealwatch";

/// The command line under the name by which the program was started.
pub(crate) fn command() -> Command {
    named(is_by_kubectl())
}

/// Whether kubectl started this process.
fn is_by_kubectl() -> bool {
    is_plugin(Path::new(&std::env::args_os().next().unwrap_or_default()))
}

/// Whether kubectl finds a plugin by this file.
fn is_plugin(file: &Path) -> bool {
    file.file_stem().is_some_and(|name| name == PLUGIN)
}

fn named(is_plugin: bool) -> Command {
    let command = Arguments::command();
    if !is_plugin {
        return command;
    }
    speak(command.bin_name(BY_KUBECTL).display_name(BY_KUBECTL))
}

/// Examples are to be copied, so they call the program by its name too.
fn speak(mut command: Command) -> Command {
    if let Some(text) = command.get_after_help() {
        let text = text.to_string();
        let lines: Vec<String> = text.split('\n').map(called).collect();
        command = command.after_help(lines.join("\n"));
    }
    let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, speak))
}

fn called(line: &str) -> String {
    match line.strip_prefix("  sealwatch ") {
        Some(rest) => format!("  {BY_KUBECTL} {rest}"),
        None => line.to_owned(),
    }
}

/// The name to complete: a plugin is completed under its file's name.
pub(crate) fn to_complete() -> &'static str {
    if is_by_kubectl() { PLUGIN } else { OWN }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help(is_plugin: bool, path: &[&str]) -> String {
        let mut words = vec![if is_plugin { PLUGIN } else { OWN }];
        words.extend(path);
        words.push("--help");
        named(is_plugin).try_get_matches_from(words).unwrap_err().to_string()
    }

    #[test]
    fn a_plugin_of_kubectl_calls_itself_one() {
        assert!(
            is_plugin(Path::new("/usr/local/bin/kubectl-sealwatch")) && is_plugin(Path::new("kubectl-sealwatch.exe"))
        );
        assert!(!is_plugin(Path::new("/usr/bin/sealwatch")) && !is_plugin(Path::new("")));
        let plugin = help(true, &["policy", "import"]);
        assert!(plugin.contains("Usage: kubectl sealwatch policy import"), "{plugin}");
        assert!(plugin.contains("\n  kubectl sealwatch policy import ~"), "{plugin}");
        assert!(!plugin.contains("  sealwatch "), "{plugin}");
        assert!(help(false, &["policy", "import"]).contains("Usage: sealwatch policy import"));
    }

    #[test]
    fn every_command_has_an_example_of_itself() {
        fn leaves(command: &Command, path: &[String], found: &mut Vec<Vec<String>>) {
            if !command.has_subcommands() {
                found.push(path.to_vec());
            }
            for below in command.get_subcommands() {
                let path: Vec<String> = path.iter().cloned().chain([below.get_name().to_owned()]).collect();
                leaves(below, &path, found);
            }
        }
        let mut found = Vec::new();
        leaves(&Arguments::command(), &[], &mut found);
        assert!(found.len() > 7, "{found:?}");
        for path in found {
            let words: Vec<&str> = path.iter().map(String::as_str).collect();
            let text = help(false, &words);
            assert!(text.contains(&format!("\n  sealwatch {} ", words.join(" "))) || words == ["crds"], "{text}");
        }
    }
}
