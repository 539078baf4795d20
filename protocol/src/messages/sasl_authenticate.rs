//! SaslAuthenticate: SASL token exchange / re-auth.

use bytes::Bytes;

use crate::ErrorCode;
use crate::api::*;

api! {
    /// SASL token exchange / re-auth.
    SaslAuthenticate = 36, versions 0..=2, flexible 2..;

    request SaslAuthenticateRequest {
        auth_bytes: Bytes,
    }

    response SaslAuthenticateResponse {
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        auth_bytes: Bytes,
        session_lifetime_ms: i64 [since 1],
    }
}
