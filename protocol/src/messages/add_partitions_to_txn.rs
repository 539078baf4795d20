//! AddPartitionsToTxn: a transactional producer tells its transaction coordinator which partitions it is about to write
//! to; from version 4 on, brokers ask in a batch whether they are in the transaction (KIP-890).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Adds partitions to a transaction, or asks whether they are in it.
    AddPartitionsToTxn = 24, versions 0..=5, flexible 3..;

    request AddPartitionsToTxnRequest {
        transactions: Vec<AddPartitionsToTxnTransaction> [since 4],
        v3_and_below_transactional_id: String [until 3],
        v3_and_below_producer_id: i64 [until 3],
        v3_and_below_producer_epoch: i16 [until 3],
        v3_and_below_topics: Vec<AddPartitionsToTxnTopic> [until 3],
    }

    response AddPartitionsToTxnResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode [since 4],
        results_by_transaction: Vec<AddPartitionsToTxnResult> [since 4],
        results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult> [until 3],
    }

    struct AddPartitionsToTxnTransaction {
        transactional_id: String [since 4],
        producer_id: i64 [since 4],
        producer_epoch: i16 [since 4],
        verify_only: bool [since 4],
        topics: Vec<AddPartitionsToTxnTopic> [since 4],
    }

    struct AddPartitionsToTxnTopic {
        name: String,
        partitions: Vec<i32>,
    }

    struct AddPartitionsToTxnResult {
        transactional_id: String [since 4],
        topic_results: Vec<AddPartitionsToTxnTopicResult> [since 4],
    }

    struct AddPartitionsToTxnTopicResult {
        name: String,
        results_by_partition: Vec<AddPartitionsToTxnPartitionResult>,
    }

    struct AddPartitionsToTxnPartitionResult {
        partition_index: i32,
        partition_error_code: ErrorCode,
    }
}
