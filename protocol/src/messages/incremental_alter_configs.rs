//! IncrementalAlterConfigs: an admin client changes single values of the configuration of a resource (KIP-339).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Changes single configuration values.
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
        /// 2 topic, 4 broker, 8 broker loggers, 16 client metrics, 32 group.
        resource_type: i8,
        resource_name: String,
        configs: Vec<AlterableConfig>,
    }

    struct AlterableConfig {
        name: String,
        /// 0 set, 1 delete, 2 append, 3 subtract; the last two for lists.
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
