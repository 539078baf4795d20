//! SaslHandshake: choose SASL mechanism.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Choose SASL mechanism.
    SaslHandshake = 17, versions 0..=1;

    request SaslHandshakeRequest {
        mechanism: String,
    }

    response SaslHandshakeResponse {
        error_code: ErrorCode,
        mechanisms: Vec<String>,
    }
}
