//! Workload files of the OpenMessaging Benchmark: a flat map in YAML.
//!
//! Such a file says how many topics, clients and records; how clients behave (acks, batches, linger) is said elsewhere
//! there, and by the caller here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use saphyr_parser::{Event, Parser};

use crate::workload::{
    Consume, Fetching, Length, LoadError, NewTopic, Produce, RATE_MAX, Start, Topics, Values, Workload,
};

/// Different keys, as that benchmark has them.
const KEYS: u32 = 10_000;
const MINUTE: f64 = 60.0;
/// Topics that a file may ask for.
const TOPICS_MAX: usize = 10_000;

/// A workload file.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenMessaging {
    /// `name`.
    pub name: String,
    /// `topics`.
    pub topics: usize,
    /// `partitionsPerTopic`.
    pub partitions_per_topic: i32,
    /// `messageSize`, bytes.
    pub message_size: usize,
    /// `payloadFile`, relative to the workload's file or to where we are.
    pub payload_file: Option<PathBuf>,
    /// `useRandomizedPayloads`; without a payload's file values are random in any case.
    pub use_randomized_payloads: bool,
    /// `randomBytesRatio`, from 0 to 1.
    pub random_bytes_ratio: f64,
    /// `randomizedPayloadPoolSize`.
    pub randomized_payload_pool_size: Option<usize>,
    /// `keyDistributor`: whether records have keys.
    pub has_keys: bool,
    /// `subscriptionsPerTopic`.
    pub subscriptions_per_topic: usize,
    /// `consumerPerSubscription`.
    pub consumer_per_subscription: usize,
    /// `producersPerTopic`.
    pub producers_per_topic: usize,
    /// `producerRate`, records a second over all producers; 0 is as many as possible.
    pub producer_rate: f64,
    /// `consumerBacklogSizeGB`.
    pub consumer_backlog_size_gb: f64,
    /// `testDurationMinutes`.
    pub test_duration: Duration,
    /// `warmupDurationMinutes`; 1 when the file does not say.
    pub warmup_duration: Duration,
}

impl Default for OpenMessaging {
    fn default() -> OpenMessaging {
        OpenMessaging {
            name: String::new(),
            topics: 1,
            partitions_per_topic: 1,
            message_size: 1024,
            payload_file: None,
            use_randomized_payloads: false,
            random_bytes_ratio: 1.0,
            randomized_payload_pool_size: None,
            has_keys: false,
            subscriptions_per_topic: 1,
            consumer_per_subscription: 1,
            producers_per_topic: 1,
            producer_rate: 0.0,
            consumer_backlog_size_gb: 0.0,
            test_duration: Duration::from_secs(60),
            warmup_duration: Duration::from_secs(60),
        }
    }
}

impl OpenMessaging {
    /// Reads a file's text.
    ///
    /// # Errors
    /// [`LoadError::Workload`] with the line, also for a key that does not exist or that nothing here can follow.
    pub fn parse(text: &str) -> Result<OpenMessaging, LoadError> {
        let mut file = OpenMessaging::default();
        for (line, key, value) in flat_map(text)? {
            file.set(&key, &value).map_err(|reason| refusal(line, &reason))?;
        }
        Ok(file)
    }

    /// What the file asks for, by clients that behave like `like`, on topics called after the file with `suffix` behind.
    ///
    /// `directory` is where the file lies.
    ///
    /// # Errors
    /// When the payload's file cannot be read, or is not as large as the file says.
    pub fn workload(&self, like: &Produce, directory: &Path, suffix: &str) -> Result<Workload, LoadError> {
        let name: String =
            self.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(100).collect();
        let produce = Produce {
            connections: self.producers_per_topic,
            values: self.values(directory)?,
            keys: if self.has_keys { KEYS } else { 0 },
            rate: (self.producer_rate > 0.0).then_some(self.producer_rate),
            ..like.clone()
        };
        let consume = Consume {
            groups: self.subscriptions_per_topic,
            consumers: self.consumer_per_subscription,
            start: Start::Latest,
            joined: false,
            fetching: Fetching::default(),
            after_bytes: (self.consumer_backlog_size_gb * 1e9) as u64,
        };
        let create = NewTopic { partitions: self.partitions_per_topic, replication_factor: -1, settings: Vec::new() };
        Ok(Workload {
            topics: Topics {
                names: (0..self.topics).map(|number| format!("{name}-{suffix}-{number}")).collect(),
                create: Some(create),
                keep: false,
            },
            produce: (self.producers_per_topic > 0).then_some(produce),
            consume: (self.subscriptions_per_topic * self.consumer_per_subscription > 0).then_some(consume),
            warmup: self.warmup_duration,
            length: Length::Time(self.test_duration),
        })
    }

