//! Heartbeat: classic group heartbeat.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Classic group heartbeat.
    Heartbeat = 12, versions 0..=4, flexible 4..;

    request HeartbeatRequest {
        group_id: String,
        generation_id: i32,
        member_id: String,
        group_instance_id: Option<String> [since 3, nullable 3],
    }

    response HeartbeatResponse {
        throttle_time_ms: i32 [since 1],
        error_code: ErrorCode,
    }
}
