//! ExpireDelegationToken: an admin client sets when a delegation token ends, or ends it at once (KIP-48).

use bytes::Bytes;

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Ends a delegation token.
    ExpireDelegationToken = 40, versions 0..=2, flexible 2..;

    request ExpireDelegationTokenRequest {
        hmac: Bytes,
        /// Negative is at once.
        expiry_time_period_ms: i64,
    }

    response ExpireDelegationTokenResponse {
        error_code: ErrorCode,
        expiry_timestamp_ms: i64,
        throttle_time_ms: i32,
    }
}
