//! What a run says: one line a check, the table, and the failures with their last words.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the log of a first try ends in, when there was a second.
pub(super) const FIRST_LOG: &str = "first.log";

/// Lines of a failed check's log that are shown.
const TAIL_LINES: usize = 40;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Counts {
    /// A lint prints no counts: it is one check that passed or failed.
    pub(crate) fn at_least_one(self, passed: bool) -> Self {
        match (passed, self.passed + self.failed + self.skipped) {
            (true, 0) => Counts { passed: 1, ..self },
            (false, _) if self.failed == 0 => Counts { failed: 1, ..self },
            _ => self,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    /// Red once, and green when it was tried again.
    PassedAgain,
    Failed,
    /// Something it needs is not on this machine.
    Missing,
    Skipped,
}

pub(crate) struct Finished {
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    pub(crate) counts: Counts,
    pub(crate) took: Duration,
    pub(crate) remark: String,
    pub(crate) log: Option<PathBuf>,
    pub(crate) by_hand: String,
}

impl Finished {
    pub(crate) fn missing(name: &str, program: &str) -> Self {
        Finished { verdict: Verdict::Missing, ..Self::skipped(name, &format!("{program} is not installed")) }
    }

    pub(crate) fn skipped(name: &str, reason: &str) -> Self {
        Finished {
            name: name.to_owned(),
            verdict: Verdict::Skipped,
            counts: Counts { skipped: 1, ..Counts::default() },
            took: Duration::ZERO,
            remark: reason.to_owned(),
            log: None,
            by_hand: String::new(),
        }
    }

    /// In CI every tool is there, or the run proves nothing.
    pub(super) fn is_failure(&self) -> bool {
        match self.verdict {
            Verdict::Passed | Verdict::PassedAgain => false,
            Verdict::Failed => true,
            Verdict::Missing | Verdict::Skipped => std::env::var("CI").is_ok_and(|ci| ci == "true"),
        }
    }
}

pub(crate) fn print_line(done: &Finished) {
    let verdict = match done.verdict {
        Verdict::Passed => "ok",
        Verdict::PassedAgain => "ok again",
        Verdict::Failed => "FAILED",
        Verdict::Missing => "MISSING",
        Verdict::Skipped => "skipped",
    };
    println!("{:<28} {verdict:<8} {:>7.1} s  {}", done.name, done.took.as_secs_f64(), done.remark);
}

/// The table, then each failure; an error when there is one.
pub(crate) fn print(all: &[Finished], took: Duration) -> Result<(), String> {
    println!("\n{:<28} {:>8} {:>8} {:>8} {:>9}", "check", "passed", "failed", "skipped", "seconds");
    for done in all {
        let Counts { passed, failed, skipped } = done.counts;
        let seconds = done.took.as_secs_f64();
        println!("{:<28} {passed:>8} {failed:>8} {skipped:>8} {seconds:>9.1}  {}", done.name, done.remark);
    }
    println!("{:<28} {:>36.1}", "all", took.as_secs_f64());
    for done in all.iter().filter(|done| done.verdict == Verdict::PassedAgain) {
        let first = done.log.as_ref().map(|log| log.with_extension(FIRST_LOG)).unwrap_or_default();
        println!("\n==== {}, the first try ====\n{}\nlog: {}", done.name, tail(&first), first.display());
    }
    let failures: Vec<&Finished> = all.iter().filter(|done| done.is_failure()).collect();
    for done in &failures {
        println!("\n==== {} ====", done.name);
        if let Some(log) = &done.log {
            println!("{}", tail(log));
            println!("log: {}", log.display());
            println!("reproduce: {}", done.by_hand);
        } else {
            println!("{}", done.remark);
        }
    }
    if failures.is_empty() {
        return Ok(());
    }
    Err(format!("{} of {} checks failed", failures.len(), all.len()))
}

fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
