//! Keys of our own, under `ottla.`. An unknown one is refused: here a typing error has no other broker to be meant for.

use super::http_listener;
use super::key::Kind::{Boolean, Int, Long, String};
use super::key::{Check, ConfigKey as Key};
use super::size::{check_size, check_volume_share};

/// Every key under `ottla.`, by name.
pub(crate) static OTTLA_KEYS: &[Key] = &[
    Key::unset(
        "ottla.cluster.id",
        String,
        "The id of the cluster, when the data directory is new; also taken from `CLUSTER_ID`. Without it one is \
         invented and kept. It must match what the data directory says.",
    )
    .check(Check::Text(check_cluster_id, "1 to 64 of A-Z a-z 0-9 _ - + / =")),
    Key::broker(
        "ottla.durability",
        String,
        "fsync",
        "What acks=all waits for on a topic with one replica: `fsync` answers when the records are on the disk, `kafka` \
         when they are in the page cache, as Kafka does, which a power cut may take. Committed offsets and metadata are \
         always on the disk before they are answered.",
    )
    .check(Check::OneOf(DURABILITIES))
    .cluster_wide(),
    Key::unset(
        "ottla.http.listener",
        String,
        "Where `/livez`, `/readyz`, `/metrics` and `/version` are served: `host:port`, an empty host is every address, \
         port 0 a free one; `none` is nowhere. The default is port 8080 on the host of the first of `listeners`, and \
         nothing when that port is taken.",
    )
    .check(Check::Text(http_listener::check, "host:port, or none")),
    Key::broker(
        "ottla.log.format",
        String,
        "text",
        "How log lines look on standard error: `text`, or `json` with one object a line.",
    )
    .check(Check::OneOf(&["text", "json"])),
    Key::broker(
        "ottla.log.level",
        String,
        "info",
        "How much is logged at first. Loggers change while running, with `kafka-configs --entity-type broker-loggers`.",
    )
        .check(Check::OneOf(&["error", "warn", "info", "debug", "trace"])),
    Key::unset(
        "ottla.log.reserve.bytes",
        Long,
        "Free bytes of the volume below which producers are refused with a retriable error, so that deleting, \
         retention, commits and metadata go on. The default is 64 MiB, or a sixteenth of a volume that is smaller than \
         1 GiB.",
    )
    .at_least(0),
    Key::unset(
        "ottla.log.retention.total.bytes",
        String,
        "The size of all partitions of this broker together above which segments are deleted, wherever the oldest is: in \
         bytes, with KiB, MiB or GiB, or as a part of the volume, such as `80%`. Active segments, internal topics and \
         topics without `delete` in `cleanup.policy` count and stay. Unset is no limit. Producers are refused \
         by `ottla.log.reserve.bytes` whatever this says, so leave room for that and for what else is on the volume.",
    )
    .check(Check::Text(check_volume_share, "bytes, or 1% to 100%"))
    .cluster_wide(),
    Key::unset(
        "ottla.mapped.window.bytes",
        Long,
        "Bytes of segments mapped for reading at the same time. The default is an eighth of the memory limit.",
    )
    .at_least(1 << 20)
    .sized_by_memory(),
    Key::broker(
        "ottla.metrics.clients.bytes",
        Long,
        "8388608",
        "Memory for what clients measure of themselves and `/metrics` tells of, bytes. When it is used up, the series of \
         the clients leave that were silent for longest. The default is a thirty-second part of the memory limit.",
    )
    .at_least(0)
    .sized_by_memory(),
    Key::broker(
        "ottla.metrics.groups.max",
        Int,
        "1000",
        "Consumer groups that `/metrics` tells of one by one, the first by name; the others are only counted.",
    )
    .at_least(0)
    .cluster_wide(),
    Key::broker(
        "ottla.metrics.partitions.max",
        Int,
        "4000",
        "Partitions of this broker above which `/metrics` tells of topics and no longer of each partition, and topics \
         above which it tells of neither; also the most partitions of groups that it tells of.",
    )
    .at_least(0)
    .cluster_wide(),
    Key::unset(
        "ottla.memory.limit",
        String,
        "Memory that the broker's budgets are cut from, in bytes or with KiB, MiB, GiB. The default is the cgroup's \
         limit, or 256MiB where there is none.",
    )
    .check(Check::Text(check_size, "at least 16MiB"))
    .sized_by_memory(),
    Key::broker(
        "ottla.ready.lines",
        Boolean,
        "false",
        "Whether standard output says what Kafka's log says when it serves, such as `[KafkaServer id=1] started`: \
         Testcontainers and start scripts wait for it. The image's start scripts and `kafka-server-start` set it.",
    ),
    Key::unset(
        "ottla.tail.cache.bytes",
        Long,
        "Bytes of recent batches kept for consumers at the end of a log. The default is a sixteenth of the memory \
         limit.",
    )
    .at_least(0)
    .sized_by_memory(),
    Key::unset(
        "ottla.topics.file",
        String,
        "Topics to make as a file declares them, before clients are served: YAML of Strimzi's KafkaTopic or a list of \
         our own, as `ottla topic apply` takes it, or a directory of such files, of 1 MiB together. What cannot be done \
         is told in the log with its line, and stops nothing else.",
    ),
];

/// What acks=all may wait for.
pub(super) const DURABILITIES: &[&str] = &["fsync", "kafka"];

/// The characters of Kafka's ids, those of ordinary base64, which some programs make them with, and a length that fits into any table.
fn check_cluster_id(text: &str) -> Result<(), std::string::String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_+/=".contains(&byte);
    if (1..=64).contains(&text.len()) && text.bytes().all(legal) {
        Ok(())
    } else {
        Err("A cluster id has 1 to 64 letters, digits and characters of _-+/=".into())
    }
}
