// SPDX-License-Identifier: Apache-2.0
//! How far it is, for somebody who watches a terminal.

use std::io::{self, IsTerminal as _, Write as _};

/// One line on standard error that is written over; nothing where that is no terminal.
pub(crate) struct Progress {
    what: &'static str,
    all: usize,
    now: usize,
    is_shown: bool,
}

impl Progress {
    /// `what` is done `all` times, such as "copying signature".
    pub(crate) fn start(what: &'static str, all: usize) -> Self {
        Self { what, all, now: 0, is_shown: io::stderr().is_terminal() }
    }

    /// The next begins, or, where several are under way, one more is done.
    pub(crate) fn next(&mut self) {
        self.now = self.now.saturating_add(1);
        self.show(&format!("{} {} of {}", self.what, self.now, self.all));
    }

    /// All are done; the line goes.
    pub(crate) fn end(&mut self) {
        self.show("");
        self.is_shown = false;
    }

    fn show(&self, text: &str) {
        if self.is_shown {
            // Nobody is there to be told if this fails.
            let _ = write!(io::stderr(), "\r\u{1b}[K{text}");
        }
    }
}

impl Drop for Progress {
    /// What is said next, or the shell's prompt, begins on a line of its own.
    fn drop(&mut self) {
        self.show("");
    }
}
