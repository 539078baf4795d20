//! InitProducerId: producer id / fence / recover.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Producer id / fence / recover.
    InitProducerId = 22, versions 0..=5, flexible 2..;

    request InitProducerIdRequest {
        transactional_id: Option<String> [nullable 0],
        transaction_timeout_ms: i32,
        producer_id: i64 [since 3] = -1,
        producer_epoch: i16 [since 3] = -1,
    }

    response InitProducerIdResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        producer_id: i64 = -1,
        producer_epoch: i16,
    }
}
