//! What is in force for one topic: its own overrides over the broker's defaults.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::records::{Codec, TimestampType};
use storage::LogConfig;

use super::broker_config::BrokerConfig;
use super::key::Value;
use super::layers::Layers;
use super::table;

/// The codec of stored batches (`compression.type` and its level).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TopicCompression {
    /// What the producer sent stays as it is.
    Producer,
    /// Batches of another codec are compressed again.
    Codec(Codec, Option<i32>),
}

/// Settings of a topic. Sizes are bytes, times milliseconds; Kafka's "for ever" and "no limit" are `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicConfig {
    /// `cleanup.policy` has `compact`.
    pub(crate) compact: bool,
    /// `cleanup.policy` has `delete`.
    pub(crate) delete: bool,
    pub(crate) delete_retention_ms: u64,
    pub(crate) max_compaction_lag_ms: Option<u64>,
    /// `min.cleanable.dirty.ratio`, in millionths.
    pub(crate) min_cleanable_dirty_ppm: u32,
    pub(crate) min_compaction_lag_ms: u64,
    pub(crate) compression: TopicCompression,
    /// `ottla.durability`: acks=all waits for the disk.
    pub(crate) fsync: bool,
    /// Appended records after which a flush is waited for.
    pub(crate) flush_messages: Option<u64>,
    /// The longest time an appended record may stay unflushed.
    pub(crate) flush_ms: Option<u64>,
    pub(crate) index_interval_bytes: u32,
    pub(crate) max_message_bytes: u32,
    pub(crate) message_timestamp_after_max_ms: Option<u64>,
    pub(crate) message_timestamp_before_max_ms: Option<u64>,
    pub(crate) message_timestamp_type: TimestampType,
    pub(crate) preallocate: bool,
    pub(crate) retention_bytes: Option<u64>,
    pub(crate) retention_ms: Option<u64>,
    pub(crate) segment_bytes: u32,
    pub(crate) segment_index_bytes: u32,
    pub(crate) segment_jitter_ms: u64,
    pub(crate) segment_ms: u64,
    /// `producer.id.expiration.ms` of the broker, which every log applies.
    pub(crate) producer_id_expiration_ms: u64,
}

/// Values of topic keys by name.
pub(crate) type TopicValues = BTreeMap<&'static str, Value>;

impl TopicConfig {
    /// The settings of a topic with these overrides. Overrides that an older release accepted and this one does not are
    /// passed over.
    pub(crate) fn resolve(broker: &BrokerConfig, overrides: Option<&Arc<BTreeMap<String, String>>>) -> TopicConfig {
        let Some(overrides) = overrides.filter(|overrides| !overrides.is_empty()) else {
            return broker.topic_defaults.clone();
        };
        let mut values = broker.topic_values.clone();
        for (name, text) in overrides.iter() {
            if let Some(key) = table::topic_key(name)
                && let Ok(value) = key.parse_supported(text)
            {
                values.insert(key.name, value);
            }
        }
        TopicConfig::of(&values, broker.producer_id_expiration_ms)
    }

    /// Defaults of all topic keys on a broker.
    pub(crate) fn default_values(layers: &Layers) -> TopicValues {
        table::topic_keys().map(|key| (key.name, layers.topic_default(key))).collect()
    }

    /// What the log enforces of it.
    pub(crate) fn log_config(&self) -> LogConfig {
        LogConfig {
            segment_bytes: u64::from(self.segment_bytes),
            segment_ms: self.segment_ms,
            segment_jitter_ms: self.segment_jitter_ms,
            segment_index_bytes: u64::from(self.segment_index_bytes),
            index_interval_bytes: u64::from(self.index_interval_bytes),
            retention_ms: self.retention_ms,
            retention_bytes: self.retention_bytes,
            max_message_bytes: self.max_message_bytes as usize,
            compact: self.compact,
            delete: self.delete,
            delete_retention_ms: self.delete_retention_ms,
            max_compaction_lag_ms: self.max_compaction_lag_ms,
            min_cleanable_dirty_ppm: self.min_cleanable_dirty_ppm,
            min_compaction_lag_ms: self.min_compaction_lag_ms,
            timestamp_type: self.message_timestamp_type,
            timestamp_before_max_ms: self.message_timestamp_before_max_ms,
            timestamp_after_max_ms: self.message_timestamp_after_max_ms,
            compression: match self.compression {
                TopicCompression::Producer => None,
                TopicCompression::Codec(codec, level) => Some((codec, level)),
            },
            preallocate: self.preallocate,
            producer_id_expiration_ms: self.producer_id_expiration_ms,
        }
    }

