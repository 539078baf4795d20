//! DescribeTransactions: an admin client asks a transaction coordinator for the state of transactions (KIP-664).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Describes transactions.
    DescribeTransactions = 65, versions 0..=0, flexible 0..;

    request DescribeTransactionsRequest {
        transactional_ids: Vec<String>,
    }

    response DescribeTransactionsResponse {
        throttle_time_ms: i32,
        transaction_states: Vec<TransactionState>,
    }

    struct TransactionState {
        error_code: ErrorCode,
        transactional_id: String,
        transaction_state: String,
        transaction_timeout_ms: i32,
        /// −1 when none runs.
        transaction_start_time_ms: i64,
        producer_id: i64,
        producer_epoch: i16,
        topics: Vec<TopicData>,
    }

    struct TopicData {
        topic: String,
        partitions: Vec<i32>,
    }
}
