//! Telling partitions how a transaction ended: in orders, one at a time for each transaction, until every partition
//! has answered that it knows.
//!
//! An order is repeated only after it was answered, never because time passed: an order that is still on its way
//! could otherwise arrive after the next transaction of the same epoch began, and end that.

use protocol::ErrorCode;

use super::config::{MARKER_RETRY_MAX_MS, MARKER_RETRY_MIN_MS};
use super::metadata::{Partitions, TransactionMetadata, TransactionState};
use super::registry::Open;
use super::{MarkerAttempt, MarkerResult, Markers, MarkersWritten};

/// What an answer means for one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It knows, or will never need to.
    Done,
    /// It has to be told again.
    Again,
    /// Another coordinator has taken over, and tells it.
    Superseded,
}

fn verdict(result: MarkerResult) -> Verdict {
    let MarkerResult::Answered(error) = result else { return Verdict::Done };
    match error {
        ErrorCode::NONE => Verdict::Done,
        // It can have no records of this transaction: the producer cannot have written any, or the partition has
        // heard of a later epoch, and with that ended whatever was open.
        ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT
        | ErrorCode::UNSUPPORTED_VERSION
        | ErrorCode::INVALID_PRODUCER_EPOCH => Verdict::Done,
        ErrorCode::TRANSACTION_COORDINATOR_FENCED => Verdict::Superseded,
        _ => Verdict::Again,
    }
}

/// Where telling the partitions stands after an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The answer is to an older order.
    Stale,
    /// Everybody knows.
    Complete,
    /// To be told again after this pause.
    AgainInMs(u64),
    /// Nothing is left to do here; the coordinator that took over does it.
    Superseded,
}

/// Takes the answer to an order.
pub(super) fn take(open: &mut Open, answer: &MarkersWritten) -> Progress {
    if open.attempt != Some(answer.attempt) {
        return Progress::Stale;
    }
    open.attempt = None;
    let mut superseded = false;
    for (topic, partition, result) in &answer.results {
        match verdict(*result) {
            Verdict::Done => remove(&mut open.unwritten, topic, *partition),
            Verdict::Superseded => superseded = true,
            Verdict::Again => {}
        }
    }
    if open.unwritten.is_empty() {
        return Progress::Complete;
    }
    if superseded {
        return Progress::Superseded;
    }
    let pause_ms = MARKER_RETRY_MIN_MS.saturating_mul(1 << open.failures.min(16)).min(MARKER_RETRY_MAX_MS);
    open.failures = open.failures.saturating_add(1);
    Progress::AgainInMs(pause_ms)
}

fn remove(partitions: &mut Partitions, topic: &str, partition: i32) {
    if let Some(indexes) = partitions.get_mut(topic) {
        indexes.remove(&partition);
        if indexes.is_empty() {
            partitions.remove(topic);
        }
    }
}

/// The order for what is not written yet.
pub(super) fn order(
    transactional_id: &str,
    prepared: &TransactionMetadata,
    unwritten: &Partitions,
    attempt: MarkerAttempt,
    coordinator_epoch: i32,
) -> Markers {
    Markers {
        attempt,
        transactional_id: transactional_id.to_owned(),
        producer_id: prepared.producer_id,
        producer_epoch: prepared.producer_epoch,
        coordinator_epoch,
        committed: prepared.state == TransactionState::PrepareCommit,
        transaction_version: prepared.client_transaction_version,
        partitions: unwritten.clone(),
    }
}
