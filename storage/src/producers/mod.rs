//! What a log remembers of its producers: so that a retry is not written twice (KIP-98), and which transactions are open.
//!
//! For each producer: its epoch, its last five batches, where its open transaction begins, and who ended the last one. A
//! batch whose sequence follows is new, one that is among the five is a duplicate and answered with its old offset,
//! anything else is out of order (`check.rs`). The state is a function of the batches in the log; snapshots
//! (`snapshot.rs`) only make loading it short. What is not in the log is who is being verified (`verification.rs`).

mod check;
mod snapshot;
mod verification;

use std::collections::{BTreeMap, VecDeque};

use protocol::records::Batch;

pub(crate) use check::{Sequence, check_marker};
pub(crate) use snapshot::snapshot_path;
pub use verification::{Applicant, TransactionCheck, Verification, VerificationGuard};

use crate::txn_index::AbortedTxn;
use verification::Verifications;

/// Batches remembered of one producer: as many as a client has in flight.
const BATCHES_RETAINED: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Written {
    first_sequence: i32,
    last_sequence: i32,
    last_offset: i64,
    offset_delta: i32,
    timestamp: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Producer {
    epoch: i16,
    batches: VecDeque<Written>,
    /// The largest timestamp of its last batch, or that of the marker that came after it.
    last_timestamp: i64,
    /// Of the coordinator that ended its last transaction; −1 before.
    coordinator_epoch: i32,
    /// Where its open transaction begins.
    txn_first_offset: Option<i64>,
    /// When it was last heard of, by the broker's clock.
    last_seen_ms: i64,
}

impl Producer {
    fn new(epoch: i16, now_ms: i64) -> Producer {
        Producer {
            epoch,
            batches: VecDeque::new(),
            last_timestamp: -1,
            coordinator_epoch: -1,
            txn_first_offset: None,
            last_seen_ms: now_ms,
        }
    }

    /// Sequences begin again with an epoch.
    fn set_epoch(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.batches.clear();
        }
    }
}

/// The producers of one log.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    producers: BTreeMap<i64, Producer>,
    /// Whose transaction is open, by its first offset.
    open: BTreeMap<i64, i64>,
    verifications: Verifications,
    limit: usize,
}

/// A transaction that a marker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CompletedTxn {
    pub(crate) txn: AbortedTxn,
    pub(crate) committed: bool,
}

/// What a log knows of a producer, as DescribeProducers tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerState {
    /// Whose.
    pub producer_id: i64,
    /// The epoch of its last batch or marker.
    pub producer_epoch: i16,
    /// The sequence of its last record; −1 without one in this epoch.
    pub last_sequence: i32,
    /// The largest timestamp of its last batch, or that of the marker behind it, in ms; −1 without.
    pub last_timestamp: i64,
    /// The epoch of the coordinator that ended its last transaction here; −1 when none did.
    pub coordinator_epoch: i32,
    /// Where its open transaction begins.
    pub current_txn_start_offset: Option<i64>,
}

/// By what compaction knows the batch without which a producer would be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastRecord {
    /// The batch with this last offset has its last sequence.
    Data(i64),
    /// It wrote nothing in this epoch: the marker has it.
    Marker(i16),
}

impl Producers {
    /// Nobody; at most `limit` are remembered, and those with an open transaction.
    pub(crate) fn new(limit: usize) -> Producers {
        Producers { producers: BTreeMap::new(), open: BTreeMap::new(), verifications: Verifications::new(limit), limit }
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.producers.len()
    }

    /// Where the first open transaction begins.
    pub(crate) fn first_undecided(&self) -> Option<i64> {
        self.open.first_key_value().map(|(first_offset, _)| *first_offset)
    }

    /// What is known of everybody, by producer id.
    pub(crate) fn states(&self) -> Vec<ProducerState> {
        let state = |(id, known): (&i64, &Producer)| ProducerState {
            producer_id: *id,
            producer_epoch: known.epoch,
            last_sequence: known.batches.back().map_or(-1, |written| written.last_sequence),
            last_timestamp: known.last_timestamp,
            coordinator_epoch: known.coordinator_epoch,
            current_txn_start_offset: known.txn_first_offset,
        };
        self.producers.iter().map(state).collect()
    }

