//! DescribeTransactions and ListTransactions (KIP-664).

use protocol::ErrorCode;

use super::registry::{Entry, Registry};
use super::{DescribedState, DescribedTransaction, ListRequest, ListedTransaction};

/// One id.
pub(super) fn describe(registry: &Registry, transactional_id: &str) -> DescribedTransaction {
    let transaction = registry.get(transactional_id).map(state_of);
    let error = match &transaction {
        _ if transactional_id.is_empty() => ErrorCode::INVALID_REQUEST,
        None => ErrorCode::TRANSACTIONAL_ID_NOT_FOUND,
        Some(_) => ErrorCode::NONE,
    };
    DescribedTransaction { error, transactional_id: transactional_id.to_owned(), transaction }
}

fn state_of(entry: &Entry) -> DescribedState {
    let metadata = &entry.metadata;
    let partitions = match &entry.open {
        Some(open) if metadata.state.is_prepared() => &open.unwritten,
        _ => &metadata.partitions,
    };
    DescribedState {
        state: metadata.state,
        timeout_ms: metadata.timeout_ms,
        start_timestamp_ms: metadata.start_timestamp_ms,
        producer_id: metadata.producer_id,
        producer_epoch: metadata.producer_epoch,
        partitions: partitions.clone(),
    }
}

/// The ids that pass the filters, in order. One that never had a transaction counts as running for ever, as in Kafka.
pub(super) fn list(registry: &Registry, request: &ListRequest, wall_ms: i64) -> Vec<ListedTransaction> {
    let passes = |entry: &Entry| {
        let metadata = &entry.metadata;
        let duration_ms = wall_ms.saturating_sub(metadata.start_timestamp_ms);
        (request.states.is_empty() || request.states.contains(&metadata.state))
            && (request.producer_ids.is_empty() || request.producer_ids.contains(&metadata.producer_id))
            && (request.min_duration_ms < 0 || duration_ms > request.min_duration_ms)
    };
    let passing = registry.iter().filter(|(_, entry)| passes(entry));
    let listed = passing.map(|(transactional_id, entry)| ListedTransaction {
        transactional_id: transactional_id.to_string(),
        producer_id: entry.metadata.producer_id,
        state: entry.metadata.state,
    });
    listed.collect()
}
