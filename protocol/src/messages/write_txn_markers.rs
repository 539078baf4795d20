//! WriteTxnMarkers: a transaction coordinator has the end of a transaction written to its partitions; an admin client
//! does so to end a hanging one (KIP-664).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Writes the ends of transactions.
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
        /// True is committed.
        transaction_result: bool,
        topics: Vec<WritableTxnMarkerTopic>,
        coordinator_epoch: i32,
        /// 0 and 1 are markers from before KIP-890, 2 from after.
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
