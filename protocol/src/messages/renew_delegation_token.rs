//! RenewDelegationToken: a renewer of a delegation token puts off its end (KIP-48).

use bytes::Bytes;

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Puts off the end of a delegation token.
    RenewDelegationToken = 39, versions 0..=2, flexible 2..;

    request RenewDelegationTokenRequest {
        hmac: Bytes,
        /// −1 is what the broker is configured to.
        renew_period_ms: i64,
    }

    response RenewDelegationTokenResponse {
        error_code: ErrorCode,
        expiry_timestamp_ms: i64,
        throttle_time_ms: i32,
    }
}
