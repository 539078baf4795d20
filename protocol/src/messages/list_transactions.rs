//! ListTransactions: an admin client asks every broker which transactions it coordinates (KIP-664).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Lists the transactions of one broker.
    ListTransactions = 66, versions 0..=2, flexible 0..;

    request ListTransactionsRequest {
        state_filters: Vec<String>,
        producer_id_filters: Vec<i64>,
        /// In milliseconds: only those that have run longer; negative is all.
        duration_filter: i64 [since 1] = -1,
        transactional_id_pattern: Option<String> [since 2, nullable 2],
    }

    response ListTransactionsResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        unknown_state_filters: Vec<String>,
        transaction_states: Vec<TransactionState>,
    }

    struct TransactionState {
        transactional_id: String,
        producer_id: i64,
        transaction_state: String,
    }
}
