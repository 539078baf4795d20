//! `kafka-producer-perf-test`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use client::{Acks, OutgoingRecord, Producer};
use protocol::records::Codec;
use tokio::time::{Instant, sleep_until};

use super::connect_with;
use super::flags::{Flag, Parsed, switch, value};
use super::perf_latency::Latencies;
use super::properties::Properties;
use crate::failure::{Failure, Outcome};
use crate::output::say;

pub(crate) const FLAGS: &[Flag] = &[
    value("topic", "name", "Write to this topic"),
    value("num-records", "n", "Write so many records"),
    value("record-size", "bytes", "Each of this size"),
    value("payload-file", "file", "Values to choose from; not possible yet"),
    value("payload-delimiter", "text", "Between the values of the file; not possible yet"),
    switch("payload-monotonic", "Count instead of random bytes"),
    value("throughput", "n", "So many records a second; -1 for as many as possible"),
    value("bootstrap-server", "host:port", "Brokers to connect to"),
    value("command-property", "key=value", "Settings of the producer").or(&["producer-props"]).several(),
    value("command-config", "file", "Settings of the producer").or(&["producer.config"]),
    value("reporting-interval", "ms", "How often to say how it goes"),
    value("warmup-records", "n", "Not counted, of the records; not possible yet"),
    switch("print-metrics", "Not possible: the broker's /metrics has what there is"),
    value("transactional-id", "id", "Not possible yet"),
    value("transaction-duration-ms", "ms", "Not possible yet"),
];

const NOT_YET: [&str; 6] = [
    "payload-file",
    "payload-delimiter",
    "warmup-records",
    "print-metrics",
    "transactional-id",
    "transaction-duration-ms",
];
/// Bytes and records of a batch, as Kafka's producer has them by default.
const BATCH_BYTES: usize = 16 << 10;
const RECORD_MAX_BYTES: usize = 64 << 20;
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);

/// What is to be written.
struct Load {
    records: u64,
    record_bytes: usize,
    /// A second; none for as many as possible.
    throughput: Option<f64>,
    interval: Duration,
    monotonic: bool,
}

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    if let Some(flag) = NOT_YET.iter().find(|flag| parsed.has(flag)) {
        return Err(Failure::Input(format!("--{flag} is not possible yet; COMPAT.md lists what is")));
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
    let mut producer = match settings.take("acks").as_deref() {
        None | Some("all" | "-1") => Producer::idempotent(&cluster, codec(&mut settings)?).await?,
        Some("1") => Producer::new(&cluster, Acks::Leader, codec(&mut settings)?),
        Some("0") => Producer::new(&cluster, Acks::None, codec(&mut settings)?),
        Some(other) => return Err(Failure::Usage(format!("acks={other}: all, 1 or 0"))),
    };
    let batch_bytes = settings.take("batch.size").and_then(|size| size.parse().ok()).unwrap_or(BATCH_BYTES);
    settings.mention_unused("kafka-producer-perf-test");
    let topic = cluster.topic_or_create(topic_name).await?;
    let per_batch = (batch_bytes / load.record_bytes.max(1)).clamp(1, 10_000) as u64;
    let mut report = Report::new(&load);
    let (mut written, mut partition) = (0, 0);
    while written < load.records {
        let count = per_batch.min(load.records - written);
        if let Some(throughput) = load.throughput {
            sleep_until(report.begun + Duration::from_secs_f64(written as f64 / throughput)).await;
        }
        let records = records(&load, written, count);
        let sent = Instant::now();
        producer.send(topic_name, partition, &records).await?;
        written += count;
        partition = (partition + 1) % topic.partition_count().max(1);
        report.add(count, sent.elapsed())?;
    }
    report.total()
}

fn codec(settings: &mut Properties) -> Result<Codec, Failure> {
    let name = settings.take("compression.type").unwrap_or_else(|| "none".into());
    Codec::from_name(&name)
        .ok_or_else(|| Failure::Usage(format!("compression.type={name}: none, gzip, snappy, lz4 or zstd")))
}

