//! CreateAcls: an admin client adds access rules.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Adds access rules.
    CreateAcls = 30, versions 0..=3, flexible 2..;

    request CreateAclsRequest {
        creations: Vec<AclCreation>,
    }

    response CreateAclsResponse {
        throttle_time_ms: i32,
        results: Vec<AclCreationResult>,
    }

    struct AclCreation {
        /// 2 topic, 3 group, 4 cluster, 5 transactional id, 6 delegation token, 7 user.
        resource_type: i8,
        resource_name: String,
        /// 3 literal, 4 prefixed.
        resource_pattern_type: i8 [since 1] = 3,
        principal: String,
        host: String,
        /// Numbered as in DescribeAcls.
        operation: i8,
        /// 2 deny, 3 allow.
        permission_type: i8,
    }

    struct AclCreationResult {
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
    }
}
