//! Which offsets have outlived their use, and which groups with them.

use std::sync::Arc;

use super::classic::ClassicGroupState;
use super::commit::{log_end, tombstone};
use super::config::{SWEEP_GROUPS_PER_STEP, SWEEP_TOMBSTONES_PER_STEP};
use super::record::OffsetValue;
use super::registry::{GroupEntry, Registry};
use super::turn::Turn;

/// The search for expired offsets: all groups, every now and then, in steps that hold nobody up.
#[derive(Default)]
pub(crate) struct Sweep {
    /// When the next step is due, on the monotonic clock. `None` until the log is loaded.
    next_ms: Option<u64>,
    /// Where the running search goes on. `None` if none is running.
    cursor: Option<Arc<str>>,
}

impl Sweep {
    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.next_ms
    }

    /// Schedules the first search, unless one is scheduled.
    pub(crate) fn start(&mut self, monotonic_ms: u64, interval_ms: u64) {
        self.next_ms.get_or_insert(monotonic_ms.saturating_add(interval_ms));
    }

    /// Does a step if one is due. If the search is not through then, the next step is due at once.
    pub(crate) fn step(&mut self, groups: &Registry, turn: &mut Turn<'_>) {
        if self.next_ms.is_none_or(|next_ms| next_ms > turn.now.monotonic_ms) {
            return;
        }
        let start = self.cursor.take();
        let records_before = turn.out.records.len();
        for (visited, (group_id, entry)) in groups.iter_from(start.as_ref()).enumerate() {
            let tombstones = turn.out.records.len() - records_before;
            if visited >= SWEEP_GROUPS_PER_STEP || tombstones >= SWEEP_TOMBSTONES_PER_STEP {
                self.cursor = Some(Arc::clone(group_id));
                self.next_ms = Some(turn.now.monotonic_ms);
                return;
            }
            if !sweep_group(group_id, entry, records_before + SWEEP_TOMBSTONES_PER_STEP, turn) {
                // The group has more. What was found is gone from it when the next step looks again.
                self.cursor = Some(Arc::clone(group_id));
                self.next_ms = Some(turn.now.monotonic_ms);
                return;
            }
        }
        let interval_ms = turn.config.offsets_retention_check_interval_ms.max(1);
        self.next_ms = Some(turn.now.monotonic_ms.saturating_add(interval_ms));
    }
}

/// Logs tombstones for a group's expired offsets, and for the group if nobody and nothing is left in it. Returns
/// false if it stopped because of too many.
fn sweep_group(group_id: &str, entry: &GroupEntry, max_records: usize, turn: &mut Turn<'_>) -> bool {
    let mut all_expired = !entry.offsets.is_pending();
    if entry.offsets.committed_len() > 0 {
        let Some(age) = Age::of(entry) else { return true };
        let subscribed = entry.subscribed_topics();
        for (topic, partitions) in entry.offsets.topics() {
            if entry.is_subscribed(subscribed.as_ref(), topic) {
                all_expired = false;
                continue;
            }
            for (partition, value) in partitions {
                if !age.is_expired(value, turn) || entry.offsets.is_unstable(topic, partition) {
                    all_expired = false;
                    continue;
                }
                if turn.out.records.len() >= max_records {
                    return false;
                }
                turn.log(tombstone(group_id, topic, partition));
                turn.totals.offset_expirations += 1;
            }
        }
    }
    if all_expired && entry.is_deserted() && entry.is_logged() {
        log_end(group_id, entry, turn);
    }
    true
}

/// Since when an offset counts as unused (KIP-211).
enum Age {
    /// Since the group lost its last member.
    SinceEmpty(i64),
    /// Since it was committed.
    SinceCommit,
}

impl Age {
    /// `None` where nothing may expire: while members rebalance, and where it is not known what they read.
    fn of(entry: &GroupEntry) -> Option<Age> {
        if entry.consumer.is_some() {
            return Some(Age::SinceCommit);
        }
        let classic = &entry.classic;
        let is_empty = classic.state() == ClassicGroupState::Empty;
        match (classic.protocol_type(), classic.state_timestamp_ms()) {
            // Nobody ever joined: consumers that come and go unseen.
            (None, _) => Some(Age::SinceCommit),
            (Some(_), Some(empty_since_ms)) if is_empty => Some(Age::SinceEmpty(empty_since_ms)),
            (Some(_), None) if is_empty => Some(Age::SinceCommit),
            // The group is alive, and has stopped reading a topic.
            (Some(_), _) => (classic.state() == ClassicGroupState::Stable && classic.uses_consumer_protocol())
                .then_some(Age::SinceCommit),
        }
    }

    /// A wall clock that went back makes nothing expire.
    fn is_expired(&self, value: &OffsetValue, turn: &Turn<'_>) -> bool {
        let now_ms = turn.now.wall_ms;
        if let Some(expire_timestamp_ms) = value.expire_timestamp_ms {
            return now_ms >= expire_timestamp_ms;
        }
        let since_ms = match self {
            // An administrator may have set offsets since. Kafka would forget them with the rest.
            Age::SinceEmpty(empty_since_ms) => value.commit_timestamp_ms.max(*empty_since_ms),
            Age::SinceCommit => value.commit_timestamp_ms,
        };
        now_ms.saturating_sub(since_ms) >= turn.config.offsets_retention_ms
    }
}
