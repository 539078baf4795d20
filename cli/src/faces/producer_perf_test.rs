//! `kafka-producer-perf-test`.

use std::time::Duration;

use client::OutgoingRecord;
use tokio::time::{Instant, sleep_until};

use super::connect_with;
use super::flags::{Flag, Parsed, switch, value};
use super::perf_latency::Latencies;
use super::perf_payload::{Payload, say_warmup, warmup};
use super::perf_writer::Writer;
use super::properties::Properties;
use crate::clock::now_ms;
use crate::failure::{Failure, Outcome};
use crate::output::say;

pub(crate) const FLAGS: &[Flag] = &[
    value("topic", "name", "Write to this topic"),
    value("num-records", "n", "Write so many records"),
    value("record-size", "bytes", "Each of this size"),
    value("payload-file", "file", "Values to choose from by chance"),
    value("payload-delimiter", "text", "Between the values of the file: the end of a line, without it"),
    switch("payload-monotonic", "Count instead of random bytes"),
    value("throughput", "n", "So many records a second; -1 for as many as possible"),
    value("bootstrap-server", "host:port", "Brokers to connect to"),
    value("command-property", "key=value", "Settings of the producer").or(&["producer-props"]).several(),
    value("command-config", "file", "Settings of the producer").or(&["producer.config"]),
    value("reporting-interval", "ms", "How often to say how it goes"),
    value("warmup-records", "n", "Of the records, so many come before what is reported as the steady state"),
    switch("print-metrics", "Not possible: the broker's /metrics has what there is"),
    value("transactional-id", "id", "Write transactions, as this producer"),
    value("transaction-duration-ms", "ms", "Commit a transaction when it has lasted so long; 3000, without it"),
];

/// Bytes and records of a batch, as Kafka's producer has them by default.
const BATCH_BYTES: usize = 16 << 10;
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
/// A year.
const SECONDS_MAX: f64 = 31_536_000.0;

/// What is to be written.
struct Load {
    records: u64,
    payload: Payload,
    /// The first ones, which are not of the steady state.
    warmup: u64,
    /// A second; none for as many as possible.
    throughput: Option<f64>,
    interval: Duration,
}

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    if parsed.has("print-metrics") {
        return Err(Failure::Input("--print-metrics is not possible; COMPAT.md lists what is".into()));
    }
    let topic_name = parsed.required("topic")?;
    let load = load(parsed)?;
    let mut settings = Properties::load(parsed.value("command-config")?)?.add(parsed.values("command-property"))?;
    settings.require_plaintext()?;
    let of_settings = settings.take("bootstrap.servers");
    let bootstrap = parsed.value("bootstrap-server")?.map(str::to_owned).or(of_settings);
    let missing =
        || Failure::Usage("error: --bootstrap-server, or bootstrap.servers among the settings, is needed".into());
    let cluster = connect_with(&bootstrap.ok_or_else(missing)?, &mut settings).await?;
    let mut writer = Writer::new(&cluster, parsed, &mut settings).await?;
    let batch_bytes = batch_bytes(&mut settings)?;
    settings.mention_unused("kafka-producer-perf-test");
    let topic = cluster.topic_or_create(topic_name).await?;
    let per_batch = (batch_bytes / load.payload.usual_bytes().max(1)).clamp(1, 10_000) as u64;
    say_warmup(load.warmup)?;
    let mut report = Report::new(&load);
    let (mut written, mut partition) = (0, 0);
    while written < load.records {
        // The steady state begins with a batch of its own.
        let until = if written < load.warmup { load.warmup } else { load.records };
        let count = per_batch.min(until - written);
        if let Some(throughput) = load.throughput {
            sleep_until(due(report.begun, written as f64 / throughput)).await;
        }
        let records = records(&load, written, count);
        let sent = Instant::now();
        writer.send(topic_name, partition, &records).await?;
        written += count;
        partition = (partition + 1) % topic.partition_count().max(1);
        let bytes = records.iter().map(|record| record.value.as_ref().map_or(0, |value| value.len() as u64)).sum();
        report.add(Sent { records: count, bytes, took: sent.elapsed(), is_steady: written > load.warmup })?;
    }
    writer.finish().await?;
    report.total()
}

/// A moment so many seconds later. Nobody sees one that is more than a year away.
fn due(begun: Instant, seconds: f64) -> Instant {
    begun + Duration::from_secs_f64(seconds.min(SECONDS_MAX))
}

fn batch_bytes(settings: &mut Properties) -> Result<usize, Failure> {
    let Some(size) = settings.take("batch.size") else { return Ok(BATCH_BYTES) };
    let invalid = |_| Failure::Input(format!("Invalid value {size} for configuration batch.size: a number of bytes"));
    size.trim().parse().map_err(invalid)
}

