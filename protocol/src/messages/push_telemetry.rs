//! PushTelemetry: KIP-714 telemetry push.

use bytes::Bytes;

use crate::api::*;
use crate::{ErrorCode, Uuid};

api! {
    /// KIP-714 telemetry push.
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