    fn values(&self, directory: &Path) -> Result<Values, LoadError> {
        let file = self.payload_file.as_ref().filter(|_| !self.use_randomized_payloads);
        let Some(file) = file else {
            return Ok(match self.randomized_payload_pool_size {
                None => Values::random(self.message_size, self.random_bytes_ratio),
                Some(pool) => Values::Random { bytes: self.message_size, random_share: self.random_bytes_ratio, pool },
            });
        };
        let near = directory.join(file);
        let path = if near.exists() { near } else { file.clone() };
        let bytes = std::fs::read(&path).map_err(|error| {
            LoadError::Workload(format!(
                "payloadFile {}: {error}; with useRandomizedPayloads: true it is not needed",
                path.display()
            ))
        })?;
        if bytes.len() != self.message_size {
            let text = format!(
                "payloadFile {} has {} bytes, messageSize says {}",
                path.display(),
                bytes.len(),
                self.message_size
            );
            return Err(LoadError::Workload(text));
        }
        Ok(Values::Fixed(bytes.into()))
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "name" => self.name = value.into(),
            "topics" => self.topics = number(key, value, 1.0..=TOPICS_MAX as f64)? as usize,
            "partitionsPerTopic" => self.partitions_per_topic = number(key, value, 1.0..=1e6)? as i32,
            "messageSize" => self.message_size = number(key, value, 1.0..=1e9)? as usize,
            "payloadFile" => self.payload_file = Some(value.into()),
            "useRandomizedPayloads" => self.use_randomized_payloads = flag(key, value)?,
            "randomBytesRatio" => self.random_bytes_ratio = number(key, value, 0.0..=1.0)?,
            "randomizedPayloadPoolSize" => {
                self.randomized_payload_pool_size = Some(number(key, value, 1.0..=1e9)? as usize);
            }
            "keyDistributor" => {
                self.has_keys = match value {
                    "NO_KEY" => false,
                    "KEY_ROUND_ROBIN" | "RANDOM_NANO" => true,
                    _ => return Err(format!("keyDistributor is NO_KEY, KEY_ROUND_ROBIN or RANDOM_NANO, not {value}")),
                }
            }
            "subscriptionsPerTopic" => self.subscriptions_per_topic = number(key, value, 0.0..=1e6)? as usize,
            "consumerPerSubscription" => self.consumer_per_subscription = number(key, value, 0.0..=1e6)? as usize,
            "producersPerTopic" => self.producers_per_topic = number(key, value, 0.0..=1e6)? as usize,
            "producerRate" => self.producer_rate = number(key, value, 0.0..=RATE_MAX)?,
            "consumerBacklogSizeGB" => self.consumer_backlog_size_gb = number(key, value, 0.0..=1e6)?,
            "testDurationMinutes" => self.test_duration = minutes(key, value)?,
            "warmupDurationMinutes" => self.warmup_duration = minutes(key, value)?,
            "backlogDrainRatio" => return Err("backlogDrainRatio is not possible; leave it out".into()),
            _ => return Err(format!("{key} is no key of a workload file")),
        }
        Ok(())
    }
}

fn refusal(line: usize, reason: &str) -> LoadError {
    LoadError::Workload(format!("line {line}: {reason}"))
}

fn number(key: &str, value: &str, range: std::ops::RangeInclusive<f64>) -> Result<f64, String> {
    // Numbers are written with underscores where they are long.
    let parsed: Option<f64> = value.replace('_', "").parse().ok();
    let bad = || format!("{key} is a number from {} to {}, not {value}", range.start(), range.end());
    parsed.filter(|number| range.contains(number)).ok_or_else(bad)
}

fn minutes(key: &str, value: &str) -> Result<Duration, String> {
    Ok(Duration::from_secs_f64(number(key, value, 0.0..=1e6)? * MINUTE))
}

fn flag(key: &str, value: &str) -> Result<bool, String> {
    value.to_ascii_lowercase().parse().map_err(|_| format!("{key} is true or false, not {value}"))
}

