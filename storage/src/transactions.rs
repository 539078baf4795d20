//! Transactions as one log sees them (KIP-98): which are open, which were aborted, and how far readers of committed
//! records may go.
//!
//! All of it is a function of the log. Who decides is the transaction coordinator; here its markers are written and obeyed.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use protocol::records::{EndTxnMarker, MarkerPosition, control_batch};

use crate::error::{AppendError, ReadError, StorageError};
use crate::log::{Appended, PartitionLog, lock};
use crate::producers::{Applicant, ProducerState, Verification, check_marker};
use crate::txn_index::AbortedTxn;

/// Decided transactions that wait for the high watermark; beyond it, neighbours count as one.
const DECIDED_MAX: usize = 1_000;

/// The end of a producer's transaction, as its coordinator decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnMarker {
    /// Whose transaction.
    pub producer_id: i64,
    /// The producer's epoch; with transactions of version 2 one more than its batches have.
    pub producer_epoch: i16,
    /// The epoch of the coordinator's partition leader.
    pub coordinator_epoch: i32,
    /// Commit, or else abort.
    pub committed: bool,
    /// Of the transaction: 2 if every end has a new producer epoch (KIP-890, KIP-1228), else 0 or 1.
    pub transaction_version: i8,
}

/// An aborted transaction, as a consumer is told: from the first offset to its marker the producer's records are void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose.
    pub producer_id: i64,
    /// Of its first record in the partition.
    pub first_offset: i64,
}

impl PartitionLog {
    /// Writes a marker, and ends the producer's transaction if one is open here. Durable after the next
    /// [`PartitionLog::flush`].
    ///
    /// # Errors
    /// [`AppendError::InvalidProducerEpoch`] when the producer, and
    /// [`AppendError::TransactionCoordinatorFenced`] when the coordinator has gone on since; the disk's. Nothing was
    /// written then.
    pub fn append_marker(&self, marker: TxnMarker, leader_epoch: i32, now_ms: i64) -> Result<Appended, AppendError> {
        let TxnMarker { producer_id, producer_epoch, coordinator_epoch, committed, .. } = marker;
        let mut writer = self.writer()?;
        check_marker(&writer.producers, &marker)?;
        let position = MarkerPosition { offset: self.log_end_offset(), leader_epoch, timestamp: now_ms };
        let end = EndTxnMarker { committed, coordinator_epoch };
        let batch = control_batch(end, producer_id, producer_epoch, position);
        self.write(&mut writer, batch, leader_epoch, now_ms)
    }

    /// What a producer's transactional batch needs before it may be appended: its transaction is open here, or the
    /// coordinator is to be asked.
    ///
    /// # Errors
    /// [`AppendError::InvalidProducerEpoch`] when a later epoch was seen; [`AppendError::Closed`].
    pub fn begin_verification(&self, applicant: Applicant, now_ms: i64) -> Result<Verification, AppendError> {
        self.writer()?.producers.verify(applicant, now_ms)
    }

    /// Up to where readers of committed records may go when all may go up to `high_watermark`: before the first record
    /// of a transaction that is open, or whose marker is not below the high watermark. ListOffsets answers it as the
    /// latest offset to those who ask for committed records.
    pub fn last_stable_offset(&self, high_watermark: i64) -> i64 {
        let first_unstable = lock(&self.unstable).first(high_watermark);
        first_unstable.map_or(high_watermark, |offset| offset.max(self.log_start_offset()).min(high_watermark))
    }

    /// Where the first transaction begins that is not decided.
    pub fn first_undecided_offset(&self) -> Option<i64> {
        lock(&self.unstable).undecided
    }

    /// Makes the markers durable that were written so far. What compaction drops because a transaction was decided must
    /// not be missed when the power fails, the marker is lost, and the next one says otherwise.
    pub(crate) fn flush_markers(&self) -> Result<(), StorageError> {
        let last_marker = lock(&self.unstable).last_marker;
        if last_marker.is_some_and(|offset| offset >= self.flushed_offset()) {
            self.flush()?;
        }
        Ok(())
    }

    /// The aborted transactions that have records between `from` and `upper_bound`, which is not above the last stable
    /// offset; best the end of what a fetch returns, because all that overlap are listed.
    ///
    /// # Errors
    /// [`ReadError::OutOfRange`] when the log begins behind `from` meanwhile; the disk's.
    pub fn aborted_transactions(&self, from: i64, upper_bound: i64) -> Result<Vec<AbortedTransaction>, ReadError> {
        let found = self.aborted_between(from, upper_bound);
        if self.is_closed() {
            return Err(ReadError::Closed);
        }
        let (start, end) = (self.log_start_offset(), self.log_end_offset());
        // Perhaps after what is asked about was read: the entries have gone with the segments.
        if from < start {
            return Err(ReadError::OutOfRange { offset: from, start, end });
        }
        let told =
            |txn: &AbortedTxn| AbortedTransaction { producer_id: txn.producer_id, first_offset: txn.first_offset };
        Ok(found?.iter().map(told).collect())
    }

