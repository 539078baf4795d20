//! The keys of a topic, with the ranges of Kafka 4.3.

use super::key::Kind::{Boolean, Double, Int, List, Long, String};
use super::key::{Check, ConfigKey as Key, Synonym};
use super::ottla_keys::DURABILITIES;

const HOURS_MS: i64 = 3_600_000;
const MINUTES_MS: i64 = 60_000;
/// Kafka's way to say "never" or "no limit" in a long.
const FOREVER: &str = "9223372036854775807";

pub(crate) const CODECS: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
pub(crate) const CLEANUP_POLICIES: &[&str] = &["compact", "delete"];
pub(crate) const TIMESTAMP_TYPES: &[&str] = &["CreateTime", "LogAppendTime"];

/// The smallest segment, since KIP-1030: smaller ones waste file handles and indexes.
pub(crate) const MIN_SEGMENT_BYTES: i64 = 1024 * 1024;

const NO_TIERED_STORAGE: &str = "there is no tiered storage, so only the default is accepted.";
const NO_THROTTLE: &str = "there is no replication to throttle, so only the default is accepted.";

const fn same(broker_key: &'static str) -> Synonym {
    Synonym { broker_key, factor: 1 }
}

const RETENTION_MS: &[Synonym] = &[
    same("log.retention.ms"),
    Synonym { broker_key: "log.retention.minutes", factor: MINUTES_MS },
    Synonym { broker_key: "log.retention.hours", factor: HOURS_MS },
];
const SEGMENT_MS: &[Synonym] = &[same("log.roll.ms"), Synonym { broker_key: "log.roll.hours", factor: HOURS_MS }];
const SEGMENT_JITTER_MS: &[Synonym] =
    &[same("log.roll.jitter.ms"), Synonym { broker_key: "log.roll.jitter.hours", factor: HOURS_MS }];
