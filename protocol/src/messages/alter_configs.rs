//! AlterConfigs: an admin client replaces all dynamic configuration of a resource; what it leaves out goes back to its
//! default. Superseded by IncrementalAlterConfigs.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Replaces the dynamic configuration of resources.
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
        /// 2 topic, 4 broker, 8 broker loggers, 16 client metrics, 32 group.
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
