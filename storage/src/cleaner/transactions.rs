//! Which transactional batches and markers compaction may drop.
//!
//! The records of an aborted transaction are void and go at once. A marker stays until the records of its transaction are
//! gone, because it says what they are, and then as long as a tombstone does: a reader that has seen such records must
//! meet it.

use std::collections::{BTreeMap, BTreeSet};

use protocol::records::Batch;

use crate::error::StorageError;
use crate::log::PartitionLog;
use crate::segment::Segment;
use crate::txn_index::AbortedTxn;

/// What is known of transactions at one place of a log that is read from its start, or from where only whole
/// transactions are of interest.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    /// Aborted ones that begin further on, by first offset.
    ahead: BTreeMap<i64, AbortedTxn>,
    /// Aborted ones that are open here, by producer, and whether a batch of them was met.
    aborted: BTreeMap<i64, (AbortedTxn, bool)>,
    /// Producers of which a batch was met that is not void.
    met: BTreeSet<i64>,
}

/// What becomes of a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// Batches of its transaction are there; if it was aborted, the index must say so.
    Needed(Option<AbortedTxn>),
    /// It may go in time.
    Unneeded,
}

impl Transactions {
    /// Learns of the aborted transactions that have a part in a segment, whose next one begins at `end`.
    pub(super) fn enter(&mut self, log: &PartitionLog, segment: &Segment, end: i64) -> Result<(), StorageError> {
        let found = log.aborted_between(segment.base_offset(), end)?;
        self.ahead.extend(found.into_iter().map(|txn| (txn.first_offset, txn)));
        Ok(())
    }

    /// Takes the next batch, which is no marker; answers whether its records are void.
    pub(super) fn is_void(&mut self, batch: &Batch<'_>) -> bool {
        self.begin_up_to(batch.last_offset());
        if !batch.is_transactional() {
            return false;
        }
        match self.aborted.get_mut(&batch.producer_id()) {
            Some((txn, was_met)) if txn.first_offset <= batch.base_offset() => {
                *was_met = true;
                true
            }
            _ => {
                self.met.insert(batch.producer_id());
                false
            }
        }
    }

    /// Takes the next control batch.
    pub(super) fn end(&mut self, batch: &Batch<'_>) -> Marker {
        self.begin_up_to(batch.last_offset());
        match batch.end_txn_marker() {
            Some(marker) if marker.committed => {
                if self.met.remove(&batch.producer_id()) {
                    Marker::Needed(None)
                } else {
                    Marker::Unneeded
                }
            }
            Some(_) => match self.aborted.remove(&batch.producer_id()) {
                Some((txn, true)) => Marker::Needed(Some(txn)),
                _ => Marker::Unneeded,
            },
            // Emptied by Kafka's compaction, of which only the producer's epoch is left.
            None if batch.record_count() == 0 => Marker::Unneeded,
            None => Marker::Needed(None),
        }
    }

    fn begin_up_to(&mut self, offset: i64) {
        while let Some(entry) = self.ahead.first_entry().filter(|entry| *entry.key() <= offset) {
            let txn = entry.remove();
            // One that goes over several segments is learnt of in each.
            self.aborted.entry(txn.producer_id).or_insert((txn, false));
        }
    }
}
