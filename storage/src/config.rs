//! What an operator may set for a log.

use protocol::records::{Codec, TimestampType};

/// Settings of one partition log; the fields carry Kafka's topic-level keys. Changes take effect at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment that would grow beyond it is closed.
    pub segment_bytes: u64,
    /// `segment.ms`: a segment older than this is closed at the next append.
    pub segment_ms: u64,
    /// `segment.jitter.ms`: up to this much is taken off `segment_ms`, so that segments do not all close at once.
    pub segment_jitter_ms: u64,
    /// `segment.index.bytes`: a segment one of whose indexes is this large is closed.
    pub segment_index_bytes: u64,
    /// `index.interval.bytes`: bytes of data between two index entries.
    pub index_interval_bytes: u64,
    /// `retention.ms`; `None` keeps for ever.
    pub retention_ms: Option<u64>,
    /// `retention.bytes`; `None` is no limit.
    pub retention_bytes: Option<u64>,
    /// `max.message.bytes`: the largest batch, as it is stored.
    pub max_message_bytes: usize,
    /// `cleanup.policy` has `compact`: every record needs a key.
    pub compact: bool,
    /// `cleanup.policy` has `delete`: retention applies.
    pub delete: bool,
    /// `min.cleanable.dirty.ratio` in millionths: compaction begins when more than this of the log is not compacted.
    pub min_cleanable_dirty_ppm: u32,
    /// `min.compaction.lag.ms`: records younger than this are not compacted.
    pub min_compaction_lag_ms: u64,
    /// `max.compaction.lag.ms`: records older than this are compacted whatever the ratio; `None` never.
    pub max_compaction_lag_ms: Option<u64>,
    /// `delete.retention.ms`: how long a tombstone stays after compaction first met it.
    pub delete_retention_ms: u64,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`: how far in the past a record may be; `None` is no limit.
    pub timestamp_before_max_ms: Option<u64>,
    /// `message.timestamp.after.max.ms`: how far in the future; `None` is no limit.
    pub timestamp_after_max_ms: Option<u64>,
    /// `compression.type` and its level; `None` keeps what the producer sent.
    pub compression: Option<(Codec, Option<i32>)>,
    /// `preallocate`: reserve whole segments at once instead of in growing steps.
    pub preallocate: bool,
    /// `producer.id.expiration.ms`: a producer unheard of for this long is forgotten.
    pub producer_id_expiration_ms: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 60 * 60 * 1000,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            retention_ms: Some(7 * 24 * 60 * 60 * 1000),
            retention_bytes: None,
            max_message_bytes: 1_048_588,
            compact: false,
            delete: true,
            min_cleanable_dirty_ppm: 500_000,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: None,
            delete_retention_ms: 24 * 60 * 60 * 1000,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: None,
            timestamp_after_max_ms: Some(60 * 60 * 1000),
            compression: None,
            preallocate: false,
            producer_id_expiration_ms: 24 * 60 * 60 * 1000,
        }
    }
}

/// What all logs of a directory share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedLimits {
    /// Recent batches kept in memory for readers at the tail, bytes.
    pub tail_cache_bytes: usize,
    /// Windows into files that readers hold at a time, bytes. Beyond it data is copied into memory instead.
    pub mapped_bytes: usize,
    /// Idempotent producers remembered by one log.
    pub producers_per_log: usize,
    /// A log with so much behind its newest restart point gets another at the next checkpoint, bytes. A start after a
    /// crash reads that much of a log, and what came since the last checkpoint.
    pub restart_interval_bytes: u64,
}

impl Default for SharedLimits {
    fn default() -> Self {
        SharedLimits {
            tail_cache_bytes: 8 << 20,
            mapped_bytes: 64 << 20,
            producers_per_log: 10_000,
            restart_interval_bytes: 1 << 20,
        }
    }
}
