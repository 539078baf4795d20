//! UnregisterBroker: an admin client makes the controller forget a broker that is not coming back.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Forgets a broker.
    UnregisterBroker = 64, versions 0..=0, flexible 0..;

    request UnregisterBrokerRequest {
        broker_id: i32,
    }

    response UnregisterBrokerResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
    }
}
