//! Every budget that follows from memory, in one place.
//!
//! The memory limit is `ottla.memory.limit`, or the cgroup's, or 256 MiB. Shares are fixed fractions, so that what a
//! broker keeps at most can be read off here; settings may replace each of them.

use std::collections::BTreeMap;

use super::size::LEAST_MEMORY_BYTES;

/// Without a limit from anybody: as much as a small container has.
const DEFAULT_MEMORY_BYTES: u64 = 256 << 20;
/// The least memory limit of a container in which a broker starts: what it uses idle, and the smallest budgets. Below
/// it the kernel would end the process at the first load.
const LEAST_CGROUP_BYTES: u64 = 32 << 20;
/// What an idle connection may cost, with room for a small request.
const CONNECTION_BYTES: u64 = 32 << 10;
/// What a group with a few members and offsets costs.
const GROUP_BYTES: u64 = 16 << 10;
/// What a transactional id costs, with a few partitions in its transaction, and with as many again in others.
const TRANSACTIONAL_ID_BYTES: u64 = 4 << 10;
/// Kafka's defaults, which a small limit lowers.
const MAX_REQUEST_BYTES: u64 = 100 << 20;
const MAX_FETCH_BYTES: u64 = 55 << 20;
const MAX_DEDUPE_BYTES: u64 = 128 << 20;
/// What clients push is numbers, and four times smaller compressed at the least.
const MAX_PUSH_BYTES: usize = 8 << 20;

/// Limits in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// What everything below is cut from.
    pub(crate) memory_bytes: u64,
    /// Request bodies in memory, over all connections.
    pub(crate) request_bytes: usize,
    /// Long answers to readers, as far as they hold memory, until they have been sent.
    pub(crate) answer_bytes: usize,
    /// Recent batches kept for consumers at the end of a log.
    pub(crate) tail_cache_bytes: usize,
    /// Segments mapped for reading.
    pub(crate) mapped_window_bytes: u64,
    /// Groups in one coordinator.
    pub(crate) groups: usize,
    /// Transactional ids in one coordinator.
    pub(crate) transactional_ids: usize,
    /// Message sets made for old consumers until they have been sent; also what the records of one batch may take while
    /// they are converted.
    pub(crate) conversion_bytes: usize,
    /// Series that clients pushed.
    pub(crate) client_series_bytes: usize,
    /// What one push may take uncompressed.
    pub(crate) push_bytes: usize,
}

/// The memory limit: what was set, else what the cgroup grants, else a small container's worth.
pub(crate) fn memory_bytes(configured: Option<u64>, cgroup: Option<u64>) -> u64 {
    configured.or(cgroup).unwrap_or(DEFAULT_MEMORY_BYTES).max(LEAST_MEMORY_BYTES)
}

/// What may be wrong with the memory that a container has.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// A reason not to start.
    TooLittle(String),
    /// A reason to warn.
    TooMuch(String),
}

/// Compares what the cgroup grants with what a broker needs, and with what was configured.
pub(crate) fn doubt_of_memory(granted: u64, configured: Option<u64>) -> Option<Doubt> {
    if granted < LEAST_CGROUP_BYTES {
        let least_mib = LEAST_CGROUP_BYTES >> 20;
        return Some(Doubt::TooLittle(format!(
            "this container may use {granted} bytes of memory, and a broker needs {LEAST_CGROUP_BYTES}; raise its memory \
             limit to {least_mib}MiB or more, such as --memory={least_mib}m or resources.limits.memory: {least_mib}Mi"
        )));
    }
    let configured = configured.filter(|configured| *configured > granted)?;
    Some(Doubt::TooMuch(format!(
        "{configured} bytes are more than the {granted} that this container may use, and it is killed when it uses them; \
         leave the key out, and budgets follow the container's limit"
    )))
}

