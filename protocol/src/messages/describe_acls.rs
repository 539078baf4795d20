//! DescribeAcls: an admin client lists the access rules that match a filter.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Lists access rules.
    DescribeAcls = 29, versions 0..=3, flexible 2..;

    request DescribeAclsRequest {
        /// 1 any, 2 topic, 3 group, 4 cluster, 5 transactional id, 6 delegation token, 7 user.
        resource_type_filter: i8,
        resource_name_filter: Option<String> [nullable 0],
        /// 1 any, 2 all that match, 3 literal, 4 prefixed.
        pattern_type_filter: i8 [since 1] = 3,
        principal_filter: Option<String> [nullable 0],
        host_filter: Option<String> [nullable 0],
        /// 1 any, 2 all, 3 read, 4 write, 5 create, 6 delete, 7 alter, 8 describe, 9 cluster action, 10 describe
        /// configs, 11 alter configs, 12 idempotent write, 13 create tokens, 14 describe tokens, 15 two-phase commit.
        operation: i8,
        /// 1 any, 2 deny, 3 allow.
        permission_type: i8,
    }

    response DescribeAclsResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        resources: Vec<DescribeAclsResource>,
    }

    struct DescribeAclsResource {
        resource_type: i8,
        resource_name: String,
        pattern_type: i8 [since 1] = 3,
        acls: Vec<AclDescription>,
    }

    struct AclDescription {
        principal: String,
        host: String,
        operation: i8,
        permission_type: i8,
    }
}
