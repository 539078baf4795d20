//! Heartbeat: a member of a classic group tells the group coordinator that it is alive, and learns of rebalances.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Keeps a member in a classic group.
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
