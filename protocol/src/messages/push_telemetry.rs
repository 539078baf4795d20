//! PushTelemetry: a client sends its metrics, as it was asked to (KIP-714).

use bytes::Bytes;

use crate::api::*;
use crate::{ErrorCode, Uuid};

api! {
    /// Sends a client's metrics.
    PushTelemetry = 72, versions 0..=0, flexible 0..;

    request PushTelemetryRequest {
        client_instance_id: Uuid,
        subscription_id: i32,
        terminating: bool,
        compression_type: i8,
        metrics: Bytes,
    }

    response PushTelemetryResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
    }
}
