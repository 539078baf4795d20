//! JoinGroup: a consumer joins a classic group, and waits until all members of the next generation are there.

use bytes::Bytes;

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Joins a classic group.
    JoinGroup = 11, versions 0..=9, flexible 6..;

    request JoinGroupRequest {
        group_id: String,
        session_timeout_ms: i32,
        /// −1 is the session's.
        rebalance_timeout_ms: i32 [since 1] = -1,
        /// Empty when the broker is to give one.
        member_id: String,
        group_instance_id: Option<String> [since 5, nullable 5],
        protocol_type: String,
        protocols: Vec<JoinGroupRequestProtocol>,
        reason: Option<String> [since 8, nullable 8],
    }

    response JoinGroupResponse {
        throttle_time_ms: i32 [since 2],
        error_code: ErrorCode,
        generation_id: i32 = -1,
        protocol_type: Option<String> [since 7, nullable 7],
        protocol_name: Option<String> [nullable 7],
        leader: String,
        skip_assignment: bool [since 9],
        member_id: String,
        /// Only the leader gets them.
        members: Vec<JoinGroupResponseMember>,
    }

    struct JoinGroupRequestProtocol {
        name: String,
        metadata: Bytes,
    }

    struct JoinGroupResponseMember {
        member_id: String,
        group_instance_id: Option<String> [since 5, nullable 5],
        metadata: Bytes,
    }
}