/// The entries of a map of scalars, each with its line; those that are empty left out.
fn flat_map(text: &str) -> Result<Vec<(usize, String, String)>, LoadError> {
    let mut entries: Vec<(usize, String, String)> = Vec::new();
    let (mut key, mut depth) = (None, 0);
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| refusal(error.marker().line(), error.info()))?;
        let line = span.start.line();
        match event {
            Event::Scalar(value, ..) if depth == 1 => match key.take() {
                None => key = Some(value.into_owned()),
                Some(key) if entries.iter().any(|(_, there, _)| *there == key) => {
                    return Err(refusal(line, &format!("{key} is here twice")));
                }
                Some(_) if matches!(&*value, "" | "null" | "~") => {}
                Some(key) => entries.push((line, key, value.into_owned())),
            },
            Event::MappingStart(..) if depth == 0 => depth = 1,
            Event::MappingEnd => depth = 0,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {}
            _ => return Err(refusal(line, "a workload file is a map of names and plain values, one a line")),
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use client::Acks;
    use protocol::records::Codec;

    use super::*;

    const FILE: &str = "name: 1 topic / 16 partitions\ntopics: 2\npartitionsPerTopic: 16\nmessageSize: 100\n\
        keyDistributor: \"KEY_ROUND_ROBIN\"\npayloadFile: p.data\nsubscriptionsPerTopic: 3\n\
        consumerPerSubscription: 2\nproducersPerTopic: 4\nproducerRate: 50_000\n\
        consumerBacklogSizeGB: 0\ntestDurationMinutes: 15\nwarmupDurationMinutes: 0.5\n";

    fn like() -> Produce {
        Produce {
            connections: 1,
            values: Values::random(1, 1.0),
            keys: 0,
            batch_bytes: 1 << 20,
            linger: Duration::from_millis(1),
            acks: Acks::All,
            codec: Codec::None,
            idempotent: true,
            rate: None,
            in_flight: 5,
            pre_encoded: false,
        }
    }

    #[test]
    fn a_file_is_a_workload_of_clients_that_behave_as_told() {
        let directory = std::env::temp_dir().join(format!("workload-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = OpenMessaging::parse(FILE).unwrap();
        let missing = file.workload(&like(), &directory, "x").unwrap_err().to_string();
        assert!(missing.contains("useRandomizedPayloads"), "{missing}");
        std::fs::write(directory.join("p.data"), [7; 99]).unwrap();
        let short = file.workload(&like(), &directory, "x").unwrap_err().to_string();
        assert!(short.contains("99 bytes") && short.contains("100"), "{short}");
        std::fs::write(directory.join("p.data"), [7; 100]).unwrap();
        let workload = file.workload(&like(), &directory, "x").unwrap();
        std::fs::remove_dir_all(&directory).unwrap();

        assert_eq!(workload.topics.names, ["1-topic---16-partitions-x-0", "1-topic---16-partitions-x-1"]);
        let (produce, consume) = (workload.produce.as_ref().unwrap(), workload.consume.unwrap());
        assert_eq!((produce.connections, produce.rate, produce.keys), (4, Some(50_000.0), 10_000));
        assert_eq!((produce.batch_bytes, produce.idempotent, produce.values.bytes()), (1 << 20, true, 100));
        assert_eq!((consume.groups, consume.consumers, consume.after_bytes), (3, 2, 0));
        assert_eq!((workload.warmup.as_secs(), workload.length), (30, Length::Time(Duration::from_secs(900))));
        workload.check().unwrap();
    }

    #[test]
    fn what_cannot_be_followed_is_refused_with_its_line() {
        for (text, words) in [
            ("topics: 1\nproducerRates: 5\n", "line 2: producerRates is no key"),
            ("topics: many\n", "line 1: topics is a number"),
            ("topics: 1\ntopics: 2\n", "line 2: topics is here twice"),
            ("name: [a, b]\n", "line 1: a workload file is a map"),
            ("- a\n", "line 1: a workload file is a map"),
            ("name: x\nbacklogDrainRatio: 2\n", "line 2: backlogDrainRatio is not possible"),
            ("messageSize: 0\n", "messageSize is a number from 1"),
        ] {
            let refused = OpenMessaging::parse(text).unwrap_err().to_string();
            assert!(refused.contains(words), "{text}: {refused}");
        }
    }
}
