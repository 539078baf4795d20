//! Compaction: of each key the last record stays, and offsets never change.
//!
//! A pass reads the dirty part of a log, which was not compacted yet, into a map from keys to their last offsets
//! (`offset_map.rs`), rewrites all closed segments up to where the map reaches without the records that the map knows
//! later ones of (`rewrite.rs`), and puts the new segments in the place of the old (`swap.rs`). The active segment is
//! never touched, and neither is a log's end.
//!
//! A tombstone goes in two steps (KIP-534): the first pass that meets it writes into its batch when it may go, and a
//! pass after that drops it. So a reader that is not further behind than `delete.retention.ms` learns of every deletion.
//! Markers of transactions go the same way (`transactions.rs`); nothing from the first open transaction on is touched.

mod choose;
mod offset_map;
mod rewrite;
mod siphash;
mod swap;
mod transactions;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tracing::debug;

pub use choose::Cleanable;
pub(crate) use swap::finish_interrupted;

use crate::error::StorageError;
use crate::log::{PartitionLog, lock};
use crate::segment::Segment;
use offset_map::OffsetMap;
use rewrite::{Rewrite, Rewritten};
use transactions::Transactions;

/// What a new segment's name ends in until it is whole and durable.
const CLEANED_SUFFIX: &str = ".cleaned";
/// What its name ends in until it has the place of the old ones.
const SWAP_SUFFIX: &str = ".swap";
/// What one batch may unpack to, bytes; the same that an append allows.
const UNCOMPRESSED_MAX_BYTES: usize = 128 << 20;

/// Bounds what compaction costs the disk, and ends it early.
pub trait Pace {
    /// Called after `bytes` were read or written; waits as long as a rate asks for, and no longer than `is_cancelled` is
    /// false. Answers whether to go on.
    fn spend(&self, bytes: u64, is_cancelled: &dyn Fn() -> bool) -> bool;
}

/// What a pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Everything below is compacted now.
    pub end_offset: i64,
    /// Keys in the map.
    pub keys: usize,
    /// Bytes of the segments that were rewritten.
    pub before_bytes: u64,
    /// Bytes of the segments in their place.
    pub after_bytes: u64,
}

/// What a log knows of its compaction.
#[derive(Debug)]
pub(crate) struct CleanerState {
    /// One pass at a time; whoever closes the log waits for it.
    running: Mutex<()>,
    /// Everything below is compacted.
    cleaned_offset: AtomicI64,
}

impl CleanerState {
    /// Of a log that was just opened.
    pub(crate) fn new(cleaned_offset: i64) -> CleanerState {
        CleanerState { running: Mutex::new(()), cleaned_offset: AtomicI64::new(cleaned_offset) }
    }

    /// Waits for a pass that is under way.
    pub(crate) fn wait(&self) -> MutexGuard<'_, ()> {
        lock(&self.running)
    }
}

/// Tells a pass to stop.
struct Brake<'a> {
    log: &'a PartitionLog,
    pace: &'a dyn Pace,
}

impl Brake<'_> {
    /// Spends bytes; false when the pass is to end.
    fn spend(&self, bytes: u64) -> bool {
        let is_closed = || self.log.is_closed();
        !is_closed() && self.pace.spend(bytes, &is_closed) && !is_closed()
    }
}

impl PartitionLog {
    /// The offset below which it is compacted.
    pub fn cleaned_offset(&self) -> i64 {
        self.cleaner.cleaned_offset.load(Ordering::Acquire)
    }

    /// Compacts the log once, with a map of at most `map_bytes`. Nothing if there is nothing to do, if the log is closed
    /// meanwhile, or if `pace` ends it; what was done until then stays. Blocks on the disk.
    ///
    /// # Errors
    /// The disk's; [`StorageError::Corrupt`] when a segment is damaged. Unless the log is poisoned it is as it was.
    pub fn compact(&self, now_ms: i64, map_bytes: usize, pace: &dyn Pace) -> Result<Option<Compacted>, StorageError> {
        let _running = self.cleaner.wait();
        if self.check_open().is_err() {
            return Ok(None);
        }
        match self.compact_pass(now_ms, map_bytes, &Brake { log: self, pace }) {
            // Its files went away under the pass.
            Err(_) if self.is_closed() => Ok(None),
            other => other,
        }
    }

    fn compact_pass(
        &self,
        now_ms: i64,
        map_bytes: usize,
        brake: &Brake<'_>,
    ) -> Result<Option<Compacted>, StorageError> {
        let Some(range) = self.dirty_range(now_ms) else { return Ok(None) };
        self.flush_markers()?;
        let mut map = OffsetMap::new(map_bytes);
        let segments = self.segments();
        let below = |end| segments.partition_point(|segment| segment.base_offset() < end);
        let dirty = &segments[below(range.start + 1).saturating_sub(1)..=below(range.end)];
        let Some(end) = self.build_map(&mut map, dirty, &range, brake)? else { return Ok(None) };
        if end <= range.start {
            return Ok(None);
        }
        let mut done = Compacted { end_offset: end, keys: map.len(), ..Compacted::default() };
        let producers = lock(&self.writer).producers.last_records();
        let rewrite = Rewrite { log: self, config: self.config(), map: &map, end, now_ms, producers, brake };
        let count = below(end).min(segments.len() - 1);
        let (mut from, mut transactions) = (0, Transactions::default());
        while from < count {
            if self.is_gone(&segments[from]) {
                from += 1;
                // Of what stood before, nothing is left.
                transactions = Transactions::default();
                continue;
            }
            let length = rewrite.group_length(&segments[from..=count]);
            match self.compact_group(&rewrite, &segments[from..=from + length], &mut transactions, &mut done) {
                Ok(true) => from += length,
                // Deleted under the rewriting; the rest of the log goes on.
                _ if self.check_open().is_ok() && self.is_gone(&segments[from]) => {}
                Ok(false) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        self.cleaner.cleaned_offset.store(end, Ordering::Release);
        self.shared.checkpoints.set_cleaned(&*self.shared.disk, &self.partition, end)?;
        debug!(partition = %self.partition, ?done, "compacted");
        Ok(Some(done))
    }

    /// Whether retention has taken a segment since the pass began. What compaction itself replaces, it does not come back
    /// to.
    fn is_gone(&self, segment: &Segment) -> bool {
        self.segments().first().is_none_or(|first| first.base_offset() > segment.base_offset())
    }

    /// Puts one new segment in the place of several, which are all of `segments` but the last; false when the pass is to
    /// end.
    fn compact_group(
        &self,
        rewrite: &Rewrite<'_>,
        segments: &[Arc<Segment>],
        transactions: &mut Transactions,
        done: &mut Compacted,
    ) -> Result<bool, StorageError> {
        let group = &segments[..segments.len() - 1];
        let before: u64 = group.iter().map(|segment| segment.size()).sum();
        if before == 0 && group.len() == 1 {
            return Ok(true);
        }
        let disk = &*self.shared.disk;
        let (new, rewritten) = rewrite.run(segments, transactions)?;
        let after = new.size();
        let is_done = match rewritten {
            Rewritten::Interrupted => {
                new.discard(disk)?;
                false
            }
            Rewritten::Same if group.len() == 1 => {
                new.discard(disk)?;
                true
            }
            Rewritten::Same | Rewritten::Smaller => self.replace_segments(group, new)?,
        };
        if is_done {
            done.before_bytes += before;
            done.after_bytes += after;
        }
        Ok(is_done)
    }
}
