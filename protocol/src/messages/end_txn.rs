//! EndTxn: commit/abort (v5 = TV2, returns new pid/epoch).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Commit/abort (v5 = TV2, returns new pid/epoch).
    EndTxn = 26, versions 0..=5, flexible 3..;

    request EndTxnRequest {
        transactional_id: String,
        producer_id: i64,
        producer_epoch: i16,
        committed: bool,
    }

    response EndTxnResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        producer_id: i64 [since 5] = -1,
        producer_epoch: i16 [since 5] = -1,
    }
}
