//! Whether a producer's batch, or a marker for it, may be appended: the rules of Kafka's leader.

use protocol::records::Batch;

use super::verification::Applicant;
use super::{Producer, Producers, TransactionCheck, Verification, Written};
use crate::AppendError;
use crate::transactions::TxnMarker;
use crate::validate::AppendOrigin;

/// Transactions in which the marker always has a new epoch (KIP-890).
const EPOCH_BUMP_VERSION: i8 = 2;

/// What a batch means to its producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sequence {
    /// It is next.
    New,
    /// It stands at these offsets already.
    Duplicate {
        /// Of its first record.
        base_offset: i64,
        /// Of its last record.
        last_offset: i64,
        /// Its timestamp, for topics with LogAppendTime.
        timestamp: i64,
    },
}

impl Producers {
    /// Compares a batch with what its producer wrote before. The batches of coordinators have no sequences.
    pub(crate) fn check(
        &self,
        batch: &Batch<'_>,
        origin: AppendOrigin,
        check: TransactionCheck,
    ) -> Result<Sequence, AppendError> {
        let (producer_id, epoch) = (batch.producer_id(), batch.producer_epoch());
        let known = self.producers.get(&producer_id);
        let same_epoch = known.filter(|known| known.epoch == epoch);
        if origin == AppendOrigin::Client
            && let Some(written) = same_epoch.and_then(|known| known.find(batch))
        {
            return Ok(Sequence::Duplicate {
                base_offset: written.last_offset - i64::from(written.offset_delta),
                last_offset: written.last_offset,
                timestamp: written.timestamp,
            });
        }
        let is_open = same_epoch.is_some_and(|known| known.txn_first_offset.is_some());
        if batch.is_transactional() && !is_open {
            self.check_begin(producer_id, check)?;
        }
        if let Some(known) = known.filter(|known| epoch < known.epoch) {
            return Err(AppendError::InvalidProducerEpoch { producer_id, epoch, current: known.epoch });
        }
        if origin == AppendOrigin::Client {
            self.check_sequence(known, batch)?;
        }
        if !batch.is_transactional() && known.is_some_and(|known| known.txn_first_offset.is_some()) {
            let reason = "it has a transaction open here, and the batch is not part of it";
            return Err(AppendError::InvalidTxnState { producer_id, reason });
        }
        Ok(Sequence::New)
    }

    /// Whether a transaction may begin in this log.
    fn check_begin(&self, producer_id: i64, check: TransactionCheck) -> Result<(), AppendError> {
        if !self.verifications.allow(producer_id, check) {
            let reason = "it has no transaction open here, and its coordinator was not asked, or a marker came since";
            return Err(AppendError::InvalidTxnState { producer_id, reason });
        }
        if self.open.len() >= self.limit {
            return Err(AppendError::TooManyTransactions { limit: self.limit });
        }
        Ok(())
    }

    fn check_sequence(&self, known: Option<&Producer>, batch: &Batch<'_>) -> Result<(), AppendError> {
        let (producer_id, sequence) = (batch.producer_id(), batch.base_sequence());
        let out_of_order = |expected| AppendError::OutOfOrderSequence { producer_id, sequence, expected };
        let has_batches = known.is_some_and(|known| !known.batches.is_empty());
        if let Some(highest) = self.verifications.highest_sequence(producer_id, has_batches)
            && sequence > highest
        {
            return Err(out_of_order(highest));
        }
        // Of a producer that was forgotten any sequence is taken: its earlier batches may have expired.
        let Some(known) = known else { return Ok(()) };
        // What came without an epoch says nothing of where the first one begins.
        if known.epoch < 0 {
            return Ok(());
        }
        let last = known.batches.back().filter(|_| known.epoch == batch.producer_epoch());
        let expected = last.map_or(0, |written| after(written.last_sequence));
        if sequence == expected { Ok(()) } else { Err(out_of_order(expected)) }
    }

    /// Begins to verify that a producer may open a transaction here.
    pub(crate) fn verify(&mut self, applicant: Applicant, now_ms: i64) -> Result<Verification, AppendError> {
        let Applicant { producer_id, epoch, .. } = applicant;
        match self.producers.get(&producer_id) {
            Some(known) if epoch < known.epoch => {
                Err(AppendError::InvalidProducerEpoch { producer_id, epoch, current: known.epoch })
            }
            Some(known) if epoch == known.epoch && known.txn_first_offset.is_some() => Ok(Verification::Ongoing),
            _ if self.open.len() >= self.limit => Err(AppendError::TooManyTransactions { limit: self.limit }),
            _ => Ok(Verification::Needed(self.verifications.begin(applicant, now_ms))),
        }
    }
}

impl Producer {
    /// The same batch, among those that are remembered.
    fn find(&self, batch: &Batch<'_>) -> Option<&Written> {
        let sequences = (batch.base_sequence(), batch.last_sequence());
        self.batches.iter().find(|written| (written.first_sequence, written.last_sequence) == sequences)
    }
}

/// Whether a marker may be appended. One that was written already may be written again: it ends nothing then.
pub(crate) fn check_marker(producers: &Producers, marker: &TxnMarker) -> Result<(), AppendError> {
    let TxnMarker { producer_id, producer_epoch: epoch, coordinator_epoch, .. } = *marker;
    let Some(known) = producers.producers.get(&producer_id) else { return Ok(()) };
    let is_late = if marker.transaction_version >= EPOCH_BUMP_VERSION {
        // The coordinator sends it again after a restart, or when the answer was lost.
        let is_again = epoch == known.epoch && known.txn_first_offset.is_none();
        epoch <= known.epoch && !is_again
    } else {
        epoch < known.epoch
    };
    if is_late {
        return Err(AppendError::InvalidProducerEpoch { producer_id, epoch, current: known.epoch });
    }
    if coordinator_epoch < known.coordinator_epoch {
        let current = known.coordinator_epoch;
        return Err(AppendError::TransactionCoordinatorFenced { producer_id, coordinator_epoch, current });
    }
    Ok(())
}

fn after(sequence: i32) -> i32 {
    if sequence == i32::MAX { 0 } else { sequence + 1 }
}
