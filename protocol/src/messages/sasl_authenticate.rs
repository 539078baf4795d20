//! SaslAuthenticate: a client sends the bytes of its SASL mechanism, until both sides are content; again before its
//! session ends (KIP-152, KIP-368).

use bytes::Bytes;

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Carries a step of SASL authentication.
    SaslAuthenticate = 36, versions 0..=2, flexible 2..;

    request SaslAuthenticateRequest {
        auth_bytes: Bytes,
    }

    response SaslAuthenticateResponse {
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        auth_bytes: Bytes,
        /// 0 when it does not end.
        session_lifetime_ms: i64 [since 1],
    }
}
