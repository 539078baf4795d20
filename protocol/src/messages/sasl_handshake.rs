//! SaslHandshake: a client says which SASL mechanism it wants to use; after version 0 the mechanism's bytes follow
//! without Kafka's framing.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Chooses a SASL mechanism.
    SaslHandshake = 17, versions 0..=1;

    request SaslHandshakeRequest {
        mechanism: String,
    }

    response SaslHandshakeResponse {
        error_code: ErrorCode,
        mechanisms: Vec<String>,
    }
}