pub(super) const ONE_LZ4_EFFORT: &str = "LZ4 is compressed with one effort.";
pub(super) const NO_DELETE_DELAY: &str = "files are removed at once, and whoever still reads them keeps them.";
const FLUSH_MS: &[Synonym] = &[same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")];

/// Every key of a topic, by name.
pub(crate) static TOPIC_KEYS: &[Key] = &[
    Key::topic(
        "cleanup.policy",
        List,
        "delete",
        &[same("log.cleanup.policy")],
        "What happens to old records: `delete` removes segments past retention, `compact` keeps at least the last \
         record of each key and therefore never deletes by age or size on its own. Both may be set together. An empty \
         list keeps everything.",
    )
    .check(Check::EachOneOf(CLEANUP_POLICIES)),
    Key::topic(
        "compression.gzip.level",
        Int,
        "-1",
        &[same("compression.gzip.level")],
        "Effort of gzip when `compression.type` is gzip; -1 is the codec's own choice.",
    )
    .check(Check::BetweenOr(1, 9, -1)),
    Key::topic(
        "compression.lz4.level",
        Int,
        "9",
        &[same("compression.lz4.level")],
        "Effort of LZ4 when `compression.type` is lz4.",
    )
    .check(Check::Between(1, 17))
    .default_only(ONE_LZ4_EFFORT),
    Key::topic(
        "compression.type",
        String,
        "producer",
        &[same("compression.type")],
        "The codec of stored batches. `producer` keeps what the producer sent, byte for byte; any other value makes \
         the broker compress again when they differ.",
    )
    .check(Check::OneOf(CODECS)),
    Key::topic(
        "compression.zstd.level",
        Int,
        "3",
        &[same("compression.zstd.level")],
        "Effort of Zstandard when `compression.type` is zstd.",
    )
    .check(Check::Between(-131_072, 22)),
    Key::topic(
        "delete.retention.ms",
        Long,
        "86400000",
        &[same("log.cleaner.delete.retention.ms")],
        "How long compaction keeps a deletion marker after it first met it, in milliseconds.",
    )
    .at_least(0),
    Key::topic(
        "file.delete.delay.ms",
        Long,
        "60000",
        &[same("log.segment.delete.delay.ms")],
        "How long files of a deleted segment stay on disk, for readers that still hold them, in milliseconds.",
    )
    .at_least(0)
    .default_only(NO_DELETE_DELAY),
    Key::topic(
        "flush.messages",
        Long,
        FOREVER,
        &[same("log.flush.interval.messages")],
        "Records after which the log is forced to disk, whatever the producer's acks.",
    )
    .at_least(1),
    Key::topic(
        "flush.ms",
        Long,
        FOREVER,
        FLUSH_MS,
        "Milliseconds after which the log is forced to disk, whatever the producer's acks.",
    )
    .at_least(0),
    Key::topic(
        "follower.replication.throttled.replicas",
        List,
        "",
        &[],
        "Replicas whose fetching is throttled during a reassignment.",
    )
    .default_only(NO_THROTTLE),
    Key::topic(
        "index.interval.bytes",
        Int,
        "4096",
        &[same("log.index.interval.bytes")],
        "Bytes of log between two entries of the offset index.",
    )
    .at_least(0),
    Key::topic(
        "leader.replication.throttled.replicas",
        List,
        "",
        &[],
        "Replicas whose leader throttles them during a reassignment.",
    )
    .default_only(NO_THROTTLE),
    Key::topic(
        "local.retention.bytes",
        Long,
        "-2",
        &[],
        "Bytes of a tiered partition that stay local; -2 follows `retention.bytes`.",
    )
    .at_least(-2)
    .default_only(NO_TIERED_STORAGE),
    Key::topic(
        "local.retention.ms",
        Long,
        "-2",
        &[],
        "Milliseconds that records of a tiered partition stay local; -2 follows `retention.ms`.",
    )
    .at_least(-2)
    .default_only(NO_TIERED_STORAGE),
    Key::topic(
        "max.compaction.lag.ms",
        Long,
        FOREVER,
        &[same("log.cleaner.max.compaction.lag.ms")],
        "After how many milliseconds a record may be compacted at the latest.",
    )
    .at_least(1),
    Key::topic(
        "max.message.bytes",
        Int,
        "1048588",
        &[same("message.max.bytes")],
        "The largest record batch, compressed, in bytes. A larger one is refused with MESSAGE_TOO_LARGE.",
    )
    .at_least(0),
    Key::topic(
        "message.timestamp.after.max.ms",
        Long,
        "3600000",
        &[same("log.message.timestamp.after.max.ms")],
        "How far a record's timestamp may be ahead of the broker's clock, in milliseconds (KIP-937). Ignored with \
         LogAppendTime.",
    )
    .at_least(0),
    Key::topic(
        "message.timestamp.before.max.ms",
        Long,
        FOREVER,
        &[same("log.message.timestamp.before.max.ms")],
        "How far a record's timestamp may be behind the broker's clock, in milliseconds (KIP-937). Ignored with \
         LogAppendTime.",
    )
    .at_least(0),
    Key::topic(
        "message.timestamp.type",
        String,
        "CreateTime",
        &[same("log.message.timestamp.type")],
        "Whose clock stamps a record: the producer's, or the broker's at the moment of the append.",
    )
    .check(Check::OneOf(TIMESTAMP_TYPES)),
    Key::topic(
        "min.cleanable.dirty.ratio",
        Double,
        "0.5",
        &[same("log.cleaner.min.cleanable.ratio")],
        "The share of a log that must be uncompacted before compaction starts.",
    )
    .check(Check::Ratio),
    Key::topic(
        "min.compaction.lag.ms",
        Long,
        "0",
        &[same("log.cleaner.min.compaction.lag.ms")],
        "For how many milliseconds a record is safe from compaction.",
    )
    .at_least(0),
    Key::topic(
        "min.insync.replicas",
        Int,
        "1",
        &[same("min.insync.replicas")],
        "In-sync replicas that acks=all needs; never more than the partition has, \
         so one node meets every number.",
    )
    .at_least(1),
    Key::topic(
        "ottla.durability",
        String,
        "fsync",
        &[same("ottla.durability")],
        "What acks=all waits for: `fsync` the disk, `kafka` the page cache.",
    )
    .check(Check::OneOf(DURABILITIES)),
    Key::topic(
        "preallocate",
        Boolean,
        "false",
        &[same("log.preallocate")],
        "Whether a segment's space is reserved when it is created.",
    ),
    Key::topic(
        "remote.log.copy.disable",
        Boolean,
        "false",
        &[],
        "Whether a tiered topic stops copying segments to remote storage.",
    )
    .default_only(NO_TIERED_STORAGE),
    Key::topic(
        "remote.log.delete.on.disable",
        Boolean,
        "false",
        &[],
        "Whether remote data is deleted when tiered storage is switched off for the topic.",
    )
    .default_only(NO_TIERED_STORAGE),
    Key::topic("remote.storage.enable", Boolean, "false", &[], "Whether old segments move to remote storage.")
        .default_only(NO_TIERED_STORAGE),
    Key::topic(
        "retention.bytes",
        Long,
        "-1",
        &[same("log.retention.bytes")],
        "The size of a partition above which its oldest segments are deleted; -1 is no limit.",
    ),
    Key::topic(
        "retention.ms",
        Long,
        "604800000",
        RETENTION_MS,
        "The age, in milliseconds, after which segments are deleted; -1 keeps them for ever.",
    )
    .at_least(-1),
    Key::topic(
        "segment.bytes",
        Int,
        "1073741824",
        &[same("log.segment.bytes")],
        "The size of a segment file above which the next one begins (KIP-1030 gives the least).",
    )
    .at_least(MIN_SEGMENT_BYTES),
    Key::topic(
        "segment.index.bytes",
        Int,
        "10485760",
        &[same("log.index.size.max.bytes")],
        "The size of an index file at which the next segment begins. Indexes grow as needed up to this.",
    )
    .at_least(4),
    Key::topic(
        "segment.jitter.ms",
        Long,
        "0",
        SEGMENT_JITTER_MS,
        "How much earlier than `segment.ms` a segment may roll, chosen at random, so that not all roll at once.",
    )
    .at_least(0),
    Key::topic(
        "segment.ms",
        Long,
        "604800000",
        SEGMENT_MS,
        "The age of a segment, in milliseconds, at which the next one begins even if it is not full.",
    )
    .at_least(1),
    Key::topic(
        "unclean.leader.election.enable",
        Boolean,
        "false",
        &[same("unclean.leader.election.enable")],
        "Whether a replica outside the ISR may become leader when no other is left, losing records. A \
         partition with one replica has no other.",
    ),
];
