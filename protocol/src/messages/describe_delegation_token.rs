//! DescribeDelegationToken: an admin client lists delegation tokens (KIP-48).

use bytes::Bytes;

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Lists delegation tokens.
    DescribeDelegationToken = 41, versions 0..=3, flexible 2..;

    request DescribeDelegationTokenRequest {
        /// Null is everybody.
        owners: Option<Vec<DescribeDelegationTokenOwner>> [nullable 0] = Some(Vec::new()),
    }

    response DescribeDelegationTokenResponse {
        error_code: ErrorCode,
        tokens: Vec<DescribedDelegationToken>,
        throttle_time_ms: i32,
    }

    struct DescribeDelegationTokenOwner {
        principal_type: String,
        principal_name: String,
    }

    struct DescribedDelegationToken {
        principal_type: String,
        principal_name: String,
        token_requester_principal_type: String [since 3],
        token_requester_principal_name: String [since 3],
        issue_timestamp: i64,
        expiry_timestamp: i64,
        max_timestamp: i64,
        token_id: String,
        hmac: Bytes,
        renewers: Vec<DescribedDelegationTokenRenewer>,
    }

    struct DescribedDelegationTokenRenewer {
        principal_type: String,
        principal_name: String,
    }
}
