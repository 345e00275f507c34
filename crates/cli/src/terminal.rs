// SPDX-License-Identifier: Apache-2.0
//! What is written for the user: the answer on standard output and nothing else there, the rest on standard error.
//!
//! Neither may be a reason to panic: readers go away.

use std::{
    io::{self, ErrorKind, Write},
    process::ExitCode,
};

use sealwatch_api::text::clip;

/// A usage error, or something the user gave us that cannot be used.
pub(crate) const EXIT_USAGE: u8 = 2;

/// The longest line on standard error, in bytes: a parser's message quotes what it read.
const LINE_MOST: usize = 1024;

/// Writes the answer and gives the exit code that goes with it.
pub(crate) fn answer(text: &str, code: ExitCode) -> ExitCode {
    match write_all(io::stdout().lock(), text) {
        Ok(()) => code,
        Err(error) => usage(&format!("standard output cannot be written: {error}")),
    }
}

/// A reader that went away has read enough; any other failure would make a missing answer look like an empty one.
fn write_all(mut to: impl Write, text: &str) -> io::Result<()> {
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Tells of a mistake in what the user gave us.
pub(crate) fn usage(message: &str) -> ExitCode {
    say("error", message);
    ExitCode::from(EXIT_USAGE)
}

/// Says something beside the answer.
pub(crate) fn warn(message: &str) {
    say("warning", message);
}

/// Says a fact beside the answer that is nothing to worry about.
pub(crate) fn note(message: &str) {
    say("note", message);
}

/// Says several things beside the answer.
pub(crate) fn warn_of(messages: &[String]) {
    for message in messages {
        warn(message);
    }
}

fn say(kind: &str, message: &str) {
    // Nobody is there to be told if this fails.
    let _ = writeln!(io::stderr(), "sealwatch: {kind}: {}", one_line(message));
}

/// The text on one line, without anything that could steer a terminal, and bounded.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    clip(&words.join(" "), LINE_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_error_and_a_full_disk_is_one() {
        assert!(write_all(Broken(ErrorKind::BrokenPipe), "text").is_ok());
        assert_eq!(write_all(Broken(ErrorKind::StorageFull), "text").unwrap_err().kind(), ErrorKind::StorageFull);
    }

    #[test]
    fn a_message_is_one_bounded_line_that_cannot_steer_a_terminal() {
        assert_eq!(one_line("line 1\n  | \u{1b}[2Jline 2\u{202e}\r"), "line 1 | [2Jline 2");
        assert!(one_line(&"x".repeat(10_000)).len() <= LINE_MOST);
    }
}