/// Defaults of the keys that depend on memory, by name.
pub(crate) fn defaults(memory_bytes: u64) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("fetch.max.bytes", (memory_bytes / 4).min(MAX_FETCH_BYTES).to_string()),
        ("log.cleaner.dedupe.buffer.size", (memory_bytes / 16).min(MAX_DEDUPE_BYTES).to_string()),
        ("max.connections", (memory_bytes / CONNECTION_BYTES).min(i32::MAX as u64).to_string()),
        ("ottla.mapped.window.bytes", (memory_bytes / 8).to_string()),
        ("ottla.memory.limit", memory_bytes.to_string()),
        ("ottla.metrics.clients.bytes", (memory_bytes / 32).to_string()),
        ("ottla.tail.cache.bytes", (memory_bytes / 16).to_string()),
        ("socket.request.max.bytes", (memory_bytes / 2).min(MAX_REQUEST_BYTES).to_string()),
    ])
}

/// The request budget, when `queued.max.request.bytes` leaves it to us.
pub(crate) fn request_bytes(memory_bytes: u64) -> u64 {
    memory_bytes / 4
}

/// What long answers to readers may hold.
pub(crate) fn answer_bytes(memory_bytes: u64) -> usize {
    usize::try_from(memory_bytes / 8).unwrap_or(usize::MAX)
}

/// What conversions for old clients may keep.
pub(crate) fn conversion_bytes(memory_bytes: u64) -> usize {
    usize::try_from(memory_bytes / 8).unwrap_or(usize::MAX)
}

/// What one push may take uncompressed, of which few are read at a time.
pub(crate) fn push_bytes(memory_bytes: u64) -> usize {
    usize::try_from(memory_bytes / 32).unwrap_or(usize::MAX).min(MAX_PUSH_BYTES)
}

/// Groups per coordinator.
pub(crate) fn groups(memory_bytes: u64) -> usize {
    usize::try_from(memory_bytes / GROUP_BYTES).unwrap_or(usize::MAX)
}

/// Transactional ids per coordinator.
pub(crate) fn transactional_ids(memory_bytes: u64) -> usize {
    usize::try_from(memory_bytes / TRANSACTIONAL_ID_BYTES).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table;

    #[test]
    fn the_strongest_source_of_the_memory_limit_wins() {
        assert_eq!(memory_bytes(Some(64 << 20), Some(1 << 30)), 64 << 20);
        assert_eq!(memory_bytes(None, Some(1 << 30)), 1 << 30);
        assert_eq!(memory_bytes(None, None), 256 << 20);
    }

    #[test]
    fn a_container_with_too_little_memory_is_told_how_much_it_needs() {
        match doubt_of_memory(20_000_000, None) {
            Some(Doubt::TooLittle(text)) => {
                assert!(
                    text.contains("20000000") && text.contains("33554432") && text.contains("--memory=32m"),
                    "{text}"
                );
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(doubt_of_memory(32 << 20, None), None);
        assert_eq!(doubt_of_memory(64 << 20, Some(64 << 20)), None);
        assert!(matches!(doubt_of_memory(64 << 20, Some(65 << 20)), Some(Doubt::TooMuch(_))));
    }

    #[test]
    fn defaults_are_kafkas_where_memory_allows() {
        let large = defaults(1 << 30);
        assert_eq!(
            (large["socket.request.max.bytes"].as_str(), large["fetch.max.bytes"].as_str()),
            ("104857600", "57671680")
        );
        let small = defaults(64 << 20);
        assert_eq!(
            (small["socket.request.max.bytes"].as_str(), small["max.connections"].as_str()),
            ("33554432", "2048")
        );
    }

    #[test]
    fn the_table_marks_the_same_keys_and_accepts_the_values() {
        let marked: Vec<_> = table::broker_keys().filter(|key| key.from_memory).map(|key| key.name).collect();
        for memory in [LEAST_MEMORY_BYTES, 1 << 40] {
            let defaults = defaults(memory);
            assert_eq!(defaults.len(), marked.len());
            for name in &marked {
                table::broker_key(name).unwrap().parse(&defaults[name]).unwrap();
            }
        }
    }
}
