//! CreateAcls: ACL create.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// ACL create.
    CreateAcls = 30, versions 0..=3, flexible 2..;

    request CreateAclsRequest {
        creations: Vec<AclCreation>,
    }

    response CreateAclsResponse {
        throttle_time_ms: i32,
        results: Vec<AclCreationResult>,
    }

    struct AclCreation {
        resource_type: i8,
        resource_name: String,
        resource_pattern_type: i8 [since 1] = 3,
        principal: String,
        host: String,
        operation: i8,
        permission_type: i8,
    }

    struct AclCreationResult {
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
    }
}
