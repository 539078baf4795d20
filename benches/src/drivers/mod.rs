//! Other people's clients as the load: librdkafka through confluent-kafka for Python, and the tools that come with Apache
//! Kafka. They cost far more than ours, so the broker has less of the machine; but they are what people run.

mod java;
mod rdkafka;

use std::future::pending;

use client::Cluster;

use crate::contender::Running;
use crate::measure::{Measure, Numbers};
use crate::stream::refuse_losses;
use crate::usage::Usage;
use crate::workloads::{NAME, backlog};
use crate::{Outcome, scenes, tree};

const PARTITIONS: i32 = 12;

/// A client and what it is to do.
#[derive(Clone, Debug)]
pub(crate) struct Drive {
    pub(crate) tool: Tool,
    pub(crate) task: Task,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    /// `confluent-kafka`.
    Librdkafka,
    /// `kafka-producer-perf-test` and `kafka-consumer-perf-test`.
    JavaTools,
}

#[derive(Clone, Debug)]
pub(crate) enum Task {
    Produce {
        value_bytes: u64,
        /// As the clients write it.
        acks: &'static str,
        seconds: f64,
        /// Records a second; as many as it can without one.
        rate: Option<u32>,
    },
    /// So many bytes in records of 1 KB, from the beginning.
    Consume { bytes: u64 },
}

/// What a tool says of its run.
#[derive(Debug, Default, PartialEq)]
struct Said {
    /// That it timed.
    records: f64,
    seconds: f64,
    /// All that the broker saw.
    records_with_warmup: f64,
    latencies: Numbers,
}

/// Brings what the tools need.
///
/// # Errors
/// What cannot be had, and what would help.
pub(crate) fn prepare(tools: &[Tool]) -> Result<(), String> {
    if tools.contains(&Tool::Librdkafka) {
        rdkafka::prepare()?;
    }
    if tools.contains(&Tool::JavaTools) {
        tree::fetch_kafka()?;
    }
    Ok(())
}

/// Lets a client do its task on a topic of its own.
///
/// # Errors
/// What the client or the broker did not do.
pub(crate) async fn run(drive: &Drive, running: &Running, cluster: &Cluster) -> Outcome<Numbers> {
    let topic = [NAME.to_owned()];
    match &drive.task {
        Task::Produce { .. } => scenes::create(cluster, NAME, PARTITIONS).await?,
        Task::Consume { bytes } => {
            refuse_losses(&load::run(&running.bootstrap, &backlog(*bytes), &mut |_| (), pending()).await?)?;
        }
    }
    let numbers = timed(drive, running).await;
    scenes::delete(cluster, &topic).await?;
    numbers
}

async fn timed(drive: &Drive, running: &Running) -> Outcome<Numbers> {
    let (task, bootstrap) = (drive.task.clone(), running.bootstrap.clone());
    let work = match drive.tool {
        Tool::Librdkafka => rdkafka::run,
        Tool::JavaTools => java::run,
    };
    let before = Usage::of(running.pid)?;
    let said = tokio::task::spawn_blocking(move || work(&task, &bootstrap)).await??;
    let after = Usage::of(running.pid)?;
    Ok(numbers(said, drive.task.record_bytes(), (before, after)))
}

fn numbers(said: Said, record_bytes: u64, (before, after): (Usage, Usage)) -> Numbers {
    let per_second = said.records / said.seconds;
    let gigabytes = said.records_with_warmup * record_bytes as f64 / 1e9;
    let cpu_seconds = after.cpu.saturating_sub(before.cpu).as_secs_f64();
    let mut numbers = said.latencies;
    numbers.extend([
        (Measure::MbPerSecond, per_second * record_bytes as f64 / 1e6),
        (Measure::RecordsPerSecond, per_second),
        (Measure::CpuSecondsPerGb, cpu_seconds / gigabytes),
        (Measure::DiskMb, after.written_bytes.saturating_sub(before.written_bytes) as f64 / 1e6),
    ]);
    numbers.retain(|_, value| value.is_finite());
    numbers
}

impl Task {
    /// Of one record's value.
    fn record_bytes(&self) -> u64 {
        match self {
            Task::Produce { value_bytes, .. } => *value_bytes,
            Task::Consume { .. } => 1024,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_broker_is_charged_for_all_it_saw_and_the_client_for_what_it_timed() {
        let said = Said { records: 1e6, seconds: 2.0, records_with_warmup: 2e6, latencies: Numbers::new() };
        let usage = |seconds, written_bytes| Usage { cpu: Duration::from_secs(seconds), written_bytes };
        let numbers = numbers(said, 1000, (usage(1, 0), usage(5, 3_000_000)));
        let wanted = [
            (Measure::MbPerSecond, 500.0),
            (Measure::RecordsPerSecond, 500_000.0),
            (Measure::CpuSecondsPerGb, 2.0),
            (Measure::DiskMb, 3.0),
        ];
        assert_eq!(numbers, Numbers::from(wanted));
    }
}
