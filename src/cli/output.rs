//! Lines to people and programs, written out at once. A reader that has gone is no error: `ferrohub up |
//! head -1` goes on running.

use std::io::Write;

/// A line on standard output.
pub(super) fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}

/// A line on standard error.
pub(super) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
