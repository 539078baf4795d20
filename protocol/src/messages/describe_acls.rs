//! DescribeAcls: ACL list.

use crate::api::*;
use crate::ErrorCode;

api! {
    /// ACL list.
    DescribeAcls = 29, versions 0..=3, flexible 2..;

    request DescribeAclsRequest {
        resource_type_filter: i8,
        resource_name_filter: Option<String> [nullable 0] = Some(Default::default()),
        pattern_type_filter: i8 [since 1] = 3,
        principal_filter: Option<String> [nullable 0] = Some(Default::default()),
        host_filter: Option<String> [nullable 0] = Some(Default::default()),
        operation: i8,
        permission_type: i8,
    }

    response DescribeAclsResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0] = Some(Default::default()),
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