fn load(parsed: &Parsed) -> Result<Load, Failure> {
    let missing = |flag: &str| Failure::Usage(format!("error: argument --{flag} is required"));
    let throughput: f64 = parsed.number("throughput")?.ok_or_else(|| missing("throughput"))?;
    let record_bytes: usize = parsed.number("record-size")?.ok_or_else(|| missing("record-size"))?;
    if !(1..=RECORD_MAX_BYTES).contains(&record_bytes) {
        return Err(Failure::Usage(format!("error: --record-size is 1 to {RECORD_MAX_BYTES}")));
    }
    Ok(Load {
        records: parsed.number("num-records")?.ok_or_else(|| missing("num-records"))?,
        record_bytes,
        throughput: (throughput > 0.0).then_some(throughput),
        interval: parsed.number("reporting-interval")?.map_or(DEFAULT_INTERVAL, Duration::from_millis),
        monotonic: parsed.has("payload-monotonic"),
    })
}

fn records(load: &Load, first: u64, count: u64) -> Vec<OutgoingRecord> {
    let timestamp_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    let record = |number: u64| {
        let value = if load.monotonic { number.to_string().into() } else { payload(number, load.record_bytes) };
        OutgoingRecord { value: Some(value), timestamp_ms, ..OutgoingRecord::default() }
    };
    (first..first + count).map(record).collect()
}

/// Capital letters, as Kafka's tool writes them: a different order for each record.
fn payload(seed: u64, length: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let letter = |_| {
        // Xorshift: quick, and good enough that nothing compresses it away.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b'A' + (state % 26) as u8
    };
    (0..length).map(letter).collect()
}

/// What was reached, since the start and since the last line.
struct Report {
    begun: Instant,
    all: Latencies,
    window_begun: Instant,
    window: Latencies,
    record_bytes: usize,
    interval: Duration,
}

impl Report {
    fn new(load: &Load) -> Report {
        let now = Instant::now();
        Report {
            begun: now,
            all: Latencies::new(),
            window_begun: now,
            window: Latencies::new(),
            record_bytes: load.record_bytes,
            interval: load.interval,
        }
    }

    fn add(&mut self, records: u64, took: Duration) -> Outcome {
        let took_ms = took.as_millis() as u64;
        self.all.add(records, took_ms);
        self.window.add(records, took_ms);
        if self.window_begun.elapsed() < self.interval {
            return Ok(());
        }
        let line = self.line(&self.window, self.window_begun);
        let text = format!(
            "{line}, {:.1} ms avg latency, {:.1} ms max latency.\n",
            self.window.mean(),
            self.window.max_ms as f64
        );
        (self.window, self.window_begun) = (Latencies::new(), Instant::now());
        say(&text)
    }

    fn line(&self, latencies: &Latencies, since: Instant) -> String {
        let per_second = latencies.records as f64 / since.elapsed().as_secs_f64().max(0.001);
        let megabytes = per_second * self.record_bytes as f64 / f64::from(1 << 20);
        format!("{} records sent, {per_second:.1} records/sec ({megabytes:.2} MB/sec)", latencies.records)
    }

    fn total(&self) -> Outcome {
        let [half, most, nearly, all] = [0.5, 0.95, 0.99, 0.999].map(|share| self.all.percentile(share));
        say(&format!(
            "{}, {:.2} ms avg latency, {:.2} ms max latency, {half} ms 50th, {most} ms 95th, {nearly} ms 99th, \
             {all} ms 99.9th.\n",
            self.line(&self.all, self.begun),
            self.all.mean(),
            self.all.max_ms as f64
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_letters_and_differ() {
        let (one, other) = (payload(1, 100), payload(2, 100));
        assert!(one.iter().all(u8::is_ascii_uppercase) && one.len() == 100 && one != other);
    }
}
