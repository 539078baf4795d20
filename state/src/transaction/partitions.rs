//! AddPartitionsToTxn and AddOffsetsToTxn: what is in a transaction (KIP-98), and whether something is (KIP-890).

use protocol::ErrorCode;

use super::AddPartitionsRequest;
use super::config::TransactionConfig;
use super::metadata::{Partitions, TransactionMetadata, TransactionState};
use super::record::TransactionRecord;

/// The transaction with these partitions, or `None` if it has them already.
pub(super) fn add(
    current: Option<&TransactionMetadata>,
    request: &AddPartitionsRequest,
    config: &TransactionConfig,
    wall_ms: i64,
) -> Result<Option<TransactionMetadata>, ErrorCode> {
    if request.transactional_id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    let current = current.ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
    // Before the producer is checked: at the end of a transaction it may get another id.
    if current.state.is_prepared() {
        return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
    }
    check_producer(current, request)?;
    if current.state == TransactionState::Ongoing && contains_all(&current.partitions, &request.partitions) {
        return Ok(None);
    }
    let value = current.with_partitions(&request.partitions, request.client_transaction_version, wall_ms);
    let record = TransactionRecord { transactional_id: request.transactional_id.clone(), value: Some(value) };
    match record.size_bytes() <= config.max_record_bytes {
        true => Ok(record.value),
        false => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
    }
}

/// Whether the partitions are in the transaction.
pub(super) fn verify(
    current: Option<&TransactionMetadata>,
    request: AddPartitionsRequest,
) -> Vec<(String, Vec<(i32, ErrorCode)>)> {
    let checked = verify_producer(current, &request);
    let verdict = |topic: &str, partition: i32| match checked {
        Err(error) => error,
        Ok(current) if current.partitions.get(topic).is_some_and(|indexes| indexes.contains(&partition)) => {
            ErrorCode::NONE
        }
        Ok(_) => ErrorCode::TRANSACTION_ABORTABLE,
    };
    let of_topic = |(topic, indexes): (String, std::collections::BTreeSet<i32>)| {
        let verdicts = indexes.into_iter().map(|partition| (partition, verdict(&topic, partition))).collect();
        (topic, verdicts)
    };
    request.partitions.into_iter().map(of_topic).collect()
}

fn verify_producer<'a>(
    current: Option<&'a TransactionMetadata>,
    request: &AddPartitionsRequest,
) -> Result<&'a TransactionMetadata, ErrorCode> {
    if request.transactional_id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    let current = current.ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
    check_producer(current, request)?;
    if current.state.is_prepared() {
        return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
    }
    Ok(current)
}

fn check_producer(current: &TransactionMetadata, request: &AddPartitionsRequest) -> Result<(), ErrorCode> {
    if current.producer_id != request.producer_id {
        Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING)
    } else if current.producer_epoch != request.producer_epoch {
        Err(ErrorCode::PRODUCER_FENCED)
    } else {
        Ok(())
    }
}

fn contains_all(partitions: &Partitions, wanted: &Partitions) -> bool {
    wanted.iter().all(|(topic, indexes)| partitions.get(topic).is_some_and(|known| known.is_superset(indexes)))
}
