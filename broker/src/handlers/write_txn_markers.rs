//! WriteTxnMarkers: ends transactions in partitions. Coordinators send it, and operators who abort a transaction that
//! hangs (`kafka-transactions abort`).
//!
//! v1 flexible. v2 the version of the transaction (KIP-1228): with version 2 a marker has a newer epoch than the records.

use protocol::ErrorCode;
use protocol::messages::WriteTxnMarkersRequest;
use protocol::messages::write_txn_markers::*;
use state::transaction::Partitions;
use storage::TxnMarker;

use crate::context::Context;
use crate::coordinator::write_markers;
use crate::dispatch::Later;

/// Writes all of them, and answers when they are durable.
pub(crate) async fn handle(context: Context, request: WriteTxnMarkersRequest) -> Later<WriteTxnMarkersResponse> {
    Later::wait(async move {
        let mut markers = Vec::with_capacity(request.markers.len());
        for marker in request.markers {
            markers.push(write(&context, marker).await);
        }
        WriteTxnMarkersResponse { markers }
    })
}

async fn write(context: &Context, wanted: WritableTxnMarker) -> WritableTxnMarkerResult {
    let marker = TxnMarker {
        producer_id: wanted.producer_id,
        producer_epoch: wanted.producer_epoch,
        coordinator_epoch: wanted.coordinator_epoch,
        committed: wanted.transaction_result,
        transaction_version: wanted.transaction_version,
    };
    let mut partitions = Partitions::new();
    for topic in wanted.topics {
        partitions.entry(topic.name).or_default().extend(topic.partition_indexes);
    }
    let mut topics: Vec<WritableTxnMarkerTopicResult> = Vec::new();
    for (name, partition_index, error_code) in write_markers(&context.broker, marker, &partitions).await {
        let result = WritableTxnMarkerPartitionResult { partition_index, error_code: known(error_code) };
        match topics.last_mut().filter(|last| last.name == name) {
            Some(last) => last.partitions.push(result),
            None => topics.push(WritableTxnMarkerTopicResult { name, partitions: vec![result] }),
        }
    }
    WritableTxnMarkerResult { producer_id: wanted.producer_id, topics }
}

/// A partition's leader is asked here, and not a coordinator.
fn known(code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE => ErrorCode::NOT_LEADER_OR_FOLLOWER,
        code => code,
    }
}
