//! A partition, as far as transactions are concerned: it knows each producer's epoch, what is open, and whom it
//! believes.

use std::collections::{BTreeMap, BTreeSet};

use protocol::ErrorCode;
use state::transaction::Markers;

/// Something a producer wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// No other has it, so that a repetition is known.
    pub(crate) id: u64,
    /// The transaction it belongs to, as its producer sees it.
    pub(crate) transaction: u64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
}

#[derive(Default)]
struct Producer {
    epoch: i16,
    coordinator_epoch: i32,
    /// Of no known end.
    open: Vec<Record>,
}

#[derive(Default)]
pub(crate) struct Partition {
    producers: BTreeMap<i64, Producer>,
    seen: BTreeSet<u64>,
}

impl Partition {
    pub(crate) fn append(&mut self, record: Record) -> ErrorCode {
        if self.seen.contains(&record.id) {
            return ErrorCode::NONE;
        }
        let producer = self.producers.entry(record.producer_id).or_default();
        if record.producer_epoch < producer.epoch {
            return ErrorCode::INVALID_PRODUCER_EPOCH;
        }
        let is_left_open = record.producer_epoch > producer.epoch && !producer.open.is_empty();
        assert!(!is_left_open, "{record:?} finds {:?} of the epoch before", producer.open);
        producer.epoch = record.producer_epoch;
        producer.open.push(record);
        self.seen.insert(record.id);
        ErrorCode::NONE
    }

    /// Takes a marker: what it ends, or why it is refused. Of version 2 it has to be newer than what is known, so
    /// that one which comes twice cannot end the next transaction.
    pub(crate) fn mark(&mut self, marker: &Markers) -> Result<Vec<Record>, ErrorCode> {
        let is_known = self.producers.contains_key(&marker.producer_id);
        let producer = self.producers.entry(marker.producer_id).or_default();
        let is_strict = marker.transaction_version.bumps_epoch() && is_known;
        if marker.producer_epoch < producer.epoch || (is_strict && marker.producer_epoch == producer.epoch) {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        if marker.coordinator_epoch < producer.coordinator_epoch {
            return Err(ErrorCode::TRANSACTION_COORDINATOR_FENCED);
        }
        producer.epoch = marker.producer_epoch;
        producer.coordinator_epoch = marker.coordinator_epoch;
        Ok(std::mem::take(&mut producer.open))
    }

    /// What is open of a producer.
    pub(crate) fn open(&self, producer_id: i64) -> &[Record] {
        self.producers.get(&producer_id).map_or(&[], |producer| &producer.open)
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.producers.values().all(|producer| producer.open.is_empty())
    }
}
