//! InitProducerId: which id and epoch a producer gets, and which older instance of it is thereby fenced.
//!
//! KIP-98; a producer that brings what it had keeps it with a newer epoch (KIP-360).

use protocol::ErrorCode;

use super::config::{MAX_TRANSACTIONAL_ID_BYTES, TransactionConfig};
use super::metadata::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID, TransactionMetadata, TransactionState, is_epoch_exhausted};
use super::{InitProducerIdRequest, Refusal};

/// What InitProducerId leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Init {
    /// The producer gets this.
    Granted(TransactionMetadata),
    /// A transaction is in the way: it is aborted, and the producer has to ask again.
    Fence,
}

/// What can be said without looking at the id.
pub(super) fn validate(request: &InitProducerIdRequest, config: &TransactionConfig) -> Result<(), ErrorCode> {
    let has_id = request.producer_id != NO_PRODUCER_ID;
    let has_epoch = request.producer_epoch != NO_PRODUCER_EPOCH;
    let id_bytes = 1..=MAX_TRANSACTIONAL_ID_BYTES;
    if has_id != has_epoch || !id_bytes.contains(&request.transactional_id.len()) {
        Err(ErrorCode::INVALID_REQUEST)
    } else if request.timeout_ms <= 0 || request.timeout_ms > config.max_timeout_ms {
        Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT)
    } else {
        Ok(())
    }
}

/// An id that nobody used before. A producer that brings an epoch has been forgotten meanwhile, and may go on.
pub(super) fn create(request: &InitProducerIdRequest, wall_ms: i64) -> Result<Init, Refusal> {
    let producer_id = request.fresh_producer_id.ok_or(Refusal::NeedsProducerId)?;
    Ok(Init::Granted(TransactionMetadata::new(producer_id, request.timeout_ms, wall_ms)))
}

/// An id that is known.
pub(super) fn go_on(
    current: &TransactionMetadata,
    request: &InitProducerIdRequest,
    wall_ms: i64,
) -> Result<Init, Refusal> {
    let expected = (request.producer_id != NO_PRODUCER_ID).then_some((request.producer_id, request.producer_epoch));
    if current.state.is_prepared() {
        return Err(ErrorCode::CONCURRENT_TRANSACTIONS.into());
    }
    if expected.is_some_and(|(producer_id, epoch)| !is_same_producer(current, producer_id, epoch)) {
        return Err(ErrorCode::PRODUCER_FENCED.into());
    }
    if current.state == TransactionState::Ongoing {
        return Ok(Init::Fence);
    }
    let timeout_ms = request.timeout_ms;
    let Some((_, expected_epoch)) = expected else {
        if current.is_epoch_exhausted() {
            let producer_id = request.fresh_producer_id.ok_or(Refusal::NeedsProducerId)?;
            return Ok(Init::Granted(current.with_producer_id(producer_id, NO_PRODUCER_EPOCH, timeout_ms, wall_ms)));
        }
        return Ok(Init::Granted(current.with_epoch(
            current.producer_epoch + 1,
            NO_PRODUCER_EPOCH,
            timeout_ms,
            wall_ms,
        )));
    };
    if expected_epoch == current.producer_epoch {
        let last_epoch = current.producer_epoch;
        if current.is_epoch_exhausted() {
            let producer_id = request.fresh_producer_id.ok_or(Refusal::NeedsProducerId)?;
            return Ok(Init::Granted(current.with_producer_id(producer_id, last_epoch, timeout_ms, wall_ms)));
        }
        Ok(Init::Granted(current.with_epoch(last_epoch + 1, last_epoch, timeout_ms, wall_ms)))
    } else if expected_epoch == current.last_producer_epoch {
        // Its answer was lost, and it asks again. Had another instance come since, there would be no last epoch.
        Ok(Init::Granted(current.with_epoch(current.producer_epoch, expected_epoch, timeout_ms, wall_ms)))
    } else {
        Err(ErrorCode::PRODUCER_FENCED.into())
    }
}

/// Whether the producer can be the one that is known: by its id, or by the last epoch of the id before, if the answer
/// with the new one was lost.
fn is_same_producer(current: &TransactionMetadata, producer_id: i64, epoch: i16) -> bool {
    producer_id == current.producer_id || (producer_id == current.previous_producer_id && is_epoch_exhausted(epoch))
}
