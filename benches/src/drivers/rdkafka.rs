//! librdkafka, through a script in a Python environment of its own.

use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

use super::{Said, Task};
use crate::measure::{Measure, Numbers};
use crate::tree;

/// The one that the tests of clients use.
const PACKAGE: &str = "confluent-kafka==2.16.1";
const SCRIPT: &str = include_str!("rdkafka.py");

/// What the script prints.
#[derive(Deserialize)]
struct Printed {
    records: f64,
    records_with_warmup: f64,
    seconds: f64,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    p999_ms: Option<f64>,
    max_ms: Option<f64>,
}

fn environment() -> PathBuf {
    tree::target().join("benches-python")
}

fn python() -> Command {
    Command::new(environment().join("bin/python"))
}

/// Makes the environment, once.
pub(super) fn prepare() -> Result<(), String> {
    let mut probe = python();
    probe.args(["-c", "import confluent_kafka"]);
    if tree::output(probe).is_ok() {
        return Ok(());
    }
    eprintln!("bringing {PACKAGE}");
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(environment());
    tree::output(make).map_err(|error| format!("librdkafka comes through Python with its venv module: {error}"))?;
    let mut install = python();
    install.args(["-m", "pip", "-q", "install", "--disable-pip-version-check", "--only-binary=:all:", PACKAGE]);
    tree::output(install).map(|_| ())
}

pub(super) fn run(task: &Task, bootstrap: &str) -> Result<Said, String> {
    let mut command = python();
    command.args(["-c", SCRIPT]).args(words(task, bootstrap));
    let printed: Printed = serde_json::from_str(&tree::output(command)?).map_err(|error| error.to_string())?;
    let latencies = [
        (Measure::P50Ms, printed.p50_ms),
        (Measure::P99Ms, printed.p99_ms),
        (Measure::P999Ms, printed.p999_ms),
        (Measure::MaxMs, printed.max_ms),
    ];
    Ok(Said {
        records: printed.records,
        seconds: printed.seconds,
        records_with_warmup: printed.records_with_warmup,
        latencies: Numbers::from_iter(latencies.into_iter().filter_map(|(measure, value)| Some((measure, value?)))),
    })
}

fn words(task: &Task, bootstrap: &str) -> Vec<String> {
    let topic = crate::workloads::NAME;
    match task {
        Task::Produce { value_bytes, acks, seconds, rate } => [
            "produce",
            bootstrap,
            topic,
            &value_bytes.to_string(),
            acks,
            &(seconds / 2.0).to_string(),
            &seconds.to_string(),
            &rate.unwrap_or(0).to_string(),
        ]
        .map(str::to_owned)
        .to_vec(),
        Task::Consume { bytes } => {
            ["consume", bootstrap, topic, &(bytes / task.record_bytes()).to_string()].map(str::to_owned).to_vec()
        }
    }
}
