//! AlterConfigs: legacy full-replace config set.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Legacy full-replace config set.
    AlterConfigs = 33, versions 0..=2, flexible 2..;

    request AlterConfigsRequest {
        resources: Vec<AlterConfigsResource>,
        validate_only: bool,
    }

    response AlterConfigsResponse {
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
        value: Option<String> [nullable 0],
    }

    struct AlterConfigsResourceResponse {
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        resource_type: i8,
        resource_name: String,
    }
}
