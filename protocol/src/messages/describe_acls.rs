//! DescribeAcls: ACL list.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// ACL list.
    DescribeAcls = 29, versions 0..=3, flexible 2..;

    request DescribeAclsRequest {
        resource_type_filter: i8,
        resource_name_filter: Option<String> [nullable 0],
        pattern_type_filter: i8 [since 1] = 3,
        principal_filter: Option<String> [nullable 0],
        host_filter: Option<String> [nullable 0],
        operation: i8,
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
