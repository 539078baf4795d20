//! The keys of the broker, in Kafka's names. A key is here because something acts on it; names that Kafka knows and we
//! do not act on are in `unenforced.rs`.

use state::group::MigrationPolicy;

use super::key::Kind::{Boolean, Double, Int, List, Long, Short, String};
use super::key::{Check, ConfigKey as Key};
use super::topic_keys::{
    CLEANUP_POLICIES, CODECS, MIN_SEGMENT_BYTES, NO_DELETE_DELAY, ONE_LZ4_EFFORT, TIMESTAMP_TYPES,
};

const FOREVER: &str = "9223372036854775807";
const NO_LIMIT: &str = "2147483647";
/// Each client that has a quota keeps so many numbers.
const QUOTA_SAMPLES_MAX: i64 = 100;
const QUOTA_WINDOW_MAX_SECONDS: i64 = 3_600;

/// Who the broker is, where it listens, where its data lies, and what clients may do to it.
pub(crate) static SERVER_KEYS: &[Key] = &[
    Key::unset(
        "advertised.listeners",
        List,
        "Addresses that clients are told to use, `NAME://host:port`, for some or \
        all names of `listeners`. An empty host, or a listener without an entry, is answered with the address on which \
        that very client reached the broker.",
    )
    .per_broker(),
    Key::broker(
        "auto.create.topics.enable",
        Boolean,
        "true",
        "Whether asking for a topic that does not exist creates \
        it, if the client allows that.",
    ),
    Key::broker("broker.id", Int, "-1", "The older name of `node.id`. -1 leaves the choice to `node.id`.").at_least(-1),
    Key::unset("broker.rack", String, "The rack or zone of this broker, told to clients."),
    Key::broker(
        "connections.max.idle.ms",
        Long,
        "600000",
        "Milliseconds without a request after which a connection is \
        closed; negative is never.",
    ),
    Key::broker(
        "controller.quota.window.num",
        Int,
        "11",
        "Samples over which the partitions are counted that a client creates and deletes, for its quota.",
    )
    .check(Check::Between(1, QUOTA_SAMPLES_MAX)),
    Key::broker("controller.quota.window.size.seconds", Int, "1", "Length of such a sample.")
        .check(Check::Between(1, QUOTA_WINDOW_MAX_SECONDS)),
    Key::broker("default.replication.factor", Int, "1", "Replicas of a topic that is created without a number.")
        .check(Check::Between(1, 32_767)),
    Key::broker(
        "delete.topic.enable",
        Boolean,
        "true",
        "Whether topics may be deleted; if not, DeleteTopics is \
        refused with TOPIC_DELETION_DISABLED.",
    ),
    Key::broker(
        "fetch.max.bytes",
        Int,
        "57671680",
        "Bytes of records that one fetch may answer with, whatever the \
        client asks for. The default is 57671680, or a quarter of the memory limit if that is less.",
    )
    .at_least(1024)
    .sized_by_memory(),
    Key::broker(
        "listener.security.protocol.map",
        String,
        "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
        "The security protocol of each listener name, `NAME:PROTOCOL`. Only PLAINTEXT listeners can be opened.",
    ),
    Key::broker(
        "listeners",
        List,
        "PLAINTEXT://127.0.0.1:9092",
        "Where to listen: `NAME://host:port`, several \
        separated by commas. An empty host is every address, port 0 a free one. When only `advertised.listeners` is \
        set, the default is every address: on its ports if it came from the environment, else on 9092.",
    ),
    Key::broker("log.dir", List, "ottla-data", "The directory of the data, when `log.dirs` is not set."),
    Key::unset("log.dirs", List, "The directory of the data. One: several are refused."),
    Key::broker(
        "max.connections",
        Int,
        NO_LIMIT,
        "Connections open at the same time. The default is one for \
        every 32 KiB of the memory limit.",
    )
    .at_least(0)
    .cluster_wide()
    .sized_by_memory(),
    Key::broker("max.connections.per.ip", Int, NO_LIMIT, "Connections open at the same time from one address.")
        .at_least(0)
        .cluster_wide(),
    Key::broker(
        "max.incremental.fetch.session.cache.slots",
        Int,
        "1000",
        "Incremental fetch sessions remembered \
        (KIP-227). A client without one sends and gets complete lists.",
    )
    .at_least(0),
    Key::unset("node.id", Int, "The number of this broker in the cluster. Without it the broker is number 1.")
        .at_least(0),
    Key::broker("num.partitions", Int, "1", "Partitions of a topic that is created without a number.").at_least(1),
    Key::broker(
        "queued.max.request.bytes",
        Long,
        "-1",
        "Bytes of requests in memory at the same time, over all \
        connections. When they are used up, sockets are not read. The default, -1, is a quarter of the memory limit.",
    ),
    Key::broker(
        "quota.window.num",
        Int,
        "11",
        "Samples over which bytes, time and connections are counted of a client that has a quota.",
    )
    .check(Check::Between(1, QUOTA_SAMPLES_MAX)),
    Key::broker("quota.window.size.seconds", Int, "1", "Length of such a sample.")
        .check(Check::Between(1, QUOTA_WINDOW_MAX_SECONDS)),
    Key::broker(
        "socket.request.max.bytes",
        Int,
        "104857600",
        "The largest request. A connection that announces a \
        larger one is closed. The default is 104857600, or half the memory limit if that is less.",
    )
    .at_least(1)
    .sized_by_memory(),
    Key::broker(
        "socket.send.buffer.bytes",
        Int,
        "102400",
        "Bytes of answers that the kernel takes for a client that has not read them yet (SO_SNDBUF). -1 leaves the size to \
        the kernel, which may take megabytes: of use to clients that are far away.",
    )
    .at_least(-1),
    Key::broker(
        "telemetry.max.bytes",
        Int,
        "1048576",
        "The most that a client may push at a time of what it measures of itself (KIP-714), as it is compressed.",
    )
    .at_least(1),
];

