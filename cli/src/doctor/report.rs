//! What the doctor found: a line for each check, for people or for programs.

use serde::Serialize;

use crate::arguments::{Format, OutputArgs};
use crate::failure::{Failure, Outcome};
use crate::output::{print_as, say};

/// How good it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Ok,
    Warn,
    Fail,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "FAIL",
        }
    }
}

/// The outcome of one check of one thing.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    /// One word: name, tcp, protocol, metadata, advertised, memory, disk, partitions, groups, roundtrip, clock.
    pub(super) check: &'static str,
    pub(super) level: Level,
    /// What was looked at, and what came out.
    pub(super) what: String,
    /// What to do about it; none when it is well.
    pub(super) cure: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, what: impl Into<String>) -> Finding {
        Finding { check, level: Level::Ok, what: what.into(), cure: None }
    }

    pub(super) fn warn(check: &'static str, what: impl Into<String>, cure: impl Into<String>) -> Finding {
        Finding { check, level: Level::Warn, what: what.into(), cure: Some(cure.into()) }
    }

    pub(super) fn fail(check: &'static str, what: impl Into<String>, cure: impl Into<String>) -> Finding {
        Finding { check, level: Level::Fail, what: what.into(), cure: Some(cure.into()) }
    }

    fn line(&self) -> String {
        let cure = self.cure.as_ref().map(|cure| format!("; cure: {cure}")).unwrap_or_default();
        // What a stranger on the wire said must not become lines of ours.
        let text = format!("{}{cure}", self.what).replace(['\n', '\r'], " ");
        format!("{:<4}  {:<10}  {text}\n", self.level.word(), self.check)
    }
}

/// Everything found. People see each line as soon as it is there.
pub(super) struct Report {
    output: OutputArgs,
    findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(output: OutputArgs) -> Report {
        Report { output, findings: Vec::new() }
    }

    /// # Errors
    /// When nobody reads any more.
    pub(super) fn add(&mut self, finding: Finding) -> Outcome {
        if self.output.output == Format::Table {
            say(&finding.line())?;
        }
        self.findings.push(finding);
        Ok(())
    }

    /// # Errors
    /// When nobody reads any more.
    pub(super) fn add_all(&mut self, findings: impl IntoIterator<Item = Finding>) -> Outcome {
        findings.into_iter().try_for_each(|finding| self.add(finding))
    }

    /// The end: programs get everything at once.
    ///
    /// # Errors
    /// When a check failed.
    pub(super) fn finish(self) -> Outcome {
        if self.output.output == Format::Json {
            print_as(self.output, &self.findings, |_| String::new())?;
        }
        match self.findings.iter().filter(|finding| finding.level == Level::Fail).count() {
            0 => Ok(()),
            failed => Err(Failure::Input(format!("{failed} of {} checks FAIL", self.findings.len()))),
        }
    }
}
