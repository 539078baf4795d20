//! `kafka-verifiable-producer`: rising numbers into a topic, and a line of JSON for each that says what became of it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use client::{Acks, ClientError, Cluster, Producer, Written, partition_for_key};
use protocol::records::{BatchBuilder, Codec};
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::flags::{Flag, Parsed, value};
use super::properties::Properties;
use super::verifiable_events::{Event, argument_error, number, say_event};
use super::{BOOTSTRAP_SERVER, connect_with, errors};
use crate::clock::now_ms;
use crate::failure::{Failure, Outcome};
use crate::interrupts::Interrupts;

pub(crate) const FLAGS: &[Flag] = &[
    BOOTSTRAP_SERVER,
    value("topic", "name", "Write to this topic"),
    value("max-messages", "n", "End after so many records; -1, as without it, for never"),
    value("throughput", "n", "About so many records a second; -1, as without it, for as many as possible"),
    value("acks", "n", "-1, as without it, 0 or 1"),
    value("message-create-time", "ms", "The timestamp of the first record; the others grow as time goes by"),
    value("value-prefix", "n", "In front of each value, with a dot"),
    value("repeating-keys", "n", "Keys from 0 to the one before this, over and over"),
    value("command-config", "file", "Settings of the producer").or(&["producer.config"]),
];

const FACE: &str = "verifiable-producer";
/// A batch has at most so many records, so that lines appear while more are written.
const BATCH_RECORDS: u64 = 500;
/// When slowed down, a batch has what is due in this time.
const SLOW_BATCH: Duration = Duration::from_millis(20);

#[derive(Serialize)]
struct Sent<'a> {
    key: Option<&'a str>,
    value: &'a str,
    offset: i64,
    topic: &'a str,
    partition: i32,
}

#[derive(Serialize)]
struct Failed<'a> {
    topic: &'a str,
    key: Option<&'a str>,
    value: &'a str,
    exception: String,
    message: String,
}

#[derive(Serialize)]
struct ToolData {
    sent: u64,
    acked: u64,
    target_throughput: i64,
    avg_throughput: f64,
}

/// A record before it is sent.
struct Numbered {
    key: Option<String>,
    value: String,
    timestamp_ms: i64,
}

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    let mut load = Load::read(parsed)?;
    let mut settings = Properties::load(parsed.value("command-config")?)?;
    settings.require_plaintext()?;
    let acks = match number(parsed, FACE, "acks")?.unwrap_or(-1) {
        -1 => Acks::All,
        0 => Acks::None,
        1 => Acks::Leader,
        other => {
            let text = format!("argument --acks: invalid choice: '{other}' (choose from {{0,1,-1}})");
            return Err(argument_error(FACE, &text));
        }
    };
    let codec = settings.take("compression.type").unwrap_or_else(|| "none".into());
    let codec = Codec::from_name(&codec)
        .ok_or_else(|| Failure::Input(format!("compression.type={codec}: none, gzip, snappy, lz4 or zstd")))?;
    let Some(bootstrap) = parsed.value("bootstrap-server")? else {
        return Err(argument_error(FACE, "one of the arguments --bootstrap-server is required"));
    };
    let cluster = connect_with(bootstrap, &mut settings).await?;
    settings.mention_unused("kafka-verifiable-producer");
    let mut interrupts = Interrupts::new()?;
    let begun = Instant::now();
    let mut writer = Writer { producer: Producer::new(&cluster, acks, codec), cluster, codec, acked: 0 };
    say_event("startup_complete", Event {})?;
    let outcome = tokio::select! {
        outcome = writer.write_all(&mut load) => outcome,
        () = interrupts.next() => Ok(()),
    };
    say_event("shutdown_complete", Event {})?;
    let data = ToolData {
        sent: load.next,
        acked: writer.acked,
        target_throughput: load.throughput,
        avg_throughput: writer.acked as f64 / begun.elapsed().as_secs_f64().max(0.001),
    };
    say_event("tool_data", data)?;
    outcome
}

/// What is to be written.
struct Load {
    topic: String,
    /// As many as this; none for no end.
    records: Option<u64>,
    /// A second; negative for as many as possible.
    throughput: i64,
    prefix: Option<i32>,
    keys: Option<i32>,
    next_key: i32,
    /// The next timestamp, when it is not the time of sending.
    create_time_ms: Option<i64>,
    begun_ms: i64,
    /// The number of the next record.
    next: u64,
}

impl Load {
    fn read(parsed: &Parsed) -> Result<Load, Failure> {
        let missing = || argument_error(FACE, "argument --topic is required");
        let records: i32 = number(parsed, FACE, "max-messages")?.unwrap_or(-1);
        let create_time_ms: i64 = number(parsed, FACE, "message-create-time")?.unwrap_or(-1);
        Ok(Load {
            topic: parsed.value("topic")?.ok_or_else(missing)?.into(),
            records: u64::try_from(records).ok(),
            throughput: number::<i32>(parsed, FACE, "throughput")?.unwrap_or(-1).into(),
            prefix: number(parsed, FACE, "value-prefix")?,
            keys: number(parsed, FACE, "repeating-keys")?,
            next_key: 0,
            create_time_ms: (create_time_ms != -1).then_some(create_time_ms),
            begun_ms: now_ms(),
            next: 0,
        })
    }

