//! What must be true of a transaction coordinator, whatever happens around it.
//!
//! 1. A transaction ends the same way in every partition, and the way its producer was told. It commits only if its
//!    producer asked for that.
//! 2. No partition hears of an end that is not committed to the coordinator's log.
//! 3. An end that is logged is not undone, and completed only when every partition has heard of it.
//! 4. A producer id and epoch belong to one instance of a producer.
//! 5. What was told to a producer is in the log that a new coordinator loads.

use std::collections::{BTreeMap, BTreeSet};

use protocol::ErrorCode;
use state::transaction::{Markers, TransactionMetadata, TransactionRecord, TransactionState};

use crate::partition::{Partition, Record};

#[derive(Default)]
pub(crate) struct Checker {
    /// Transaction to whether it committed: as partitions or its producer heard.
    ends: BTreeMap<u64, bool>,
    /// Transactions whose producers want them to commit.
    wanted: BTreeSet<u64>,
    /// Producer id and epoch to whose it is.
    grants: BTreeMap<(i64, i16), usize>,
    pub(crate) rotations: u64,
}

impl Checker {
    /// A record is appended to the log.
    pub(crate) fn appended(&mut self, log: &[TransactionRecord], record: &TransactionRecord, partitions: &[Partition]) {
        let before = newest(log, &record.transactional_id);
        let Some(next) = &record.value else {
            assert!(before.is_some_and(|before| !before.state.is_open()), "{before:?} is forgotten");
            return;
        };
        let from = before.map(|before| before.state);
        assert!(is_valid(from, next.state), "{record:?} after {before:?}");
        let Some(before) = before else { return };
        if next.producer_id == before.producer_id {
            assert!(next.producer_epoch >= before.producer_epoch, "{next:?} after {before:?}");
        } else {
            self.rotations += 1;
            assert!(before.producer_epoch >= i16::MAX - 1 && next.producer_epoch == 0, "{next:?} after {before:?}");
        }
        if matches!(next.state, TransactionState::CompleteCommit | TransactionState::CompleteAbort) {
            for index in before.partitions.values().flatten() {
                let open = partitions[*index as usize].open(before.producer_id);
                assert!(open.is_empty(), "partition {index} does not know of {next:?}: {open:?}");
            }
        }
    }

    /// A partition took a marker that ended these records.
    pub(crate) fn marked(&mut self, committed_log: &[TransactionRecord], marker: &Markers, ended: &[Record]) {
        let state = match marker.committed {
            true => TransactionState::PrepareCommit,
            false => TransactionState::PrepareAbort,
        };
        let is_decided = committed_log.iter().filter_map(|record| record.value.as_ref()).any(|value| {
            value.state == state
                && (value.producer_id, value.producer_epoch) == (marker.producer_id, marker.producer_epoch)
        });
        assert!(is_decided, "{marker:?} is not in the log");
        for record in ended {
            self.end(record.transaction, marker.committed);
        }
    }

    /// A producer has written all it wanted.
    pub(crate) fn wants_to_commit(&mut self, transaction: u64) {
        self.wanted.insert(transaction);
    }

    /// A producer is told that its transaction ended.
    pub(crate) fn told(&mut self, transaction: u64, committed: bool) {
        self.end(transaction, committed);
    }

    fn end(&mut self, transaction: u64, committed: bool) {
        let known = *self.ends.entry(transaction).or_insert(committed);
        assert_eq!(known, committed, "transaction {transaction} both committed and aborted");
        let is_wanted = !committed || self.wanted.contains(&transaction);
        assert!(is_wanted, "transaction {transaction} committed before its producer was through");
    }

    /// A producer is told what it goes on with.
    pub(crate) fn granted(&mut self, producer_id: i64, producer_epoch: i16, client: usize) {
        assert!(producer_id >= 0 && (0..i16::MAX).contains(&producer_epoch), "{producer_id} {producer_epoch}");
        let owner = *self.grants.entry((producer_id, producer_epoch)).or_insert(client);
        assert_eq!(owner, client, "{producer_id} with epoch {producer_epoch} belongs to two");
    }
}

/// What a log says of an id at its end.
pub(crate) fn newest<'a>(log: &'a [TransactionRecord], transactional_id: &str) -> Option<&'a TransactionMetadata> {
    log.iter().rfind(|record| record.transactional_id == transactional_id)?.value.as_ref()
}

/// The transitions of Kafka's TransactionState.
fn is_valid(from: Option<TransactionState>, to: TransactionState) -> bool {
    use TransactionState::*;
    let is_over = matches!(from, Some(Empty | CompleteCommit | CompleteAbort));
    match to {
        Empty => is_over || from.is_none(),
        Ongoing | PrepareAbort => is_over || from == Some(Ongoing),
        PrepareCommit => from == Some(Ongoing),
        CompleteCommit => from == Some(PrepareCommit),
        CompleteAbort => from == Some(PrepareAbort),
        Dead | PrepareEpochFence => false,
    }
}

/// Errors after which a producer gives up.
pub(crate) fn is_fatal(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::PRODUCER_FENCED
            | ErrorCode::INVALID_PRODUCER_EPOCH
            | ErrorCode::INVALID_PRODUCER_ID_MAPPING
            | ErrorCode::INVALID_TXN_STATE
    )
}