    /// Which batch of each must not go, by producer id.
    pub(crate) fn last_records(&self) -> BTreeMap<i64, LastRecord> {
        let last = |known: &Producer| {
            let data = known.batches.back().map(|written| LastRecord::Data(written.last_offset));
            data.unwrap_or(LastRecord::Marker(known.epoch))
        };
        self.producers.iter().map(|(id, known)| (*id, last(known))).collect()
    }

    /// Takes a batch that is in the log; answers the transaction that it ends.
    pub(crate) fn note(&mut self, batch: &Batch<'_>, now_ms: i64) -> Option<CompletedTxn> {
        if !batch.has_producer_id() {
            return None;
        }
        if batch.is_control() {
            return self.note_marker(batch, now_ms);
        }
        let id = batch.producer_id();
        let producer = self.entry(batch, now_ms);
        if producer.batches.len() == BATCHES_RETAINED {
            producer.batches.pop_front();
        }
        producer.last_timestamp = batch.max_timestamp();
        producer.batches.push_back(Written {
            first_sequence: batch.base_sequence(),
            last_sequence: batch.last_sequence(),
            last_offset: batch.last_offset(),
            offset_delta: batch.last_offset_delta(),
            timestamp: batch.max_timestamp(),
        });
        if batch.is_transactional() {
            if producer.txn_first_offset.is_none() {
                producer.txn_first_offset = Some(batch.base_offset());
                self.open.insert(batch.base_offset(), id);
            }
            // From here on the open transaction itself is the proof.
            self.verifications.end(id);
        }
        None
    }

    fn note_marker(&mut self, batch: &Batch<'_>, now_ms: i64) -> Option<CompletedTxn> {
        let marker = batch.end_txn_marker();
        if marker.is_none() && batch.record_count() > 0 {
            return None;
        }
        let id = batch.producer_id();
        let producer = self.entry(batch, now_ms);
        // Kafka's compaction empties the marker of a transaction that is gone; the epoch is still in its header.
        let marker = marker?;
        producer.coordinator_epoch = marker.coordinator_epoch;
        producer.last_timestamp = batch.max_timestamp();
        let first_offset = producer.txn_first_offset.take();
        self.verifications.end(id);
        let first_offset = first_offset?;
        self.open.remove(&first_offset);
        let last_offset = batch.last_offset();
        let last_stable_offset = self.first_undecided().unwrap_or(last_offset + 1);
        let txn = AbortedTxn { producer_id: id, first_offset, last_offset, last_stable_offset };
        Some(CompletedTxn { txn, committed: marker.committed })
    }

    /// The producer of a batch, in the batch's epoch.
    fn entry(&mut self, batch: &Batch<'_>, now_ms: i64) -> &mut Producer {
        if self.producers.len() >= self.limit && !self.producers.contains_key(&batch.producer_id()) {
            self.forget_oldest();
        }
        let fresh = || Producer::new(batch.producer_epoch(), now_ms);
        let producer = self.producers.entry(batch.producer_id()).or_insert_with(fresh);
        producer.set_epoch(batch.producer_epoch());
        producer.last_seen_ms = now_ms;
        producer
    }

    /// Whoever has an open transaction stays: its marker is still to come.
    fn forget_oldest(&mut self) {
        let idle = self.producers.iter().filter(|(_, producer)| producer.txn_first_offset.is_none());
        if let Some(id) = idle.min_by_key(|(_, producer)| producer.last_seen_ms).map(|(id, _)| *id) {
            self.producers.remove(&id);
        }
    }

    /// Forgets who was not heard of for `expiration_ms` and has no open transaction.
    pub(crate) fn expire(&mut self, now_ms: i64, expiration_ms: u64) {
        let expiration_ms = i64::try_from(expiration_ms).unwrap_or(i64::MAX);
        let is_live = |since_ms: i64| now_ms.saturating_sub(since_ms) < expiration_ms;
        self.producers.retain(|_, producer| producer.txn_first_offset.is_some() || is_live(producer.last_seen_ms));
        self.verifications.retain(is_live);
    }

    /// Forgets everybody, before the state is built anew.
    pub(crate) fn clear(&mut self) {
        self.producers.clear();
        self.open.clear();
        self.verifications.clear();
    }

