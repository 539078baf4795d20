//! DescribeConfigs: read configs.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Read configs.
    DescribeConfigs = 32, versions 0..=4, flexible 4..;

    request DescribeConfigsRequest {
        resources: Vec<DescribeConfigsResource>,
        include_synonyms: bool [since 1],
        include_documentation: bool [since 3],
    }

    response DescribeConfigsResponse {
        throttle_time_ms: i32,
        results: Vec<DescribeConfigsResult>,
    }

    struct DescribeConfigsResource {
        resource_type: i8,
        resource_name: String,
        configuration_keys: Option<Vec<String>> [nullable 0] = Some(Vec::new()),
    }

    struct DescribeConfigsResult {
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        resource_type: i8,
        resource_name: String,
        configs: Vec<DescribeConfigsResourceResult>,
    }

    struct DescribeConfigsResourceResult {
        name: String,
        value: Option<String> [nullable 0],
        read_only: bool,
        is_default: bool [until 0],
        config_source: i8 [since 1] = -1,
        is_sensitive: bool,
        synonyms: Vec<DescribeConfigsSynonym> [since 1],
        config_type: i8 [since 3],
        documentation: Option<String> [since 3, nullable 0],
    }

    struct DescribeConfigsSynonym {
        name: String [since 1],
        value: Option<String> [since 1, nullable 0],
        source: i8 [since 1],
    }
}
