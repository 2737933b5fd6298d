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

/// Lines that are printed together.
#[derive(Default)]
pub(super) struct Lines(String);

impl Lines {
    pub(super) fn add(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    /// Whether somebody reads them still.
    pub(super) fn print(&self) -> bool {
        let mut output = std::io::stdout().lock();
        output.write_all(self.0.as_bytes()).and_then(|()| output.flush()).is_ok()
    }
}

/// Lines that nobody may have to wait for: a thread prints them, and what it is too slow for is left out.
pub(super) fn say_without_waiting() -> impl Fn(&str) + Send + Sync + 'static {
    let (sender, lines) = std::sync::mpsc::sync_channel::<String>(1024);
    std::thread::spawn(move || lines.iter().for_each(|line| say(&line)));
    move |line| {
        // Whoever reads nothing misses something.
        let _ = sender.try_send(line.to_owned());
    }
}