    /// Reads typed fields out of values, one for each key.
    pub(crate) fn of(values: &TopicValues, producer_id_expiration_ms: u64) -> TopicConfig {
        let values = Values(values);
        TopicConfig {
            compact: values.has("cleanup.policy", "compact"),
            delete: values.has("cleanup.policy", "delete"),
            delete_retention_ms: values.unsigned("delete.retention.ms"),
            max_compaction_lag_ms: values.limit("max.compaction.lag.ms"),
            min_cleanable_dirty_ppm: values.ppm("min.cleanable.dirty.ratio"),
            min_compaction_lag_ms: values.unsigned("min.compaction.lag.ms"),
            compression: compression(&values),
            fsync: values.text("ottla.durability") == "fsync",
            flush_messages: values.limit("flush.messages"),
            flush_ms: values.limit("flush.ms"),
            index_interval_bytes: values.size("index.interval.bytes"),
            max_message_bytes: values.size("max.message.bytes"),
            message_timestamp_after_max_ms: values.limit("message.timestamp.after.max.ms"),
            message_timestamp_before_max_ms: values.limit("message.timestamp.before.max.ms"),
            message_timestamp_type: match values.text("message.timestamp.type") {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            preallocate: values.flag("preallocate"),
            retention_bytes: values.limit("retention.bytes"),
            retention_ms: values.limit("retention.ms"),
            segment_bytes: values.size("segment.bytes"),
            segment_index_bytes: values.size("segment.index.bytes"),
            segment_jitter_ms: values.unsigned("segment.jitter.ms"),
            segment_ms: values.unsigned("segment.ms"),
            producer_id_expiration_ms,
        }
    }
}

fn compression(values: &Values<'_>) -> TopicCompression {
    let level = |name| i32::try_from(values.integer(name)).ok();
    match values.text("compression.type") {
        "producer" => TopicCompression::Producer,
        "gzip" => TopicCompression::Codec(Codec::Gzip, level("compression.gzip.level").filter(|level| *level != -1)),
        "lz4" => TopicCompression::Codec(Codec::Lz4, level("compression.lz4.level")),
        "zstd" => TopicCompression::Codec(Codec::Zstd, level("compression.zstd.level")),
        "snappy" => TopicCompression::Codec(Codec::Snappy, None),
        _ => TopicCompression::Codec(Codec::None, None),
    }
}

/// Values whose types the table vouches for.
struct Values<'a>(&'a TopicValues);

impl Values<'_> {
    fn get(&self, name: &'static str) -> &Value {
        self.0.get(name).expect("there is a value for every key of the table")
    }

    fn integer(&self, name: &'static str) -> i64 {
        match self.get(name) {
            Value::Integer(number) => *number,
            other => unreachable!("{name} is a number in the table, not {other}"),
        }
    }

    fn unsigned(&self, name: &'static str) -> u64 {
        u64::try_from(self.integer(name)).unwrap_or(0)
    }

    /// `None` for a negative number and for the largest one: both are Kafka's ways to say there is no limit.
    fn limit(&self, name: &'static str) -> Option<u64> {
        u64::try_from(self.integer(name)).ok().filter(|number| *number < i64::MAX as u64)
    }

    /// A number that the table keeps within 31 bits and above 0.
    fn size(&self, name: &'static str) -> u32 {
        u32::try_from(self.integer(name)).unwrap_or(0)
    }

    /// A ratio that the table keeps from 0 to 1, in millionths.
    fn ppm(&self, name: &'static str) -> u32 {
        match self.get(name) {
            Value::Double(ratio) => (ratio * 1e6).round() as u32,
            other => unreachable!("{name} is a ratio in the table, not {other}"),
        }
    }

    fn flag(&self, name: &'static str) -> bool {
        *self.get(name) == Value::Boolean(true)
    }

    fn text(&self, name: &'static str) -> &str {
        match self.get(name) {
            Value::Text(text) => text,
            other => unreachable!("{name} is a text in the table, not {other}"),
        }
    }

    fn has(&self, name: &'static str, word: &str) -> bool {
        matches!(self.get(name), Value::List(list) if list.iter().any(|element| element == word))
    }
}
