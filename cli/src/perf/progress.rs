//! How it goes, on standard error: one line that changes on a terminal, a line a second elsewhere.

use std::io::{self, IsTerminal, Write};

use load::{Pace, Phase, Progress};

use super::report::grouped;

/// Goes to the beginning of the line and clears it.
const AGAIN: &str = "\r\x1b[2K";

pub(super) struct Watch {
    /// What stands before each line.
    label: String,
    is_quiet: bool,
    is_terminal: bool,
    has_line: bool,
}

impl Watch {
    pub(super) fn new(label: &str, is_quiet: bool) -> Watch {
        Watch { label: label.into(), is_quiet, is_terminal: io::stderr().is_terminal(), has_line: false }
    }

    pub(super) fn say(&mut self, progress: &Progress) {
        if self.is_quiet {
            return;
        }
        let text = format!("{}{}", self.label, line(progress));
        // Whoever closed standard error does not want to know.
        let _ = match self.is_terminal {
            true => write!(io::stderr(), "{AGAIN}{text}").and_then(|()| io::stderr().flush()),
            false => writeln!(io::stderr(), "{text}"),
        };
        self.has_line = self.is_terminal;
    }

    /// Leaves the terminal as it was.
    pub(super) fn end(&mut self) {
        if self.has_line {
            let _ = write!(io::stderr(), "{AGAIN}");
        }
    }
}

fn line(progress: &Progress) -> String {
    let phase = match progress.phase {
        Phase::WarmingUp => "warming up",
        Phase::Measuring => "measuring",
        Phase::Draining => "draining",
    };
    let side = |name: &str, pace: &Option<Pace>| match pace {
        None => String::new(),
        Some(pace) => {
            let errors = if pace.errors > 0 { format!(", {} errors", grouped(pace.errors)) } else { String::new() };
            let records = grouped(pace.records as u64);
            format!("   {name} {records} records/s, {:.1} MB/s, p99 {:.2} ms{errors}", pace.megabytes, pace.p99)
        }
    };
    let (produced, consumed) = (side("produce", &progress.produced), side("consume", &progress.consumed));
    format!("{:>4} s  {phase:<10}{produced}{consumed}", progress.elapsed.as_secs())
}
