//! SyncGroup: the members of a classic group wait for their assignments, which the leader's own request carries.

use bytes::Bytes;

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Distributes the assignments of a classic group.
    SyncGroup = 14, versions 0..=5, flexible 4..;

    request SyncGroupRequest {
        group_id: String,
        generation_id: i32,
        member_id: String,
        group_instance_id: Option<String> [since 3, nullable 3],
        protocol_type: Option<String> [since 5, nullable 5],
        protocol_name: Option<String> [since 5, nullable 5],
        /// Only the leader sends them.
        assignments: Vec<SyncGroupRequestAssignment>,
    }

    response SyncGroupResponse {
        throttle_time_ms: i32 [since 1],
        error_code: ErrorCode,
        protocol_type: Option<String> [since 5, nullable 5],
        protocol_name: Option<String> [since 5, nullable 5],
        assignment: Bytes,
    }

    struct SyncGroupRequestAssignment {
        member_id: String,
        assignment: Bytes,
    }
}
