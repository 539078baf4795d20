//! What the rounds gave, for people (Markdown, plots) and for programs (JSON).

mod markdown;
mod plot;

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::bars;
use crate::contender::Contender;
use crate::measure::{Numbers, Table};
use crate::tree::Machine;

pub(crate) use markdown::{count, number};
pub(crate) use plot::escaped;

/// How it was measured.
#[derive(Serialize)]
pub(crate) struct Setting {
    pub(crate) machine: Machine,
    pub(crate) rounds: usize,
    /// Each workload's measured part, after its warm-up.
    pub(crate) seconds: f64,
    pub(crate) taken_at_seconds: u64,
    /// Whether Ottla was built with names and frame pointers, and sampled in the first round.
    pub(crate) has_symbols: bool,
}

/// What there is to say.
pub(crate) struct Report {
    pub(crate) setting: Setting,
    pub(crate) table: Table,
    /// Workload, contender, SVG.
    pub(crate) flames: Vec<(String, Contender, String)>,
}

/// Writes `report.md`, `report.json`, the plots and the flame graphs.
///
/// # Errors
/// What cannot be written, as one line.
pub(crate) fn write(directory: &Path, report: &Report) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    fs::create_dir_all(directory).map_err(failed)?;
    let Report { setting, table, flames } = report;
    let plots = plot::plots(table);
    let flames: Vec<Picture> =
        flames.iter().map(|(workload, contender, svg)| picture(workload, *contender, svg)).collect();
    for Picture { file, svg, .. } in plots.iter().chain(&flames) {
        fs::write(directory.join(file), svg).map_err(failed)?;
    }
    let pictures = markdown::Pictures { plots: &plots, flames: &flames };
    fs::write(directory.join("report.md"), markdown::report(setting, table, &pictures)).map_err(failed)?;
    fs::write(directory.join("report.json"), json(setting, table)).map_err(failed)
}

/// A drawing beside the report.
struct Picture {
    /// Its name there.
    file: String,
    title: String,
    svg: String,
}

fn picture(workload: &str, contender: Contender, svg: &str) -> Picture {
    let mut slug = String::new();
    for c in workload.chars().filter(|c| *c != ',') {
        match c.is_ascii_alphanumeric() {
            true => slug.push(c.to_ascii_lowercase()),
            false if slug.ends_with('-') => {}
            false => slug.push('-'),
        }
    }
    let (slug, who) = (slug.trim_matches('-'), contender.name());
    Picture { file: format!("flame-{who}-{slug}.svg"), title: format!("{workload}, {who}"), svg: svg.to_owned() }
}

/// A run in one line, for somebody who waits.
pub(crate) fn line(numbers: &Numbers) -> String {
    let parts = numbers.iter().map(|(measure, value)| format!("{} {}", number(*value), measure.title()));
    parts.collect::<Vec<_>>().join("; ")
}

/// The bars, for the end of a run.
pub(crate) fn verdicts(verdicts: &[bars::Verdict]) -> String {
    let mut text = String::new();
    for verdict in verdicts {
        let bars::Verdict { workload, measure, bar, found, reached } = verdict;
        let word = if *reached { "reached" } else { "MISSED " };
        text.push_str(&format!("{word} {workload}: {measure}: {found}; bar {bar}\n"));
    }
    text
}

/// Every round's numbers, the bars, and what was not measured.
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
    let bars: Vec<_> = bars::judge(table)
        .into_iter()
        .map(|bars::Verdict { workload, measure, bar, found, reached }| {
            serde_json::json!({ "workload": workload, "measure": measure, "bar": bar, "found": found, "reached": reached })
        })
        .collect();
    let failures = table.failures();
    let report = serde_json::json!({ "setting": setting, "results": results, "bars": bars, "failures": failures });
    format!("{report:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Measure;

    #[test]
    fn what_is_written_names_its_pictures_the_machine_and_what_failed() {
        let directory = tempfile::tempdir().unwrap();
        let mut table = Table::default();
        table.add(0, "produce 16 KB, 1 partitions", Contender::Ottla, &Numbers::from([(Measure::MbPerSecond, 5.0)]));
        table.fail(0, Contender::Kafka, "produce: it broke");
        let report = Report {
            setting: Setting {
                machine: Machine::describe(directory.path()),
                rounds: 1,
                seconds: 2.0,
                taken_at_seconds: 7,
                has_symbols: true,
            },
            table,
            flames: vec![("produce 16 KB, 1 partitions".to_owned(), Contender::Ottla, "<svg/>".to_owned())],
        };
        write(directory.path(), &report).unwrap();
        let text = fs::read_to_string(directory.path().join("report.md")).unwrap();
        for wanted in
            ["throughput.svg", "(flame-ottla-produce-16-kb-1-partitions.svg)", "it broke", "page cache", "Linux"]
        {
            assert!(text.contains(wanted), "{wanted} is not in\n{text}");
        }
        let flame = directory.path().join("flame-ottla-produce-16-kb-1-partitions.svg");
        assert_eq!(fs::read_to_string(flame).unwrap(), "<svg/>");
        let json: serde_json::Value =
            serde_json::from_slice(&fs::read(directory.path().join("report.json")).unwrap()).unwrap();
        assert_eq!((&json["results"][0]["rounds"][0], json["failures"].as_array().unwrap().len()), (&5.0.into(), 1));
    }
}
