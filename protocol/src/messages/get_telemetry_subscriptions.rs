//! GetTelemetrySubscriptions: a client asks which metrics of its own a broker wants to have, and how often (KIP-714).

use crate::api::*;
use crate::{ErrorCode, Uuid};

api! {
    /// Asks which metrics to push.
    GetTelemetrySubscriptions = 71, versions 0..=0, flexible 0..;

    request GetTelemetrySubscriptionsRequest {
        /// Zero the first time.
        client_instance_id: Uuid,
    }

    response GetTelemetrySubscriptionsResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        client_instance_id: Uuid,
        subscription_id: i32,
        /// As in the attributes of record batches, best first.
        accepted_compression_types: Vec<i8>,
        push_interval_ms: i32,
        telemetry_max_bytes: i32,
        /// Whether counters are sent as differences.
        delta_temporality: bool,
        requested_metrics: Vec<String>,
    }
}
