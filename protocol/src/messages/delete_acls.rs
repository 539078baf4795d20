//! DeleteAcls: an admin client removes the access rules that match filters.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Removes access rules.
    DeleteAcls = 31, versions 0..=3, flexible 2..;

    request DeleteAclsRequest {
        filters: Vec<DeleteAclsFilter>,
    }

    response DeleteAclsResponse {
        throttle_time_ms: i32,
        filter_results: Vec<DeleteAclsFilterResult>,
    }

    struct DeleteAclsFilter {
        /// 1 any, 2 topic, 3 group, 4 cluster, 5 transactional id, 6 delegation token, 7 user.
        resource_type_filter: i8,
        resource_name_filter: Option<String> [nullable 0],
        /// 1 any, 2 all that match, 3 literal, 4 prefixed.
        pattern_type_filter: i8 [since 1] = 3,
        principal_filter: Option<String> [nullable 0],
        host_filter: Option<String> [nullable 0],
        /// Numbered as in DescribeAcls.
        operation: i8,
        /// 1 any, 2 deny, 3 allow.
        permission_type: i8,
    }

    struct DeleteAclsFilterResult {
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        matching_acls: Vec<DeleteAclsMatchingAcl>,
    }

    struct DeleteAclsMatchingAcl {
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        resource_type: i8,
        resource_name: String,
        pattern_type: i8 [since 1] = 3,
        principal: String,
        host: String,
        operation: i8,
        permission_type: i8,
    }
}