/// Consumer groups and what they commit.
pub(crate) static GROUP_KEYS: &[Key] = &[
    Key::broker(
        "group.consumer.assignors",
        List,
        "uniform,range",
        "Who divides the partitions of a group of the consumer \
        protocol. A consumer may wish for any of these; without a wish it is the first.",
    )
    .check(Check::EachOneOf(&["uniform", "range"])),
    Key::broker(
        "group.consumer.heartbeat.interval.ms",
        Int,
        "5000",
        "How often a member of a group of the consumer protocol \
        is to be heard of. A member that waits for partitions is told to come sooner.",
    )
    .at_least(1),
    Key::broker("group.consumer.max.size", Int, NO_LIMIT, "Members of one group of the consumer protocol.").at_least(1),
    Key::broker(
        "group.consumer.migration.policy",
        String,
        "bidirectional",
        "Which way a group that has members may go from one \
        protocol to the other. upgrade: a classic group becomes one of the consumer protocol when a member of that protocol \
        joins. downgrade: such a group becomes classic when its last member of the consumer protocol goes.",
    )
    .check(Check::Text(migration_policy, "bidirectional, upgrade, downgrade, disabled")),
    Key::broker(
        "group.consumer.session.timeout.ms",
        Int,
        "45000",
        "Silence after which a member of a group of the consumer \
        protocol is taken for dead.",
    )
    .at_least(1),
    Key::broker(
        "group.initial.rebalance.delay.ms",
        Int,
        "0",
        "How long an empty group waits for more members after \
        its first. Kafka waits 3000; a broker that is alone serves clients that are started one by one, and answers at \
        once.",
    )
    .at_least(0),
    Key::broker("group.max.session.timeout.ms", Int, "1800000", "The longest session timeout a member may ask for.")
        .at_least(1),
    Key::broker("group.max.size", Int, NO_LIMIT, "Members of one group.").at_least(1),
    Key::broker("group.min.session.timeout.ms", Int, "6000", "The shortest session timeout a member may ask for.")
        .at_least(1),
    Key::broker("offset.metadata.max.bytes", Int, "4096", "Bytes of the text that a client may commit with an offset.")
        .at_least(0),
    Key::broker(
        "offsets.retention.check.interval.ms",
        Long,
        "600000",
        "Milliseconds between two searches for expired \
        offsets.",
    )
    .at_least(1),
    Key::broker(
        "offsets.retention.minutes",
        Int,
        "10080",
        "How long a group without members keeps its offsets, in \
        minutes.",
    )
    .at_least(1),
    Key::broker(
        "offsets.topic.num.partitions",
        Int,
        "50",
        "Partitions of `__consumer_offsets`. Fixed when the topic \
        is first created.",
    )
    .at_least(1),
    Key::broker(
        "offsets.topic.replication.factor",
        Short,
        "1",
        "Replicas of `__consumer_offsets`. Kafka's default of 3 \
        needs three brokers.",
    )
    .at_least(1),
    Key::broker("offsets.topic.segment.bytes", Int, "104857600", "`segment.bytes` of `__consumer_offsets`.")
        .at_least(MIN_SEGMENT_BYTES),
];