fn load(parsed: &Parsed) -> Result<Load, Failure> {
    let missing = |flag: &str| Failure::Usage(format!("error: argument --{flag} is required"));
    let throughput: f64 = parsed.number("throughput")?.ok_or_else(|| missing("throughput"))?;
    let records = parsed.number("num-records")?.ok_or_else(|| missing("num-records"))?;
    Ok(Load {
        records,
        payload: Payload::new(parsed)?,
        warmup: warmup(parsed, records)?,
        throughput: (throughput > 0.0).then_some(throughput),
        interval: parsed.number("reporting-interval")?.map_or(DEFAULT_INTERVAL, Duration::from_millis),
    })
}

fn records(load: &Load, first: u64, count: u64) -> Vec<OutgoingRecord> {
    let timestamp_ms = now_ms();
    let record = |number: u64| {
        let value = Some(load.payload.value(number));
        OutgoingRecord { value, timestamp_ms, ..OutgoingRecord::default() }
    };
    (first..first + count).map(record).collect()
}

/// A batch that was acknowledged.
struct Sent {
    records: u64,
    bytes: u64,
    took: Duration,
    /// Whether it came after the records that warm up.
    is_steady: bool,
}

/// What was reached since a moment.
struct Window {
    begun: Instant,
    latencies: Latencies,
    bytes: u64,
}

impl Window {
    fn new(begun: Instant) -> Window {
        Window { begun, latencies: Latencies::new(), bytes: 0 }
    }

    fn add(&mut self, sent: &Sent) {
        self.latencies.add(sent.records, sent.took.as_millis() as u64);
        self.bytes += sent.bytes;
    }

    /// Records and MiB a second.
    fn rates(&self) -> (f64, f64) {
        let seconds = self.begun.elapsed().as_secs_f64().max(0.001);
        (self.latencies.records as f64 / seconds, self.bytes as f64 / seconds / f64::from(1 << 20))
    }

    fn summary(&self, what: &str) -> String {
        let [half, most, nearly, all] = [0.5, 0.95, 0.99, 0.999].map(|share| self.latencies.percentile(share));
        let (per_second, megabytes) = self.rates();
        format!(
            "{} {what} sent, {per_second:.6} records/sec ({megabytes:.2} MB/sec), {:.2} ms avg latency, {:.2} ms max \
             latency, {half} ms 50th, {most} ms 95th, {nearly} ms 99th, {all} ms 99.9th.\n",
            self.latencies.records,
            self.latencies.mean(),
            self.latencies.max_ms as f64
        )
    }
}

/// What was reached in all, in the steady state, and since the last line.
struct Report {
    begun: Instant,
    all: Window,
    steady: Option<Window>,
    recent: Window,
    interval: Duration,
    has_warmup: bool,
}

impl Report {
    fn new(load: &Load) -> Report {
        let begun = Instant::now();
        let (all, recent) = (Window::new(begun), Window::new(begun));
        Report { begun, all, steady: None, recent, interval: load.interval, has_warmup: load.warmup > 0 }
    }

    fn add(&mut self, sent: Sent) -> Outcome {
        self.all.add(&sent);
        self.recent.add(&sent);
        if self.has_warmup && sent.is_steady {
            let begun = Instant::now() - sent.took;
            self.steady.get_or_insert_with(|| Window::new(begun)).add(&sent);
        }
        if self.recent.begun.elapsed() < self.interval {
            return Ok(());
        }
        let recent = std::mem::replace(&mut self.recent, Window::new(Instant::now()));
        let (per_second, megabytes) = recent.rates();
        say(&format!(
            "{} records sent, {per_second:.1} records/sec ({megabytes:.2} MB/sec), {:.1} ms avg latency, {:.1} ms max \
             latency.\n",
            recent.latencies.records,
            recent.latencies.mean(),
            recent.latencies.max_ms as f64
        ))
    }

    fn total(&self) -> Outcome {
        say(&self.all.summary("records"))?;
        self.steady.iter().try_for_each(|steady| say(&steady.summary("steady state records")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_size_that_is_no_number_is_refused() {
        let read = |setting: &[&str]| batch_bytes(&mut Properties::default().add(setting.iter().copied()).unwrap());
        assert_eq!((read(&[]).unwrap(), read(&["batch.size=100"]).unwrap()), (BATCH_BYTES, 100));
        for wrong in ["batch.size=16k", "batch.size=-1", "batch.size="] {
            let refused = read(&[wrong]).unwrap_err().to_string();
            assert!(refused.contains("batch.size"), "{wrong}: {refused}");
        }
    }

    #[test]
    fn a_record_may_be_due_at_any_time() {
        let begun = Instant::now();
        assert_eq!(due(begun, 0.5) - begun, Duration::from_millis(500));
        assert!([1e18, f64::MAX, f64::INFINITY].iter().all(|seconds| due(begun, *seconds) > begun));
    }
}
