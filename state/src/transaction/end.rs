//! EndTxn: how a transaction ends, and whether a request to end it is the repetition of one that did.
//!
//! Up to version 4 (KIP-98) a producer keeps its epoch, and a repetition is known by the state alone. From version 5
//! on (KIP-890) each end gives it the next epoch, and a repetition is known by the epoch before.

use protocol::ErrorCode;

use super::metadata::{NO_PRODUCER_ID, TransactionMetadata, TransactionState};
use super::{EndTxnRequest, Refusal, TransactionVersion};

/// What EndTxn leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The transaction ends like this.
    Prepared(TransactionMetadata),
    /// It ended before, and the producer did not hear of it.
    Repeated,
}

/// What the producer wants.
pub(super) fn end(
    current: Option<&TransactionMetadata>,
    request: &EndTxnRequest,
    wall_ms: i64,
) -> Result<End, Refusal> {
    if request.transactional_id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST.into());
    }
    let current = current.ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
    match request.client_transaction_version.bumps_epoch() {
        true => end_with_new_epoch(current, request, wall_ms),
        false => end_with_same_epoch(current, request, wall_ms),
    }
}

fn end_with_same_epoch(current: &TransactionMetadata, request: &EndTxnRequest, wall_ms: i64) -> Result<End, Refusal> {
    if current.producer_id != request.producer_id {
        return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING.into());
    }
    if current.producer_epoch != request.producer_epoch {
        return Err(ErrorCode::PRODUCER_FENCED.into());
    }
    match (current.state, request.committed) {
        (TransactionState::PrepareCommit | TransactionState::PrepareAbort, _) => {
            Err(ErrorCode::CONCURRENT_TRANSACTIONS.into())
        }
        (TransactionState::Ongoing, committed) => {
            Ok(End::Prepared(current.prepared(committed, TransactionVersion::V0, NO_PRODUCER_ID, wall_ms)))
        }
        (TransactionState::CompleteCommit, true) | (TransactionState::CompleteAbort, false) => Ok(End::Repeated),
        _ => Err(ErrorCode::INVALID_TXN_STATE.into()),
    }
}

fn end_with_new_epoch(current: &TransactionMetadata, request: &EndTxnRequest, wall_ms: i64) -> Result<End, Refusal> {
    // Before the producer is checked: it may be about to get another id.
    if current.state.is_prepared() {
        return Err(ErrorCode::CONCURRENT_TRANSACTIONS.into());
    }
    let is_before_rotation = current.previous_producer_id == request.producer_id
        && request.producer_epoch == i16::MAX - 1
        && current.producer_epoch == 0;
    let is_repetition =
        is_before_rotation || i32::from(current.producer_epoch) == i32::from(request.producer_epoch) + 1;
    let is_now = current.producer_epoch == request.producer_epoch;
    let may_repeat = matches!(current.state, TransactionState::CompleteCommit | TransactionState::CompleteAbort);

    if current.producer_id != request.producer_id && !is_before_rotation {
        return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING.into());
    }
    let is_theirs = is_now || (may_repeat && is_repetition);
    if !is_theirs {
        return Err(ErrorCode::PRODUCER_FENCED.into());
    }
    match (current.state, request.committed) {
        (TransactionState::Ongoing, _) => {}
        (TransactionState::CompleteCommit, true) | (TransactionState::CompleteAbort, false) if is_repetition => {
            return Ok(End::Repeated);
        }
        // An abort without a transaction: the producer cannot know whether its first batch began one.
        (TransactionState::Empty | TransactionState::CompleteAbort, false) => {}
        (TransactionState::CompleteCommit, false) if !is_repetition => {}
        _ => return Err(ErrorCode::INVALID_TXN_STATE.into()),
    }
    let next_producer_id = next_producer_id(current, request.client_transaction_version, request.fresh_producer_id)?;
    Ok(End::Prepared(current.prepared(
        request.committed,
        request.client_transaction_version,
        next_producer_id,
        wall_ms,
    )))
}

/// The coordinator aborts: the transaction ran too long, or its producer came back without it.
pub(super) fn fence(
    current: &TransactionMetadata,
    version: TransactionVersion,
    fresh_producer_id: Option<i64>,
    wall_ms: i64,
) -> Result<TransactionMetadata, Refusal> {
    let next_producer_id = next_producer_id(current, version, fresh_producer_id)?;
    Ok(current.fenced(version, next_producer_id, wall_ms))
}

/// What the producer goes on with when this transaction has ended, if it is not what it has.
fn next_producer_id(
    current: &TransactionMetadata,
    version: TransactionVersion,
    fresh_producer_id: Option<i64>,
) -> Result<i64, Refusal> {
    match version.bumps_epoch() && current.is_epoch_exhausted() {
        true => fresh_producer_id.ok_or(Refusal::NeedsProducerId),
        false => Ok(NO_PRODUCER_ID),
    }
}
