//! ListGroups: an admin client asks every broker which groups it coordinates.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Lists the groups of one broker.
    ListGroups = 16, versions 0..=5, flexible 3..;

    request ListGroupsRequest {
        states_filter: Vec<String> [since 4],
        types_filter: Vec<String> [since 5],
    }

    response ListGroupsResponse {
        throttle_time_ms: i32 [since 1],
        error_code: ErrorCode,
        groups: Vec<ListedGroup>,
    }

    struct ListedGroup {
        group_id: String,
        protocol_type: String,
        group_state: String [since 4],
        group_type: String [since 5],
    }
}
