//! DeleteGroups: an admin client asks a group coordinator to forget groups that have no members.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Deletes groups without members.
    DeleteGroups = 42, versions 0..=2, flexible 2..;

    request DeleteGroupsRequest {
        groups_names: Vec<String>,
    }

    response DeleteGroupsResponse {
        throttle_time_ms: i32,
        results: Vec<DeletableGroupResult>,
    }

    struct DeletableGroupResult {
        group_id: String,
        error_code: ErrorCode,
    }
}
