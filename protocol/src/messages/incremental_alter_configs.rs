//! IncrementalAlterConfigs: incremental config set.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Incremental config set.
    IncrementalAlterConfigs = 44, versions 0..=1, flexible 1..;

    request IncrementalAlterConfigsRequest {
        resources: Vec<AlterConfigsResource>,
        validate_only: bool,
    }

    response IncrementalAlterConfigsResponse {
        throttle_time_ms: i32,
        responses: Vec<AlterConfigsResourceResponse>,
    }

    struct AlterConfigsResource {
        resource_type: i8,
        resource_name: String,
        configs: Vec<AlterableConfig>,
    }

    struct AlterableConfig {
        name: String,
        config_operation: i8,
        value: Option<String> [nullable 0],
    }

    struct AlterConfigsResourceResponse {
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        resource_type: i8,
        resource_name: String,
    }
}