    /// How many records go together; none when all are written.
    fn due(&self) -> Option<u64> {
        let share = match u64::try_from(self.throughput) {
            Err(_) => BATCH_RECORDS,
            Ok(a_second) => (a_second * SLOW_BATCH.as_millis() as u64 / 1000).clamp(1, BATCH_RECORDS),
        };
        let due = self.records.map_or(share, |records| share.min(records.saturating_sub(self.next)));
        (due > 0).then_some(due)
    }

    fn take(&mut self) -> Numbered {
        let now_ms = now_ms();
        let key = self.keys.map(|keys| {
            let key = self.next_key;
            self.next_key = if key.wrapping_add(1) == keys { 0 } else { key.wrapping_add(1) };
            key.to_string()
        });
        let value = match self.prefix {
            Some(prefix) => format!("{prefix}.{}", self.next),
            None => self.next.to_string(),
        };
        let timestamp_ms = self.create_time_ms.unwrap_or(now_ms);
        // Kafka's tool adds the whole time since the start, each time.
        self.create_time_ms = self.create_time_ms.map(|moment_ms| moment_ms.saturating_add(now_ms - self.begun_ms));
        self.next += 1;
        Numbered { key, value, timestamp_ms }
    }
}

struct Writer {
    cluster: Cluster,
    producer: Producer,
    codec: Codec,
    acked: u64,
}

impl Writer {
    async fn write_all(&mut self, load: &mut Load) -> Outcome {
        let begun = Instant::now();
        while let Some(count) = load.due() {
            if load.throughput == 0 && load.next > 0 {
                // Nothing a second: only an end from outside.
                std::future::pending::<()>().await;
            }
            if load.throughput > 0 {
                sleep_until(begun + Duration::from_secs_f64(load.next as f64 / load.throughput as f64)).await;
            }
            let records = (0..count).map(|_| load.take()).collect();
            self.write(&load.topic, records).await?;
        }
        Ok(())
    }

    /// Each record is tried once, as Kafka's tool does: what is not acknowledged is said to be so.
    async fn write(&mut self, topic: &str, records: Vec<Numbered>) -> Outcome {
        let partitions = match self.cluster.topic_or_create(topic).await {
            Ok(found) => found.partition_count().max(1),
            Err(failure) => return records.iter().try_for_each(|record| say_failed(topic, record, &failure)),
        };
        // Records without a key go together, to a partition that changes from batch to batch (KIP-480).
        let sticky = (now_ms() % i64::from(partitions)) as i32;
        let mut placed: BTreeMap<i32, Vec<Numbered>> = BTreeMap::new();
        for record in records {
            let partition = record.key.as_ref().map_or(sticky, |key| partition_for_key(key.as_bytes(), partitions));
            placed.entry(partition).or_default().push(record);
        }
        for (partition, records) in placed {
            match self.producer.send_batch(topic, partition, self.build(&records)).await {
                Ok(Written { base_offset, .. }) => {
                    self.acked += records.len() as u64;
                    for (place, record) in (0..).zip(&records) {
                        let offset = if base_offset < 0 { -1 } else { base_offset + place };
                        let (key, value) = (record.key.as_deref(), record.value.as_str());
                        say_event("producer_send_success", Sent { key, value, offset, topic, partition })?;
                    }
                }
                Err(failure) => records.iter().try_for_each(|record| say_failed(topic, record, &failure))?,
            }
        }
        Ok(())
    }

    fn build(&self, records: &[Numbered]) -> Bytes {
        let mut builder = BatchBuilder::new(0).codec(self.codec, None);
        for record in records {
            builder.append(
                record.timestamp_ms,
                record.key.as_deref().map(str::as_bytes),
                Some(record.value.as_bytes()),
                &[],
            );
        }
        builder.build().freeze()
    }
}

fn say_failed(topic: &str, record: &Numbered, failure: &ClientError) -> Outcome {
    let exception = format!("class {}", errors::send_exception(failure));
    let message = errors::client_words(failure);
    let (key, value) = (record.key.as_deref(), record.value.as_str());
    say_event("producer_send_error", Failed { topic, key, value, exception, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(words: &str) -> Load {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        let flags: Vec<&Flag> = FLAGS.iter().collect();
        Load::read(&Parsed::parse(&flags, &words).unwrap()).unwrap()
    }

    #[test]
    fn values_rise_and_keys_go_round() {
        let mut load = load("--topic t --max-messages 3 --value-prefix 9 --repeating-keys 2 --message-create-time 5");
        assert_eq!(load.due(), Some(3));
        let taken: Vec<(Option<String>, String)> = (0..3).map(|_| load.take()).map(|r| (r.key, r.value)).collect();
        let expected = [("0", "9.0"), ("1", "9.1"), ("0", "9.2")];
        assert_eq!(taken, expected.map(|(key, value)| (Some(key.to_string()), value.to_string())));
        assert_eq!(load.due(), None);
    }

    #[test]
    fn a_slow_load_is_sent_in_small_parts() {
        assert_eq!(load("--topic t").due(), Some(BATCH_RECORDS));
        assert_eq!(load("--topic t --throughput 10").due(), Some(1));
        assert_eq!(load("--topic t --throughput 1000").due(), Some(20));
        assert_eq!(load("--topic t --throughput 0").due(), Some(1));
        assert_eq!(load("--topic t --max-messages 0").due(), None);
    }
}
