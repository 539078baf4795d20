//! One transactional id: its producer, its state, and how each becomes the next.
//!
//! Everything here is a function from what is known to what is to be logged. Whether it may happen is decided
//! elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::TransactionVersion;

/// No producer id.
pub(crate) const NO_PRODUCER_ID: i64 = -1;
/// No epoch.
pub(crate) const NO_PRODUCER_EPOCH: i16 = -1;

/// Topic to partitions. No topic is empty.
pub type Partitions = BTreeMap<String, BTreeSet<i32>>;

/// Where a transactional id stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TransactionState {
    /// It has a producer, and no transaction yet.
    Empty,
    /// A transaction has partitions.
    Ongoing,
    /// It is decided that the transaction commits; partitions are being told.
    PrepareCommit,
    /// It is decided that the transaction aborts; partitions are being told.
    PrepareAbort,
    /// Every partition knows that the transaction committed.
    CompleteCommit,
    /// Every partition knows that the transaction aborted.
    CompleteAbort,
    /// The id is being forgotten. In Kafka this takes a moment; here nothing is ever seen in it.
    Dead,
    /// The producer is being fenced. In Kafka this takes a moment; here nothing is ever seen in it.
    PrepareEpochFence,
}

impl TransactionState {
    /// All of them, by their number in a record.
    pub const ALL: [TransactionState; 8] = [
        TransactionState::Empty,
        TransactionState::Ongoing,
        TransactionState::PrepareCommit,
        TransactionState::PrepareAbort,
        TransactionState::CompleteCommit,
        TransactionState::CompleteAbort,
        TransactionState::Dead,
        TransactionState::PrepareEpochFence,
    ];

    /// As DescribeTransactions and ListTransactions say it.
    pub fn name(self) -> &'static str {
        match self {
            TransactionState::Empty => "Empty",
            TransactionState::Ongoing => "Ongoing",
            TransactionState::PrepareCommit => "PrepareCommit",
            TransactionState::PrepareAbort => "PrepareAbort",
            TransactionState::CompleteCommit => "CompleteCommit",
            TransactionState::CompleteAbort => "CompleteAbort",
            TransactionState::Dead => "Dead",
            TransactionState::PrepareEpochFence => "PrepareEpochFence",
        }
    }

    /// The state of that name, which is case sensitive as in Kafka.
    pub fn from_name(name: &str) -> Option<TransactionState> {
        TransactionState::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether the outcome is decided and partitions are being told.
    pub fn is_prepared(self) -> bool {
        matches!(self, TransactionState::PrepareCommit | TransactionState::PrepareAbort)
    }

    /// Whether a transaction runs, or is ending.
    pub fn is_open(self) -> bool {
        self == TransactionState::Ongoing || self.is_prepared()
    }
}

/// A transactional id as its latest change left it: what the log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionMetadata {
    /// The producer's id.
    pub producer_id: i64,
    /// The producer id before this change; −1 if unknown.
    pub previous_producer_id: i64,
    /// Takes the place of the producer id when the transaction that is ending has ended; −1 for none.
    pub next_producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// The epoch before the last change by the producer itself, which may repeat its request. −1 if somebody else
    /// fenced it, and after a reload: the log does not hold it.
    pub last_producer_epoch: i16,
    /// How long a transaction may run.
    pub timeout_ms: i32,
    /// Where it stands.
    pub state: TransactionState,
    /// Of the client that made the change.
    pub client_transaction_version: TransactionVersion,
    /// In the transaction. None unless it is open.
    pub partitions: Partitions,
    /// Wall clock; −1 before the first transaction.
    pub start_timestamp_ms: i64,
    /// Wall clock.
    pub last_update_timestamp_ms: i64,
}

impl TransactionMetadata {
    /// A new id, as InitProducerId makes it.
    pub(crate) fn new(producer_id: i64, timeout_ms: i32, wall_ms: i64) -> TransactionMetadata {
        TransactionMetadata {
            producer_id,
            // The one it was created with, as Kafka writes it.
            previous_producer_id: producer_id,
            next_producer_id: NO_PRODUCER_ID,
            producer_epoch: 0,
            last_producer_epoch: NO_PRODUCER_EPOCH,
            timeout_ms,
            state: TransactionState::Empty,
            client_transaction_version: TransactionVersion::V0,
            partitions: Partitions::new(),
            start_timestamp_ms: -1,
            last_update_timestamp_ms: wall_ms,
        }
    }

    /// Whether the next epoch would be the last one, which is kept for fencing.
    pub(crate) fn is_epoch_exhausted(&self) -> bool {
        is_epoch_exhausted(self.producer_epoch)
    }

    /// InitProducerId: the producer goes on with this epoch.
    pub(crate) fn with_epoch(&self, epoch: i16, last_epoch: i16, timeout_ms: i32, wall_ms: i64) -> TransactionMetadata {
        TransactionMetadata {
            producer_epoch: epoch,
            last_producer_epoch: last_epoch,
            ..self.emptied(timeout_ms, wall_ms)
        }
    }

    /// InitProducerId after the last epoch: the producer goes on with another id.
    pub(crate) fn with_producer_id(
        &self,
        producer_id: i64,
        last_epoch: i16,
        timeout_ms: i32,
        wall_ms: i64,
    ) -> TransactionMetadata {
        TransactionMetadata { producer_id, ..self.with_epoch(0, last_epoch, timeout_ms, wall_ms) }
    }

    fn emptied(&self, timeout_ms: i32, wall_ms: i64) -> TransactionMetadata {
        TransactionMetadata {
            previous_producer_id: self.producer_id,
            timeout_ms,
            state: TransactionState::Empty,
            partitions: Partitions::new(),
            start_timestamp_ms: -1,
            last_update_timestamp_ms: wall_ms,
            ..self.clone()
        }
    }

