//! Which transactional ids have outlived their use.

use std::sync::Arc;

use super::config::{SWEEP_IDS_PER_STEP, TransactionConfig};
use super::metadata::TransactionMetadata;
use super::record::TransactionRecord;
use super::registry::Registry;
use crate::machine::Now;

/// The search for expired ids: all of them, every now and then, in steps that hold nobody up.
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
    pub(crate) fn start(&mut self, monotonic_ms: u64, config: &TransactionConfig) {
        self.next_ms.get_or_insert(monotonic_ms.saturating_add(config.remove_expired_interval_ms));
    }

    /// Does a step if one is due: the tombstones. If the search is not through then, the next step is due at once.
    pub(crate) fn step(&mut self, registry: &Registry, config: &TransactionConfig, now: Now) -> Vec<TransactionRecord> {
        let mut tombstones = Vec::new();
        if self.next_ms.is_none_or(|next_ms| next_ms > now.monotonic_ms) {
            return tombstones;
        }
        let start = self.cursor.take();
        for (visited, (transactional_id, entry)) in registry.iter_from(start.as_ref()).enumerate() {
            if visited >= SWEEP_IDS_PER_STEP {
                self.cursor = Some(Arc::clone(transactional_id));
                self.next_ms = Some(now.monotonic_ms);
                return tombstones;
            }
            if is_expired(&entry.metadata, config, now.wall_ms) {
                tombstones.push(TransactionRecord { transactional_id: transactional_id.to_string(), value: None });
            }
        }
        self.next_ms = Some(now.monotonic_ms.saturating_add(config.remove_expired_interval_ms.max(1)));
        tombstones
    }
}

/// A wall clock that went back makes nothing expire.
fn is_expired(metadata: &TransactionMetadata, config: &TransactionConfig, wall_ms: i64) -> bool {
    let unused_ms = wall_ms.saturating_sub(metadata.last_update_timestamp_ms);
    !metadata.state.is_open() && unused_ms >= config.transactional_id_expiration_ms
}
