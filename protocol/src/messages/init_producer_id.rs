//! InitProducerId: an idempotent or transactional producer gets its id and epoch, which fences older instances of it
//! (KIP-98, KIP-360).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Gets a producer id and epoch.
    InitProducerId = 22, versions 0..=5, flexible 2..;

    request InitProducerIdRequest {
        /// Null is a producer that is only idempotent.
        transactional_id: Option<String> [nullable 0],
        transaction_timeout_ms: i32,
        /// What it had before, to keep it with a newer epoch (KIP-360); −1 is none.
        producer_id: i64 [since 3] = -1,
        /// −1 is none.
        producer_epoch: i16 [since 3] = -1,
    }

    response InitProducerIdResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        /// −1 with an error.
        producer_id: i64 = -1,
        producer_epoch: i16,
    }
}