    /// The transaction, which thereby begins if none runs, has these partitions too.
    pub(crate) fn with_partitions(
        &self,
        added: &Partitions,
        version: TransactionVersion,
        wall_ms: i64,
    ) -> TransactionMetadata {
        let mut partitions = self.partitions.clone();
        for (topic, indexes) in added {
            partitions.entry(topic.clone()).or_default().extend(indexes);
        }
        TransactionMetadata {
            previous_producer_id: self.producer_id,
            state: TransactionState::Ongoing,
            client_transaction_version: version,
            partitions,
            start_timestamp_ms: match self.state {
                TransactionState::Ongoing => self.start_timestamp_ms,
                _ => wall_ms,
            },
            last_update_timestamp_ms: wall_ms,
            ..self.clone()
        }
    }

    /// The producer ends the transaction. With version 2 its epoch grows, and `next_producer_id` is what it goes on
    /// with if there are no more epochs.
    pub(crate) fn prepared(
        &self,
        committed: bool,
        version: TransactionVersion,
        next_producer_id: i64,
        wall_ms: i64,
    ) -> TransactionMetadata {
        let (producer_epoch, last_producer_epoch) = match version.bumps_epoch() {
            // The last one is never given to a producer, so there always is one more.
            true => (self.producer_epoch.saturating_add(1), self.producer_epoch),
            false => (self.producer_epoch, self.last_producer_epoch),
        };
        TransactionMetadata {
            previous_producer_id: self.producer_id,
            next_producer_id,
            producer_epoch,
            last_producer_epoch,
            state: if committed { TransactionState::PrepareCommit } else { TransactionState::PrepareAbort },
            client_transaction_version: version,
            // Only version 2 may abort what never began.
            start_timestamp_ms: match self.state {
                TransactionState::Ongoing => self.start_timestamp_ms,
                _ => wall_ms,
            },
            last_update_timestamp_ms: wall_ms,
            ..self.clone()
        }
    }

    /// The coordinator aborts the transaction, and fences its producer.
    pub(crate) fn fenced(
        &self,
        version: TransactionVersion,
        next_producer_id: i64,
        wall_ms: i64,
    ) -> TransactionMetadata {
        if version.bumps_epoch() {
            return self.prepared(false, version, next_producer_id, wall_ms);
        }
        let prepared = self.prepared(false, TransactionVersion::V0, NO_PRODUCER_ID, wall_ms);
        TransactionMetadata {
            producer_epoch: self.producer_epoch.saturating_add(1),
            last_producer_epoch: NO_PRODUCER_EPOCH,
            ..prepared
        }
    }

    /// Every partition of a prepared transaction knows how it ended.
    pub(crate) fn completed(&self, wall_ms: i64) -> TransactionMetadata {
        let rotates = self.client_transaction_version.bumps_epoch() && self.next_producer_id != NO_PRODUCER_ID;
        let (producer_id, producer_epoch) = match rotates {
            true => (self.next_producer_id, 0),
            false => (self.producer_id, self.producer_epoch),
        };
        TransactionMetadata {
            producer_id,
            previous_producer_id: self.producer_id,
            next_producer_id: NO_PRODUCER_ID,
            producer_epoch,
            state: match self.state {
                TransactionState::PrepareCommit => TransactionState::CompleteCommit,
                _ => TransactionState::CompleteAbort,
            },
            partitions: Partitions::new(),
            last_update_timestamp_ms: wall_ms,
            ..self.clone()
        }
    }
}

/// Whether only one epoch is left, which is kept for fencing.
pub(crate) fn is_epoch_exhausted(epoch: i16) -> bool {
    epoch >= i16::MAX - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_their_numbers_and_names() {
        for (number, state) in TransactionState::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, number);
            assert_eq!(TransactionState::from_name(state.name()), Some(state));
        }
        assert_eq!(TransactionState::from_name("ongoing"), None);
    }

    #[test]
    fn a_transaction_keeps_its_beginning_and_gathers_partitions() {
        let added = |index| Partitions::from([("t".to_owned(), BTreeSet::from([index]))]);
        let empty = TransactionMetadata::new(7, 1_000, 100);
        let begun = empty.with_partitions(&added(1), TransactionVersion::V0, 200);
        let more = begun.with_partitions(&added(2), TransactionVersion::V0, 300);
        assert_eq!((more.start_timestamp_ms, more.last_update_timestamp_ms), (200, 300));
        assert_eq!(more.partitions, Partitions::from([("t".to_owned(), BTreeSet::from([1, 2]))]));
        let ended = more.prepared(true, TransactionVersion::V0, NO_PRODUCER_ID, 400).completed(500);
        assert_eq!((ended.state, ended.start_timestamp_ms), (TransactionState::CompleteCommit, 200));
        let again = ended.with_partitions(&added(3), TransactionVersion::V0, 600);
        assert_eq!((again.start_timestamp_ms, again.partitions.len()), (600, 1));
    }

    #[test]
    fn the_last_epoch_is_never_given_to_a_producer() {
        let mut last = TransactionMetadata::new(7, 1_000, 100);
        last.producer_epoch = i16::MAX - 1;
        assert!(last.is_epoch_exhausted());
        let ending = last.prepared(true, TransactionVersion::V2, 8, 200);
        assert_eq!((ending.producer_id, ending.producer_epoch), (7, i16::MAX));
        let ended = ending.completed(300);
        assert_eq!((ended.producer_id, ended.producer_epoch, ended.previous_producer_id), (8, 0, 7));
        assert_eq!((ended.next_producer_id, ended.last_producer_epoch), (NO_PRODUCER_ID, i16::MAX - 1));
    }
}
