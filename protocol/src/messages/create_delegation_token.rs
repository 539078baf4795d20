//! CreateDelegationToken: an authenticated admin client asks for a token that authenticates others in its name
//! (KIP-48).

use bytes::Bytes;

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Creates a delegation token.
    CreateDelegationToken = 38, versions 0..=3, flexible 2..;

    request CreateDelegationTokenRequest {
        owner_principal_type: Option<String> [since 3, nullable 3],
        owner_principal_name: Option<String> [since 3, nullable 3],
        renewers: Vec<CreatableRenewers>,
        /// −1 is what the broker is configured to.
        max_lifetime_ms: i64,
    }

    response CreateDelegationTokenResponse {
        error_code: ErrorCode,
        principal_type: String,
        principal_name: String,
        token_requester_principal_type: String [since 3],
        token_requester_principal_name: String [since 3],
        issue_timestamp_ms: i64,
        expiry_timestamp_ms: i64,
        max_timestamp_ms: i64,
        token_id: String,
        hmac: Bytes,
        throttle_time_ms: i32,
    }

    struct CreatableRenewers {
        principal_type: String,
        principal_name: String,
    }
}
