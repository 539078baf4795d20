//! RenewDelegationToken: delegation token renew.

use bytes::Bytes;

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Delegation token renew.
    RenewDelegationToken = 39, versions 0..=2, flexible 2..;

    request RenewDelegationTokenRequest {
        hmac: Bytes,
        renew_period_ms: i64,
    }

    response RenewDelegationTokenResponse {
        error_code: ErrorCode,
        expiry_timestamp_ms: i64,
        throttle_time_ms: i32,
    }
}