    pub(crate) fn aborted_between(&self, from: i64, upper_bound: i64) -> Result<Vec<AbortedTxn>, StorageError> {
        let segments = self.segments();
        let first = segments.partition_point(|segment| segment.base_offset() <= from).saturating_sub(1);
        let mut found = Vec::new();
        for segment in &segments[first..] {
            let ended = segment.each_aborted(&*self.shared.disk, from, |txn| {
                if txn.first_offset < upper_bound {
                    found.push(txn);
                }
                // Whatever was aborted behind it begins behind it.
                if txn.last_stable_offset >= upper_bound { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            if ended.is_break() {
                break;
            }
        }
        Ok(found)
    }

    /// What the log knows of its producers, by id; for DescribeProducers.
    pub fn producers(&self) -> Vec<ProducerState> {
        lock(&self.writer).producers.states()
    }
}

/// The transactions that hold readers of committed records back.
#[derive(Debug)]
pub(crate) struct Unstable {
    /// Where the first open one begins.
    undecided: Option<i64>,
    /// First and last offset of decided ones whose markers need not be below the high watermark: both ascend.
    decided: VecDeque<(i64, i64)>,
    /// Where the last marker stands that ended one.
    last_marker: Option<i64>,
}

impl Unstable {
    /// Of a log that was just opened.
    pub(crate) fn new(undecided: Option<i64>) -> Unstable {
        Unstable { undecided, decided: VecDeque::new(), last_marker: None }
    }

    /// Goes with the log: where the first open transaction begins now, and which one a marker has ended.
    pub(crate) fn follow(&mut self, undecided: Option<i64>, completed: Option<AbortedTxn>) {
        self.undecided = undecided;
        let Some(txn) = completed else { return };
        self.last_marker = Some(txn.last_offset);
        let mut first_offset = txn.first_offset;
        // One that begins later and ends earlier holds nobody back any more.
        while self.decided.back().is_some_and(|(first, _)| *first >= first_offset) {
            self.decided.pop_back();
        }
        if self.decided.len() >= DECIDED_MAX
            && let Some((first, _)) = self.decided.pop_back()
        {
            first_offset = first;
        }
        self.decided.push_back((first_offset, txn.last_offset));
    }

    /// The first offset that is not stable under a high watermark.
    fn first(&mut self, high_watermark: i64) -> Option<i64> {
        while self.decided.front().is_some_and(|(_, last_offset)| *last_offset < high_watermark) {
            self.decided.pop_front();
        }
        let decided = self.decided.front().map(|(first_offset, _)| *first_offset);
        decided.into_iter().chain(self.undecided).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decided_transaction_holds_back_until_the_high_watermark_has_its_marker() {
        for seed in 0..200 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (mut unstable, mut all, mut high_watermark) = (Unstable::new(None), Vec::new(), 0);
            for last_offset in (10..400).step_by(3) {
                let first_offset = rng.i64((last_offset - 30).max(0)..last_offset);
                let txn = AbortedTxn { producer_id: 1, first_offset, last_offset, last_stable_offset: 0 };
                let undecided = rng.bool().then(|| rng.i64(0..last_offset));
                unstable.follow(undecided, Some(txn));
                all.push((first_offset, last_offset));
                high_watermark = rng.i64(high_watermark..=last_offset + 1);
                let waiting = all.iter().filter(|(_, last)| *last >= high_watermark).map(|(first, _)| *first);
                assert_eq!(unstable.first(high_watermark), waiting.chain(undecided).min(), "seed {seed}");
            }
        }
    }

    #[test]
    fn what_waits_for_the_high_watermark_is_bounded_and_never_told_too_early() {
        let mut unstable = Unstable::new(None);
        let count = 3 * DECIDED_MAX as i64;
        for place in 0..count {
            let (first_offset, last_offset) = (place * 2, place * 2 + 1);
            let txn = AbortedTxn { producer_id: 1, first_offset, last_offset, last_stable_offset: 0 };
            unstable.follow(None, Some(txn));
        }
        assert_eq!(unstable.decided.len(), DECIDED_MAX);
        for high_watermark in 0..2 * count {
            let exact = high_watermark / 2 * 2;
            assert!(unstable.first(high_watermark).unwrap() <= exact, "{high_watermark}");
        }
        assert_eq!(unstable.first(2 * count), None);
    }
}
