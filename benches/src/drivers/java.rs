//! `kafka-producer-perf-test` and `kafka-consumer-perf-test`, as Apache Kafka ships them.

use std::process::Command;

use super::{Said, Task};
use crate::measure::{Measure, Numbers};
use crate::tree;

/// Of the tool, as its script gives it.
const HEAP: &str = "512m";
/// It is told how many records to write, not how long: what it manages a second, about, in records and in bytes.
const RECORDS_PER_SECOND: f64 = 500_000.0;
const BYTES_PER_SECOND: f64 = 150e6;
/// What its lines give of latency: words after a number, and what it is.
const LATENCIES: [(&str, Measure); 4] = [
    ("ms max latency", Measure::MaxMs),
    ("ms 50th", Measure::P50Ms),
    ("ms 99th", Measure::P99Ms),
    ("ms 99.9th", Measure::P999Ms),
];
/// The columns of the consumer's table.
const CONSUMED: usize = 4;
const FETCH_TIME_MS: usize = 7;

pub(super) fn run(task: &Task, bootstrap: &str) -> Result<Said, String> {
    match task {
        Task::Produce { value_bytes, acks, seconds, rate } => {
            let most = RECORDS_PER_SECOND.min(BYTES_PER_SECOND / *value_bytes as f64);
            let records = (seconds * rate.map_or(most, f64::from)) as u64;
            let mut tool = tool("producer-perf-test", bootstrap);
            tool.args(["--num-records", &(records * 3 / 2).to_string()]);
            tool.args(["--warmup-records", &(records / 2).to_string()]);
            tool.args(["--record-size", &value_bytes.to_string()]);
            tool.args(["--throughput", &rate.map_or_else(|| "-1".to_owned(), |rate| rate.to_string())]);
            tool.args(["--command-property", &format!("acks={acks}")]);
            let printed = tree::output(tool)?;
            produced(&printed).ok_or_else(|| format!("kafka-producer-perf-test says something else:\n{printed}"))
        }
        Task::Consume { bytes } => {
            let records = bytes / task.record_bytes();
            let mut tool = tool("consumer-perf-test", bootstrap);
            tool.args(["--num-records", &records.to_string(), "--hide-header"]);
            let printed = tree::output(tool)?;
            let said = consumed(&printed);
            let said = said.ok_or_else(|| format!("kafka-consumer-perf-test says something else:\n{printed}"))?;
            if said.records < records as f64 {
                return Err(format!("{} of {records} records have come", said.records));
            }
            Ok(said)
        }
    }
}

fn tool(name: &str, bootstrap: &str) -> Command {
    let mut command = tree::xtask();
    command.env("ORACLE_HEAP", HEAP).args(["oracle", "tool", name]);
    command.args(["--bootstrap-server", bootstrap, "--topic", crate::workloads::NAME]);
    command
}

/// The producer ends with a line about all it sent, and one about what came after its warm-up.
fn produced(printed: &str) -> Option<Said> {
    let summaries: Vec<&str> = printed.lines().filter(|line| line.contains("99.9th")).collect();
    let (all, steady) = (summaries.first()?, summaries.last()?);
    let before = |line: &str, words: &str| -> Option<f64> {
        let (text, _) = line.split_once(words)?;
        text.split([' ', ',']).rfind(|word| !word.is_empty())?.parse().ok()
    };
    let sent = |line: &str| line.split(' ').next()?.parse::<f64>().ok();
    let records = sent(steady)?;
    let latencies = LATENCIES.iter().filter_map(|(words, measure)| Some((*measure, before(steady, words)?)));
    Some(Said {
        records,
        seconds: records / before(steady, "records/sec")?,
        records_with_warmup: sent(all)?.max(records),
        latencies: Numbers::from_iter(latencies),
    })
}

/// The consumer ends with one line of numbers.
fn consumed(printed: &str) -> Option<Said> {
    let line = printed.lines().rfind(|line| line.split(", ").count() > FETCH_TIME_MS)?;
    let number = |place: usize| line.split(", ").nth(place)?.trim().parse::<f64>().ok();
    let records = number(CONSUMED)?;
    Some(Said {
        records,
        seconds: number(FETCH_TIME_MS)? / 1000.0,
        records_with_warmup: records,
        latencies: Numbers::new(),
    })
}
