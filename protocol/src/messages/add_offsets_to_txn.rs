//! AddOffsetsToTxn: a transactional producer tells its transaction coordinator that offsets of a consumer group will be
//! part of the transaction; since KIP-890 the group coordinator does so itself.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Makes the offsets of a group part of a transaction.
    AddOffsetsToTxn = 25, versions 0..=4, flexible 3..;

    request AddOffsetsToTxnRequest {
        transactional_id: String,
        producer_id: i64,
        producer_epoch: i16,
        group_id: String,
    }

    response AddOffsetsToTxnResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
    }
}
