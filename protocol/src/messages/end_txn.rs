//! EndTxn: a transactional producer commits or aborts its transaction; from version 5 on it also gets the epoch of its
//! next one (KIP-890).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Commits or aborts a transaction.
    EndTxn = 26, versions 0..=5, flexible 3..;

    request EndTxnRequest {
        transactional_id: String,
        producer_id: i64,
        producer_epoch: i16,
        /// False aborts.
        committed: bool,
    }

    response EndTxnResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        /// Of the next transaction; −1 with an error.
        producer_id: i64 [since 5] = -1,
        producer_epoch: i16 [since 5] = -1,
    }
}