    fn restore(&mut self, entries: impl Iterator<Item = (i64, Producer)>) {
        self.producers.extend(entries);
        let open = |(id, producer): (&i64, &Producer)| Some((producer.txn_first_offset?, *id));
        self.open = self.producers.iter().filter_map(open).collect();
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use protocol::records::{BatchBuilder, EndTxnMarker, MarkerPosition, control_batch};

    use super::*;
    use crate::AppendError;
    use crate::disk::OsDisk;
    use crate::validate::AppendOrigin;

    fn batch(epoch: i16, sequence: i32, count: usize, base_offset: i64) -> BytesMut {
        let mut builder = BatchBuilder::new(base_offset).producer(7, epoch, sequence);
        for _ in 0..count {
            builder.append(1000, None, Some(b"v"), &[]);
        }
        builder.build()
    }

    fn check(producers: &Producers, bytes: &[u8]) -> Result<Sequence, AppendError> {
        producers.check(&Batch::parse(bytes).unwrap(), AppendOrigin::Client, TransactionCheck::Ongoing)
    }

    fn note(producers: &mut Producers, bytes: &[u8]) {
        producers.note(&Batch::parse(bytes).unwrap(), 1000);
    }

    #[test]
    fn sequences_follow_repeat_or_fail() {
        let mut producers = Producers::new(10);
        for i in 0..7 {
            let next = batch(0, i * 2, 2, i64::from(i) * 2);
            assert_eq!(check(&producers, &next).unwrap(), Sequence::New);
            note(&mut producers, &next);
        }
        let duplicate = Sequence::Duplicate { base_offset: 4, last_offset: 5, timestamp: 1000 };
        assert_eq!(check(&producers, &batch(0, 4, 2, 0)).unwrap(), duplicate);
        // The sixth last is forgotten, so a retry of it is out of order.
        assert!(matches!(check(&producers, &batch(0, 2, 2, 0)), Err(AppendError::OutOfOrderSequence { .. })));
        assert!(matches!(check(&producers, &batch(0, 16, 1, 0)), Err(AppendError::OutOfOrderSequence { .. })));
    }

    #[test]
    fn a_new_epoch_begins_at_zero_and_ends_the_old_one() {
        let mut producers = Producers::new(10);
        note(&mut producers, &batch(3, 0, 1, 0));
        assert!(matches!(check(&producers, &batch(4, 5, 1, 0)), Err(AppendError::OutOfOrderSequence { .. })));
        note(&mut producers, &batch(4, 0, 1, 1));
        assert!(matches!(check(&producers, &batch(3, 1, 1, 0)), Err(AppendError::InvalidProducerEpoch { .. })));
    }

    #[test]
    fn sequences_wrap() {
        let mut producers = Producers::new(10);
        note(&mut producers, &batch(0, i32::MAX - 1, 2, 0));
        assert_eq!(check(&producers, &batch(0, 0, 1, 2)).unwrap(), Sequence::New);
    }

    #[test]
    fn a_snapshot_restores_everything() {
        let dir = tempfile::tempdir().unwrap();
        let path = snapshot_path(dir.path(), 5);
        let mut producers = Producers::new(10);
        for i in 0..7 {
            note(&mut producers, &batch(2, i * 3, 3, i64::from(i) * 3));
        }
        producers.save(&OsDisk, &path, None).unwrap();
        let mut restored = Producers::new(10);
        assert!(restored.load(&OsDisk, &path).unwrap());
        assert_eq!(restored.producers, producers.producers);

        let mut damaged = std::fs::read(&path).unwrap();
        damaged[12] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        assert!(!restored.load(&OsDisk, &path).unwrap());
    }

    #[test]
    fn the_number_of_producers_is_bounded_and_they_expire() {
        let mut producers = Producers::new(2);
        for id in 0..5 {
            let mut builder = BatchBuilder::new(0).producer(id, 0, 0);
            builder.append(0, None, None, &[]);
            producers.note(&Batch::parse(&builder.build()).unwrap(), id);
        }
        assert_eq!(producers.len(), 2);
        producers.expire(100, 97);
        assert_eq!(producers.len(), 1);
    }

    fn transactional(epoch: i16, sequence: i32, base_offset: i64) -> BytesMut {
        let mut builder = BatchBuilder::new(base_offset).producer(7, epoch, sequence).transactional();
        builder.append(1000, None, Some(b"v"), &[]);
        builder.build()
    }

    fn marker(epoch: i16, committed: bool, offset: i64) -> BytesMut {
        let position = MarkerPosition { offset, leader_epoch: 0, timestamp: 2000 };
        control_batch(EndTxnMarker { committed, coordinator_epoch: 3 }, 7, epoch, position)
    }

    #[test]
    fn a_transaction_is_open_from_its_first_batch_to_its_marker() {
        let mut producers = Producers::new(10);
        note(&mut producers, &transactional(0, 0, 5));
        note(&mut producers, &transactional(0, 1, 6));
        assert_eq!(producers.first_undecided(), Some(5));
        assert!(matches!(check(&producers, &batch(0, 2, 1, 7)), Err(AppendError::InvalidTxnState { .. })));
        let ended = producers.note(&Batch::parse(&marker(0, false, 7)).unwrap(), 1000).unwrap();
        let txn = AbortedTxn { producer_id: 7, first_offset: 5, last_offset: 7, last_stable_offset: 8 };
        assert_eq!(ended, CompletedTxn { txn, committed: false });
        assert_eq!(producers.first_undecided(), None);
        // The same epoch goes on where it was.
        assert!(matches!(check(&producers, &transactional(0, 2, 8)), Err(AppendError::InvalidTxnState { .. })));
        assert_eq!(check(&producers, &batch(0, 2, 1, 8)).unwrap(), Sequence::New);
        assert!(producers.note(&Batch::parse(&marker(0, false, 8)).unwrap(), 1000).is_none(), "it ends nothing");
    }

    #[test]
    fn a_marker_of_the_next_epoch_begins_sequences_again() {
        let mut producers = Producers::new(10);
        note(&mut producers, &transactional(0, 0, 0));
        note(&mut producers, &marker(1, true, 1));
        assert!(matches!(check(&producers, &batch(0, 1, 1, 2)), Err(AppendError::InvalidProducerEpoch { .. })));
        assert!(matches!(check(&producers, &batch(1, 1, 1, 2)), Err(AppendError::OutOfOrderSequence { .. })));
        assert_eq!(check(&producers, &batch(1, 0, 1, 2)).unwrap(), Sequence::New);
    }

    #[test]
    fn a_snapshot_restores_transactions_in_kafkas_fields() {
        let dir = tempfile::tempdir().unwrap();
        let path = snapshot_path(dir.path(), 9);
        let mut producers = Producers::new(10);
        note(&mut producers, &transactional(0, 0, 4));
        note(&mut producers, &marker(1, true, 5));
        producers.save(&OsDisk, &path, None).unwrap();
        let file = std::fs::read(&path).unwrap();
        // Last sequence, last offset, offset delta, timestamp, coordinator epoch, first offset of the transaction.
        let no_batch =
            [&(-1i32).to_be_bytes()[..], &(-1i64).to_be_bytes(), &0i32.to_be_bytes(), &2000i64.to_be_bytes()];
        assert_eq!(file[20..44], no_batch.concat());
        assert_eq!(file[44..56], [&3i32.to_be_bytes()[..], &(-1i64).to_be_bytes()].concat());
        note(&mut producers, &transactional(1, 0, 6));
        producers.save(&OsDisk, &path, None).unwrap();
        assert_eq!(std::fs::read(&path).unwrap()[48..56], 6i64.to_be_bytes());
        let mut restored = Producers::new(10);
        assert!(restored.load(&OsDisk, &path).unwrap());
        assert_eq!((&restored.producers, &restored.open), (&producers.producers, &producers.open));
    }

    #[test]
    fn who_has_an_open_transaction_is_not_forgotten() {
        let mut producers = Producers::new(2);
        note(&mut producers, &transactional(0, 0, 0));
        for id in 10..15 {
            let mut builder = BatchBuilder::new(id).producer(id, 0, 0);
            builder.append(0, None, None, &[]);
            producers.note(&Batch::parse(&builder.build()).unwrap(), 2_000 + id);
        }
        producers.expire(1_000_000, 1);
        assert_eq!(producers.states().iter().map(|state| state.producer_id).collect::<Vec<_>>(), [7]);
        assert_eq!(producers.first_undecided(), Some(0));
        note(&mut producers, &marker(0, true, 20));
        producers.expire(1_000_000, 1);
        assert_eq!(producers.len(), 0);
    }
}
