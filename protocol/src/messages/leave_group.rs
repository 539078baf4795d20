//! LeaveGroup: a consumer leaves its classic group; from version 3 on an admin client can remove several members
//! (KIP-345).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Leaves a classic group.
    LeaveGroup = 13, versions 0..=5, flexible 4..;

    request LeaveGroupRequest {
        group_id: String,
        member_id: String [until 2],
        members: Vec<MemberIdentity> [since 3],
    }

    response LeaveGroupResponse {
        throttle_time_ms: i32 [since 1],
        error_code: ErrorCode,
        members: Vec<MemberResponse> [since 3],
    }

    struct MemberIdentity {
        member_id: String [since 3],
        group_instance_id: Option<String> [since 3, nullable 3],
        reason: Option<String> [since 5, nullable 5],
    }

    struct MemberResponse {
        member_id: String [since 3],
        group_instance_id: Option<String> [since 3, nullable 3],
        error_code: ErrorCode [since 3],
    }
}
