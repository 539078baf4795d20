//! DescribeGroups: an admin client asks a group coordinator for the state and members of classic groups.

use bytes::Bytes;

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Describes classic groups.
    DescribeGroups = 15, versions 0..=6, flexible 5..;

    request DescribeGroupsRequest {
        groups: Vec<String>,
        include_authorized_operations: bool [since 3],
    }

    response DescribeGroupsResponse {
        throttle_time_ms: i32 [since 1],
        groups: Vec<DescribedGroup>,
    }

    struct DescribedGroup {
        error_code: ErrorCode,
        error_message: Option<String> [since 6, nullable 6],
        group_id: String,
        group_state: String,
        protocol_type: String,
        protocol_data: String,
        members: Vec<DescribedGroupMember>,
        /// A bit for each operation that is allowed, by its number; `i32::MIN` when nobody asked.
        authorized_operations: i32 [since 3] = i32::MIN,
    }

    struct DescribedGroupMember {
        member_id: String,
        group_instance_id: Option<String> [since 4, nullable 4],
        client_id: String,
        client_host: String,
        member_metadata: Bytes,
        member_assignment: Bytes,
    }
}
