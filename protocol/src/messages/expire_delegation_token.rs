//! ExpireDelegationToken: delegation token expire.

use bytes::Bytes;

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Delegation token expire.
    ExpireDelegationToken = 40, versions 0..=2, flexible 2..;

    request ExpireDelegationTokenRequest {
        hmac: Bytes,
        expiry_time_period_ms: i64,
    }

    response ExpireDelegationTokenResponse {
        error_code: ErrorCode,
        expiry_timestamp_ms: i64,
        throttle_time_ms: i32,
    }
}