/// Defaults of topics, and the upkeep of logs.
pub(crate) static LOG_KEYS: &[Key] = &[
    Key::broker("compression.gzip.level", Int, "-1", "Default of the topic key of the same name.")
        .check(Check::BetweenOr(1, 9, -1))
        .cluster_wide(),
    Key::broker("compression.lz4.level", Int, "9", "Default of the topic key of the same name.")
        .check(Check::Between(1, 17))
        .cluster_wide()
        .default_only(ONE_LZ4_EFFORT),
    Key::broker("compression.type", String, "producer", "Default of the topic key of the same name.")
        .check(Check::OneOf(CODECS))
        .cluster_wide(),
    Key::broker("compression.zstd.level", Int, "3", "Default of the topic key of the same name.")
        .check(Check::Between(-131_072, 22))
        .cluster_wide(),
    Key::broker(
        "log.cleaner.backoff.ms",
        Long,
        "15000",
        "Milliseconds between two searches for logs to compact, when the last one found none.",
    )
    .at_least(0)
    .cluster_wide(),
    Key::broker(
        "log.cleaner.dedupe.buffer.size",
        Long,
        "134217728",
        "Bytes of memory for the keys of a log while it is compacted. A pass covers as much of a log as they can hold, \
         24 bytes a key. The default is 134217728, or a sixteenth of the memory limit if that is less.",
    )
    .at_least(1 << 20)
    .cluster_wide()
    .sized_by_memory(),
    Key::broker("log.cleaner.delete.retention.ms", Long, "86400000", "Default of `delete.retention.ms`.")
        .at_least(0)
        .cluster_wide(),
    Key::broker("log.cleaner.enable", Boolean, "true", "Whether topics with `cleanup.policy=compact` are compacted."),
    Key::broker(
        "log.cleaner.io.max.bytes.per.second",
        Double,
        "1.7976931348623157E308",
        "Bytes that compaction reads and writes in a second at most.",
    )
    .cluster_wide(),
    Key::broker("log.cleaner.max.compaction.lag.ms", Long, FOREVER, "Default of `max.compaction.lag.ms`.")
        .at_least(1)
        .cluster_wide(),
    Key::broker("log.cleaner.min.cleanable.ratio", Double, "0.5", "Default of `min.cleanable.dirty.ratio`.")
        .check(Check::Ratio)
        .cluster_wide(),
    Key::broker("log.cleaner.min.compaction.lag.ms", Long, "0", "Default of `min.compaction.lag.ms`.")
        .at_least(0)
        .cluster_wide(),
    Key::broker("log.cleanup.policy", List, "delete", "Default of `cleanup.policy`.")
        .check(Check::EachOneOf(CLEANUP_POLICIES))
        .cluster_wide(),
    Key::broker("log.flush.interval.messages", Long, FOREVER, "Default of `flush.messages`.")
        .at_least(1)
        .cluster_wide(),
    Key::unset("log.flush.interval.ms", Long, "Default of `flush.ms`.").at_least(0).cluster_wide(),
    Key::broker(
        "log.flush.scheduler.interval.ms",
        Long,
        FOREVER,
        "Default of `flush.ms` when `log.flush.interval.ms` \
        is not set.",
    )
    .at_least(0),
    Key::broker("log.index.interval.bytes", Int, "4096", "Default of `index.interval.bytes`.")
        .at_least(0)
        .cluster_wide(),
    Key::broker("log.index.size.max.bytes", Int, "10485760", "Default of `segment.index.bytes`.")
        .at_least(4)
        .cluster_wide(),
    Key::broker("log.message.timestamp.after.max.ms", Long, "3600000", "Default of `message.timestamp.after.max.ms`.")
        .at_least(0)
        .cluster_wide(),
    Key::broker("log.message.timestamp.before.max.ms", Long, FOREVER, "Default of `message.timestamp.before.max.ms`.")
        .at_least(0)
        .cluster_wide(),
    Key::broker("log.message.timestamp.type", String, "CreateTime", "Default of `message.timestamp.type`.")
        .check(Check::OneOf(TIMESTAMP_TYPES))
        .cluster_wide(),
    Key::broker("log.preallocate", Boolean, "false", "Default of `preallocate`.").cluster_wide(),
    Key::broker("log.retention.bytes", Long, "-1", "Default of `retention.bytes`.").cluster_wide(),
    Key::broker(
        "log.retention.check.interval.ms",
        Long,
        "300000",
        "Milliseconds between two searches for segments to \
        delete.",
    )
    .at_least(1),
    Key::broker("log.retention.hours", Int, "168", "Default of `retention.ms`, in hours; weaker than the two below."),
    Key::unset("log.retention.minutes", Int, "Default of `retention.ms`, in minutes; weaker than `log.retention.ms`."),
    Key::unset("log.retention.ms", Long, "Default of `retention.ms`.").at_least(-1).cluster_wide(),
    Key::broker("log.roll.hours", Int, "168", "Default of `segment.ms`, in hours; weaker than `log.roll.ms`.")
        .at_least(1),
    Key::broker(
        "log.roll.jitter.hours",
        Int,
        "0",
        "Default of `segment.jitter.ms`, in hours; weaker than \
        `log.roll.jitter.ms`.",
    )
    .at_least(0),
    Key::unset("log.roll.jitter.ms", Long, "Default of `segment.jitter.ms`.").at_least(0).cluster_wide(),
    Key::unset("log.roll.ms", Long, "Default of `segment.ms`.").at_least(1).cluster_wide(),
    Key::broker("log.segment.bytes", Int, "1073741824", "Default of `segment.bytes`.")
        .at_least(MIN_SEGMENT_BYTES)
        .cluster_wide(),
    Key::broker("log.segment.delete.delay.ms", Long, "60000", "Default of `file.delete.delay.ms`.")
        .at_least(0)
        .cluster_wide()
        .default_only(NO_DELETE_DELAY),
    Key::broker("message.max.bytes", Int, "1048588", "Default of `max.message.bytes`.").at_least(0).cluster_wide(),
    Key::broker("min.insync.replicas", Int, "1", "Default of the topic key of the same name.")
        .at_least(1)
        .cluster_wide(),
    Key::broker(
        "producer.id.expiration.ms",
        Int,
        "86400000",
        "Milliseconds after its last record in a partition when \
        an idempotent producer is forgotten there.",
    )
    .at_least(1)
    .cluster_wide(),
    Key::broker("unclean.leader.election.enable", Boolean, "false", "Default of the topic key of the same name.")
        .cluster_wide(),
];

/// In any case, as in Kafka.
fn migration_policy(policy: &str) -> Result<(), std::string::String> {
    match MigrationPolicy::from_name(policy) {
        Some(_) => Ok(()),
        None => Err("say bidirectional, upgrade, downgrade or disabled".to_owned()),
    }
}
