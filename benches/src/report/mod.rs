//! What the rounds gave, for people (Markdown, plots) and for programs (JSON).

mod markdown;
mod plot;

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::bars;
use crate::measure::{Numbers, Table};
use crate::tree::Machine;

pub(crate) use markdown::number;

/// How it was measured.
#[derive(Serialize)]
pub(crate) struct Setting {
    pub(crate) machine: Machine,
    pub(crate) rounds: usize,
    /// Each workload's measured part, after its warm-up.
    pub(crate) seconds: f64,
    pub(crate) taken_at_seconds: u64,
}

/// Writes `report.md`, `report.json` and the plots.
///
/// # Errors
/// What cannot be written, as one line.
pub(crate) fn write(directory: &Path, setting: &Setting, table: &Table) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    fs::create_dir_all(directory).map_err(failed)?;
    let plots = plot::plots(table);
    for (name, svg) in &plots {
        fs::write(directory.join(name), svg).map_err(failed)?;
    }
    let names: Vec<&str> = plots.iter().map(|(name, _)| name.as_str()).collect();
    fs::write(directory.join("report.md"), markdown::report(setting, table, &names)).map_err(failed)?;
    fs::write(directory.join("report.json"), json(setting, table)).map_err(failed)
}

/// A run in one line, for somebody who waits.
pub(crate) fn line(numbers: &Numbers) -> String {
    let parts = numbers.iter().map(|(measure, value)| format!("{} {}", number(*value), measure.title()));
    parts.collect::<Vec<_>>().join("; ")
}

/// The bars, for the end of a run.
pub(crate) fn verdicts(table: &Table) -> String {
    let mut text = String::new();
    for verdict in bars::judge(table) {
        let bars::Verdict { workload, measure, bar, found, reached } = verdict;
        let word = if reached { "reached" } else { "MISSED " };
        text.push_str(&format!("{word} {workload}: {measure}: {found}; bar {bar}\n"));
    }
    text
}

/// Every round's numbers.
fn json(setting: &Setting, table: &Table) -> String {
    let mut results = Vec::new();
    for workload in table.workloads() {
        for measure in table.measures(workload) {
            for contender in table.contenders() {
                let rounds = table.rounds(workload, measure, contender);
                if !rounds.is_empty() {
                    results.push(serde_json::json!({
                        "workload": workload, "measure": measure, "contender": contender, "rounds": rounds,
                    }));
                }
            }
        }
    }
    format!("{:#}\n", serde_json::json!({ "setting": setting, "results": results }))
}
