//! WriteTxnMarkers: IB: write markers; also admin abortTransaction.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// IB: write markers; also admin abortTransaction.
    WriteTxnMarkers = 27, versions 0..=2, flexible 1..;

    request WriteTxnMarkersRequest {
        markers: Vec<WritableTxnMarker>,
    }

    response WriteTxnMarkersResponse {
        markers: Vec<WritableTxnMarkerResult>,
    }

    struct WritableTxnMarker {
        producer_id: i64,
        producer_epoch: i16,
        transaction_result: bool,
        topics: Vec<WritableTxnMarkerTopic>,
        coordinator_epoch: i32,
        transaction_version: i8 [since 2],
    }

    struct WritableTxnMarkerTopic {
        name: String,
        partition_indexes: Vec<i32>,
    }

    struct WritableTxnMarkerResult {
        producer_id: i64,
        topics: Vec<WritableTxnMarkerTopicResult>,
    }

    struct WritableTxnMarkerTopicResult {
        name: String,
        partitions: Vec<WritableTxnMarkerPartitionResult>,
    }

    struct WritableTxnMarkerPartitionResult {
        partition_index: i32,
        error_code: ErrorCode,
    }
}
